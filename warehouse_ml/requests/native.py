"""Requests that BigQuery ML answers, with a model that it trained."""

from __future__ import annotations

from collections.abc import Sequence

from warehouse_ml.errors import DefinitionError
from warehouse_ml.registry import Version
from warehouse_ml.scoring.native import NativeParameters, refuse_native
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["asked_of_input", "asked_there"]


def asked_there(
    warehouse: Warehouse, version: Version, native: NativeParameters, features: Sequence[str], asked: str
) -> str:
    """Return the query of requests with what the model in BigQuery says of them: score and prediction.

    Parameters
    ----------
    warehouse : Warehouse
    version : Version
    native : NativeParameters
    features : sequence of str
        The columns that the model is given.
    asked : str
        The query of the requests: request_id, requested_at and the features.

    Raises
    ------
    DefinitionError
        If the warehouse is not BigQuery.
    """
    if warehouse.engine != "bigquery":
        told = refuse_native(native.native)
        raise DefinitionError(
            told.what,
            place=f"{version.model}@{version.version}",
            hint=f"{told.hint}; this target is {warehouse.engine}",
        )
    return _scored(native, features, asked)


def asked_of_input(native: NativeParameters) -> str:
    """Return the query of what the model in BigQuery says to a relation named ``wml_input``."""
    features = [column.name for column in native.inputs if column.name.lower() not in ("request_id", "requested_at")]
    return _scored(native, features, "        select * from wml_input")


def _scored(native: NativeParameters, features: Sequence[str], asked: str) -> str:
    return statement(
        __package__,
        "native_scored.sql",
        "bigquery",
        native=native.native,
        task=native.task,
        label=native.label,
        positive=native.classes[-1] if native.task == "binary" else None,
        features=list(features),
        asked=asked,
    )
