"""Rules: SQL files that return a row when something is due."""

from warehouse_ml.rules.fire import Firing, fire

__all__ = ["Firing", "fire"]
