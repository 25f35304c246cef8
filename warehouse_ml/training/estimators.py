"""The estimators of scikit-learn: how BigQuery ML's options are told to them, and how to read what they learned.

Penalties. With n rows of weight w, the linear models minimise

    sum over rows of w * loss  +  L1_REG * |weights|  +  L2_REG / 2 * |weights|^2

where the loss is the log loss, or half the squared error. The intercept is never penalised. Numbers are standardised
before, so the penalty means the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from warehouse_ml.scoring.arrays import Predictions
from warehouse_ml.scoring.nodes import LARGEST
from warehouse_ml.scoring.parameters import Linear, Parameters, Trees

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "SEED",
    "Fitted",
    "Sample",
    "exact_threshold",
    "fit_boosting",
    "fit_forest",
    "fit_linear",
    "min_rows_in_leaf",
]

_MOST_LEAVES = 31
_DENSE_BYTES = 512 * 2**20
SEED = 0
"""Of every random choice in training."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Encoded rows with their labels.

    Parameters
    ----------
    encoded : float64 array of shape (n, p)
        As ``encode_select`` gives it, NaN for NULL.
    label : array of shape (n,)
        The index of the class, int64, or the value, float64.
    weight : float64 array of shape (n,), or None
        None if all rows weigh the same.
    """

    encoded: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What training gives.

    Parameters
    ----------
    parameters : Parameters
        The model, complete.
    expect : callable
        The estimator's own predictions from an encoded matrix, for the parity check.
    training_info : list of dict
        By iteration: iteration, loss, eval_loss (None without rows to evaluate on), learning_rate.
    warnings : list of str
        What the user should know.
    """

    parameters: Parameters
    expect: Callable[[np.ndarray], Predictions]
    training_info: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def min_rows_in_leaf(child_weight: float, is_classifier: bool) -> int:
    """Return the number of rows for which MIN_TREE_CHILD_WEIGHT stands.

    It bounds the sum of second derivatives in a leaf. That is the number of rows for the squared error, and at most a
    quarter of it for the log loss, so that four times as many rows are the fewest that can reach it.
    """
    return max(1, math.ceil(child_weight * (4 if is_classifier else 1)))


def fit_linear(shape: Parameters, options: Mapping[str, Any], train: Sample, evaluation: Sample | None) -> Fitted:
    """Fit a LINEAR_REG or LOGISTIC_REG.

    L-BFGS, or SAGA if L1_REG is set, for the log loss; least squares by singular values, Cholesky, or coordinate
    descent for the squared error.
    """
    import numpy as np

    design = _Design(shape, len(train))
    estimator = _linear_estimator(shape, options, train)
    matrix = design.expand(train.encoded)
    with _CaughtWarnings() as caught:
        estimator.fit(matrix, train.label, sample_weight=train.weight)
    coefficients = np.atleast_2d(estimator.coef_)
    intercepts = np.broadcast_to(np.atleast_1d(estimator.intercept_), (shape.n_outputs,))
    linear = Linear(
        intercepts=tuple(intercepts.tolist()),
        weights=tuple(design.by_feature(coefficients[output]) for output in range(shape.n_outputs)),
    )

    def expect(encoded: np.ndarray) -> Predictions:
        return _expected(estimator, shape, design.expand(encoded))

    n_iterations = int(np.max(getattr(estimator, "n_iter_", None) or 1))
    warnings = []
    if caught.has_converged is False:
        warnings.append(
            f"not converged after {n_iterations} iterations: raise max_iterations, or set l2_reg to hold weights small"
        )
    parameters = replace(shape, linear=linear)
    return Fitted(parameters, expect, _one_row(shape, expect, train, evaluation, n_iterations), warnings)


