# ruff: noqa: E501 - a query stays on one line
"""Every portable macro gives the same on DuckDB and on GoogleSQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa
import pytest

from tests.googlesql.both import same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.templates import environment
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

_AT = dt.datetime(2024, 2, 28, 23, 59, 59, 123456, tzinfo=dt.UTC)
_X = [0.0, -0.0, 1.5, -2.75, None, 1e300, 0.1, 3.0, 3.0, -1e-9]
_ROWS = pa.table(
    {
        "id": list(range(10)),
        "n": [3, 0, None, 7, -4, 10, 1, 2, 2, 99],
        "x": _X,
        "y": [1.0, 0.0, 1.5, None, None, 2.0, 0.2, 3.0, 9.0, -1e-9],
        "s": ["a", "", None, "ü|", "a", "O'Brien", "a", "b", "b", "c"],
        "u": ["", "", "x", None, "a", "z", "a", "b", "c", "c"],
        "b": [True, False, None, True, True, False, True, False, True, False],
        "seen": pa.array(
            [_AT + dt.timedelta(days=9 * i, hours=i) for i in range(9)] + [None], pa.timestamp("us", "UTC")
        ),
        "later": pa.array([_AT + dt.timedelta(days=20, minutes=7 * i) for i in range(10)], pa.timestamp("us", "UTC")),
        "numbers": [[1.0, 2.0, 3.0], [], None, [0.5], [4.0, 5.0], [1.0], [1.0], [2.0, 1.0], [7.0], [8.0]],
        "j": ['{"a":"x","b ~/c":"y"}'] * 10,
    }
)
_WILD = pa.table(
    {
        "id": [1, 2, 3, 4, 5],
        "x": [float("nan"), float("inf"), float("-inf"), 1.0, None],
        "y": [float("nan"), 1.0, float("-inf"), -1.0, None],
    }
)
_HISTORY = pa.table(
    {
        "key": ["a", "a", "a", "b", "b", "c"],
        "known_at": pa.array([_AT + dt.timedelta(days=day) for day in (0, 5, 5, 1, 90, 2)], pa.timestamp("us", "UTC")),
        "value": [1.0, 2.0, 3.0, None, 5.0, None],
        "word": ["p", "q", None, "r", "s", "t"],
    }
)

EACH_ROW = {
    "hash_int": "{{ hash_int('s') }}",
    "hash_text": "{{ hash_text('s') }}",
    "try_cast": "{{ try_cast('s', 'double') }}",
    "json_field": "{{ json_field('j', 'a') }}",
    "regexp_found": "{{ regexp_found('s', '^[ab]') }}",
    "regexp_replaced": "{{ regexp_replaced('s', '[ab]+', 'c') }}",
    "hash_fraction": "{{ hash_fraction('s') }}",
    "is_in_share": "{{ is_in_share('s', 0.37) }}",
    "request_text": "{{ request_text('m', 'n') }}",
    "row_text": "{{ row_text(['s', 'n', 'b', 'seen']) }}",
    "safe_divide": "{{ safe_divide('n', 'y') }}",
    "as_double": "{{ as_double('n') }}",
    "as_int": "{{ as_int('b') }}",
    "as_natural": "{{ as_natural('id') }}",
    "as_small_int": "{{ as_small_int('-id') }}",
    "as_string": "{{ as_string('seen') }}",
    "type": "cast(null as {{ type('double') }})",
    "weekday": "{{ weekday('seen') }}",
    "period_start": "{{ period_start('seen', 'day') }}",
    "period_start week": "{{ period_start('seen', 'week') }}",
    "period_start month": "{{ period_start('seen', 'month') }}",
    "add_period": "{{ add_period('seen', 'n', 'week') }}",
    "add_period month": "{{ add_period('seen', 1, 'month') }}",
    "add_period day": "{{ add_period('seen', '-n', 'day') }}",
    "add_interval": "{{ add_interval('seen', -2, 'hour') }}",
    "add_interval minute": "{{ add_interval('seen', 90, 'minutes') }}",
    "seconds_between": "{{ seconds_between('seen', 'later') }}",
    "element": "{{ element('numbers', 2) }}",
    "list_length": "{{ list_length('numbers') }}",
    "list_from": "{{ list_from('numbers', 2) }}",
    "same": "{{ same('s', 'u') }}",
    "wilson_lower": "{{ wilson_lower('0.3e0', '(id + 1)') }}",
    "wilson_upper": "{{ wilson_upper('1e0', '(id + 1)') }}",
    "normal_upper_tail": "{{ normal_upper_tail('(id * 4.1e0)') }}",
    "normal_cdf": "{{ normal_cdf('y') }}",
    "chi_square_upper_tail": "{{ chi_square_upper_tail('y', 'id') }}",
    "number_text": "{{ number_text('y') }}",
    "joined_text": "{{ joined_text(['s', 'u'], ', ') }}",
    "slice_text": "{{ slice_text(['s', 'u']) }}",
    "json_text": "{{ json_text({'a b': 's', 'n': 'n'}) }}",
    "json_slice_text": "{{ json_slice_text('j', list) }}",
    "record": "{{ record({'a': 'n', 'w': 's'}) }}",
    "record_type": "cast(null as {{ record_type({'a': type('int')}) }})",
    "list_type": "cast(null as {{ list_type(type('string')) }})",
    "normal_of_student": "{{ normal_of_student('y', '(id + 20e0)') }}",
    "student_97_5": "{{ student_97_5('(id + 20e0)') }}",
    "raise_error": "case when id > 1000 then {{ raise_error('it\\'s wrong') }} else 'fine' end",
    "variance_of_mean": "{{ variance_of_mean('n', 'n * n', '(id + 2e0)', '(id + 1e0)') }}",
    "effective_rows": "{{ effective_rows('id', '9e0', 'id', '12e0') }}",
    "variance_of_weighted_mean": "{{ variance_of_weighted_mean('y', '9e0', '12e0', 'y', 'y * y') }}",
}
"""An expression of each row of t, by macro."""

WILD = {
    "finite": "{{ finite('x') }}",
    "same_double": "{{ same_double('x', 'y') }}",
}
"""Likewise over NaN, infinities and negative zero."""

OF_GROUPS = {
    "count_where": "{{ count_where('x > 0') }}",
    "sum_text": "{{ sum_text(hash_int('s')) }}",
    "quantiles": "{{ quantiles('x', 4) }}",
    "quantiles_at": "{{ quantiles_at('n', [[1, 10], [5, 10], [99, 100]]) }}",
    "median": "{{ median('x') }}",
    "middle_and_quantiles": "{{ middle_and_quantiles('x', 10) }}",
    "jensen_shannon": "{{ jensen_shannon('(abs(n) / 129e0)', '(id / 45e0)') }}",
}
"""An aggregate over the rows of t, and over groups of them, by macro."""

WHOLE = {
    "asof_join": "select t.id, h.value, h.word from t {{ asof_join('t', '(select * from history where word is not null)', 'h', ['key'], 'seen', 'known_at') }}".replace(
        "from t ",
        "from (select id, seen, case when id < 4 then 'a' when id < 8 then 'b' else 'z' end as key from t) as t ",
    ),
    "asof_join without a key": "select t.id, h.value from t {{ asof_join('t', '(select known_at, max(value) as value from history group by known_at)', 'h', [], 'seen', 'known_at') }}",
    "latest_known": "select * from {{ latest_known('history', ['key'], 'known_at', as_of, ['value', 'word']) }} as known",
    "names_table": "select names.one from {{ names_table('one', ['a', 'b', \"O'B\"]) }} as names",
    "names_table of none": "select names.one from {{ names_table('one', []) }} as names",
    "cross_join_elements": "select t.id, e from t {{ cross_join_elements('t.numbers', 'e') }}",
    "grouped_slice": "select {{ grouped_slice([{'names': []}, {'names': ['s']}, {'names': ['s', 'u']}], ['s', 'u']) }}, count(*) as n"
    " from (select coalesce(s, '-') as s, coalesce(u, '-') as u from t) as t group by grouping sets ((), (s), (s, u))",
    "which_grouped": "select {{ which_grouped(['s', 'u']) }} as bits, count(*) as n from t group by grouping sets ((), (s), (u), (s, u))",
    "param": "select {{ param('name') }} as named",
    "row_in_order": "select {{ row_in_order() }} as place from (select 1 as one) as t",
    "over_sorted": "select rows_in_order.id, row_number() {{ over_sorted('rows_in_order.id') }} as place, sum(rows_in_order.id)"
    " {{ over_sorted('rows_in_order.id', is_running=true) }} as total from (select id from t {{ sorted_first('id') }}) as rows_in_order",
    "materialized": "with once as {{ materialized() }} (select id + 1 as up from t) select up, up * 2 as twice from once",
}
"""A whole query, by macro."""

ELSEWHERE = {
    "create_scratch": "every evaluation",
    "sorted_first": "over_sorted",
    "create_query_function": "tests/googlesql/test_tables.py",
    "describe_table": "tests/googlesql/test_tables.py",
    "read_file": "tests/conformance/test_conformance.py",
    "read_parquet": "tests/googlesql/test_registry_views.py",
    "read_parquet_in_order": "tests/googlesql/test_registry_views.py",
    "table_layout": "tests/googlesql/test_tables.py",
    "relation_layout": "tests/googlesql/test_partitions.py",
}
"""Macros that a statement of the toolkit shows at work, and where."""

OWN = {
    "duckdb": {"create_table_function", "describe_table_function", "drop_table_function"},
    "bigquery": {"sorted_list", "at_share", "ln_gamma"},
}
"""What one engine has alone: its own helpers, and what the other cannot do."""

BY_NATURE = {
    "row_hash": "each engine has a hash of its own",
    "fingerprint": "each engine has a hash of its own",
    "about_distinct": "it may be a few per cent off",
}


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Warehouse, Warehouse]]:
    found = (DuckDBWarehouse(), GoogleSqlWarehouse())
    for warehouse in found:
        for name, rows in (("t", _ROWS), ("wild", _WILD), ("history", _HISTORY)):
            warehouse.load(Relation(name), rows)
    yield found
    for warehouse in found:
        warehouse.close()


def _agree(engines: tuple[Warehouse, Warehouse], template: str, **names: object) -> int:
    answers = []
    for warehouse in engines:
        env = environment(warehouse.engine)
        as_of = env.filters["literal"](_AT + dt.timedelta(days=30))
        sql = env.from_string(template).render(list="['a', 'b ~/c']", as_of=as_of)
        rows = warehouse.fetch(sql, {"name": "O'Brien"} if "param(" in template else None)
        answers.append(
            pa.Table.from_arrays(
                [column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column for column in rows.columns],
                rows.column_names,
            ).to_pylist()
        )
    same_rows(*answers)
    return len(answers[0])


@pytest.mark.parametrize("name", EACH_ROW)
def test_of_each_row(engines: tuple[Warehouse, Warehouse], name: str) -> None:
    assert _agree(engines, f"select id, {EACH_ROW[name]} as answer from t") == len(_ROWS)


@pytest.mark.parametrize("name", WILD)
def test_of_numbers_that_are_none(engines: tuple[Warehouse, Warehouse], name: str) -> None:
    _agree(engines, f"select id, {WILD[name]} as answer from wild")
    _agree(engines, f"select id, {WILD[name]} as answer from t")


@pytest.mark.parametrize("name", OF_GROUPS)
def test_of_groups(engines: tuple[Warehouse, Warehouse], name: str) -> None:
    _agree(engines, f"select {OF_GROUPS[name]} as answer from t")
    _agree(engines, f"select s, {OF_GROUPS[name]} as answer from t group by s")
    if name != "jensen_shannon":
        _agree(engines, f"select {OF_GROUPS[name]} as answer from t where id > 1000")


@pytest.mark.parametrize("name", WHOLE)
def test_of_queries(engines: tuple[Warehouse, Warehouse], name: str) -> None:
    assert _agree(engines, WHOLE[name]) > 0 or name == "names_table of none"


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_every_macro_has_both_sides_and_a_case(engine: str) -> None:
    env = environment(engine)
    macros = {name for name, value in env.globals.items() if type(value).__name__ == "Macro"}
    shown = {name.split()[0] for name in (*EACH_ROW, *WILD, *OF_GROUPS, *WHOLE, *ELSEWHERE, *BY_NATURE)}
    assert macros - OWN[engine] == shown
    assert OWN[engine] <= macros


def test_row_hash_tells_rows_apart_on_each_engine(engines: tuple[Warehouse, Warehouse]) -> None:
    for warehouse in engines:
        sql = environment(warehouse.engine).from_string(
            "select {{ row_hash('doubled') }} as row_hash, count(*) as n from (select * from history union all select * from history) as doubled group by 1"
        )
        rows = warehouse.fetch(sql.render()).to_pylist()
        assert [row["n"] for row in rows] == [2] * len(_HISTORY)
        assert all(0 <= row["row_hash"] < 2**60 for row in rows)
