"""The weekly job and what a person does beside it, through Google's client, next to the same on DuckDB."""

from __future__ import annotations

import pytest

pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

from tests.bigquery.pair import Pair
from tests.emulator.start import Emulator
from tests.tiny import write, write_tiny
from tests.wml import Done, ok, wml

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD, FOURTH, END = ("2024-02-05", "2024-02-12", "2024-02-19", "2024-02-26", "2024-03-04")
RULES = {
    "churn_is_old": "{{ config(on='retrain', model='churn') }} {{ version_older_than(13) }}\n",
    "churn_is_poor": "{{ config(on='alert', model='churn') }} {{ metric_below('roc_auc', 0.7) }}\n",
    "churn_moves": "{{ config(on='alert', model='churn') }} {{ input_drifts(metric='psi', above=0.01) }}\n",
}


@pytest.fixture(scope="module")
def pair(bigquery_server: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The small project with rules, in two folders, before any command."""
    root = tmp_path_factory.mktemp("weekly")
    found = Pair(write_tiny(root / "here" / "tiny"), write_tiny(root / "there" / "tiny"), bigquery_server)
    for folder in (found.here, found.there):
        for name, sql in RULES.items():
            write(folder, f"sql/rules/{name}.sql", sql)
    return found


def test_the_job_step_by_step(pair: Pair) -> None:
    pair.run("build", "--as-of", FIRST)
    (trained,) = pair.run("train", "churn", "--as-of", FIRST)[1].rows
    assert (trained["version"], trained["alias"], trained["n_train"]) == (1, "champion", 615)
    pair.run("promote", "churn@1", "--alias", "safe", "--reason", "it is known", "--as-of", FIRST)
    (predicted,) = pair.run("predict", "churn", "--as-of", SECOND)[1].rows
    assert predicted["n_requests"] == 7 * 24
    (again,) = pair.run("predict", "churn", "--as-of", SECOND)[1].rows
    assert again["n_requests"] == 0
    (week,) = pair.run("evaluate", "--as-of", SECOND)[1].rows
    assert (week["n_requests"], week["is_mature"]) == (7 * 24, False)
    assert pair.agree("select * from wml.metrics") > 50
    sql = "select request_id, version, alias, prediction, amount, visits, region, score from wml.request_log_churn"
    # A score is one row's own sum, from left to right.
    for ours, theirs in zip(*(sorted(rows, key=str) for rows in pair.rows(sql)), strict=True):
        assert theirs == ours | {"score": pytest.approx(ours["score"], rel=1e-14)}


def test_the_job_at_once(pair: Pair) -> None:
    """Asked again, it does nothing."""
    for day, n_new, is_trained in ((SECOND, 0, False), (THIRD, 7 * 24, True)):
        (done,) = pair.run("run", "--as-of", day, code=1)[1].rows
        assert (done["n_scored"], bool(done["trained"])) == (n_new, is_trained)
        before = pair.contents()
        (again,) = pair.run("run", "--as-of", day, code=1)[1].rows
        assert (again["n_scored"], bool(again["trained"])) == (0, False)
        assert pair.contents() == before
    firings = "select rule, model, as_of, returned_row from wml.rule_firings"
    assert pair.agree(firings) >= 3


def test_what_a_person_decides(pair: Pair) -> None:
    pair.run("promote", "churn@2", "--reason", "newer", "--force", "--as-of", "2024-02-20")
    (back,) = pair.run("rollback", "churn", "--as-of", "2024-02-20")[1].rows
    assert (back["version"], back["was"]) == (1, 2)
    # Over two mature windows, which version 2 answers for it.
    pair.run("promote", "churn@2", "--reason", "once more", "--force", "--as-of", "2024-02-22")
    (fallen,) = pair.run("fallback", "churn", "--reason", "outage", "--as-of", "2024-02-23")[1].rows
    assert (fallen["version"], fallen["was"], fallen["reason"]) == (1, 2, "fell back from version 2: outage")
    (same,) = pair.run("fallback", "churn", "--as-of", "2024-02-23")[1].rows
    assert same["outcome"] == "unchanged"
    assert pair.agree("select * from wml.alias_periods") > 3


def test_a_third_week_and_what_is_asked_of_it(pair: Pair) -> None:
    pair.run("run", "--as-of", FOURTH, code=1)
    replayed = pair.run("replay", "--all", "--model", "churn")[1]
    assert "answers of 2 versions replayed: 0 differences" in replayed.err
    pair.run("models", "diff", "churn@1", "churn@2")
    assert len(pair.run("rules", "--as-of", FOURTH, code=1)[1].rows) == len(RULES)
    for sql in (
        "select window_start, slice_value, metric, value, ci_lower, ci_upper, n from wml.latest_metrics"
        " where metric in ('roc_auc', 'recall', 'log_loss')",
        "select window_start, slice_key, metric, aggregate, value, p_adjusted from wml.latest_fairness",
        "select window_start, reference, input, metric, value from wml.drift",
        "select rule, model, as_of from wml.rule_firings",
    ):
        assert len(ok(pair.there, "query", sql, "--format", "json").rows) == pair.agree(sql) > 2


def test_a_limit_of_bytes_stops_an_evaluation(pair: Pair) -> None:
    before = pair.contents()
    refused = wml(pair.there, "evaluate", "--as-of", END, "--max-bytes", "60MB")
    assert refused.code == 1
    assert "the limit is 60,000,000: it was not run" in refused.err
    # What was finished before is kept: relations that were built, answers that were logged.
    after = pair.contents()
    for table in ("evaluations", "metrics", "fairness", "drift", "calibration"):
        assert after[table] == before[table]
    ours: Done = ok(pair.here, "evaluate", "--as-of", END)
    assert ok(pair.there, "evaluate", "--as-of", END, "--max-bytes", "1GB").out == ours.out


def test_what_is_due_is_trained_again(pair: Pair) -> None:
    (row,) = pair.run("retrain", "--due", "--as-of", END)[1].rows
    assert (row["model"], row["result"], row["version"]) == ("churn", "trained", 3)


def test_every_table_holds_the_same(pair: Pair) -> None:
    counted = {table: pair.agree(f"select * from wml.{table}") for table in pair.tables() if table != "build_history"}
    assert counted["metrics"] > 500
    assert counted["fairness"] > 100
    assert counted["drift"] > 100
    assert counted["comparisons"] > 50
    assert counted["request_log"] >= 4 * 7 * 24
    assert counted["model_versions"] == 3
    assert counted["latest_metrics_wide"] > 10
