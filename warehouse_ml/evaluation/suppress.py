"""Hide in ``wml_metric`` what tells of slices that are too small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warehouse_ml.evaluation.spec import EvaluationSpec
from warehouse_ml.evaluation.suppression import FAMILIES, Slices, hidden_schema, hidden_slices, protected

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from warehouse_ml.evaluation.steps import Steps

__all__ = ["hidden_classes", "suppress"]

_CLASS_MEANS = (
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_weighted",
    "f1_weighted",
)
"""Means over the classes of a slice; what is not here, such as recall_weighted, is the accuracy."""

_MEANS = "means of classes"
# Of two classes three numbers are unknown: those that are right, labelled and called the first; what the two have in
# common is known. The means are five equations. Of three classes they are too few.
_TOLD_BY_MEANS = 2


def suppress(steps: Steps, spec: EvaluationSpec) -> None:
    """Hide what tells of slices that are too small, in ``wml_metric``.

    Parameters
    ----------
    steps : Steps
        With ``wml_rows``, ``wml_cells`` and ``wml_metric`` at hand.
    spec : EvaluationSpec
        Its ``groupings`` are the keys whose slices are shown.
    """
    import pyarrow as pa

    n_families = 3 if spec.task == "binary" else 1
    hidden = hidden_slices(steps.fetch_arrow("suppression_cells.sql"), spec, n_families)
    if spec.task == "multiclass":
        classes = hidden_classes(steps.fetch_arrow("suppression_classes.sql"), hidden, spec)
        hidden = pa.concat_tables([hidden, classes, _hidden_means(hidden, classes)])
    if hidden.num_rows:
        steps.load("wml_hidden", hidden)
        means = dict.fromkeys(_CLASS_MEANS, _MEANS) if spec.task == "multiclass" else {}
        steps.run("suppress.sql", families=FAMILIES[spec.task], n_families=n_families, means=means)


def _hidden_means(hidden: pa.Table, classes: pa.Table) -> pa.Table:
    """Return the slices whose means over classes are hidden: with all else, or as they would tell two classes."""
    import pyarrow as pa

    found = {_slice(row): row for row in hidden.to_pylist() if not row["scope"]}
    of_slice: dict[tuple[int, int, str], list[dict[str, Any]]] = {}
    for row in classes.to_pylist():
        of_slice.setdefault(_slice(row), []).append(row)
    for place, rows in of_slice.items():
        if len(rows) <= _TOLD_BY_MEANS:
            found.setdefault(place, min(rows, key=lambda row: int(row["small_from"])))
    return pa.Table.from_pylist([{**row, "scope": _MEANS} for row in found.values()], hidden_schema())


def _slice(row: dict[str, Any]) -> tuple[int, int, str]:
    return row["unit"], row["slice_set"], row["slice_value"]


def hidden_classes(cells: pa.Table, hidden: pa.Table, spec: EvaluationSpec) -> pa.Table:
    """Return the classes of each slice whose rates are hidden.

    The rates of a class tell how many rows have it, are called it, and both. These numbers add up over slices, and over
    classes to the rows of a slice, which are shown: a class that is too small hides another of its slice, or two.

    Parameters
    ----------
    cells : pyarrow.Table
        unit, the slice columns, class, n_labelled and n_predicted of each finest cell.
    hidden : pyarrow.Table
        What ``hidden_slices`` found.
    spec : EvaluationSpec

    Returns
    -------
    pyarrow.Table
        As ``hidden``; scope is ``'[class]'``.
    """
    import numpy as np
    import pyarrow as pa

    units = cells.column("unit").to_numpy()
    names = cells.column("class").to_pylist()
    positions = {column: cells.column(f"slice_{i}").to_pylist() for i, column in enumerate(spec.slice_columns)}
    labelled, predicted = (cells.column(name).to_numpy().astype(float) for name in ("n_labelled", "n_predicted"))
    whole = {(row["unit"], row["slice_set"], row["slice_value"]) for row in hidden.to_pylist() if not row["scope"]}
    keys: list[tuple[str, ...]] = [(), *spec.groupings]
    found: list[dict[str, Any]] = []
    for unit in np.unique(units):
        rows = np.flatnonzero(units == unit)
        values = [[", ".join(positions[name][row] for name in key) for row in rows] for key in keys]
        slices, place = _class_slices(values, [names[row] for row in rows], labelled[rows] + predicted[rows])
        n = len(slices.key)
        sides = [
            np.bincount(slices.member.ravel(), np.tile(side[rows], len(slices.member)), n)
            for side in (labelled, predicted)
        ]
        small = np.zeros(n, dtype=bool)
        for side in sides:
            small |= (side > 0) & (side < spec.min_slice_size)
        small &= ~slices.fixed
        of_hidden = np.array([(int(unit), key, value) in whole for key, value, _ in place]) & ~slices.fixed
        for slice_ in np.flatnonzero(protected(slices, small | of_hidden)):
            key, value, name = place[slice_]
            found.append(
                {
                    "unit": int(unit),
                    "slice_set": key,
                    "slice_value": value,
                    "scope": f"[{name}]",
                    "hidden_from": 1,
                    "small_from": 1 if small[slice_] else 2,
                }
            )
    return pa.Table.from_pylist(found, hidden_schema())


def _class_slices(
    values: list[list[str]], names: list[str], n_rows: np.ndarray
) -> tuple[Slices, list[tuple[int, str, str | None]]]:
    """Return the slices of every key, which are always shown, then those of every key and class; and what each is."""
    import numpy as np

    members: list[list[int]] = []
    place: list[tuple[int, str, str | None]] = []
    of_key: list[int] = []
    fixed: list[bool] = []
    for with_class in (False, True):
        for key, texts in enumerate(values):
            known: dict[tuple[str, str | None], int] = {}
            own = [(text, name if with_class else None) for text, name in zip(texts, names, strict=True)]
            for item in own:
                if item not in known:
                    known[item] = len(place)
                    place.append((key, *item))
                    of_key.append(len(members))
                    fixed.append(not with_class or key == 0)
            members.append([known[item] for item in own])
    member = np.array(members)
    sums = np.bincount(member.ravel(), np.tile(n_rows, len(member)), len(place))
    return Slices(member, np.array(of_key), sums, np.array(fixed)), place
