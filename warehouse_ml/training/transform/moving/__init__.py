"""The expressions of TRANSFORM for the engine that the model was not trained on, wherever they mean the same there."""

from warehouse_ml.training.transform.moving.marks import is_own, mark_constant, mark_made, mark_own
from warehouse_ml.training.transform.moving.mover import Mover
from warehouse_ml.training.transform.moving.texts_of import Moved, texts_of
from warehouse_ml.training.transform.moving.values import UnmovableError

__all__ = ["Moved", "Mover", "UnmovableError", "is_own", "mark_constant", "mark_made", "mark_own", "texts_of"]
