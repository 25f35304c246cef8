"""The names of the metrics, by task."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["AT_THRESHOLDS", "BETTER", "METRICS"]

_OF_ANY_TASK = ("n_requests", "n_labelled", "label_coverage")

METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": (
        *_OF_ANY_TASK,
        *("n_positive", "true_positives", "false_positives", "true_negatives", "false_negatives"),
        *("selection_rate", "prevalence", "accuracy", "balanced_accuracy", "precision", "recall", "specificity"),
        *("false_positive_rate", "false_negative_rate", "npv", "false_discovery_rate", "false_omission_rate"),
        *("f1_score", "matthews_correlation_coefficient", "roc_auc", "average_precision", "kolmogorov_smirnov"),
        *(
            "log_loss",
            "brier_score",
            "expected_calibration_error",
            "calibration_ratio",
            "mean_prediction",
            "mean_label",
        ),
    ),
    "multiclass": (
        *_OF_ANY_TASK,
        *("accuracy", "balanced_accuracy"),
        *(f"{name}_{how}" for name in ("precision", "recall", "f1") for how in ("macro", "micro", "weighted")),
    ),
    "regression": (
        *_OF_ANY_TASK,
        *("mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "mean_squared_log_error"),
        *("median_absolute_error", "r2_score", "explained_variance", "mean_error", "mean_prediction", "mean_label"),
    ),
}
"""What ``wml.metrics`` holds of every slice."""

BETTER: Mapping[str, tuple[str, ...]] = {
    "higher": (
        *("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "npv", "f1_score"),
        *("matthews_correlation_coefficient", "roc_auc", "average_precision", "kolmogorov_smirnov"),
        *("r2_score", "explained_variance"),
        *(f"{name}_{how}" for name in ("precision", "recall", "f1") for how in ("macro", "micro", "weighted")),
        "label_coverage",
    ),
    "lower": (
        *("false_positive_rate", "false_negative_rate", "false_discovery_rate", "false_omission_rate"),
        *("log_loss", "brier_score", "expected_calibration_error"),
        *("mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "mean_squared_log_error"),
        "median_absolute_error",
    ),
}
"""Which way a metric is better, of those that have one."""

AT_THRESHOLDS = (
    "selection_rate",
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "false_positive_rate",
    "false_negative_rate",
)
"""The rates that are computed at further thresholds too, as ``recall@0.3``."""
