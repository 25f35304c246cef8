"""``ml.*`` of a model that BigQuery ML trained: the very call, with the model's name in BigQuery."""

from __future__ import annotations

from warehouse_ml.errors import DefinitionError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.scoring.native import refuse_native
from warehouse_ml.templates import literal, statement

__all__ = ["answered_there"]

_AT_A_THRESHOLD = ("predict", "evaluate", "confusion_matrix")


def answered_there(call: Call, context: Context) -> str | None:
    """Return the query in which BigQuery ML answers a call about a model that it trained; None for any other call.

    Arguments go as they are written. Where a decision is made and no threshold is written, it is the model's own, as
    for any other model.

    Raises
    ------
    DefinitionError
        If the warehouse is not BigQuery.
    """
    stored = None if call.model is None else context.stored(call)
    native = None if stored is None else stored.native
    if stored is None or native is None:
        return None
    engine = context.warehouse.engine
    if engine != "bigquery":
        told = refuse_native(native.native)
        raise DefinitionError(
            told.what, place=call.place, hint=f"wml query --target bigquery asks it there; this target is {engine}"
        )
    written = list(call.written)
    threshold = float(stored.facts.get("threshold", 0.5))
    if not written and call.name in _AT_A_THRESHOLD and native.task == "binary" and threshold != 0.5:
        written = [f"struct({literal(threshold, engine)} as threshold)"]
    return statement(
        __package__,
        "native_call.sql",
        engine,
        name=call.name,
        native=native.native,
        inputs=[read.sql for read in call.inputs],
        settings=written,
    )
