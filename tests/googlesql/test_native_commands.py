"""What every command makes of versions that BigQuery ML trained: it works, or says what it wants and what to do.

The models' answers are played, see ml.py: of ML.EXPLAIN_PREDICT, ML.GLOBAL_EXPLAIN and the like the reference
implementation judges how they are asked and which columns are read, not what is in them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.googlesql.both import Both
from tests.googlesql.native import made, native_project, train
from tests.tiny import edit, write
from tests.wml import ok, wml
from warehouse_ml.registry import Registry
from warehouse_ml.warehouses.base import Relation

PROVES = (
    "functions/native_call.sql",
    "replay/native_explained.sql",
    "requests/native_scored.sql",
    "training/native_export.sql",
)

FIRST, SECOND, NOW = "2024-01-05", "2024-01-08", "2024-01-17"
RETRAIN = """\
{{ config(on='retrain', model='churn') }}
select 'new rows' as reason
"""
HEADER = "create or replace model churn\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Two versions that answered the same requests, the first one as the champion."""
    with native_project(tmp_path_factory.mktemp("served")) as both:
        # Fewer statements: slices are proved elsewhere.
        edit(both.bigquery, "sql/evaluation/churn.sql", "slices=['region'], ", "")
        train(both, as_of=FIRST)
        ok(both.bigquery, "build", "--as-of", SECOND)
        ok(both.bigquery, "predict", "--as-of", SECOND)
        train(both, as_of=SECOND)
        ok(both.bigquery, "build", "--as-of", NOW)
        ok(both.bigquery, "predict", "--as-of", NOW)
        yield both


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Both]:
    with native_project(tmp_path) as both:
        yield both


def names(native: Both) -> list[str]:
    """Return the models of the versions, in their order."""
    registry = Registry(native.bigquery / "artifacts")
    found = [registry.load(version).native for version in registry.versions("churn")]
    return [".".join(native.native) for native in found if native is not None]


def test_the_list_says_who_trained(served: Both) -> None:
    rows = ok(served.bigquery, "models", "list", "churn", "--format", "json").rows
    assert [(row["version"], row["trainer"]) for row in rows] == [(1, "bigquery_ml"), (2, "bigquery_ml")]
    shown = {
        row["property"]: row["value"] for row in ok(served.bigquery, "models", "show", "churn", "--format", "json").rows
    }
    assert shown["model in BigQuery"] == names(served)[0]
    assert shown["ml.evaluate: roc_auc"] == "0.7500"
    assert not any(key.startswith("held out") for key in shown)


def test_compile_shows_how_it_is_asked(served: Both) -> None:
    text = ok(served.bigquery, "compile", "churn@2").out
    head, _, query = text.partition("\n")
    assert names(served)[1] in head
    assert f"from ml.predict(model `{names(served)[1].replace('.', '`.`')}`" in query
    # It is what is said: GoogleSQL runs it over a relation of that name.
    asked = "select request_id, requested_at, amount, visits, region from `shop`.`churn_requests` where amount < 2e0"
    served.warehouse.load(Relation("wml_input"), served.warehouse.fetch(asked))
    rows = served.warehouse.fetch(query).to_pylist()
    assert rows
    assert all(row["score"] == row["amount"] / 100 and row["prediction"] == "false" for row in rows)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("ml.global_explain(model churn)", [("amount", 0.75), ("visits", 0.25)]),
        ("ml.weights(model churn@2)", [("amount", 2.5, None)]),
        ("ml.training_info(model churn)", [(0, 0, 0.5, 0.6, None, 1200)]),
    ],
)
def test_functions_are_asked_there(served: Both, call: str, expected: list[tuple[object, ...]]) -> None:
    rows = ok(served.bigquery, "query", f"select * from {call} order by 2 desc", "--format", "json").rows
    assert [tuple(row.values()) for row in rows] == expected


def test_settings_and_relations_go_along(served: Both) -> None:
    query = (
        "select amount, predicted_has_churned from"
        " ml.predict(model churn, (select 20e0 as amount union all select 40e0){}) order by amount"
    )
    plain = ok(served.bigquery, "query", query.format(""), "--format", "json").rows
    lower = ok(served.bigquery, "query", query.format(", struct(0.3 as threshold)"), "--format", "json").rows
    assert [row["predicted_has_churned"] for row in plain] == [False, False]
    assert [row["predicted_has_churned"] for row in lower] == [False, True]
    # An error of the relation is one of the file, at its own place.
    done = wml(served.bigquery, "query", "select *\nfrom ml.predict(model churn, (select amuont from churn_requests))")
    assert done.code == 2
    assert "amuont" in done.err
    done = wml(served.bigquery, "query", "select * from ml.weights(model churn@7)")
    assert 'no version "7" of churn' in done.err


