"""What may be tuned, over which values and by which objective, as Google's overview of tuning documents it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse_ml.errors import DefinitionError, Place
from warehouse_ml.options import CLASSIFIERS

__all__ = [
    "HPARAM_FUNCTIONS",
    "MAXIMISED",
    "OBJECTIVES",
    "TUNABLE",
    "Hparam",
    "HparamCandidates",
    "HparamRange",
    "Tunable",
    "Tuning",
    "read_hparam",
]

HPARAM_FUNCTIONS = ("HPARAM_RANGE", "HPARAM_CANDIDATES")
"""What may stand for the value of an option that is tuned."""

_CLASSIFICATION = ("roc_auc", "precision", "recall", "accuracy", "f1_score", "log_loss")
_REGRESSION = (
    "r2_score",
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "explained_variance",
)
MAXIMISED = frozenset({"roc_auc", "precision", "recall", "accuracy", "f1_score", "r2_score", "explained_variance"})
"""The objectives of which more is better; of the others, less is."""


@dataclass(frozen=True)
class HparamRange:
    """Every number between two, both included.

    Parameters
    ----------
    low, high : float
    is_log : bool
        Whether numbers are spread evenly over the logarithm.
    is_whole : bool
        Whether only whole numbers are meant.
    """

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False

    @property
    def is_discrete(self) -> bool:
        """Whether the values can be counted."""
        return self.is_whole or self.low == self.high


@dataclass(frozen=True)
class HparamCandidates:
    """Some values, in the order written.

    Parameters
    ----------
    values : tuple of int, float or str
    """

    values: tuple[Any, ...]


Hparam = HparamRange | HparamCandidates


@dataclass(frozen=True)
class Tuning:
    """How hyperparameters are tuned.

    Parameters
    ----------
    n_trials : int
        At the most.
    algorithm : str
        VIZIER_DEFAULT, RANDOM_SEARCH, GRID_SEARCH or OPTUNA_TPE.
    objective : str or None
        One of ``OBJECTIVES``; None if none was written, which means the default of the model type.
    space : mapping of str to Hparam
        By option, upper case, in the order written.
    warnings : tuple of str
        What the user should know.
    """

    n_trials: int
    algorithm: str
    objective: str | None
    space: Mapping[str, Hparam]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tunable:
    """A hyperparameter, as it is documented.

    Parameters
    ----------
    is_log, is_whole : bool
        As of ``HparamRange``.
    is_word : bool
        Whether its values are texts, which have no range.
    default : tuple of float, optional
        The range where nothing else is written.
    """

    is_log: bool = False
    is_whole: bool = False
    is_word: bool = False
    default: tuple[float, float] | None = None


_PENALTY = Tunable(is_log=True, default=(0.0, 10.0))
_SHARE, _WORD = Tunable(), Tunable(is_word=True)
_LINEAR = {"L1_REG": _PENALTY, "L2_REG": _PENALTY}
_TREES = {
    "L1_REG": _PENALTY,
    "L2_REG": _PENALTY,
    "MAX_TREE_DEPTH": Tunable(is_whole=True, default=(1, 10)),
    "SUBSAMPLE": Tunable(default=(0.0, 1.0)),
    "MIN_SPLIT_LOSS": _SHARE,
    "NUM_PARALLEL_TREE": Tunable(is_whole=True),
    "MIN_TREE_CHILD_WEIGHT": Tunable(is_whole=True),
    "COLSAMPLE_BYTREE": _SHARE,
    "COLSAMPLE_BYLEVEL": _SHARE,
    "COLSAMPLE_BYNODE": _SHARE,
    "TREE_METHOD": _WORD,
}
_BOOSTED = {
    "LEARN_RATE": Tunable(default=(0.0, 1.0)),
    **_TREES,
    "DROPOUT": _SHARE,
    "BOOSTER_TYPE": _WORD,
    "DART_NORMALIZE_TYPE": _WORD,
}
_FOREST = {
    **_TREES,
    "MAX_TREE_DEPTH": Tunable(is_whole=True, default=(1, 20)),
    "NUM_PARALLEL_TREE": Tunable(is_whole=True, default=(2, 200)),
}
TUNABLE: dict[str, dict[str, Tunable]] = {
    "LINEAR_REG": _LINEAR,
    "LOGISTIC_REG": _LINEAR,
    "BOOSTED_TREE_CLASSIFIER": _BOOSTED,
    "BOOSTED_TREE_REGRESSOR": _BOOSTED,
    "RANDOM_FOREST_CLASSIFIER": _FOREST,
    "RANDOM_FOREST_REGRESSOR": _FOREST,
}
"""By model type, its hyperparameters."""

OBJECTIVES = {name: _CLASSIFICATION if name in CLASSIFIERS else _REGRESSION for name in TUNABLE}
"""By model type, the metrics that a tuning may go by; the first is the default."""


def read_hparam(function: str, arguments: Sequence[object], key: str, place: Place = None) -> Hparam:
    """Return what a call of ``hparam_range`` or ``hparam_candidates`` means.

    Parameters
    ----------
    function : str
        One of ``HPARAM_FUNCTIONS``, in any case.
    arguments : sequence
        Constants.
    key : str
        The option it is the value of.
    place : place, optional
        For errors.

    Raises
    ------
    DefinitionError
        If there is no range or nothing to choose from.
    """
    name, written = key.lower(), function.lower()
    if written == "hparam_range":
        ends: list[Any] = [value for value in arguments if _is_number(value)]
        if len(arguments) != 2 or len(ends) != 2:
            raise DefinitionError(
                f"{name} = hparam_range(...) needs two numbers",
                place=place,
                hint=f"{name} = hparam_range(low, high), or hparam_candidates([...]) for other values",
            )
        low, high = ends
        if low > high:
            raise DefinitionError(
                f"{name} = hparam_range({low}, {high}) is empty",
                place=place,
                hint=f"the lower end comes first: hparam_range({high}, {low})",
            )
        return HparamRange(low, high)
    values = arguments[0] if len(arguments) == 1 else None
    if not isinstance(values, (list, tuple)) or not values or not all(_is_number(v) or _is_text(v) for v in values):
        raise DefinitionError(
            f"{name} = hparam_candidates(...) needs one list of numbers or texts",
            place=place,
            hint=f"{name} = hparam_candidates([first, second])",
        )
    return HparamCandidates(tuple(values))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
