"""The ``ml.*`` table functions: found in a query, answered, and replaced by plain SQL of the target."""

from warehouse_ml.functions.call import Context
from warehouse_ml.functions.expand import Expanded, expand
from warehouse_ml.functions.install import install_predictions
from warehouse_ml.functions.reader import Reader, placing
from warehouse_ml.functions.snapshot import held_out_side

__all__ = ["Context", "Expanded", "Reader", "expand", "held_out_side", "install_predictions", "placing"]
