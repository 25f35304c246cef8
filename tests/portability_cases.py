"""A statement for each construct that the two engines read differently, and the same in words that both read alike."""

from __future__ import annotations

CASES: dict[str, tuple[str, str]] = {
    "asof-join": (
        "select t.id, u.at from t asof left join u on t.id = u.id and t.at >= u.at",
        "select t.id, u.at from t {{ asof_join('t', 'u', 'u', ['id'], 'at', 'at') }}",
    ),
    "aggregate-filter": (
        "select count(*) filter (where n > 2) as a from t",
        "select {{ count_where('n > 2') }} as a from t",
    ),
    "count-if": ("select count_if(n > 2) as a from t", "select {{ count_where('n > 2') }} as a from t"),
    "order-by-all": (
        "select n, id from t order by all limit 2",
        "select n, id from t order by n nulls last, id limit 2",
    ),
    "lateral-alias": (
        "select n + 1 as b, b * 2 as c from t",
        "select a.b, a.b * 2 as c from (select n + 1 as b from t) as a",
    ),
    "alias-in-where": ("select n + 1 as b from t where b > 2", "select n + 1 as b from t where n + 1 > 2"),
    "star-exclude": ("select * exclude (x, at, word, flag, items, day) from t", "select id, n from t"),
    "quoted-name": ('select "word" as a from t', "select {{ 'word' | ident }} as a from t"),
    "cast-operator": ("select n::varchar as a from t", "select cast(n as {{ type('string') }}) as a from t"),
    "type-name": ("select cast(n as varchar) as a from t", "select cast(n as {{ type('string') }}) as a from t"),
    "try-cast": (
        "select try_cast(word as double) as a from t",
        "select {{ try_cast('word', 'double') }} as a from t",
    ),
    "whole-division": ("select n // 2 as a from t", "select {{ as_int('trunc(n / 2)') }} as a from t"),
    "modulo": ("select n % 2 as a from t", "select mod(n, 2) as a from t"),
    "list-function": (
        "select list_contains(items, 2) as a, len(items) as b from t",
        "select 2 in (select item from (select 1 as one) as o {{ cross_join_elements('t.items', 'item') }}) as a, {{ list_length('items') }} as b from t",
    ),
    "list-index": ("select items[1] as a from t", "select {{ element('items', 1) }} as a from t"),
    "lambda": (
        "select list_sum(list_transform(items, lambda i: i + 1)) as a from t where n is not null",
        "select (select sum(i + 1) from (select 1 as one) as o {{ cross_join_elements('t.items', 'i') }}) as a from t where n is not null",
    ),
    "unnest-in-select": (
        "select id, unnest(items) as a from t",
        "select t.id, item as a from t {{ cross_join_elements('t.items', 'item') }}",
    ),
    "median": ("select median(x) as a from t", "select {{ median('x') }} as a from t"),
    "quantile": ("select quantile_disc(n, 0.5) as a from t", "select {{ element(quantiles('n', 2), 1) }} as a from t"),
    "split-part": (
        "select split_part(word, '-', 1) as a from t",
        "select {{ element(\"split(word, '-')\", 1) }} as a from t",
    ),
    "json-arrow": (
        """select '{"a": "b"}'::json ->> '$.a' as a""",
        """select {{ json_field('\\'{"a": "b"}\\'', 'a') }} as a""",
    ),
    "values-list": ("select a from (values (1), (2)) as v(a)", "select a from (select 1 as a union all select 2) as v"),
    "struct-literal": ("select ({'a': n}).a as b from t", "select ({{ record({'a': 'n'}) }}).a as b from t"),
    "range-interval": (
        "select id, sum(n) over (order by at range between interval 1 day preceding and current row) as a from t",
        "select id, sum(n) over (order by {{ seconds_between(\"cast('1970-01-01 00:00:00+00' as \" ~ type('timestamp') ~ ')', 'at') }} range between 86400e0 preceding and current row) as a from t",
    ),
    "epoch": (
        "select epoch(at) as a from t",
        "select {{ seconds_between(\"cast('1970-01-01 00:00:00+00' as \" ~ type('timestamp') ~ ')', 'at') }} as a from t",
    ),
    "interval-month": (
        "select at + interval 1 month as a from t",
        "select {{ add_interval('at', 1, 'month') }} as a from t",
    ),
    "interval-text": (
        "select at + interval '3 days' as a from t",
        "select {{ add_interval('at', 3, 'day') }} as a from t",
    ),
    "date-trunc": ("select date_trunc('week', at) as a from t", "select {{ period_start('at', 'week') }} as a from t"),
    "date-diff": (
        "select date_diff('day', at, timestamptz '2024-02-01 00:00:00+00') as a from t",
        "select {{ seconds_between('at', \"cast('2024-02-01 00:00:00+00' as \" ~ type('timestamp') ~ ')') }} / 86400e0 as a from t",
    ),
    "day-of-week": ("select extract(dayofweek from at) as a from t", "select {{ weekday('at') }} as a from t"),
    "week-number": ("select extract(week from at) as a from t", "select extract(isoweek from at) as a from t"),
    "date-part": ("select year(at) as a from t", "select extract(year from at) as a from t"),
    "distinct-on": (
        "select distinct on (n) n, id from t order by n, id",
        "select n, id from t where true qualify row_number() over (partition by n order by id) = 1",
    ),
    "from-first": ("from t select id", "select id from t"),
    "regexp-match": (
        "select regexp_matches(word, 'a-') as a from t",
        "select {{ regexp_match('word', 'a-') }} as a from t",
    ),
    "regexp-extract": (
        "select regexp_extract(word, 'z+') as a from t",
        "select nullif(regexp_extract(word, 'z+'), '') as a from t",
    ),
    "regexp-replace": (
        "select regexp_replace(word, '[a-b]', 'c') as a from t",
        "select {{ regexp_replaced('word', '[a-b]', 'c') }} as a from t",
    ),
    "ilike": ("select word ilike 'A%' as a from t", "select lower(word) like 'a%' as a from t"),
    "log": ("select log(10) as a from t", "select ln(10) as a, log10(10) as b from t"),
    "least-greatest": ("select greatest(n, 1) as a from t", "select greatest(coalesce(n, 1), 1) as a from t"),
    "concat": ("select concat(word, 'x') as a from t", "select coalesce(word, '') || 'x' as a from t"),
    "round-to-int": ("select cast(x / 2e0 as int) as a from t", "select cast(round(x / 2e0) as int) as a from t"),
    "decimal-literals": ("select 0.1 + 0.2 = 0.3 as a", "select 1e-1 + 2e-1 = 3e-1 as a"),
    "division": ("select 1 / (n - n) as a from t", "select {{ safe_divide('1', 'n - n') }} as a from t"),
    "not-a-number": (
        "select cast('nan' as double) = cast('nan' as double) as a",
        "select {{ finite(\"cast('nan' as \" ~ type('double') ~ ')') }} is null as a",
    ),
    "null-order": ("select n from t order by n limit 1", "select n from t order by n nulls last limit 1"),
    "backslash": (r"select length('a\n') as a", r"select length({{ 'a\\n' | literal }}) as a"),
    "doubled-quote": ("select 'it''s' as a", 'select {{ "it\'s" | literal }} as a'),
    "timestamptz": (
        "select timestamptz '2024-01-01 00:00:00+00' as a",
        "select cast('2024-01-01 00:00:00+00' as {{ type('timestamp') }}) as a",
    ),
    "substring-zero": ("select substr(word, 0, 2) as a from t", "select substr(word, 1, 2) as a from t"),
    "implicit-cast": ("select word || 1 as a from t", "select word || {{ as_string('1') }} as a from t"),
    "compared-types": ("select count(*) > '2' as a from t", "select count(*) > 2 as a from t"),
    "columns-star": ("select min(columns(['n', 'id'])) from t", "select min(n) as n, min(id) as id from t"),
    "qualify-alone": (
        "select id from t qualify row_number() over (partition by n order by id) = 1",
        "select id from t where true qualify row_number() over (partition by n order by id) = 1",
    ),
    "hash": ("select hash(word) as a from t", "select {{ hash_int('word') }} as a from t"),
    "digest": ("select md5(word) as a from t", "select {{ hash_text('word') }} as a from t"),
    "semi-join": (
        "select id from t semi join u on t.id = u.id",
        "select id from t where exists (select 1 from u where t.id = u.id)",
    ),
    "plain-union": (
        "select id from t union select id from u",
        "select distinct a.id from (select id from t union all select id from u) as a",
    ),
    "where-without-from": ("select 1 as a where true", "select 1 as a from (select 1 as one) as always where true"),
    "partition-by-double": (
        "select id, count(*) over (partition by cast(x as double)) as a from t",
        "select t.id, c.a from t inner join (select x, count(*) as a from t group by x) as c on t.x = c.x",
    ),
    "comma-in-aggregate": (
        "select arg_max(id, n) as a from t",
        "select max(id) as a from t where n = (select max(n) from t)",
    ),
    "string-function": ("select word.upper() as a from t", "select upper(word) as a from t"),
    "group-by-all": ("select n, count(*) as a from t group by all", "select n, count(*) as a from t group by n"),
    "positional-group": ("select n, count(*) as a from t group by 1", "select n, count(*) as a from t group by n"),
    "is-distinct": ("select n is distinct from 1 as a from t", "select n is distinct from 1 as a from t"),
    "date-literal": ("select date '2024-01-01' + 1 as a", "select date '2024-01-01' as a"),
    "interval-day": ("select at + interval 1 day as a from t", "select at + interval 1 day as a from t"),
    "union-distinct": ("select id from t union distinct select id from u", "select 1 as a"),
    "string-agg": ("select string_agg(word, ',' order by word) as a from t", "select 1 as a"),
    "sqrt": ("select sqrt(n - 100) as a from t", "select 1 as a"),
    "exp": ("select exp(1000) as a from t", "select 1 as a"),
    "ln": ("select ln(0) as a", "select 1 as a"),
    "float-types": (
        "select cast(1 as float64) as a, cast(1 as int64) as b, cast(1 as string) as c, cast(1 as bool) as d",
        "select 1 as a",
    ),
    "int-types": (
        "select cast(1 as int) as a, cast(1 as bigint) as b, cast(1 as integer) as c, cast(1 as boolean) as d, cast(1 as decimal) as e",
        "select 1 as a",
    ),
    "neg-div": ("select -7 // 2 as a", "select cast(trunc(-7 / 2) as int) as a"),
    "star-except": ("select * except (x, at, word, flag, items, day) from t", "select 1 as a"),
    "any-value-having": ("select any_value(id having max n) as a from t", "select 1 as a"),
    "length-of": (
        "select length(word) as a, strpos(word, '-') as b, lpad(word, 5, 'x') as c, contains(word, '-') as d from t",
        "select 1 as a",
    ),
    "current": ("select at at time zone 'UTC' as a from t", "select 1 as a"),
    "timestamp-naive": ("select timestamp '2024-01-01 00:00:00' as a", "select 1 as a"),
    "sum-int": ("select sum(n) as a from t", "select 1 as a"),
}
