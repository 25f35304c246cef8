"""TRANSFORM as it is written: what is read, and everything that is refused before a row is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot import exp

from tests.training.transforming import defined
from warehouse_ml.definition import read_definition
from warehouse_ml.errors import DefinitionError
from warehouse_ml.preprocessing_calls import SIGNATURES
from warehouse_ml.scalar_sql import columns_in, parse_scalar, qualified
from warehouse_ml.transform_clause import read_call


def test_items_are_read_with_names_texts_and_lines() -> None:
    text = """create model m
transform (
    *  except (a, "B c"), plain,
    lower(s) as "Low S", ML.Standard_Scaler( x ) over () sx,
    -- nested, and over several lines
    ml.quantile_bucketize(
        ml.imputer(x - avg(x) over (), 'mean') over (),
        5) over () as q
)
options (model_type = 'linear_reg') as
select * from t"""
    items = read_definition(text, name="m", place="m.sql").transform
    assert [(item.name, item.text, item.place) for item in items] == [
        ("*", '*  except (a, "B c")', "m.sql:3:5"),
        ("plain", "plain", "m.sql:3:27"),
        ("Low S", "lower(s)", "m.sql:4:5"),
        ("sx", "ML.Standard_Scaler( x ) over ()", "m.sql:4:26"),
        ("q", text[text.index("ml.quantile") : text.index(" as q")], "m.sql:6:5"),
    ]
    assert [items[4].place_of(word) for word in ("imputer", "nowhere")] == ["m.sql:7:12", "m.sql:6:5"]
    assert [column.name for column in items[0].expression.args["except_"]] == ["a", "B c"]


def test_a_definition_without_transform_has_none() -> None:
    text = "create model m options (model_type = 'linear_reg') as select 1 as transform, 2 as label"
    assert read_definition(text, name="m", place="m.sql").transform == ()


def test_both_shapes_of_a_call_are_understood() -> None:
    (item,) = defined("ml.bucketize(x, [1, 2]) as b").transform
    whole = exp.Anonymous(this="ML.Bucketize", expressions=item.expression.expression.expressions)
    for node in (item.expression, whole):
        call = read_call(node, item, "m.sql")
        assert call is not None
        assert (call.name, call.operand.name, call.settings["array_split_points"]) == ("bucketize", "x", (1.0, 2.0))
        assert (call.settings["exclude_boundaries"], call.written) == (False, {"array_split_points"})
    assert read_call(exp.column("x"), item, "m.sql") is None


def test_defaults_are_those_of_bigquery_ml() -> None:
    calls = {
        "robust_scaler(x) over ()": {
            "quantile_range": (25, 75),
            "with_median": True,
            "with_quantile_range": True,
        },
        "one_hot_encoder(x) over ()": {"drop": "none", "top_k": 32_000, "frequency_threshold": 5},
        "label_encoder(x) over ()": {"top_k": 32_000, "frequency_threshold": 5},
        "multi_hot_encoder(x) over ()": {"top_k": 32_000, "frequency_threshold": 5},
        "feature_cross(struct(x, y))": {"degree": 2},
        "polynomial_expand(struct(x, y))": {"degree": 2},
        "ngrams(x, 3)": {"range": (3, 3), "separator": " "},
        "normalizer(x)": {"p": 2.0},
        "quantile_bucketize(x, 4) over ()": {"num_buckets": 4, "output_format": "bucket_names"},
    }
    for text, settings in calls.items():
        (item,) = defined(f"ml.{text} as y").transform
        call = read_call(item.expression, item, "m.sql")
        assert call is not None
        assert call.settings == settings
        assert call.is_analytic == text.endswith("over ()")


def test_the_page_has_every_function_with_its_arguments() -> None:
    page = (Path(__file__).parent.parent / "docs" / "transform.md").read_text(encoding="utf-8")
    for name, signature in SIGNATURES.items():
        usage = signature.usage.replace("|", "\\|")
        assert f"| `ml.{name}({usage}){' over ()' if signature.is_analytic else ''}` |" in page


REFUSED = [
    # names
    ("x, X", 'm.sql:3:4: "X" is made twice by TRANSFORM'),
    ("*, *", "a star stands twice in TRANSFORM"),
    ("a,\nml.standard_scaler(x) over ()", "m.sql:4:1: ml.standard_scaler(x) over () has no name"),
    ("x + 1", "write x + 1 as name"),
    ("* replace (a as b)", "a star of TRANSFORM can only leave columns out"),
    ("t.*", "t.*: a star of TRANSFORM has no relation"),
    ("t.x", "TRANSFORM reads the query's columns, which have no relation: t.x\n  hint: write x"),
    ("t.x + 1 as y", "which have no relation: t.x"),
    # functions
    ("a,\nml.standard_scalar(x) over () as y", "m.sql:4:4: there is no function ml.standard_scalar for TRANSFORM"),
    ("ml.standard_scalar(x) over () as y", 'did you mean "standard_scaler"?'),
    ("ml.predict(x) as y", "there is no function ml.predict for TRANSFORM"),
    ("a,\n\nml.imputer(x, 'mean') as y", "m.sql:5:4: ml.imputer needs the statistics of all rows"),
    ("ml.imputer(x, 'mean') as y", "hint: write ml.imputer(x, 'mean') over ()"),
    ("ml.bucketize(x, [1]) over () as y", "ml.bucketize looks at one row only\n  hint: leave over () away"),
    ("1 + ml.bucketize(ml.max_abs_scaler(x), [1]) as y", "ml.max_abs_scaler needs the statistics of all rows"),
    ("ml.max_abs_scaler(x) over (partition by z) as y", "the window of ml.max_abs_scaler is not empty"),
    ("ml.max_abs_scaler(x) over (order by z) as y", "the window of ml.max_abs_scaler is not empty"),
    ("ml.standard_scaler() over () as y", "ml.standard_scaler takes 1 argument, not 0"),
    ("ml.standard_scaler(x, 2) over () as y", "ml.standard_scaler takes 1 argument, not 2"),
    ("ml.imputer(x) over () as y", "ml.imputer takes 2 arguments, not 1"),
    ("ml.robust_scaler(x, [1, 2], true, true, true) over () as y", "takes 1 to 4 arguments, not 5"),
    # settings
    ("ml.imputer(x, 'max') over () as y", "strategy of ml.imputer must be one of 'mean', 'median', 'most_frequent'"),
    ("ml.imputer(x, z) over () as y", "strategy of ml.imputer must be a constant, not z"),
    ('ml.imputer(x, "mean") over () as y', 'strategy of ml.imputer is a text in single quotes, not "mean"'),
    ("ml.imputer(x, strategy => 'mean') over () as y", "strategy of ml.imputer must be a constant"),
    ("ml.robust_scaler(x, [0, 75]) over () as y", "two whole numbers, 0 < lower < upper < 100, not [0, 75]"),
    ("ml.robust_scaler(x, [75, 25]) over () as y", "0 < lower < upper < 100"),
    ("ml.robust_scaler(x, [25, 75.5]) over () as y", "0 < lower < upper < 100"),
    ("ml.robust_scaler(x, [25, 75], 1) over () as y", "with_median of ml.robust_scaler must be true or false, not 1"),
    ("ml.quantile_bucketize(x, 1) over () as y", "num_buckets of ml.quantile_bucketize must be a whole number of at"),
    ("ml.quantile_bucketize(x, 2.5) over () as y", "must be a whole number of at least 2 and at most 1,000, not 2.5"),
    ("ml.quantile_bucketize(x, 3, 'names') over () as y", "output_format of ml.quantile_bucketize must be one of"),
    ("ml.one_hot_encoder(x, 10) over () as y", "drop of ml.one_hot_encoder must be one of 'none', 'most_frequent'"),
    (
        "ml.one_hot_encoder(x, 'none', 0) over () as y",
        "top_k of ml.one_hot_encoder must be a whole number of at least 1",
    ),
    ("ml.label_encoder(x, 1000000) over () as y", "at most 999,999, not 1000000"),
    ("ml.label_encoder(x, 10, -1) over () as y", "frequency_threshold of ml.label_encoder must be a whole number"),
    ("ml.bucketize(x, 3) as y", "array_split_points of ml.bucketize must be an array of numbers, ascending, not 3"),
    ("ml.bucketize(x, []) as y", "must be an array of numbers, ascending"),
    ("ml.bucketize(x, [2, 1]) as y", "must be an array of numbers, ascending, not [2, 1]"),
    ("ml.bucketize(x, [1, 1]) as y", "must be an array of numbers, ascending, not [1, 1]"),
    ("ml.bucketize(x, [1, cast('inf' as double)]) as y", "must be an array of numbers, ascending"),
    ("ml.bucketize(x, ['a']) as y", "array_split_points of ml.bucketize must be a number"),
    ("ml.hash_bucketize(x, -1) as y", "hash_bucket_size of ml.hash_bucketize must be a whole number of at least 0"),
    ("ml.feature_cross(struct(a, b), 5) as y", "degree of ml.feature_cross must be a whole number of at least 2"),
    (
        "ml.polynomial_expand(struct(a, b), 5) as y",
        "degree of ml.polynomial_expand must be a whole number of at least 1",
    ),
    ("ml.ngrams(x, [2, 1]) as y", "range of ml.ngrams must be [smallest, largest] or one whole number"),
    ("ml.ngrams(x, 0) as y", "range of ml.ngrams must be [smallest, largest] or one whole number"),
    ("ml.ngrams(x, 1, 2) as y", "separator of ml.ngrams must be a text, not 2"),
    ("ml.normalizer(x, 0.5) as y", "p of ml.normalizer must be 0, at least 1, or cast('+inf' as double), not 0.5"),
    # what cannot be frozen
    ("a,\nx - avg(x) as y", "m.sql:4:1: AVG(x) is an aggregate without a window\n  hint: write AVG(x) over ()"),
    ("avg(x) over (partition by z) as y", "the window of AVG(x) is not empty"),
    ("sum(x) over (order by z) as y", "the window of SUM(x) is not empty"),
    ("sum(x) over (rows between 1 preceding and current row) as y", "the window of SUM(x) is not empty"),
    ("sum(x) over w as y", "the window of SUM(x) is not empty"),
    ("row_number() over () as y", "ROW_NUMBER() over () cannot be frozen into a constant"),
    ("first_value(x) over () as y", "cannot be frozen into a constant\n  has:  avg, corr, count"),
    ("mode(x) over () as y", "MODE(x) over () cannot be frozen into a constant"),
    ("avg((select 1)) over () as y", '"y" cannot be frozen: it holds a query inside an expression'),
    ("(select max(z) from t) as y", '"y" cannot be frozen: it holds a query inside an expression'),
    ("exists (select 1) as y", '"y" cannot be frozen: it holds a query inside an expression'),
    ("x in (select 1) as y", '"y" cannot be frozen: it holds a query inside an expression'),
    ("x + random() as y", '"y" cannot be frozen: it holds RANDOM(), which changes from one moment to the next'),
    ("now() as y", "which changes from one moment to the next"),
    ("x < current_timestamp as y", "which changes from one moment to the next"),
    ("age(x) as y", "which changes from one moment to the next"),
    ("unnest(x) as y", '"y" cannot be frozen: it holds a function that makes rows'),
    ("columns('x.*') as y", '"y" cannot be frozen: it holds a star'),
    ("ml.max_abs_scaler(avg(x)) over () as y", "AVG(x) is an aggregate without a window"),
    ("ml.max_abs_scaler((select 1)) over () as y", '"y" cannot be frozen: it holds a query inside an expression'),
    ("[v for v in x] as y", '"y" cannot be frozen: it holds what it may not hold: comprehension'),
]


@pytest.mark.parametrize(("item", "says"), REFUSED, ids=[item for item, _ in REFUSED])
def test_what_cannot_be_read_or_frozen_is_refused(item: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        defined(item)
    assert says in str(caught.value)
    assert str(caught.value).startswith("m.sql:")


def test_what_is_of_one_row_is_accepted() -> None:
    items = [
        "list_filter(tags, lambda t: t <> s) as a",
        "date_diff('day', d, e) as b",
        "case when x is null then 0 else x end as c",
        "extract(hour from at) as d",
        "tags[1] as e",
        "try_cast(s as integer) as f",
        "count(*) over () as g",
        "count(distinct s) over () as h",
        "avg(x) filter (where x > avg(x) over ()) over () as i",
        "quantile_cont(x, 0.9) over () as j",
        "s like 'a%' and not s in ('ab', 'ac') as k",
        "j ->> '$.a' as l",
        "at + interval 1 day as m",
    ]
    assert len(defined(*items).transform) == len(items)


def test_scalar_expressions_are_parsed_qualified_and_listed() -> None:
    tree = parse_scalar('list_transform("Tags", lambda t: t || "s") || [\'x\']')
    assert columns_in(tree) == ["Tags", "s"]
    text = qualified(tree, "in put").sql(dialect="duckdb")
    assert text == 'LIST_TRANSFORM("in put"."Tags", LAMBDA t : t || "in put"."s") || [\'x\']'
    # A tree is the caller's own: what it does to it, no other sees.
    assert columns_in(parse_scalar("x + 1")) == ["x"]
    qualified(parse_scalar("x + 1"), "t")
    assert parse_scalar("x + 1").sql(dialect="duckdb") == "x + 1"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "select 1",
            "(select 1)",
            "x from t",
            "x, y",
            "x; drop table t",
            "drop table t",
            "x as y",
            "",
            "1) or (select 1",
        ),
        *(
            "(values (1))",
            "exists (select 1)",
            "x in (select 1)",
            "t.x",
            "t.*",
            "*",
            "columns(*)",
            "unnest(x)",
            "$1",
            "?",
        ),
        *(
            "avg(x)",
            "avg(x) over ()",
            "random()",
            "nextval('s')",
            "getenv('HOME')",
            "current_setting('x')",
            "main.f(x)",
            "read_text(x)",
        ),
        *("x -- ; select", "/* x"),
    ],
)
def test_more_than_an_expression_is_no_scalar(text: str) -> None:
    if text == "x -- ; select":
        # A comment says nothing, and does not come back.
        assert parse_scalar(text).sql(dialect="duckdb") == "x"
        return
    with pytest.raises(ValueError, match=r"holds|does not parse"):
        parse_scalar(text)
