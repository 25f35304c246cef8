"""Falling back, by hand and by a rule of the weekly job, on both engines: who serves then, and who answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.googlesql.both import Both, same_rows
from tests.googlesql.test_run import BY_NATURE
from tests.googlesql.trained import trained
from tests.tiny import write
from tests.wml import wml

SAFE, OUTAGE, BACK, WEEK, LATER = ("2024-01-09", "2024-01-09T12:00", "2024-01-10", "2024-01-15", "2024-01-16T12:00")
# The last mature day is never this good.
POOR = """\
{{ config(on='fallback', model='churn') }}
-- grain: one row per mature window of the last two weeks in which not all is right
select
    metrics.window_start,
    metrics.value
from wml.latest_metrics as metrics
where
    metrics.metric = 'roc_auc'
    and metrics.slice_key = 'overall'
    and metrics.value < 0.99
    and metrics.window_start >= {{ add_interval(as_of, -14, 'day') }}
order by metrics.window_start
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with trained(tmp_path_factory.mktemp("decided")) as project:
        yield project


def test_a_person_falls_back(both: Both) -> None:
    both.run("promote", "churn@2", "--alias", "safe", "--reason", "it is known", "--as-of", SAFE)
    for done in both.run("fallback", "churn", "--reason", "outage", "--as-of", OUTAGE, "--format", "json"):
        (row,) = done.rows
        assert (row["version"], row["was"], row["reason"]) == (2, 1, "fell back from version 1: outage")
    for done in both.run("fallback", "churn", "--as-of", OUTAGE, "--format", "json"):
        assert done.rows[0]["outcome"] == "unchanged"
    both.run("predict", "--as-of", BACK)
    assert both.agree("wml.alias_periods", but=BY_NATURE) > 2
    # What served until then goes on as challenger.
    since = "requested_at >= timestamp '2024-01-09 12:00:00+00'"
    ours, theirs = both.rows(f"select distinct alias, version from wml.request_log where {since}")
    same_rows(ours, theirs)
    assert sorted((row["alias"], row["version"]) for row in ours) == [("challenger", 1), ("champion", 2)]
    assert both.agree("wml.request_log_churn", but=BY_NATURE) > 0


def test_a_rule_falls_back_in_the_weekly_job(both: Both) -> None:
    both.run("promote", "churn@1", "--reason", "all is well again", "--force", "--as-of", BACK)
    both.write(lambda folder: write(folder, "sql/rules/poor.sql", POOR))
    for folder in (both.duckdb, both.bigquery):
        done = wml(folder, "run", "--as-of", LATER)
        assert done.code == 1, done.err
        assert "churn fell back from version 1 to the safe version 2" in done.err
    assert both.agree("wml.model_aliases", but=BY_NATURE) > 3
    assert both.agree("wml.request_log", but=BY_NATURE) > 0
    # Each engine writes a row as its own JSON.
    assert both.agree("wml.rule_firings", but=("fired_at", "returned_row")) > 0
