"""The estimators of scikit-learn that a SKLEARN model may be: as coefficients or trees, or else kept as they are.

A class is found by its name here, never by importing what a user wrote. scikit-learn itself is imported by training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from warehouse_ml.options.tables import CLASSIFIERS

__all__ = ["ESTIMATORS", "EstimatorSpec", "estimator_named", "is_classification"]

Form = Literal["linear", "tree", "forest", "gradient_boosting", "histogram_boosting", "kept"]


@dataclass(frozen=True)
class EstimatorSpec:
    """What is known of an estimator before scikit-learn is imported.

    Parameters
    ----------
    form : str
        What it becomes when it is fitted: ``linear``, ``tree``, ``forest``, ``gradient_boosting`` or
        ``histogram_boosting``; or ``kept``, as a file of skops, without SQL.
    is_classifier : bool
        Whether it tells classes apart; it predicts values otherwise.
    is_binary_only : bool
        Whether its probabilities of three and more classes cannot be told by our parameters.
    has_log_link : bool
        Whether it may predict the exponential of what it adds up.
    is_calibrated : bool
        Whether its probabilities are made by Platt's scaling of its decisions.
    fixed : mapping
        Parameters that must have one value; it is set if the user does not write it.
    """

    form: Form
    is_classifier: bool = False
    is_binary_only: bool = False
    has_log_link: bool = False
    is_calibrated: bool = False
    fixed: Mapping[str, object] = field(default_factory=dict)


_LINEAR = EstimatorSpec("linear")
_LOG_LINEAR = EstimatorSpec("linear", has_log_link=True)

ESTIMATORS: dict[str, EstimatorSpec] = {
    **{
        f"sklearn.linear_model.{name}": _LINEAR
        for name in (
            "LinearRegression",
            "Ridge",
            "Lasso",
            "ElasticNet",
            "Lars",
            "LassoLars",
            "OrthogonalMatchingPursuit",
            "BayesianRidge",
            "ARDRegression",
            "HuberRegressor",
            "TheilSenRegressor",
            "QuantileRegressor",
            "SGDRegressor",
        )
    },
    "sklearn.svm.LinearSVR": _LINEAR,
    **{
        f"sklearn.linear_model.{name}": _LOG_LINEAR
        for name in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")
    },
    "sklearn.linear_model.LogisticRegression": EstimatorSpec("linear", is_classifier=True),
    # Its other losses have no probabilities, and those of three classes are not a softmax.
    "sklearn.linear_model.SGDClassifier": EstimatorSpec(
        "linear", is_classifier=True, is_binary_only=True, fixed={"loss": "log_loss"}
    ),
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": EstimatorSpec("linear", is_classifier=True),
    "sklearn.tree.DecisionTreeRegressor": EstimatorSpec("tree"),
    "sklearn.tree.DecisionTreeClassifier": EstimatorSpec("tree", is_classifier=True),
    "sklearn.tree.ExtraTreeRegressor": EstimatorSpec("tree"),
    "sklearn.tree.ExtraTreeClassifier": EstimatorSpec("tree", is_classifier=True),
    "sklearn.ensemble.RandomForestRegressor": EstimatorSpec("forest"),
    "sklearn.ensemble.RandomForestClassifier": EstimatorSpec("forest", is_classifier=True),
    "sklearn.ensemble.ExtraTreesRegressor": EstimatorSpec("forest"),
    "sklearn.ensemble.ExtraTreesClassifier": EstimatorSpec("forest", is_classifier=True),
    "sklearn.ensemble.GradientBoostingRegressor": EstimatorSpec("gradient_boosting"),
    "sklearn.ensemble.GradientBoostingClassifier": EstimatorSpec("gradient_boosting", is_classifier=True),
    "sklearn.ensemble.HistGradientBoostingRegressor": EstimatorSpec("histogram_boosting", has_log_link=True),
    "sklearn.ensemble.HistGradientBoostingClassifier": EstimatorSpec("histogram_boosting", is_classifier=True),
    # A tree of neighbours would be memory addressed by what a file says; all rows are looked at instead.
    "sklearn.neighbors.KNeighborsRegressor": EstimatorSpec("kept", fixed={"algorithm": "brute"}),
    "sklearn.neighbors.KNeighborsClassifier": EstimatorSpec("kept", is_classifier=True, fixed={"algorithm": "brute"}),
    "sklearn.svm.SVR": EstimatorSpec("kept"),
    "sklearn.svm.NuSVR": EstimatorSpec("kept"),
    "sklearn.svm.SVC": EstimatorSpec("kept", is_classifier=True, is_calibrated=True),
    "sklearn.svm.NuSVC": EstimatorSpec("kept", is_classifier=True, is_calibrated=True),
    "sklearn.neural_network.MLPRegressor": EstimatorSpec("kept"),
    "sklearn.neural_network.MLPClassifier": EstimatorSpec("kept", is_classifier=True),
    "sklearn.gaussian_process.GaussianProcessRegressor": EstimatorSpec("kept"),
    "sklearn.gaussian_process.GaussianProcessClassifier": EstimatorSpec("kept", is_classifier=True),
    "sklearn.naive_bayes.GaussianNB": EstimatorSpec("kept", is_classifier=True),
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis": EstimatorSpec("kept", is_classifier=True),
    "sklearn.kernel_ridge.KernelRidge": EstimatorSpec("kept"),
}
"""By the full name of the class."""


def estimator_named(written: str) -> str | None:
    """Return the full name of the estimator that was written, with its module or without, in any case."""
    folded = written.casefold()
    for name in ESTIMATORS:
        if folded in (name.casefold(), name.rpartition(".")[2].casefold()):
            return name
    return None


def is_classification(model_type: str, options: Mapping[str, object]) -> bool:
    """Return whether a model of these options tells classes apart; False for a model without a label."""
    if model_type == "SKLEARN":
        return ESTIMATORS[str(options["ESTIMATOR"])].is_classifier
    return model_type in CLASSIFIERS
