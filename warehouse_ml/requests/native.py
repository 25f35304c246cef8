"""Requests that BigQuery ML answers, with a model that it trained."""

from __future__ import annotations

from collections.abc import Sequence

from warehouse_ml.errors import DefinitionError
from warehouse_ml.registry import Version
from warehouse_ml.scoring.native import NativeParameters, refuse_native
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["asked_there"]


def asked_there(
    warehouse: Warehouse, version: Version, native: NativeParameters, features: Sequence[str], pending: Relation
) -> str:
    """Return the query of pending requests with what the model in BigQuery says of them.

    Parameters
    ----------
    warehouse : Warehouse
    version : Version
    native : NativeParameters
    features : sequence of str
        The columns that the model is given.
    pending : Relation
        The requests: request_id, requested_at and the features.

    Raises
    ------
    DefinitionError
        If the warehouse is not BigQuery.
    """
    if warehouse.engine != "bigquery":
        told = refuse_native(native.native)
        raise DefinitionError(
            f"{version.model}@{version.version}: {told.what}",
            hint=f"{told.hint}; this target is {warehouse.engine}",
        )
    return statement(
        __package__,
        "native_scored.sql",
        warehouse.engine,
        native=native.native,
        task=native.task,
        label=native.label,
        positive=native.classes[-1] if native.task == "binary" else None,
        features=list(features),
        pending=pending,
    )
