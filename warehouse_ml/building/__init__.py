"""Relations: templates to views and tables, in order."""

from warehouse_ml.building.build import Built, build

__all__ = ["Built", "build"]
