"""Distances to centroids, as SQL and over arrays: the same terms in the same order.

===============  ==========================================================================================
distance         of a row x and a centroid c
===============  ==========================================================================================
``euclidean``    square root of the sum of (x - c)^2
``cosine``       square root of 1 - (sum of x * c) / |x|, held above 0; 1 where |x| is 0. c has the length 1.
===============  ==========================================================================================

A category adds one number, looked up by its code: what all its columns add together. So a row costs one term for each
feature and cluster, however many categories there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import encoded_name
from warehouse_ml.scoring.linear import by_category, sums_select
from warehouse_ml.scoring.parameters import Distance, Parameters
from warehouse_ml.scoring.spelled import Quotient, Scaled, Square

if TYPE_CHECKING:
    import numpy as np

__all__ = ["davies_bouldin_index", "distances", "nearest", "raw_select"]

# Of the length of the row.
_SQUARE = "wml_square"
# A term is an expression of its own, and there are many sums.
_FEATURES_IN_LAYER = 4

# What is summed: squared differences, products, or the row's own squares.
_Sum = Literal["difference", "product", "length"]


def raw_select(parameters: Parameters, source: exp.Expr, keep: Sequence[str], names: Sequence[str]) -> exp.Select:
    """Return the query of the distances.

    Parameters
    ----------
    parameters : Parameters
        Of a clustering.
    source : exp.Expr
        The relation to be scored.
    keep : sequence of str
        Columns that pass through.
    names : sequence of str
        What the distance to each centroid is called.

    Returns
    -------
    exp.Select
        The kept columns and one double for each cluster, in order of their ids; never NULL.
    """
    clusters = parameters.only_clusters()
    is_euclidean = clusters.distance == "euclidean"
    of: list[_Sum] = ["difference" if is_euclidean else "product"] * len(names)
    sums, centroids = [*names], [*clusters.centroids]
    if not is_euclidean:
        of, sums, centroids = [*of, "length"], [*sums, _SQUARE], [*centroids, centroids[0]]

    def term(output: int, index: int) -> exp.Expr:
        return _term(parameters, of[output], index, centroids[output][index])

    starts, products = dict.fromkeys(sums, 0.0), () if is_euclidean else names
    query = sums_select(parameters, source, keep, starts, term, _FEATURES_IN_LAYER, scaled=products)
    distance = _root if is_euclidean else _from_product
    outputs = [nodes.projection(distance(nodes.column(name)), name) for name in names]
    return nodes.select_from([*nodes.kept(keep), *outputs], query, "wml_sums")


def distances(parameters: Parameters, encoded: np.ndarray) -> np.ndarray:
    """Return the distance of each row to each centroid, as ``raw_select`` does.

    Parameters
    ----------
    parameters : Parameters
        Of a clustering.
    encoded : float64 array of shape (n, p)
        The columns that ``encode_select`` gives.

    Returns
    -------
    float64 array of shape (n, n_clusters)
        In order of the clusters' ids.
    """
    import numpy as np

    clusters = parameters.only_clusters()
    found = np.empty((len(encoded), len(clusters.centroids)), order="F")
    # The square of a value beyond 1e154 is infinite, in SQL as well.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if clusters.distance == "euclidean":
            for cluster, centroid in enumerate(clusters.centroids):
                found[:, cluster] = np.sqrt(_sum(parameters, "difference", centroid, encoded))
            return found
        length = np.sqrt(_sum(parameters, "length", clusters.centroids[0], encoded))
        for cluster, centroid in enumerate(clusters.centroids):
            cosine = _sum(parameters, "product", centroid, encoded) / length
            found[:, cluster] = np.where(length == 0, 1.0, np.sqrt(np.maximum(1.0 - cosine, 0.0)))
    return found


def nearest(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of the smallest distance of each row, of equal ones the first, and that distance."""
    import numpy as np

    # NaN is larger than everything in the warehouse.
    index = np.where(np.isnan(found), np.inf, found).argmin(axis=1)
    return index, found[np.arange(len(found)), index]


