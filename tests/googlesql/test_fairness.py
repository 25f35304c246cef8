"""Fairness, warnings about labels and the evaluations' own rows, from what the earlier statements left behind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.evaluation.conftest import FIRST_DAY, make_spec
from tests.googlesql.both import same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.evaluation.fairness import write_fairness
from warehouse_ml.evaluation.join import join_columns
from warehouse_ml.evaluation.run import run_measures
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.steps import Steps
from warehouse_ml.evaluation.suppress import suppress
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = (
    "evaluation/fairness_compared.sql",
    "evaluation/fairness_tested.sql",
    "evaluation/label_warnings.sql",
    "evaluation/label_warnings_list.sql",
    "evaluation/strata.sql",
    "evaluation/write_disparities.sql",
    "evaluation/write_evaluations.sql",
    "evaluation/write_fairness.sql",
)

JOIN = "select * from joined_rows"
LEFT_BEHIND = ("wml_joined", "wml_due", "wml_combinations", "wml_rows", "wml_metric")
N_ROWS = 320


def requests(task: str, seed: int) -> dict[str, Any]:
    """Four weeks of requests of two groups by two; the answers of the last week become known one by one."""
    random = np.random.default_rng(seed)
    requested_at = [FIRST_DAY + dt.timedelta(hours=int(i * 24 * 28 / N_ROWS)) for i in range(N_ROWS)]
    sex, region = (
        random.choice(["f", "m"], N_ROWS),
        random.choice(["north", "south", "west"], N_ROWS, p=[0.5, 0.4, 0.1]),
    )
    score = np.clip(random.random(N_ROWS) + 0.1 * (sex == "m"), 0, 1)
    positive = random.random(N_ROWS) < score
    later = np.where(positive, 20, 150) + random.integers(0, 40, N_ROWS)
    rows = {
        "request_id": [f"r{i}" for i in range(N_ROWS)],
        "requested_at": requested_at,
        "label_known_at": [at + dt.timedelta(hours=int(hours)) for at, hours in zip(requested_at, later, strict=True)],
        "model_version": random.integers(1, 3, N_ROWS).tolist(),
        "sex": sex.tolist(),
        "region": region.tolist(),
    }
    if task == "binary":
        return {**rows, "score": score.tolist(), "label": positive.tolist()}
    if task == "regression":
        return {**rows, "prediction": score.tolist(), "label": (score + random.normal(size=N_ROWS)).tolist()}
    kinds = np.array(["a", "b", "c"])
    return {
        **rows,
        "prediction": kinds[random.integers(0, 3, N_ROWS)].tolist(),
        "label": kinds[random.integers(0, 3, N_ROWS)].tolist(),
    }


def left_by_duckdb(spec: EvaluationSpec, rows: pa.Table, as_of: dt.datetime) -> tuple[DuckDBWarehouse, Steps]:
    """Run an evaluation on DuckDB up to its metrics."""
    warehouse = DuckDBWarehouse()
    ensure_tables(warehouse)
    warehouse.load(Relation("joined_rows"), rows)
    columns = join_columns(warehouse, spec, JOIN)
    steps = Steps(warehouse, spec, columns, as_of)
    steps.run("rows.sql", join_sql=JOIN)
    steps.run("due.sql")
    run_measures(steps, spec, columns)
    if spec.slices and spec.min_slice_size:
        suppress(steps, spec)
    return warehouse, steps


def same_on_google(
    spec: EvaluationSpec, rows: pa.Table, as_of: dt.datetime, write: Callable[[Steps], None], *tables: str
) -> dict[str, list[dict[str, Any]]]:
    """Let both engines go on from the same tables, and return the rows of those that are compared."""
    ours, steps = left_by_duckdb(spec, rows, as_of)
    theirs = GoogleSqlWarehouse()
    ensure_tables(theirs)
    theirs.load(Relation("joined_rows"), rows)
    for name in LEFT_BEHIND:
        theirs.load(Relation(name), ours.fetch(f"select * from {name}"), temporary=True)
    google: Steps = Steps(theirs, spec, join_columns(ours, spec, JOIN), as_of)
    write(steps)
    write(google)
    found = {}
    for table in tables:
        found[table], others = _rows(ours, table), _rows(theirs, table)
        for row in (*found[table], *others):
            # Each engine writes a double down in its own way before it is hashed.
            row.pop("rows_hash", None)
        same_rows(found[table], others)
    ours.close()
    return found


def _rows(warehouse: Warehouse, table: str) -> list[dict[str, Any]]:
    rows = warehouse.fetch(f"select * from {table}")
    columns = [
        column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in rows.columns
    ]
    return pa.Table.from_arrays(columns, rows.column_names).to_pylist()


@pytest.mark.parametrize(
    ("task", "config"),
    [
        ("binary", {"control": ["region"], "reference": {"sex": "m", "region": "best"}, "min_slice_size": 30}),
        ("regression", {"min_slice_size": 0}),
        ("multiclass", {"reference": {"sex": "f"}, "min_slice_size": 0}),
    ],
)
def test_groups_are_compared_alike(task: str, config: dict[str, Any]) -> None:
    spec = make_spec(task=task, slices=["sex", "region"], window="all", **config)
    rows = pa.table(requests(task, 7))
    found = same_on_google(
        spec,
        rows,
        FIRST_DAY + dt.timedelta(days=60),
        lambda steps: write_fairness(steps, spec),
        "wml_compared",
        "wml_tested",
        "wml.fairness",
        "wml.disparities",
    )
    assert all(found.values())
    if task == "binary":
        assert {row["control_key"] for row in found["wml.fairness"]} == {None, "region"}
        assert {row["aggregate"] for row in found["wml.fairness"]} == {
            "difference",
            "difference_to_overall",
            "ratio",
            "ratio_to_overall",
        }


@pytest.mark.parametrize(("task", "config"), [("binary", {"window": "week"}), ("regression", {"window": "all"})])
def test_labels_that_mislead_are_told_alike(task: str, config: dict[str, Any]) -> None:
    spec = make_spec(task=task, slices=["sex", "region"], maturity="8 days", min_slice_size=0, **config)
    warned: list[list[dict[str, Any]]] = []

    def write(steps: Steps) -> None:
        steps.run("label_warnings.sql", join_sql=JOIN)
        warned.append(steps.fetch("label_warnings_list.sql"))
        steps.run("write_evaluations.sql", has_warnings=True)

    found = same_on_google(
        spec,
        pa.table(requests(task, 8)),
        FIRST_DAY + dt.timedelta(days=30),
        write,
        "wml_warnings",
        "wml.evaluations",
    )
    assert found["wml.evaluations"]
    same_rows(*warned)
    if task == "binary":
        assert any("positives are known sooner" in row["warning"] for row in found["wml_warnings"])
