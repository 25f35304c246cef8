"""The loop through the command line: train, predict, evaluate, run; twice, late, and back in time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows, wml

SPLIT, LATER, END = "2024-02-05", "2024-02-19", "2024-03-04"


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("trained") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A project with version 1 as champion since 5 February."""
    return Path(shutil.copytree(trained_once, tmp_path / "tiny"))


def test_the_first_version_serves(trained: Path) -> None:
    assert rows(trained, "select model, alias, version, reason from wml.model_aliases") == [
        {"model": "churn", "alias": "champion", "version": 1, "reason": "the first version"}
    ]
    (version,) = rows(trained, "select model, version, model_type, n_rows from wml.model_versions")
    # Requests up to 5 February, whose answer is known three days later.
    assert version == {"model": "churn", "version": 1, "model_type": "LOGISTIC_REG", "n_rows": (35 - 3) * 24 + 1}
    runs = rows(trained, "select status, version, error from wml.training_runs")
    assert runs == [{"status": "finished", "version": 1, "error": None}]


def test_training_again_changes_nothing_and_says_so(trained: Path) -> None:
    before = sorted((trained / "artifacts").rglob("*"))
    (row,) = ok(trained, "train", "churn", "--as-of", SPLIT, "--format", "json").rows
    assert (row["version"], row["is_new"]) == (1, False)
    assert "the same definition was trained on the same 769 rows already" in row["reason"]
    assert sorted((trained / "artifacts").rglob("*")) == before


