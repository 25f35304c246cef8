"""Drift on both engines: from the training rows and from the window before, counted one by one and in cells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.evaluation.conftest import FIRST_DAY, make_spec
from tests.googlesql.both import same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.evaluation import DriftInput, JoinColumns, drift_cells, drift_listed, drift_pieces, write_drift
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = (
    "evaluation/drift_cells.sql",
    "evaluation/drift_counted.sql",
    "evaluation/drift_facts.sql",
    "evaluation/drift_forget.sql",
    "evaluation/drift_is_kept.sql",
    "evaluation/drift_kept.sql",
    "evaluation/drift_listed.sql",
    "evaluation/drift_open.sql",
    "evaluation/drift_open_inputs.sql",
    "evaluation/drift_picked.sql",
    "evaluation/drift_profile.sql",
    "evaluation/drift_quantiles.sql",
    "evaluation/drift_rows.sql",
    "evaluation/drift_size.sql",
    "evaluation/drift_source.sql",
    "evaluation/drift_walked.sql",
    "evaluation/write_drift.sql",
)

AS_OF = FIRST_DAY + dt.timedelta(days=60)
N_ROWS = 63
COLUMNS = {"x": "numeric", "zeros": "numeric", "heavy": "numeric", "few": "numeric", "c": "categorical"}
TASKS = {
    "binary": pa.float64(),
    "regression": pa.float64(),
    "multiclass": pa.string(),
}


def inputs(random: np.random.Generator, n: int) -> dict[str, Any]:
    x = random.normal(size=n)
    return {
        "x": [None if i % 17 == 0 else float(value) for i, value in enumerate(x)],
        "zeros": np.where(random.random(n) < 0.6, 0.0, x),
        "heavy": np.exp(3 * x),
        "few": random.integers(0, 4, n),
        "c": [None if i % 13 == 0 else f"v{i % 5}" for i in random.integers(0, 100, n)],
    }


def rows_of(task: str) -> dict[str, pa.Table]:
    """Return training rows, and three weeks of requests with the evaluation's join and its due windows."""
    random = np.random.default_rng(1)
    labels: dict[str, list[Any]] = {
        "binary": ["0", "1"],
        "regression": [0.5, 1.5, 2.25],
        "multiclass": ["a", "b", "c"],
    }
    at = pa.array([FIRST_DAY + dt.timedelta(hours=8 * i) for i in range(N_ROWS)], pa.timestamp("us", tz="UTC"))
    starts = [FIRST_DAY + dt.timedelta(days=7 * week) for week in range(3)]
    known: list[Any] = [random.choice(labels[task]) for _ in range(N_ROWS)]
    known = [
        None if i % 9 == 0 else float(value) if task != "multiclass" else str(value) for i, value in enumerate(known)
    ]
    times = pa.timestamp("us", tz="UTC")
    is_multiclass = task == "multiclass"
    number, text = pa.nulls(N_ROWS, pa.float64()), pa.nulls(N_ROWS, pa.string())
    predicted = random.choice(labels["multiclass"], N_ROWS).tolist() if is_multiclass else random.random(N_ROWS)
    answers = (
        pa.array([None if value is None else int(value) for value in known]) if task == "binary" else pa.array(known)
    )
    return {
        "reference": pa.table(
            {**inputs(random, N_ROWS), "y": [labels[task][i % len(labels[task])] for i in range(N_ROWS)]}
        ),
        "asked": pa.table({**inputs(random, N_ROWS), "requested_at": at}),
        "wml_joined": pa.table(
            {
                "version": [1] * N_ROWS,
                "requested_at": at,
                "window_start": pa.array([starts[(8 * i // 24) // 7] for i in range(N_ROWS)], times),
                "score": number if is_multiclass else pa.array(predicted),
                "prediction": pa.array(predicted) if is_multiclass or task == "regression" else text,
                "label": answers,
            }
        ),
        "wml_due": pa.table(
            {
                "unit": [1, 2, 3],
                "evaluation_id": ["first", "second", "third"],
                "version": [1, 1, 1],
                "window_start": pa.array(starts, times),
                "window_end": pa.array([start + dt.timedelta(days=7) for start in starts], times),
            }
        ),
    }


def drift_on(
    warehouse: Warehouse, task: str, rows: dict[str, pa.Table], reference: str, times: int, *, is_listed: bool
) -> list[Any]:
    """Write the drift of the due windows, and again, and return what was written the last time."""
    for name, table in rows.items():
        warehouse.load(Relation(name), table, temporary=name.startswith("wml_"))
    random = np.random.default_rng(2)
    scores = pa.array(random.random(60)) if task != "multiclass" else pa.array(random.choice(["a", "b"], 60).tolist())
    given = DriftInput(
        1,
        "select x, zeros, heavy, few, c, y from reference",
        "select x, zeros, heavy, few, c, requested_at from asked;",
        COLUMNS,
        reference_hash=f"{reference} of {task}",
        importances={"x": 0.5},
        label="y",
        scores=lambda: scores,
    )
    spec = make_spec(task=task, window="week", drift_reference=reference)
    joined = JoinColumns(
        has_score=task == "binary",
        has_prediction=task != "binary",
        has_label_known_at=False,
        has_version=True,
        has_weight=False,
        is_boolean_prediction=False,
        is_boolean_label=False,
    )
    # How few the requests are is told with the windows; where it is not, they are taken to be many.
    due = [{**row, **({"n_requests": 21} if is_listed else {})} for row in rows["wml_due"].to_pylist()]
    for _ in range(times):
        warehouse.run("delete from wml.drift where true")
        write_drift(warehouse, spec, [given], due, AS_OF, joined)
    return warehouse.fetch("select * from wml.drift").to_pylist()


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Warehouse, Warehouse]]:
    found = DuckDBWarehouse(), GoogleSqlWarehouse()
    for warehouse in found:
        ensure_tables(warehouse)
    yield found
    for warehouse in found:
        warehouse.close()


# One window or several: several are told apart in every table. The second time, the reference's profile is kept.
@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(
    ("task", "reference", "n_due", "times"),
    [("binary", "training", 1, 2), ("regression", "previous", 2, 1), ("multiclass", "training", 3, 1)],
)
def test_drift_is_the_same(
    engines: tuple[Warehouse, Warehouse],
    task: str,
    reference: str,
    n_due: int,
    times: int,
    is_listed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Columns of as few rows as these are counted one by one, if they were not told to be many.
    monkeypatch.setattr(drift_pieces, "_MANY_VALUES", 20)
    monkeypatch.setattr(drift_pieces, "_FEWEST_CELLS", 40)
    monkeypatch.setattr(drift_cells, "_profiles", {})
    monkeypatch.setattr(drift_listed, "_known", {})
    rows = rows_of(task)
    rows["wml_due"] = rows["wml_due"].slice(0, n_due)
    ours, theirs = (drift_on(warehouse, task, rows, reference, times, is_listed=is_listed) for warehouse in engines)
    assert {row["window_start"] for row in ours} == set(rows["wml_due"]["window_start"].to_pylist())
    assert {row["kind"] for row in ours} == {"input", "prediction", "label"}
    same_rows(ours, theirs)
