"""Whole evaluations, of every task and with every setting that changes a statement, are the same on GoogleSQL."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.evaluation.conftest import FIRST_DAY, make_spec
from tests.googlesql.both import same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.evaluation import evaluate
from warehouse_ml.evaluation import ranking as ranking_module
from warehouse_ml.evaluation.measure import measure
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

PROVES = tuple(
    f"evaluation/{name}.sql"
    for name in (
        "bad_rows",
        "bins",
        "cells_binary",
        "cells_multiclass",
        "cells_regression",
        "classes",
        "combinations",
        "confusion",
        "due",
        "due_list",
        "due_rows",
        "forget",
        "forget_comparisons",
        "medians",
        "metrics",
        "metrics_binary",
        "metrics_multiclass",
        "metrics_regression",
        "moments",
        "overall",
        "own_metrics",
        "paired_cells",
        "paired_compared",
        "paired_ranking",
        "paired_rows",
        "pairs",
        "ranking",
        "ranking_members",
        "ranking_rows",
        "ranking_sizes",
        "ranking_slices",
        "ranking_weighted",
        "rows",
        "suppress",
        "suppression_cells",
        "suppression_classes",
        "thresholds",
        "write_calibration",
        "write_cells",
        "write_comparisons",
        "write_evaluations",
        "write_metrics",
    )
)
N_ROWS = 160
AS_OF = FIRST_DAY + dt.timedelta(days=40)
TABLES = ("evaluations", "metrics", "calibration", "metric_cells", "comparisons", "fairness", "disparities")
# Hashes are each engine's own; a name that counts up would tell two evaluations of the same rows apart.
NAMELESS = ("content_hash", "rows_hash", "evaluation", "evaluation_id")
_NUMBERS = itertools.count()


def requests(task: str, seed: int = 5, n_versions: int = 1) -> dict[str, Any]:
    """Three weeks of requests, answered by each version; some answers are not known, and some scores are equal."""
    random = np.random.default_rng(seed)
    n = N_ROWS // n_versions
    at = [FIRST_DAY + dt.timedelta(hours=int(i * 24 * 21 / n)) for i in range(n)]
    sex = random.choice(np.array(["f", "m", None]), n, p=[0.5, 0.45, 0.05])
    region = random.choice(["north", "south", "west"], n, p=[0.5, 0.4, 0.1])
    truth = random.random(n)
    rows: dict[str, list[Any]] = {}
    for version in range(1, n_versions + 1):
        score = np.round(np.clip(truth + random.normal(0, 0.2 * version, n), 0, 1), 2)
        known = random.random(n) < 0.9
        columns: dict[str, Any] = {
            "request_id": [f"r{i}" for i in range(n)],
            "requested_at": at,
            "label_known_at": [when + dt.timedelta(hours=30) for when in at],
            "model_version": [version] * n,
            "sex": sex.tolist(),
            "region": region.tolist(),
            "minutes": (60 * score).tolist(),
        }
        if task == "binary":
            columns |= {"score": score.tolist(), "label": (truth > 0.5).tolist()}
        elif task == "regression":
            columns |= {"prediction": (9 * score).tolist(), "label": (9 * truth).tolist()}
        else:
            kinds = np.array(["a", "b", "c"])
            columns |= {
                "prediction": kinds[np.minimum(2, (3 * score).astype(int))].tolist(),
                "label": kinds[np.minimum(2, (3 * truth).astype(int))].tolist(),
            }
        columns["label"] = [
            label if is_known else None for label, is_known in zip(columns["label"], known, strict=True)
        ]
        for name, values in columns.items():
            rows.setdefault(name, []).extend(values)
    return rows


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Warehouse, Warehouse]]:
    """A warehouse of each engine with the toolkit's tables; each test evaluates under a name of its own."""
    ours, theirs = DuckDBWarehouse(), GoogleSqlWarehouse()
    for warehouse in (ours, theirs):
        ensure_tables(warehouse)
    yield ours, theirs
    ours.close()


def evaluated_alike(
    engines: tuple[Warehouse, Warehouse],
    rows: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    tables: tuple[str, ...] = TABLES,
    n_runs: int = 1,
) -> dict[str, list[dict[str, Any]]]:
    """Evaluate on both engines, compare every row that is written, and return those of DuckDB."""
    name = f"evaluation_{next(_NUMBERS)}"
    table = pa.table({column: pa.array(values) for column, values in rows.items()})
    for warehouse in engines:
        warehouse.load(Relation("joined_rows"), table)
        for run in range(n_runs):
            found = evaluate(
                warehouse, make_spec(name=name, **config), "select * from joined_rows", as_of=AS_OF, restate=run > 0
            )
            assert found
    ours, theirs = ({table: written(warehouse, table, name) for table in tables} for warehouse in engines)
    for table_name in tables:
        same_rows(ours[table_name], theirs[table_name])
    return ours


