"""Evaluation: the join of request, prediction and true answer -> counts -> metrics, slices, fairness, drift."""

from __future__ import annotations

from warehouse_ml.evaluation.drift import DriftInput, window_before, write_drift
from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.late import reopened_since
from warehouse_ml.evaluation.measure import Measured, measure, measured
from warehouse_ml.evaluation.run import EvaluatedWindow, evaluate
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.worst import found_slices, worst_slices

__all__ = [
    "DriftInput",
    "EvaluatedWindow",
    "EvaluationSpec",
    "JoinColumns",
    "Measured",
    "evaluate",
    "found_slices",
    "measure",
    "measured",
    "reopened_since",
    "window_before",
    "worst_slices",
    "write_drift",
]
