"""``ml.predict``: the input's rows with what a version says of them."""

from __future__ import annotations

from sqlglot import exp

from warehouse_ml.errors import DataError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.scored import carried, score_input, threshold_of
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.compile import PREDICTION, PROBABILITIES, SCORE
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["predict", "predicted"]


def predict(call: Call, context: Context) -> str:
    """Return the query of the predictions, the input's columns behind them."""
    stored = context.stored(call)
    asked = settings(
        call,
        threshold=Setting("float", threshold_of(stored), low=0, high=1),
        keep_original_columns=Setting("bool", default=True),
    )
    scored, columns = score_input(call, context, stored, call.inputs[0], threshold=asked["threshold"])
    outputs = predicted(stored.parameters)
    added = {projection.alias.casefold() for projection in outputs}
    for name in columns if asked["keep_original_columns"] else ():
        if name.casefold() in added:
            raise DataError(
                f'the input has a column "{name}" already, which is what the prediction is called',
                place=call.place,
                hint="rename it in the query, or set keep_original_columns to false",
            )
    return scored.select([*outputs, *(carried(columns) if asked["keep_original_columns"] else [])])


def predicted(parameters: Parameters) -> list[exp.Expr]:
    """Return the columns that a prediction adds, of a query with ``score``, ``prediction`` and ``probabilities``.

    A regression has ``predicted_<label>``, the value; a classifier also ``predicted_<label>_probs``, a list of label
    and probability, the positive or highest label first. A clustering has ``centroid_id`` and
    ``nearest_centroids_distance``, the nearest first; a projection ``principal_component_1``, ...
    """
    name = f"predicted_{parameters.label}"
    match parameters.task:
        case "regression":
            return [nodes.projection(nodes.column(SCORE), name)]
        case _:
            classes = [_as_label(nodes.text(label), parameters) for label in parameters.classes]
            probabilities = [_item(index) for index in range(len(classes))]
            pairs = [
                _struct({"label": label, "prob": probability})
                for label, probability in zip(classes, probabilities, strict=True)
            ]
            return [
                nodes.projection(_as_label(nodes.column(PREDICTION), parameters), name),
                nodes.projection(exp.Array(expressions=pairs[::-1]), f"{name}_probs"),
            ]


def _as_label(node: exp.Expr, parameters: Parameters) -> exp.Expr:
    """Return a label's text as the type that the label has in the warehouse."""
    return node if parameters.label_type == "VARCHAR" else exp.cast(node, parameters.label_type, dialect="duckdb")


def _item(index: int) -> exp.Expr:
    # sqlglot counts from 0, whatever the target counts from.
    return exp.Bracket(this=nodes.column(PROBABILITIES), expressions=[exp.Literal.number(index)], offset=0)


def _struct(fields: dict[str, exp.Expr]) -> exp.Expr:
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(name), expression=value) for name, value in fields.items()]
    )
