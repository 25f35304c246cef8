"""TRANSFORM fitted: statistics of the training rows become constants, and expressions of one row are left."""

from warehouse_ml.training.transform.fit import FittedTransform, derived_columns, fit_transform, inputs_of
from warehouse_ml.training.transform.freeze import Rows, expand_items
from warehouse_ml.training.transform.moving import Moved

__all__ = ["FittedTransform", "Moved", "Rows", "derived_columns", "expand_items", "fit_transform", "inputs_of"]
