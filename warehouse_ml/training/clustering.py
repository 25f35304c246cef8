"""KMEANS: Lloyd's algorithm by scikit-learn, one iteration at a time, so that BigQuery ML's rule says when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DataError
from warehouse_ml.scoring.arrays import Predictions
from warehouse_ml.scoring.clusters import davies_bouldin_index, distances, nearest
from warehouse_ml.scoring.parameters import Clusters, Distance, Parameters
from warehouse_ml.training.design import Design
from warehouse_ml.training.estimators import SEED, CaughtWarnings, Fitted

if TYPE_CHECKING:
    import numpy as np

__all__ = ["default_clusters", "fit_clusters"]

_DIGITS = 12
_BLOCK_ROWS = 50_000
_DENSE_ROWS = 500


def default_clusters(n_rows: int) -> int:
    """Return NUM_CLUSTERS where it is not given: the decimal logarithm of the number of rows, at least 2."""
    return max(2, round(math.log10(n_rows)))


def fit_clusters(
    shape: Parameters,
    options: Mapping[str, Any],
    encoded: np.ndarray,
    is_start: np.ndarray | None,
    place: str | None,
) -> Fitted:
    """Fit the centroids of the encoded rows.

    Euclidean: each centroid is the mean of the rows nearest to it. Cosine: rows and centroids are scaled to the length
    1 in every iteration (spherical k-means). EARLY_STOP ends after the first iteration in which the loss, the mean
    squared distance, improves by less than MIN_REL_PROGRESS of itself.

    Parameters
    ----------
    shape : Parameters
        The model without clusters.
    options : mapping
        As ``resolve_options`` gives them.
    encoded : float64 array of shape (n, p)
        All rows.
    is_start : bool array of shape (n,), optional
        The rows to start from.
    place : str, optional
        The definition, for errors.

    Raises
    ------
    DataError
        If there are fewer rows than clusters, or those to start from are not as many as the clusters.
    """
    import numpy as np
    from sklearn.metrics.pairwise import cosine_distances
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    distance: Distance = "cosine" if options["DISTANCE_TYPE"] == "COSINE" else "euclidean"
    n_clusters = _n_clusters(options, len(encoded), is_start, place)
    design = Design(shape, len(encoded))

    def rows_of(some: np.ndarray) -> Any:
        expanded = design.expand(some)
        return normalize(expanded) if distance == "cosine" else expanded

    rows = rows_of(encoded)
    init: Any = {"RANDOM": "random", "KMEANS++": "k-means++"}.get(options["KMEANS_INIT_METHOD"])
    if is_start is not None:
        init = _dense(rows[is_start])
    if distance == "cosine" and not abs(rows).sum():
        raise DataError("all rows are zeros, which have no direction for distance_type = 'cosine'", place=place)
    # Threads add up in the order in which they finish.
    with threadpool_limits(1, user_api="openmp"):
        estimator, losses, has_stopped = _iterate(rows, n_clusters, init, options, distance)
    centers = estimator.cluster_centers_
    parameters = replace(
        shape,
        classes=tuple(str(cluster) for cluster in range(1, n_clusters + 1)),
        clusters=Clusters(distance, tuple(design.by_feature(center) for center in centers), (0,) * n_clusters),
    )
    n_rows, mean_distances, mean_square = _measure(parameters, encoded)
    parameters = replace(parameters, clusters=replace(parameters.only_clusters(), n_rows=n_rows))

    def expect(asked: np.ndarray) -> Predictions:
        """Ask the estimator for the nearest, and others than our code for the distances."""
        found = []
        for start in range(0, len(asked), _DENSE_ROWS):
            block = _dense(design.expand(asked[start : start + _DENSE_ROWS]))
            is_cosine = distance == "cosine"
            found.append(np.sqrt(cosine_distances(block, centers)) if is_cosine else _euclidean(block, centers))
        labels = estimator.predict(rows_of(asked)).astype(np.int64)
        to_all = np.concatenate(found)
        return Predictions(to_all[np.arange(len(labels)), labels], labels, to_all)

    warnings = []
    if not has_stopped:
        warnings.append(f"not converged after {len(losses)} iterations: raise max_iterations")
    if 0 in n_rows:
        n_empty = n_rows.count(0)
        warnings.append(f"{n_empty} of {n_clusters} clusters have no row nearest to them: lower num_clusters")
    metrics = {
        "davies_bouldin_index": davies_bouldin_index(parameters, mean_distances),
        "mean_squared_distance": mean_square,
    }
    return Fitted(
        parameters,
        expect,
        [
            {"iteration": iteration, "loss": loss, "eval_loss": None, "learning_rate": None}
            for iteration, loss in enumerate(losses, start=1)
        ],
        warnings,
        {name: None if value is None else float(f"{value:.{_DIGITS}g}") for name, value in metrics.items()},
    )


def _n_clusters(options: Mapping[str, Any], n_rows: int, is_start: np.ndarray | None, place: str | None) -> int:
    asked: int | None = options["NUM_CLUSTERS"]
    if is_start is not None:
        n_starts = int(is_start.sum())
        if n_starts < 2 or asked not in (None, n_starts):
            wanted = "at least two are needed" if asked is None else f"num_clusters = {asked:,}"
            raise DataError(
                f'the kmeans_init_col "{options["KMEANS_INIT_COL"]}" is true in {n_starts:,} rows, but {wanted}',
                place=place,
                hint="mark one row for each cluster",
            )
        return n_starts
    if not n_rows:
        raise DataError("there are no rows to train on", place=place, hint="look at the query")
    n_clusters = asked or default_clusters(n_rows)
    if n_clusters > n_rows:
        raise DataError(f"{n_rows:,} rows cannot make {n_clusters:,} clusters", place=place, hint="lower num_clusters")
    return n_clusters


def _iterate(
    rows: Any, n_clusters: int, init: Any, options: Mapping[str, Any], distance: Distance
) -> tuple[Any, list[float], bool]:
    """Return the estimator with its last centres, the loss after each iteration, and whether it came to an end."""
    import numpy as np
    from sklearn.cluster import KMeans

    losses: list[float] = []
    for _ in range(options["MAX_ITERATIONS"]):
        estimator = KMeans(n_clusters, init=init, n_init=1, max_iter=1, tol=0.0, random_state=SEED)
        # It warns of clusters without rows, which may yet find some; the end result is looked at.
        with CaughtWarnings():
            estimator.fit(rows)
        if distance == "cosine":
            estimator.cluster_centers_ = _directions(estimator.cluster_centers_, init, rows)
            labels = estimator.predict(rows)
            cosines = [
                (rows[labels == cluster] @ center).sum() for cluster, center in enumerate(estimator.cluster_centers_)
            ]
            loss = 1.0 - float(sum(cosines)) / rows.shape[0]
        else:
            loss = float(estimator.inertia_) / rows.shape[0]
        before = losses[-1] if losses else None
        losses.append(loss)
        has_moved = isinstance(init, str) or not np.array_equal(init, estimator.cluster_centers_)
        init = estimator.cluster_centers_
        is_little = before is not None and before - loss < options["MIN_REL_PROGRESS"] * abs(before)
        if not has_moved or (options["EARLY_STOP"] and is_little):
            return estimator, losses, True
    return estimator, losses, False


def _directions(centers: np.ndarray, before: Any, rows: Any) -> np.ndarray:
    """Return the centres at the length 1; one of opposite rows has no direction and stays where it was."""
    import numpy as np

    lengths = np.sqrt((centers * centers).sum(axis=1, keepdims=True))
    directions = centers / np.where(lengths > 0, lengths, 1.0)
    for cluster in np.flatnonzero(lengths == 0):
        stays = None if isinstance(before, str) else before[cluster]
        directions[cluster] = stays if stays is not None and stays.any() else _first_direction(rows)
    return directions


def _first_direction(rows: Any) -> np.ndarray:
    import numpy as np

    first = int(np.argmax(np.asarray(abs(rows).sum(axis=1)).ravel() > 0))
    direction: np.ndarray = _dense(rows[first : first + 1])[0]
    return direction


def _measure(parameters: Parameters, encoded: np.ndarray) -> tuple[tuple[int, ...], list[float | None], float]:
    """Return by cluster the rows nearest to it and their mean distance, and the mean squared distance of all."""
    import numpy as np

    n_clusters = parameters.n_outputs
    counts, sums, square = np.zeros(n_clusters, dtype=np.int64), np.zeros(n_clusters), 0.0
    for start in range(0, len(encoded), _BLOCK_ROWS):
        index, distance = nearest(distances(parameters, encoded[start : start + _BLOCK_ROWS]))
        counts += np.bincount(index, minlength=n_clusters)
        sums += np.bincount(index, weights=distance, minlength=n_clusters)
        square += float((distance * distance).sum())
    means = [total / count if count else None for total, count in zip(sums.tolist(), counts.tolist(), strict=True)]
    return tuple(counts.tolist()), means, square / len(encoded)


def _euclidean(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    found: np.ndarray = cdist(rows, centers)
    return found


def _dense(rows: Any) -> np.ndarray:
    found: np.ndarray = rows.toarray() if hasattr(rows, "toarray") else rows
    return found
