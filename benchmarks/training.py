"""``wml train`` against pandas and scikit-learn doing the same fit on the same rows.

Both read a Parquet file of twenty doubles (one in twenty missing) and a label, hold 10,000 rows out, fit, and measure
the rows held out. Ours besides hashes and splits the rows in SQL, looks for labels in disguise, proves the scoring SQL
against the estimator, and publishes a version with a snapshot of the rows. Each run has a process of its own, whose
peak memory is shown against the matrix of doubles; rounds are interleaved, medians shown.

    python benchmarks/training.py [rows]
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import peers

ROUNDS = 3
AS_OF = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
N_HELD_OUT = 10_000
MODELS = {
    "logistic_reg": "model_type = 'logistic_reg'",
    "boosted_tree_classifier": "model_type = 'boosted_tree_classifier', max_iterations = 100, early_stop = false",
}
SETTINGS = """\
[project]
name = "bench"

[targets.duckdb]
path = "warehouse.duckdb"
threads = 2

[sources]
rows = "rows.parquet"
"""
REQUESTS = """\
{{ config(materialized='incremental', event_time='requested_at') }}
-- grain: one row per request; training does not ask for them
select 'r' as request_id, timestamptz '2024-01-01 00:00:00+00' as requested_at
"""
DEFINITION = """\
{{{{ config(requests='bench_requests') }}}}
create or replace model {name}
options (
    {options},
    input_label_cols = ['y']
) as
select
    {columns},
    source_rows.y
from {{{{ source('rows') }}}} as source_rows
"""


def write_project(folder: Path, n_rows: int) -> None:
    import duckdb

    (folder / "wml.toml").write_text(SETTINGS)
    (folder / "models").mkdir()
    (folder / "sql" / "requests").mkdir(parents=True)
    (folder / "sql" / "requests" / "bench_requests.sql").write_text(REQUESTS)
    columns = ",\n    ".join(f"source_rows.{name}" for name in peers.NAMES)
    for name, options in MODELS.items():
        text = DEFINITION.format(name=name, options=options, columns=columns)
        (folder / "models" / f"{name}.sql").write_text(text)
    with duckdb.connect() as connection:
        peers.make_requests(connection, n_rows)
        known = " + ".join(f"coalesce({name}, 0e0)" for name in ("x0", "x4", "x8", "x12"))
        label = f"{known} + 3e0 * coalesce(x3 * x7, 0e0) + ln(1e0 + coalesce(x1, 0e0)) > 2e0 + sin(request_id)"
        rows = f"select * exclude (request_id), {label} as y from requests"
        connection.execute(f"copy ({rows}) to '{folder / 'rows.parquet'}' (format parquet)")


def train_ours(folder: Path, model: str) -> dict[str, float]:
    """Return the seconds of each step."""
    from warehouse_ml.loop.learning import train_step
    from warehouse_ml.session import open_session

    steps: list[tuple[str, float]] = []
    with open_session(folder) as session:
        trained = train_step(
            session,
            model,
            AS_OF,
            force=True,
            promote="never",
            on_step=lambda text: steps.append((text, time.perf_counter())),
        )
    steps.append(("", time.perf_counter()))
    seconds = {text: after - at for (text, at), (_, after) in itertools.pairwise(steps)}
    return {**seconds, "roc_auc": trained.version.metrics["roc_auc"] or 0.0}


def train_peer(folder: Path, model: str) -> dict[str, float]:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pd.read_parquet(folder / "rows.parquet")
    x, y = frame[peers.NAMES], frame["y"]
    x_train, x_eval, y_train, y_eval = train_test_split(x, y, test_size=N_HELD_OUT, random_state=0)
    if model == "logistic_reg":
        regression = LogisticRegression(C=float("inf"), max_iter=100)
        estimator: Any = make_pipeline(SimpleImputer(), StandardScaler(), regression)
    else:
        estimator = HistGradientBoostingClassifier(
            learning_rate=0.3, max_iter=100, max_depth=6, l2_regularization=1.0, early_stopping=False, random_state=0
        )
    began = time.perf_counter()
    estimator.fit(x_train, y_train)
    seconds = time.perf_counter() - began
    score = estimator.predict_proba(x_eval)[:, 1]
    return {"fit": seconds, "log_loss": log_loss(y_eval, score), "roc_auc": float(roc_auc_score(y_eval, score))}


def run_one(side: str, folder: Path, model: str) -> None:
    """Train, and print seconds, processor seconds, peak memory in MB and the side's own numbers."""
    before, began = os.times(), time.perf_counter()
    told = (train_ours if side == "ours" else train_peer)(folder, model)
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.user + after.system - before.user - before.system
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "told": told}))


def main(n_rows: int) -> None:
    matrix = n_rows * len(peers.NAMES) * 8 / 2**20
    print(f"{n_rows:,} rows, {len(peers.NAMES)} columns, a matrix of {matrix:,.0f} MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, n_rows)
        for model in MODELS:
            found: dict[str, list[dict[str, Any]]] = {"ours": [], "pandas + scikit-learn": []}
            for _ in range(ROUNDS):
                for side, runs in found.items():
                    command = [sys.executable, __file__, "--one", side, name, model]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                    runs.append(json.loads(done.stdout))
            show(model, matrix, found)


def show(model: str, matrix: float, found: dict[str, list[dict[str, Any]]]) -> None:
    def median(side: str, what: str) -> float:
        return statistics.median(run[what] for run in found[side])

    print(f"{model}, load {os.getloadavg()[0]:.1f}")
    for side, runs in found.items():
        peak = median(side, "peak")
        print(
            f"  {side:22} {median(side, 'seconds'):7.2f} s {median(side, 'cpu'):7.2f} s CPU {peak:7,.0f} MB "
            f"({peak / matrix:.1f} matrices)  {', '.join(f'{k} {v:.3f}' for k, v in runs[-1]['told'].items())}"
        )
    more, more_cpu = (median("ours", w) / median("pandas + scikit-learn", w) - 1 for w in ("seconds", "cpu"))
    print(f"  over pandas + scikit-learn: {more:+.0%}, {more_cpu:+.0%} of CPU time")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run_one(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
