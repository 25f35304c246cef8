"""The search: which points are proposed, in which order, and that results steer it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from warehouse_ml.hparams import Hparam, HparamCandidates, HparamRange, Tuning
from warehouse_ml.training.search import Search, expected_improvement

Score = Callable[[dict[str, Any]], float | None]


def run(
    space: dict[str, Hparam],
    n_trials: int,
    algorithm: str = "VIZIER_DEFAULT",
    score: Score = lambda _: 0.0,
    defaults: dict[str, Any] | None = None,
) -> list[tuple[dict[str, Any], float | None]]:
    """Propose and score up to n_trials points."""
    known = {"L1_REG": 0.0, "L2_REG": 1.0, "LEARN_RATE": 0.3, "MAX_TREE_DEPTH": 6, "TREE_METHOD": "AUTO"}
    search = Search(Tuning(n_trials, algorithm, None, space), {**known, **(defaults or {})})
    tried: list[tuple[dict[str, Any], float | None]] = []
    while len(tried) < n_trials and (point := search.propose(tried)) is not None:
        tried.append((point, score(point)))
    return tried


def points(*arguments: Any, **named: Any) -> list[dict[str, Any]]:
    return [point for point, _ in run(*arguments, **named)]


RATE = {"LEARN_RATE": HparamRange(0.01, 0.5)}
DEPTH = {"MAX_TREE_DEPTH": HparamRange(2, 4, is_whole=True)}
BOTH = {**RATE, "L2_REG": HparamRange(0.001, 1000.0, is_log=True)}


def test_a_grid_is_the_full_product_in_the_order_written() -> None:
    space = {"L2_REG": HparamCandidates((10.0, 0.1)), **DEPTH}
    assert points(space, 100, "GRID_SEARCH") == [
        {"L2_REG": penalty, "MAX_TREE_DEPTH": depth} for penalty in (10.0, 0.1) for depth in (2, 3, 4)
    ]
    assert len(points(space, 4, "GRID_SEARCH")) == 4
    assert points({"L2_REG": HparamRange(3.0, 3.0)}, 4, "GRID_SEARCH") == [{"L2_REG": 3.0}]


@pytest.mark.parametrize("algorithm", ["VIZIER_DEFAULT", "RANDOM_SEARCH"])
def test_the_search_starts_from_the_defaults_or_next_to_them(algorithm: str) -> None:
    space = {
        "LEARN_RATE": HparamRange(0.01, 0.5),
        "L2_REG": HparamRange(2.0, 5.0, is_log=True),
        "L1_REG": HparamRange(0.0, 5.0, is_log=True),
        "MAX_TREE_DEPTH": HparamRange(2, 4, is_whole=True),
        "TREE_METHOD": HparamCandidates(("HIST", "AUTO")),
    }
    assert points(space, 1, algorithm) == [
        {"LEARN_RATE": 0.3, "L2_REG": 2.0, "L1_REG": 0.0, "MAX_TREE_DEPTH": 4, "TREE_METHOD": "AUTO"}
    ]
    assert points({"L2_REG": HparamCandidates((0.0, 1.5, 9.0))}, 1, algorithm) == [{"L2_REG": 1.5}]
    assert points({"TREE_METHOD": HparamCandidates(("HIST", "EXACT"))}, 1, algorithm) == [{"TREE_METHOD": "HIST"}]


@pytest.mark.parametrize("algorithm", ["VIZIER_DEFAULT", "RANDOM_SEARCH", "GRID_SEARCH"])
def test_no_point_is_tried_twice_and_the_search_ends_with_the_space(algorithm: str) -> None:
    space = {**DEPTH, "TREE_METHOD": HparamCandidates(("HIST", "AUTO")), "L2_REG": HparamCandidates((0.0, 1.0, 5.0))}
    found = points(space, 100, algorithm, score=lambda point: point["L2_REG"] - point["MAX_TREE_DEPTH"])
    assert len(found) == 18
    assert {tuple(point.values()) for point in found} == set(
        itertools.product((2, 3, 4), ("HIST", "AUTO"), (0.0, 1.0, 5.0))
    )


@pytest.mark.parametrize("algorithm", ["VIZIER_DEFAULT", "RANDOM_SEARCH"])
def test_a_range_too_narrow_for_other_numbers_ends_too(algorithm: str) -> None:
    found = points({"LEARN_RATE": HparamRange(0.3, 0.3000000001)}, 20, algorithm)
    assert 1 <= len(found) <= 3


@pytest.mark.parametrize("algorithm", ["VIZIER_DEFAULT", "RANDOM_SEARCH"])
def test_the_same_results_give_the_same_points(algorithm: str) -> None:
    def score(point: dict[str, Any]) -> float:
        return -abs(math.log10(point["L2_REG"])) - point["LEARN_RATE"]

    assert run(BOTH, 12, algorithm, score) == run(BOTH, 12, algorithm, score)


def test_random_points_are_spread_evenly_on_the_scale_of_each() -> None:
    found = points({**BOTH, **DEPTH}, 100, "RANDOM_SEARCH")[1:]
    rates, penalties = ([point[name] for point in found] for name in ("LEARN_RATE", "L2_REG"))
    assert stats.kstest(rates, stats.uniform(0.01, 0.49).cdf).pvalue > 0.01
    assert stats.kstest(penalties, stats.loguniform(0.001, 1000).cdf).pvalue > 0.01
    # The other scale would be noticed.
    assert stats.kstest(penalties, stats.uniform(0.001, 1000).cdf).pvalue < 1e-6
    counts = np.unique([point["MAX_TREE_DEPTH"] for point in found], return_counts=True)
    assert counts[0].tolist() == [2, 3, 4]
    assert stats.chisquare(counts[1]).pvalue > 0.01


def test_0_on_a_logarithmic_scale_counts_as_1e_14() -> None:
    found = [point["L1_REG"] for point in points({"L1_REG": HparamRange(0.0, 10.0, is_log=True)}, 100, "RANDOM_SEARCH")]
    assert found[0] == 0.0
    assert stats.kstest(found[1:], stats.loguniform(1e-14, 10).cdf).pvalue > 0.01


@given(
    low=st.floats(0, 1e6), width=st.floats(0, 1e6), is_log=st.booleans(), is_whole=st.booleans(), seed=st.integers(0, 9)
)
def test_points_lie_in_the_range(low: float, width: float, is_log: bool, is_whole: bool, seed: int) -> None:
    low, high = (float(int(low)), float(int(low + width))) if is_whole else (low, low + width)
    hparam = HparamRange(low, high, is_log=is_log and not is_whole, is_whole=is_whole)
    algorithm = "RANDOM_SEARCH" if seed % 2 else "VIZIER_DEFAULT"
    for point in points({"L2_REG": hparam}, 5, algorithm, defaults={"L2_REG": float(10**seed)}):
        assert low <= point["L2_REG"] <= max(high, 1e-14)
        assert isinstance(point["L2_REG"], int) is is_whole
        assert float(repr(point["L2_REG"])) == point["L2_REG"]


def test_a_point_can_be_written_by_hand() -> None:
    for point in points(BOTH, 30, "RANDOM_SEARCH"):
        for value in point.values():
            assert value == float(f"{value:.6g}")


@pytest.mark.parametrize(("best_rate", "best_penalty"), [(0.08, 30.0), (0.41, 0.02)])
def test_results_steer_the_search(best_rate: float, best_penalty: float) -> None:
    def score(point: dict[str, Any]) -> float:
        rate = (point["LEARN_RATE"] - best_rate) / 0.49
        penalty = math.log10(point["L2_REG"] / best_penalty) / 6
        return 0.7 - rate**2 - penalty**2

    tried = run(BOTH, 24, score=score)
    first, second = (max(found for _, found in half) for half in (tried[:12], tried[12:]))
    assert second > 0.7 - 1e-3 > first
    blind = max(found for _, found in run(BOTH, 24, "RANDOM_SEARCH", score))
    assert second > blind


def test_failed_points_are_kept_away_from() -> None:
    def score(point: dict[str, Any]) -> float | None:
        return None if point["LEARN_RATE"] > 0.25 else point["LEARN_RATE"]

    later = [found for _, found in run(BOTH, 30, score=score, defaults={"LEARN_RATE": 0.1})[15:]]
    assert sum(found is None for found in later) < len(later) / 2
    assert max(found for found in later if found is not None) > 0.23
    # Nothing is known where everything fails; the search goes on all the same.
    assert len(run(BOTH, 10, score=lambda _: None)) == 10


def test_one_very_bad_result_does_not_hide_the_others() -> None:
    def score(point: dict[str, Any]) -> float:
        return -1e150 if point["LEARN_RATE"] > 0.4 else -((point["LEARN_RATE"] - 0.1) ** 2)

    assert max(found for _, found in run(BOTH, 24, score=score) if found is not None) > -1e-5


def test_a_result_that_never_changes_steers_nowhere() -> None:
    assert len(run(BOTH, 8, score=lambda _: 0.5)) == 8


def test_candidates_that_are_texts_are_told_apart() -> None:
    space: dict[str, Hparam] = {"TREE_METHOD": HparamCandidates(("A", "B", "C")), **RATE}

    def score(point: dict[str, Any]) -> float:
        return {"A": 0.0, "B": 1.0, "C": 0.2}[point["TREE_METHOD"]] - (point["LEARN_RATE"] - 0.2) ** 2

    tried = points(space, 20, score=score, defaults={"TREE_METHOD": "A"})
    assert sum(point["TREE_METHOD"] == "B" for point in tried[10:]) >= 7


def test_expected_improvement_is_the_integral_that_it_stands_for() -> None:
    mean, deviation = np.array([0.1, 0.6, 0.5, -2.0]), np.array([0.3, 0.05, 1.0, 0.4])
    found = expected_improvement(mean, deviation, 0.5)
    for one_mean, one_deviation, value in zip(mean, deviation, found, strict=True):
        density = stats.norm(one_mean, one_deviation).pdf
        expected, _ = quad(lambda y, p=density: (y - 0.5) * p(y), 0.5, one_mean + 40 * one_deviation, limit=500)
        assert value == pytest.approx(expected, abs=1e-9)
    assert expected_improvement(np.array([0.4, 0.7]), np.zeros(2), 0.5) == pytest.approx([0.0, 0.2])
