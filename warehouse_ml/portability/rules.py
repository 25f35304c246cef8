"""The constructs that DuckDB and BigQuery do not share, each with what comes of it and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LEVELS", "RULES", "Rule"]

LEVELS = ("note", "warning", "error")
"""From what matters for special values only to what an engine refuses."""

_BOTH = frozenset({"duckdb", "bigquery"})
_BIGQUERY = frozenset({"bigquery"})
_DUCKDB = frozenset({"duckdb"})
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """A construct.

    Parameters
    ----------
    code : str
        Its name, which stays.
    construct : str
        As it is written.
    why : str
        What each engine makes of it.
    fix : str
        What to write instead.
    refused_by : frozenset of str
        The engines that refuse it; of the others, each makes something else of it.
    is_rare : bool
        Whether it matters for special values only, such as NULL.
    """

    code: str
    construct: str
    why: str
    fix: str
    refused_by: frozenset[str] = _BIGQUERY
    is_rare: bool = False

    @property
    def level(self) -> str:
        """What a finding is called where nobody refuses it."""
        return "note" if self.is_rare else "warning"


_ALL = (
    # joins and queries
    Rule(
        "asof-join", "asof join", "BigQuery has none", "{{ asof_join(left, right, alias, using, left_at, right_at) }}"
    ),
    Rule("semi-join", "semi join, anti join, positional join", "BigQuery has none", "where [not] exists (select ...)"),
    Rule("from-first", "from t select x", "BigQuery wants SELECT first", "select x from t"),
    Rule("distinct-on", "distinct on (...)", "BigQuery has none", "where true qualify row_number() over (...) = 1"),
    Rule("plain-union", "union", "BigQuery wants ALL or DISTINCT said", "union all or union distinct"),
    Rule("values-list", "from (values ...)", "BigQuery has none", "select ... union all select ..."),
    Rule(
        "where-without-from", "where without from", "BigQuery refuses it", "from (select 1 as one) as always where ..."
    ),
    Rule("order-by-all", "order by all", "BigQuery has none", "name the columns"),
    Rule("pipe", "|>", "DuckDB has no pipes", "name each step in a WITH", _DUCKDB),
    # names
    Rule("lateral-alias", "an alias used beside its definition", "BigQuery does not know it there", "a query inside"),
    Rule(
        "alias-in-where",
        "an alias in WHERE",
        "BigQuery does not know it there",
        "repeat the expression, or a query inside",
    ),
    Rule("star-exclude", "* exclude (...)", "BigQuery has none", "* except (...)"),
    Rule("columns-star", "columns(...)", "BigQuery has none", "name the columns that are read"),
    Rule("quoted-name", '"name"', "text on BigQuery, without an error", "{{ 'name' | ident }}", _NONE),
    # texts and types
    Rule("backslash", r"'\n'", "two characters on DuckDB, an escape on BigQuery", "{{ 'text' | literal }}", _NONE),
    Rule("doubled-quote", "'it''s'", "BigQuery refuses it", '{{ "it\'s" | literal }}'),
    Rule(
        "google-text", "r'...', \"...\", '''...'''", "a name on DuckDB, or refused", "{{ 'text' | literal }}", _DUCKDB
    ),
    Rule("cast-operator", "x::type", "BigQuery has none", "cast(x as {{ type('double') }})"),
    Rule(
        "type-name",
        "varchar, double, integer, timestamptz, float64, ...",
        "not the name of the type on every engine",
        "{{ type('string') }}: string, int, double, bool, timestamp or json",
        _BOTH,
    ),
    Rule(
        "timestamp-type",
        "timestamp",
        "without a zone on DuckDB, an instant on BigQuery",
        "{{ type('timestamp') }}",
        _NONE,
    ),
    Rule(
        "try-cast",
        "try_cast, safe_cast",
        "each engine has but one of them",
        "{{ try_cast(x, 'double') }}",
        _BOTH,
    ),
    Rule(
        "round-to-int",
        "cast(2.5 as int)",
        "2 on DuckDB (half to even), 3 on BigQuery (half away from 0)",
        "{{ as_int('round(x)') }}",
        _NONE,
    ),
    Rule(
        "implicit-cast",
        "'a' || 1, count(*) > '2'",
        "BigQuery casts nothing by itself",
        "{{ as_string(x) }}, or a constant of the right type",
    ),
    # numbers
    Rule("decimal-literals", "0.1 + 0.2", "decimals on DuckDB, doubles on BigQuery", "1e-1 + 2e-1", _NONE),
    Rule(
        "division",
        "x / y",
        "infinity, NaN or an error where y is 0",
        "{{ safe_divide(x, y) }}, or x / nullif(y, 0)",
        _NONE,
        is_rare=True,
    ),
    Rule("whole-division", "x // y", "BigQuery has none", "{{ as_int('trunc(x / y)') }}"),
    Rule("modulo", "x % y", "BigQuery has none", "mod(x, y)"),
    Rule(
        "math-domain",
        "ln(x), sqrt(x), exp(x)",
        "infinity or NaN on DuckDB, an error on BigQuery, out of their range",
        "case when x > 0 then ln(x) end",
        _NONE,
        is_rare=True,
    ),
    Rule(
        "not-a-number",
        "cast('nan' as ...)",
        "NaN is equal to itself, and above all numbers, on DuckDB; neither on BigQuery",
        "{{ finite(x) }}, which makes it NULL",
        _NONE,
    ),
    Rule("log", "log(x)", "to base 10 on DuckDB, to base e on BigQuery", "ln(x) or log10(x)", _NONE),
    Rule(
        "least-greatest",
        "least(x, y), greatest(x, y)",
        "NULL is passed over on DuckDB, and makes all NULL on BigQuery",
        "coalesce each of them",
        _NONE,
    ),
    Rule("hash", "hash(x), farm_fingerprint(x)", "each engine has its own", "{{ hash_int(x) }}", _BOTH),
    Rule("digest", "md5(x), sha256(x)", "text on DuckDB, bytes on BigQuery", "{{ hash_text(x) }}", _NONE),
    # aggregates and windows
    Rule(
        "aggregate-filter",
        "count(*) filter (where ...)",
        "BigQuery has none",
        "{{ count_where(...) }}, sum(case when ... end)",
    ),
    Rule("count-if", "count_if(...)", "countif on BigQuery", "{{ count_where(...) }}"),
    Rule("countif", "countif(...)", "over no rows NULL on DuckDB, 0 on BigQuery", "{{ count_where(...) }}", _NONE),
    Rule(
        "median",
        "median, quantile_cont, percentile_cont, mode",
        "BigQuery has none that is an aggregate",
        "{{ median(x) }}, {{ quantiles(x, n) }}",
    ),
    Rule(
        "about-quantiles",
        "approx_quantile, approx_quantiles",
        "each engine has but one of them",
        "{{ quantiles(x, n) }}",
        _BOTH,
    ),
    Rule(
        "arg-max",
        "arg_max, arg_min, first, last, list",
        "not on BigQuery, or not so",
        "row_number() over (...) = 1 in a query around",
    ),
    Rule(
        "partition-by-double",
        "partition by a double",
        "BigQuery refuses it",
        "group by it and join, or partition by text of it",
    ),
    Rule(
        "range-interval",
        "range between interval ... preceding",
        "BigQuery wants a number there",
        "order by {{ seconds_between(...) }} range between 86400e0 preceding ...",
    ),
    Rule(
        "null-order",
        "order by x",
        "NULL comes last on DuckDB, first on BigQuery",
        "order by x nulls last",
        _NONE,
        is_rare=True,
    ),
    # time
    Rule(
        "date-trunc",
        "date_trunc('week', x), timestamp_trunc(x, week)",
        "the arguments differ, and so does the week: Monday, Sunday",
        "{{ period_start(x, 'week') }}",
        _BOTH,
    ),
    Rule(
        "date-diff",
        "date_diff, timestamp_diff, datediff",
        "the arguments differ; boundaries crossed on DuckDB, whole days on BigQuery",
        "{{ seconds_between(earlier, later) }} / 86400e0",
        _BOTH,
    ),
    Rule(
        "date-add",
        "timestamp_add, timestamp_sub, date_sub",
        "DuckDB has none of the kind",
        "{{ add_interval(x, 1, 'day') }}",
        _DUCKDB,
    ),
    Rule(
        "epoch",
        "epoch(x), unix_seconds(x), extract(epoch from x)",
        "each engine has its own",
        "{{ seconds_between(...) }}",
        _BOTH,
    ),
    Rule(
        "day-of-week",
        "extract(dayofweek from x)",
        "0 to 6 on DuckDB, 1 to 7 on BigQuery",
        "{{ weekday(x) }}: 1 is Monday",
        _NONE,
    ),
    Rule(
        "week-number",
        "extract(week from x)",
        "ISO weeks on DuckDB, weeks from Sunday on BigQuery",
        "{{ period_start(x, 'week') }}",
        _NONE,
    ),
    Rule(
        "date-part",
        "year(x), hour(x), dayofweek(x), ...",
        "BigQuery has none",
        "extract(year from x), {{ weekday(x) }}",
    ),
    Rule(
        "time-text",
        "strftime, strptime, format_timestamp, parse_timestamp",
        "each engine has its own",
        "cast(cast(x as date) as {{ type('string') }}), and substr of it",
        _BOTH,
    ),
    Rule(
        "interval-month",
        "x + interval 1 month",
        "BigQuery adds no months to an instant",
        "{{ add_interval(x, 1, 'month') }}",
    ),
    Rule(
        "interval-text",
        "interval '3 days'",
        "BigQuery wants the unit outside of the text",
        "{{ add_interval(x, 3, 'day') }}",
    ),
    # text
    Rule(
        "concat",
        "concat(x, y)",
        "NULL is passed over on DuckDB, and makes all NULL on BigQuery",
        "coalesce(x, '') || coalesce(y, '')",
        _NONE,
    ),
    Rule("ilike", "ilike", "BigQuery has none", "lower(x) like 'a%'"),
    Rule(
        "regexp-match",
        "regexp_matches, regexp_contains",
        "each engine has its own",
        "{{ regexp_found(x, 'pattern') }}",
        _BOTH,
    ),
    Rule(
        "regexp-extract",
        "regexp_extract(x, ...)",
        "without a match '' on DuckDB, NULL on BigQuery",
        "nullif(regexp_extract(x, ...), '')",
        _NONE,
    ),
    Rule(
        "regexp-replace",
        "regexp_replace(x, ...)",
        "the first match on DuckDB, every one on BigQuery",
        "{{ regexp_replaced(x, 'pattern', 'by') }}",
        _NONE,
    ),
    Rule("split-part", "split_part(x, ',', 1)", "BigQuery has none", "{{ element(\"split(x, ',')\", 1) }}"),
    Rule(
        "substring-zero", "substr(x, 0, n)", "one character less on DuckDB than on BigQuery", "substr(x, 1, n)", _NONE
    ),
    Rule(
        "text-function",
        "contains, prefix, suffix, printf, ...",
        "BigQuery has none of the name",
        "strpos(x, y) > 0, starts_with(x, y), {{ number_text(x) }}",
    ),
    Rule("method-call", "x.upper()", "BigQuery has none", "upper(x)"),
    # nested values
    Rule(
        "list-function",
        "list_contains, len, list_sort, ...",
        "BigQuery has none of the name",
        "{{ list_length(x) }}, {{ cross_join_elements(x, 'item') }}",
    ),
    Rule("list-index", "x[1]", "the first on DuckDB, the second or refused on BigQuery", "{{ element(x, 1) }}", _NONE),
    Rule("lambda", "lambda i: i + 1, i -> i + 1", "BigQuery has none", "{{ cross_join_elements(x, 'i') }}"),
    Rule(
        "unnest-in-select", "select unnest(x)", "BigQuery has it in FROM alone", "{{ cross_join_elements(x, 'item') }}"
    ),
    Rule(
        "unnest-alias",
        "from unnest(x) as rows(item)",
        "BigQuery calls the elements by the alias, and knows no names behind it",
        "{{ cross_join_elements(x, 'item') }}",
    ),
    Rule(
        "struct-literal",
        "{'a': x}, struct_pack, struct(x as a)",
        "each engine has its own",
        "{{ record({'a': 'x'}) }}",
        _BOTH,
    ),
    Rule(
        "array-query",
        "array(select as struct ...), unnest(...) with offset",
        "DuckDB has neither",
        "{{ cross_join_elements(x, 'item') }}",
        _DUCKDB,
    ),
    Rule("json-arrow", "x ->> '$.a'", "BigQuery has none", "{{ json_field(x, 'a') }}"),
    # all the rest
    Rule(
        "google-function",
        "safe_divide, countif, generate_array, ...",
        "DuckDB has none of the name",
        "the macro of docs/portability.md",
        _DUCKDB,
    ),
    Rule(
        "syntax",
        "what only the other engine's parser understands",
        "it does not run here",
        "the words that both understand",
        _NONE,
    ),
)

RULES: dict[str, Rule] = {rule.code: rule for rule in _ALL}
"""Every rule by its code."""
