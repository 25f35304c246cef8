"""From a definition and its rows to a published version."""

from warehouse_ml.training.train import PROMOTIONS, Subject, Trained, subject_of, train

__all__ = ["PROMOTIONS", "Subject", "Trained", "subject_of", "train"]
