"""Suppression that holds: which further slices are hidden, so that no hidden number follows from those shown.

Sums over slices add up, and every mean or rate is such a sum over a number of rows that is shown. So what is shown is a
system of linear equations in the finest cells, the combinations of all slice columns that occur, and a hidden slice can
be derived if and only if its sum is a combination of the sums shown. This holds for whoever knows which cells occur and
how many rows each slice has, and knows nothing of the sums but those shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse_ml.columns import numbers_of, table_of
from warehouse_ml.evaluation.spec import EvaluationSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["FAMILIES", "Slices", "hidden_slices", "protected"]

FAMILIES = {
    "binary": {
        1: ("selection_rate", "mean_prediction", "log_loss", "brier_score", "expected_calibration_error"),
        2: (
            "n_positive",
            "prevalence",
            "mean_label",
            "calibration_ratio",
            "average_precision",
            "roc_auc",
            "kolmogorov_smirnov",
        ),
    },
    "multiclass": {},
    "regression": {},
}
"""Metrics that tell each other, and those of every later family: a slice hides whole families, the last ones first.

Of a binary task all that is not named here, and compares decisions with answers, is the third. The numbers of rows,
positives and predicted positives, and any one further count, tell the whole confusion matrix.
"""

_EPSILON = 1e-6
_MOST_STEPS = 5000


@dataclass(frozen=True)
class Slices:
    """The slices of one unit over its finest cells.

    Parameters
    ----------
    member : array of int, shape (n_keys, n_cells)
        The slice that a cell is in, of each key; slices of all keys are numbered through. The first key is everything.
    key : array of int, shape (n_slices,)
        The key of each slice.
    n_rows : array of float, shape (n_slices,)
    fixed : array of bool, shape (n_slices,)
        Those that are always shown.
    """

    member: np.ndarray
    key: np.ndarray
    n_rows: np.ndarray
    fixed: np.ndarray


def hidden_slices(cells: pa.Table, spec: EvaluationSpec, n_families: int) -> pa.Table:
    """Return the slices of which something is hidden.

    Parameters
    ----------
    cells : pyarrow.Table
        unit, the slice columns, n_rows, n_positive, n_negative, n_selected and n_rejected of each finest cell; of
        further thresholds n_selected_1, n_rejected_1 and so on, and of own metrics over rows n_own_0 and so on.
    spec : EvaluationSpec
    n_families : int
        3 for a binary task, else 1.

    Returns
    -------
    pyarrow.Table
        unit, slice_set, slice_value; scope, the metrics that are meant: ``''`` for those of the families, ``'@0.3'``
        for the rates at a further threshold, or the name of an own metric; hidden_from, the first family that is
        hidden; small_from, the first that is hidden because the slice is too small, or ``n_families + 1``.
    """
    import numpy as np

    positions = {column: index for index, column in enumerate(spec.slice_columns)}
    keys = [(), *([positions[name] for name in names] for names in spec.groupings)]
    texts: list[list[str]] = [cells.column(f"slice_{index}").to_pylist() for index in range(len(positions))]
    codes = [_codes(text) for text in texts]
    counts = {name[2:]: numbers_of(cells.column(name)).astype(float) for name in cells.column_names if name[:2] == "n_"}
    found: dict[str, list[Any]] = {name: [] for name in hidden_schema().names}
    units = numbers_of(cells.column("unit"))
    for unit in np.unique(units):
        rows = np.flatnonzero(units == unit)
        slices = _slices(keys, [code[rows] for code in codes], counts["rows"][rows])
        sums = {name: _sums(slices.member, values[rows], len(slices.key)) for name, values in counts.items()}
        depths = _depths(slices, sums, spec, n_families)
        depths |= _own_depths(
            slices, {name: values[rows] for name, values in counts.items()}, depths[""][0], spec, n_families
        )
        # A cell of each slice tells its values.
        cell_of = np.empty(len(slices.key), dtype=np.int64)
        for member in slices.member:
            cell_of[member] = rows
        for scope, (hidden_from, small_from) in depths.items():
            hidden = np.flatnonzero(hidden_from <= n_families)
            for key in np.unique(slices.key[hidden]).tolist():
                own = hidden[slices.key[hidden] == key]
                parts = [[texts[index][cell] for cell in cell_of[own].tolist()] for index in keys[key]]
                found["unit"] += [int(unit)] * len(own)
                found["slice_set"] += [key] * len(own)
                found["slice_value"] += [", ".join(values) for values in zip(*parts, strict=True)]
                found["scope"] += [scope] * len(own)
                found["hidden_from"] += hidden_from[own].tolist()
                found["small_from"] += small_from[own].tolist()
    return table_of(found, hidden_schema())


def hidden_schema() -> pa.Schema:
    """Return the columns of what is hidden."""
    import pyarrow as pa

    texts = {"slice_value": pa.string(), "scope": pa.string()}
    names = ("unit", "slice_set", "slice_value", "scope", "hidden_from", "small_from")
    return pa.schema([(name, texts.get(name, pa.int64())) for name in names])


def _codes(texts: Sequence[str]) -> np.ndarray:
    import numpy as np

    known: dict[str, int] = {}
    return np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int64)


def _slices(keys: Sequence[Sequence[int]], codes: Sequence[np.ndarray], n_rows: np.ndarray) -> Slices:
    import numpy as np

    members: list[np.ndarray] = []
    of_key: list[int] = []
    for number, key in enumerate(keys):
        slice_of = np.zeros(len(n_rows), dtype=np.int64)
        for index in key:
            slice_of = np.unique(slice_of * (int(codes[index].max()) + 1) + codes[index], return_inverse=True)[1]
        members.append(slice_of + len(of_key))
        of_key += [number] * (int(slice_of.max()) + 1)
    member = np.array(members)
    of_slice = np.array(of_key)
    return Slices(member, of_slice, _sums(member, n_rows, len(of_key)), of_slice == 0)


def _sums(member: np.ndarray, values: np.ndarray, n_slices: int) -> np.ndarray:
    import numpy as np

    return np.bincount(member.ravel(), np.tile(values, len(member)), minlength=n_slices)


def _rarest(sums: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return the smallest of some numbers of rows; rows that are not there need no hiding."""
    import numpy as np

    found: np.ndarray = np.min([np.where(sums[name] > 0, sums[name], np.inf) for name in names], axis=0)
    return found


