"""SQL-first, warehouse-native machine learning."""

__version__ = "0.1.0"
