"""The request log: every request that was scored, by which version, with the features as they were."""

from warehouse_ml.requests.predict import Predicted, predict

__all__ = ["Predicted", "predict"]
