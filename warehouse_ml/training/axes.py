"""The axes of a search: each hyperparameter seen as the numbers from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warehouse_ml.hparams import Hparam, HparamCandidates, HparamRange

__all__ = ["Axis", "Point"]

Point = dict[str, Any]
"""A value of each hyperparameter, by upper-case option."""

# What 0 stands for on a logarithmic scale; Google's value.
_ZERO = 1e-14
_DIGITS = 6


@dataclass(frozen=True)
class Axis:
    """One hyperparameter, seen as the numbers from 0 to 1."""

    name: str
    hparam: Hparam

    @property
    def n_values(self) -> float:
        """How many values there are, perhaps infinitely many."""
        if isinstance(self.hparam, HparamCandidates):
            return len(self.hparam.values)
        if not self.hparam.is_discrete:
            return math.inf
        return int(self.hparam.high - self.hparam.low) + 1

    def values(self) -> Sequence[Any]:
        """Return every value of what can be counted, in order."""
        if isinstance(self.hparam, HparamCandidates):
            return self.hparam.values
        if self.hparam.is_whole:
            return range(int(self.hparam.low), int(self.hparam.high) + 1)
        return (self.hparam.low,)

    def at(self, unit: float) -> Any:
        """Return the value at a number in [0, 1); of a range with few enough digits to be written by hand."""
        if self.n_values < math.inf:
            values = self.values()
            return values[min(int(unit * len(values)), len(values) - 1)]
        low, high = self._ends()
        value = low * (high / low) ** unit if self._is_log else low + unit * (high - low)
        return min(max(float(f"{value:.{_DIGITS}g}"), low), high)

    def unit(self, value: Any) -> list[float]:
        """Return a value as coordinates in which distance means something: a text has one for each candidate."""
        if isinstance(self.hparam, HparamCandidates):
            values = self.hparam.values
            if any(isinstance(item, str) for item in values):
                return [math.sqrt(0.5) * (item == value) for item in values]
            return [sorted(values).index(value) / max(len(values) - 1, 1)]
        low, high = self._ends()
        if low == high:
            return [0.0]
        if self._is_log:
            return [math.log(max(value, low) / low) / math.log(high / low)]
        return [(value - low) / (high - low)]

    def start(self, default: Any) -> Any:
        """Return the value closest to the default."""
        if isinstance(self.hparam, HparamCandidates):
            values = self.hparam.values
            if default in values or any(isinstance(item, str) for item in values):
                return default if default in values else values[0]
            return min(values, key=lambda value: abs(value - default))
        nearest = min(max(default, self.hparam.low), self.hparam.high)
        return int(nearest) if self.hparam.is_whole else float(nearest)

    @property
    def _is_log(self) -> bool:
        return isinstance(self.hparam, HparamRange) and self.hparam.is_log

    def _ends(self) -> tuple[float, float]:
        assert isinstance(self.hparam, HparamRange)
        if not self.hparam.is_log:
            return self.hparam.low, self.hparam.high
        return max(self.hparam.low, _ZERO), max(self.hparam.high, _ZERO)
