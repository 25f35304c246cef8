"""From a definition and its rows to a published version."""

from warehouse_ml.training.train import PROMOTIONS, Trained, define, train

__all__ = ["PROMOTIONS", "Trained", "define", "train"]
