"""The weekly join: a window of the request log with the answer last known at the clock, ours in SQL against pandas.

The log holds four windows with text keys, and nearly two rows of answers a request, some of them corrected later. Both
sides take the requests of the first window and join what was known last of each by the end of it and a day; neither is
timed while it reads. Each side runs in a process of its own, in turns; medians of seconds, and the peak of memory.

    python benchmarks/weekly_join.py [rows]
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 3
START, END, AS_OF = "2024-01-01 00:00:00+00", "2024-01-08 00:00:00+00", "2024-01-09 00:00:00+00"
LOG = """
copy (
    select
        'request-' || lpad(cast(n as varchar), 12, '0') as request_id,
        timestamptz '2024-01-01 00:00:00+00' + interval (n * 2419200 // {n_rows}) second as requested_at,
        (hash(n) >> 12) / 4503599627370496e0 as score
    from range({n_rows}) as numbers (n)
) to '{folder}/log.parquet'
"""
ANSWERS = """
copy (
    select
        log.request_id,
        log.requested_at + interval (3600 * (1 + hash(log.request_id, times.i) % 40) * times.i) second as known_at,
        hash(log.request_id, times.i, 7) % 3 = 0 as label
    from '{folder}/log.parquet' as log
    cross join range(1, 3) as times (i)
    where times.i = 1 or hash(log.request_id, 3) % 10 < 8
) to '{folder}/answers.parquet'
"""
JOIN = """
create or replace temp table joined as
select
    log.request_id,
    log.requested_at,
    log.score,
    answers.label,
    answers.known_at as label_known_at
from log
left join {{ latest_known('answers', ['request_id'], 'known_at', as_of, ['label']) }} as answers
    on log.request_id = answers.request_id
where log.requested_at >= {{ start | literal }} and log.requested_at < {{ end | literal }}
"""


def write(folder: str, n_rows: int) -> None:
    """Write the log and the answers as Parquet, and the warehouse that holds both."""
    from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse(Path(folder) / "warehouse.duckdb", threads=2)
    for sql in (LOG, ANSWERS):
        warehouse.run(sql.format(n_rows=n_rows, folder=folder))
    for name in ("log", "answers"):
        warehouse.run(f"create table {name} as from '{folder}/{name}.parquet'")
    warehouse.close()


def ours(folder: str) -> tuple[Callable[[], object], Callable[[], tuple[int, int]]]:
    """Return the join, and how to count its rows and its answers."""
    import datetime as dt

    from warehouse_ml.templates import environment, literal
    from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse(Path(folder) / "warehouse.duckdb", read_only=True, threads=2)
    instants = {name: dt.datetime.fromisoformat(text) for name, text in (("start", START), ("end", END))}
    as_of = literal(dt.datetime.fromisoformat(AS_OF), warehouse.engine)
    sql = environment(warehouse.engine).from_string(JOIN).render(as_of=as_of, **instants)

    def counted() -> tuple[int, int]:
        row = warehouse.fetch("select count(*) as n, count_if(label) as n_late from joined").to_pylist()[0]
        return row["n"], row["n_late"]

    return lambda: warehouse.run(sql), counted


def theirs(folder: str) -> tuple[Callable[[], object], Callable[[], tuple[int, int]]]:
    """Return the join in pandas, and how to count its rows and its answers."""
    import pandas as pd

    log, answers = (pd.read_parquet(f"{folder}/{name}.parquet") for name in ("log", "answers"))
    kept = {}

    def join() -> None:
        window = log[(log.requested_at >= START) & (log.requested_at < END)]
        known = answers[answers.known_at <= AS_OF].sort_values(["known_at", "label"])
        kept["joined"] = window.merge(known.drop_duplicates("request_id", keep="last"), how="left", on="request_id")

    return join, lambda: (len(kept["joined"]), int((kept["joined"].label == True).sum()))  # noqa: E712


def run(side: str, folder: str) -> None:
    """Do one side's join and print its seconds, CPU seconds, counts and peak of memory in MB."""
    join, counted = {"ours": ours, "pandas": theirs}[side](folder)
    before, began = os.times(), time.perf_counter()
    join()
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.user + after.system - before.user - before.system
    print(seconds, cpu, *counted(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main(n_rows: int) -> None:
    """Print the medians of both sides and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, __file__, "write", folder, str(n_rows)], check=True, stderr=subprocess.DEVNULL)
        found: dict[str, list[list[float]]] = {"ours": [], "pandas": []}
        for _ in range(ROUNDS):
            for side, runs in found.items():
                command = [sys.executable, __file__, side, folder]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                runs.append([float(text) for text in done.stdout.split()])
    if found["ours"][0][2:4] != found["pandas"][0][2:4]:
        sys.exit(f"the joins differ: {found['ours'][0]} and {found['pandas'][0]}")
    print(f"{n_rows:,} requests in the log, {found['ours'][0][2]:,.0f} in the window, load {os.getloadavg()[0]:.1f}")
    base = [statistics.median(run[index] for run in found["ours"]) for index in range(5)]
    for side, runs in found.items():
        wall, cpu, _, _, memory = (statistics.median(run[index] for run in runs) for index in range(5))
        ratios = f"ratio {wall / base[0]:.2f} ({cpu / base[1]:.2f}), of memory {memory / base[4]:.2f}"
        print(f"  {side:8}{wall:8.2f} s {cpu:8.2f} s CPU {memory:8.0f} MB, {ratios}")


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["pandas"]):
        run(sys.argv[1], sys.argv[2])
    elif sys.argv[1:2] == ["write"]:
        write(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000)