def fit_boosting(shape: Parameters, options: Mapping[str, Any], train: Sample, evaluation: Sample | None) -> Fitted:
    """Fit a BOOSTED_TREE_CLASSIFIER or _REGRESSOR with histogram gradient boosting.

    With EARLY_STOP, training ends after the first iteration in which the loss, on the rows to evaluate on or else on
    those trained on, improves by less than MIN_REL_PROGRESS of itself.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    is_classifier = shape.task != "regression"
    n_iterations, depth = options["MAX_ITERATIONS"], options["MAX_TREE_DEPTH"]
    estimator_class = HistGradientBoostingClassifier if is_classifier else HistGradientBoostingRegressor
    estimator = estimator_class(
        learning_rate=options["LEARN_RATE"],
        max_iter=n_iterations,
        max_leaf_nodes=min(_MOST_LEAVES, 2**depth),
        max_depth=depth,
        min_samples_leaf=min_rows_in_leaf(options["MIN_TREE_CHILD_WEIGHT"], is_classifier),
        l2_regularization=options["L2_REG"],
        max_features=options["COLSAMPLE_BYNODE"],
        categorical_features=None,
        # Asked to watch the loss, but never to stop: BigQuery ML's rule is relative, scikit-learn's is not.
        early_stopping=True,
        n_iter_no_change=n_iterations + 1,
        validation_fraction=None,
        tol=0.0,
        random_state=SEED,
    )
    held_out = {}
    if evaluation is not None:
        held_out = {"X_val": evaluation.encoded, "y_val": evaluation.label, "sample_weight_val": evaluation.weight}
    estimator.fit(train.encoded, train.label, sample_weight=train.weight, **held_out)
    # scikit-learn scores by the negative of the loss, and takes half of the squared error.
    scale = 1.0 if is_classifier else 2.0
    losses = [-scale * float(score) for score in estimator.train_score_]
    eval_losses = [-scale * float(score) for score in estimator.validation_score_] if evaluation is not None else []
    n_kept, warnings = n_iterations, []
    if options["EARLY_STOP"]:
        n_kept = _stop(eval_losses or losses, options["MIN_REL_PROGRESS"])
    if n_kept < n_iterations:
        del estimator._predictors[n_kept:]
        warnings.append(
            f"stopped after {n_kept} of {n_iterations} iterations, where the loss improved by less than "
            f"min_rel_progress = {options['MIN_REL_PROGRESS']:g}: set early_stop = false, or lower it, to go on"
        )
    training_info = [
        {
            "iteration": iteration,
            "loss": losses[iteration],
            "eval_loss": eval_losses[iteration] if eval_losses else None,
            "learning_rate": options["LEARN_RATE"],
        }
        for iteration in range(1, n_kept + 1)
    ]

    def expect(encoded: np.ndarray) -> Predictions:
        return _expected(estimator, shape, encoded)

    return Fitted(replace(shape, trees=_boosted_trees(estimator)), expect, training_info, warnings)


def fit_forest(shape: Parameters, options: Mapping[str, Any], train: Sample, evaluation: Sample | None) -> Fitted:
    """Fit a RANDOM_FOREST_CLASSIFIER or _REGRESSOR; SUBSAMPLE of the rows are drawn with replacement for each tree."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    is_classifier = shape.task != "regression"
    estimator_class = RandomForestClassifier if is_classifier else RandomForestRegressor
    estimator = estimator_class(
        n_estimators=options["NUM_PARALLEL_TREE"],
        max_depth=options["MAX_TREE_DEPTH"],
        min_samples_leaf=min_rows_in_leaf(options["MIN_TREE_CHILD_WEIGHT"], is_classifier=False),
        max_features=options["COLSAMPLE_BYNODE"],
        max_samples=options["SUBSAMPLE"],
        bootstrap=True,
        random_state=SEED,
        n_jobs=-1,
    )
    estimator.fit(train.encoded, train.label, sample_weight=train.weight)
    # In parallel, trees are added in the order in which they finish.
    estimator.set_params(n_jobs=1)

    def expect(encoded: np.ndarray) -> Predictions:
        return _expected(estimator, shape, encoded)

    parameters = replace(shape, trees=_forest_trees(estimator, shape))
    return Fitted(parameters, expect, _one_row(shape, expect, train, evaluation, 1))


def exact_threshold(threshold: float) -> float:
    """Return the float64 threshold that decides as float32(x) <= threshold does, for every float64 x.

    scikit-learn's forests compare after rounding to float32. Let f be the largest float32 at or below the threshold:
    x goes left when it rounds to f or less, which is up to the midpoint of f and its successor, the midpoint itself
    included only if it rounds to f (the even one).
    """
    import numpy as np

    if math.isinf(threshold):
        # "Everything but what is missing": every finite value is at most the largest one.
        return math.copysign(LARGEST, threshold)
    f = np.float32(threshold)
    if float(f) > threshold:
        f = np.nextafter(f, np.float32(-np.inf))
    successor = np.nextafter(f, np.float32(np.inf))
    if not np.isfinite(successor):
        return LARGEST
    middle = (float(f) + float(successor)) / 2
    return middle if np.float32(middle) == f else float(np.nextafter(middle, -np.inf))


