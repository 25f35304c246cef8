"""Scoring from table to table: our SQL (or arrays) against scikit-learn, ONNX Runtime and orbital.

Every side reads the DuckDB table ``requests`` (20 doubles, one in twenty NULL) and writes the table ``scored``, with
two threads. Rounds are interleaved, so that a change of the machine's speed meets all sides; medians are shown. "CPU"
is user and system time together; a ratio is a side's time by ours. "differ" counts the rows that are decided otherwise
than by scikit-learn.

    python benchmarks/scoring.py [rows] [models...]
"""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peers
from peers import MODELS, THREADS, Model

from warehouse_ml.scoring import scoring_path
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROUNDS = 3
MEMORY_LIMIT = "1GB"
SCIKIT = "scikit-learn"
FEW_ROWS, PATIENCE = 1_000, 60


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that a piece of work takes by the clock, and those of the processor."""
    before, began = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, os.times()
    return seconds, after.user + after.system - before.user - before.system


def open_warehouse(path: Path) -> DuckDBWarehouse:
    warehouse = DuckDBWarehouse(path, threads=THREADS)
    warehouse.run(f"set memory_limit = '{MEMORY_LIMIT}'")
    return warehouse


def sides_of(warehouse: DuckDBWarehouse, model: Model) -> dict[str, Callable[[], None]]:
    """Return what each side runs; a side that cannot do the model is told and left out."""
    path = scoring_path(model.parameters)
    sides: dict[str, Callable[[], None]] = {f"ours ({path})": lambda: peers.ours(warehouse, model)}
    if path == "arrow" and has_sql(model):
        sides["ours (sql)"] = lambda: peers.ours(warehouse, model, "sql")
    sides[SCIKIT] = lambda: peers.stream(warehouse, peers.with_scikit_learn(model))
    try:
        onnx = peers.with_onnx(model)
        sides["ONNX Runtime"] = lambda: peers.stream(warehouse, onnx)
    except Exception as error:
        print(f"  ONNX Runtime: {type(error).__name__}: {str(error).splitlines()[0][:80]}")
    if model.name != "deep_forest":  # the forest of depth 8 takes it more than a minute already
        try:
            began = time.perf_counter()
            statement = peers.orbital_sql(model)
            print(f"  orbital made its SQL in {time.perf_counter() - began:.1f} s, {len(statement) / 1e6:.2f} MB")
            tried_in = seconds_for_few(statement)
            if tried_in is None:
                print(f"  orbital's SQL does not score {FEW_ROWS:,} rows within {PATIENCE} s: left out")
            else:
                print(f"  orbital's SQL scores {FEW_ROWS:,} rows in {tried_in:.1f} s")
                sides["orbital"] = lambda: warehouse.run(statement)
        except Exception as error:
            print(f"  orbital: {type(error).__name__}: {str(error).splitlines()[0][:80]}")
    return sides


def seconds_for_few(statement: str) -> float | None:
    """Return how long a statement takes over few rows, in a process that is ended if that is too long."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(statement)
        file.flush()
        command = [sys.executable, __file__, "--few", file.name]
        try:
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return None
    return float(done.stdout)


def print_few(file: Path) -> None:
    warehouse = DuckDBWarehouse(threads=THREADS)
    peers.make_requests(warehouse._connection, FEW_ROWS)
    print(timed(lambda: warehouse.run(file.read_text()))[0])


def scores(warehouse: DuckDBWarehouse) -> np.ndarray:
    """Return the scores as written, by request; a side that keeps no identifier keeps the order."""
    order = "request_id" if "request_id" in warehouse.columns("select * from scored") else "rowid"
    found: np.ndarray = warehouse.fetch(f"select score from scored order by {order}")["score"].to_numpy()
    return found


def compare(n_rows: int, name: str) -> None:
    """Print the table of one model."""
    model = peers.make_model(name)
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_warehouse(Path(folder) / "rows.duckdb")
        with contextlib.closing(warehouse):
            peers.make_requests(warehouse._connection, n_rows)
            sides = sides_of(warehouse, model)
            seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
            found: dict[str, np.ndarray] = {}
            for number in range(ROUNDS):
                for side, work in sides.items():
                    seconds[side].append(timed(work))
                    if number == 0:
                        found[side] = scores(warehouse)
            show(n_rows, name, seconds, found)
            if has_sql(model):
                planning = statistics.median(timed(lambda: plan(warehouse, model))[0] for _ in range(ROUNDS))
                print(f"  our SQL: {len(peers.our_sql(model)) / 1e6:.2f} MB, parsed and planned in {planning:.2f} s")


def has_sql(model: Model) -> bool:
    """Return whether the model can be one statement, if not the fastest way."""
    return scoring_path(model.parameters, is_stored=True) == "sql"


def plan(warehouse: DuckDBWarehouse, model: Model) -> None:
    warehouse.fetch(f"explain {peers.our_sql(model)}")


def show(n_rows: int, name: str, seconds: dict[str, list[tuple[float, float]]], found: dict[str, np.ndarray]) -> None:
    mine = next(iter(seconds))
    base, base_cpu = (statistics.median(pair[i] for pair in seconds[mine]) for i in range(2))
    print(f"{name}, {n_rows:,} rows, load {os.getloadavg()[0]:.1f}")
    heads = {"seconds": 9, "rows/s": 12, "CPU s": 9, "ratio": 8, "CPU ratio": 11, "differ": 10, "largest gap": 13}
    print(" " * 16 + "".join(f"{head:>{width}}" for head, width in heads.items()))
    for side, pairs in seconds.items():
        wall, cpu = (statistics.median(pair[i] for pair in pairs) for i in range(2))
        n_other = int(((found[side] >= 0.5) != (found[SCIKIT] >= 0.5)).sum())
        gap = float(np.abs(found[side] - found[SCIKIT]).max())
        print(
            f"  {side:14}{wall:9.2f}{n_rows / wall:12,.0f}{cpu:9.2f}{wall / base:8.2f}{cpu / base_cpu:11.2f}"
            f"{n_other:10,}{gap:13.1e}"
        )


def show_memory(n_rows: int, names: list[str]) -> None:
    """Print the peak of resident memory when a file of n and of four times as many rows is scored."""
    for name in names:
        peaks = []
        for rows in (n_rows, 4 * n_rows):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "rows.duckdb"
                with contextlib.closing(open_warehouse(path)) as warehouse:
                    peers.make_requests(warehouse._connection, rows)
                command = [sys.executable, __file__, "--peak", str(path), name]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                peaks.append(int(done.stdout.split()[-1]))
        print(f"{name}: peak memory {peaks[0]:,} MB over {n_rows:,} rows, {peaks[1]:,} MB over {4 * n_rows:,}")


def print_peak(path: Path, name: str) -> None:
    with contextlib.closing(open_warehouse(path)) as warehouse:
        peers.ours(warehouse, peers.make_model(name))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--peak"]:
        print_peak(Path(arguments[1]), arguments[2])
        return
    if arguments[:1] == ["--few"]:
        print_few(Path(arguments[1]))
        return
    n_rows = int(arguments[0]) if arguments else 1_000_000
    names = arguments[1:] or list(MODELS)
    for name in names:
        compare(n_rows, name)
    show_memory(n_rows, [name for name in names if name in ("logistic", "boosting", "deep_forest")])


if __name__ == "__main__":
    main(sys.argv[1:])
