# ruff: noqa: E501 - a statement stays on one line
"""A statement for each construct that the engines do not share, and the same in words that both read alike.

Each is written for the first engine named, over t(id, n, x, word, flag, seen, items) and u(id, seen).
"""

from __future__ import annotations

_EPOCH = "cast('1970-01-01 00:00:00+00' as ' ~ type('timestamp') ~ ')"
_SECONDS = "{{ seconds_between(\"cast('1970-01-01 00:00:00+00' as \" ~ type('timestamp') ~ ')', 'seen') }}"

DUCKDB: dict[str, tuple[str, str]] = {
    "asof-join": (
        "select t.id, u.seen from t asof left join u on t.id = u.id and t.seen >= u.seen",
        "select t.id, u.seen from t {{ asof_join('t', 'u', 'u', ['id'], 'seen', 'seen') }}",
    ),
    "semi-join": (
        "select id from t semi join u on t.id = u.id",
        "select id from t where exists (select 1 from u where t.id = u.id)",
    ),
    "from-first": ("from t select id", "select id from t"),
    "distinct-on": (
        "select distinct on (n) n, id from t order by n nulls last, id nulls last",
        "select n, id from t where true qualify row_number() over (partition by n order by id nulls last) = 1",
    ),
    "plain-union": ("select id from t union select id from u", "select id from t union distinct select id from u"),
    "values-list": (
        "select a from (values (1), (2)) as v(a)",
        "select a from (select 1 as a union all select 2) as v",
    ),
    "where-without-from": ("select 1 as a where true", "select 1 as a from (select 1 as one) as always where true"),
    "order-by-all": (
        "select n, id from t order by all limit 2",
        "select n, id from t order by n nulls last, id nulls last limit 2",
    ),
    "lateral-alias": (
        "select n + 1 as b, b * 2 as c from t",
        "select a.b, a.b * 2 as c from (select n + 1 as b from t) as a",
    ),
    "alias-in-where": ("select n + 1 as b from t where b > 2", "select n + 1 as b from t where n + 1 > 2"),
    "star-exclude": (
        "select * exclude (x, seen, word, flag, items) from t",
        "select * except (x, seen, word, flag, items) from t",
    ),
    "columns-star": ("select min(columns(['n', 'id'])) from t", "select min(n) as n, min(id) as id from t"),
    "quoted-name": ('select "word" as a from t', "select {{ 'word' | ident }} as a from t"),
    "backslash": (r"select length('a\n') as a", "select length({{ 'a\\\\n' | literal }}) as a"),
    "doubled-quote": ("select 'it''s' as a", 'select {{ "it\'s" | literal }} as a'),
    "cast-operator": ("select n::string as a from t", "select cast(n as {{ type('string') }}) as a from t"),
    "type-name": ("select cast(n as varchar) as a from t", "select cast(n as {{ type('string') }}) as a from t"),
    "timestamp-type": (
        "select timestamp '2024-01-01 00:00:00' as a",
        "select cast('2024-01-01 00:00:00+00' as {{ type('timestamp') }}) as a",
    ),
    "try-cast": ("select try_cast(word as int64) as a from t", "select {{ try_cast('word', 'int') }} as a from t"),
    "round-to-int": (
        "select cast(x / 2 as int64) as a from t",
        "select {{ as_int('round(x / 2)') }} as a from t",
    ),
    "implicit-cast": ("select word || 1 as a from t", "select word || {{ as_string('1') }} as a from t"),
    "decimal-literals": ("select 0.1 + 0.2 = 0.3 as a", "select 1e-1 + 2e-1 = 3e-1 as a"),
    "division": ("select 1 / (n - n) as a from t", "select {{ safe_divide('1', 'n - n') }} as a from t"),
    "whole-division": ("select -n // 2 as a from t", "select {{ as_int('trunc(-n / 2)') }} as a from t"),
    "modulo": ("select -n % 2 as a from t", "select mod(-n, 2) as a from t"),
    "math-domain": (
        "select sqrt(n - 4) as a, exp(n * 300) as b from t",
        "select case when n >= 4 then sqrt(n - 4) end as a, case when n < 2 then exp(n * 300) end as b from t",
    ),
    "not-a-number": (
        "select x < cast('nan' as {{ type('double') }}) as a from t",
        "select x < {{ finite(\"cast('nan' as \" ~ type('double') ~ ')') }} as a from t",
    ),
    "log": ("select log(x) as a from t", "select ln(x) as a, log10(x) as b from t"),
    "least-greatest": ("select greatest(n, 1) as a from t", "select greatest(coalesce(n, 1), 1) as a from t"),
    "hash": ("select hash(word) as a from t", "select {{ hash_int('word') }} as a from t"),
    "digest": ("select md5(word) as a from t", "select {{ hash_text('word') }} as a from t"),
    "aggregate-filter": (
        "select count(*) filter (where n > 2) as a from t",
        "select {{ count_where('n > 2') }} as a from t",
    ),
    "count-if": ("select count_if(n > 2) as a from t", "select {{ count_where('n > 2') }} as a from t"),
    "median": ("select median(x) as a from t", "select {{ median('x') }} as a from t"),
    "about-quantiles": (
        "select approx_quantile(n, 0.5) as a from t",
        "select {{ element(quantiles('n', 2), 1) }} as a from t",
    ),
    "arg-max": (
        "select arg_max(id, n) as a from t",
        "select id as a from t where n is not null qualify row_number() over (order by n desc nulls last) = 1",
    ),
    "partition-by-double": (
        "select id, count(*) over (partition by x / 2) as a from t",
        "select id, count(*) over (partition by {{ as_string('x / 2') }}) as a from t",
    ),
    "range-interval": (
        "select id, sum(x) over (order by seen nulls last range between interval 1 day preceding and current row) as a from t",
        "select id, sum(x) over (order by "
        + _SECONDS
        + " nulls last range between 86400e0 preceding and current row) as a from t",
    ),
    "null-order": ("select n from t order by n limit 1", "select n from t order by n nulls last limit 1"),
    "date-trunc": (
        "select date_trunc('week', seen) as a from t",
        "select {{ period_start('seen', 'week') }} as a from t",
    ),
    "date-diff": (
        "select date_diff('day', seen, seen) as a from t",
        "select {{ seconds_between('seen', 'seen') }} / 86400e0 as a from t",
    ),
    "epoch": ("select epoch(seen) as a from t", "select " + _SECONDS + " as a from t"),
    "day-of-week": ("select extract(dayofweek from seen) as a from t", "select {{ weekday('seen') }} as a from t"),
    "week-number": (
        "select extract(week from seen) as a from t",
        "select {{ period_start('seen', 'week') }} as a from t",
    ),
    "date-part": (
        "select year(seen) as a, isodow(seen) as b from t",
        "select extract(year from seen) as a, {{ weekday('seen') }} as b from t",
    ),
    "interval-month": (
        "select seen + interval 1 month as a from t",
        "select {{ add_interval('seen', 1, 'month') }} as a from t",
    ),
    "interval-text": (
        "select seen + interval '3 days' as a from t",
        "select {{ add_interval('seen', 3, 'day') }} as a from t",
    ),
    "time-text": (
        "select strftime(seen, '%Y-%m') as a from t",
        "select substr(cast(cast(seen as date) as {{ type('string') }}), 1, 7) as a from t",
    ),
    "concat": ("select concat(word, 'x') as a from t", "select coalesce(word, '') || 'x' as a from t"),
    "ilike": ("select word ilike 'A%' as a from t", "select lower(word) like 'a%' as a from t"),
    "regexp-match": (
        "select regexp_matches(word, '^[ab]-') as a from t",
        "select {{ regexp_found('word', '^[ab]-') }} as a from t",
    ),
    "regexp-extract": (
        "select regexp_extract(word, 'z+') as a from t",
        "select nullif({{ 'regexp_extract' }}(word, 'z+'), '') as a from t",
    ),
    "regexp-replace": (
        "select regexp_replace(word, '[a-b]', 'c') as a from t",
        "select {{ regexp_replaced('word', '[a-b]', 'c') }} as a from t",
    ),
    "split-part": (
        "select split_part(word, '-', 1) as a from t",
        "select {{ element(\"split(word, '-')\", 1) }} as a from t",
    ),
    "substring-zero": ("select substr(word, 0, 2) as a from t", "select substr(word, 1, 2) as a from t"),
    "text-function": (
        "select contains(word, '-') as a, prefix(word, 'a') as b, printf('%.15g', x) as c from t",
        "select strpos(word, '-') > 0 as a, starts_with(word, 'a') as b, {{ number_text('x') }} as c from t",
    ),
    "method-call": ("select word.upper() as a from t", "select upper(word) as a from t"),
    "list-function": (
        "select id, len(items) as a, list_contains(items, 2) as b from t",
        "select t.id, {{ list_length('t.items') }} as a, max(i = 2) as b from t {{ cross_join_elements('t.items', 'i') }} group by t.id, {{ list_length('t.items') }}",
    ),
    "list-index": (
        "select items[1] as a from t where id < 3",
        "select {{ element('items', 1) }} as a from t where id < 3",
    ),
    "lambda": (
        "select id, list_transform(items, lambda i: i + 1) as a from t",
        "select t.id, i + 1 as a from t {{ cross_join_elements('t.items', 'i') }}",
    ),
    "unnest-in-select": (
        "select id, unnest(items) as a from t",
        "select t.id, i as a from t {{ cross_join_elements('t.items', 'i') }}",
    ),
    "unnest-alias": (
        "select id, i from t, unnest(items) as rows(i)",
        "select t.id, i from t {{ cross_join_elements('t.items', 'i') }}",
    ),
    "struct-literal": ("select {'a': n} as b from t", "select {{ record({'a': 'n'}) }} as b from t"),
    "json-arrow": (
        """select '{"a": "b"}' ->> '$.a' as a""",
        """select {{ json_field("'" ~ '{"a": "b"}' ~ "'", 'a') }} as a""",
    ),
    "syntax": (r"select r'\d' as a", r"select {{ '\\d' | literal }} as a"),
}
"""As a user of DuckDB writes them."""

