"""A fitted model's parameters, and the two ways of turning them into predictions: SQL and arrays."""

from warehouse_ml.scoring.arrays import score_arrow
from warehouse_ml.scoring.compile import compile_scoring, scoring_path
from warehouse_ml.scoring.features import FittedFeature, check_columns
from warehouse_ml.scoring.parameters import Linear, Parameters, Trees
from warehouse_ml.scoring.parity import ParityReport, check_parity

__all__ = [
    "FittedFeature",
    "Linear",
    "Parameters",
    "ParityReport",
    "Trees",
    "check_columns",
    "check_parity",
    "compile_scoring",
    "score_arrow",
    "scoring_path",
]
