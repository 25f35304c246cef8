"""What is compared between the groups of a slice, and with which of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse_ml.evaluation.spec import EvaluationSpec

if TYPE_CHECKING:
    from warehouse_ml.evaluation.steps import Steps

__all__ = ["CRITERIA", "METRICS", "write_fairness"]

METRICS = {
    "binary": (
        "selection_rate",
        "recall",
        "false_positive_rate",
        "precision",
        "accuracy",
        "false_negative_rate",
        "false_discovery_rate",
        "false_omission_rate",
        "balanced_accuracy",
        "f1_score",
        "roc_auc",
        "log_loss",
        "mean_prediction",
    ),
    "multiclass": ("accuracy", "balanced_accuracy", "recall_macro", "f1_macro"),
    "regression": ("mean_error", "mean_absolute_error", "root_mean_squared_error", "mean_prediction"),
}
"""What is compared, of each task."""

CRITERIA = {
    "demographic_parity": "selection_rate",
    "equal_opportunity": "recall",
    "predictive_equality": "false_positive_rate",
    "predictive_parity": "precision",
}
"""Names of criteria that ask for one metric to be equal; equalized odds asks for two."""

_PROPORTIONS = (
    "selection_rate",
    "recall",
    "false_positive_rate",
    "precision",
    "accuracy",
    "false_negative_rate",
    "false_discovery_rate",
    "false_omission_rate",
)
# A mean over everything is the weighted mean of a group's and the rest's.
_MEANS = ("log_loss", "mean_prediction", "mean_error", "mean_absolute_error")
_LOWER_IS_BETTER = (
    "false_positive_rate",
    "false_negative_rate",
    "false_discovery_rate",
    "false_omission_rate",
    "log_loss",
    "mean_absolute_error",
    "root_mean_squared_error",
    "mean_error",
)


def write_fairness(steps: Steps, spec: EvaluationSpec) -> None:
    """Write ``wml.fairness`` and ``wml.disparities`` of the due windows.

    Parameters
    ----------
    steps : Steps
        With ``wml_metric`` as it is shown, and ``wml_rows`` if the spec has a control.
    spec : EvaluationSpec
    """
    metrics = METRICS[spec.task]
    names: dict[str, Any] = {
        "metrics": metrics,
        "proportions": _PROPORTIONS,
        "means": _MEANS,
        "lower_is_better": _LOWER_IS_BETTER,
        "references": {key: spec.reference.get(key, "majority") for key in map(", ".join, spec.slices)},
        "n_slices": len(spec.slices),
        "has_control": bool(spec.control),
        "criteria": CRITERIA,
    }
    if spec.control:
        steps.run("strata.sql", strata=_strata(spec))
    for file in ("fairness_compared.sql", "fairness_tested.sql", "write_fairness.sql", "write_disparities.sql"):
        steps.run(file, **names)


def _strata(spec: EvaluationSpec) -> list[dict[str, Any]]:
    """Return what is compared within a control: each slice that has other columns too."""
    positions = {column: f"slice_{index}" for index, column in enumerate(spec.slice_columns)}
    sets = [frozenset(), *(frozenset(names) for names in spec.groupings)]
    orders = [(), *spec.groupings]
    strata = []
    for control in spec.control:
        for slice_ in spec.slices:
            # A slice by the control itself has one group in each stratum: there is nothing to compare.
            rest = [name for name in slice_ if name not in control]
            if not rest:
                continue
            both = sets.index(frozenset(slice_) | frozenset(control))
            whole = sets.index(frozenset(control))
            strata.append(
                {
                    "slice_set": both,
                    "slice_names": [positions[name] for name in orders[both]],
                    "slice_key": ", ".join(slice_),
                    "names": [positions[name] for name in slice_],
                    "control_set": whole,
                    "control_key": ", ".join(control),
                    "control_names": [positions[name] for name in orders[whole]],
                }
            )
    return strata
