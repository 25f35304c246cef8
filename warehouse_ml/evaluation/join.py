"""What the query of an evaluation file yields, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warehouse_ml.errors import DataError, DefinitionError, did_you_mean
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["JoinColumns", "is_number", "join_columns"]

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "INT64")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_REALS = ("FLOAT", "DOUBLE", "FLOAT64", "DECIMAL", "NUMERIC", "BIGNUMERIC")
_NUMBERS = (*_INTEGERS, *_UNSIGNED, *_REALS)
_BOOLEANS = ("BOOLEAN", "BOOL")
_INSTANTS = ("TIMESTAMP", "DATE")


@dataclass(frozen=True)
class JoinColumns:
    """Which of the optional columns are there, which are booleans, and whether labels are known to the day alone."""

    has_score: bool
    has_prediction: bool
    has_label_known_at: bool
    has_version: bool
    has_weight: bool
    is_boolean_prediction: bool
    is_boolean_label: bool
    is_dated_label: bool = False


def join_columns(warehouse: Warehouse, spec: EvaluationSpec, join_sql: str) -> JoinColumns:
    """Check the columns of the join.

    Raises
    ------
    DefinitionError
        If a slice, or a metric of the file's own, names a column that is not there.
    DataError
        If a column that every evaluation needs is missing, or has a type that cannot be evaluated.
    """
    types = warehouse.columns(join_sql)
    has_score = "score" in types and spec.task != "multiclass"
    has_prediction = "prediction" in types
    for name in ("request_id", "requested_at", "label"):
        if name not in types:
            raise _missing(f'no column "{name}" in the evaluation', name, types, spec)
    if not has_score and not has_prediction:
        wanted = "prediction" if spec.task == "multiclass" else "score"
        raise _missing(f'no column "{wanted}" in the evaluation', wanted, types, spec)
    for name in spec.slice_columns:
        if name not in types:
            raise DefinitionError(
                f'no column "{name}" to slice by',
                place=spec.place,
                has=types,
                hint=did_you_mean(name, list(types)),
            )
    for metric in spec.metrics:
        for name in metric.columns if metric.over == "rows" else ():
            if name not in types:
                raise DefinitionError(
                    f'no column "{name}" for the metric "{metric.name}"',
                    place=spec.place,
                    has=types,
                    hint=did_you_mean(name, list(types)),
                )
    _check_types(spec, types, has_score)
    return JoinColumns(
        has_score=has_score,
        has_prediction=has_prediction,
        has_label_known_at="label_known_at" in types,
        has_version="model_version" in types,
        has_weight="sample_weight" in types,
        is_boolean_prediction=_is(types.get("prediction", ""), _BOOLEANS),
        is_boolean_label=_is(types["label"], _BOOLEANS),
        is_dated_label=_is(types.get("label_known_at", ""), ("DATE",)) and "DATETIME" not in types["label_known_at"],
    )


def is_number(type_name: str) -> bool:
    """Whether a column of this type holds numbers."""
    return _is(type_name, (*_NUMBERS, *_UNSIGNED))


def _check_types(spec: EvaluationSpec, types: Mapping[str, str], has_score: bool) -> None:
    number_or_boolean = _NUMBERS + (_BOOLEANS if spec.task == "binary" else ())
    wanted = {"requested_at": _INSTANTS, "label_known_at": _INSTANTS, "model_version": _NUMBERS}
    wanted["sample_weight"] = _NUMBERS
    if spec.task != "multiclass":
        wanted["label"] = number_or_boolean
        if has_score:
            wanted["score"] = _NUMBERS
        else:
            wanted["prediction"] = number_or_boolean
    for name, known in wanted.items():
        # A literal null, which has no type of its own, may stand for any column.
        if name in types and not _is(types[name], (*known, '"NULL"', "NULL")):
            kind = "an instant" if known == _INSTANTS else "a number"
            if _BOOLEANS[0] in known:
                kind += " or a boolean"
            raise DataError(
                f'column "{name}" has the type {types[name]}, which is not {kind}',
                place=spec.place,
                hint=f"cast it in the query; the task is {spec.task}",
            )


def _is(name: str, kinds: tuple[str, ...]) -> bool:
    return name.partition("(")[0].strip().upper().startswith(kinds) and not name.endswith("]")


def _missing(what: str, name: str, types: Mapping[str, str], spec: EvaluationSpec) -> DataError:
    return DataError(what, place=spec.place, has=types, hint=did_you_mean(name, list(types)))
