"""Sliced metrics of one evaluation: ours, in the warehouse, against Fairlearn's MetricFrame in pandas.

Both compute selection rate, recall, false positive rate, precision, accuracy and ROC AUC, over everything and for each
value of four columns. Ours computes all of its other metrics, intervals, fairness and calibration besides, and writes
them; Fairlearn's computes these six and keeps them in memory. Reading the rows is part of neither.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import time
from collections.abc import Callable

from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score

from warehouse_ml.evaluation import EvaluationSpec, evaluate
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

COLUMNS = ["region", "channel", "device", "age_band"]
AS_OF = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
ROWS = """
create table joined as
select
    'r' || n as request_id,
    timestamptz '2024-01-01 00:00:00+00' + interval (n % 600) hour as requested_at,
    random() as score,
    random() < 0.3 as label,
    'r' || (n * 7 % 12) as region,
    'c' || (n * 5 % 5) as channel,
    'd' || (n * 3 % 4) as device,
    'a' || (n * 11 % 8) as age_band
from range($n) as numbers (n)
"""


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(n_rows: int, rounds: int = 3) -> None:
    """Print the medians of both sides and their ratio."""
    warehouse = DuckDBWarehouse()
    ensure_tables(warehouse)
    warehouse.run(ROWS, {"n": n_rows})
    frame = warehouse.fetch("select * from joined").to_pandas()
    spec = EvaluationSpec.from_config("bench", {"slices": COLUMNS}, place="bench", definition_hash="")

    def ours() -> None:
        evaluate(warehouse, spec, "select * from joined", as_of=AS_OF, restate=True)

    def theirs() -> list[object]:
        results: list[object] = []
        decisions = frame.score >= 0.5
        for column in COLUMNS:
            decided = MetricFrame(
                metrics={
                    "selection_rate": selection_rate,
                    "recall": recall_score,
                    "false_positive_rate": false_positive_rate,
                    "precision": precision_score,
                    "accuracy": accuracy_score,
                },
                y_true=frame.label,
                y_pred=decisions,
                sensitive_features=frame[column],
            )
            scored = MetricFrame(
                metrics=roc_auc_score, y_true=frame.label, y_pred=frame.score, sensitive_features=frame[column]
            )
            results += [decided.by_group, scored.by_group]
        return results

    times = {"ours": [], "fairlearn": []}  # type: dict[str, list[float]]
    for _ in range(rounds):
        times["ours"].append(timed(ours))
        times["fairlearn"].append(timed(theirs))
    mine, peer = statistics.median(times["ours"]), statistics.median(times["fairlearn"])
    print(
        f"{n_rows:,} rows, {len(COLUMNS)} columns: ours {mine:.2f} s, Fairlearn {peer:.2f} s, ratio {peer / mine:.1f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
