"""The macros of rules: where each fires and where it must not, at its bound, on nothing, and on an old clock."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny import edit, write, write_tiny
from warehouse_ml.catalog import Catalog
from warehouse_ml.due.names import _template
from warehouse_ml.errors import SqlError, TemplateError, WmlError
from warehouse_ml.functions import Reader
from warehouse_ml.loop.learning import train_step
from warehouse_ml.loop.steps import build_step
from warehouse_ml.project import load_project
from warehouse_ml.registry import CHAMPION, Alias
from warehouse_ml.rules import ask, record
from warehouse_ml.rules.fire import Firing
from warehouse_ml.session import Session, open_session


def at(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)


FIRST, SECOND, NOW = at("2024-02-05"), at("2024-02-19"), at("2024-03-04")
WEEK = dt.timedelta(weeks=1)
BEFORE_ANY = at("2024-01-29")


@dataclass
class Desk:
    """A trained project whose tables a test fills by hand, and whose rules it asks."""

    root: Path
    session: Session
    ids: Iterator[int] = field(default_factory=itertools.count)

    def ask(self, call: str, clock: dt.datetime = NOW, on: str = "alert", model: str | None = "churn") -> list[Any]:
        """Return the rows of a rule that is one call."""
        about = f", model='{model}'" if model else ""
        write(self.root, "sql/rules/asked.sql", f"{{{{ config(on='{on}'{about}) }}}}\n{{{{ {call} }}}}\n")
        project = load_project(self.root)
        catalog = Catalog(project, project.target())
        reader = Reader(self.session.warehouse, catalog, self.session.registry)
        (asked,) = ask(catalog, reader, clock)
        if asked.error is not None:
            raise asked.error
        return [dict(firing.row) for firing in asked.firings]

    def window(
        self,
        start: dt.datetime | None,
        *,
        table: str = "metrics",
        rows: list[dict[str, Any]] | None = None,
        as_of: dt.datetime = NOW,
        is_mature: bool = True,
        version: int = 2,
        evaluation: str = "churn",
        **row: Any,
    ) -> None:
        """Write an evaluated window with rows of a table."""
        key = f"e{next(self.ids)}"
        common = {"evaluation_id": key, "evaluation": evaluation, "model": "churn", "version": version}
        common |= {"window_start": start, "window_end": start and start + WEEK, "as_of": as_of}
        self.insert("evaluations", {**common, "is_mature": is_mature})
        for one in rows or [row]:
            self.insert(table, {**common, **one})

    def insert(self, table: str, row: dict[str, Any]) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f"${name}" for name in row)
        self.session.warehouse.run(f"insert into wml.{table} ({names}) values ({values})", row)

    def clear(self) -> None:
        for table in ("evaluations", "metrics", "disparities", "drift", "rule_firings"):
            self.session.warehouse.run(f"delete from wml.{table}")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = write_tiny(tmp_path_factory.mktemp("rules") / "tiny")
    with open_session(root) as session:
        train_step(session, "churn", FIRST)
        train_step(session, "churn", SECOND, promote="always")
        build_step(session, NOW)
        yield Desk(root, session)


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """Version 1 is of 5 February, version 2 of 19 February and champion since; nothing is evaluated."""
    opened.clear()
    return opened


def metric(value: float | None, name: str = "roc_auc", **more: Any) -> dict[str, Any]:
    return {"metric": name, "value": value, "slice_key": "overall", "slice_value": "all", "better": "higher", **more}


METRIC_CALLS = (
    "metric_below('roc_auc', 0.7)",
    "metric_above('log_loss', 0.7)",
    "metric_worse_than_before('roc_auc')",
    "slice_differs('recall')",
    "impact_ratio_below(0.8)",
    "input_drifts()",
)


@pytest.mark.parametrize("call", METRIC_CALLS)
@pytest.mark.parametrize("clock", [NOW, BEFORE_ANY])
def test_before_the_first_evaluation_nothing_fires(desk: Desk, call: str, clock: dt.datetime) -> None:
    assert desk.ask(call, clock) == []


@pytest.mark.parametrize(
    "call",
    [
        "version_older_than(0)",
        "new_rows(ref('churn_requests'), at='requested_at')",
        "definition_changed()",
        "commit_changed()",
    ],
)
def test_before_the_first_version_nothing_fires_but_a_schedule(desk: Desk, call: str) -> None:
    assert desk.ask(call, BEFORE_ANY) == []
    assert desk.ask(call.replace(")", ", version='champion')", 1) if call.endswith("(0)") else call, BEFORE_ANY) == []
    (row,) = desk.ask("on_schedule('@daily')", BEFORE_ANY, on="retrain")
    assert row["last_at"] is None


# A metric and its bound


def test_a_metric_fires_below_its_bound_and_not_at_it(desk: Desk) -> None:
    desk.window(SECOND, **metric(0.7, ci_lower=0.65, ci_upper=0.75))
    assert desk.ask("metric_below('roc_auc', 0.7)") == []
    assert desk.ask("metric_above('roc_auc', 0.7)") == []
    (row,) = desk.ask("metric_below('roc_auc', 0.7000001)")
    assert row == {
        "reason": "the metric is below its bound",
        "value": 0.7,
        "bound": 0.7000001,
        "metric": "roc_auc",
        "slice_key": "overall",
        "slice_value": "all",
        "evaluation": "churn",
        "version": 2,
        "window_start": SECOND,
        "ci_lower": 0.65,
        "ci_upper": 0.75,
    }
    (row,) = desk.ask("metric_above('roc_auc', 0.6999999)")
    assert row["reason"] == "the metric is above its bound"


def test_with_surely_the_whole_interval_must_be_beyond(desk: Desk) -> None:
    desk.window(SECOND, **metric(0.7, ci_lower=0.65, ci_upper=0.75))
    assert desk.ask("metric_below('roc_auc', 0.75, surely=true)") == []
    assert len(desk.ask("metric_below('roc_auc', 0.751, surely=true)")) == 1
    assert desk.ask("metric_above('roc_auc', 0.65, surely=true)") == []
    assert len(desk.ask("metric_above('roc_auc', 0.649, surely=true)")) == 1
    desk.clear()
    desk.window(SECOND, **metric(0.1))
    assert desk.ask("metric_below('roc_auc', 0.7, surely=true)") == []


def test_only_mature_windows_count_unless_asked(desk: Desk) -> None:
    desk.window(SECOND, **metric(0.9))
    desk.window(SECOND + WEEK, is_mature=False, **metric(0.1))
    assert desk.ask("metric_below('roc_auc', 0.7)") == []
    (row,) = desk.ask("metric_below('roc_auc', 0.7, mature=false)")
    assert row["window_start"] == SECOND + WEEK


def test_the_last_window_counts_alone_and_a_hidden_value_is_not_looked_behind(desk: Desk) -> None:
    desk.window(SECOND, **metric(0.1))
    desk.window(SECOND + WEEK, **metric(None, is_suppressed=True))
    assert desk.ask("metric_below('roc_auc', 0.7)") == []


def test_an_old_clock_sees_a_window_as_it_was_stated_then(desk: Desk) -> None:
    desk.window(SECOND, as_of=NOW - WEEK, **metric(0.6))
    desk.window(SECOND, as_of=NOW, **metric(0.9))
    desk.window(SECOND + WEEK, as_of=NOW + WEEK, **metric(0.2))
    assert desk.ask("metric_below('roc_auc', 0.7)", NOW) == []
    (row,) = desk.ask("metric_below('roc_auc', 0.7)", NOW - WEEK)
    assert row["value"] == 0.6
    assert desk.ask("metric_below('roc_auc', 0.7)", NOW - WEEK - dt.timedelta(microseconds=1)) == []
    (row,) = desk.ask("metric_below('roc_auc', 0.7)", NOW + WEEK)
    assert row["value"] == 0.2


def test_an_alert_is_about_what_served_and_a_retraining_about_the_champion(desk: Desk) -> None:
    """Version 1 served up to 19 February, and shadows on; the week of version 2 is not mature yet."""
    desk.window(FIRST + WEEK, version=1, as_of=SECOND, **metric(0.6))
    desk.window(FIRST + WEEK, version=2, as_of=SECOND, **metric(0.1))
    desk.window(SECOND, version=1, **metric(0.2))
    desk.window(SECOND, version=2, is_mature=False, **metric(0.3))
    call = "metric_below('roc_auc', 0.7)"

    def found(call: str, clock: dt.datetime = NOW, on: str = "alert") -> list[tuple[int, float]]:
        return [(row["version"], row["value"]) for row in desk.ask(call, clock, on)]

    assert found(call) == found(call, SECOND) == [(1, 0.6)]
    assert found(call.replace(")", ", mature=false)")) == [(2, 0.3)]
    assert found(call, on="retrain") == [(2, 0.1)]
    assert found(call.replace(")", ", version='served')"), on="retrain") == [(1, 0.6)]
    assert found(call.replace(")", ", version='champion')")) == [(2, 0.1)]
    assert found(call.replace(")", ", version='newest')")) == [(2, 0.1)]
    assert found(call.replace(")", ", version=1)")) == [(1, 0.2)]
    # A second before its training there is no version 2.
    assert found(call, SECOND - dt.timedelta(seconds=1)) == []
    desk.window(FIRST + WEEK, version=1, as_of=SECOND - dt.timedelta(hours=1), **metric(0.65))
    assert found(call, SECOND - dt.timedelta(seconds=1), "retrain") == [(1, 0.65)]


def test_the_past_of_a_model_is_that_of_the_versions_that_served(desk: Desk) -> None:
    desk.window(FIRST, version=1, as_of=SECOND, **metric(0.8, ci_lower=0.79, ci_upper=0.81))
    desk.window(FIRST + WEEK, version=1, as_of=SECOND, **metric(0.8, ci_lower=0.79, ci_upper=0.81))
    desk.window(SECOND, version=2, **metric(0.5, ci_lower=0.49, ci_upper=0.51))
    (row,) = desk.ask("metric_worse_than_before('roc_auc', windows=2)")
    assert (row["version"], row["window_start"], row["first_window_start"]) == (2, SECOND, FIRST)
    assert desk.ask("metric_worse_than_before('roc_auc', windows=2)", on="retrain") == []
    assert desk.ask("metric_worse_than_before('roc_auc', windows=3)") == []


def test_slices_are_chosen_by_name_or_all(desk: Desk) -> None:
    rows = [
        metric(0.9),
        metric(0.6, slice_key="region", slice_value="north"),
        metric(0.8, slice_key="region", slice_value="south"),
        metric(None, slice_key="region", slice_value="east", is_suppressed=True),
        metric(0.5, slice_key="plan", slice_value="free"),
        metric(0.1, name="recall", slice_key="region", slice_value="south"),
    ]
    desk.window(SECOND, rows=rows)

    def found(slices: str) -> list[str]:
        return [row["slice_value"] for row in desk.ask(f"metric_below('roc_auc', 0.7, slices={slices})")]

    assert found("'region'") == ["north"]
    assert found("['region', 'plan']") == ["free", "north"]
    assert found("'*'") == ["free", "north"]
    assert desk.ask("metric_below('roc_auc', 0.7)") == []


def test_an_evaluation_may_be_named_and_the_model_left_out(desk: Desk) -> None:
    desk.window(SECOND, **metric(0.9))
    desk.window(SECOND, evaluation="other", **metric(0.1))
    assert [row["evaluation"] for row in desk.ask("metric_below('roc_auc', 0.7)")] == ["other"]
    assert desk.ask("metric_below('roc_auc', 0.7, evaluation='churn')") == []
    desk.insert("evaluations", {"evaluation_id": "x", "evaluation": "churn", "as_of": NOW, "is_mature": True})
    desk.insert("metrics", {"evaluation_id": "x", **metric(0.2)})
    (row,) = desk.ask("metric_below('roc_auc', 0.7, evaluation='churn')", model=None)
    assert (row["value"], row["version"], row["window_start"]) == (0.2, None, None)


def test_a_version_rests_before_it_is_asked_about_again(desk: Desk) -> None:
    desk.window(SECOND, **metric(0.1))
    assert len(desk.ask("metric_below('roc_auc', 0.7, rest_days=14)")) == 1
    assert desk.ask("metric_below('roc_auc', 0.7, rest_days=14.01)") == []


# A metric and its own past


def value_and_interval() -> st.SearchStrategy[tuple[float, float, float]]:
    part = st.floats(0.001, 0.2)
    return st.tuples(st.floats(0.3, 0.9), part, part).map(lambda told: (told[0], told[0] - told[1], told[0] + told[2]))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(value_and_interval(), min_size=4, max_size=5), st.integers(1, 3), st.sampled_from(("higher", "lower")))
def test_worse_than_before_is_the_interval_of_the_difference(
    desk: Desk, series: list[tuple[float, float, float]], n_before: int, better: str
) -> None:
    desk.clear()
    for number, (value, low, high) in enumerate(series):
        desk.window(FIRST + number * WEEK, **metric(value, ci_lower=low, ci_upper=high, better=better))
    found = desk.ask(f"metric_worse_than_before('roc_auc', windows={n_before}, version=2)")

    value, low, high = series[-1]
    past = series[-1 - n_before : -1]
    mean = sum(one[0] for one in past) / n_before
    below = math.sqrt(sum((one[0] - one[1]) ** 2 for one in past)) / n_before
    above = math.sqrt(sum((one[2] - one[0]) ** 2 for one in past)) / n_before
    lower = value - mean - math.hypot(value - low, above)
    upper = value - mean + math.hypot(high - value, below)
    is_worse = upper < 0 if better == "higher" else lower > 0
    assert bool(found) == is_worse
    if found:
        assert found[0]["bound"] == pytest.approx(mean)
        assert (found[0]["ci_lower"], found[0]["ci_upper"]) == pytest.approx((lower, upper))
    if n_before == 1:
        sql = "select verdict from wml.metric_changes order by window_start desc limit 1"
        assert (self_verdict := desk.session.warehouse.fetch(sql).to_pylist()[0]["verdict"]) is not None
        assert (self_verdict == "worse") == is_worse


def test_worse_than_before_needs_all_of_its_past(desk: Desk) -> None:
    wide = {"ci_lower": 0.79, "ci_upper": 0.81}
    desk.window(FIRST, version=1, **metric(0.8, **wide))
    desk.window(FIRST + WEEK, version=1, **metric(None))
    desk.window(SECOND, **metric(0.8, **wide))
    desk.window(SECOND + WEEK, **metric(0.5, ci_lower=0.49, ci_upper=0.51))
    assert len(desk.ask("metric_worse_than_before('roc_auc', windows=2)")) == 1
    assert desk.ask("metric_worse_than_before('roc_auc', windows=3)") == []
    assert desk.ask("metric_worse_than_before('roc_auc', by=0.31)") == []
    (row,) = desk.ask("metric_worse_than_before('roc_auc', windows=2, by=0.29)")
    assert row["first_window_start"] == FIRST
    assert row["change"] == pytest.approx(-0.3)
    # Whatever cannot be better or worse is neither.
    desk.session.warehouse.run("update wml.metrics set better = null")
    assert desk.ask("metric_worse_than_before('roc_auc')") == []


def test_worse_than_before_is_about_the_last_window_or_nothing(desk: Desk) -> None:
    desk.window(FIRST, version=1, **metric(0.8, ci_lower=0.79, ci_upper=0.81))
    desk.window(SECOND, **metric(0.5, ci_lower=0.49, ci_upper=0.51))
    assert len(desk.ask("metric_worse_than_before('roc_auc')")) == 1
    desk.window(SECOND + WEEK, **metric(None))
    assert desk.ask("metric_worse_than_before('roc_auc')") == []


# Groups


def disparity(difference: float | None, p_adjusted: float | None = 0.001, **more: Any) -> dict[str, Any]:
    row = {"metric": "recall", "slice_key": "region", "slice_value": "north", "difference": difference}
    return {**row, "p_adjusted": p_adjusted, **more}


def test_a_group_fires_beyond_the_bound_and_chance(desk: Desk) -> None:
    rows = [
        disparity(-0.2, slice_value="far"),
        disparity(-0.1, slice_value="at the bound"),
        disparity(-0.3, 0.05, slice_value="by chance"),
        disparity(-0.3, None, slice_value="untested"),
        disparity(None, slice_value="hidden", is_suppressed=True),
        disparity(0.2, slice_value="better off"),
    ]
    desk.window(SECOND, table="disparities", rows=rows)

    def found(more: str = "") -> list[str]:
        return [row["slice_value"] for row in desk.ask(f"slice_differs('recall', by=0.1{more})")]

    assert found() == ["better off", "far"]
    assert found(", side='below'") == ["far"]
    assert found(", side='above'") == ["better off"]
    assert found(", side='below', significance=none") == ["by chance", "far", "untested"]
    assert found(", significance=0.001") == []
    (row,) = desk.ask("slice_differs('recall', by=0.1, side='below', slices='region')")
    assert (row["value"], row["bound"], row["version"]) == (-0.2, 0.1, 2)


def test_groups_of_a_window_that_is_not_mature_do_not_fire(desk: Desk) -> None:
    desk.window(SECOND, table="disparities", is_mature=False, **disparity(-0.5, ratio_to_highest=0.1))
    assert desk.ask("slice_differs('recall')") == []
    assert desk.ask("impact_ratio_below(0.8, metric='recall')") == []
    assert len(desk.ask("slice_differs('recall', mature=false)")) == 1


def test_an_impact_ratio_fires_below_its_bound(desk: Desk) -> None:
    names = {"low": 0.79, "at the bound": 0.8, "high": 1.0, "hidden": None}
    rows = [
        disparity(0.0, metric="selection_rate", slice_value=name, ratio_to_highest=ratio)
        for name, ratio in names.items()
    ]
    desk.window(SECOND, table="disparities", rows=rows)
    (row,) = desk.ask("impact_ratio_below(0.8)")
    assert (row["slice_value"], row["value"], row["bound"]) == ("low", 0.79, 0.8)


# Drift


def drift(name: str, value: float | None, threshold: float | None = 0.2, **more: Any) -> dict[str, Any]:
    row = {"input": name, "metric": "psi", "value": value, "threshold": threshold, "kind": "input", "importance": 0.5}
    return {**row, **more}


def test_an_input_drifts_above_its_threshold_or_the_one_given(desk: Desk) -> None:
    rows = [
        drift("amount", 0.3),
        drift("visits", 0.2),
        drift("region", 0.9, importance=0.01),
        drift("plan", None),
        drift("free", 0.9, threshold=None, importance=None),
        drift("(label)", 0.9, kind="label"),
        drift("amount", 5.0, metric="wasserstein", threshold=None),
    ]
    desk.window(SECOND, table="drift", rows=rows, is_mature=False)

    def found(told: str = "") -> list[str]:
        return [row["input"] for row in desk.ask(f"input_drifts({told})")]

    assert found() == ["region", "amount"]
    assert found("importance_above=0.01") == ["amount"]
    assert found("above=0.1") == ["free", "region", "amount", "visits"]
    assert found("above=0.3") == ["free", "region"]
    assert found("metric='wasserstein'") == []
    assert found("metric='wasserstein', above=4") == ["amount"]
    assert found("inputs=['(label)', 'visits']") == ["(label)"]
    assert found("mature=true") == []


# Versions


def test_a_version_is_old_after_so_many_days_and_not_on_the_day(desk: Desk) -> None:
    assert desk.ask("version_older_than(14)") == []
    (row,) = desk.ask("version_older_than(14)", NOW + dt.timedelta(seconds=1))
    assert (row["bound"], row["version"], row["trained_at"]) == (14, 2, SECOND)
    assert row["value"] == pytest.approx(14 + 1 / 86400)
    assert [row["version"] for row in desk.ask("version_older_than(6)", FIRST + WEEK)] == [1]
    assert len(desk.ask("version_older_than(var('days_until_known'))")) == 1


def test_of_two_champions_of_one_instant_the_last_written_serves(desk: Desk) -> None:
    registry, ledger = desk.session.registry, desk.root / "artifacts" / "aliases.parquet"
    kept = ledger.read_bytes()
    try:
        registry.write_ledger([Alias("churn", CHAMPION, 1, SECOND, "rolled back at once")])
        assert registry.get("churn", at=NOW).version == 1
        assert [row["version"] for row in desk.ask("version_older_than(0, version='champion')")] == [1]
        assert [row["version"] for row in desk.ask("version_older_than(0)")] == [2]
        registry.write_ledger([Alias("churn", CHAMPION, None, NOW, "nobody")])
        assert desk.ask("version_older_than(0, version='champion')") == []
    finally:
        ledger.write_bytes(kept)


def test_new_rows_are_those_after_the_version_and_up_to_the_clock(desk: Desk) -> None:
    warehouse = desk.session.warehouse
    warehouse.run("create or replace table products as select * from (values (null::timestamptz)) as v(added_at)")
    edit(desk.root, "wml.toml", "[vars]", 'products = "main.products"\n\n[vars]')
    try:
        call = "new_rows(source('products'), at='added_at')"
        assert desk.ask(call) == []
        for added in (SECOND, NOW + dt.timedelta(seconds=1), FIRST):
            warehouse.run("insert into products values ($added)", {"added": added})
        assert desk.ask(call) == []
        for added in (SECOND + dt.timedelta(seconds=1), NOW):
            warehouse.run("insert into products values ($added)", {"added": added})
        (row,) = desk.ask(call)
        assert (row["value"], row["bound"], row["version"], row["last_at"]) == (2, 0, 2, NOW)
        assert row["relation"] == "main.products"
        assert desk.ask("new_rows(source('products'), at='added_at', more_than=2)") == []
        assert len(desk.ask("new_rows(source('products'), at='added_at', more_than=1)")) == 1
        # Of version 1, the rows after it are one more; its clock sees none of the later ones.
        (row,) = desk.ask("new_rows(source('products'), at='added_at', version=1)")
        assert row["value"] == 3
        assert desk.ask(call, FIRST + WEEK) == []
    finally:
        edit(desk.root, "wml.toml", 'products = "main.products"\n\n', "")


def test_new_rows_of_a_relation_of_the_project(desk: Desk) -> None:
    (row,) = desk.ask("new_rows(ref('churn_requests'), at='requested_at', more_than=300)")
    assert row["value"] == 14 * 24 - 1
    assert desk.ask("new_rows(ref('churn_requests'), at='requested_at', more_than=335)") == []


def test_a_definition_that_changed_fires_and_a_comment_in_the_rule_does_not(desk: Desk) -> None:
    assert desk.ask("definition_changed()") == []
    assert desk.ask("definition_changed()", NOW + WEEK) == []
    edit(desk.root, "sql/features/churn_labels.sql", "events.has_churned", "not events.has_churned as has_churned")
    try:
        (row,) = desk.ask("definition_changed()")
        assert (row["version"], row["trained_from"] == row["now"]) == (2, False)
    finally:
        edit(desk.root, "sql/features/churn_labels.sql", "not events.has_churned as has_churned", "events.has_churned")
    edit(desk.root, "sql/evaluation/churn.sql", "min_slice_size=10", "min_slice_size=20")
    assert desk.ask("definition_changed()") == []
    edit(desk.root, "sql/evaluation/churn.sql", "min_slice_size=20", "min_slice_size=10")


def test_a_release_fires_and_a_project_outside_git_does_not(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")

    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)

    with open_session(root) as session:
        train_step(session, "churn", FIRST)
        outside = Desk(root, session)
        assert outside.ask("commit_changed()") == []
        git("init")
        write(root, ".gitignore", "*\n!wml.toml\n")
        git("add", "wml.toml")
        git("commit", "-m", "one")
        # A version of no commit is not known to be of another.
        assert outside.ask("commit_changed()") == []
        train_step(session, "churn", SECOND, promote="always")
        assert outside.ask("commit_changed()") == []
        git("commit", "--allow-empty", "-m", "two")
        (row,) = outside.ask("commit_changed()")
        assert row["version"] == 2
        assert len(row["now"]) == len(row["trained_from"]) == 40
        assert outside.ask("commit_changed()", FIRST + WEEK) == []


# Schedules


def test_a_schedule_is_due_once_for_each_instant(desk: Desk) -> None:
    # Version 2 is of Monday 19 February, midnight.
    call = "on_schedule('0 2 * * mon')"
    assert desk.ask(call, SECOND, on="retrain") == []
    assert desk.ask(call, SECOND + dt.timedelta(hours=1, minutes=59), on="retrain") == []
    (row,) = desk.ask(call, SECOND + dt.timedelta(hours=2), on="retrain")
    assert (row["due_at"], row["last_at"]) == (SECOND + dt.timedelta(hours=2), SECOND)
    assert desk.ask("on_schedule('0 0 * * mon')", SECOND, on="retrain") == []
    # What it was trained at may be the very instant; what fired is heard from the next clock on.
    clock = SECOND + dt.timedelta(hours=3)
    record(desk.session.warehouse, clock, "asked", "retrain", "churn", [Firing("asked", "retrain", "churn", row)])
    assert len(desk.ask(call, clock, on="retrain")) == 1
    assert desk.ask(call, clock + WEEK / 2, on="retrain") == []
    assert len(desk.ask(call, clock + WEEK, on="retrain")) == 1
    # A training that failed is asked for again.
    desk.insert("training_runs", {"run_id": "x", "model": "churn", "as_of": clock, "status": "failed"})
    assert len(desk.ask(call, clock + WEEK / 2, on="retrain")) == 1
    desk.session.warehouse.run("delete from wml.training_runs where run_id = 'x'")


def test_an_alert_on_a_schedule_goes_by_its_own_firings(desk: Desk) -> None:
    call = "on_schedule('0 2 * * mon', timezone='Europe/Berlin')"
    for model in ("churn", None):
        (row,) = desk.ask(call, SECOND, model=model)
        assert (row["due_at"], row["last_at"], row["timezone"]) == (at("2024-02-12 01:00"), None, "Europe/Berlin")
    record(desk.session.warehouse, SECOND, "asked", "alert", None, [Firing("asked", "alert", None, row)])
    assert desk.ask(call, SECOND + dt.timedelta(minutes=59), model=None) == []
    assert len(desk.ask(call, SECOND + dt.timedelta(minutes=60), model=None)) == 1


# What is written wrongly


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("metric_below('roc_auc', '0.7')", "bound = '0.7' is not a number"),
        ("metric_below('roc_auc', true)", "bound = True is not a number"),
        ("metric_below('roc_auc')", "bound"),
        ("metric_below('roc_auc', 0.7, slice='region')", "slice"),
        ("metric_below('roc_auc', 0.7, slices=[])", "slices = []"),
        ("metric_below('roc_auc', 0.7, version='winner')", 'no "winner"'),
        ("metric_below('roc_auc', 0.7, version='chmapion')", 'did you mean "champion"?'),
        ("metric_below('roc_auc', 0.7, evaluation='chrun')", 'did you mean "churn"?'),
        ("metric_below('roc_auc', 0.7, model='chrun')", 'did you mean "churn"?'),
        ("metric_worse_than_before('roc_auc', windows=0)", "windows = 0 is not a whole number from 1 up"),
        ("slice_differs('recall', side='left')", 'side: no "left"'),
        ("slice_differs('recall', significance='5 %')", "significance = '5 %' is not a number"),
        ("input_drifts(above='much')", "above = 'much' is not a number"),
        ("version_older_than('91')", "days = '91' is not a number"),
        ("on_schedule('0 2 * * 9')", "9 in the day of the week"),
        ("on_schedule('0 2 * * 0', timezone='Berlin')", 'no time zone "Berlin"'),
        ("metrics_below('roc_auc', 0.7)", 'did you mean "metric_below"?'),
    ],
)
def test_what_a_call_cannot_mean_is_told_at_its_line(desk: Desk, call: str, says: str) -> None:
    with pytest.raises(WmlError) as caught:
        desk.ask(call)
    assert str(caught.value).startswith("sql/rules/asked.sql:2: "), caught.value
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "call", ["version_older_than(1)", "metric_below('roc_auc', 1)", "definition_changed()", "commit_changed()"]
)
def test_a_call_must_say_which_model_it_is_about(desk: Desk, call: str) -> None:
    with pytest.raises(TemplateError, match="does not say which model it is about"):
        desk.ask(call, model=None)
    assert isinstance(desk.ask(call.replace(")", ", model='CHURN')").replace("(, ", "("), model=None), list)


@pytest.mark.parametrize(
    ("call", "table", "says"),
    [
        ("metric_below('roc_acu', 0.7)", "metrics", 'no metric "roc_acu" in wml.metrics'),
        ("metric_below('roc_auc', 0.7, slices='regoin')", "metrics", 'no slice_key "regoin" in wml.metrics'),
        ("slice_differs('recal')", "disparities", 'no metric "recal" in wml.disparities'),
        ("impact_ratio_below(1, metric='recall', slices='plan')", "disparities", 'no slice_key "plan"'),
        ("input_drifts(metric='pis')", "drift", 'no metric "pis" in wml.drift'),
        ("input_drifts(inputs='amuont')", "drift", 'no input "amuont" in wml.drift'),
        ('metric_below("it\'s", 0.7)', "metrics", 'no metric "it\'s"'),
    ],
)
def test_a_name_that_no_window_has_is_told(desk: Desk, call: str, table: str, says: str) -> None:
    row = {"metrics": metric(0.9), "disparities": disparity(0.0), "drift": drift("amount", 0.0)}[table]
    desk.window(SECOND, table=table, rows=[row], is_mature=True)
    with pytest.raises(SqlError) as caught:
        desk.ask(call)
    assert says in str(caught.value)
    assert str(caught.value).startswith("sql/rules/asked.sql")


def test_a_macro_may_be_part_of_a_longer_rule(desk: Desk) -> None:
    desk.window(SECOND, rows=[metric(0.6), metric(0.1, slice_key="region", slice_value="north")])
    write(
        desk.root,
        "sql/macros/ours.sql",
        "{% macro poor() %}{{ metric_below('roc_auc', 0.7, slices='*') }}{% endmacro %}",
    )
    try:
        (row,) = desk.ask("'select slice_value from (' ~ poor() ~ ') as poor where slice_key = \\'region\\''")
    finally:
        (desk.root / "sql/macros/ours.sql").unlink()
    assert row == {"slice_value": "north"}


def test_every_macro_is_described_and_known_to_the_linter(desk: Desk) -> None:
    from tests import sqlfluff_library

    module = _template("duckdb").make_module(dict.fromkeys(("as_of", "rule_name"), ""))
    macros = {name for name in vars(module) if not name.startswith("_")}
    text = (Path(__file__).parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")
    assert macros > {"on_schedule", "metric_below"}
    assert {name for name in macros if f"`{name}(" not in text} == set()
    assert {name for name in macros if f"{{{{ {name}(" not in text} == set()
    assert {name for name in macros if not hasattr(sqlfluff_library, name)} == set()