BIGQUERY: dict[str, tuple[str, str]] = {
    "time-text": (
        "select format_timestamp('%Y-%m', seen) as a from t",
        "select substr(cast(cast(seen as date) as {{ type('string') }}), 1, 7) as a from t",
    ),
    "pipe": ("from t |> where id > 1 |> select id", "select id from t where id > 1"),
    "google-text": ("select r'\\d' as a, \"b\" as b", "select {{ '\\\\d' | literal }} as a, {{ 'b' | literal }} as b"),
    "type-name": ("select cast(n as float64) as a from t", "select cast(n as {{ type('double') }}) as a from t"),
    "try-cast": ("select safe_cast(word as int64) as a from t", "select {{ try_cast('word', 'int') }} as a from t"),
    "hash": ("select farm_fingerprint(word) as a from t", "select {{ hash_int('word') }} as a from t"),
    "about-quantiles": (
        "select approx_quantiles(n, 2)[offset(1)] as a from t",
        "select {{ element(quantiles('n', 2), 1) }} as a from t",
    ),
    "date-trunc": (
        "select timestamp_trunc(seen, week) as a from t",
        "select {{ period_start('seen', 'week') }} as a from t",
    ),
    "date-diff": (
        "select timestamp_diff(seen, seen, day) as a from t",
        "select {{ seconds_between('seen', 'seen') }} / 86400e0 as a from t",
    ),
    "date-add": (
        "select timestamp_add(seen, interval 1 day) as a from t",
        "select {{ add_interval('seen', 1, 'day') }} as a from t",
    ),
    "epoch": ("select unix_seconds(seen) as a from t", "select " + _SECONDS + " as a from t"),
    "regexp-match": (
        "select regexp_contains(word, '^[ab]-') as a from t",
        "select {{ regexp_found('word', '^[ab]-') }} as a from t",
    ),
    "struct-literal": ("select struct(n as a) as b from t", "select {{ record({'a': 'n'}) }} as b from t"),
    "array-query": (
        "select id, i from t, unnest(items) as i with offset as o where o = 0",
        "select id, {{ element('items', 1) }} as i from t where {{ list_length('items') }} > 0",
    ),
    "google-function": ("select safe_divide(n, 0) as a from t", "select {{ safe_divide('n', '0') }} as a from t"),
    "countif": (
        "select countif(n > 2) as a from t where false",
        "select {{ count_where('n > 2') }} as a from t where false",
    ),
    "log": ("select log(x) as a from t", "select ln(x) as a from t"),
    "digest": ("select md5(word) as a from t", "select {{ hash_text('word') }} as a from t"),
    "division": ("select 1 / (n - n) as a from t", "select {{ safe_divide('1', 'n - n') }} as a from t"),
    "concat": ("select concat(word, 'x') as a from t", "select coalesce(word, '') || 'x' as a from t"),
    "null-order": ("select n from t order by n limit 1", "select n from t order by n nulls last limit 1"),
    "backslash": (r"select length('a\n') as a", "select length({{ 'a\\\\n' | literal }}) as a"),
    "day-of-week": ("select extract(dayofweek from seen) as a from t", "select {{ weekday('seen') }} as a from t"),
}
"""As a user of BigQuery writes them."""
