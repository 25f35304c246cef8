"""BigQuery ML's training options: what each model type takes, its default and range, and what is honoured here.

Nothing is dropped in silence: an option that cannot be honoured is refused unless its value changes nothing.
scikit-learn is not imported, because options are checked whenever a project is read.
"""

from warehouse_ml.options.estimators import ESTIMATORS, EstimatorSpec, is_classification
from warehouse_ml.options.resolve import resolve_options
from warehouse_ml.options.tables import CLASSIFIERS, MODEL_TYPES, OPTIONS, OWN, UNLABELLED, Option

__all__ = [
    "CLASSIFIERS",
    "ESTIMATORS",
    "MODEL_TYPES",
    "OPTIONS",
    "OWN",
    "UNLABELLED",
    "EstimatorSpec",
    "Option",
    "is_classification",
    "resolve_options",
]
