"""A fitted model's parameters, and the two ways of turning them into predictions: SQL and arrays."""

from warehouse_ml.scoring.arrays import score_arrow
from warehouse_ml.scoring.compile import compile_scoring, scoring_path
from warehouse_ml.scoring.features import FittedFeature, InputColumn, check_columns
from warehouse_ml.scoring.importance import importances
from warehouse_ml.scoring.parameters import Linear, Parameters, TransformOutput, Trees
from warehouse_ml.scoring.parity import ParityReport, check_parity
from warehouse_ml.scoring.transform import transform_select

__all__ = [
    "FittedFeature",
    "InputColumn",
    "Linear",
    "Parameters",
    "ParityReport",
    "TransformOutput",
    "Trees",
    "check_columns",
    "check_parity",
    "compile_scoring",
    "importances",
    "score_arrow",
    "scoring_path",
    "transform_select",
]
