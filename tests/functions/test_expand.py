"""Calls are found wherever a table may stand, answered once, and replaced in the user's own text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wml import ok, rows, wml
from warehouse_ml.errors import SqlError, WmlError
from warehouse_ml.functions import Context, expand
from warehouse_ml.functions.text import Spliced


def ask(context: Context, sql: str) -> list[dict[str, Any]]:
    return context.warehouse.fetch(expand(sql, context, place="query").sql).to_pylist()


def test_a_statement_without_calls_is_left_alone(context: Context) -> None:
    for sql in ("select 1", "select ml.x from (select 1 as x) as ml", "not sql at all, ml. there", "from t select *"):
        assert expand(sql, context, place="query").sql == sql


def test_everything_but_the_call_stays_as_written(context: Context) -> None:
    before, after = "select /* mine */ count ( * )  AS n\nfrom ", " as p -- and this\nwhere true"
    expanded = expand(f"{before}ml.predict(model churn, table churn_requests){after}", context, place="query").sql
    assert expanded.startswith(before)
    assert expanded.endswith(after)


WHERE_A_TABLE_MAY_STAND = {
    "from": "select count(*) as n from ml.predict(model churn, table churn_requests)",
    "any case": "SELECT count(*) AS n FROM ML.PREDICT(MODEL Churn, TABLE churn_requests)",
    "an alias": "select count(p.predicted_has_churned) as n from ml.predict(model churn, table churn_requests) as p",
    "a version": "select count(*) as n from ml.predict(model churn@1, table churn_requests)",
    "a query": "select count(*) as n from ml.predict(model churn, (select * from churn_requests))",
    "a query that starts with a CTE": (
        "select count(*) as n from ml.predict(model churn, (with a as (select * from churn_requests) select * from a))"
    ),
    "a CTE outside": (
        "with a as (select * from churn_requests) select count(*) as n from ml.predict(model churn, table a)"
    ),
    "inside a CTE": (
        "with a as (select * from churn_requests), b as (select * from ml.predict(model churn, (select * from a))), "
        "c as (select * from b) select count(*) as n from c"
    ),
    "CTEs of two depths": (
        "with a as (select * from churn_requests) select n from (with b as (select * from a) "
        "select count(*) as n from ml.predict(model churn, table b))"
    ),
    "a recursive CTE beside": (
        "with recursive i as (select 1 as i union all select i + 1 from i where i < 1512) "
        "select count(*) as n from ml.predict(model churn, (select r.* from churn_requests r join i "
        "on r.request_id = 'r' || (i.i - 1)))"
    ),
    "a join": (
        "select count(*) as n from churn_requests as r "
        "join ml.predict(model churn, table churn_requests) as p on r.request_id = p.request_id"
    ),
    "a comma": (
        "select count(*) as n from churn_requests as l, ml.predict(model churn, table churn_requests) as p "
        "where l.request_id = p.request_id"
    ),
    "a subquery": (
        "select count(*) as n from churn_requests where request_id in "
        "(select request_id from ml.predict(model churn, table churn_requests))"
    ),
    "a model in a model": (
        "select count(*) as n from ml.predict(model churn, (select * replace (predicted_amount as amount) "
        "from ml.predict(model amounts, table churn_requests)))"
    ),
    "a shadowed CTE": (
        "with a as (select * from churn_requests limit 3) select count(*) as n from (with a as "
        "(select * from churn_requests) select * from ml.predict(model churn, table a))"
    ),
    "what the parser knows only from DuckDB": (
        "from ml.predict(model churn, (from churn_requests)) select count(*) as n where columns(['amount']) is not null"
    ),
}


@pytest.mark.parametrize("sql", WHERE_A_TABLE_MAY_STAND.values(), ids=WHERE_A_TABLE_MAY_STAND)
def test_a_call_may_stand_where_a_table_may(context: Context, sql: str) -> None:
    assert ask(context, sql) == [{"n": 1512}]


def test_a_union_of_two_calls(context: Context) -> None:
    sql = (
        "select avg(predicted_amount) as x from ml.predict(model amounts, table churn_requests) union all "
        "select avg(predicted_amount) from ml.predict(model amounts, (select * from churn_requests where visits > 3))"
    )
    assert len(ask(context, sql)) == 2


REFUSED = {
    "an unknown function": (
        "select *\nfrom ml.predikt(model churn, table churn_requests)",
        ["query:2:6: no function ml.predikt", 'did you mean "ml.predict"?'],
    ),
    "an unknown model": (
        "select * from ml.predict(model chorn, table churn_requests)",
        ["query:1:15", "chorn", 'did you mean "churn"?'],
    ),
    "an unknown version": (
        "select * from ml.predict(model churn@7, table churn_requests)",
        ["query:1:15", 'no version "7" of churn', "has:  1, champion"],
    ),
    "no model": (
        "select * from ml.predict(table churn_requests)",
        ["takes one model and 1 relations, but is given 0 and 1", "hint: ml.predict(model name, table name | (query)"],
    ),
    "no input": ("select * from ml.predict(model churn)", ["takes one model and 1 relations, but is given 1 and 0"]),
    "an unknown setting": (
        "select * from ml.predict(model churn, table churn_requests, struct(0.4 as treshold))",
        ['no setting "treshold"', "threshold, keep_original_columns", 'did you mean "threshold"?'],
    ),
    "a setting out of range": (
        "select * from ml.predict(model churn, table churn_requests, struct(1.4 as threshold))",
        ["threshold = 1.4", "threshold is from 0 to 1"],
    ),
    "a setting of another type": (
        "select * from ml.predict(model churn, table churn_requests, struct('high' as threshold))",
        ["threshold = 'high' in ml.predict", "threshold is a number"],
    ),
    "a setting that is no constant": (
        "select * from ml.predict(model churn, table churn_requests, struct(random() as threshold))",
        ["threshold of ml.predict needs a constant, not RANDOM()"],
    ),
    "an argument that is none": (
        "select * from ml.predict(model churn, table churn_requests, threshold => 0.4)",
        ["ml.predict has no argument threshold"],
    ),
    "a missing column": (
        "select *\nfrom ml.predict(model churn, (select amount, region from churn_requests))",
        ["query:2:6", 'no column "visits", which the model was trained on', "has:  amount, region"],
    ),
    "a column of another type": (
        "select * from ml.predict(model churn, (select * replace (cast(amount as varchar) as amount) "
        "from churn_requests))",
        ['column "amount" is VARCHAR, but the model was trained on a number', "cast"],
    ),
    "a name that the prediction takes": (
        "select * from ml.predict(model churn, (select *, 1 as predicted_has_churned from churn_requests))",
        ['has a column "predicted_has_churned" already', "keep_original_columns"],
    ),
    "a syntax error": ("select * from ml.predict(model churn, (select 1)", ["query:1:", "Expecting , or )"]),
}


@pytest.mark.parametrize(("sql", "says"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_call_is_told_with_its_place(context: Context, sql: str, says: list[str]) -> None:
    with pytest.raises(WmlError) as caught:
        expand(sql, context, place="query")
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)


def refusal(context: Context, sql: str) -> SqlError:
    try:
        expanded = expand(sql, context, place="query")
    except SqlError as error:
        return error
    with pytest.raises(SqlError) as caught:
        context.warehouse.fetch(expanded.sql)
    return expanded.placed(caught.value)


WRONG_NAMES = [
    "select\n    nothing\nfrom ml.predict(model churn, table churn_requests)",
    "with a as (\n    select *, nothing from churn_requests\n)\nselect * from ml.predict(model churn, table a)",
    "select * from ml.predict(model churn, (\n    select *, nothing\n    from churn_requests\n))",
    "select *\nfrom ml.predict(model churn, table churn_requests) as p\nwhere p.nothing = 1",
    "select * from ml.predict(model amounts, (\nselect * from ml.predict(model churn, (\nselect *, nothing from "
    "churn_requests))))",
    "select a.request_id\nfrom ml.predict(model churn, table churn_requests) as a\n"
    "join ml.predict(model amounts, (select *, 3 as z from churn_requests)) as b\non a.request_id = b.nothing",
]


@pytest.mark.parametrize("sql", WRONG_NAMES)
def test_an_error_of_the_warehouse_is_told_at_the_users_own_place(context: Context, sql: str) -> None:
    error = refusal(context, sql)
    assert error.position is not None
    assert "nothing" in sql[error.position : error.position + len("p.nothing")], sql[error.position :]
    assert error.line == sql.count("\n", 0, error.position) + 1


@given(st.lists(st.tuples(st.booleans(), st.text(alphabet="ab\n", min_size=1, max_size=5)), min_size=1, max_size=8))
def test_every_copied_character_knows_where_it_comes_from(parts: list[tuple[bool, str]]) -> None:
    """The parts are cut from an original one after the other; those not copied are replaced by other text."""
    original = "".join(text for _, text in parts)
    pieces, at = [], 0
    for is_copied, text in parts:
        pieces.append(Spliced.copied(text, at) if is_copied else Spliced.generated("<other>", at))
        at += len(text)
    joined = Spliced.joined([Spliced.joined(pieces[:3]), Spliced.joined(pieces[3:])] if len(pieces) > 3 else pieces)
    assert joined.text == "".join(piece.text for piece in pieces)
    position, at = 0, 0
    for is_copied, text in parts:
        for offset in range(len(text) if is_copied else len("<other>")):
            assert joined.origin(position + offset) == (at + offset if is_copied else at)
            assert not is_copied or joined.text[position + offset] == original[at + offset]
        position += len(text) if is_copied else len("<other>")
        at += len(text)


def test_through_the_command_line(project: Path) -> None:
    found = rows(project, "select count(*) as n from ml.predict(model churn, table churn_requests)")
    assert found == [{"n": 1512}]
    done = wml(project, "query", "select oops\nfrom ml.predict(model churn, table churn_requests)")
    assert done.code == 2
    assert "query:1" in done.err
    assert "Traceback" not in done.err
    before = ["--as-of", "2024-01-10"]
    done = wml(project, "query", "select 1 from ml.predict(model churn, table churn_requests)", *before)
    assert done.code == 2, "the model had no champion then"
    assert 'the model "churn" has no champion' in done.err or "champion" in done.err
    assert ok(project, "query", "select 1 as one from ml.predict(model churn, table churn_requests) limit 1").code == 0
