"""Two versions on the same requests: the difference of a metric, and whether it might be chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.spec import EvaluationSpec

if TYPE_CHECKING:
    from warehouse_ml.evaluation.steps import Steps

__all__ = ["write_comparisons"]

_SCRATCH = ("wml_pairs", "wml_paired", "wml_paired_cells", "wml_paired_ranking", "wml_paired_compared")

# Metrics that are the mean of a number of each request; paired_cells.sql says which.
_MEANS = {
    "binary": ("brier_score", "log_loss", "mean_prediction"),
    "regression": ("mean_absolute_error", "mean_squared_error", "mean_error"),
    "multiclass": (),
}


def write_comparisons(steps: Steps, spec: EvaluationSpec, columns: JoinColumns) -> None:
    """Compare each two versions of the windows that are due, over the requests that both answered.

    Rows of wml.comparisons, replaced where the same two were compared at the same clock. Sums are of weights where
    there are any, and ROC AUC is left out then.
    """
    has_ranking = spec.task == "binary" and columns.has_score and not columns.has_weight
    steps.run("pairs.sql")
    steps.run("paired_rows.sql")
    means = () if spec.task == "binary" and not columns.has_score else _MEANS[spec.task]
    names: dict[str, Any] = {"paired_means": means, "has_paired_ranking": has_ranking}
    steps.run("paired_cells.sql", **names)
    if has_ranking:
        steps.run("paired_ranking.sql")
    steps.run("paired_compared.sql", **names)
    steps.run("forget_comparisons.sql")
    steps.run("write_comparisons.sql")
    steps.drop(_SCRATCH)
