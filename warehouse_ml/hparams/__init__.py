"""Hyperparameters to be tuned: what CREATE MODEL says of them, checked and completed.

``hparam_range(low, high)`` and ``hparam_candidates([...])`` stand where an option has one value otherwise. What cannot
be honoured as a plain value of an option cannot be honoured by tuning it either.
"""

from warehouse_ml.hparams.resolve import resolve_tuned
from warehouse_ml.hparams.space import (
    HPARAM_FUNCTIONS,
    MAXIMISED,
    OBJECTIVES,
    TUNABLE,
    Hparam,
    HparamCandidates,
    HparamRange,
    Tuning,
    read_hparam,
)

__all__ = [
    "HPARAM_FUNCTIONS",
    "MAXIMISED",
    "OBJECTIVES",
    "TUNABLE",
    "Hparam",
    "HparamCandidates",
    "HparamRange",
    "Tuning",
    "read_hparam",
    "resolve_tuned",
]
