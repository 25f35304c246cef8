"""Labels that come late, come sooner for some, or are corrected; and counts that must always add up."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_ml.errors import DataError
from warehouse_ml.evaluation import evaluate, reopened_since
from warehouse_ml.templates import statement, user_environment
from warehouse_ml.warehouses.base import Relation

from .conftest import FIRST_DAY, make_spec, metrics_of, table

DAY = dt.timedelta(days=1)
WEEK = 7 * DAY
WEEKLY = {"window": "week", "maturity": "14 days"}


def weeks_of(
    n_weeks: int, days_positive: float, days_negative: float, *, seed: int = 0, per_week: int = 700
) -> dict[str, Any]:
    """Return weeks of requests in which a third is positive, with the mean days until each outcome is known."""
    rng = np.random.default_rng(seed)
    n = n_weeks * per_week
    label = rng.random(n) < 1 / 3
    mean = np.where(label, days_positive, days_negative)
    days = np.minimum(rng.exponential(mean), 13.9)
    at = [FIRST_DAY + float(share) * n_weeks * WEEK for share in np.sort(rng.random(n))]
    return {
        "requested_at": at,
        "score": np.round(rng.random(n), 3).tolist(),
        "label": label.tolist(),
        "label_known_at": [t + float(d) * DAY for t, d in zip(at, days, strict=True)],
        "region": rng.choice(["north", "south"], n).tolist(),
    }


def last_week(windows: list[Any]) -> Any:
    return max(windows, key=lambda window: window.window_start)


def test_positives_that_are_known_sooner_are_told_with_the_shares_of_mature_windows(run, warehouse):
    rows = weeks_of(6, 1, 6)
    as_of = FIRST_DAY + 6 * WEEK
    windows = run(rows, as_of=as_of, **WEEKLY)
    window = last_week(windows)
    assert not window.is_mature
    # What the weeks that are mature by now looked like when they were a week old, by hand.
    known: Counter[bool] = Counter()
    n: Counter[bool] = Counter()
    for at, known_at, label in zip(rows["requested_at"], rows["label_known_at"], rows["label"], strict=True):
        start = FIRST_DAY + (at - FIRST_DAY) // WEEK * WEEK
        if start + WEEK + 14 * DAY <= as_of:
            n[label] += 1
            known[label] += known_at <= start + WEEK
    shares = {label: round(100 * known[label] / n[label]) for label in n}
    assert window.warning == (
        f"not mature, {round(100 * window.label_coverage)} % of the answers are known: positives are known sooner: "
        f"{shares[True]} % against {shares[False]} % when 4 mature windows were as old; prevalence and precision are "
        "too high"
    )
    stored = {row["window_start"]: row["warning"] for row in table(warehouse, "evaluations")}
    assert stored[FIRST_DAY + 5 * WEEK] == window.warning
    assert stored[FIRST_DAY] is None
    # It is true: the same week is less often positive once all is known, and its precision lower.
    run(rows, as_of=as_of + 3 * WEEK, **WEEKLY)
    history = [
        (row["metric"], row["is_latest"], row["value"])
        for row in table(warehouse, "metric_history")
        if row["window_start"] == FIRST_DAY + 5 * WEEK and row["metric"] in ("prevalence", "precision")
    ]
    values = {(metric, is_latest): value for metric, is_latest, value in history}
    assert values["prevalence", False] > values["prevalence", True] + 0.05
    assert values["precision", False] > values["precision", True] + 0.05


def test_negatives_that_are_known_sooner_are_told_the_other_way_round(run):
    window = last_week(run(weeks_of(5, 6, 1, seed=1), as_of=FIRST_DAY + 5 * WEEK, **WEEKLY))
    assert "negatives are known sooner" in window.warning
    assert window.warning.endswith("prevalence and precision are too low")


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_come_alike_are_no_warning(run, seed):
    rows = weeks_of(5, 3, 3, seed=seed)
    window = last_week(run(rows, as_of=FIRST_DAY + 5 * WEEK, slices=["region"], **WEEKLY))
    assert (window.is_mature, window.warning) == (False, None)
    assert window.label_coverage < 0.8


def test_without_a_mature_window_that_is_told(run):
    (window,) = run(weeks_of(1, 3, 3), as_of=FIRST_DAY + WEEK, **WEEKLY)
    assert window.warning.endswith("of the answers are known: there is no mature window to compare with")


def test_a_group_whose_labels_come_sooner_is_named(run):
    rows = weeks_of(5, 3, 3, seed=4)
    for i, region in enumerate(rows["region"]):
        if region == "south":
            rows["label_known_at"][i] += 3 * DAY
    rows["half"] = rows["region"]
    window = last_week(run(rows, as_of=FIRST_DAY + 5 * WEEK, slices=[["half", "region"], "region"], **WEEKLY))
    start = FIRST_DAY + 4 * WEEK
    known = {region: [0, 0] for region in ("north", "south")}
    for at, known_at, region in zip(rows["requested_at"], rows["label_known_at"], rows["region"], strict=True):
        if at >= start:
            known[region][0] += known_at <= start + WEEK
            known[region][1] += 1
    north, south = (round(100 * n / of) for n, of in (known["north"], known["south"]))
    assert window.warning.endswith(f": by region, {north} % are known of north and {south} % of south")


def test_only_positives_known_is_told_even_without_a_mature_window(run):
    """A customer who leaves is known at once, one who stays only at the end of the period."""
    rows = weeks_of(1, 1, 1, seed=5)
    rows["label_known_at"] = [
        at + DAY if label else at + 30 * DAY for at, label in zip(rows["requested_at"], rows["label"], strict=True)
    ]
    (window,) = run(rows, as_of=FIRST_DAY + WEEK, window="week", maturity="30 days")
    assert f"all {window.n_labelled} known answers are positive" in window.warning


def test_far_more_positives_than_in_mature_windows_is_told(run):
    rows = weeks_of(6, 0.5, 10, seed=6)
    window = last_week(run(rows, as_of=FIRST_DAY + 6 * WEEK, **WEEKLY))
    assert " % of the known answers are positive, against 3" in window.warning
    assert "positives are known sooner" in window.warning


def test_mature_windows_that_were_closed_are_read_again_for_the_comparison(warehouse):
    rows = weeks_of(6, 1, 6)
    n = len(rows["score"])
    warehouse.load(Relation("rows"), pa.table({"request_id": [f"r{i}" for i in range(n)], **rows}))
    as_of, spec = FIRST_DAY + 6 * WEEK, make_spec(**WEEKLY)
    whole = last_week(evaluate(warehouse, spec, "select * from rows", as_of=as_of))
    (part,) = evaluate(warehouse, spec, "select * from rows", as_of=as_of, since=FIRST_DAY + 5 * WEEK, restate=True)
    assert part.warning == whole.warning
    assert "4 mature windows" in part.warning


def test_shadows_count_their_requests_once(run):
    rows = weeks_of(6, 1, 6)
    n = len(rows["score"])
    alone = last_week(run(rows, as_of=FIRST_DAY + 6 * WEEK, **WEEKLY)).warning
    twice = {name: values * 2 for name, values in rows.items()}
    twice["request_id"] = [f"r{i:06d}" for i in range(n)] * 2
    twice["model_version"] = [1] * n + [2] * n
    windows = run(twice, as_of=FIRST_DAY + 6 * WEEK, definition_hash="d2", **WEEKLY)
    assert {window.warning for window in windows if window.window_start == FIRST_DAY + 5 * WEEK} == {alone}


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_tell_of_groups_alone(run, task):
    rows = weeks_of(2, 1, 9, seed=7)
    rows["prediction"] = rows.pop("score")
    if task == "multiclass":
        rows["prediction"] = rows["label"] = ["yes" if label else "no" for label in rows["label"]]
    else:
        rows["label"] = [float(label) for label in rows["label"]]
    assert last_week(run(rows, as_of=FIRST_DAY + 2 * WEEK, task=task, slices=["region"], **WEEKLY)).warning is None


def test_without_a_time_of_knowing_there_is_no_warning_and_no_delay(run, warehouse):
    rows = weeks_of(1, 1, 9)
    del rows["label_known_at"]
    rows["label"] = [label or None for label in rows["label"]]
    (window,) = run(rows, as_of=FIRST_DAY + WEEK, slices=["region"], **WEEKLY)
    assert (window.warning, window.n_labelled < window.n_requests) == (None, True)
    (row,) = table(warehouse, "evaluations")
    assert (row["label_delay_p50_seconds"], row["label_delay_p95_seconds"]) == (None, None)


def test_delays_and_positives_are_those_of_the_known_labels(run, warehouse):
    rows = weeks_of(1, 2, 3, seed=8)
    as_of = FIRST_DAY + WEEK
    run(rows, as_of=as_of, **WEEKLY)
    (row,) = table(warehouse, "evaluations")
    known = [
        ((known_at - at) / dt.timedelta(seconds=1), label)
        for at, known_at, label in zip(rows["requested_at"], rows["label_known_at"], rows["label"], strict=True)
        if known_at <= as_of
    ]
    delays = [delay for delay, _ in known]
    assert row["n_labelled_positive"] == sum(label for _, label in known)
    for share, name in ((0.5, "label_delay_p50_seconds"), (0.95, "label_delay_p95_seconds")):
        assert row[name] == pytest.approx(np.quantile(delays, share, method="inverted_cdf"), abs=1e-5)


# Corrections.

ANSWERS = [
    ("a", FIRST_DAY + 1 * DAY, True, 1),
    ("a", FIRST_DAY + 3 * DAY, False, 2),
    ("b", FIRST_DAY + 1 * DAY, False, 1),
    ("b", FIRST_DAY + 2 * DAY, None, 2),
    ("c", FIRST_DAY + 2 * DAY, False, 1),
    ("c", FIRST_DAY + 2 * DAY, True, 2),
    ("d", None, True, 1),
]


def latest_known(clock: dt.datetime, relation: str = "answers") -> str:
    template = "{{ latest_known('" + relation + "', ['request_id'], 'known_at', clock, ['label', 'n']) }}"
    literal = f"timestamptz '{clock.isoformat()}'"
    return user_environment("duckdb").from_string(template).render(clock=literal)


def test_the_last_known_answer_of_each_key(warehouse):
    names = ("request_id", "known_at", "label", "n")
    warehouse.load(Relation("answers"), pa.table(dict(zip(names, map(list, zip(*ANSWERS, strict=True)), strict=True))))
    for days in range(5):
        clock = FIRST_DAY + days * DAY
        expected: dict[str, tuple[Any, ...]] = {}
        for key, known_at, label, n in ANSWERS:
            if known_at is not None and known_at <= clock:
                kept = expected.get(key)
                if kept is None or (known_at, label is None, label or False) > (
                    kept[0],
                    kept[1] is None,
                    kept[1] or False,
                ):
                    expected[key] = (known_at, label, n)
        found = warehouse.fetch(f"select * from {latest_known(clock)} as known order by request_id").to_pylist()
        assert {row["request_id"]: (row["known_at"], row["label"], row["n"]) for row in found} == expected


def test_a_corrected_label_counts_from_when_it_was_known(warehouse):
    requests = pa.table({"request_id": ["a", "b", "c", "d"], "requested_at": [FIRST_DAY] * 4, "score": [0.9] * 4})
    warehouse.load(Relation("requests"), requests)
    names = ("request_id", "known_at", "label", "n")
    warehouse.load(Relation("answers"), pa.table(dict(zip(names, map(list, zip(*ANSWERS, strict=True)), strict=True))))
    found = []
    for days in (1, 2, 3, 4):
        clock = FIRST_DAY + days * DAY
        sql = (
            "select requests.*, labels.label, labels.known_at as label_known_at from requests"
            f" left join {latest_known(clock)} as labels on requests.request_id = labels.request_id"
        )
        found.append(evaluate(warehouse, make_spec(), sql, as_of=clock))
    counts = [[(window.n_labelled, window.metrics["n_positive"]) for window in windows] for windows in found]
    # a is positive, b is not; then b is withdrawn and c becomes known; then a is corrected; then nothing is new.
    assert counts == [[(2, 1)], [(2, 2)], [(2, 1)], []]


def test_a_table_of_corrections_without_a_choice_is_refused(run):
    with pytest.raises(DataError, match="1 requests occur more than once"):
        run({"request_id": ["a", "a"], "score": [0.5, 0.5], "label": [0, 1]})


def test_a_label_known_before_its_request_is_refused(run):
    rows = {"score": [0.5, 0.5], "label": [0, 1], "label_known_at": [FIRST_DAY + DAY, FIRST_DAY - DAY]}
    with pytest.raises(DataError) as error:
        run(rows)
    assert "1 labels were known before their request was made, such as at 2023-12-31" in str(error.value)
    assert "request r000001" in str(error.value)
    # Known at once is fine, and a time without a label is none.
    assert run({**rows, "label": [0, None], "label_known_at": [FIRST_DAY, FIRST_DAY - DAY]})


def test_a_day_as_the_time_of_knowing_may_be_that_of_the_request(run, warehouse):
    at = [FIRST_DAY + dt.timedelta(hours=15)] * 2
    rows = {"requested_at": at, "score": [0.5, 0.5], "label": [0, 1]}
    assert run({**rows, "label_known_at": [dt.date(2024, 1, 1), dt.date(2024, 1, 3)]})
    (row,) = table(warehouse, "evaluations")
    assert (row["label_delay_p50_seconds"], row["label_delay_p95_seconds"]) == (0, 33 * 3600)
    with pytest.raises(DataError, match="1 labels were known before"):
        run({**rows, "label_known_at": [dt.date(2023, 12, 31), dt.date(2024, 1, 3)]}, restate=True)


def test_only_a_label_known_since_the_last_evaluation_opens_a_closed_window(warehouse):
    rows = weeks_of(4, 1, 1, seed=9, per_week=50)
    n = len(rows["score"])
    rows = {"request_id": [f"r{i}" for i in range(n)], **rows}
    spec, since = make_spec(window="week"), FIRST_DAY + 3 * WEEK
    first = FIRST_DAY + 8 * WEEK
    warehouse.load(Relation("rows"), pa.table(rows))
    query = "select * from rows; "
    assert len(evaluate(warehouse, spec, query, as_of=first)) == 4
    assert reopened_since(warehouse, spec, query, since, first + WEEK) == since
    assert reopened_since(warehouse, spec, query, None, first + WEEK) is None
    rows["label_known_at"][60] = first + DAY
    rows["label"][60] = not rows["label"][60]
    warehouse.load(Relation("rows"), pa.table(rows))
    assert reopened_since(warehouse, spec, query, since, first) == since
    second = first + WEEK
    reopened = reopened_since(warehouse, spec, query, since, second)
    week = (rows["requested_at"][60] - FIRST_DAY) // WEEK
    assert reopened == FIRST_DAY + week * WEEK < since
    (window,) = evaluate(warehouse, spec, query, as_of=second, since=reopened)
    assert window.window_start == reopened
    assert reopened_since(warehouse, spec, query, since, second + WEEK) == since
    assert reopened_since(warehouse, spec, "select 1 as request_id", since, second) == since


# Counts that must always add up.


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 27),  # the day
            st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]),
            st.sampled_from([None, False, True]),
            st.integers(0, 40),  # days until it is known
            st.sampled_from([None, "(null)", "a", "b", ""]),
            st.sampled_from([1, 2]),
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 60),
)
def test_no_request_is_lost_or_counted_twice(run, warehouse, requests, clock_days):
    columns = [list(values) for values in zip(*requests, strict=True)]
    days, scores, labels, delays, groups, versions = columns
    at = [FIRST_DAY + day * DAY for day in days]
    rows = {
        "requested_at": at,
        "score": pa.array(scores, pa.float64()),
        "label": pa.array(labels, pa.bool_()),
        "label_known_at": [t + delay * DAY for t, delay in zip(at, delays, strict=True)],
        "group": pa.array(groups, pa.string()),
        "model_version": versions,
    }
    clock = FIRST_DAY + clock_days * DAY
    for name in ("evaluations", "metrics", "fairness", "calibration", "comparisons"):
        warehouse.run(f"delete from wml.{name}")
    weekly = run(rows, as_of=clock, window="week", slices=["group"], min_slice_size=0)
    for window in weekly:
        inside = [
            i
            for i, t in enumerate(at)
            if window.window_start <= t < window.window_end and versions[i] == window.version
        ]
        known = [i for i in inside if labels[i] is not None and rows["label_known_at"][i] <= clock]
        assert (window.n_requests, window.n_labelled) == (len(inside), len(known))
        of_groups = Counter(groups[i] if groups[i] is not None else "(null)" for i in inside)
        found = {
            row["slice_value"]: row["value"]
            for row in table(warehouse, "metrics")
            if row["evaluation_id"] == window.evaluation_id
            and (row["slice_key"], row["metric"]) == ("group", "n_requests")
        }
        assert found == of_groups
    ended = [i for i, day in enumerate(days) if FIRST_DAY + (day // 7 + 1) * WEEK <= clock]
    assert sum(window.n_requests for window in weekly) == len(ended)
    assert run(rows, as_of=clock, window="week", slices=["group"], min_slice_size=0) == []


def test_four_weeks_add_up_to_the_run_over_everything(run, warehouse):
    rows = weeks_of(4, 2, 2, seed=10, per_week=200)
    counts = ("n_requests", "n_labelled", "n_positive", "true_positives", "false_positives", "false_negatives")
    run(rows, window="week", slices=["region"], min_slice_size=0)
    weekly: Counter[tuple[str, str]] = Counter()
    for row in table(warehouse, "latest_metrics"):
        if row["metric"] in counts:
            weekly[row["slice_value"], row["metric"]] += row["value"]
    run(rows, definition_hash="d2", slices=["region"], min_slice_size=0)
    whole = {
        (row["slice_value"], row["metric"]): row["value"]
        for row in table(warehouse, "latest_metrics")
        if row["metric"] in counts and row["window_start"] is None
    }
    assert weekly == whole
    assert whole["all", "n_requests"] == 800


def test_one_class_alone_is_counted(run, warehouse):
    run({"score": [0.2, 0.8, 0.9], "label": [True, True, True]})
    found = metrics_of(warehouse)["all"]
    assert (found["recall"]["value"], found["false_positive_rate"]["value"]) == (pytest.approx(2 / 3), None)
    assert found["roc_auc"]["reason"] == "labels of one class only"


def test_very_many_slice_values_are_all_counted(run, warehouse):
    n = 20_000
    rows = {"score": [i % 10 / 10 for i in range(n)], "label": [i % 3 == 0 for i in range(n)]}
    rows["customer"] = [f"c{i // 2}" for i in range(n)]
    (window,) = run(rows, slices=["customer"])
    (found,) = warehouse.fetch(
        "select count(*) as n_slices, sum(value) as n_requests from wml.metrics"
        " where slice_key = 'customer' and metric = 'n_requests'"
    ).to_pylist()
    assert found == {"n_slices": n // 2, "n_requests": n}
    assert window.n_requests == n


def test_tables_made_earlier_get_the_new_columns(warehouse):
    from warehouse_ml.tables import ensure_tables

    warehouse.run("drop table wml.evaluations")
    old = "evaluation_id varchar, evaluation varchar, model varchar, version bigint, window_start timestamptz"
    warehouse.run(f"create table wml.evaluations ({old}, as_of timestamptz, label_coverage double, is_mature boolean)")
    ensure_tables(warehouse)
    assert list(warehouse.columns("select * from wml.evaluations"))[-6:] == [
        "n_labelled_positive",
        "label_delay_p50_seconds",
        "label_delay_p95_seconds",
        "warning",
        "task",
        "rows_hash",
    ]
    assert statement("warehouse_ml.warehouses", "schema.sql", "duckdb")
