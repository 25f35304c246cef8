"""Which hyperparameters to try next: the points of a grid, random ones, or those a model of the results points to.

``VIZIER_DEFAULT`` stands for the service that BigQuery ML asks. It is not here, so under its name

1. the first half of the trials, three at the least, starts from the defaults and goes on with Halton's sequence,
   which covers the space evenly;
2. each further trial is the point where a Gaussian process, fitted to the results so far, expects the largest
   improvement over the best of them (Jones, Schonlau and Welch, 1998).

``OPTUNA_TPE`` leaves the second step to Optuna's tree-structured Parzen estimator; it also starts from the defaults.

Nothing is carried over from one model's tuning to the next.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from warehouse_ml.hparams import Tuning
from warehouse_ml.training.axes import Axis, Point
from warehouse_ml.training.estimators import SEED
from warehouse_ml.training.optuna_search import most_promising

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Search", "expected_improvement"]

_POOL = 2_048
_MOST_DRAWS = 2_000
_FIRST_POINTS = 3
_TAIL = 3.0
_NOISE = (1e-8, 1.0)
_LENGTHS = (0.05, 20.0)


class Search:
    """Proposes one point after another.

    Parameters
    ----------
    tuning : Tuning
    defaults : mapping
        By option; the search starts from these, or as close to them as the space allows.
    """

    def __init__(self, tuning: Tuning, defaults: Mapping[str, Any]) -> None:
        self._tuning = tuning
        self._axes = [Axis(name, hparam) for name, hparam in tuning.space.items()]
        self._defaults = defaults
        self._units = self._draw() if tuning.algorithm == "RANDOM_SEARCH" else self._spread()

    @property
    def size(self) -> float:
        """How many points the space has; infinite if any hyperparameter is a range of numbers."""
        return math.prod(axis.n_values for axis in self._axes)

    def propose(self, tried: Sequence[tuple[Point, float | None]]) -> Point | None:
        """Return the next point.

        Parameters
        ----------
        tried : sequence of (point, score)
            Every point so far in the order proposed, and how good it was: more is better, None if it failed.

        Returns
        -------
        dict or None
            None when every point of the space has been tried, or no other one can be found.
        """
        known = [point for point, _ in tried]
        if len(known) >= self.size:
            return None
        if self._tuning.algorithm == "GRID_SEARCH":
            return next(itertools.islice(self._grid(), len(known), None))
        if not known:
            return {axis.name: axis.start(self._defaults[axis.name]) for axis in self._axes}
        if self._tuning.algorithm == "OPTUNA_TPE":
            found = most_promising(self._axes, tried, self._tuning.n_trials, SEED)
            counted = self._grid() if self.size < math.inf else iter(())
            return found or next((point for point in counted if point not in known), None)
        scores = [score for _, score in tried if score is not None]
        n_first = max(_FIRST_POINTS, math.ceil(self._tuning.n_trials / 2))
        if self._tuning.algorithm == "RANDOM_SEARCH" or len(known) < n_first or len(scores) < 2:
            drawn = itertools.islice(self._units, _MOST_DRAWS)
            counted = self._grid() if self.size < math.inf else iter(())
            return next((point for point in itertools.chain(drawn, counted) if point not in known), None)
        return self._most_promising(tried)

    def _grid(self) -> Iterator[Point]:
        """Yield every point; the hyperparameter written last changes fastest."""
        for values in itertools.product(*(axis.values() for axis in self._axes)):
            yield dict(zip((axis.name for axis in self._axes), values, strict=True))

    def _draw(self) -> Iterator[Point]:
        import numpy as np

        random = np.random.default_rng(SEED)
        while True:
            yield self._at(random.random(len(self._axes)))

    def _spread(self) -> Iterator[Point]:
        from scipy.stats.qmc import Halton

        # Not scrambled, so that nothing hangs on a generator; the first point would be all 0.
        sequence = Halton(d=len(self._axes), scramble=False).fast_forward(1)
        while True:
            yield from map(self._at, sequence.random(_POOL))

    def _at(self, units: Sequence[float] | np.ndarray) -> Point:
        return {axis.name: axis.at(float(unit)) for axis, unit in zip(self._axes, units, strict=True)}

    def _coordinates(self, points: Sequence[Point]) -> np.ndarray:
        import numpy as np

        return np.array([[x for axis in self._axes for x in axis.unit(point[axis.name])] for point in points])

    def _most_promising(self, tried: Sequence[tuple[Point, float | None]]) -> Point | None:
        import numpy as np

        known = [point for point, _ in tried]
        pool, places = self._pool
        is_new = np.array([point not in known for point in pool])
        if not is_new.any():
            return None
        worst = min(score for _, score in tried if score is not None)
        # A point that failed counts as the worst, which keeps the search away from its neighbours.
        scores = np.array([worst if score is None else score for _, score in tried])
        best, middle = scores.max(), np.median(scores)
        if best > middle:
            # One very bad result would hide how the good ones differ.
            scores = np.maximum(scores, middle - _TAIL * (best - middle))
        mean, deviation = _surrogate(self._coordinates(known), scores, places)
        gain = expected_improvement(mean, deviation, float(best))
        return pool[int(np.argmax(np.where(is_new, gain, -1.0)))]

    @cached_property
    def _pool(self) -> tuple[list[Point], np.ndarray]:
        """What the most promising point is chosen from: every point, or as many as cover the space."""
        points = list(self._grid() if self.size <= _POOL else itertools.islice(self._spread(), _POOL))
        return points, self._coordinates(points)


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Return the mean of max(0, value - best) over normal values.

    Parameters
    ----------
    mean, deviation : float64 arrays of shape (n,)
    best : float

    Returns
    -------
    float64 array of shape (n,)
    """
    import numpy as np
    from scipy.stats import norm

    gain = mean - best
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gain / deviation
        improvement = gain * norm.cdf(ratio) + deviation * norm.pdf(ratio)
    found: np.ndarray = np.where(deviation > 0, improvement, np.maximum(gain, 0.0))
    return found


def _surrogate(known: np.ndarray, scores: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a Gaussian process to the scores; return the mean and standard deviation of what is behind their noise."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    lengths = np.full(known.shape[1], 0.5)
    kernel = ConstantKernel() * Matern(lengths, _LENGTHS, nu=2.5) + WhiteKernel(1e-4, _NOISE)
    process = GaussianProcessRegressor(kernel, random_state=SEED)
    centre, scale = scores.mean(), scores.std() or 1.0
    # One thread is the fastest for so few numbers, and adds them in one order.
    with warnings.catch_warnings(), threadpool_limits(1):
        # A hyperparameter without an effect has no length: the fit stops at the bound, as it should.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(known, (scores - centre) / scale)
        mean, deviation = process.predict(pool, return_std=True)
    noise = process.kernel_.k2.noise_level
    return centre + scale * mean, scale * np.sqrt(np.maximum(deviation**2 - noise, 0.0))
