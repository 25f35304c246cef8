"""Suppression that holds: an attacker who reads every table derives no hidden number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_ml.evaluation.suppression import hidden_slices

from .conftest import make_spec, metrics_of, table

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
        *(
            "true_positives",
            "false_positives",
            "true_negatives",
            "false_negatives",
            "recall",
            "specificity",
            "precision",
        ),
        *(
            "npv",
            "accuracy",
            "false_positive_rate",
            "false_negative_rate",
            "false_discovery_rate",
            "false_omission_rate",
        ),
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


@settings(max_examples=60, deadline=None)
@given(
    data=st.dictionaries(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz"), st.sampled_from("123")),
        st.tuples(*[st.integers(0, 15)] * 4).filter(any),
        min_size=1,
        max_size=30,
    ),
    slices=st.sampled_from(SLICES),
)
def test_no_hidden_sum_is_a_combination_of_sums_that_are_shown(data, slices):
    """Exactly, over small tables of any shape: cells of true and false positives and negatives."""
    places = sorted(data)
    counts = np.array([data[place] for place in places])
    sizes = {
        "rows": counts.sum(axis=1),
        "positive": counts[:, 0] + counts[:, 2],
        "negative": counts[:, 1] + counts[:, 3],
        "selected": counts[:, 0] + counts[:, 1],
        "rejected": counts[:, 2] + counts[:, 3],
    }
    spec = make_spec(slices=slices, min_slice_size=LEAST)
    codes = [int(column[1:]) for column in spec.slice_columns]
    table_of = {f"slice_{i}": [place[code] for place in places] for i, code in enumerate(codes)}
    cells = pa.table({"unit": [1] * len(places), **table_of, **{f"n_{name}": n for name, n in sizes.items()}})
    found = {
        (row["slice_set"], row["slice_value"]): row["hidden_from"] for row in hidden_slices(cells, spec, 3).to_pylist()
    }
    for family in (1, 2, 3):
        known, hidden = [], []
        for number, key in enumerate([(), *spec.groupings]):
            of_cell = [", ".join(place[int(column[1:])] for column in key) for place in places]
            for value in sorted(set(of_cell)):
                vector = [Fraction(int(other == value)) for other in of_cell]
                n = {
                    name: sum(x for x, other in zip(size, of_cell, strict=True) if other == value)
                    for name, size in sizes.items()
                }
                needed = [("rows",), ("rows", "positive", "negative"), tuple(sizes)][family - 1]
                is_hidden = found.get((number, value), 4) <= family
                assert is_hidden or not key or all(n[name] == 0 or n[name] >= LEAST for name in needed)
                if not is_hidden:
                    known.append(vector)
                elif not all(vector):
                    hidden.append(vector)
        basis = reduced(known)
        assert all(any(remainder(basis, vector)) for vector in hidden)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    whole = {
        row["slice_key"]
        for row in table(warehouse, "latest_metrics")
        if row["metric"] == "n_requests" and row["value"] == n
    }
    assert [leak for leak in leaks if leak.split("'")[1] not in whole] == []


def test_the_attacker_succeeds_where_a_complementary_slice_is_shown(run, warehouse):
    """The attack is no formality: give back one slice that was hidden beside another, and it finds the small one."""
    rows = attacked_rows(3, 400, (4, 3, 2))
    slices = ["c0", "c1", ["c0", "c1"]]
    run(rows, slices=slices, min_slice_size=LEAST)
    hidden = table(warehouse, "latest_metrics")
    run(rows, slices=slices, min_slice_size=0, definition_hash="d2")
    full = {(row["slice_key"], row["slice_value"], row["metric"]): row for row in table(warehouse, "latest_metrics")}
    beside = {(row["slice_key"], row["slice_value"]) for row in hidden if "smaller slice" in str(row["reason"])}
    assert beside
    cells = sorted(set(zip(rows["c0"], rows["c1"], rows["c2"], strict=True)))
    columns = [["c0", "c1", "c2"], ["c0"], ["c1"], ["c0", "c1"]]
    assert attack(hidden, columns, cells) == []
    for place in beside:
        given = [
            full[(*place, row["metric"])] if (row["slice_key"], row["slice_value"]) == place else row for row in hidden
        ]
        assert attack(given, columns, cells) != []


def test_a_square_of_intersections_is_hidden_for_one_small(run, warehouse):
    sizes = {("a", "x"): 3, ("a", "y"): 50, ("a", "z"): 70, ("b", "x"): 60, ("b", "y"): 80, ("b", "z"): 90}
    rows: dict[str, Any] = {"prediction": [], "label": [], "c0": [], "c1": []}
    for (c0, c1), n in sizes.items():
        rows["prediction"] += [0.5] * n
        rows["label"] += [1.0] * n
        rows["c0"] += [c0] * n
        rows["c1"] += [c1] * n
    run(rows, task="regression", slices=["c0", "c1", ["c0", "c1"]])
    found = metrics_of(warehouse, "c0, c1")
    hidden = {value for value, metrics in found.items() if metrics["mean_error"]["is_suppressed"]}
    assert hidden == {"a, x", "a, y", "b, x", "b, y"}
    assert found["a, x"]["mean_error"]["reason"] == "denominator 3 < min_slice_size 30"
    assert found["a, y"]["mean_error"]["reason"] == "complementary: a smaller slice could be derived"
    assert not any(
        metrics["mean_error"]["is_suppressed"]
        for key in ("c0", "c1")
        for metrics in metrics_of(warehouse, key).values()
    )


def test_metrics_that_tell_each_other_are_hidden_together(run, warehouse):
    """Few of a hundred are called positive: precision is hidden, and whatever tells it; the shares of both are not."""
    rows = {"score": ([0.9] * 5 + [0.1] * 95) * 3, "label": ([1, 1, 0, 0, 0] + [1, 0] * 47 + [0]) * 3}
    rows["group"] = ["a"] * 100 + ["b"] * 200
    run(rows, slices=["group"], min_slice_size=8)
    found = metrics_of(warehouse, "group")
    assert "precision" not in {name for name, row in found["a"].items() if not row["is_suppressed"]}
    shown = {name for name, row in found["a"].items() if row["value"] is not None}
    assert {"selection_rate", "prevalence", "roc_auc", "mean_prediction", "n_positive", "log_loss"} <= shown
    assert not {"recall", "true_positives", "accuracy", "npv", "f1_score"} & shown
    reason = "complementary: other metrics of the slice, below min_slice_size 8, could be derived"
    assert found["a"]["recall"]["reason"] == reason
    assert found["a"]["precision"]["reason"] == "denominator < min_slice_size 8"
    # Ten of the other group are enough, but what the whole leaves is the first one.
    assert found["b"]["precision"]["reason"] == "complementary: a smaller slice could be derived"
    bins = {row["slice_value"] for row in table(warehouse, "calibration")}
    assert bins == {"all"}


def test_a_group_that_is_everything_is_the_overall_row(run, warehouse):
    run({"prediction": [1, 0, 1], "label": [1, 0, 0], "c0": ["a"] * 3}, slices=["c0"])
    assert metrics_of(warehouse, "c0")["a"]["accuracy"]["is_suppressed"]
    assert metrics_of(warehouse)["all"]["accuracy"]["value"] == pytest.approx(2 / 3)


def test_weights_change_nothing_of_what_is_hidden(run, warehouse):
    rows = attacked_rows(4, 300, (4, 3, 2))
    slices = ["c0", ["c0", "c1"]]
    run(rows, slices=slices, min_slice_size=LEAST)
    plain = {(r["slice_value"], r["metric"]) for r in table(warehouse, "latest_metrics") if r["is_suppressed"]}
    rows["sample_weight"] = np.random.default_rng(0).random(300).tolist()
    run(rows, slices=slices, min_slice_size=LEAST, definition_hash="d2")
    weighted = {(r["slice_value"], r["metric"]) for r in table(warehouse, "latest_metrics") if r["is_suppressed"]}
    assert plain == weighted
    assert plain
