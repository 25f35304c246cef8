"""The engines that run SQL, behind one small protocol."""

from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["Relation", "Warehouse"]