def _depths(
    slices: Slices, sums: dict[str, np.ndarray], spec: EvaluationSpec, n_families: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, by scope, the first family of each slice that is hidden, and the first that is because it is small.

    The last family hangs on the decisions, which each threshold makes anew.
    """
    import numpy as np

    families = (("rows",), ("positive", "negative"), ("selected", "rejected"))
    thresholds = spec.thresholds if "selected_1" in sums else ()
    lasts = {"": families[n_families - 1]}
    lasts |= {f"@{at}": (f"selected_{i}", f"rejected_{i}") for i, at in enumerate(thresholds, start=1)}
    hidden_from = np.full(len(slices.key), n_families + 1)
    small_from = hidden_from.copy()
    hidden = np.zeros(len(slices.key), dtype=bool)
    found = {}
    for family, names in enumerate(families[: n_families - 1], start=1):
        hidden = _deeper(slices, _rarest(sums, names), hidden, family, (hidden_from, small_from), spec.min_slice_size)
    for scope, names in lasts.items():
        found[scope] = (hidden_from.copy(), small_from.copy())
        _deeper(slices, _rarest(sums, names), hidden, n_families, found[scope], spec.min_slice_size)
    return found


def _deeper(
    slices: Slices,
    size: np.ndarray,
    hidden: np.ndarray,
    family: int,
    depths: tuple[np.ndarray, np.ndarray],
    least: int,
) -> np.ndarray:
    import numpy as np

    hidden_from, small_from = depths
    small = (size < least) & ~slices.fixed
    small_from[small] = np.minimum(small_from[small], family)
    deeper = protected(slices, hidden | small)
    hidden_from[deeper] = np.minimum(hidden_from[deeper], family)
    return deeper


def _own_depths(
    slices: Slices, counts: dict[str, np.ndarray], hidden_from: np.ndarray, spec: EvaluationSpec, n_families: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the same of metrics over rows, which add up over the cells that have rows of them.

    Nobody knows what such a metric tells, so it is hidden wherever the last family is.
    """
    import numpy as np

    found = {}
    for metric in spec.metrics:
        if metric.over != "rows":
            continue
        n_rows = counts[metric.column]
        there = n_rows > 0
        sums = _sums(slices.member, n_rows, len(slices.key))
        own = Slices(slices.member[:, there], slices.key, sums, slices.fixed)
        depths = (np.full(len(slices.key), n_families + 1), np.full(len(slices.key), n_families + 1))
        hidden = (hidden_from <= n_families) & (sums > 0)
        _deeper(own, np.where(sums > 0, sums, np.inf), hidden, n_families, depths, spec.min_slice_size)
        found[metric.name] = depths
    return found


def protected(slices: Slices, hidden: np.ndarray) -> np.ndarray:
    """Hide further slices until none of the hidden ones can be derived.

    Parameters
    ----------
    slices : Slices
    hidden : array of bool, shape (n_slices,)

    Returns
    -------
    array of bool, shape (n_slices,)
        What follows from slices that are always shown remains derivable.
    """
    import numpy as np

    hidden = hidden.copy()
    if not hidden.any():
        return hidden
    # What the slices that are always shown tell cannot be hidden, such as a slice that is everything.
    hopeless = slices.n_rows == slices.n_rows[0]
    if slices.fixed.sum() > 1:
        hopeless = hopeless | _derivable(slices, ~slices.fixed)
    while hidden.any():
        derived = np.flatnonzero(_derivable(slices, hidden) & ~hopeless)
        if not len(derived):
            break
        n_hidden = hidden.sum()
        for slice_ in derived:
            partners = _standing_alone(slices, hidden, int(slice_))
            if len(partners):
                hidden[partners[np.argmin(slices.n_rows[partners])]] = True
        if hidden.sum() == n_hidden:
            partners = _near(slices, hidden, int(derived[0]))
            if len(partners):
                hidden[partners[np.argmin(slices.n_rows[partners])]] = True
            else:
                hopeless[derived[0]] = True
    return hidden


def _derivable(slices: Slices, hidden: np.ndarray) -> np.ndarray:
    """Return the hidden slices whose sum is a combination of the sums shown.

    A random vector over the cells, less its projection on the sums shown, is a change that nobody who reads them can
    see. A slice whose own sum it changes cannot be derived. The projection is by conjugate gradients.
    """
    import numpy as np

    n_slices = len(slices.key)
    # A slice without a cell has no sum to see, nor to hide.
    n_cells = np.maximum(np.bincount(slices.member.ravel(), minlength=n_slices), 1)
    scale = np.where(hidden, 0.0, 1.0 / np.sqrt(n_cells))

    def forward(change: np.ndarray) -> np.ndarray:
        return _sums(slices.member, change, n_slices) * scale

    def backward(weights: np.ndarray) -> np.ndarray:
        spread: np.ndarray = (weights * scale)[slices.member].sum(axis=0)
        return spread

    change: np.ndarray = np.random.default_rng(0).standard_normal(size=(slices.member.shape[1],))
    gradient = forward(change)
    direction, squares = gradient, float(gradient @ gradient)
    enough = 1e-18 * squares
    for _ in range(_MOST_STEPS):
        if squares <= enough:
            break
        step = backward(direction)
        change = change - squares / float(step @ step) * step
        gradient = forward(change)
        previous, squares = squares, float(gradient @ gradient)
        direction = gradient + squares / previous * direction
    moved = np.abs(_sums(slices.member, change, n_slices))
    derived: np.ndarray = hidden & (moved < _EPSILON * np.sqrt(n_cells))
    return derived


def _standing_alone(slices: Slices, hidden: np.ndarray, slice_: int) -> np.ndarray:
    """Return the shown slices that sum up to the slice, or to another with it, where none of them is hidden yet."""
    import numpy as np

    none: np.ndarray = np.empty(0, dtype=np.int64)
    own = slices.key[slice_]
    cells = np.flatnonzero(slices.member[own] == slice_)
    for key in range(1, len(slices.member)):
        parts: np.ndarray = np.unique(slices.member[key, cells])
        free: np.ndarray = parts[~slices.fixed[parts]]
        if key == own or not len(free) or hidden[parts].any():
            continue
        if slices.n_rows[parts].sum() == slices.n_rows[slice_]:
            return free
    for key in range(len(slices.member)):
        wholes: np.ndarray = np.unique(slices.member[key, cells])
        if key == own or len(wholes) > 1 or hidden[wholes[0]]:
            continue
        parts = np.unique(slices.member[own, slices.member[key] == wholes[0]])
        others: np.ndarray = parts[parts != slice_]
        if slices.n_rows[parts].sum() == slices.n_rows[wholes[0]] and not hidden[others].any():
            free = others[~slices.fixed[others]]
            if len(free):
                return free
            if not len(others) and not slices.fixed[wholes[0]]:
                return wholes
    return none


def _near(slices: Slices, hidden: np.ndarray, slice_: int) -> np.ndarray:
    """Return shown slices of the same key, if any share a slice of another key with it then those; or others."""
    import numpy as np

    own = slices.key[slice_]
    crossing = np.unique(slices.member[1:, slices.member[own] == slice_])
    touched = np.unique(slices.member[own, np.isin(slices.member[1:], crossing).any(axis=0)])
    everything = np.flatnonzero(~slices.fixed)
    for choice in (touched, crossing, everything[slices.key[everything] == own], everything):
        shown: np.ndarray = choice[~hidden[choice] & ~slices.fixed[choice] & (slices.n_rows[choice] > 0)]
        if len(shown):
            return shown
    return np.empty(0, dtype=np.int64)