def davies_bouldin_index(parameters: Parameters, mean_distances: Sequence[float | None]) -> float | None:
    """Return how much clusters overlap: the mean, over clusters, of the worst ratio of two spreads to their distance.

    Parameters
    ----------
    parameters : Parameters
        Of a clustering.
    mean_distances : sequence of float or None
        By cluster, the mean distance of the rows nearest to its centroid; None for a cluster without rows, which is
        left out.

    Returns
    -------
    float or None
        At least 0, the smaller the better; None with fewer than two clusters that have rows. Two centroids at one
        place are not compared.

    References
    ----------
    Davies and Bouldin, "A Cluster Separation Measure", IEEE TPAMI 1(2), 1979.
    """
    clusters = parameters.only_clusters()
    flat = [[value for slots in centroid for value in slots] for centroid in clusters.centroids]
    known = [(spread, flat[cluster]) for cluster, spread in enumerate(mean_distances) if spread is not None]
    if len(known) < 2:
        return None
    worst = []
    for spread, centroid in known:
        ratios = [0.0]
        for other_spread, other in known:
            apart = _apart(centroid, other, clusters.distance)
            if centroid is not other and apart > 0:
                ratios.append((spread + other_spread) / apart)
        worst.append(max(ratios))
    return math.fsum(worst) / len(worst)


def _apart(one: Sequence[float], other: Sequence[float], distance: Distance) -> float:
    if distance == "euclidean":
        return math.dist(one, other)
    return math.sqrt(max(0.0, 1.0 - math.fsum(a * b for a, b in zip(one, other, strict=True))))


def _by_code(of: _Sum, slots: Sequence[float]) -> list[float]:
    """Return what a category's columns add together, by code; an unknown category (code 0) has zeros in all."""
    match of:
        case "product":
            return [0.0, *slots]
        case "length":
            return [0.0, *(1.0 for _ in slots)]
        case "difference":
            squares = [slot * slot for slot in slots]
            others = [math.fsum([*squares[:code], *squares[code + 1 :]]) for code in range(len(slots))]
            return [math.fsum(squares), *((1.0 - c) * (1.0 - c) + rest for c, rest in zip(slots, others, strict=True))]


def _term(parameters: Parameters, of: _Sum, index: int, slots: Sequence[float]) -> exp.Expr:
    feature = parameters.features[index]
    value: exp.Expr = nodes.column(encoded_name(index))
    if feature.encoding == "one_hot":
        unknown, *known = _by_code(of, slots)
        looked_up = by_category(feature, value, known, unknown)
        return Scaled(this=looked_up) if of == "product" else looked_up
    if of == "product":
        return exp.Mul(this=Scaled(this=value), expression=nodes.number(slots[0]))
    if of == "difference":
        value = exp.Paren(this=exp.Sub(this=value, expression=exp.Paren(this=nodes.number(slots[0]))))
    return Square(this=value, n_terms=len(parameters.features))


def _sum(parameters: Parameters, of: _Sum, centroid: Sequence[Sequence[float]], encoded: np.ndarray) -> np.ndarray:
    import numpy as np

    total = np.zeros(len(encoded))
    for index, (feature, slots) in enumerate(zip(parameters.features, centroid, strict=True)):
        column = encoded[:, index]
        if feature.encoding == "one_hot":
            total += np.array(_by_code(of, slots))[column.astype(np.int64)]
        elif of == "difference":
            difference = column - slots[0]
            total += difference * difference
        else:
            total += column * (slots[0] if of == "product" else column)
    return total


def _root(total: exp.Expr) -> exp.Expr:
    return exp.Sqrt(this=total)


def _from_product(product: exp.Expr) -> exp.Expr:
    """Return the cosine distance; a row of zeros has no direction and is at a right angle to everything."""
    square = nodes.column(_SQUARE)
    cosine = Quotient(this=product, expression=exp.Sqrt(this=square))
    rest = exp.Sub(this=nodes.number(1.0), expression=cosine)
    held = exp.Anonymous(this="GREATEST", expressions=[rest, nodes.number(0.0)])
    is_zero = exp.EQ(this=square.copy(), expression=nodes.number(0.0))
    return nodes.case([(is_zero, nodes.number(1.0))], exp.Sqrt(this=held))
