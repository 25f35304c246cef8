"""A canary: which requests are its own, that each is answered once, and what the comparison of the two says."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import START, edit, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.loop.candidates import _without
from warehouse_ml.templates import environment
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

# A fifth of the requests from the first on, half of them from the second; the third is when it is looked at.
SPLIT, LATER, END = "2024-01-29", "2024-02-05", "2024-02-26"
MATURE_UNTIL = "2024-02-19"
N = 20_000


def is_canarys(model: str, request_id: str, share: float) -> bool:
    """What the SQL says, in Python: the first 60 bits of the MD5 of model and request, as a fraction."""
    return (
        int(hashlib.md5(f"{model}|{request_id}".encode(), usedforsecurity=False).hexdigest()[:15], 16) < share * 2**60
    )


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    found = DuckDBWarehouse()
    found.run(f"create table requests as select 'r' || i as request_id from range({N}) as numbers (i)")
    yield found
    found.close()


def drawn(warehouse: DuckDBWarehouse, model: str, share: float) -> set[str]:
    text = "{{ is_in_share(request_text(model, 'request_id'), share) }}"
    condition = environment("duckdb").from_string(text).render(model=model, share=share)
    found = warehouse.fetch(f"select request_id from requests where {condition}")["request_id"].to_pylist()
    return set(found)


@given(
    share=st.floats(0.001, 0.999),
    more=st.floats(0.001, 0.999),
    model=st.text("abcdefghij'_", min_size=1, max_size=8),
)
def test_a_share_is_drawn_by_hash(warehouse: DuckDBWarehouse, share: float, more: float, model: str) -> None:
    found = drawn(warehouse, model, share)
    assert found == drawn(warehouse, model, share)
    # Five standard deviations of a binomial; the draws are derandomised.
    assert abs(len(found) - share * N) <= 5 * math.sqrt(N * share * (1 - share)) + 1
    larger = drawn(warehouse, model, max(share, more))
    assert found <= larger
    for request in ("r0", "r17", "r19999"):
        assert (request in found) == is_canarys(model, request, share)


def test_two_models_draw_independently(warehouse: DuckDBWarehouse) -> None:
    from scipy.stats import chi2_contingency

    one, two = drawn(warehouse, "late", 0.3), drawn(warehouse, "churn", 0.2)
    both = len(one & two)
    table = [[both, len(one) - both], [len(two) - both, N - len(one | two)]]
    assert chi2_contingency(table).pvalue > 0.001
    assert both > 0


SPANS = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted).filter(lambda ends: ends[0] < ends[1])


@given(SPANS, st.lists(SPANS, max_size=4))
def test_a_stretch_without_others_is_what_none_of_them_covers(span: list[int], others: list[list[int]]) -> None:
    def at(ends: list[int]) -> tuple[dt.datetime, dt.datetime]:
        return START + ends[0] * dt.timedelta(hours=1), START + ends[1] * dt.timedelta(hours=1)

    left = _without(at(span), [at(other) for other in others])
    hours = [
        hour for since, until in left for hour in range(12) if since <= START + hour * dt.timedelta(hours=1) < until
    ]
    assert hours == [hour for hour in range(*span) if not any(hour in range(*other) for other in others)]


@pytest.fixture(scope="module")
def shared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("shared") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    edit(root, "models/churn.sql", "'logistic_reg',", "'logistic_reg', l1_reg = 20.0,")
    ok(root, "train", "churn", "--as-of", SPLIT, "--promote", "never")
    promote = ("promote", "churn@2", "--alias", "canary")
    ok(root, *promote, "--share", "0.2", "--reason", "a try", "--as-of", SPLIT)
    ok(root, "predict", "--as-of", "2024-02-02")
    ok(root, "predict", "--as-of", LATER)
    ok(root, *promote, "--share", "0.5", "--reason", "no harm done", "--as-of", LATER)
    ok(root, "run", "--as-of", END)
    return root


@pytest.fixture
def shared(shared_once: Path, tmp_path: Path) -> Path:
    """A project whose version 2 has answered a fifth of the requests for a week, and then half of them for three."""
    return Path(shutil.copytree(shared_once, tmp_path / "tiny"))


def answers(root: Path) -> dict[str, tuple[str, int]]:
    log = rows(root, "select request_id, alias, version from wml.request_log where alias in ('champion', 'canary')")
    found = {row["request_id"]: (row["alias"], row["version"]) for row in log}
    assert len(found) == len(log), "a request was answered twice"
    return found


def test_each_request_is_answered_once_by_whom_its_hash_names(shared_once: Path) -> None:
    found = answers(shared_once)
    assert len(found) == 28 * 24
    for request, (alias, version) in found.items():
        hour = int(request[1:])
        share = 0.2 if hour < 35 * 24 else 0.5
        expected = ("canary", 2) if is_canarys("churn", request, share) else ("champion", 1)
        assert (alias, version) == expected, request
    # Growing the share left every request of the first week that the canary would have had with it.
    assert {row["n"] for row in rows(shared_once, "select count(*) as n from wml.request_log")} == {28 * 24}
    assert rows(shared_once, "select sum(n_requests)::bigint as n from wml.latest_evaluations") == [{"n": 28 * 24}]


def test_history_replayed_gives_the_same_assignment(shared: Path) -> None:
    before = answers(shared)
    query = (
        "select * from wml.latest_metrics order by evaluation, version, window_start, slice_key, slice_value, metric"
    )
    metrics = rows(shared, query)
    (shared / "warehouse.duckdb").unlink()
    ok(shared, "evaluate", "--as-of", END)
    assert answers(shared) == before
    for row, expected in zip(rows(shared, query), metrics, strict=True):
        assert row == pytest.approx(expected, abs=1e-12)


def results(root: Path, metric: str) -> list[dict[str, Any]]:
    sql = f"select * from wml.ab_results where slice_key = 'overall' and metric = '{metric}' order by since"
    return rows(root, sql)


@pytest.mark.parametrize("metric", ["accuracy", "recall", "selection_rate"])
def test_the_difference_of_shares_has_newcombes_interval(shared_once: Path, metric: str) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    found = results(shared_once, metric)
    assert [(row["share"], row["n_windows"]) for row in found] == [(0.2, 1), (0.5, 2)]
    for row in found:
        start, end = (SPLIT, LATER) if row["share"] == 0.2 else (LATER, MATURE_UNTIL)
        event = {
            "accuracy": ("true", "(score >= 0.5) = has_churned"),
            "recall": ("has_churned", "score >= 0.5"),
            "selection_rate": ("true", "score >= 0.5"),
        }[metric]
        counts = {
            count["alias"]: (count["k"], count["n"])
            for count in rows(
                shared_once,
                f"select alias, count(*) filter (where {event[1]}) as k, count(*) as n from wml.request_log_churn"
                f" inner join churn_labels using (request_id) where {event[0]}"
                f" and requested_at >= '{start} 00:00:00+00' and requested_at < '{end} 00:00:00+00' group by alias",
            )
        }
        (k, n), (other_k, other_n) = counts["canary"], counts["champion"]
        assert (row["denominator"], row["other_denominator"]) == (n, other_n)
        assert (row["value"], row["other_value"]) == pytest.approx((k / n, other_k / other_n), abs=1e-12)
        assert row["difference"] == pytest.approx(k / n - other_k / other_n, abs=1e-12)
        expected = confint_proportions_2indep(k, n, other_k, other_n, compare="diff", method="newcomb")
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(expected, abs=1e-9)
        assert row["p_value"] == pytest.approx(proportions_ztest([k, other_k], [n, other_n])[1], abs=1e-9)
        assert row["ci_method"] == "newcombe"


def test_the_difference_of_other_metrics_combines_the_windows_intervals(shared_once: Path) -> None:
    (row,) = [row for row in results(shared_once, "roc_auc") if row["share"] == 0.5]
    windows = rows(
        shared_once,
        "select version, window_start, value, ci_lower, ci_upper, n from wml.latest_metrics where metric = 'roc_auc'"
        f" and slice_key = 'overall' and window_start >= '{LATER} 00:00:00+00'"
        f" and window_end <= '{MATURE_UNTIL} 00:00:00+00' order by window_start",
    )
    one = [window for window in windows if window["version"] == 1]
    two = [window for window in windows if window["version"] == 2]
    weights = [a["n"] + b["n"] for a, b in zip(one, two, strict=True)]

    def mean(of: list[dict[str, Any]]) -> float:
        return sum(w * x["value"] for w, x in zip(weights, of, strict=True)) / sum(weights)

    def reach(of: list[dict[str, Any]], side: str) -> float:
        return math.sqrt(sum((w * (x[side] - x["value"])) ** 2 for w, x in zip(weights, of, strict=True))) / sum(
            weights
        )

    assert row["n_windows"] == 2
    difference = mean(two) - mean(one)
    assert row["difference"] == pytest.approx(difference, abs=1e-12)
    assert row["ci_lower"] == pytest.approx(difference - math.hypot(reach(two, "ci_lower"), reach(one, "ci_upper")))
    assert row["ci_upper"] == pytest.approx(difference + math.hypot(reach(two, "ci_upper"), reach(one, "ci_lower")))
    assert (row["ci_method"], row["p_value"]) == ("mover", None)


def test_a_promotion_does_not_spoil_the_comparison_that_led_to_it(shared: Path) -> None:
    before = results(shared, "recall")
    done = ok(shared, "promote", "churn@2", "--reason", "it won", "--as-of", END)
    assert "wml.ab_results has the result" in done.err
    ends = rows(shared, "select until from wml.alias_periods where alias = 'canary' order by since desc limit 1")
    assert ends == [{"until": f"{END}T00:00:00+00:00"}]
    ok(shared, "evaluate", "--as-of", END)
    after = results(shared, "recall")
    assert [{**row, "until": None} for row in after] == [{**row, "until": None} for row in before]
    # Nor does promoting the other one again.
    ok(shared, "promote", "churn@1", "--reason", "second thoughts", "--as-of", END)
    ok(shared, "evaluate", "--as-of", END)
    assert [{**row, "until": None} for row in results(shared, "recall")] == [{**row, "until": None} for row in before]


def test_a_canary_ends(shared: Path) -> None:
    done = ok(
        shared,
        "promote",
        "churn",
        "--alias",
        "canary",
        "--none",
        "--reason",
        "too slow",
        "--as-of",
        END,
        "--format",
        "json",
    )
    assert done.rows[0]["was"] == 2
    ok(shared, "predict", "--as-of", "2024-03-04")
    late = rows(
        shared, f"select distinct alias, version from wml.request_log where requested_at >= '{END} 00:00:00+00'"
    )
    assert late == [{"alias": "champion", "version": 1}]


def test_a_fallback_ends_the_canary(shared: Path) -> None:
    ok(shared, "promote", "churn@1", "--alias", "safe", "--reason", "known", "--as-of", END)
    ok(shared, "fallback", "churn", "--as-of", END)
    assert rows(shared, "select count(*) as n from wml.alias_periods where alias = 'canary' and until is null") == [
        {"n": 0}
    ]


def test_who_shadows_is_no_canary_as_well(shared: Path) -> None:
    ok(shared, "promote", "churn", "--alias", "canary", "--none", "--reason", "x", "--as-of", END)
    ok(shared, "promote", "churn@2", "--alias", "challenger", "--reason", "x", "--as-of", END)
    ok(shared, "promote", "churn@2", "--alias", "canary", "--share", "0.1", "--reason", "x", "--as-of", END)
    held = rows(shared, "select alias, version from wml.alias_periods where until is null order by alias")
    assert held == [{"alias": "canary", "version": 2}, {"alias": "champion", "version": 1}]
    done = wml(shared, "promote", "churn@2", "--alias", "challenger", "--reason", "x", "--as-of", END)
    assert done.code == 2
    assert "churn@2 is the canary: it cannot be the challenger as well" in done.err


def test_a_challenger_is_compared_on_the_same_requests_and_mature_labels(shared: Path) -> None:
    ok(shared, "promote", "churn", "--alias", "canary", "--none", "--reason", "x", "--as-of", END)
    ok(shared, "promote", "churn@2", "--alias", "challenger", "--reason", "watch it", "--as-of", END)
    ok(shared, "evaluate", "--as-of", "2024-03-08")
    found = rows(
        shared,
        "select compared.n_pairs, evaluations.is_mature, compared.value, compared.other_value"
        " from wml.latest_comparisons as compared"
        " inner join wml.latest_evaluations as evaluations using (evaluation, model, version, window_start)"
        " where compared.metric = 'accuracy' and compared.slice_key = 'overall' and compared.version = 2"
        f" and compared.other_version = 1 and compared.window_start = timestamptz '{END} 00:00:00+00'",
    )
    by_hand = rows(
        shared,
        "select avg(((score >= 0.5) = has_churned)::int) as accuracy from wml.request_log_churn"
        f" inner join churn_labels using (request_id) where requested_at >= '{END} 00:00:00+00'"
        " group by version order by version",
    )
    assert [(row["n_pairs"], row["is_mature"]) for row in found] == [(168, True)]
    assert (found[0]["other_value"], found[0]["value"]) == pytest.approx(tuple(row["accuracy"] for row in by_hand))


def test_windows_that_differ_in_what_they_measure_are_shown(shared: Path) -> None:
    """A version that calls nobody positive has no precision."""
    shown = ok(shared, "evaluate", "--as-of", END, "--restate").out
    assert "precision" in shown.splitlines()[0]
    assert len(shown.splitlines()) > 4
