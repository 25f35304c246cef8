"""Which version serves: decisions as lines of the ledger, each with its reason."""

from warehouse_ml.decisions.decide import Decided, fall_back, promote, remove, roll_back
from warehouse_ml.decisions.names import check_alias, known_model, version_named

__all__ = ["Decided", "check_alias", "fall_back", "known_model", "promote", "remove", "roll_back", "version_named"]
