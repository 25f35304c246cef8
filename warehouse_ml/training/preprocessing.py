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

Some models need a variant of these: numbers centred but not scaled, or as they are with NULL as the mean.

Where this differs from BigQuery ML: a boolean is a number and not a category of a linear model, and dates and
timestamps are one number each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.options import ESTIMATORS
from warehouse_ml.scalar_sql import DIALECT, Elsewhere
from warehouse_ml.scoring.features import Encoding, FittedFeature, Kind, cleaned, kind_of, value_of
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = [
    "EVAL",
    "LARGEST_SQUARE",
    "MAX_CATEGORIES",
    "TEST",
    "TRAIN",
    "Family",
    "FeatureColumn",
    "family_of",
    "fit_preprocessing",
    "infer_features",
    "rounded",
    "significant",
]

Family = Literal["linear", "centred", "imputed", "trees", "imputed_trees"]
"""As in the table, or with other numbers: ``centred``, as linear but in their own unit; ``imputed``, as linear but as
they are, NULL as the mean; ``imputed_trees``, as trees but NULL as the mean."""

TRAIN = "train"
"""What the split column holds for a row to be trained on."""

EVAL = "eval"
"""What the split column holds for a row to measure the training by."""

TEST = "test"
"""What the split column holds for a row that training does not look at."""

MAX_CATEGORIES = 10_000

LARGEST_SQUARE = 1e150
"""A larger number has no standard deviation: its square overflows."""

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
    expression : str, optional
        What stands in the column's place, frozen by TRANSFORM; the name is then what the feature is called.
    dialect : str
        In whose SQL the expression is.
    elsewhere : Elsewhere, optional
        The expression as the other engine has it.
    """

    name: str
    kind: Kind
    expression: str | None = None
    dialect: str = DIALECT
    elsewhere: Elsewhere | None = None


def family_of(model_type: str, options: Mapping[str, Any] | None = None) -> Family:
    """Return the preprocessing that a model asks for.

    Parameters
    ----------
    model_type : str
        Upper case, one of ``MODEL_TYPES``.
    options : mapping, optional
        As ``resolve_options`` gives them; a SKLEARN needs them.
    """
    options = options or {}
    match model_type:
        case "LINEAR_REG" | "LOGISTIC_REG":
            return "linear"
        case "KMEANS" if not options.get("STANDARDIZE_FEATURES", True):
            # Distances are the same when all rows move together, angles are not.
            return "imputed" if options.get("DISTANCE_TYPE") == "COSINE" else "centred"
        case "PCA" if not options.get("SCALE_FEATURES", True):
            return "centred"
        case "KMEANS" | "PCA":
            return "linear"
        case "SKLEARN":
            form = ESTIMATORS[options["ESTIMATOR"]].form
            return (
                "linear" if form in ("linear", "kept") else "imputed_trees" if form == "gradient_boosting" else "trees"
            )
        case _:
            return "trees"


def infer_features(
    columns: Mapping[str, str], *, exclude: Iterable[str] = (), place: str | None = None
) -> list[FeatureColumn]:
    """Return the features among a relation's columns.

    Parameters
    ----------
    columns : mapping of str to str
        Names and types, as ``Warehouse.columns`` gives them.
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
                has=["numbers", "booleans", "texts", "ENUM", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"],
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
        As ``family_of`` gives it.
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
    context = {"relation": relation, "split": split_column, "largest": LARGEST_SQUARE}
    sql = statement(
        __package__,
        "preprocessing_statistics.sql",
        warehouse.engine,
        features=names,
        has_moments=family != "trees",
        **context,
    )
    found = warehouse.fetch(sql).to_pylist()[0]
    if not found["n_rows"]:
        raise DataError("there are no rows to train on", place=place, hint="look at the query and at the split")
    for index, feature in enumerate(unfitted):
        if feature.kind == "number" and found[f"n_present_{index}"] > found[f"n_{index}"]:
            sql = statement(__package__, "not_finite.sql", warehouse.engine, feature=names[index], **context)
            n_bad, example = found[f"n_present_{index}"] - found[f"n_{index}"], one_row(warehouse, sql)["not_finite"]
            raise DataError(
                f'column "{feature.name}" is not finite in {n_bad:,} of {found["n_rows"]:,} training rows, for '
                f"example {example}",
                place=place,
                hint="turn such values into NULL in the query",
            )
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
        else _with_moments(
            feature, found.get(f"mean_{index}"), found.get(f"stddev_{index}"), _is_constant(found, index), family
        )
        for index, feature in enumerate(unfitted)
    ]


