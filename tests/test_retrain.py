"""``wml retrain`` and ``wml rules``: who is due and why, in which order, what is kept of it, what failing leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.test_bad_input import refused
from tests.tiny import edit, write, write_tiny
from tests.wml import Done, ok, rows, wml
from warehouse_ml.catalog import Catalog
from warehouse_ml.loop.retrain import fed_by
from warehouse_ml.project import load_project

SPLIT, LATER, END = "2024-02-05", "2024-02-19", "2024-03-04"

SCORES = """\
{{ config(materialized='table') }}
select scored.request_id, scored.predicted_has_churned as would_churn
from ml.predict(model churn, (select * from {{ ref('churn_requests') }})) as scored
"""
VALUE_REQUESTS = """\
{{ config(materialized='view') }}
select requests.request_id, requests.requested_at, requests.visits, scores.would_churn
from {{ ref('churn_requests') }} as requests
inner join {{ ref('churn_scores') }} as scores on requests.request_id = scores.request_id
"""
VALUE = """\
create or replace model value
options (model_type = 'linear_reg', input_label_cols = ['amount'], data_split_method = 'no_split') as
select requests.visits, requests.would_churn, paid.amount
from {{ ref('value_requests') }} as requests
inner join {{ ref('churn_requests') }} as paid on requests.request_id = paid.request_id
"""
OTHER = """\
{{ config(requests='churn_requests') }}
create or replace model other
options (model_type = 'linear_reg', input_label_cols = ['amount'], data_split_method = 'no_split') as
select requests.visits, requests.amount from {{ ref('churn_requests') }} as requests
"""
OLD = "{{ config(on='retrain', model='MODEL') }} {{ version_older_than(DAYS) }}\n"


def old(model: str, days: int) -> str:
    return OLD.replace("MODEL", model).replace("DAYS", str(days))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of 5 February: churn feeds value, other stands alone."""
    root = write_tiny(tmp_path_factory.mktemp("retrain") / "tiny")
    write(root, "sql/features/churn_scores.sql", SCORES)
    write(root, "sql/requests/value_requests.sql", VALUE_REQUESTS)
    write(root, "models/value.sql", VALUE)
    write(root, "models/other.sql", OTHER)
    for model in ("churn", "value", "other"):
        ok(root, "train", model, "--as-of", SPLIT)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def retrained_once(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    root = Path(shutil.copytree(trained_once, tmp_path_factory.mktemp("retrained") / "tiny"))
    write(root, "sql/rules/churn_is_old.sql", old("churn", 13))
    return root, ok(root, "retrain", "--due", "--as-of", LATER, "--format", "json")


def result(done: Done) -> list[tuple[str, str, int | None]]:
    return [(row["model"], row["result"], row["version"]) for row in done.rows]


def firings(root: Path) -> list[tuple[str, str, str, dict[str, Any]]]:
    found = rows(
        root, 'select rule, "on", model, as_of, returned_row from wml.rule_firings order by as_of, model, rule'
    )
    return [(row["rule"], row["model"], row["as_of"][:10], json.loads(row["returned_row"])) for row in found]


def versions(root: Path) -> list[tuple[str, int, str]]:
    found = rows(root, "select model, version, as_of from wml.model_versions order by model, version")
    return [(row["model"], row["version"], row["as_of"][:10]) for row in found]


def test_a_rule_trains_its_model_and_the_model_that_it_feeds(retrained_once: tuple[Path, Done]) -> None:
    trained, done = retrained_once
    assert result(done) == [("churn", "trained", 2), ("value", "trained", 2)]
    assert done.rows[0]["due_to"].startswith("churn_is_old: the version is old (value 14, bound 13, version 1")
    assert done.rows[1]["due_to"] == "its input model churn was retrained (input_model churn, input_version 2)"
    told = firings(trained)
    assert [fired[:3] for fired in told] == [
        ("churn_is_old", "churn", LATER),
        ("input_model_retrained", "value", LATER),
    ]
    assert told[0][3]["value"] == 14
    assert told[1][3] == {
        "reason": "its input model churn was retrained",
        "input_model": "churn",
        "input_version": 2,
    }
    # Trained after it: on the scores of the version that serves now.
    made = rows(trained, "select model, created_at from wml.model_versions where version = 2 order by created_at")
    assert [row["model"] for row in made] == ["churn", "value"]


def test_the_same_clock_again_trains_nothing_and_forgets_nothing(retrained_once: tuple[Path, Done]) -> None:
    trained, _ = retrained_once
    before = versions(trained), firings(trained)
    done = ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")
    assert done.rows == []
    assert "nothing is due" in done.err
    ok(trained, "run", "--as-of", LATER)
    assert (versions(trained), firings(trained)) == before


def test_a_rule_that_always_fires_makes_no_version_twice_and_says_so(trained: Path) -> None:
    write(trained, "sql/rules/always.sql", "{{ config(on='retrain', model='other') }} select 'always' as reason")
    assert result(ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")) == [("other", "trained", 2)]
    done = ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")
    assert result(done) == [("other", "unchanged", 2)]
    assert "the same definition was trained on the same" in done.rows[0]["reason"]
    assert [fired[:3] for fired in firings(trained)] == [("always", "other", LATER)]


def test_a_dry_run_shows_what_is_due_and_changes_nothing(trained: Path) -> None:
    write(trained, "sql/rules/churn_is_old.sql", old("churn", 13))
    before = versions(trained)
    done = wml(trained, "retrain", "--due", "--dry-run", "--as-of", LATER, "--format", "json")
    assert done.code == 1
    assert result(done) == [("churn", "due", None), ("value", "due", None)]
    assert done.rows[1]["due_to"].startswith("its input model churn was retrained")
    assert (versions(trained), firings(trained)) == (before, [])
    done = ok(trained, "retrain", "--due", "--dry-run", "--as-of", "2024-02-06", "--format", "json")
    assert done.rows == []
    done = wml(trained, "retrain", "churn", "other", "--dry-run", "--as-of", LATER, "--format", "json")
    assert sorted(row["model"] for row in done.rows) == ["churn", "other", "value"]


def test_models_that_are_named_and_what_they_feed_are_trained(trained: Path) -> None:
    done = ok(trained, "retrain", "CHURN", "--as-of", LATER, "--format", "json")
    assert result(done) == [("churn", "trained", 2), ("value", "trained", 2)]
    assert done.rows[0]["due_to"] == "named"
    assert [fired[:2] for fired in firings(trained)] == [("input_model_retrained", "value")]
    done = ok(trained, "retrain", "value", "--as-of", END, "--format", "json")
    assert result(done) == [("value", "trained", 3)]


def test_only_rules_about_the_models_named_are_asked(trained: Path) -> None:
    write(trained, "sql/rules/churn_is_old.sql", old("churn", 13))
    write(trained, "sql/rules/other_is_old.sql", old("other", 13))
    done = ok(trained, "retrain", "other", "--due", "--as-of", LATER, "--format", "json")
    assert result(done) == [("other", "trained", 2)]
    assert [fired[:2] for fired in firings(trained)] == [("other_is_old", "other")]


def test_what_is_unchanged_feeds_nothing_new(trained: Path) -> None:
    ok(trained, "retrain", "churn", "--as-of", LATER)
    before = versions(trained)
    done = ok(trained, "retrain", "churn", "--as-of", LATER, "--format", "json")
    assert result(done) == [("churn", "unchanged", 2)]
    assert versions(trained) == before


def test_a_crash_between_two_trainings_is_made_good(trained: Path) -> None:
    ok(trained, "train", "churn", "--as-of", LATER)
    done = ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")
    assert result(done) == [("value", "trained", 2)]
    assert ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json").rows == []
    # Later on it is up to the rules.
    assert ok(trained, "retrain", "--due", "--as-of", END, "--format", "json").rows == []


def test_a_training_that_fails_stops_what_it_feeds_and_nothing_else(trained: Path) -> None:
    for model in ("churn", "value", "other"):
        write(trained, f"sql/rules/{model}_is_old.sql", old(model, 13))
    edit(trained, "models/churn.sql", "'logistic_reg'", "'logistic'")
    done = wml(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")
    assert done.code == 2
    found = {row["model"]: (row["result"], row["reason"]) for row in done.rows}
    assert found["value"] == ("skipped", "its input model churn failed")
    assert found["other"][0] == "trained"
    assert found["churn"][0] == "failed"
    assert 'error: models/churn.sql:3:5: no model type "logistic"' in done.err
    assert "failed: the model churn; all else was done" in done.err
    assert [version[:2] for version in versions(trained)] == [("churn", 1), ("other", 1), ("other", 2), ("value", 1)]
    assert "input_model_retrained" not in {fired[0] for fired in firings(trained)}
    # Put right, the same clock does what was left undone.
    edit(trained, "models/churn.sql", "'logistic'", "'logistic_reg'")
    done = ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")
    assert result(done) == [("churn", "trained", 2), ("value", "trained", 2)]


def test_the_worst_exit_code_is_told(trained: Path) -> None:
    for model in ("churn", "other"):
        write(trained, f"sql/rules/{model}_is_old.sql", old(model, 13))
    edit(trained, "models/other.sql", "'linear_reg'", "'linear'")
    # A version that was tampered with: the champion cannot be compared with.
    (trained / "artifacts" / "churn" / "1" / "facts.json").write_text("{}")
    done = wml(trained, "retrain", "--due", "--as-of", LATER, "--format", "json")
    assert done.code == 3, done.err
    assert {row["model"]: row["result"] for row in done.rows}["other"] == "failed"
    assert "failed: the model " in done.err


def test_the_weekly_job_does_the_same(trained: Path) -> None:
    write(trained, "sql/rules/churn_is_old.sql", old("churn", 13))
    write(trained, "sql/rules/broken.sql", "{{ config(on='alert') }}\n\nselect nothing_like_it from churn_requests")
    write(trained, "sql/rules/other_is_old.sql", old("other", 13))
    edit(trained, "models/other.sql", "'linear_reg'", "'linear'")
    done = wml(trained, "run", "--as-of", LATER, "--format", "json")
    refused(
        done, 2, 'sql/rules/broken.sql:3:8: no column "nothing_like_it"', "failed: the rule broken, the model other"
    )
    assert done.rows[0]["trained"] == "churn@2, value@2"
    assert [fired[:2] for fired in firings(trained)] == [
        ("churn_is_old", "churn"),
        ("other_is_old", "other"),
        ("input_model_retrained", "value"),
    ]


def test_a_week_in_which_something_failed_ends_a_replay(trained: Path) -> None:
    write(
        trained,
        "sql/rules/broken.sql",
        "{{ config(on='alert') }} select x from nowhere where {{ as_of }} > '2024-02-13'",
    )
    done = wml(trained, "run", "--since", SPLIT, "--as-of", END, "--format", "json")
    assert done.code == 2
    assert len(done.rows) == 1


def test_a_version_by_number_and_a_request_log_do_not_feed(trained: Path) -> None:
    def fed(root: Path) -> dict[str, set[str]]:
        project = load_project(root)
        return {model: set(found) for model, found in fed_by(Catalog(project, project.target())).items()}

    assert fed(trained) == {"churn": set(), "value": {"churn"}, "other": set()}
    edit(trained, "models/other.sql", "ref('churn_requests') }} as requests", "request_log('churn') }} as requests")
    assert fed(trained) == {"churn": set(), "value": {"churn"}, "other": set()}
    edit(trained, "sql/features/churn_scores.sql", "model churn,", "model churn@champion,")
    assert fed(trained)["value"] == {"churn"}
    edit(trained, "sql/features/churn_scores.sql", "model churn@champion,", "model churn@1,")
    assert fed(trained)["value"] == set()


def test_a_schedule_trains_once_a_week(trained: Path) -> None:
    write(
        trained,
        "sql/rules/weekly.sql",
        "{{ config(on='retrain', model='other') }} {{ on_schedule('0 6 * * mon', timezone='America/New_York') }}",
    )
    done = [
        [row["version"] for row in ok(trained, "retrain", "--due", "--as-of", clock, "--format", "json").rows]
        for clock in ("2024-02-05 10:59", "2024-02-05 11:00", "2024-02-07", "2024-02-12 12:00", "2024-02-12 12:00")
    ]
    assert done == [[], [2], [], [3], []]


def test_a_rule_that_is_switched_off_is_not_asked(trained: Path) -> None:
    write(trained, "sql/rules/off.sql", old("churn", 13).replace("'churn'", "'churn', enabled=false"))
    assert ok(trained, "retrain", "--due", "--as-of", LATER, "--format", "json").rows == []
    (row,) = ok(trained, "rules", "--as-of", LATER, "--format", "json").rows
    assert (row["is_enabled"], row["n_rows"], row["rows"]) == (False, None, [])
    write(trained, "sql/rules/off.sql", old("churn", 13).replace("'churn'", "'churn', enabled='no'"))
    done = wml(trained, "retrain", "--due", "--as-of", LATER)
    assert done.code == 2
    assert "sql/rules/off.sql: enabled = 'no' is neither true nor false" in done.err


def test_something_must_say_what_to_train(trained: Path) -> None:
    refused(wml(trained, "retrain", "--as-of", LATER), 2, "nothing says what to train again", "wml retrain --due")
    refused(wml(trained, "retrain", "chrun", "--as-of", LATER), 2, 'no model "chrun"', 'did you mean "churn"?')


def test_rules_are_listed_with_what_they_say_and_nothing_is_recorded(trained: Path) -> None:
    write(trained, "sql/rules/churn_is_old.sql", old("churn", 13))
    write(trained, "sql/rules/other_is_old.sql", old("other", 15))
    done = wml(trained, "rules", "--as-of", LATER, "--format", "json")
    assert done.code == 1
    assert [(row["rule"], row["on"], row["model"], row["n_rows"]) for row in done.rows] == [
        ("churn_is_old", "retrain", "churn", 1),
        ("other_is_old", "retrain", "other", 0),
    ]
    assert done.rows[0]["rows"][0]["bound"] == 13
    assert firings(trained) == []
    assert ok(trained, "rules", "other_is_old", "--as-of", LATER).out.splitlines()[2].split()[0] == "other_is_old"
    assert wml(trained, "rules", "--as-of", LATER).out.splitlines()[2].split()[4:8] == ["the", "version", "is", "old"]
    refused(wml(trained, "rules", "churn_is_odl"), 2, 'did you mean "churn_is_old"?')
    write(trained, "sql/rules/gate.sql", "{{ config(on='promote', model='churn') }} select nothing_like_it")
    (row,) = ok(trained, "rules", "gate", "--as-of", LATER, "--format", "json").rows
    assert (row["on"], row["n_rows"], row["rows"]) == ("promote", None, [])
    write(trained, "sql/rules/broken.sql", "{{ config(on='sometimes') }} select 1 as one")
    done = wml(trained, "rules", "--as-of", LATER)
    assert done.code == 2
    assert 'sql/rules/broken.sql: on = "sometimes" is not something a rule can be for' in done.err
    assert len(done.out.splitlines()) == 6
    assert "asked before a version takes over" in done.out


def test_a_project_without_rules_has_nothing_due(trained: Path) -> None:
    assert ok(trained, "rules", "--as-of", LATER, "--format", "json").rows == []
    assert "nothing is due" in ok(trained, "retrain", "--due", "--as-of", LATER).err


def test_an_alert_is_told_once_and_ends_the_job_with_1(trained: Path) -> None:
    write(
        trained,
        "sql/rules/loud.sql",
        "{{ config(on='alert') }} select 'loud' as reason, n as value from range(3) as t(n)",
    )
    done = wml(trained, "run", "--as-of", LATER, "--format", "table")
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if "rule loud" in line]
    assert line.strip() == "rule loud fired: reason loud, value 0 (and 2 more)"
    assert [fired[3]["value"] for fired in firings(trained)] == [0, 1, 2]
