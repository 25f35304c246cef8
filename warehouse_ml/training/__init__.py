"""From a definition and its rows to a published version."""

from warehouse_ml.training.native_made import export_there
from warehouse_ml.training.plan import TrainingPlan, plan_training
from warehouse_ml.training.subject import Subject, dataset_of, max_training_rows, subject_of
from warehouse_ml.training.train import PROMOTIONS, Guard, Trained, train
from warehouse_ml.training.trying import Tried, try_out

__all__ = [
    "PROMOTIONS",
    "Guard",
    "Subject",
    "Trained",
    "TrainingPlan",
    "Tried",
    "dataset_of",
    "export_there",
    "max_training_rows",
    "plan_training",
    "subject_of",
    "train",
    "try_out",
]
