"""The loop: its steps over an open project, and the weekly job that strings them together."""

from warehouse_ml.loop.deciding import Decision, fallback_step, promote_step, remove_step, rollback_step
from warehouse_ml.loop.experiments import model_names, plan_step, try_step
from warehouse_ml.loop.job import WeeklyRun, run_job
from warehouse_ml.loop.learning import train_step
from warehouse_ml.loop.retrain import Due, Retrained, Retraining, ask_step, named, plan, retrain, retrain_due
from warehouse_ml.loop.steps import (
    TestResult,
    build_step,
    evaluate_step,
    predict_step,
    test_step,
)

__all__ = [
    "Decision",
    "Due",
    "Retrained",
    "Retraining",
    "TestResult",
    "WeeklyRun",
    "ask_step",
    "build_step",
    "evaluate_step",
    "fallback_step",
    "model_names",
    "named",
    "plan",
    "plan_step",
    "predict_step",
    "promote_step",
    "remove_step",
    "retrain",
    "retrain_due",
    "rollback_step",
    "run_job",
    "test_step",
    "train_step",
    "try_step",
]
