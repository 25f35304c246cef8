"""A project's history from one warehouse to another."""

from warehouse_ml.copying.copy import Copied, copy_history

__all__ = ["Copied", "copy_history"]
