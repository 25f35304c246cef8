"""Rows of every kind, and a training of a KMEANS or PCA on them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from sqlglot import exp

from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import compile_scoring, score_arrow
from warehouse_ml.training.fit import FitResult, fit
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROWS = Relation("rows")
KEPT = ("number", "is_start")


def rows_of(n: int, seed: int, *, odd: bool = False) -> pa.Table:
    """Return n rows in three groups; ``odd`` ones have categories and values that no other row has."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    city = np.array(["a'b", "b", "", "d"])[np.minimum(rng.integers(0, 2, n) + group, 3)]
    if odd:
        city = np.where(rng.random(n) < 0.2, "elsewhere", city)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=n) + 5.0 * group, mask=rng.random(n) < 0.1),
            "money": pa.array((rng.normal(size=n) * 1e4 + 1e6 * (group == 1)).astype(np.float32)),
            "city": pa.array(city, mask=rng.random(n) < 0.15),
            "flag": pa.array(rng.random(n) < 0.5, mask=rng.random(n) < 0.1),
            "day": pa.array((rng.integers(0, 20_000, n)).astype("datetime64[D]"), mask=rng.random(n) < 0.1),
            "at": pa.array(rng.integers(1_300_000_000, 1_400_000_000, n) * 1_000_000, pa.timestamp("us", "UTC")),
            "constant": pa.array(np.full(n, 4.0 if odd else 3.0)),
            "nothing": pa.nulls(n, pa.float64()),
            "is_start": pa.array(np.arange(n) % 100 == 7),
            "number": pa.array(np.arange(n)),
        }
    )


def trained(warehouse: DuckDBWarehouse, model_type: str, written: dict, table: pa.Table) -> FitResult:
    columns = [*table.column_names, "split"]
    table = table.append_column("split", pa.array(["train"] * table.num_rows))
    assert table.column_names == columns
    warehouse.load(ROWS, table)
    options = resolve_options(model_type, written)
    features = infer_features(warehouse.columns("select * from rows"), exclude=["split", *KEPT])
    fitted = fit_preprocessing(warehouse, ROWS, features, family_of(model_type, options), split_column="split")
    return fit(
        warehouse,
        ROWS,
        fitted,
        model_type=model_type,
        label="",
        weight_column=None,
        options=options,
        split_column="split",
        order_by="number",
        place="m.sql",
    )


def scored(warehouse: DuckDBWarehouse, parameters, relation: str) -> tuple[list[dict], list[dict]]:
    """Return the rows as scored by SQL and by arrays, everything that can be asked for, in one order."""
    query = compile_scoring(parameters, exp.to_table(relation), ["number"], probabilities=True)
    in_sql = warehouse.fetch(query.sql(dialect=warehouse.engine))
    over_arrays = pa.Table.from_batches(
        list(score_arrow(warehouse, parameters, exp.to_table(relation), ["number"], probabilities=True))
    )
    assert in_sql.schema == over_arrays.schema
    return in_sql.sort_by("number").to_pylist(), over_arrays.sort_by("number").to_pylist()
