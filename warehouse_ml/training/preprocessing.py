"""Automatic preprocessing: what a column without TRANSFORM becomes, with statistics from the training rows alone.

===========  ==================================================  ======================================
column       linear models                                       trees
===========  ==================================================  ======================================
number       NULL as the mean, standardised                      as it is, NULL is missing
boolean      0 or 1, then as a number                            0 or 1, NULL is missing
date         days since 1970-01-01, then as a number             days, NULL is missing
timestamp    seconds since 1970-01-01 UTC, then as a number      seconds, NULL is missing
text, enum   one column a category, NULL is one, unknown is 0    1..k alphabetically, 0 NULL and unknown
===========  ==================================================  ======================================

Where this differs from BigQuery ML: a boolean is a number and not a category of a linear model, and dates and
timestamps are one number each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.scoring.features import FittedFeature, Kind, cleaned, kind_of
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = [
    "EVAL",
    "MAX_CATEGORIES",
    "TRAIN",
    "Family",
    "FeatureColumn",
    "family_of",
    "fit_preprocessing",
    "infer_features",
]

Family = Literal["linear", "trees"]

TRAIN = "train"
"""What the split column holds for a row to be trained on."""

EVAL = "eval"
"""What the split column holds for a row to measure the training by."""

MAX_CATEGORIES = 10_000

_LARGEST_SQUARE = 1e150
# The time that a statement is planned for grows with the square of its aggregates.
_BATCH = 100
_DIGITS = 12


@dataclass(frozen=True)
class FeatureColumn:
    """A column that a model is trained on, and what its type means.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        ``number``, ``boolean``, ``category``, ``date`` or ``timestamp``.
    """

    name: str
    kind: Kind


def family_of(model_type: str) -> Family:
    """Return the preprocessing that a model type asks for."""
    return "linear" if model_type in ("LINEAR_REG", "LOGISTIC_REG") else "trees"


def infer_features(
    columns: Mapping[str, str], *, exclude: Iterable[str] = (), place: str | None = None
) -> list[FeatureColumn]:
    """Return the features among a relation's columns.

    Parameters
    ----------
    columns : mapping of str to str
        Names and DuckDB types, as ``Warehouse.columns`` gives them.
    exclude : iterable of str
        Columns that are no features: label, weight, split; in any case.
    place : str, optional
        The definition, for errors.

    Raises
    ------
    DefinitionError
        If a column's type cannot be a feature, or no column is left.
    """
    excluded = {name.casefold() for name in exclude}
    features = []
    for name, type_name in columns.items():
        if name.casefold() in excluded:
            continue
        kind = kind_of(type_name)
        if kind is None:
            raise DefinitionError(
                f'column "{name}" is {type_name}, which cannot be a feature',
                place=place,
                has=["numbers", "BOOLEAN", "VARCHAR", "ENUM", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"],
                hint=f'cast "{name}" in the query or in TRANSFORM, or leave it out',
            )
        features.append(FeatureColumn(name, kind))
    if not features:
        raise DefinitionError(
            "there are no features to train on", place=place, hint="select more columns than label, weight and split"
        )
    return features


def fit_preprocessing(
    warehouse: Warehouse,
    relation: Relation,
    features: Sequence[FeatureColumn],
    family: Family,
    *,
    split_column: str,
    place: str | None = None,
) -> tuple[FittedFeature, ...]:
    """Compute the statistics of the features in the warehouse, over the training rows.

    Parameters
    ----------
    warehouse : Warehouse
        Where the relation is.
    relation : Relation
        The training data with its split.
    features : sequence of FeatureColumn
        What to fit, in the order of the model.
    family : str
        ``linear`` or ``trees``.
    split_column : str
        The column that holds ``train``, ``eval`` or ``test``.
    place : str, optional
        The definition, for errors.

    Returns
    -------
    tuple of FittedFeature
        Two statements for each hundred of them. Means and deviations are rounded to twelve digits, because the last
        ones depend on the order in which threads finish, and a version must come out the same each time.

    Raises
    ------
    DataError
        If there are no training rows, a number is not finite or too large to be squared, or a column has more than
        ten thousand categories.
    """
    fitted: list[FittedFeature] = []
    for start in range(0, len(features), _BATCH):
        batch = features[start : start + _BATCH]
        fitted += _fit_batch(warehouse, relation, batch, family, split_column=split_column, place=place)
    return tuple(fitted)


def _fit_batch(
    warehouse: Warehouse,
    relation: Relation,
    features: Sequence[FeatureColumn],
    family: Family,
    *,
    split_column: str,
    place: str | None,
) -> list[FittedFeature]:
    unfitted = [_unfitted(feature, family) for feature in features]
    names = [_names(index, feature, warehouse.engine) for index, feature in enumerate(unfitted)]
    context = {"relation": relation, "split": split_column, "largest": _LARGEST_SQUARE}
    sql = statement(__package__, "preprocessing_statistics.sql", warehouse.engine, features=names, **context)
    found = warehouse.fetch(sql).to_pylist()[0]
    if not found["n_rows"]:
        raise DataError("there are no rows to train on", place=place, hint="look at the query and at the split")
    for index, feature in enumerate(unfitted):
        _check(feature, index, found, family, place)
    categorical = [name for name, feature in zip(names, unfitted, strict=True) if feature.kind == "category"]
    categories: dict[int, set[str | None]] = {index: set() for index in range(len(unfitted))}
    if categorical:
        sql = statement(__package__, "preprocessing_categories.sql", warehouse.engine, features=categorical, **context)
        for row in warehouse.fetch(sql).to_pylist():
            categories[row["feature"]].add(row["category"])
    return [
        _with_categories(feature, categories[index])
        if feature.kind == "category"
        else _with_moments(feature, found[f"mean_{index}"], found[f"stddev_{index}"], _is_constant(found, index))
        for index, feature in enumerate(unfitted)
    ]


def _unfitted(feature: FeatureColumn, family: Family) -> FittedFeature:
    if feature.kind == "category":
        return FittedFeature(feature.name, feature.kind, "one_hot" if family == "linear" else "label")
    return FittedFeature(feature.name, feature.kind, "standard" if family == "linear" else "double")


def _names(index: int, feature: FittedFeature, engine: str) -> dict[str, Any]:
    return {
        "index": index,
        "column": feature.name,
        "kind": feature.kind,
        "name": f"value_{index}",
        "raw_name": f"raw_{index}",
        "value": cleaned(feature, table=None).sql(dialect=engine),
    }


def _check(feature: FittedFeature, index: int, found: Mapping[str, Any], family: Family, place: str | None) -> None:
    name = feature.name
    if feature.kind == "category" and found[f"n_categories_{index}"] > MAX_CATEGORIES:
        raise DataError(
            f'column "{name}" has {found[f"n_categories_{index}"]:,} categories, more than {MAX_CATEGORIES:,}',
            place=place,
            hint=f'leave "{name}" out if it is an identifier; else join rare ones, or hash them, in the query',
        )
    if feature.kind == "number" and found[f"n_not_finite_{index}"]:
        raise DataError(
            f'column "{name}" is not finite in {found[f"n_not_finite_{index}"]:,} of {found["n_rows"]:,} training '
            f"rows, for example {found[f'not_finite_{index}']}",
            place=place,
            hint="turn such values into NULL in the query",
        )
    if family == "linear" and feature.kind == "number" and found[f"n_{index}"]:
        largest = max(abs(found[f"min_{index}"]), abs(found[f"max_{index}"]))
        if largest > _LARGEST_SQUARE:
            raise DataError(
                f'column "{name}" reaches {largest:g}, and cannot be standardised',
                place=place,
                hint="scale it, or take its logarithm, in the query",
            )


def _is_constant(found: Mapping[str, Any], index: int) -> bool:
    return bool(found[f"min_{index}"] == found[f"max_{index}"])


def _with_moments(feature: FittedFeature, mean: float | None, stddev: float | None, is_constant: bool) -> FittedFeature:
    if feature.encoding != "standard" or mean is None or stddev is None:
        return feature
    if is_constant or stddev == 0:
        return replace(feature, mean=mean)
    # The mean is as exact as the deviation makes sense, also where it is close to 0.
    decimals = _DIGITS - 1 - math.floor(math.log10(stddev))
    return replace(feature, mean=round(mean, decimals), stddev=float(f"{stddev:.{_DIGITS}g}"))


def _with_categories(feature: FittedFeature, found: set[str | None]) -> FittedFeature:
    categories = tuple(sorted(name for name in found if name is not None))
    return replace(feature, categories=categories, has_null=feature.encoding == "one_hot" and None in found)
