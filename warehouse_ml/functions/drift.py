"""How far rows are from other rows: ``ml.validate_data_drift`` and ``ml.validate_data_skew``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warehouse_ml.errors import DataError, DefinitionError, did_you_mean
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.functions.snapshot import snapshot_rows
from warehouse_ml.scoring.features import FittedFeature, Kind, cleaned, kind_of
from warehouse_ml.templates import statement

__all__ = ["validate_data_drift", "validate_data_skew"]

_L_INFTY = "L_INFTY"
_JENSEN_SHANNON = "JENSEN_SHANNON_DIVERGENCE"
_BUCKETS = "buckets here hold equal numbers of the first rows; num_histogram_buckets says how many"
_SETTINGS = {
    "categorical_default_threshold": Setting("number", 0.3, low=0, below=1),
    "categorical_metric_type": Setting("text", _L_INFTY, choices=(_L_INFTY, _JENSEN_SHANNON)),
    "numerical_default_threshold": Setting("number", 0.3, low=0, below=1),
    "numerical_metric_type": Setting("text", _JENSEN_SHANNON, choices=(_JENSEN_SHANNON,)),
    "num_histogram_buckets": Setting("integer", 10, low=1, high=1000),
    "thresholds": Setting("named_numbers", {}, low=0, below=1),
    "num_quantiles_histogram_buckets": Setting("integer", refused=_BUCKETS),
    "num_rank_histogram_buckets": Setting("integer", refused="every value of a category is a bucket of its own"),
    "num_values_histogram_buckets": Setting("integer", refused="arrays are not compared"),
    "enable_visualization_link": Setting("boolean", refused="it belongs to Google's service, which is not here"),
}
_NESTED = ("STRUCT", "ARRAY", "MAP", "UNION", "VARIANT")


def validate_data_drift(call: Call, context: Context) -> str:
    """Return how far the rows of the second input are from those of the first: one row for each column of the first.

    Columns: input, metric (text), threshold, value (doubles), is_anomaly (whether value is above threshold).

    ``JENSEN_SHANNON_DIVERGENCE`` is to base 2, in [0, 1], over buckets whose edges are quantiles of the first input,
    so that each holds the same number of its rows; ``L_INFTY`` is the largest difference between the shares of a
    value. NULL, and a number that is not finite, is a bucket of its own. Numbers, dates and timestamps are numerical;
    text, booleans and other scalars are categorical. Without rows on one side the value is NULL.

    Raises
    ------
    DataError
        If the second input lacks a column of the first or has it with another kind of type, or a column is nested.
    DefinitionError
        If a setting is wrong.
    """
    base, study = call.inputs
    return _validated(call, context, base, study)


def validate_data_skew(call: Call, context: Context) -> str:
    """Return how far the rows of the input are from those that a model was trained on: one row for each of its inputs.

    As ``validate_data_drift``; the first rows are the version's own training rows, without those held out.

    Raises
    ------
    DataError, DefinitionError
        As ``validate_data_drift``.
    """
    (study,) = call.inputs
    return _validated(call, context, snapshot_rows(context, context.stored(call)), study)


def _validated(call: Call, context: Context, base: Input, study: Input) -> str:
    chosen = settings(call, **_SETTINGS)
    columns = _compared(call, context, base, study)
    thresholds = _thresholds(call, chosen["thresholds"], [column["name"] for column in columns])
    for column in columns:
        kind = "numerical" if column["is_numeric"] else "categorical"
        column["metric"] = chosen[f"{kind}_metric_type"]
        column["threshold"] = thresholds.get(column["name"], chosen[f"{kind}_default_threshold"])
    return statement(
        __package__,
        "validate_data.sql",
        context.warehouse.engine,
        base=base.sql,
        study=study.sql,
        columns=columns,
        numeric=[column for column in columns if column["is_numeric"]],
        n_buckets=chosen["num_histogram_buckets"],
    )


def _compared(call: Call, context: Context, base: Input, study: Input) -> list[dict[str, Any]]:
    """Return the columns to compare: where they are in both inputs, and the expression of each value."""
    engine = context.warehouse.engine
    asked = context.columns(study)
    names = {name.casefold(): name for name in asked}
    columns: list[dict[str, Any]] = []
    for name, type_name in context.columns(base).items():
        there = names.get(name.casefold())
        if there is None:
            raise DataError(
                f'no column "{name}" in the rows to validate',
                place=call.place,
                has=list(asked),
                hint=did_you_mean(name, list(asked)) or "both sides need the same columns",
            )
        kind, found = _kind(call, name, type_name), _kind(call, there, asked[there])
        if kind != found:
            raise DataError(
                f'"{name}" is {type_name} on one side and {asked[there]} on the other',
                place=call.place,
                hint="cast one of the two in a query",
            )
        columns.append(
            {
                "name": name,
                "column": f"input_{len(columns)}",
                "is_numeric": kind != "category",
                "base": cleaned(FittedFeature(name, kind, "double"), "wml_base").sql(dialect=engine),
                "study": cleaned(FittedFeature(there, kind, "double"), "wml_study").sql(dialect=engine),
            }
        )
    return columns


def _kind(call: Call, name: str, type_name: str) -> Kind:
    if type_name.endswith("]") or type_name.upper().startswith(_NESTED):
        raise DataError(
            f'"{name}" is {type_name}, and nested values are not compared',
            place=call.place,
            hint="leave it out in a query, or take the values out of it",
        )
    kind = kind_of(type_name)
    return kind if kind in ("number", "date", "timestamp") else "category"


def _thresholds(call: Call, chosen: Mapping[str, float], names: list[str]) -> dict[str, float]:
    known = {name.casefold(): name for name in names}
    for name in chosen:
        if name.casefold() not in known:
            raise DefinitionError(
                f'thresholds names "{name}", which is no column',
                place=call.place,
                has=names,
                hint=did_you_mean(name, names),
            )
    return {known[name.casefold()]: value for name, value in chosen.items()}
