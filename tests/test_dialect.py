"""What the dialect reads: BigQuery ML's statements and calls, and everything of DuckDB besides."""

from __future__ import annotations

import pytest
from sqlglot import exp

from warehouse_ml.dialect import DropModel, ExportModel, MlCall, MlModel, calls_in, parse, span
from warehouse_ml.errors import TemplateError

CALLS = """\
with a as (select 1 as x), b as (select * from ml.predict(model m@3, (select * from a)) as p where p.x > 0)
select b.*, e.*
from b
inner join ml.explain_predict(model "late arrival"@challenger, table s.t, struct(3 as top_k_features)) as e using (x),
    ml.features_at_time(table f, time => timestamp '2024-01-01', num_rows => 2)
where exists (select 1 from ML . WEIGHTS ( MODEL m )) and ml.x = 3
"""


def test_calls_know_what_they_are_given_and_where_they_stand() -> None:
    calls = {call.this: call for call in calls_in(CALLS, place="q")}
    assert sorted(calls) == ["explain_predict", "features_at_time", "predict", "weights"]
    models = {name: [(m.name, m.version) for m in call.args["models"]] for name, call in calls.items()}
    assert models == {
        "predict": [("m", "3")],
        "explain_predict": [("late arrival", "challenger")],
        "features_at_time": [],
        "weights": [("m", None)],
    }
    inputs = {name: [CALLS[slice(*span(read))] for read in call.args["inputs"]] for name, call in calls.items()}
    assert inputs == {
        "predict": ["select * from a"],
        "explain_predict": ["s.t"],
        "features_at_time": ["f"],
        "weights": [],
    }
    assert [item.name for item in calls["features_at_time"].args["named"]] == ["time", "num_rows"]
    assert CALLS[slice(*span(calls["weights"]))] == "ML . WEIGHTS ( MODEL m )"


def test_ctes_know_where_they_stand() -> None:
    tree = parse(CALLS, place="q")
    found = [CALLS[slice(*span(cte))] for cte in tree.find_all(exp.CTE)]
    assert found[0] == "a as (select 1 as x)"
    assert found[1].startswith("b as (select")
    assert found[1].endswith("p.x > 0)")


@pytest.mark.parametrize(
    "sql",
    [
        "select model, ml.x, transform from model as ml",
        "select ml.model from ml.model",
        "create table model as select 1 as options",
        "from t select columns('a.*')",
        "select list_transform([1, 2], lambda x: x + 1)",
        "select 'ml.predict(model m, table t)' as text -- ml.predict(",
    ],
)
def test_other_sql_has_no_calls(sql: str) -> None:
    assert calls_in(sql, place="q") == []
    assert list(parse(sql, place="q").find_all(MlCall)) == []


def test_statements() -> None:
    drop = parse("drop model if exists m", place="q")
    assert isinstance(drop, DropModel)
    assert isinstance(drop.this, MlModel)
    assert drop.args["exists"]
    export = parse("export model m@2 options (uri = 'out')", place="q")
    assert isinstance(export, ExportModel)
    assert (export.this.name, export.this.version) == ("m", "2")
    create = parse(
        "create model if not exists m transform (ml.standard_scaler(x) over () as x) options (model_type = 'pca') "
        "as select * from ml.predict(model other, table t)",
        place="q",
    )
    assert isinstance(create, exp.Create)
    assert create.kind == "MODEL"
    assert create.args["exists"]
    assert len(list(create.find_all(MlCall))) == 1


@pytest.mark.parametrize(
    ("sql", "place", "says"),
    [
        ("select * from ml.predict(model m, (select 1)", "q:1:44", "Expecting , or ) in ml.predict"),
        ("select *\nfrom ml.predict(model, 3)", "q:2:", "Expecting the name of a model"),
        ("select * from ml.predict(model m (select 1))", "q:1:34", "Expecting , or ) in ml.predict"),
        ("select * from ml.predict(model m, (select 1 from))", "q:1:", "SQL syntax"),
        ("drop model", "q:1:", "Expecting the name of a model"),
        ("select 1; select 2", "q", "one statement expected, found 2"),
    ],
)
def test_syntax_errors_say_where(sql: str, place: str, says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(sql, place="q")
    assert str(caught.value.place).startswith(place)
    assert says in caught.value.what
