"""Models scored three ways: by DuckDB's SQL, by GoogleSQL's and over arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from sqlglot import exp

from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.scoring import Parameters, compile_scoring, score_arrow
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ASKED = Relation("asked")


def agree(
    ours: DuckDBWarehouse, theirs: GoogleSqlWarehouse, parameters: Parameters, rows: pa.Table, threshold: float = 0.5
) -> float:
    """Score rows with a column ``number`` three ways; all must agree. Return the largest relative difference."""
    ours.load(ASKED, rows)
    theirs.load(ASKED, rows)
    outputs = parameters.task != "regression"
    query = compile_scoring(
        parameters, exp.table_(ASKED.name, quoted=True), ["number"], threshold=threshold, probabilities=outputs
    )
    by_duckdb = ours.fetch(query.sql(dialect="duckdb")).sort_by("number")
    by_googlesql = theirs.fetch(query.sql(dialect="bigquery")).sort_by("number")
    batches = score_arrow(
        ours,
        parameters,
        exp.table_(ASKED.name, quoted=True),
        ["number"],
        threshold=threshold,
        probabilities=outputs,
    )
    by_arrays = pa.Table.from_batches(list(batches)).sort_by("number")
    assert by_googlesql.column_names == by_duckdb.column_names
    return max(_compared(by_duckdb, by_googlesql), _compared(by_arrays, by_googlesql))


def _compared(one: pa.Table, other: pa.Table) -> float:
    assert one["number"].to_pylist() == other["number"].to_pylist()
    assert one["prediction"].to_pylist() == other["prediction"].to_pylist()
    worst = _difference(one["score"].to_numpy(), other["score"].to_numpy())
    if "probabilities" in one.column_names:
        lists = [np.array(table["probabilities"].to_pylist(), dtype=float) for table in (one, other)]
        worst = max(worst, _difference(*lists))
    assert worst <= 1e-9
    return worst


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        apart = np.where(same, 0.0, np.abs(one - other) / np.maximum(np.abs(one), 1.0))
    assert not np.isnan(apart).any()
    return float(apart.max(initial=0.0))
