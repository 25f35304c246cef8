"""The loop: its steps over an open project, and the weekly job that strings them together."""

from warehouse_ml.loop.experiments import model_names, plan_step, try_step
from warehouse_ml.loop.job import WeeklyRun, run_job
from warehouse_ml.loop.steps import (
    TestResult,
    build_step,
    evaluate_step,
    predict_step,
    test_step,
    train_step,
)

__all__ = [
    "TestResult",
    "WeeklyRun",
    "build_step",
    "evaluate_step",
    "model_names",
    "plan_step",
    "predict_step",
    "run_job",
    "test_step",
    "train_step",
    "try_step",
]