def rounded(mean: float, stddev: float) -> tuple[float, float]:
    """Return mean and standard deviation with the digits that do not depend on the order of the rows."""
    # The mean is as exact as the deviation makes sense, also where it is close to 0.
    decimals = _DIGITS - 1 - math.floor(math.log10(stddev))
    return round(mean, decimals), significant(stddev)


def significant(value: float) -> float:
    """Return a number with the digits that a sum keeps in whatever order its terms are added."""
    return float(f"{value:.{_DIGITS}g}")


def _unfitted(feature: FeatureColumn, family: Family) -> FittedFeature:
    if feature.kind == "category":
        encoding: Encoding = "label" if family in ("trees", "imputed_trees") else "one_hot"
    else:
        encodings: dict[Family, Encoding] = {"trees": "double", "imputed_trees": "imputed", "imputed": "imputed"}
        encoding = encodings.get(family, "standard")
    return FittedFeature(
        feature.name,
        feature.kind,
        encoding,
        expression=feature.expression,
        dialect=feature.dialect,
        elsewhere=feature.elsewhere,
    )


def _names(index: int, feature: FittedFeature, engine: str) -> dict[str, Any]:
    return {
        "index": index,
        "column": value_of(feature, table=None).sql(dialect=engine, copy=False),
        "kind": feature.kind,
        "name": f"value_{index}",
        "raw_name": f"raw_{index}",
        "value": cleaned(feature, table=None).sql(dialect=engine, copy=False),
    }


def _check(feature: FittedFeature, index: int, found: Mapping[str, Any], family: Family, place: str | None) -> None:
    name = feature.name
    if feature.kind == "category" and found[f"n_categories_{index}"] > MAX_CATEGORIES:
        raise DataError(
            f'column "{name}" has {found[f"n_categories_{index}"]:,} categories, more than {MAX_CATEGORIES:,}',
            place=place,
            hint=f'leave "{name}" out if it is an identifier; else join rare ones, or hash them, in the query',
        )
    if family != "trees" and feature.kind == "number" and found[f"n_{index}"]:
        largest = max(abs(found[f"min_{index}"]), abs(found[f"max_{index}"]))
        if largest > LARGEST_SQUARE:
            raise DataError(
                f'column "{name}" reaches {largest:g}, and cannot be standardised',
                place=place,
                hint="scale it, or take its logarithm, in the query",
            )


def _is_constant(found: Mapping[str, Any], index: int) -> bool:
    return bool(found.get(f"min_{index}") == found.get(f"max_{index}"))


def _with_moments(
    feature: FittedFeature, mean: float | None, stddev: float | None, is_constant: bool, family: Family
) -> FittedFeature:
    if feature.encoding == "double" or mean is None or stddev is None:
        return feature
    if is_constant or stddev == 0:
        # A constant in its own unit still tells how far another row is from it.
        return replace(feature, mean=mean, stddev=1.0 if family == "centred" else 0.0)
    mean, stddev = rounded(mean, stddev)
    return replace(feature, mean=mean, stddev=1.0 if family == "centred" else stddev)


def _with_categories(feature: FittedFeature, found: set[str | None]) -> FittedFeature:
    categories = tuple(sorted(name for name in found if name is not None))
    return replace(feature, categories=categories, has_null=feature.encoding == "one_hot" and None in found)
