"""SKLEARN: an estimator by name, fitted, and read into coefficients or trees of our own, or else kept as it is."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DataError, DefinitionError, did_you_mean
from warehouse_ml.options import ESTIMATORS, EstimatorSpec
from warehouse_ml.scoring.arrays import Predictions
from warehouse_ml.scoring.kept import dense
from warehouse_ml.scoring.parameters import Estimator, Parameters
from warehouse_ml.training.design import Design
from warehouse_ml.training.estimators import SEED, Fitted, Sample, expected, few_threads, one_row, without_empty_columns
from warehouse_ml.training.grown import boosted_trees, forest_trees, gradient_trees
from warehouse_ml.training.keep import keep, ready_to_keep

if TYPE_CHECKING:
    import numpy as np

__all__ = ["fit_sklearn", "make_estimator"]

# Set by us, or of no meaning where columns have no order that a user could know.
_OURS = frozenset(
    {"categorical_features", "copy_X_train", "interaction_cst", "kernel_params", "metric_params", "probability"}
    | {"monotonic_cst", "n_jobs", "random_state", "verbose", "warm_start"}
)


def make_estimator(name: str, params: Mapping[str, object], place: str | None = None) -> Any:
    """Return an estimator that is not fitted yet.

    Parameters
    ----------
    name : str
        A key of ``ESTIMATORS``.
    params : mapping
        Its parameters, by name; the random state is set.
    place : str, optional
        The definition, for errors.

    Raises
    ------
    DefinitionError
        If the estimator has no such parameter, or it cannot have this value.
    """
    spec = ESTIMATORS[name]
    module, _, short = name.rpartition(".")
    estimator = getattr(importlib.import_module(module), short)()
    known = set(estimator.get_params(deep=False))
    allowed = sorted(known - _OURS)
    for param, value in params.items():
        if param in _OURS & known:
            raise DefinitionError(f"the parameter {param} of {short} is not yours to set", place=place, has=allowed)
        if param not in known:
            raise DefinitionError(
                f'{short} has no parameter "{param}"', place=place, has=allowed, hint=did_you_mean(param, allowed)
            )
        if param in spec.fixed and value != spec.fixed[param]:
            raise DefinitionError(
                f"{param} = {value!r} of {short} cannot be honoured: {_why_fixed(spec)}",
                place=place,
                has=[repr(spec.fixed[param])],
            )
        if isinstance(value, Mapping):
            raise DefinitionError(
                f"the parameter {param} of {short} is a mapping, which cannot be honoured",
                place=place,
                hint="weigh rows with instance_weight_col" if param == "class_weight" else f"leave {param} out",
            )
    estimator.set_params(**{**spec.fixed, **params})
    if "random_state" in known:
        estimator.set_params(random_state=SEED)
    return estimator


def fit_sklearn(
    shape: Parameters, options: Mapping[str, Any], train: Sample, evaluation: Sample | None, place: str | None
) -> Fitted:
    """Fit a SKLEARN.

    Parameters
    ----------
    shape : Parameters
        The model without parameters.
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
    DefinitionError
        On a wrong parameter.
    DataError
        If the estimator refuses the rows, their weights, or the number of classes.
    """
    import numpy as np

    name = options["ESTIMATOR"]
    spec, short = ESTIMATORS[name], name.rpartition(".")[2]
    estimator = make_estimator(name, dict(options["PARAMS"] or ()), place)
    if spec.is_binary_only and shape.task == "multiclass":
        raise DataError(
            f"{short} tells two classes apart here, and the label has {len(shape.classes)}",
            place=place,
            hint="take sklearn.linear_model.LogisticRegression",
        )
    weights = {}
    if train.weight is not None:
        if "sample_weight" not in inspect.signature(estimator.fit).parameters:
            raise DataError(f"{short} takes no weights of rows", place=place, hint="leave instance_weight_col out")
        weights["sample_weight"] = train.weight
    design = Design(shape, len(train))

    def matrix_of(encoded: np.ndarray) -> Any:
        if spec.form == "kept":
            return dense(shape.features, encoded)
        return design.expand(encoded) if spec.form == "linear" else encoded

    if spec.form == "kept":
        if options.get("SCORING_PATH") == "SQL":
            raise DefinitionError(
                f"scoring_path = 'sql' cannot be honoured: {short} is scored by the estimator itself", place=place
            )
        estimator = ready_to_keep(name, estimator, place)
    matrix = matrix_of(train.encoded)
    if spec.form == "histogram_boosting":
        matrix = without_empty_columns(matrix)
    if spec.form == "forest":
        estimator.set_params(n_jobs=-1)
    with warnings.catch_warnings(record=True) as caught, few_threads(len(train)):
        warnings.simplefilter("always")
        try:
            estimator.fit(matrix, train.label, **weights)
        except (TypeError, ValueError) as error:
            told = " ".join(str(error).split())
            raise DataError(f"{short} cannot be fitted: {told}", place=place) from None
    if spec.form == "forest":
        # In parallel, trees are added in the order in which they finish.
        estimator.set_params(n_jobs=1)
    kept = Estimator(name, is_averaged=spec.form in ("tree", "forest"), link=_link(estimator, spec))
    parameters = _with_fitted(replace(shape, estimator=kept), spec, estimator, design, train)

    def expect(encoded: np.ndarray) -> Predictions:
        with few_threads(len(encoded)):
            return expected(estimator, shape, matrix_of(encoded))

    n_iterations = getattr(estimator, "n_iter_", None)
    n_done = 1 if n_iterations is None else int(np.max(np.atleast_1d(n_iterations)))
    told_once = list(dict.fromkeys(f"{short}: {' '.join(str(warning.message).split())}" for warning in caught))
    return Fitted(parameters, expect, one_row(shape, expect, train, evaluation, n_done), told_once)


def _why_fixed(spec: EstimatorSpec) -> str:
    return "its rows are searched one by one" if spec.form == "kept" else "its predictions are no probabilities"


def _with_fitted(shape: Parameters, spec: EstimatorSpec, estimator: Any, design: Design, train: Sample) -> Parameters:
    """Return the model with what the estimator has learned."""
    import numpy as np

    match spec.form:
        case "kept":
            return replace(
                shape, kept=keep(shape.estimator.name if shape.estimator else "", estimator, len(shape.classes))
            )
        case "linear":
            coefficients = np.atleast_2d(estimator.coef_)
            intercepts = np.broadcast_to(np.atleast_1d(estimator.intercept_), (shape.n_outputs,))
            return replace(shape, linear=design.linear(intercepts, coefficients, train.encoded, train.weight))
        case "histogram_boosting":
            return replace(shape, trees=boosted_trees(estimator))
        case "gradient_boosting":
            return replace(shape, trees=gradient_trees(estimator, shape))
        case _:
            return replace(shape, trees=forest_trees(estimator, shape))


def _link(estimator: Any, spec: EstimatorSpec) -> Any:
    """Return the link by which an output becomes a value."""
    if not spec.has_log_link:
        return "identity"
    if hasattr(estimator, "power"):
        return estimator.link if estimator.link != "auto" else "log" if estimator.power > 0 else "identity"
    # Poisson and gamma regressions have no other link; boosting has it for their losses.
    return "log" if getattr(estimator, "loss", "poisson") in ("poisson", "gamma") else "identity"
