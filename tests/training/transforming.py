"""What the tests of TRANSFORM share: items frozen over a small table, and what they give for its rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sqlglot import exp

from warehouse_ml.definition import ModelDefinition, read_definition
from warehouse_ml.scoring import Parameters, transform_select
from warehouse_ml.training.transform import FittedTransform, Rows, expand_items, fit_transform
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROWS = Relation("rows")
PLACE = "m.sql"


def defined(*items: str, model_type: str = "linear_reg") -> ModelDefinition:
    """Return a definition whose items start on line 3."""
    clause = ",\n".join(items)
    text = f"create model m\ntransform (\n{clause}\n)\noptions (model_type = '{model_type}') as\nselect * from rows"
    return read_definition(text, name="m", place=PLACE)


def fitted(warehouse: DuckDBWarehouse, columns: dict[str, Any], *items: str, family: str = "linear") -> FittedTransform:
    """Fit items over a table; its column ``split`` says which rows are trained on, all where there is none."""
    n_rows = len(next(iter(columns.values())))
    table = {"split": ["train"] * n_rows, **columns, "row": list(range(n_rows))}
    warehouse.load(ROWS, pa.table(table))
    types = warehouse.columns("select * exclude (split, row) from rows")
    rows = Rows(warehouse, ROWS, types, "row", "split", PLACE)
    expanded = expand_items(defined(*items).transform, types, PLACE)
    return fit_transform(rows, expanded, ["label"], family, {})


def applied(warehouse: DuckDBWarehouse, transform: FittedTransform, relation: str = "rows") -> dict[str, list[Any]]:
    """Return the outputs for every row of a relation with a column ``row``."""
    parameters = Parameters(
        "LINEAR_REG", "regression", "label", "DOUBLE", (), transform.features, transform=transform.outputs
    )
    query = transform_select(parameters, exp.to_table(relation), ["row"]).order_by("row")
    rows = warehouse.fetch(query.sql(dialect="duckdb"))
    return {name: rows[name].to_pylist() for name in rows.column_names[1:]}


def given(warehouse: DuckDBWarehouse, columns: dict[str, Any], *items: str) -> dict[str, list[Any]]:
    """Return what items give for the rows they were fitted on."""
    return applied(warehouse, fitted(warehouse, columns, *items))
