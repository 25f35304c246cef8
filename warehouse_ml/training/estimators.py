"""The estimators of scikit-learn: how BigQuery ML's options are told to them, and how to read what they learned.

Penalties. With n rows of weight w, the linear models minimise

    sum over rows of w * loss  +  L1_REG * |weights|  +  L2_REG / 2 * |weights|^2

where the loss is the log loss, or half the squared error. The intercept is never penalised. Numbers are standardised
before, so the penalty means the same for all of them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from warehouse_ml.scoring.arrays import Predictions
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.training.design import Design
from warehouse_ml.training.grown import boosted_trees, forest_trees

if TYPE_CHECKING:
    import numpy as np

# A thread of OpenMP that waits for its next turn spins by default; where a neighbour needs the core, a fit of two
# seconds was seen to take fifty. A thousand turns cost a quiet machine nothing. Read when scikit-learn is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__all__ = [
    "SEED",
    "CaughtWarnings",
    "Fitted",
    "Sample",
    "expected",
    "few_threads",
    "fit_boosting",
    "fit_forest",
    "fit_linear",
    "min_rows_in_leaf",
    "one_row",
    "without_empty_columns",
]

_MOST_LEAVES = 31
_FEW_ROWS = 100_000
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
    metrics : dict
        Of a model without a label, on the rows that it was trained on; empty for all others.
    """

    parameters: Parameters
    expect: Callable[[np.ndarray], Predictions]
    training_info: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    metrics: dict[str, float | None] = field(default_factory=dict)


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

    design = Design(shape, len(train))
    estimator = _linear_estimator(shape, options, train)
    matrix = design.expand(train.encoded)
    with CaughtWarnings() as caught:
        estimator.fit(matrix, train.label, sample_weight=train.weight)
    coefficients = np.atleast_2d(estimator.coef_)
    intercepts = np.broadcast_to(np.atleast_1d(estimator.intercept_), (shape.n_outputs,))
    linear = design.linear(intercepts, coefficients, train.encoded, train.weight)

    def expect(encoded: np.ndarray) -> Predictions:
        return expected(estimator, shape, design.expand(encoded))

    n_iterations = int(np.max(getattr(estimator, "n_iter_", None) or 1))
    warnings = []
    if caught.has_converged is False:
        warnings.append(
            f"not converged after {n_iterations} iterations: raise max_iterations, or set l2_reg to hold weights small"
        )
    parameters = replace(shape, linear=linear)
    return Fitted(parameters, expect, one_row(shape, expect, train, evaluation, n_iterations), warnings)


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
    with few_threads(len(train)):
        estimator.fit(without_empty_columns(train.encoded), train.label, sample_weight=train.weight, **held_out)
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
        with few_threads(len(encoded)):
            return expected(estimator, shape, encoded)

    return Fitted(replace(shape, trees=boosted_trees(estimator)), expect, training_info, warnings)


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
        # As a number of rows: a fraction would be taken of the weights, whose scale means nothing.
        max_samples=max(1, round(options["SUBSAMPLE"] * len(train))),
        bootstrap=True,
        random_state=SEED,
        n_jobs=-1,
    )
    estimator.fit(train.encoded, train.label, sample_weight=train.weight)
    # In parallel, trees are added in the order in which they finish.
    estimator.set_params(n_jobs=1)

    def expect(encoded: np.ndarray) -> Predictions:
        return expected(estimator, shape, encoded)

    parameters = replace(shape, trees=forest_trees(estimator, shape))
    return Fitted(parameters, expect, one_row(shape, expect, train, evaluation, 1))


class CaughtWarnings:
    """Turns scikit-learn's ConvergenceWarning into a fact, and leaves every other warning alone."""

    def __enter__(self) -> CaughtWarnings:
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


def without_empty_columns(encoded: np.ndarray) -> np.ndarray:
    """Return the matrix with 0 where a whole column is missing, which has no histogram; nothing splits on it."""
    import numpy as np

    is_empty = np.isnan(encoded).all(axis=0)
    if not is_empty.any():
        return encoded
    filled = encoded.copy(order="F")
    filled[:, is_empty] = 0.0
    return filled


def few_threads(n_rows: int) -> AbstractContextManager[object]:
    """Hold OpenMP to one thread where there are few rows: waiting for each other would take longest then."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1, user_api="openmp") if n_rows < _FEW_ROWS else nullcontext()


def _stop(losses: list[float], least_progress: float) -> int:
    """Return how many iterations are done when the relative progress of one falls short; losses[0] is before any."""
    for iteration in range(1, len(losses)):
        progress = losses[iteration - 1] - losses[iteration]
        if progress < least_progress * abs(losses[iteration - 1]):
            return iteration
    return len(losses) - 1


def expected(estimator: Any, shape: Parameters, matrix: Any) -> Predictions:
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


def one_row(
    shape: Parameters,
    expect: Callable[[np.ndarray], Predictions],
    train: Sample,
    evaluation: Sample | None,
    n_iterations: int,
) -> list[dict[str, Any]]:
    """Return the only row of a training without iterations that could be told apart."""
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
