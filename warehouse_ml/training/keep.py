"""Keep an estimator as it is: freed of what only its training needed, and written by skops."""

from __future__ import annotations

from typing import Any

from warehouse_ml.errors import DefinitionError
from warehouse_ml.options import ESTIMATORS
from warehouse_ml.scoring.kept import Kept, checked, needs_skops

__all__ = ["keep", "ready_to_keep"]

# The state of an optimiser, and dice: predictions ask for none of it.
_OF_TRAINING = ("_optimizer", "_random_state", "_best_coefs", "_best_intercepts", "loss_curve_", "validation_scores_")
_DICE = ("rng", "_rng")


def ready_to_keep(name: str, estimator: Any, place: str | None) -> Any:
    """Return the estimator that is to be fitted: itself, or behind what makes its decisions probabilities.

    Raises
    ------
    DefinitionError
        If skops is not installed: said before the fit, not after it.
    """
    try:
        import skops.io  # noqa: F401 - only whether it is there
    except ImportError:
        raise DefinitionError(**needs_skops(name), place=place) from None
    if not ESTIMATORS[name].is_calibrated:
        return estimator
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(estimator, method="sigmoid", cv=5, ensemble=False)


def keep(name: str, estimator: Any, n_classes: int) -> Kept:
    """Return a fitted estimator as it is kept; the estimator itself is left as it is."""
    import copy

    import skops.io

    slim = copy.copy(estimator)
    for attribute in _OF_TRAINING:
        vars(slim).pop(attribute, None)
    _without_dice(slim)
    content = checked(skops.io.dumps(slim), name)
    return Kept(name, content, int(estimator.n_features_in_), n_classes)


def _without_dice(estimator: Any) -> None:
    """Take away the dice of a Gaussian process, and of those inside of it; copies stand in for what is changed."""
    import copy

    for attribute in _DICE:
        if attribute in vars(estimator):
            setattr(estimator, attribute, None)
    for attribute in ("base_estimator_", "estimator"):
        inner = vars(estimator).get(attribute)
        if inner is not None and hasattr(inner, "__dict__"):
            inner = copy.copy(inner)
            setattr(estimator, attribute, inner)
            _without_dice(inner)
    if "estimators_" in vars(estimator):
        estimator.estimators_ = [copy.copy(inner) for inner in estimator.estimators_]
        for inner in estimator.estimators_:
            _without_dice(inner)
