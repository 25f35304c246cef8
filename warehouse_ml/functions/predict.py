"""``ml.predict`` and ``ml.transform``: the input's rows with what a version says, or makes, of them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.scored import PREDICTION, PROBABILITIES, SCORE, scored_rows, threshold_of
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.scoring import check_columns, nodes
from warehouse_ml.scoring import compile as compiled
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.scoring.transform import transform_select
from warehouse_ml.templates import statement

__all__ = ["PLAIN", "predict", "predicted", "transform"]

PLAIN = (compiled.SCORE, compiled.PREDICTION, compiled.PROBABILITIES)
"""What ``compile_scoring`` calls its columns."""

_OWN = (SCORE, PREDICTION, PROBABILITIES)


def predict(call: Call, context: Context) -> str:
    """Return the query of the predictions, the input's columns behind them."""
    stored = context.stored(call)
    asked = settings(
        call,
        threshold=Setting("number", threshold_of(stored), low=0, high=1),
        keep_original_columns=Setting("boolean", default=True),
        trial_id=Setting("integer", refused="only the best trial of a tuning is kept"),
    )
    columns = context.columns(call.inputs[0])
    keep = list(columns) if asked["keep_original_columns"] else []
    outputs = predicted(stored.parameters, _OWN, context.warehouse.engine)
    _check_names(call, keep, outputs)
    scored = scored_rows(call, context, stored, call.inputs[0], keep, threshold=asked["threshold"], probabilities=True)
    projections = [*outputs, *nodes.kept(keep)]
    engine = context.warehouse.engine
    return statement(
        __package__,
        "predict.sql",
        engine,
        scored=scored,
        projections=[projection.sql(dialect=engine) for projection in projections],
    )


def transform(call: Call, context: Context) -> str:
    """Return the query of TRANSFORM's outputs, the input's other columns in front."""
    stored = context.stored(call)
    settings(call)
    parameters, engine = stored.parameters, context.warehouse.engine
    columns = context.columns(call.inputs[0])
    check_columns(parameters.inputs, columns, place=call.place)
    try:
        query = transform_select(parameters, exp.to_table(nodes.INPUT), list(columns), columns=columns)
    except DataError as error:
        raise DefinitionError(f"{call.model}: {error.what}", place=call.place, hint=error.hint) from None
    text = query.sql(dialect=engine, copy=False)
    return statement("warehouse_ml.requests", "score.sql", engine, source=call.inputs[0].sql, scoring=text)


def predicted(parameters: Parameters, names: tuple[str, str, str] = PLAIN, engine: str = "duckdb") -> list[exp.Expr]:
    """Return the columns that a prediction adds.

    A regression has ``predicted_<label>``, the value; a classifier also ``predicted_<label>_probs``, a list of label
    and probability, the positive or highest label first. A clustering has ``centroid_id`` and
    ``nearest_centroids_distance``, the nearest first; a projection ``principal_component_1``, ...

    Parameters
    ----------
    parameters : Parameters
    names : tuple of str
        What score, prediction and probabilities are called in the query that the columns are read from.
    engine : str
        For which they are written.
    """
    score, prediction, probabilities = names
    name = f"predicted_{parameters.label}"
    match parameters.task:
        case "regression":
            return [nodes.projection(nodes.column(score), name)]
        case "projection":
            return [
                nodes.projection(_item(probabilities, index), f"principal_component_{index + 1}")
                for index in range(parameters.n_outputs)
            ]
        case "clustering":
            distances = [
                _struct({"distance": _item(probabilities, index), "centroid_id": exp.Literal.number(index + 1)})
                for index in range(parameters.n_outputs)
            ]
            return [
                nodes.projection(exp.cast(nodes.column(prediction), "bigint"), "centroid_id"),
                nodes.projection(_by_distance(exp.Array(expressions=distances), engine), "nearest_centroids_distance"),
            ]
        case _:
            labels = [_as_label(nodes.text(label), parameters, engine) for label in parameters.classes]
            pairs = [
                _struct({"label": label, "prob": _item(probabilities, index)}) for index, label in enumerate(labels)
            ]
            return [
                nodes.projection(_as_label(nodes.column(prediction), parameters, engine), name),
                nodes.projection(exp.Array(expressions=pairs[::-1]), f"{name}_probs"),
            ]


def _as_label(node: exp.Expr, parameters: Parameters, engine: str) -> exp.Expr:
    """Return a label's text as the type that the label has in the warehouse, whichever one it was trained in."""
    written = parameters.label_type.upper()
    kind = kind_of(written)
    if written in _TEXTS or (kind == "category" and engine != "duckdb"):
        return node
    if kind == "number" and "INT" in written and engine != "duckdb":
        # GoogleSQL has one whole number; sqlglot keeps the names of those it lacks.
        return exp.cast(node, "bigint")
    is_google = written.partition("(")[0] in _GOOGLE
    return exp.cast(node, parameters.label_type, dialect="bigquery" if is_google else "duckdb")


def _item(column: str, index: int) -> exp.Expr:
    # sqlglot counts from 0, whatever the target counts from.
    return exp.Bracket(this=nodes.column(column), expressions=[exp.Literal.number(index)], offset=0)


def _struct(fields: Mapping[str, exp.Expr]) -> exp.Expr:
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(name), expression=value) for name, value in fields.items()]
    )


def _by_distance(distances: exp.Expr, engine: str) -> exp.Expr:
    """Return a list of (distance, centroid_id) sorted, each as (centroid_id, distance)."""
    pair = exp.to_identifier("pair")
    parts = {name: exp.Dot(this=pair.copy(), expression=exp.to_identifier(name)) for name in _PAIR}
    if engine != "duckdb":
        # No functions of lists there, but a query of a list is one.
        rows = exp.Unnest(expressions=[distances], alias=exp.TableAlias(columns=[pair]))
        pairs = exp.select(*[nodes.projection(part, name) for name, part in parts.items()]).from_(rows)
        pairs.set("kind", "STRUCT")
        by = [exp.Ordered(this=parts[name].copy(), nulls_first=True) for name in reversed(_PAIR)]
        return exp.Array(expressions=[pairs.order_by(*by, copy=False)])
    turned = _struct(parts)
    ordered = exp.Anonymous(this="list_sort", expressions=[distances])
    return exp.Anonymous(this="list_transform", expressions=[ordered, exp.Lambda(this=turned, expressions=[pair])])


_PAIR = ("centroid_id", "distance")
_TEXTS = ("VARCHAR", "STRING")
_GOOGLE = ("INT64", "FLOAT64", "BOOL", "NUMERIC", "BIGNUMERIC")


def _check_names(call: Call, keep: list[str], outputs: list[exp.Expr]) -> None:
    added = {projection.alias.casefold() for projection in outputs}
    for name in keep:
        if name.casefold() in added:
            raise DataError(
                f'the input has a column "{name}" already, which is what the prediction is called',
                place=call.place,
                hint="rename it in the query, or set keep_original_columns to false",
            )
