"""CREATE MODEL: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from warehouse_ml.definition import read_definition
from warehouse_ml.dialect import parse
from warehouse_ml.errors import DefinitionError, TemplateError, WmlError

MODEL = """-- grain: one row per request
create or replace model churn
options (
    model_type = 'boosted_tree_classifier',
    input_label_cols = ['has_churned'],
    learn_rate = 0.05,
    max_iterations = 30,
    early_stop = false,
    class_weights = [struct('true', 2.0), struct('false', 1.0)],
    data_split_method = 'random',
    data_split_eval_fraction = 0.25
) as

select
    events.amount,
    cast(events.visits as integer) as visits,
    events.has_churned
from events asof left join rates on events.at >= rates.at
"""


def test_a_statement_is_read_whole() -> None:
    found = read_definition(MODEL, name="churn", place="models/churn.sql")
    assert (found.name, found.model_type, found.label) == ("churn", "BOOSTED_TREE_CLASSIFIER", "has_churned")
    assert (found.split.method, found.split.eval_fraction) == ("RANDOM", 0.25)
    assert found.options["LEARN_RATE"] == 0.05
    assert found.options["MAX_ITERATIONS"] == 30
    assert found.options["EARLY_STOP"] is False
    assert dict(found.options["CLASS_WEIGHTS"]) == {"true": 2.0, "false": 1.0}
    # What is not written has BigQuery ML's default.
    assert (found.options["MAX_TREE_DEPTH"], found.options["L2_REG"]) == (6, 1.0)


def test_the_query_is_the_text_as_written_and_its_place_is_known() -> None:
    found = read_definition(MODEL, name="churn", place="models/churn.sql")
    assert found.query.startswith("select\n    events.amount")
    assert found.query.endswith("on events.at >= rates.at")
    assert MODEL.splitlines()[14 - 1] == "select"
    assert found.query_place == "models/churn.sql:14:1"


def test_the_word_model_stays_a_name_elsewhere() -> None:
    assert parse("select model, version from model as m where m.model = 1", place="x.sql").sql("duckdb")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("= ['has_churned']", "= ['a', 'b']", "one label column is needed, 2 are given"),
        ("learn_rate = 0.05", "learn_rate = 'fast'", "models/churn.sql:6"),
        ("learn_rate = 0.05", "learn_rate = 7", "models/churn.sql:6"),
        ("learn_rate = 0.05", "learn_rate = 0.05, learn_rate = 0.1", "learn_rate is given twice"),
        ("learn_rate = 0.05", "learn_rate = hparam_range(0, 1)", "learn_rate is to be tuned, but num_trials is"),
        ("learn_rate = 0.05", "learn_rate = 0.1 + 0.2", "needs a constant"),
        ("data_split_method = 'random'", "data_split_method = 'seq'", "needs data_split_col"),
        ("eval_fraction = 0.25", "eval_fraction = 0.6, data_split_test_fraction = 0.5", "leaves no rows to train on"),
        ("    events.amount,", "    events.visits as visits,", 'a column is selected twice: "visits"'),
        ("create or replace model", "create table", "CREATE MODEL"),
    ],
)
def test_what_is_wrong_is_told(old: str, new: str, says: str) -> None:
    with pytest.raises(WmlError) as caught:
        read_definition(MODEL.replace(old, new, 1), name="churn", place="models/churn.sql")
    assert says in str(caught.value)
    assert "models/churn.sql" in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select a\nfrom b\nwhere (", "x.sql:3:7"),
        ("select 1;\n select 2", "x.sql:2:2: one statement expected, found 2"),
        ("select a,\n  'abc", "x.sql:2:3: SQL syntax: this string is not closed"),
        ("select /* a", "x.sql:1:8: SQL syntax: this comment is not closed"),
        ("select é, '\n\n' from where", "x.sql:3:8"),
        ("", "one statement expected, found 0"),
        ("create model m options (a = 1) as\nselect a + * 2", "x.sql:2:14: SQL syntax"),
        ("create model m optoins (a = 1) as select 1", "x.sql:1:16: SQL syntax"),
    ],
)
def test_sql_that_cannot_be_parsed(sql: str, says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(sql, place="x.sql")
    assert says in str(caught.value)


def test_a_definition_error_is_the_users_mistake() -> None:
    with pytest.raises(DefinitionError) as caught:
        read_definition("select 1", name="churn", place="models/churn.sql")
    assert caught.value.exit_code == 2