def test_forced_training_gives_the_same_parameters(trained: Path) -> None:
    (row,) = ok(trained, "train", "churn", "--as-of", SPLIT, "--force", "--format", "json").rows
    assert (row["version"], row["is_new"]) == (2, True)
    first, second = (trained / "artifacts" / "churn" / str(number) for number in (1, 2))
    for path in sorted(first.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_requests_are_scored_once_by_the_version_that_served(trained: Path) -> None:
    (row,) = ok(trained, "predict", "churn", "--as-of", LATER, "--format", "json").rows
    assert (row["version"], row["alias"], row["n_requests"]) == (1, "champion", 14 * 24)
    (row,) = ok(trained, "predict", "churn", "--as-of", LATER, "--format", "json").rows
    assert row["n_requests"] == 0
    (row,) = ok(trained, "predict", "churn", "--as-of", END, "--format", "json").rows
    assert row["n_requests"] == 14 * 24
    (log,) = rows(
        trained,
        "select count(*) as n, count(distinct request_id) as n_ids, count(score) as n_scores,"
        " min(requested_at) as first, bool_and(requested_at < logged_at) as is_in_order from wml.request_log",
    )
    assert log == {"n": 672, "n_ids": 672, "n_scores": 672, "first": "2024-02-05T00:00:00+00:00", "is_in_order": True}


def test_a_request_before_any_version_is_not_scored(trained: Path) -> None:
    ok(trained, "predict", "churn", "--as-of", END)
    assert rows(trained, "select count(*) as n from wml.request_log where requested_at < '2024-02-05 00:00:00+00'") == [
        {"n": 0}
    ]


def test_the_log_keeps_the_features_with_their_types(trained: Path) -> None:
    ok(trained, "predict", "churn", "--as-of", LATER)
    types = rows(trained, "select column_name, column_type from (describe wml.request_log_churn)")
    found = {row["column_name"]: row["column_type"] for row in types}
    assert (found["amount"], found["visits"], found["region"]) == ("DOUBLE", "INTEGER", "VARCHAR")
    differing = rows(
        trained,
        "select count(*) as n from wml.request_log_churn as logged inner join churn_requests using (request_id)"
        " where logged.amount is distinct from churn_requests.amount",
    )
    assert differing == [{"n": 0}]


def test_the_logged_scores_are_those_of_scikit_learn(trained: Path) -> None:
    """The whole path, rows to log, against an estimator fitted by hand on the snapshot."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    ok(trained, "predict", "churn", "--as-of", END)
    snapshot = pd.read_parquet(trained / "artifacts" / "churn" / "1" / "snapshot.parquet")
    fitted = snapshot[snapshot.wml_split == "train"]

    def encode(frame: pd.DataFrame) -> np.ndarray:
        columns = [
            (frame[name].fillna(fitted[name].mean()) - fitted[name].mean())
            / fitted[name].fillna(fitted[name].mean()).std(ddof=0)
            for name in ("amount", "visits")
        ]
        columns += [(frame.region == name).astype(float) for name in ("east", "north", "south")]
        return np.column_stack(columns)

    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(encode(fitted), fitted.has_churned)
    log = pd.DataFrame(rows(trained, "select score, amount, visits, region from wml.request_log_churn"))
    expected = model.predict_proba(encode(log))[:, 1]
    assert np.abs(expected - log.score).max() < 2e-3


def test_weeks_are_evaluated_restated_and_then_left_alone(trained: Path) -> None:
    first = ok(trained, "evaluate", "--as-of", "2024-02-12", "--format", "json").rows
    assert [(row["window_start"][:10], row["n_requests"], row["n_labelled"], row["is_mature"]) for row in first] == [
        ("2024-02-05", 168, 97, False)
    ]
    assert ok(trained, "evaluate", "--as-of", "2024-02-12", "--format", "json").rows == []
    second = ok(trained, "evaluate", "--as-of", "2024-02-19", "--format", "json").rows
    assert [(row["window_start"][:10], row["n_labelled"], row["is_mature"]) for row in second] == [
        ("2024-02-05", 168, True),
        ("2024-02-12", 97, False),
    ]
    history = rows(
        trained,
        "select as_of, value from wml.metrics where metric = 'n_labelled' and slice_key = 'overall'"
        " and window_start = timestamptz '2024-02-05 00:00:00+00' order by as_of",
    )
    assert [(row["as_of"][:10], row["value"]) for row in history] == [("2024-02-12", 97), ("2024-02-19", 168)]
    latest = rows(
        trained,
        "select value from wml.latest_metrics where metric = 'n_labelled' and slice_key = 'overall'"
        " and window_start = timestamptz '2024-02-05 00:00:00+00'",
    )
    assert latest == [{"value": 168.0}]


def test_every_week_at_once_gives_the_numbers_of_week_by_week(trained: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    for clock in ("2024-02-12", "2024-02-19", "2024-02-26", END):
        ok(trained, "evaluate", "--as-of", clock)
    ok(other, "evaluate", "--as-of", END)
    query = (
        "select window_start, slice_key, slice_value, metric, value, ci_lower, ci_upper, n, reason"
        " from wml.latest_metrics order by window_start, slice_key, slice_value, metric"
    )
    for found, expected in zip(rows(trained, query), rows(other, query), strict=True):
        assert found == pytest.approx(expected, abs=1e-12)  # threads add in any order


def test_metrics_are_those_of_scikit_learn_on_the_joined_rows(trained: Path) -> None:
    from sklearn import metrics

    edit(trained, "sql/evaluation/churn.sql", "min_slice_size=10", "min_slice_size=0")
    ok(trained, "evaluate", "--as-of", END)
    joined = rows(
        trained,
        "select score, has_churned from wml.request_log_churn inner join churn_labels using (request_id)"
        " where region = 'north' and requested_at >= '2024-02-12 00:00:00+00'"
        " and requested_at < '2024-02-19 00:00:00+00'",
    )
    labels, scores = [row["has_churned"] for row in joined], [row["score"] for row in joined]
    found = {
        row["metric"]: row["value"]
        for row in rows(
            trained,
            "select metric, value from wml.latest_metrics where slice_key = 'region' and slice_value = 'north'"
            " and window_start = timestamptz '2024-02-12 00:00:00+00'",
        )
    }
    decisions = [score >= 0.5 for score in scores]
    assert found["n_labelled"] == len(joined)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, scores), abs=1e-12)
    assert found["recall"] == pytest.approx(metrics.recall_score(labels, decisions), abs=1e-12)
    assert found["f1_score"] == pytest.approx(metrics.f1_score(labels, decisions), abs=1e-12)


def test_every_table_of_the_contract_is_there(trained: Path) -> None:
    ok(trained, "evaluate", "--as-of", END)
    names = {
        row["table_name"]
        for row in rows(trained, "select table_name from information_schema.tables where table_schema = 'wml'")
    }
    assert names >= {
        "request_log_churn",
        "request_log",
        "model_versions",
        "model_aliases",
        "training_runs",
        "trials",
        "evaluations",
        "metrics",
        "fairness",
        "drift",
        "calibration",
        "rule_firings",
        "latest_metrics",
        "latest_fairness",
    }
    for name in ("evaluations", "metrics", "fairness", "drift", "calibration"):
        assert rows(trained, f"select count(*) > 0 as is_filled from wml.{name}") == [{"is_filled": True}], name


def test_no_request_is_lost(trained: Path) -> None:
    ok(trained, "evaluate", "--as-of", END)
    assert rows(trained, "select sum(n_requests)::bigint as n from wml.evaluations") == rows(
        trained, "select count(*) as n from wml.request_log"
    )


def test_the_warehouse_can_be_lost(trained: Path) -> None:
    ok(trained, "evaluate", "--as-of", END)
    query = "select * exclude (created_at) from wml.model_versions order by all"
    before = rows(trained, query)
    (trained / "warehouse.duckdb").unlink()
    ok(trained, "build", "--as-of", END)
    assert rows(trained, query) == before
    assert rows(trained, "select alias, version from wml.model_aliases") == [{"alias": "champion", "version": 1}]


def test_the_index_of_versions_can_be_lost(trained: Path) -> None:
    (trained / "artifacts" / "index.parquet").unlink()
    listed = ok(trained, "models", "list", "--format", "json").rows
    assert [(row["model"], row["version"], row["aliases"]) for row in listed] == [("churn", 1, "champion")]


def test_a_worse_version_becomes_the_challenger_and_shadows(trained: Path) -> None:
    edit(trained, "models/churn.sql", "'logistic_reg',", "'logistic_reg', l1_reg = 1e9,")
    (row,) = ok(trained, "train", "churn", "--as-of", LATER, "--format", "json").rows
    assert row["alias"] == "challenger"
    assert row["reason"].startswith("worse on the rows held out: roc_auc 0.")
    ok(trained, "predict", "churn", "--as-of", END)
    scored = rows(trained, "select alias, version, count(*) as n from wml.request_log group by all order by all")
    assert scored == [
        {"alias": "challenger", "version": 2, "n": 14 * 24},
        {"alias": "champion", "version": 1, "n": 28 * 24},
    ]


def test_a_better_version_takes_over_and_the_former_shadows(trained: Path) -> None:
    (row,) = ok(trained, "train", "churn", "--as-of", LATER, "--promote", "always", "--format", "json").rows
    assert (row["version"], row["alias"]) == (2, "champion")
    ok(trained, "predict", "churn", "--as-of", END)
    scored = rows(trained, "select alias, version, count(*) as n from wml.request_log group by all order by all")
    assert scored == [
        {"alias": "challenger", "version": 1, "n": 14 * 24},
        {"alias": "champion", "version": 1, "n": 14 * 24},
        {"alias": "champion", "version": 2, "n": 14 * 24},
    ]


def test_the_weekly_job_trains_what_has_no_version_and_what_a_rule_names(tiny: Path) -> None:
    write(
        tiny,
        "sql/rules/churn_is_old.sql",
        "{{ config(on='retrain', model='churn') }}\n"
        "select 'old' as reason, max(as_of) as trained_at from wml.model_versions where as_of <= {{ as_of }}\n"
        "having max(as_of) < {{ add_interval(as_of, -13, 'day') }}",
    )
    done = ok(tiny, "run", "--since", SPLIT, "--as-of", END, "--format", "json")
    assert [(row["as_of"][:10], row["trained"]) for row in done.rows] == [
        ("2024-02-05", "churn@1"),
        ("2024-02-12", ""),
        ("2024-02-19", "churn@2"),
        ("2024-02-26", ""),
        ("2024-03-04", "churn@3"),
    ]
    fired = rows(tiny, 'select rule, "on", model, as_of from wml.rule_firings order by as_of')
    assert [(row["rule"], row["on"], row["model"], row["as_of"][:10]) for row in fired] == [
        ("churn_is_old", "retrain", "churn", "2024-02-19"),
        ("churn_is_old", "retrain", "churn", "2024-03-04"),
    ]


def test_run_twice_is_run_once(trained: Path) -> None:
    ok(trained, "run", "--as-of", END)
    tables = ("request_log_churn", "metrics", "fairness", "drift", "calibration", "evaluations", "rule_firings")
    before = {name: rows(trained, f"select * from wml.{name} order by all") for name in tables}
    ok(trained, "run", "--as-of", END)
    assert {name: rows(trained, f"select * from wml.{name} order by all") for name in tables} == before


def test_no_labels_yet_is_a_row_with_a_reason(trained: Path) -> None:
    edit(trained, "wml.toml", "days_until_known = 3", "days_until_known = 300")
    (window,) = [
        row
        for row in ok(trained, "evaluate", "--as-of", "2024-02-12", "--format", "json").rows
        if row["window_start"].startswith("2024-02-05")
    ]
    assert (window["n_requests"], window["n_labelled"]) == (168, 0)
    (metric,) = rows(
        trained, "select value, reason from wml.metrics where metric = 'roc_auc' and slice_key = 'overall'"
    )
    assert metric["value"] is None
    assert "no labels" in metric["reason"]


def test_tests_of_the_project_pass_or_exit_with_1(trained: Path) -> None:
    assert wml(trained, "test", "--as-of", END).code == 0
    edit(trained, "sql/tests/requests_have_a_region.sql", "region is null", "region = 'north'")
    done = wml(trained, "test", "--as-of", END, "--format", "json")
    assert done.code == 1
    assert done.rows[0]["passed"] is False


def test_a_selection_by_name_and_graph(tiny: Path) -> None:
    def built(*select: str) -> list[str]:
        return [row["relation"] for row in ok(tiny, "build", *select, "--as-of", SPLIT, "--format", "json").rows]

    assert built("churn_labels") == ["churn_labels"]
    assert built("+churn") == ["churn_labels", "churn_requests"]
    assert built("churn_requests+") == ["churn_labels", "churn_requests"]
    done = wml(tiny, "build", "churn_lables")
    assert done.code == 2
    assert 'did you mean "churn_labels"?' in done.err
