"""Suppression of the rates of classes, at further thresholds, and of metrics over rows: none of them can be derived."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .conftest import metrics_of, table
from .test_suppression import LEAST, SLICES, attacked_rows, reduced, remainder

FEW = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MEANS = ("balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "precision_weighted", "f1_weighted")
Place = tuple[str, str]


def places(rows: dict[str, Any], slices: Sequence[Any]) -> dict[Place, np.ndarray]:
    """Of each slice that is shown, which rows are in it."""
    n = len(rows["label"])
    found: dict[Place, np.ndarray] = {("overall", "all"): np.ones(n, dtype=bool)}
    for key in slices:
        names = [key] if isinstance(key, str) else key
        values = [", ".join(parts) for parts in zip(*(rows[name] for name in names), strict=True)]
        for value in sorted(set(values)):
            found[", ".join(names), value] = np.array([x == value for x in values])
    return found


def by_place(warehouse: Any) -> dict[Place, dict[str, dict[str, Any]]]:
    found: dict[Place, dict[str, dict[str, Any]]] = {}
    for row in table(warehouse, "latest_metrics"):
        found.setdefault((row["slice_key"], row["slice_value"]), {})[row["metric"]] = row
    return found


def cells_of(rows: dict[str, Any]) -> list[tuple[str, ...]]:
    return list(zip(*(rows[name] for name in sorted(rows) if name.startswith("c")), strict=True))


def vector_over(cells: list[Any], mask: np.ndarray, there: np.ndarray) -> list[Fraction]:
    """Which of the cells that occur among the rows ``there`` are in a slice."""
    inside = {cell for cell, x in zip(cells, mask & there, strict=True) if x}
    return [Fraction(int(cell in inside)) for cell in sorted({c for c, x in zip(cells, there, strict=True) if x})]


def leaks(of_places: dict[Place, list[Fraction]], seen: set[Place], unseen: set[Place]) -> list[Place]:
    """Return the hidden slices whose sum is a combination of those seen, but for what the overall row tells alone."""
    basis = reduced([of_places[place] for place in seen])
    always = reduced([of_places["overall", "all"]])
    return [
        place
        for place in sorted(unseen)
        if not any(remainder(basis, of_places[place])) and any(remainder(always, of_places[place]))
    ]


def seen_and_hidden(
    warehouse: Any, among: dict[Place, np.ndarray], names: Sequence[str]
) -> tuple[set[Place], set[Place]]:
    found = by_place(warehouse)
    seen = {place for place in among if any(found[place][name]["value"] is not None for name in names)}
    hidden = {place for place in among if any(found[place][name]["is_suppressed"] for name in names)}
    for place in hidden:
        for name in names:
            row = found[place][name]
            if row["is_suppressed"]:
                told = [row[x] for x in ("value", "ci_lower", "ci_upper", "ci_method", "denominator")]
                assert told == [None] * 5
                assert row["reason"]
    return seen, hidden


OF_THRESHOLD = {
    "selected": ["selection_rate"],
    "outcome": [
        *("accuracy", "precision", "recall", "specificity", "false_positive_rate", "false_negative_rate"),
    ],
}
CASES = {
    "seed": st.integers(0, 10_000),
    "n": st.integers(60, 700),
    "n_values": st.tuples(st.integers(2, 5), st.integers(1, 5), st.integers(1, 3)),
    "slices": st.sampled_from(SLICES),
}


@FEW
@given(**CASES)
def test_no_hidden_rate_at_a_further_threshold_follows(run, warehouse, seed, n, n_values, slices):
    rows = attacked_rows(seed, n, n_values)
    del rows["prediction"]
    rows["score"] = np.round(np.random.default_rng(seed).random(n) ** 2, 3)
    run(rows, slices=slices, thresholds=[0.1, 0.7], min_slice_size=LEAST, restate=True, definition_hash=f"{seed} {n}")
    among = places(rows, slices)
    cells = cells_of(rows)
    vectors = {place: vector_over(cells, mask, np.ones(n, dtype=bool)) for place, mask in among.items()}
    label = np.array(rows["label"])
    for at in (0.1, 0.7):
        for quantity, rates in OF_THRESHOLD.items():
            seen, hidden = seen_and_hidden(warehouse, among, [f"{rate}@{at}" for rate in rates])
            assert not seen & hidden
            assert leaks(vectors, seen, hidden) == []
            for place, mask in among.items():
                sizes = [mask.sum()]
                if quantity == "outcome":
                    decided = rows["score"] >= at
                    sizes += [(mask & side).sum() for side in (label, ~label, decided, ~decided)]
                if place != ("overall", "all") and any(0 < size < LEAST for size in sizes):
                    assert place not in seen


@FEW
@given(**CASES)
def test_no_hidden_rate_of_a_class_follows(run, warehouse, seed, n, n_values, slices):
    """An attacker knows how many rows a slice has: the numbers of its classes add up to that."""
    rows = attacked_rows(seed, n, n_values)
    rng = np.random.default_rng(seed)
    for name in ("label", "prediction"):
        rows[name] = rng.choice(list("pqrs"), n, p=[0.6, 0.25, 0.1, 0.05]).tolist()
    run(
        rows,
        task="multiclass",
        slices=slices,
        min_slice_size=LEAST,
        restate=True,
        definition_hash=f"{seed} {n}",
    )
    among = places(rows, slices)
    classes = sorted({*rows["label"], *rows["prediction"]})
    cells = cells_of(rows)
    sides = {name: np.array(rows[name]) for name in ("label", "prediction")}
    pairs = sorted({(c, x) for side in sides.values() for c, x in zip(cells, side.tolist(), strict=True)})

    def of_class(mask: np.ndarray, name: str | None) -> list[Fraction]:
        inside = {cell for cell, x in zip(cells, mask, strict=True) if x}
        return [Fraction(int(cell in inside and (name is None or name == x))) for cell, x in pairs]

    always = [of_class(mask, None) for mask in among.values()]
    always += [of_class(among["overall", "all"], name) for name in classes]
    known, hidden = list(always), []
    for name in classes:
        metrics = [f"{rate}[{name}]" for rate in ("precision", "recall", "f1")]
        seen, unseen = seen_and_hidden(warehouse, among, metrics)
        assert not seen & unseen
        known += [of_class(among[place], name) for place in seen]
        hidden += [(place, name, of_class(among[place], name)) for place in unseen]
        for place in seen - {("overall", "all")}:
            sizes = [(among[place] & (side == name)).sum() for side in sides.values()]
            assert all(size == 0 or size >= LEAST for size in sizes)
    basis, fixed = reduced(known), reduced(always)
    assert not [
        (place, name)
        for place, name, vector in hidden
        if not any(remainder(basis, vector)) and any(remainder(fixed, vector))
    ]
    accuracy = by_place(warehouse)
    for place, name, _ in hidden:
        assert place != ("overall", "all"), (place, name)
    for found in accuracy.values():
        if found["accuracy"]["is_suppressed"]:
            assert all(row["value"] is None for metric, row in found.items() if "[" in metric)


@FEW
@given(**CASES)
def test_no_hidden_metric_over_rows_follows(run, warehouse, seed, n, n_values, slices):
    rows = attacked_rows(seed, n, n_values)
    rng = np.random.default_rng(seed)
    rows["minutes"] = [None if x < 0.6 else float(100 * x) for x in rng.random(n)]
    # Half of the answers are not known, and the metric is of them too.
    rows["label"] = [x if known else None for x, known in zip(rows["label"], rng.random(n) < 0.5, strict=True)]
    run(
        rows,
        slices=slices,
        min_slice_size=LEAST,
        restate=True,
        definition_hash=f"{seed} {n}",
        metrics={"minutes_mean": {"rows": "minutes"}},
    )
    among = places(rows, slices)
    there = np.array([x is not None for x in rows["minutes"]])
    vectors = {place: vector_over(cells_of(rows), mask, there) for place, mask in among.items()}
    seen, hidden = seen_and_hidden(warehouse, among, ["minutes_mean"])
    assert leaks(vectors, seen, hidden) == []
    for place in seen - {("overall", "all")}:
        assert (among[place] & there).sum() >= LEAST


def test_a_small_class_hides_another_of_its_slice(run, warehouse):
    """Of 100 rows 5 are cancelled: as all of them are counted, the next smallest class is hidden as well."""
    label = ["on time"] * 60 + ["late"] * 35 + ["cancelled"] * 5
    rows = {"label": label * 2, "prediction": (label[3:] + label[:3]) * 2, "c0": ["a"] * 100 + ["b"] * 100}
    run(rows, task="multiclass", slices=["c0"], min_slice_size=10)
    found = metrics_of(warehouse, "c0")["a"]
    assert found["accuracy"]["value"] == pytest.approx(0.91)
    assert found["recall[on time]"]["value"] == pytest.approx(57 / 60)
    for name in ("recall", "precision", "f1"):
        assert found[f"{name}[cancelled]"]["is_suppressed"]
        assert found[f"{name}[late]"]["reason"] == "complementary: a smaller slice could be derived"
    assert metrics_of(warehouse)["all"]["recall[cancelled]"]["value"] == pytest.approx(0.4)
    # Right, labelled and called of the two hidden classes add up to what is known: five means would tell all of it.
    for name in MEANS:
        assert found[name]["is_suppressed"]
        assert found[name]["value"] is None
        assert found[name]["reason"].startswith("complementary: other metrics of the slice, below min_slice_size 10")
        assert metrics_of(warehouse)["all"][name]["value"] is not None
    assert found["recall_weighted"]["value"] == found["accuracy"]["value"]


@FEW
@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 5))
def test_means_over_classes_are_shown_beside_none_or_three_hidden_classes(run, warehouse, seed, n_classes):
    """Three hidden classes have six unknown numbers, of which the means are five equations; two have three."""
    rng = np.random.default_rng(seed)
    names = list("pqrst")[:n_classes]
    shares = np.array([0.7, 0.2, 0.1, 0.1, 0.1])[:n_classes]
    size = 30
    rows = {side: rng.choice(names, 2 * size, p=shares / shares.sum()).tolist() for side in ("label", "prediction")}
    rows["c0"] = ["a"] * size + ["b"] * size
    run(rows, task="multiclass", slices=["c0"], min_slice_size=8, restate=True, definition_hash=f"{seed} {n_classes}")
    for value, found in metrics_of(warehouse, "c0").items():
        inside = np.array(rows["c0"]) == value
        there = {x for side in ("label", "prediction") for x in np.array(rows[side])[inside]}
        hidden = [name for name in there if found[f"recall[{name}]"]["is_suppressed"]]
        shown = [name for name in MEANS if not found[name]["is_suppressed"]]
        assert len(hidden) != 1
        assert not shown or len(hidden) in (0, 3, 4, 5)


def test_a_hidden_slice_hides_the_means_over_its_classes(run, warehouse):
    label = ["on time", "late", "cancelled"] * 20
    rows = {"label": label, "prediction": label[1:] + label[:1], "c0": ["a"] * 3 + ["b"] * 20 + ["c"] * 37}
    run(rows, task="multiclass", slices=["c0"], min_slice_size=10)
    for value in ("a", "b"):
        found = metrics_of(warehouse, "c0")[value]
        assert all(found[name]["is_suppressed"] and found[name]["value"] is None for name in (*MEANS, "accuracy"))
