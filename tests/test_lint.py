"""Traps: each is found where it is written, what is meant is let be, and silence is asked for by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_bad_input import SPLIT, refused
from tests.tiny import edit
from tests.wml import ok, wml
from warehouse_ml.definition import read_definition
from warehouse_ml.dialect import parse
from warehouse_ml.lint import TRAPS, Finding, lint, lint_tree
from warehouse_ml.places import SourceText

HEAD = "create model m options (model_type = 'logistic_reg', input_label_cols = ['y']) as\n"


def traps(query: str) -> list[tuple[str, str]]:
    definition = read_definition(HEAD + query, name="m", place="m.sql")
    return [(finding.trap, finding.place) for finding in lint(definition, {})]


def in_transform(transform: str) -> list[Finding]:
    text = (
        f"create model m\ntransform (\n{transform},\n y)\noptions (model_type = 'logistic_reg') as select a, y from t"
    )
    return lint_tree(parse(text, place="m.sql"), SourceText(text, "m.sql"), label="y")


@pytest.mark.parametrize(
    ("query", "trap", "place"),
    [
        ("select a, y from t\nlimit 100", "unordered-limit", "m.sql:3:1"),
        ("select a, y from t\n order by random() LIMIT\n100", "unordered-limit", "m.sql:3:20"),
        ("with c as (select * from t limit 9)\nselect a, y from c", "unordered-limit", "m.sql:2:28"),
        ("select a, y from (select * from t fetch first 9 rows only) as c", "unordered-limit", "m.sql:2:35"),
        ("(select a, y from t) union all (select a, y from u) limit 5", "unordered-limit", "m.sql:2:53"),
        ("select a, y from t where k in (select k from u limit 5)", "unordered-limit", "m.sql:2:48"),
        ("select a, y from t tablesample 10%", "random-sample", "m.sql:2:20"),
        ("select a, y from t\n  using sample 1000 rows", "random-sample", "m.sql:3:3"),
        ("select a, y from t qualify row_number() over (partition by k) = 1", "unordered-pick", "m.sql:2:28"),
        ("select distinct on (k) a, y from t", "unordered-pick", "m.sql:2:21"),
        ("select a, y from t where at < now()", "not-replayable", "m.sql:2:31"),
        ("select a, y from t where at < Current_Timestamp", "not-replayable", "m.sql:2:31"),
        ("select current_date - born as a, y from t", "not-replayable", "m.sql:2:8"),
        ("select a, y from t\nwhere random() < 0.1", "not-replayable", "m.sql:3:7"),
        ("with c as (select today() as d) select a, d, y from t cross join c", "not-replayable", "m.sql:2:19"),
    ],
)
def test_a_trap_is_found_where_it_is(query: str, trap: str, place: str) -> None:
    assert traps(query) == [(trap, place)]


@pytest.mark.parametrize(
    "query",
    [
        "select a, y from t order by k limit 100",
        "select a, y from t where exists (select 1 from u where u.k = t.k limit 1)",
        "select a, y from t qualify row_number() over (partition by k order by at) = 1",
        "select a, y from t qualify row_number() over w = 1 window w as (partition by k order by at)",
        "select distinct a, y from t",
        "select distinct on (k) a, y from t order by k, at",
        "select t.now, random, 'now()' as a, \"current_date\", y as y from t",
        "select a as today, y from t -- limit 5, now()",
        'select a, y from "limit" as t',
        "select a, rank() over (partition by k order by a) as r, y from t",
    ],
)
def test_what_is_no_trap_is_let_be(query: str) -> None:
    assert traps(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "select a,\n  not l.y as b, l.y from t join l on t.k = l.k",
        "select a,\n  coalesce(l.y, false) as b, l.y from t join l on t.k = l.k",
        "select a,\n  l.delay, l.delay > 15 as y from t join l on t.k = l.k",
        "select a,\n  l.done - t.due as b, l.done > t.due as y from t join l on t.k = l.k",
        "select a,\n  avg(y) over (partition by region) as b, y from t",
        "select a,\n  n / 2 as b, y from (select a, sum(x) as n, sum(x) > 5 as y from t group by a) as g",
        "with j as (select t.a, l.y from t join l on t.k = l.k)\nselect j.a,  j.y::int as b, j.y from j",
        "with j as (select t.a, l.y, l.y as z from t join l using (k)), i as (select * from j)\nselect a,  z, y from i",
        "with j(a, z, y) as (select t.a, l.y + 1, l.y from t join l on t.k = l.k) select a,\n  z, y from j",
        "select a,\n  y + 1 as b, y from t union all select a, y + 2 as b, y from u",
    ],
)
def test_a_feature_from_the_label_is_found(query: str) -> None:
    found = traps(query)
    assert [trap for trap, _ in found] == ["label-leak"]
    line, column = (int(part) for part in found[0][1].split(":")[1:])
    assert line == 3
    assert column >= 3


def test_a_star_that_brings_a_feature_from_the_label_is_found() -> None:
    query = "with j as (select t.a, l.y, not l.y as z from t join l on t.k = l.k)\nselect * from j"
    assert traps(query) == [("label-leak", "m.sql:2:1")]


@pytest.mark.parametrize(
    "query",
    [
        "select t.y as b, l.y from t join l on t.k = l.k",
        "select a, l.due, l.done > l.due as y from t join l on t.k = l.k",
        "select a, lag(y) over (partition by k order by at) as was, y from t",
        "select a, price, lead(price) over (partition by k order by at) as y from t",
        "select price, avg(price) over (order by at rows between 6 preceding and current row) as b, "
        "lead(price) over (order by at) as y from t",
        "select avg(y) over (order by at rows between unbounded preceding and 1 preceding) as b, y from t",
        "select avg(y) over w as b, y from t window w as (order by at rows between 3 preceding and 1 preceding)",
        "select k, count(*) filter (where kind = 'view') as n, max(case when kind = 'buy' then 1 else 0 end) as y "
        "from t group by k",
        "with l as (select * from labels) select was.y as before, l.y from l asof join l as was on l.at > was.at",
        "select a, (select avg(y) from old) as b, y from t",
        "select * from t",
        "select t.*, l.y from t join l on t.k = l.k",
        "select a, 1 as y from t",
    ],
)
def test_a_feature_from_other_rows_or_tables_is_let_be(query: str) -> None:
    assert traps(query) == []


def test_columns_that_are_no_features_may_come_from_the_label() -> None:
    options = "data_split_method = 'custom', data_split_col = 'held', instance_weight_col = 'w'"
    text = HEAD.replace("options (", f"options ({options}, ") + "select a, y is null as held, y + 1 as w, y from t"
    assert lint(read_definition(text, name="m", place="m.sql"), {}) == []


@pytest.mark.parametrize(
    "call",
    [
        "ml.one_hot_encoder(region) over () as region",
        "ML.ONE_HOT_ENCODER(region, 'none', 100) OVER () as region",
        "ml.label_encoder(region, 100) over () as region",
        "ml.multi_hot_encoder(tags) over () as tags",
    ],
)
def test_an_encoder_that_drops_rare_categories(call: str) -> None:
    (found,) = in_transform(call)
    assert (found.trap, found.place) == ("frequency-threshold", "m.sql:3:4")
    assert "default of 5" in str(found)
    assert "32000" in found.fix


@pytest.mark.parametrize(
    "call",
    [
        "ml.one_hot_encoder(region, 'none', 100, 5) over () as region",
        "ml.label_encoder(region, 100, 0) over () as region",
        "ml.multi_hot_encoder(tags, 100, 1) over () as tags",
        "ml.standard_scaler(a) over () as a",
    ],
)
def test_an_encoder_that_says_what_is_rare(call: str) -> None:
    assert in_transform(call) == []


def test_several_traps_come_in_the_order_of_the_file() -> None:
    query = "select a, now() as n,\n not y as z, y from t\nlimit 5"
    assert [place for _, place in traps(query)] == ["m.sql:2:11", "m.sql:3:6", "m.sql:4:1"]


def test_a_wide_query_is_looked_at_at_once() -> None:
    columns = ", ".join(f"x{index}" for index in range(2000))
    steps = ", ".join(f"c{i + 1} as (select {columns}, y from c{i})" for i in range(4))
    assert traps(f"with c0 as (select * from t), {steps} select {columns}, y from c4") == []


def test_training_warns_and_compiling_notes(tiny: Path) -> None:
    edit(
        tiny,
        "models/churn.sql",
        "labels.request_id\n",
        "labels.request_id\n{% for n in [1] %}\n{% endfor %}\nwhere now() > requests.requested_at\n",
    )
    done = ok(tiny, "compile", "churn", "--as-of", SPLIT)
    assert "note: models/churn.sql:18:7: now() in a training query: " in done.err
    assert "{{ as_of }}" in done.err
    assert "now()" in done.out
    assert "note" not in done.out
    says = "warning: models/churn.sql:18:7: now() in a training query"
    assert says in ok(tiny, "train", "churn", "--as-of", SPLIT).err
    # Nothing is trained again, and what is wrong is wrong still.
    assert says in ok(tiny, "train", "churn", "--as-of", SPLIT).err
    edit(tiny, "models/churn.sql", "create or", "{{ config(allow=['not-replayable']) }}create or")
    done = ok(tiny, "train", "churn", "--as-of", SPLIT, "--format", "json")
    assert "warning" not in done.err
    assert not done.rows[0]["is_new"]
    assert ok(tiny, "compile", "churn", "--as-of", SPLIT).err == ""


def test_a_model_without_traps_is_told_nothing(tiny: Path) -> None:
    assert ok(tiny, "compile", "churn", "--as-of", SPLIT).err == ""
    assert "warning" not in ok(tiny, "train", "churn", "--as-of", SPLIT).err


def test_a_model_that_cannot_be_trained_is_still_compiled(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "'logistic_reg'", "'logistic'")
    done = ok(tiny, "compile", "churn", "--as-of", SPLIT)
    assert "'logistic'" in done.out
    assert 'models/churn.sql:3:5: no model type "logistic"' in done.err


def test_silence_is_asked_for_by_a_name_that_is_there(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "create or", "{{ config(allow=['unordered-limits']) }}\ncreate or")
    refused(
        wml(tiny, "train", "churn", "--as-of", SPLIT),
        2,
        'models/churn.sql: allow: no trap is called "unordered-limits"',
        'did you mean "unordered-limit"?',
    )
    edit(tiny, "models/churn.sql", "allow=['unordered-limits']", "allow='unordered-limit'")
    refused(wml(tiny, "train", "churn", "--as-of", SPLIT), 2, "allow is a list of names", *TRAPS)


def test_rows_held_out_for_want_of_a_split_are_counted(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "'seq'", "'custom'")
    edit(tiny, "models/churn.sql", "data_split_col = 'requested_at'", "data_split_col = 'held'")
    edit(
        tiny,
        "models/churn.sql",
        "requests.requested_at,",
        "case when requests.amount > 90 then null else requests.amount > 80 end as held,",
    )
    edit(tiny, "models/churn.sql", "requests.amount,", "requests.amount as much,")
    done = ok(tiny, "train", "churn", "--as-of", SPLIT)
    n = ok(tiny, "query", "select count(*) as n from churn_requests where amount > 90", "--format", "json").rows
    assert "warning: models/churn.sql:8:1: " in done.err
    assert " rows are held out for having no held: NULL holds a row out, as true does" in done.err
    counted = int(done.err.split("models/churn.sql:8:1: ")[1].split()[0])
    assert 0 < counted <= n[0]["n"]
    edit(tiny, "models/churn.sql", "create or", "{{ config(allow=['split-null']) }}\ncreate or")
    assert "warning" not in ok(tiny, "train", "churn", "--as-of", SPLIT, "--force").err


def test_rows_without_a_time_are_the_latest(tiny: Path) -> None:
    edit(
        tiny,
        "models/churn.sql",
        "requests.requested_at,",
        "case when requests.amount < 95 then requests.requested_at end as requested_at,",
    )
    done = ok(tiny, "train", "churn", "--as-of", SPLIT)
    assert (
        "are held out for having no requested_at: the latest rows are held out, and NULL counts as latest" in done.err
    )


def test_an_identifier_among_the_features(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "requests.amount,", "requests.amount, requests.request_id as id,")
    done = ok(tiny, "train", "churn", "--as-of", SPLIT)
    assert 'the feature "id" has 615 values in 615 training rows' in done.err
    assert "identifier-feature" in done.err
