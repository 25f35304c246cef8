"""The search for the worst slices, and those of the slices that were evaluated, on both engines."""

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
from warehouse_ml.evaluation import JoinColumns
from warehouse_ml.evaluation.search import search_slices
from warehouse_ml.evaluation.worst import found_slices, worst_slices
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = (
    "evaluation/found_slices.sql",
    "evaluation/search_asked.sql",
    "evaluation/search_cells.sql",
    "evaluation/search_coded.sql",
    "evaluation/search_counts.sql",
    "evaluation/search_edges.sql",
    "evaluation/search_values.sql",
    "evaluation/worst_slices.sql",
    "evaluation/write_search.sql",
)

AS_OF = FIRST_DAY + dt.timedelta(days=60)
N_ROWS = 300


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Warehouse, Warehouse]]:
    found = DuckDBWarehouse(), GoogleSqlWarehouse()
    for warehouse in found:
        ensure_tables(warehouse)
    yield found
    for warehouse in found:
        warehouse.close()


def rows_of(task: str) -> dict[str, pa.Table]:
    """Return the rows of two windows, which are worse in one group, and the query's own."""
    random = np.random.default_rng(4)
    group, other = random.choice(["a", "b", "c"], N_ROWS), random.choice(["u", "v"], N_ROWS)
    is_bad = (group == "a") & (other == "u")
    score = np.clip(random.beta(2, 2, N_ROWS), 0.02, 0.98)
    label = (random.random(N_ROWS) < np.where(is_bad, 1 - score, score)).astype(float)
    ids = [f"r{i}" for i in range(N_ROWS)]
    x = [None if i % 11 == 0 else float(value) for i, value in enumerate(random.normal(size=N_ROWS))]
    if task == "multiclass":
        answers = {
            "score": pa.nulls(N_ROWS, pa.float64()),
            "prediction": np.where(score > 0.5, "yes", "no").tolist(),
            "label": np.where(label == 1, "yes", "no").tolist(),
        }
    elif task == "regression":
        answers = {"score": score, "prediction": score, "label": score + random.normal(size=N_ROWS) * (1 + 3 * is_bad)}
    else:
        answers = {"score": score, "prediction": (score >= 0.5).astype(float), "label": label}
    times = pa.timestamp("us", tz="UTC")
    starts = [FIRST_DAY, FIRST_DAY + dt.timedelta(days=7)]
    return {
        "wml_rows": pa.table({"unit": [1 + i % 2 for i in range(N_ROWS)], "request_id": ids, **answers}),
        "wml_due": pa.table(
            {
                "unit": [1, 2],
                "evaluation_id": ["first", "second"],
                "version": pa.array([1, 1]),
                "window_start": pa.array(starts, times),
                "window_end": pa.array([start + dt.timedelta(days=7) for start in starts], times),
            }
        ),
        "asked": pa.table(
            {
                "request_id": ids,
                "model_version": [1] * N_ROWS,
                "group_name": [None if i % 7 == 0 else str(value) for i, value in enumerate(group)],
                "other": other.tolist(),
                "x": x,
                "few": random.integers(0, 3, N_ROWS),
                "same": ["one"] * N_ROWS,
            }
        ),
    }


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_a_search_is_the_same(engines: tuple[Warehouse, Warehouse], task: str) -> None:
    rows = rows_of(task)
    joined = JoinColumns(
        has_score=task == "binary",
        has_prediction=task != "binary",
        has_label_known_at=False,
        has_version=True,
        has_weight=False,
        is_boolean_prediction=False,
        is_boolean_label=False,
    )
    spec = make_spec(task=task, window="week", search=["group_name", "other", "x", "few", "same"], min_slice_size=10)
    found, told = [], []
    for warehouse in engines:
        for name, table in rows.items():
            warehouse.load(Relation(name), table, temporary=name.startswith("wml_"))
        warehouse.run("delete from wml.worst_slices where true")
        told.append(search_slices(warehouse, spec, joined, "select * from asked", AS_OF))
        found.append(warehouse.fetch("select * from wml.worst_slices").to_pylist())
    assert told[0] == told[1]
    assert len(told[0]) == 1
    assert len(found[0]) > 2
    same_rows(*found)
    same_rows(*(found_slices(warehouse, ["first", "second"]) for warehouse in engines))


def metric_rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    rows = []
    for evaluation in ("e1", "e2"):
        for value in ("all", "a", "b", "c", "d"):
            middle = float(random.random())
            rows.append(
                {
                    "evaluation_id": evaluation,
                    "slice_key": "overall" if value == "all" else "group_name",
                    "slice_value": value,
                    "metric": "recall" if evaluation == "e1" else "mean_absolute_error",
                    "value": middle,
                    "ci_lower": middle - 0.1,
                    "ci_upper": middle + 0.1,
                    "n": 10.0,
                }
            )
    return rows


def test_the_worst_of_the_evaluated_slices_are_the_same(engines: tuple[Warehouse, Warehouse]) -> None:
    found = []
    for warehouse in engines:
        stored = warehouse.fetch("select * from wml.metrics where false").schema
        table = pa.Table.from_pylist(metric_rows(), schema=stored)
        warehouse.load(Relation("metrics", "wml"), table)
        found.append([dict(row) for row in worst_slices(warehouse, ["e1", "e2"], 3)])
    assert len(found[0]) >= 2
    same_rows(*found)
