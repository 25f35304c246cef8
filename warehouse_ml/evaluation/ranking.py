"""The exact ranking metrics of every slice: rows are put in the order of their scores, some slices at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.steps import Steps

__all__ = ["SCRATCH", "rank"]

SCRATCH = ("wml_ranked_slices", "wml_ranked_rows", "wml_slice_members", "wml_ranking")

_MOST_SORTED = 16_000_000
"""Rows, each counted once a slice set, that are sorted at once: about a quarter of a gigabyte."""

_NARROW_BITS = 32
"""A sort key of so many bits is sorted in half the time of a longer one."""

_FEWEST_NARROW = 64
"""Slices that must fit into a narrow key: with fewer at a time, the rows would be read too often."""


def rank(steps: Steps, spec: EvaluationSpec, columns: JoinColumns) -> None:
    """Make ``wml_ranking``: ROC AUC, average precision and their variances of each unit and slice.

    Parameters
    ----------
    steps : Steps
        Its rows and bins must be there.
    spec : EvaluationSpec
    columns : JoinColumns
    """
    steps.run("ranking_slices.sql")
    if columns.has_weight:
        every: dict[str, Any] = {"some": list(range(1 + len(spec.groupings))), "first_slice": 0, "last_slice": 2**62}
        steps.run("ranking_members.sql", **every)
        steps.run("ranking_weighted.sql")
        return
    steps.run("ranking_rows.sql")
    sizes = steps.fetch("ranking_sizes.sql")
    # A key holds, above its lowest bits, the slice; in them, the place of the score and the label.
    n_bits = (2 * (sizes[0]["n_places"] if sizes else 0) + 1).bit_length()
    most_slices = 2 ** (_NARROW_BITS - n_bits) if n_bits < _NARROW_BITS else 0
    is_narrow = most_slices >= _FEWEST_NARROW
    keys = {
        "n_bits": n_bits,
        "slice_width": 2**n_bits,
        "is_narrow": is_narrow,
        "has_ties": bool(sizes) and sizes[0]["n_places"] < sizes[0]["n_rows"],
    }
    for index, batch in enumerate(_batches(sizes, most_slices if is_narrow else None)):
        for file in ("ranking_members.sql", "ranking.sql"):
            steps.run(file, **batch, **keys, is_first=index == 0)


def _batches(sizes: Sequence[Mapping[str, Any]], most_slices: int | None) -> Iterator[dict[str, Any]]:
    """Yield runs of slices, as few as can be, that are sorted together; without any slice, one of none."""
    some: list[int] = []
    first = last = n_rows = 0
    for size in sizes:
        step = most_slices or size["last_slice"]
        for start in range(size["first_slice"], size["last_slice"] + 1, step):
            end = min(size["last_slice"], start + step - 1)
            fits = n_rows + size["n_rows"] <= _MOST_SORTED and (not most_slices or end - first < most_slices)
            if some and not fits:
                yield {"some": some, "first_slice": first, "last_slice": last}
                some, n_rows = [], 0
            if not some:
                first = start
            some = [*some, size["slice_set"]]
            last = end
            n_rows += size["n_rows"]
    yield {"some": some or [0], "first_slice": first, "last_slice": last}
