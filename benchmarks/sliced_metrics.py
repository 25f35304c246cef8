"""Sliced metrics of one evaluation: ours, in the warehouse, against the loops that a user writes in pandas.

Over everything, each value of four columns, and each pair of values of two of them: 1,100 groups. scikit-learn's side
computes accuracy, precision, recall, F1, ROC AUC, average precision, log loss and Brier score of each group;
Fairlearn's MetricFrame (up to 200,000 rows, it takes minutes) the first three, the selection rate, the false positive
rate and ROC AUC. Ours computes these and its other metrics, intervals, suppression, fairness, disparities and
calibration, and writes them. Reading the rows is part of neither. The rounds are interleaved; medians are shown.

With a memory limit ours runs alone, once, in a warehouse file, and the process's peak of memory is printed too.

    python benchmarks/sliced_metrics.py [rows] [--memory-limit 500MB]
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate
from sklearn import metrics

from warehouse_ml.evaluation import EvaluationSpec, evaluate
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse
from warehouse_ml.warehouses.duckdb_settings import duckdb_settings

COLUMNS = {"region": 24, "channel": 6, "device": 10, "age_band": 15}
SLICES = [*([name] for name in COLUMNS), *(list(pair) for pair in itertools.combinations(COLUMNS, 2))]
AS_OF = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
MOST_FOR_FAIRLEARN = 200_000
ROUNDS = 3
ROWS = """
create table joined as
select
    'r' || n as request_id,
    timestamptz '2024-01-01 00:00:00+00' + interval (n % 600) hour as requested_at,
    score,
    (hash(n * 11 + 1) >> 12) / 4503599627370496e0 < 0.6 * score as label,
    {columns}
from (select n, (hash(n * 11) >> 12) / 4503599627370496e0 as score from range({n_rows}) as numbers (n)) as scored
"""


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that a piece of work takes by the clock, and those of the processor."""
    before, began = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, os.times()
    return seconds, after.user + after.system - before.user - before.system


def with_scikit_learn(frame: pd.DataFrame) -> list[dict[str, float]]:
    found = [of_group(frame)]
    for slice_ in SLICES:
        found += [of_group(group) for _, group in frame.groupby(slice_)]
    return found


def of_group(group: pd.DataFrame) -> dict[str, float]:
    label, score = group["label"].to_numpy(), group["score"].to_numpy()
    decision = score >= 0.5
    return {
        "accuracy": metrics.accuracy_score(label, decision),
        "precision": metrics.precision_score(label, decision, zero_division=0),
        "recall": metrics.recall_score(label, decision, zero_division=0),
        "f1_score": metrics.f1_score(label, decision, zero_division=0),
        "roc_auc": metrics.roc_auc_score(label, score),
        "average_precision": metrics.average_precision_score(label, score),
        "log_loss": metrics.log_loss(label, score, labels=[False, True]),
        "brier_score": metrics.brier_score_loss(label, score),
    }


def with_fairlearn(frame: pd.DataFrame) -> list[Any]:
    decided = {
        "selection_rate": selection_rate,
        "recall": metrics.recall_score,
        "false_positive_rate": false_positive_rate,
        "precision": metrics.precision_score,
        "accuracy": metrics.accuracy_score,
    }
    found = []
    for slice_ in SLICES:
        groups = frame[slice_]
        for what, values in ((decided, frame.score >= 0.5), (metrics.roc_auc_score, frame.score)):
            by_slice = MetricFrame(metrics=what, y_true=frame.label, y_pred=values, sensitive_features=groups)
            found.append(by_slice.by_group)
    return found


def make_rows(warehouse: DuckDBWarehouse, n_rows: int) -> None:
    ensure_tables(warehouse)
    columns = ",\n    ".join(
        f"'{name} ' || (hash(n * 11 + {index + 2}) % {size}) as {name}"
        for index, (name, size) in enumerate(COLUMNS.items())
    )
    warehouse.run(ROWS.format(columns=columns, n_rows=n_rows))


def evaluated(warehouse: DuckDBWarehouse) -> object:
    spec = EvaluationSpec.from_config("bench", {"slices": SLICES}, place="bench", definition_hash="")
    return evaluate(warehouse, spec, "select * from joined", as_of=AS_OF, restate=True)


def within(n_rows: int, memory_limit: str) -> None:
    """Print what ours takes in a warehouse file, with a memory limit, and the peak of the process."""
    limit = duckdb_settings({"memory_limit": memory_limit}, "--memory-limit").memory_limit
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        warehouse = DuckDBWarehouse(path, threads=2)
        make_rows(warehouse, n_rows)
        warehouse.close()
        warehouse = DuckDBWarehouse(path, threads=2, memory_limit=limit)
        # Linux forgets the peak so far.
        Path("/proc/self/clear_refs").write_text("5")
        wall, cpu = timed(lambda: evaluated(warehouse))
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        warehouse.close()
    peak = int(status["VmHWM"].split()[0]) / 1e3
    print(f"{n_rows:,} rows, limit {memory_limit}: {wall:.2f} s {cpu:.2f} s CPU, peak {peak:,.0f} MB of the process")


def main(n_rows: int) -> None:
    """Print the medians of all sides and their ratios."""
    warehouse = DuckDBWarehouse(threads=2)
    make_rows(warehouse, n_rows)
    frame = warehouse.fetch("select * from joined").to_pandas()
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: evaluated(warehouse),
        "scikit-learn": lambda: with_scikit_learn(frame),
    }
    if n_rows <= MOST_FOR_FAIRLEARN:
        sides["Fairlearn"] = lambda: with_fairlearn(frame)
    seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(ROUNDS):
            for side, work in sides.items():
                seconds[side].append(timed(work))
    counted = (
        "select count(distinct (slice_key, slice_value)) as n_groups, count(*) as n_values from wml.latest_metrics"
    )
    print(f"{n_rows:,} rows, {warehouse.fetch(counted).to_pylist()[0]}, load {os.getloadavg()[0]:.1f}")
    base = [statistics.median(pair[i] for pair in seconds["ours"]) for i in range(2)]
    for side, pairs in seconds.items():
        wall, cpu = (statistics.median(pair[i] for pair in pairs) for i in range(2))
        print(f"  {side:14}{wall:9.2f} s {cpu:9.2f} s CPU, ratio {wall / base[0]:7.2f} ({cpu / base[1]:.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=int, default=100_000)
    parser.add_argument("--memory-limit")
    asked = parser.parse_args()
    if asked.memory_limit:
        within(asked.rows, asked.memory_limit)
    else:
        main(asked.rows)