def written(warehouse: Warehouse, table: str, name: str) -> list[dict[str, Any]]:
    rows = warehouse.fetch(f"select * from wml.{table} where evaluation = '{name}'")
    columns = [
        column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in rows.columns
    ]
    # Each engine has fingerprints of its own, and writes a double down in its own way before it is hashed.
    plain = pa.Table.from_arrays(columns, rows.column_names).to_pylist()
    return [{key: value for key, value in row.items() if key not in NAMELESS} for row in plain]


COST = {"cost": {"counts": "5 * false_negatives + false_positives", "better": "lower", "low": 0}}
COST_OF_ERRORS = {"cost": {"counts": "sum_absolute_error / nullif(n, 0)", "better": "lower"}}
MINUTES = {"minutes": {"rows": "minutes", "better": "lower"}}


@pytest.mark.parametrize(
    ("task", "is_weighted", "config"),
    [
        ("binary", False, {"window": "week", "slices": ["sex", ["sex", "region"]], "maturity": "1 day"}),
        ("binary", True, {"slices": ["region"], "thresholds": [0.3, 0.7], "metrics": {**COST, **MINUTES}}),
        ("regression", False, {"window": "week", "slices": ["region"], "metrics": COST_OF_ERRORS}),
        ("regression", True, {"slices": ["sex"], "metrics": MINUTES}),
        ("multiclass", True, {"window": "month", "slices": ["region"]}),
    ],
)
def test_an_evaluation_is_the_same(
    engines: tuple[Warehouse, Warehouse], task: str, is_weighted: bool, config: dict[str, Any]
) -> None:
    rows = requests(task)
    if is_weighted:
        rows["sample_weight"] = np.round(np.random.default_rng(2).random(N_ROWS) * 3, 1).tolist()
    found = evaluated_alike(engines, rows, {"task": task, **config})
    assert found["evaluations"]
    assert found["metrics"]
    assert found["metric_cells"]
    assert bool(found["calibration"]) == (task == "binary")


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_versions_are_compared_alike(engines: tuple[Warehouse, Warehouse], task: str) -> None:
    found = evaluated_alike(
        engines,
        requests(task, n_versions=2),
        {"task": task, "model": "late", "slices": ["region"], "window": "month"},
        n_runs=2,
    )
    assert found["comparisons"]


def test_scores_without_ties_and_other_keys_rank_alike(
    engines: tuple[Warehouse, Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = requests("binary")
    rows["score"] = np.random.default_rng(3).permutation(N_ROWS) / N_ROWS
    rows["label"] = [label or False for label in rows["label"]]
    config = {"slices": ["sex", "region"], "min_slice_size": 0}
    found = evaluated_alike(engines, rows, config, tables=("metrics",))
    monkeypatch.setattr(ranking_module, "_NARROW_BITS", 8)
    monkeypatch.setattr(ranking_module, "_MOST_SORTED", N_ROWS)
    same_rows(found["metrics"], evaluated_alike(engines, rows, config, tables=("metrics",))["metrics"])


def test_what_is_measured_of_a_query_is_the_same(engines: tuple[Warehouse, Warehouse]) -> None:
    for warehouse in engines:
        warehouse.load(Relation("joined_rows"), pa.table(requests("binary")))
    found = [measure(warehouse, "select * from joined_rows", task="binary") for warehouse in engines]
    assert found[0].keys() == found[1].keys()
    assert found[0] == pytest.approx(found[1], rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    "bad",
    [
        {"request_id": None},
        {"score": 1.5},
        {"sample_weight": -1.5},
        {"request_id": "r1"},
        {"label_known_at": FIRST_DAY - dt.timedelta(days=9)},
    ],
)
def test_bad_rows_are_refused_with_the_same_words(engines: tuple[Warehouse, Warehouse], bad: dict[str, Any]) -> None:
    rows = {**requests("binary"), "sample_weight": [1.0] * N_ROWS}
    for name, value in bad.items():
        rows[name] = [*rows[name][:7], value, *rows[name][8:]]
    rows["label"] = [label or False for label in rows["label"]]
    told = []
    for warehouse in engines:
        warehouse.load(Relation("joined_rows"), pa.table(rows))
        with pytest.raises(Exception, match="request") as raised:
            evaluate(warehouse, make_spec(name="bad"), "select * from joined_rows", as_of=AS_OF)
        told.append(str(raised.value))
    assert told[0].replace(".000000", "") == told[1].replace(".000000", "")
