"""What an answer of BigQuery ML is made of, as it says itself."""

from __future__ import annotations

from warehouse_ml.replay.explanation import Explanation, Term
from warehouse_ml.scoring.native import NativeParameters
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["explanation_there"]

_MOST_FEATURES = 10_000


def explanation_there(warehouse: Warehouse, native: NativeParameters, source: str) -> Explanation:
    """Return the attributions of ML.EXPLAIN_PREDICT for one request, the largest first.

    Of a classifier the predicted class is explained, as BigQuery ML has it.

    Parameters
    ----------
    warehouse : Warehouse
        Which has the model.
    native : NativeParameters
    source : str
        The query of one row with the model's inputs.
    """
    inputs = [column.name for column in native.inputs]
    sql = statement(
        __package__,
        "native_explained.sql",
        warehouse.engine,
        native=native.native,
        asked=source,
        columns=inputs,
        most=_MOST_FEATURES,
    )
    row = {name.lower(): value for name, value in one_row(warehouse, sql).items()}
    terms = tuple(
        Term(feature, row.get(feature.lower()) if feature.lower() in _lower(inputs) else None, attribution=attribution)
        for feature, attribution in zip(row["wml_features"], row["wml_attributions"], strict=True)
    )
    of = "the value" if native.task == "regression" else "the log odds of the predicted class"
    return Explanation(
        f"{of}, as ML.EXPLAIN_PREDICT has it", float(row["wml_explained"]), float(row["wml_baseline"]), terms, {}
    )


def _lower(names: list[str]) -> set[str]:
    return {name.lower() for name in names}