def test_the_models_own_threshold_holds(fresh: Both) -> None:
    edit(fresh.bigquery, "models/churn.sql", HEADER, f"{{{{ config(threshold=0.25) }}}}\n{HEADER}")
    train(fresh, as_of=FIRST)
    version = Registry(fresh.bigquery / "artifacts").get("churn", "1")
    # The played precision tells the threshold that ML.EVALUATE was given.
    assert version.metrics["precision"] == 0.125 * 0.25 * 2
    asked = "select predicted_has_churned as found from ml.predict(model churn, (select 30e0 as amount))"
    assert ok(fresh.bigquery, "query", asked, "--format", "json").rows == [{"found": True}]
    measured = "select precision as found from ml.evaluate(model churn)"
    assert ok(fresh.bigquery, "query", measured, "--format", "json").rows == [{"found": 0.0625}]
    ok(fresh.bigquery, "build", "--as-of", SECOND)
    ok(fresh.bigquery, "predict", "--as-of", SECOND)
    lines = fresh.warehouse.fetch("select score, prediction, threshold from wml.request_log_churn").to_pylist()
    assert {line["threshold"] for line in lines} == {0.25}
    assert all(line["prediction"] == ("true" if line["score"] >= 0.25 else "false") for line in lines)
    assert any(0.25 <= line["score"] < 0.5 for line in lines)


def test_replay_asks_the_model_again(served: Both) -> None:
    (told,) = ok(served.bigquery, "replay", "r240", "--version", "2", "--format", "json").rows
    assert told["is_same"]
    assert [(one["how"], one["is_same"]) for one in told["replays"]] == [("ml.predict", True)]
    assert told["compared"]["version"] == 2
    terms = [(term["feature"], term["value"], term["attribution"]) for term in told["explanation"]["terms"]]
    assert terms == [("amount", told["features"]["amount"], 0.5), ("visits", told["features"]["visits"], -0.25)]
    assert (told["explanation"]["total"], told["explanation"]["baseline"]) == (1.0, 0.75)
    assert "ml.predict" in ok(served.bigquery, "replay", "r240").out
    done = ok(served.bigquery, "replay", "--model", "churn", "--all", "--format", "json")
    assert "504 answers of 2 versions replayed: 0 differences" in done.err
    done = wml(served.bigquery, "replay", "--model", "churn", "--all", "--by", "sql")
    assert done.code == 2
    assert "churn@1 has neither a statement nor parameters here" in done.err
    assert "leave --by out" in done.err


def test_replay_finds_an_answer_that_is_another_now(served: Both) -> None:
    warehouse = made(served)
    played = warehouse.models[names(served)[1]]
    before, played.answer = played.answer, "if(visits = 3, 0.875e0, coalesce(amount, 0e0) / 100e0)"
    try:
        done = wml(served.bigquery, "replay", "--model", "churn", "--all", "--format", "json")
    finally:
        played.answer = before
    assert done.code == 1
    expected = served.warehouse.fetch(
        "select request_id from wml.request_log_churn where version = 2 and visits = 3 and score != 0.875"
    )["request_id"].to_pylist()
    assert expected
    assert sorted(row["request_id"] for row in done.rows) == sorted(expected)
    assert {(row["version"], row["replayed_score"]) for row in done.rows} == {(2, 0.875)}


def test_two_versions_are_told_apart(served: Both) -> None:
    done = ok(served.bigquery, "evaluate", "--as-of", NOW)
    assert "no drift from the training of churn@1: churn@1 was trained by BigQuery ML" in done.err
    found = json.loads(ok(served.bigquery, "models", "diff", "churn@1", "churn@2", "--format", "json").out)
    assert (found["rows"]["n_before"], found["rows"]["n_now"], found["rows"]["n_added"]) == (25, 97, None)
    (window,) = found["windows"]
    # The second was not there yet in the window: BigQuery ML answers for it now, and nothing of it is kept.
    assert window["n_asked"] == [0, 72]
    overall = {row["metric"]: row for row in window["metrics"] if row["slice_key"] == "overall"}
    assert overall["accuracy"]["n"] == 72
    assert overall["accuracy"]["before"] == overall["accuracy"]["now"]
    logged = served.warehouse.fetch("select count(*) as n from wml.request_log_churn where version = 2")
    assert logged.to_pylist() == [{"n": 216}]
    assert found["data_note"] == "which rows came or went is not known: BigQuery ML trained churn@1 and churn@2"


def test_drift_needs_no_training_rows_between_windows(served: Both) -> None:
    """The rows of the training are in BigQuery; those of the window before are in the log."""
    place = "sql/evaluation/churn.sql"
    edit(served.bigquery, place, "window='week'", "window='week', drift_reference='previous'")
    done = ok(served.bigquery, "evaluate", "--as-of", NOW, "--restate")
    assert "no drift from the training" not in done.err
    rows = served.warehouse.fetch(
        "select input, metric, value from wml.drift where version = 1 and reference = 'previous' and value is not null"
    ).to_pylist()
    assert {row["input"] for row in rows} >= {"amount", "visits", "region"}


