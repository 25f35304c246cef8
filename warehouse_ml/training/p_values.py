"""Standard errors and p-values of linear models without a penalty.

With m estimated weights b, design X, residuals r, and row weights w (1 if there are none; a weight counts as so many
rows), the covariance of b is

- LINEAR_REG: s^2 (X' w X)^-1 with s^2 = sum of w r^2 / (sum of w - m),
- LOGISTIC_REG: (X' w p (1 - p) X)^-1, the inverse of Fisher's information.

The standard error is the root of its diagonal, and the p-value 2 (1 - Phi(|b| / standard error)): of the normal
distribution for both, as BigQuery ML documents it; a regression on few rows would call for Student's t.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DataError
from warehouse_ml.scoring.arrays import Predictions
from warehouse_ml.scoring.parameters import Parameters, PValue
from warehouse_ml.training.design import Design
from warehouse_ml.training.estimators import Fitted, Sample, expected, one_row

if TYPE_CHECKING:
    import numpy as np

__all__ = ["fit_with_p_values"]

_MOST_COLUMNS = 5_000
# A column of which less than this share of its square is not explained by the others is taken for explained.
_LEAST_OWN = 1e-11
_TOLERANCE = 1e-10
_CERTAIN = 1e-8
_NOT_ESTIMATED = PValue(None, None, None, None)


def fit_with_p_values(
    shape: Parameters, options: Mapping[str, Any], train: Sample, evaluation: Sample | None, place: str | None
) -> Fitted:
    """Fit a LINEAR_REG, or a LOGISTIC_REG of two classes, without a penalty, and say how sure its weights are.

    Parameters
    ----------
    shape : Parameters
        The model without weights.
    options : mapping
        As ``resolve_options`` gives them.
    train : Sample
        The rows to fit.
    evaluation : Sample, optional
        The rows held out.
    place : str, optional
        The definition, for errors.

    Raises
    ------
    DataError
        If there are three or more classes, no more rows than weights, columns that others determine, or the fit does
        not converge.
    """
    import numpy as np

    if shape.task == "multiclass":
        raise DataError(
            f"calculate_p_values needs two classes, and the label has {len(shape.classes)}",
            place=place,
            hint="leave calculate_p_values out",
        )
    design = Design(shape, len(train))
    has_intercept = bool(options["FIT_INTERCEPT"])
    everything = design.expand(train.encoded)
    # A constant column says nothing, and has no weight.
    used = np.flatnonzero(np.asarray(abs(everything).sum(axis=0)).ravel() > 0)
    names = [shape.features[index].name for index in design.owners()]
    if len(used) > _MOST_COLUMNS:
        raise DataError(
            f"{len(used):,} columns (a category is one) are too many for p-values, of at most {_MOST_COLUMNS:,}",
            place=place,
            hint="leave columns of many categories out",
        )
    columns = _columns(everything[:, used], has_intercept)
    _refuse_dependent(columns, train.weight, [*[None] * has_intercept, *(names[column] for column in used)], place)
    estimator, seen = _estimator(shape, options), everything[:, used]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(seen, train.label, sample_weight=train.weight)
    if caught:
        raise DataError(
            f"the fit has not converged, and p-values would say nothing: {' '.join(str(caught[0].message).split())}",
            place=place,
            hint="raise max_iterations, or leave out what parts the classes without an error",
        )
    coefficients = np.zeros(everything.shape[1])
    coefficients[used] = np.ravel(estimator.coef_)
    intercept = float(np.ravel(estimator.intercept_)[0]) if has_intercept else 0.0
    linear = design.linear([intercept], coefficients[None], train.encoded, train.weight)
    weights = np.concatenate([[intercept] * has_intercept, coefficients[used]])
    sure = _Certainty.of(shape, columns, weights, train, place)
    parameters = replace(
        shape, linear=linear, p_values=_by_weight(shape, sure, weights, used.tolist(), has_intercept, design)
    )

    def expect(encoded: np.ndarray) -> Predictions:
        return expected(estimator, shape, design.expand(encoded)[:, used])

    told = []
    if sure.is_certain:
        told.append("some fitted probabilities are 0 or 1: a column may part the classes; its p-value says little then")
    n_done = int(np.max(np.atleast_1d(getattr(estimator, "n_iter_", 1))))
    return Fitted(parameters, expect, one_row(shape, expect, train, evaluation, n_done), told)


@dataclass(frozen=True, eq=False)
class _Certainty:
    """The covariance of the weights, and whether some fitted probabilities are 0 or 1."""

    covariance: np.ndarray
    is_certain: bool

    @classmethod
    def of(cls, shape: Parameters, columns: Any, weights: np.ndarray, train: Sample, place: str | None) -> _Certainty:
        import numpy as np

        row_weights = np.ones(len(train)) if train.weight is None else train.weight
        predicted = np.asarray(columns @ weights).ravel()
        if shape.task == "binary":
            probability = 1.0 / (1.0 + np.exp(-np.maximum(predicted, -709.0)))
            information = probability * (1.0 - probability)
            is_certain = bool((np.minimum(probability, 1.0 - probability) < _CERTAIN).any())
            return cls(_inverse(_gram(columns, row_weights * information)), is_certain)
        degrees = float(row_weights.sum()) - len(weights)
        if degrees <= 0:
            raise DataError(
                f"{row_weights.sum():,.0f} rows are too few to say how sure {len(weights):,} weights are", place=place
            )
        residual = train.label - predicted
        variance = float((row_weights * residual * residual).sum()) / degrees
        return cls(variance * _inverse(_gram(columns, row_weights)), False)

    def p_value(self, weight: float, standard_error: float) -> float:
        """Return the probability of a weight at least as far from 0, if it were 0."""
        from scipy import stats

        if standard_error == 0:
            return 1.0 if weight == 0 else 0.0
        return float(2 * stats.norm.sf(abs(weight / standard_error)))


def _by_weight(
    shape: Parameters, sure: _Certainty, weights: np.ndarray, used: Sequence[int], has_intercept: bool, design: Design
) -> tuple[PValue, ...]:
    """Return one p-value for each weight that is stored; those of the reference and of constants are not estimated."""
    import numpy as np

    errors = np.sqrt(np.maximum(np.diag(sure.covariance), 0.0))
    owners = [shape.features[index] for index in design.owners()]
    positions = {column: has_intercept + position for position, column in enumerate(used)}
    found = [_NOT_ESTIMATED]
    if has_intercept:
        # In their own unit, a number x stands in the model as (x - mean) / stddev.
        moved = np.zeros(len(weights))
        moved[0] = 1.0
        for column, position in positions.items():
            if owners[column].encoding == "standard":
                moved[position] = -owners[column].mean / owners[column].stddev
        error = float(np.sqrt(max(float(moved @ sure.covariance @ moved), 0.0)))
        own = sure.p_value(float(weights[0]), float(errors[0]))
        found = [PValue(float(errors[0]), own, error, sure.p_value(float(moved @ weights), error))]
    columns = itertools.count()
    for feature in shape.features:
        for slot in range(feature.n_slots):
            if feature.reference == slot + 1:
                found.append(_NOT_ESTIMATED)
                continue
            column = next(columns)
            if column not in positions:
                found.append(_NOT_ESTIMATED)
                continue
            error, weight = float(errors[positions[column]]), float(weights[positions[column]])
            scale = feature.stddev if feature.encoding == "standard" else 1.0
            p_value = sure.p_value(weight, error)
            found.append(PValue(error, p_value, error / scale, p_value))
    return tuple(found)


def _estimator(shape: Parameters, options: Mapping[str, Any]) -> Any:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    has_intercept = options["FIT_INTERCEPT"]
    if shape.task == "regression":
        return LinearRegression(fit_intercept=has_intercept)
    # Newton's method: L-BFGS stops where the predictions are good, not where the information is exact.
    return LogisticRegression(
        C=float("inf"),
        solver="newton-cholesky",
        tol=_TOLERANCE,
        max_iter=options["MAX_ITERATIONS"],
        fit_intercept=has_intercept,
    )


def _columns(matrix: Any, has_intercept: bool) -> Any:
    """Return the design with a column of ones in front, if there is an intercept."""
    import numpy as np
    from scipy import sparse

    if not has_intercept:
        return matrix
    ones = np.ones((matrix.shape[0], 1))
    if sparse.issparse(matrix):
        return sparse.hstack([sparse.csr_matrix(ones), matrix]).tocsr()
    return np.hstack([ones, matrix])


def _gram(columns: Any, weights: np.ndarray) -> np.ndarray:
    """Return X' w X."""
    import numpy as np

    weighted = columns.multiply(weights[:, None]) if hasattr(columns, "multiply") else columns * weights[:, None]
    product = columns.T @ weighted
    found: np.ndarray = product.toarray() if hasattr(product, "toarray") else np.asarray(product)
    return found


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive definite matrix, its columns brought to one scale first."""
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    scale = np.sqrt(np.diag(gram))
    scales = np.outer(scale, scale)
    inverse: np.ndarray = cho_solve(cho_factor(gram / scales), np.eye(len(gram))) / scales
    return inverse


def _refuse_dependent(
    columns: Any, weights: np.ndarray | None, owners: Sequence[str | None], place: str | None
) -> None:
    """Refuse a column that the others determine: its weight could be anything."""
    import numpy as np
    from scipy.linalg import lapack

    gram = _gram(columns, np.ones(columns.shape[0]) if weights is None else weights)
    scale = np.sqrt(np.diag(gram))
    if scale.all():
        _, order, rank, _ = lapack.dpstrf(gram / np.outer(scale, scale), tol=_LEAST_OWN)
        dependent = (order[rank:] - 1).tolist()
    else:
        # Rows of weight 0 do not count, and all others have 0 here.
        dependent = np.flatnonzero(scale == 0).tolist()
    if not dependent:
        return
    name = next((owners[index] for index in dependent if owners[index] is not None), None)
    what = f'a column of "{name}"' if name else "the intercept"
    raise DataError(
        f"{what} is determined by the other columns, so that its weight has no standard error",
        place=place,
        hint=f'leave "{name}" out, or a column that says the same' if name else "fit_intercept = false",
    )
