"""``ml.predict``: the columns, and the same answers by whichever way a version is asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.tiny import edit, write
from tests.wml import ok, rows, wml
from warehouse_ml.functions import Context, expand


def ask(context: Context, sql: str) -> list[dict[str, Any]]:
    return context.warehouse.fetch(expand(sql, context, place="query").sql).to_pylist()


def columns(context: Context, sql: str) -> dict[str, str]:
    return context.warehouse.columns(expand(sql, context, place="query").sql)


INPUT = {"request_id": "VARCHAR", "amount": "DOUBLE", "visits": "INTEGER", "region": "VARCHAR"}
SELECTED = "(select request_id, amount, visits, region from churn_requests)"

COLUMNS = {
    "churn": {
        "predicted_has_churned": "BOOLEAN",
        "predicted_has_churned_probs": 'STRUCT("label" BOOLEAN, prob DOUBLE)[]',
    },
    "churn_trees": {
        "predicted_has_churned": "BOOLEAN",
        "predicted_has_churned_probs": 'STRUCT("label" BOOLEAN, prob DOUBLE)[]',
    },
    "amounts": {"predicted_amount": "DOUBLE"},
    "regions": {"predicted_region": "VARCHAR", "predicted_region_probs": 'STRUCT("label" VARCHAR, prob DOUBLE)[]'},
}


@pytest.mark.parametrize("model", COLUMNS)
def test_columns_and_types(context: Context, model: str) -> None:
    found = columns(context, f"select * from ml.predict(model {model}, {SELECTED})")
    assert list(found.items()) == [*COLUMNS[model].items(), *INPUT.items()]


def test_without_the_inputs_own_columns(context: Context) -> None:
    sql = f"select * from ml.predict(model churn, {SELECTED}, struct(false as keep_original_columns))"
    assert columns(context, sql) == COLUMNS["churn"]


@pytest.mark.parametrize("model", ["churn", "churn_trees"])
def test_the_threshold_decides(context: Context, model: str) -> None:
    scores = f"select median(predicted_has_churned_probs[1].prob) as x from ml.predict(model {model}, {SELECTED})"
    threshold = ask(context, scores)[0]["x"]
    found = ask(context, f"select * from ml.predict(model {model}, {SELECTED}, struct({threshold!r} as threshold))")
    positive = [row["predicted_has_churned_probs"][0] for row in found]
    assert {row["label"] for row in positive} == {True}
    assert [row["predicted_has_churned"] for row in found] == [row["prob"] >= threshold for row in positive]
    assert 0 < sum(row["predicted_has_churned"] for row in found) < len(found)
    for row in found:
        assert sum(pair["prob"] for pair in row["predicted_has_churned_probs"]) == pytest.approx(1, abs=1e-15)


def test_the_models_own_threshold_holds_by_default(context: Context) -> None:
    written = ask(context, f"select * from ml.predict(model churn_trees, {SELECTED}, struct(0.4 as threshold))")
    assert ask(context, f"select * from ml.predict(model churn_trees, {SELECTED})") == written
    half = ask(context, f"select * from ml.predict(model churn_trees, {SELECTED}, struct(0.5 as threshold))")
    assert half != written


def test_a_prediction_is_what_the_log_says(project: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(project, tmp_path / "tiny"))
    ok(root, "predict", "churn", "--as-of", "2024-03-04")
    found = rows(
        root,
        "select count(*) as n, count(*) filter (where log.score = answers.predicted_has_churned_probs[1].prob "
        "and log.prediction = answers.predicted_has_churned::varchar) as n_same "
        "from wml.request_log_churn as log "
        "inner join ml.predict(model churn, table churn_requests) as answers on log.request_id = answers.request_id",
    )
    assert found[0]["n"] == found[0]["n_same"] > 500


@pytest.mark.parametrize("model", COLUMNS)
def test_the_warehouse_alone_answers_the_same(project: Path, model: str) -> None:
    asked = "select * exclude (requested_at, visits_known_at) from {} order by request_id"
    by_toolkit = rows(project, asked.format(f"ml.predict(model {model}, table churn_requests)"))
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as shell:
        by_itself = shell.sql(asked.format(f"predict_{model}('churn_requests')")).to_arrow_table().to_pylist()
    assert len(by_itself) == 1512
    assert by_itself == by_toolkit


def test_any_columns_pass_through(context: Context) -> None:
    found = ask(
        context,
        "select * from ml.predict(model churn, (select *, 7 as score, 'x' as prediction, 1 as wml_x0, 2 as \"a b\", "
        "[1, 2] as list, {'k': 1} as pair from churn_requests)) limit 1",
    )[0]
    kept = {key: found[key] for key in ("score", "prediction", "wml_x0", "a b", "list", "pair")}
    assert kept == {"score": 7, "prediction": "x", "wml_x0": 1, "a b": 2, "list": [1, 2], "pair": {"k": 1}}


def test_no_rows_give_no_rows(context: Context) -> None:
    assert ask(context, "select * from ml.predict(model churn, (select * from churn_requests limit 0))") == []


STACKED = """\
{{ config(materialized='MATERIALIZED') }}
select request_id, requested_at, amount, predicted_amount, visits, region, visits_known_at
from ml.predict(model amounts, table {{ ref('churn_requests') }})
"""
ON_TOP = """\
{{ config(requests='stacked_requests') }}
create or replace model on_top
options (model_type = 'logistic_reg', input_label_cols = ['has_churned']) as
select r.predicted_amount, r.visits, p.prob, labels.has_churned
from {{ ref('stacked_requests') }} as r
inner join (
    select request_id, predicted_has_churned_probs[1].prob as prob
    from ml.predict(model churn_trees@1, table {{ ref('churn_requests') }})
) as p on r.request_id = p.request_id
inner join {{ ref('churn_labels') }} as labels on r.request_id = labels.request_id
"""


@pytest.mark.parametrize("materialized", ["view", "table"])
def test_models_stand_on_models(project: Path, tmp_path: Path, materialized: str) -> None:
    root = Path(shutil.copytree(project, tmp_path / "tiny"))
    write(root, "sql/requests/stacked_requests.sql", STACKED.replace("MATERIALIZED", materialized))
    write(root, "models/on_top.sql", ON_TOP)
    ok(root, "train", "on_top", "--as-of", "2024-02-05")
    found = rows(
        root,
        "select count(*) as n from stacked_requests as s inner join "
        "ml.predict(model amounts, table churn_requests) as p "
        "on s.request_id = p.request_id and s.predicted_amount = p.predicted_amount",
    )
    assert found[0]["n"] == rows(root, "select count(*) as n from stacked_requests")[0]["n"] > 0
    # Another champion makes other rows of the same text.
    before = rows(root, "select sum(predicted_amount) as x from stacked_requests")
    edit(root, "models/amounts.sql", "visits, region", "visits")
    edit(root, "models/amounts.sql", "model_type", "l2_reg = 100, model_type")
    ok(root, "train", "amounts", "--as-of", "2024-02-06", "--promote", "always")
    done = ok(root, "build", "stacked_requests", "--as-of", "2024-02-06", "--format", "json").rows
    assert {row["relation"]: row["action"] for row in done}["stacked_requests"] == "built"
    assert rows(root, "select sum(predicted_amount) as x from stacked_requests") != before


def test_a_file_that_names_no_model_of_the_project_is_refused(project: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(project, tmp_path / "tiny"))
    write(root, "sql/features/guess.sql", "select * from ml.predict(model amuonts, table {{ ref('churn_requests') }})")
    done = wml(root, "build")
    assert done.code == 2
    assert "sql/features/guess.sql" in done.err
    assert 'did you mean "amounts"?' in done.err


def test_a_model_cannot_stand_on_itself(project: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(project, tmp_path / "tiny"))
    edit(root, "models/amounts.sql", "from {{", "from ml.predict(model amounts, table {{")
    text = (root / "models/amounts.sql").read_text()
    write(root, "models/amounts.sql", text.rstrip() + ")\n")
    done = wml(root, "build")
    assert done.code == 2
    assert "a cycle" in done.err


@pytest.mark.parametrize("path", ["sql", "arrow"])
def test_the_way_of_scoring_can_be_forced(project: Path, tmp_path: Path, path: str) -> None:
    root = Path(shutil.copytree(project, tmp_path / "tiny"))
    edit(root, "models/churn_trees.sql", "options (", f"options (scoring_path = '{path}', ")
    ok(root, "train", "churn_trees", "--as-of", "2024-02-05", "--promote", "always")
    shown = ok(root, "models", "show", "churn_trees", "--format", "json").rows
    assert {row["property"]: row["value"] for row in shown}["scoring_path"] == path
    free, forced = (
        rows(root, f"select * from ml.predict(model churn_trees@{version}, {SELECTED}) order by request_id")
        for version in (1, 2)
    )
    assert free == forced
    compiled = ok(root, "compile", "churn_trees@2").out
    assert ("scored from its parameters" in compiled) == (path == "arrow")
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as shell:
        asked = "select count(*) from predict_churn_trees('churn_requests')"
        if path == "sql":
            assert shell.execute(asked).fetchone() == (840,)
        else:
            with pytest.raises(duckdb.Error, match=r"ml\.predict"):
                shell.execute(asked)