def test_a_feature_that_came_is_told(fresh: Both) -> None:
    train(fresh, as_of=FIRST)
    edit(fresh.bigquery, "models/churn.sql", "    requests.region,\n", "")
    train(fresh, as_of=FIRST)
    text = ok(fresh.bigquery, "models", "diff", "churn@1", "churn@2").out
    assert "BigQuery ML trained churn@1 and churn@2" in text
    assert "made in the same way" not in text
    found = json.loads(ok(fresh.bigquery, "models", "diff", "churn@1", "churn@2", "--format", "json").out)
    assert found["features"] == [{"feature": "region", "change": "removed", "before": "category", "now": None}]
    # A version that is trained here has its inputs compared with those of one that is not.
    edit(fresh.bigquery, "models/churn.sql", "    trainer = 'bigquery_ml',\n", "")
    train(fresh, as_of=FIRST)
    found = json.loads(ok(fresh.bigquery, "models", "diff", "churn@2", "churn@3", "--format", "json").out)
    assert found["features"] == []
    assert "trainer" in {row["option"] for row in found["options"]}
    assert "BigQuery ML trained churn@2" in found["data_note"]
    assert "churn@3" not in found["data_note"]


def test_export_says_what_is_where(served: Both) -> None:
    done = ok(served.bigquery, "query", "export model churn options (uri = 'copy')")
    assert "copied to copy, without what it learned" in done.out
    assert f"as the model `{names(served)[0]}`" in done.err
    assert "export model churn@1 options (uri = 'gs://bucket/folder')" in done.err
    assert (served.bigquery / "copy" / "manifest.json").exists()
    done = ok(served.bigquery, "query", "export model churn@2 options (uri = 'gs://bucket/it\\'s')")
    assert "BigQuery exported the model to gs://bucket/it's" in done.out
    assert len(made(served).exported) == 1
    assert names(served)[1] in made(served).exported[0]
    done = wml(served.bigquery, "query", "export model churn options (uri = 's3://bucket/x')")
    assert done.code == 2
    assert "BigQuery exports models to Cloud Storage, and s3://bucket/x is elsewhere" in done.err


def test_a_version_serves_and_serves_no_more(fresh: Both) -> None:
    train(fresh, as_of=FIRST)
    ok(fresh.bigquery, "build", "--as-of", SECOND)
    train(fresh, as_of=SECOND)
    reason = ("--reason", "asked", "--as-of", NOW, "--format", "json")
    (done,) = ok(fresh.bigquery, "promote", "churn@1", "--alias", "safe", *reason).rows
    assert (done["alias"], done["version"], done["outcome"]) == ("safe", 1, "done")
    (done,) = ok(fresh.bigquery, "promote", "churn@challenger", *reason).rows
    assert (done["version"], done["was"], done["outcome"]) == (2, 1, "done")
    later = ("--reason", "worse", "--as-of", "2024-01-18", "--format", "json")
    (done,) = ok(fresh.bigquery, "rollback", "churn", *later).rows
    assert (done["version"], done["was"]) == (1, 2)
    (done,) = ok(fresh.bigquery, "promote", "churn@2", *later).rows
    (done,) = ok(fresh.bigquery, "fallback", "churn", *later).rows
    assert (done["version"], done["was"]) == (1, 2)


def test_a_rule_trains_again(fresh: Both) -> None:
    write(fresh.bigquery, "sql/rules/again.sql", RETRAIN)
    train(fresh, as_of=FIRST)
    ok(fresh.bigquery, "build", "--as-of", SECOND)
    (row,) = ok(fresh.bigquery, "retrain", "--due", "--as-of", SECOND, "--format", "json").rows
    assert (row["model"], row["version"], row["alias"]) == ("churn", 2, "challenger")
    assert "not comparable" in row["reason"]
    assert len(made(fresh).models) == 2


def test_a_statement_of_its_own(fresh: Both) -> None:
    """`wml query` trains what is no file of the project; its model goes to the target's dataset, too."""
    ok(fresh.bigquery, "build", "--as-of", SECOND)
    query = (
        "create model guess options (trainer = 'bigquery_ml', model_type = 'logistic_reg',"
        " input_label_cols = ['has_churned']) as select amount, amount > 50 as has_churned from churn_requests"
    )
    ok(fresh.bigquery, "query", query)
    (name,) = made(fresh).models
    assert name.startswith("my-project.shop.guess_")
    done = wml(fresh.duckdb, "query", query)
    assert done.code == 2
    assert 'and the target "duckdb" is duckdb' in done.err


def test_another_warehouse_says_where_to_ask(served: Both) -> None:
    """The versions on a target that has no such model: nothing guesses, everything says where it is."""
    here = served.duckdb
    ok(here, "build", "--as-of", NOW)
    shutil.copytree(served.bigquery / "artifacts", here / "artifacts", dirs_exist_ok=True)
    for command in (
        ("predict", "--as-of", NOW),
        ("query", "select * from ml.predict(model churn, (select 1.0 as amount))"),
        ("query", "select * from ml.weights(model churn)"),
        ("query", "export model churn options (uri = 'gs://bucket/x')"),
    ):
        done = wml(here, *command)
        assert done.code == 2, done.out + done.err
        assert f"the parameters are in BigQuery, as the model `{names(served)[0]}`" in done.err
        assert "this target is duckdb" in done.err
