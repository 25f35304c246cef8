"""What one answer is made of: the terms of a linear model, the paths through trees, the way to a centroid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlglot

from warehouse_ml.replay.paths import TreePath, largest_paths
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.arrays import linear_terms, matrix, predict, raw_values
from warehouse_ml.scoring.explain import explain
from warehouse_ml.scoring.features import FittedFeature, encode_select, value_of
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.warehouses.base import Warehouse

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Explanation", "Term", "explanation_of"]


@dataclass(frozen=True)
class Term:
    """What one feature does in an answer; None where it has no such number.

    Parameters
    ----------
    feature : str
        ``(intercept)`` for the start of a linear model's sum.
    value : object
        As the model reads it: the logged column, or what TRANSFORM makes of the columns.
    encoded : float or None
        The number that is multiplied: the standardised value; of a category, 1 where it has a weight, else 0.
    weight : float or None
        Of a linear model: the coefficient. Of a clustering: where the centroid is.
    adds : float or None
        ``encoded * weight``; of a clustering, the feature's share in the squared distance, or in the cosine.
    attribution : float or None
        The exact Shapley value: what knowing the feature changes, from the mean of the training rows.
    """

    feature: str
    value: Any
    encoded: float | None = None
    weight: float | None = None
    adds: float | None = None
    attribution: float | None = None


@dataclass(frozen=True)
class Explanation:
    """What one answer is made of.

    Parameters
    ----------
    of : str
        What is explained, in words.
    total : float
        Its value. Of a linear model it is the sum of ``adds`` from the first term to the last, bit for bit.
    baseline : float or None
        Its mean over the training rows: with all attributions it is the total. None for clusterings and projections.
    terms : tuple of Term
        In the order of the model.
    outputs : mapping of str to float
        Probability by class, distance by centroid, or value by component; empty for a regression.
    trees : tuple of TreePath
        Those that count most.
    n_trees : int
        How many trees there are.
    """

    of: str
    total: float
    baseline: float | None
    terms: tuple[Term, ...]
    outputs: dict[str, float]
    trees: tuple[TreePath, ...] = ()
    n_trees: int = 0


def explanation_of(warehouse: Warehouse, parameters: Parameters, source: str, *, most_trees: int = 3) -> Explanation:
    """Explain the answer to one request.

    Of a multiclass model the predicted class is explained, of a binary one always the positive class, of a clustering
    the nearest centroid, of a projection the first component.

    Parameters
    ----------
    warehouse : Warehouse
    parameters : Parameters
    source : str
        The query of one row with the model's inputs.
    most_trees : int
        How many trees are told.
    """
    encoded, values = _encoded(warehouse, parameters, source)
    found = predict(parameters, encoded)
    outputs: dict[str, float] = {}
    if found.probabilities is not None:
        outputs = dict(zip(_output_names(parameters), found.probabilities[0].tolist(), strict=True))
    predicted = 0 if found.prediction is None else int(found.prediction[0])
    if parameters.kept is not None:
        # What neither coefficients nor trees tell has no parts to show but what went in.
        given = tuple(
            Term(feature.name, value, None if math.isnan(code) else code)
            for feature, value, code in zip(parameters.features, values, encoded[0].tolist(), strict=True)
        )
        return Explanation(f"the score of {parameters.kept.name}", float(found.score[0]), None, given, outputs)
    if parameters.task == "clustering":
        return _clustering(parameters, encoded[0], values, predicted, outputs)
    output = predicted if parameters.task == "multiclass" else 0
    total = float(raw_values(parameters, encoded)[0, output])
    told = _told(parameters, output)
    if parameters.task == "projection":
        return Explanation(told, total, None, _linear_terms(parameters, encoded, values, output, None), outputs)
    attributions = explain(parameters, encoded)
    attributed = attributions.values[0, output].tolist()
    baseline = float(attributions.baseline[output])
    if parameters.trees is None:
        terms = _linear_terms(parameters, encoded, values, output, attributed)
        return Explanation(told, total, baseline, terms, outputs)
    terms = tuple(
        Term(feature.name, value, attribution=attribution)
        for feature, value, attribution in zip(parameters.features, values, attributed, strict=True)
    )
    paths = largest_paths(parameters, encoded[0], output, most_trees)
    return Explanation(told, total, baseline, terms, outputs, tuple(paths), parameters.trees.n_trees)


def _encoded(warehouse: Warehouse, parameters: Parameters, source: str) -> tuple[np.ndarray, list[Any]]:
    """Return the row's encoded matrix, of shape (1, p), and each feature's value before it was encoded."""
    query = encode_select(parameters.features, sqlglot.parse_one(source, read=warehouse.engine))
    n_features = len(parameters.features)
    query = query.select(
        *(nodes.projection(value_of(feature), f"wml_v{index}") for index, feature in enumerate(parameters.features)),
        copy=False,
    )
    row = warehouse.fetch(query.sql(dialect=warehouse.engine, copy=False))
    values = [row.column(n_features + index)[0].as_py() for index in range(n_features)]
    return matrix(row.select(range(n_features)), n_features), values


def _output_names(parameters: Parameters) -> list[str]:
    if parameters.task == "projection":
        return [f"principal_component_{index + 1}" for index in range(parameters.n_outputs)]
    return list(parameters.classes)


def _told(parameters: Parameters, output: int) -> str:
    label = parameters.label
    match parameters.task:
        case "projection":
            return "the first principal component"
        case "regression":
            return f"the logarithm of {label}" if parameters.has_log_link else label
        case "binary":
            of = f"{label} = {parameters.classes[-1]}"
            return f"the probability of {of}" if parameters.is_forest else f"the log-odds of {of}"
        case _:
            of = f"{label} = {parameters.classes[output]}"
            return f"the probability of {of}" if parameters.is_forest else f"{of}, before softmax"


def _linear_terms(
    parameters: Parameters, encoded: np.ndarray, values: list[Any], output: int, attributed: list[float] | None
) -> tuple[Term, ...]:
    linear = parameters.only_linear()
    intercept = linear.intercepts[output]
    terms = [Term("(intercept)", None, 1.0, intercept, intercept)]
    for index, (feature, slots) in enumerate(zip(parameters.features, linear.weights[output], strict=True)):
        code = encoded[:, index]
        number, weight = _multiplied(feature, slots, float(code[0]))
        terms.append(
            Term(
                feature.name,
                values[index],
                number,
                weight,
                float(linear_terms(feature, slots, code)[0]),
                None if attributed is None else attributed[index],
            )
        )
    return tuple(terms)


def _multiplied(feature: FittedFeature, slots: tuple[float, ...], code: float) -> tuple[float, float | None]:
    """Return the number that is multiplied and its weight; a category is 1 times the weight of its own."""
    if feature.encoding != "one_hot":
        return code, slots[0]
    return (1.0, slots[int(code) - 1]) if code else (0.0, None)


def _clustering(
    parameters: Parameters, row: np.ndarray, values: list[Any], nearest: int, outputs: dict[str, float]
) -> Explanation:
    """Tell how far the row is from the nearest centroid, feature by feature."""
    clusters = parameters.only_clusters()
    is_cosine = clusters.distance == "cosine"
    centroid = clusters.centroids[nearest]
    length = 1.0
    if is_cosine:
        squares = [
            float(code > 0) if feature.encoding == "one_hot" else float(code) ** 2
            for feature, code in zip(parameters.features, row, strict=True)
        ]
        length = math.sqrt(math.fsum(squares)) or 1.0
    terms = []
    for feature, value, code, slots in zip(parameters.features, values, row.tolist(), centroid, strict=True):
        number, place = _multiplied(feature, slots, code)
        if is_cosine:
            adds = number * (place or 0.0) / length
        elif feature.encoding == "one_hot":
            adds = math.fsum((float(slot + 1 == int(code)) - at) ** 2 for slot, at in enumerate(slots))
        else:
            adds = (number - slots[0]) ** 2
        terms.append(Term(feature.name, value, number, place, adds))
    total = math.fsum(term.adds or 0.0 for term in terms)
    measure = "the cosine of the angle" if is_cosine else "the squared distance"
    return Explanation(f"{measure} to centroid {nearest + 1}", total, None, tuple(terms), outputs)
