"""KMEANS and PCA: models that learn from the columns alone, on all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from warehouse_ml.errors import DataError, did_you_mean
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.arrays import matrix
from warehouse_ml.scoring.features import FittedFeature, encode_select
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.training.clustering import fit_clusters
from warehouse_ml.training.estimators import Fitted
from warehouse_ml.training.projection import fit_components
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import numpy as np

__all__ = ["fit_unlabelled"]

_START = "fit_is_start"


def fit_unlabelled(
    warehouse: Warehouse,
    relation: Relation,
    features: Sequence[FittedFeature],
    *,
    model_type: str,
    options: Mapping[str, Any],
    order_by: str,
    place: str | None = None,
) -> tuple[Fitted, int]:
    """Fit a KMEANS or a PCA on all rows of a relation.

    Parameters
    ----------
    warehouse : Warehouse
        Where the relation is.
    relation : Relation
        The rows.
    features : sequence of FittedFeature
        As ``fit_preprocessing`` gives them.
    model_type : str
        ``KMEANS`` or ``PCA``.
    options : mapping
        As ``resolve_options`` gives them.
    order_by : str
        A column that orders the rows, so that training twice gives the same model.
    place : str, optional
        The definition, for errors.

    Returns
    -------
    Fitted
        The model, with its metrics.
    int
        How many rows were trained on.

    Raises
    ------
    DataError
        If the rows are too few or all the same, or those to start from are not as many as the clusters.
    """
    table = exp.table_(relation.name, db=relation.schema, quoted=True)
    query = encode_select(features, table)
    start_column = options.get("KMEANS_INIT_COL")
    if start_column is not None:
        columns = warehouse.columns(exp.select("*").from_(table.copy()).sql(dialect=warehouse.engine))
        column = nodes.column(_boolean(columns, start_column, place), nodes.INPUT)
        # NULL is not true.
        is_start = exp.Coalesce(this=column, expressions=[exp.false()])
        query = query.select(nodes.projection(is_start, _START), copy=False)
    query = query.order_by(exp.Ordered(this=nodes.column(order_by, nodes.INPUT)), copy=False)
    rows = warehouse.fetch(query.sql(dialect=warehouse.engine))
    encoded = matrix(rows, len(features))
    shape = Parameters(
        model_type=model_type,
        task="clustering" if model_type == "KMEANS" else "projection",
        label="",
        label_type="",
        classes=(),
        features=tuple(features),
    )
    if model_type == "PCA":
        return fit_components(shape, options, encoded, place), len(encoded)
    starts: np.ndarray | None = None
    if start_column is not None:
        starts = rows.column(_START).to_numpy(zero_copy_only=False).astype(bool)
    return fit_clusters(shape, options, encoded, starts, place), len(encoded)


def _boolean(columns: Mapping[str, str], name: str, place: str | None) -> str:
    column = next((column for column in columns if column.casefold() == name.casefold()), None)
    if column is None:
        raise DataError(
            f'the kmeans_init_col "{name}" is not selected',
            place=place,
            has=list(columns),
            hint=did_you_mean(name, list(columns)),
        )
    if columns[column] != "BOOLEAN":
        raise DataError(
            f'the kmeans_init_col "{column}" is {columns[column]}, not BOOLEAN',
            place=place,
            hint="true marks the rows to start from",
        )
    return column
