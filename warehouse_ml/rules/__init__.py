"""Rules: SQL files that return a row when something is due."""

from warehouse_ml.rules.fire import EVENTS, INPUT_RETRAINED, Asked, Failure, Firing, ask, fire, record, rules_of

__all__ = ["EVENTS", "INPUT_RETRAINED", "Asked", "Failure", "Firing", "ask", "fire", "record", "rules_of"]
