"""Two versions compared: what they were trained on, what they say to one window, and who does better of the two."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.googlesql.both import Both, same_rows
from tests.googlesql.trained import trained
from tests.tiny import edit
from tests.wml import wml

PROVES = (
    "diff/answer.sql",
    "diff/as_if_served.sql",
    "diff/asked.sql",
    "diff/distance_unit.sql",
    "diff/distances.sql",
    "diff/flips.sql",
    "diff/label_share.sql",
    "diff/last_window.sql",
    "diff/snapshot_columns.sql",
    "diff/window_comparisons.sql",
    "diff/window_metrics.sql",
    "diff/window_rows.sql",
    "registry/ab_results.sql",
    "warehouses/resliced.sql",
)

UNPROVED = {"due/macros.sql": "macros that are no statement: test_rules.py sends each as the text of a rule"}

LATER = "2024-01-18"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with trained(tmp_path_factory.mktemp("trained")) as project:
        # Decisions alone, of which all that is told of two versions but their ranking can be told.
        old, new = "answers.score,", "answers.prediction = 'true' as prediction,"
        project.write(lambda folder: edit(folder, "sql/evaluation/churn.sql", old, new))
        promote = ("promote", "churn@2", "--alias", "canary", "--share", "0.4", "--reason", "a try")
        project.run(*promote, "--as-of", "2024-01-08")
        project.run("evaluate", "--as-of", LATER)
        yield project


def test_a_canary_and_its_champion_compare_alike(both: Both) -> None:
    assert both.agree("wml.ab_results") > 0


def test_two_versions_differ_alike(both: Both) -> None:
    before = both.rows("select * from wml.request_log_churn")
    done = [
        wml(folder, "models", "diff", "churn@1", "churn@2", "--format", "json")
        for folder in (both.duckdb, both.bigquery)
    ]
    assert [one.code for one in done] == [0, 0], done[1].err
    ours, theirs = (_flat(json.loads(one.out)) for one in done)
    assert ours.keys() == theirs.keys()
    same_rows([ours], [theirs])
    assert any("flips" in name for name in ours)
    # All that it took is taken back.
    for left, right in zip(before, both.rows("select * from wml.request_log_churn"), strict=True):
        same_rows(left, right)


def test_a_dry_run_leaves_the_answers_as_they_are(both: Both) -> None:
    counted = "select count(*) as n from wml.request_log_churn", "select count(*) as n from wml.evaluations"
    before = [both.rows(query) for query in counted]
    promote = ("promote", "churn@2", "--reason", "better", "--as-of", LATER, "--dry-run")
    done = [wml(folder, *promote) for folder in (both.duckdb, both.bigquery)]
    assert [one.code for one in done] == [0, 0], done[1].err
    assert done[0].out == done[1].out
    assert [both.rows(query) for query in counted] == before


def _flat(value: object, place: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        return {key: found for name, part in value.items() for key, found in _flat(part, f"{place}.{name}").items()}
    if isinstance(value, list):
        return {key: found for name, part in enumerate(value) for key, found in _flat(part, f"{place}.{name}").items()}
    return {place: value}
