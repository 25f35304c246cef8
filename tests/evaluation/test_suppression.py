"""Suppression that holds: an attacker who reads every table derives no hidden number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import metrics_of, table

LEAST = 10


def attacked_rows(seed: int, n: int, n_values: Sequence[int]) -> dict[str, Any]:
    """Rows of a few columns whose values are unevenly frequent, so that some groups are small."""
    rng = np.random.default_rng(seed)
    rows: dict[str, Any] = {
        "prediction": [bool(x) for x in rng.random(n) < 0.4],
        "label": [bool(x) for x in rng.random(n) < 0.4],
    }
    for index, size in enumerate(n_values):
        shares = 1 / np.arange(1, size + 1) ** 1.7
        rows[f"c{index}"] = [f"v{x}" for x in rng.choice(size, n, p=shares / shares.sum())]
    return rows


def reduced(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    """The row echelon form, exactly."""
    basis: list[list[Fraction]] = []
    for row in rows:
        rest = remainder(basis, row)
        if any(rest):
            basis.append(rest)
    return basis


def remainder(basis: list[list[Fraction]], row: list[Fraction]) -> list[Fraction]:
    rest = list(row)
    for known in basis:
        lead = next(i for i, x in enumerate(known) if x)
        if rest[lead]:
            factor = rest[lead] / known[lead]
            rest = [a - factor * b for a, b in zip(rest, known, strict=True)]
    return rest


SHOWS = {
    "selected": ("selection_rate",),
    "positive": ("n_positive", "prevalence", "mean_label"),
    "outcome": (
        *("true_positives", "false_positives", "true_negatives", "false_negatives", "recall", "specificity", "precision"),
        *("npv", "accuracy", "false_positive_rate", "false_negative_rate", "false_discovery_rate", "false_omission_rate"),
        *("balanced_accuracy", "f1_score", "matthews_correlation_coefficient"),
    ),
}


def attack(shown: list[dict[str, Any]], columns: Sequence[Sequence[str]], cells: list[tuple[str, ...]]) -> list[str]:
    """Return the numbers hidden in ``shown`` that follow from the others.

    ``columns`` names all columns and ``cells`` the combinations that occur: the attacker knows them.
    """
    names, keys = columns[0], columns[1:]
    leaks = []
    slices: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in shown:
        slices.setdefault((row["slice_key"], row["slice_value"]), {})[row["metric"]] = row
    members = {("overall", "all"): list(range(len(cells)))}
    for key in keys:
        for index, cell in enumerate(cells):
            value = ", ".join(cell[names.index(name)] for name in key)
            members.setdefault((", ".join(key), value), []).append(index)
    for quantity, metrics in SHOWS.items():
        known, hidden = [], []
        for place, own in members.items():
            if place not in slices or not slices[place]["accuracy"]["n"]:
                continue
            vector = [Fraction(int(index in own)) for index in range(len(cells))]
            seen = [name for name in metrics if slices[place][name]["value"] is not None]
            unseen = [name for name in metrics if slices[place][name]["is_suppressed"]]
            # Whoever sees one of them sees the quantity, or enough of it.
            if seen:
                known.append(vector)
            if unseen:
                hidden.append((place, vector))
            if seen and unseen:
                leaks.append(f"{place}: {unseen} beside {seen}")
        basis = reduced(known)
        leaks += [f"{place}: {quantity}" for place, vector in hidden if not any(remainder(basis, vector))]
    for place, found in slices.items():
        for name, row in found.items():
            if row["is_suppressed"]:
                told = [row[x] for x in ("value", "ci_lower", "ci_upper", "denominator")]
                if told != [None] * 4:
                    leaks.append(f"{place}: {name} tells {told}")
    return leaks


def attacked(warehouse, rows, slices) -> list[str]:
    names = sorted(name for name in rows if name.startswith("c"))
    cells = sorted(set(zip(*(rows[name] for name in names), strict=True)))
    keys = [[key] if isinstance(key, str) else key for key in slices]
    return attack(table(warehouse, "latest_metrics"), [names, *keys], cells)


SLICES = [
    ["c0"],
    ["c0", "c1"],
    ["c0", "c1", ["c0", "c1"]],
    [["c0", "c1"], ["c1", "c2"]],
    ["c0", ["c0", "c1"], ["c1", "c2"], ["c0", "c2"]],
    ["c2", ["c0", "c1", "c2"], ["c0", "c1"]],
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(30, 700),
    n_values=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    slices=st.sampled_from(SLICES),
)
def test_no_hidden_number_follows_from_those_shown(run, warehouse, seed, n, n_values, slices):
    rows = attacked_rows(seed, n, n_values)
    run(rows, slices=slices, min_slice_size=LEAST, restate=True, definition_hash=f"{seed} {n}")
    leaks = attacked(warehouse, rows, slices)
    # A slice that is everything cannot be hidden: the overall row is always shown.
    whole = {row["slice_key"] for row in table(warehouse, "latest_metrics") if row["metric"] == "n_requests" and row["value"] == n}
    assert [leak for leak in leaks if leak.split("'")[1] not in whole] == []
