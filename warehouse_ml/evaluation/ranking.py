"""The exact ranking metrics of every slice: rows are put in the order of their scores, some slices at a time."""

from __future__ import annotations

from collections.abc import Sequence

from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.steps import Steps

__all__ = ["SCRATCH", "rank"]

SCRATCH = (
    "wml_ranked_slices",
    "wml_combinations",
    "wml_ranked_rows",
    "wml_slice_members",
    "wml_ranked_positives",
    "wml_ranking",
)

_MOST_SORTED = 16_000_000
"""Rows, each counted once a slice set, that are sorted at once: about half a gigabyte."""


def rank(steps: Steps, spec: EvaluationSpec, columns: JoinColumns, n_rows: int) -> None:
    """Make ``wml_ranking``: ROC AUC, average precision and their variances of each unit and slice.

    Parameters
    ----------
    steps : Steps
        Its rows and bins must be there.
    spec : EvaluationSpec
    columns : JoinColumns
    n_rows : int
        The rows of all windows that are due.
    """
    if columns.has_weight:
        steps.run("ranking_weighted.sql")
        return
    for file in ("ranking_slices.sql", "ranking_combinations.sql", "ranking_rows.sql"):
        steps.run(file)
    size = max(1, _MOST_SORTED // max(n_rows, 1))
    for index, some in enumerate(_batches(range(1 + len(spec.groupings)), size)):
        for file in ("ranking_members.sql", "ranking_positives.sql", "ranking.sql"):
            steps.run(file, some=some, is_first=index == 0)


def _batches(items: Sequence[int], size: int) -> list[list[int]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
