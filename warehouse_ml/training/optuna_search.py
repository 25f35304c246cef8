"""The next point as Optuna's tree-structured Parzen estimator proposes it; the only module that imports Optuna."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DefinitionError, Place
from warehouse_ml.hparams import HparamCandidates

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from warehouse_ml.training.axes import Axis, Point

__all__ = ["most_promising", "need_optuna"]

# Optuna's own number of random points, which is half of a short search.
_FIRST_POINTS = 10
# How often a point that is known is drawn again before the search gives up on new ones.
_MOST_DRAWS = 20


def need_optuna(place: Place = None) -> None:
    """Refuse a search that asks for Optuna where it is not installed.

    Raises
    ------
    DefinitionError
        With the line that installs it.
    """
    if find_spec("optuna") is None:
        raise DefinitionError(
            "hparam_tuning_algorithm = 'optuna_tpe' needs the package optuna, which is not installed",
            place=place,
            hint="pip install 'warehouse-ml[optuna]', or leave hparam_tuning_algorithm out",
        )


def most_promising(
    axes: Sequence[Axis], tried: Sequence[tuple[Point, float | None]], n_trials: int, seed: int
) -> Point | None:
    """Return the point that Optuna's TPE sampler would try next.

    Everything is told to a new study each time, and the seed moves on with the number of points. So the answer hangs on
    what was tried alone, and a search that was stopped goes on as if it had not been.

    Parameters
    ----------
    axes : sequence of Axis
    tried : sequence of (point, score)
        More is better; None if it failed, which counts as the worst of all, so that the search keeps away from it.
    n_trials : int
        How many there will be at the most: at least half of them follow the results.
    seed : int

    Returns
    -------
    dict or None
        None if nothing new was drawn.
    """
    import optuna

    known = [point for point, _ in tried]
    worst = min((score for _, score in tried if score is not None), default=0.0)
    n_first = max(1, min(_FIRST_POINTS, math.ceil(n_trials / 2)))
    spaces = {axis.name: _distribution(axis) for axis in axes}
    was_shown = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        for draw in range(_MOST_DRAWS):
            sampler = optuna.samplers.TPESampler(n_startup_trials=n_first, seed=seed + len(tried) * _MOST_DRAWS + draw)
            study = optuna.create_study(sampler=sampler, direction="maximize")
            for point, score in tried:
                told = {axis.name: _inside(axis, point[axis.name]) for axis in axes}
                value = worst if score is None else score
                study.add_trial(optuna.trial.create_trial(params=told, distributions=spaces, value=value))
            asked = study.ask(spaces)
            found = {axis.name: _outside(axis, asked.params[axis.name]) for axis in axes}
            if found not in known:
                return found
    finally:
        optuna.logging.set_verbosity(was_shown)
    return None


def _distribution(axis: Axis) -> BaseDistribution:
    """Return a space of Optuna's: candidates by number, whole numbers as such, others from 0 to 1 on their scale."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis.hparam, HparamCandidates):
        return CategoricalDistribution(tuple(range(len(axis.hparam.values))))
    if axis.hparam.is_whole:
        return IntDistribution(int(axis.hparam.low), int(axis.hparam.high))
    return FloatDistribution(0.0, 1.0)


def _inside(axis: Axis, value: Any) -> Any:
    if isinstance(axis.hparam, HparamCandidates):
        return axis.hparam.values.index(value)
    if axis.hparam.is_whole:
        return int(value)
    return min(max(axis.unit(value)[0], 0.0), 1.0)


def _outside(axis: Axis, told: Any) -> Any:
    if isinstance(axis.hparam, HparamCandidates):
        return axis.hparam.values[told]
    return int(told) if axis.hparam.is_whole else axis.at(told)