class _Design:
    """Gives every code of a category a column of its own."""

    def __init__(self, shape: Parameters, n_rows: int) -> None:
        self._features = shape.features
        self._starts = [0]
        for feature in shape.features:
            dropped = 1 if feature.reference else 0
            self._starts.append(self._starts[-1] + feature.n_slots - dropped)
        self._is_dense = self._starts[-1] * n_rows * 8 <= _DENSE_BYTES

    def expand(self, encoded: np.ndarray) -> Any:
        """Return the design matrix of shape (n, n_columns), dense or, if that were too large, sparse."""
        import numpy as np
        from scipy import sparse

        n_rows = len(encoded)
        if self._is_dense:
            dense = np.zeros((n_rows, self._starts[-1]))
            for index in range(len(self._features)):
                rows, columns, values = self._entries(index, encoded[:, index])
                dense[rows, columns] = values
            return dense
        parts = [self._entries(index, encoded[:, index]) for index in range(len(self._features))]
        rows, columns, values = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return sparse.csr_matrix((values, (rows, columns)), shape=(n_rows, self._starts[-1]))

    def by_feature(self, coefficients: np.ndarray) -> tuple[tuple[float, ...], ...]:
        """Return one output's coefficients by feature and slot; the reference of a dummy encoding weighs 0."""
        weights = []
        for index, feature in enumerate(self._features):
            slots = coefficients[self._starts[index] : self._starts[index + 1]].tolist()
            if feature.reference:
                slots.insert(feature.reference - 1, 0.0)
            weights.append(tuple(slots))
        return tuple(weights)

    def _entries(self, index: int, column: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        import numpy as np

        feature, start = self._features[index], self._starts[index]
        if feature.encoding != "one_hot":
            return np.arange(len(column)), np.full(len(column), start), column
        codes = column.astype(np.int64)
        rows = np.flatnonzero((codes > 0) & (codes != feature.reference))
        codes = codes[rows]
        after_reference = (codes > feature.reference) if feature.reference else np.zeros(len(rows), dtype=bool)
        return rows, start + codes - 1 - after_reference, np.ones(len(rows))


class _CaughtWarnings:
    """Turns scikit-learn's ConvergenceWarning into a fact, and leaves every other warning alone."""

    def __enter__(self) -> _CaughtWarnings:
        import warnings

        from sklearn.exceptions import ConvergenceWarning

        self.has_converged = True
        self._context = warnings.catch_warnings(record=True)
        self._caught = self._context.__enter__()
        warnings.simplefilter("always", ConvergenceWarning)
        return self

    def __exit__(self, *error: Any) -> None:
        import warnings

        from sklearn.exceptions import ConvergenceWarning

        self._context.__exit__(*error)
        for warning in self._caught or []:
            if issubclass(warning.category, ConvergenceWarning):
                self.has_converged = False
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _linear_estimator(shape: Parameters, options: Mapping[str, Any], train: Sample) -> Any:
    from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge

    l1, l2, has_intercept = options["L1_REG"], options["L2_REG"], options["FIT_INTERCEPT"]
    if shape.task != "regression":
        return LogisticRegression(
            C=1.0 / (l1 + l2) if l1 + l2 else math.inf,
            l1_ratio=l1 / (l1 + l2) if l1 else 0.0,
            solver="saga" if l1 else "lbfgs",
            max_iter=options["MAX_ITERATIONS"],
            fit_intercept=has_intercept,
            random_state=SEED,
        )
    if l1:
        total = float(train.weight.sum()) if train.weight is not None else float(len(train))
        return ElasticNet(
            alpha=(l1 + l2) / total,
            l1_ratio=l1 / (l1 + l2),
            max_iter=max(options["MAX_ITERATIONS"], 1000),
            fit_intercept=has_intercept,
        )
    return Ridge(alpha=l2, fit_intercept=has_intercept) if l2 else LinearRegression(fit_intercept=has_intercept)


def _stop(losses: list[float], least_progress: float) -> int:
    """Return how many iterations are done when the relative progress of one falls short; losses[0] is before any."""
    for iteration in range(1, len(losses)):
        progress = losses[iteration - 1] - losses[iteration]
        if progress < least_progress * abs(losses[iteration - 1]):
            return iteration
    return len(losses) - 1


def _expected(estimator: Any, shape: Parameters, matrix: Any) -> Predictions:
    """Return the estimator's own predictions; of a binary model at 0.5 and above, as everywhere here."""
    import numpy as np

    if shape.task == "regression":
        return Predictions(np.asarray(estimator.predict(matrix), dtype=np.float64).ravel(), None, None)
    probabilities = estimator.predict_proba(matrix)
    if shape.task == "binary":
        score = probabilities[:, 1]
        return Predictions(score, (score >= 0.5).astype(np.int64), probabilities)
    prediction = np.asarray(estimator.predict(matrix)).astype(np.int64)
    return Predictions(probabilities[np.arange(len(prediction)), prediction], prediction, probabilities)


def _one_row(
    shape: Parameters,
    expect: Callable[[np.ndarray], Predictions],
    train: Sample,
    evaluation: Sample | None,
    n_iterations: int,
) -> list[dict[str, Any]]:
    eval_loss = None if evaluation is None else _loss(shape, expect(evaluation.encoded), evaluation)
    loss = _loss(shape, expect(train.encoded), train)
    return [{"iteration": n_iterations, "loss": loss, "eval_loss": eval_loss, "learning_rate": None}]


def _loss(shape: Parameters, found: Predictions, sample: Sample) -> float:
    """Return the mean log loss, or the mean squared error."""
    import numpy as np

    if found.probabilities is None:
        losses = (found.score - sample.label) ** 2
    else:
        of_label = found.probabilities[np.arange(len(sample)), sample.label]
        losses = -np.log(np.maximum(of_label, np.finfo(np.float64).tiny))
    return float(np.average(losses, weights=sample.weight))


def _boosted_trees(estimator: Any) -> Trees:
    import numpy as np

    # scikit-learn gives no public way to the trees; the parity check of every training guards what is read here.
    predictors = [(output, tree) for trees in estimator._predictors for output, tree in enumerate(trees)]
    nodes = [tree.nodes for _, tree in predictors]
    sizes = [len(tree) for tree in nodes]
    flat = np.concatenate(nodes)
    is_leaf = flat["is_leaf"].astype(bool)
    # A split off of the missing values alone has an infinite threshold.
    thresholds = np.clip(np.where(is_leaf, 0.0, flat["num_threshold"]), -LARGEST, LARGEST)
    return Trees(
        baselines=tuple(float(value) for value in np.ravel(estimator._baseline_prediction)),
        tree=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        node=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        feature=np.where(is_leaf, -1, flat["feature_idx"]).astype(np.int32),
        threshold=thresholds,
        is_missing_left=~is_leaf & flat["missing_go_to_left"].astype(bool),
        left=np.where(is_leaf, -1, flat["left"].astype(np.int64)).astype(np.int32),
        right=np.where(is_leaf, -1, flat["right"].astype(np.int64)).astype(np.int32),
        value=np.where(is_leaf, flat["value"], 0.0).reshape(-1, 1),
        output=np.array([output for output, _ in predictors], dtype=np.int32),
    )


def _forest_trees(estimator: Any, shape: Parameters) -> Trees:
    import numpy as np

    trees = [member.tree_ for member in estimator.estimators_]
    sizes = [tree.node_count for tree in trees]
    left = np.concatenate([tree.children_left for tree in trees])
    is_leaf = left < 0
    value = np.concatenate([tree.value[:, 0, :] for tree in trees])
    if shape.task == "binary":
        value = value[:, 1:]
    raw = np.concatenate([tree.threshold for tree in trees])
    split_thresholds = [exact_threshold(threshold) for threshold in raw[~is_leaf].tolist()]
    thresholds = np.zeros(len(raw))
    thresholds[~is_leaf] = split_thresholds
    return Trees(
        baselines=(0.0,) * shape.n_outputs,
        tree=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        node=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        feature=np.where(is_leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=thresholds,
        is_missing_left=~is_leaf & np.concatenate([tree.missing_go_to_left for tree in trees]).astype(bool),
        left=np.where(is_leaf, -1, left).astype(np.int32),
        right=np.where(is_leaf, -1, np.concatenate([tree.children_right for tree in trees])).astype(np.int32),
        value=np.where(is_leaf[:, None], value, 0.0),
        output=np.full(len(sizes), -1 if shape.n_outputs > 1 else 0, dtype=np.int32),
    )
