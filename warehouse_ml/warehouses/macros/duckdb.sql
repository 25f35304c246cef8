{#-
    Portable constructs, DuckDB's side. Another engine has a file of the same macros; templates call them by name
    and never ask which engine they run on.
-#}

{#- An integer in [0, 2^60), the same on every engine: the first 15 hexadecimal digits of md5. `text` is a string. -#}
{%- macro hash_int(text) -%}
cast('0x' || left(md5({{ text }}), 15) as bigint)
{%- endmacro -%}

{#- One string that tells rows apart: columns in order, null kept apart from the empty string. -#}
{%- macro row_text(columns) -%}
concat_ws('|', {% for column in columns %}coalesce(cast({{ column }} as varchar), chr(1)){% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{#-
    An integer in [0, 2^60) that equal rows of a relation share, of a relation's name or alias. Each engine has a hash
    of its own: to write doubles down as text, alike everywhere, takes longer than all the rest of reading them.
-#}
{%- macro row_hash(relation) -%}
cast((md5_number(create_sort_key({{ relation }}, 'asc nulls last')) >> 64) & 1152921504606846975 as bigint)
{%- endmacro -%}

{#-
    An integer in [0, 2^60) that rows share where these expressions do: a fingerprint of a row, by which it is seen that
    something changed. Each engine has one of its own, and may have another in a later release.
-#}
{%- macro fingerprint(expressions) -%}
cast(hash({{ expressions | join(', ') }}) & 1152921504606846975 as bigint)
{%- endmacro -%}

{#- Null, never an error or infinity, where the denominator is 0. -#}
{%- macro safe_divide(numerator, denominator) -%}
(cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0))
{%- endmacro -%}

{#- An integer in [0, 2^32) in as few bytes as the engine has for it: it is stored and sorted in half the time. -#}
{%- macro as_natural(expression) -%}
cast({{ expression }} as uinteger)
{%- endmacro -%}

{#- Whether two doubles are the same: NaN is NaN, null is null, and -0.0 is not 0.0. -#}
{%- macro same_double(left, right) -%}
({{ left }} is not distinct from {{ right }} and coalesce({{ left }} <> 0e0 or signbit({{ left }}) = signbit({{ right }}), true))
{%- endmacro -%}

{#- A number that is not a number, or is infinite, is null from here on. -#}
{%- macro finite(expression) -%}
case when isfinite(cast({{ expression }} as double)) then cast({{ expression }} as double) end
{%- endmacro -%}

{#- Rows for which the condition holds; 0 over no rows at all. -#}
{%- macro count_where(condition) -%}
coalesce(cast(sum(case when {{ condition }} then 1 else 0 end) as bigint), 0)
{%- endmacro -%}

{%- macro weekday(at) -%}
{#- 1 is Monday, 7 is Sunday. -#}
isodow({{ at }})
{%- endmacro -%}

{#- The number of a row in the order in which its relation gives them; of a file of rows, as they were written. -#}
{%- macro row_in_order() -%}
row_number() over ()
{%- endmacro -%}

{#- The start of the day, week (Monday) or month that the instant falls in, in UTC. -#}
{%- macro period_start(at, period) -%}
date_trunc('{{ period }}', {{ at }})
{%- endmacro -%}

{#- The instant a whole number of days, weeks or months later. -#}
{%- macro add_period(at, n, period) -%}
({{ at }} + interval ({{ n }}) {{ period }})
{%- endmacro -%}

{#- `amount` and `unit` are written out: add_interval('requested_at', -2, 'hour'). -#}
{%- macro add_interval(at, amount, unit) -%}
({{ at }} + interval ({{ amount }}) {{ unit }})
{%- endmacro -%}

{%- macro seconds_between(earlier, later) -%}
((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1e6)
{%- endmacro -%}

{#-
    Keeps every row of the left side with the last row of `right` whose `right_at` is not after `left_at`.
    `using` names the columns that must be equal. To be written after the left side in a FROM clause.
-#}
{%- macro asof_join(left, right, alias, using, left_at, right_at) -%}
asof left join {{ right }} as {{ alias }}
    on {% for column in using %}{{ left }}.{{ column }} = {{ alias }}.{{ column }} and {% endfor %}{{ left }}.{{ left_at }} >= {{ alias }}.{{ right_at }}
{%- endmacro -%}

{#-
    What was known last of each key at `as_of`: a table of the key, `known_at` and `columns`, to be written in a FROM
    clause, before its alias. Of rows known at the same instant it is the one whose columns, compared in order, are greatest.
-#}
{%- macro latest_known(relation, key, known_at, as_of, columns) -%}
(select {% for name in key %}{{ name }}, {% endfor %}wml_last.{{ known_at }}{% for name in columns %}, wml_last.{{ name }}{% endfor %} from (select {% for name in key %}{{ name }}, {% endfor %}max(struct_pack({{ known_at }} := {{ known_at }}{% for name in columns %}, {{ name }} := {{ name }}{% endfor %})) as wml_last from {{ relation }} where {{ known_at }} <= {{ as_of }} group by {{ key | join(', ') }}) as wml_known)
{%- endmacro -%}

{%- macro type(name) -%}
{{ {'string': 'varchar', 'int': 'bigint', 'double': 'double', 'bool': 'boolean', 'timestamp': 'timestamptz', 'json': 'json'}[name] }}
{%- endmacro -%}

{%- macro param(name) -%}
${{ name }}
{%- endmacro -%}

{%- macro read_parquet(path) -%}
read_parquet({{ path | literal }})
{%- endmacro -%}

{#- The rows of a source that is a file, or a pattern of several: Parquet, CSV or JSON. -#}
{%- macro read_file(path) -%}
{{ 'read_parquet' if path.lower().endswith('.parquet') else 'read_csv' if '.csv' in path.lower() else 'read_json' }}({{ path | literal }})
{%- endmacro -%}

{#- As `read_parquet`, with the position of each row in the file as a column of the given name. -#}
{%- macro read_parquet_in_order(path, position) -%}
(select wml_stored.*, wml_stored.file_row_number as {{ position }} from read_parquet({{ path | literal }}, file_row_number = true) as wml_stored)
{%- endmacro -%}

{#- Text of the sum of integers below 2^60, which overflows 64 bits; the same whatever the order of the rows. -#}
{%- macro sum_text(expression) -%}
cast(sum(cast({{ expression }} as hugeint)) as varchar)
{%- endmacro -%}

{#- A table of one column: the given names. To be written in a FROM clause, before its alias. -#}
{%- macro names_table(column, names) -%}
(select unnest([{% for name in names %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}]) as {{ column }})
{%- endmacro -%}

{#- A table of this connection, gone with it. -#}
{%- macro create_scratch(name) -%}
create or replace temp table {{ name }} as
{%- endmacro -%}

{#- A window function over all rows in the order of one number. The engine sorts once, below the function, and counts
    through what comes out: written as a window of its own it would carry every column through a slower sort. The first
    macro ends the query that is read, the second stands behind the function; a running total is told so. -#}
{%- macro sorted_first(key) -%}
order by {{ key }}
{%- endmacro -%}

{%- macro over_sorted(key, is_running=false) -%}
over ({% if is_running %}rows between unbounded preceding and current row{% endif %})
{%- endmacro -%}

{#- A named query whose expressions are worked out once a row, however often they are used. -#}
{%- macro materialized() -%}
materialized
{%- endmacro -%}

{#- The n - 1 values that cut the rows into n equal parts, each of them a value that occurs; null is left out. -#}
{%- macro quantiles(expression, n) -%}
quantile_disc({{ expression }}, [{% for i in range(1, n) %}{{ i }}e0 / {{ n }}{% if not loop.last %}, {% endif %}{% endfor %}])
{%- endmacro -%}

{#- The middle value; of an even number of rows, the mean of the two in the middle. Null is left out. -#}
{%- macro median(expression) -%}
quantile_cont({{ expression }}, 0.5e0)
{%- endmacro -%}

{#- The values at shares of the rows, each a pair (i, n) for i / n; every one is a value that occurs; null is left out. -#}
{%- macro quantiles_at(expression, shares) -%}
quantile_disc({{ expression }}, [{% for share in shares %}{{ share[0] }}e0 / {{ share[1] }}{% if not loop.last %}, {% endif %}{% endfor %}])
{%- endmacro -%}

{#- An element of a list; the first is 1. -#}
{%- macro element(list, position) -%}
({{ list }})[{{ position }}]
{%- endmacro -%}

{#-
    A table function of one relation, called by any client without the toolkit. `body` reads `wml_input`; `told` says
    which version it is. DuckDB takes the relation's name as text: predict_churn('some_table').
-#}
{%- macro create_table_function(name, body) -%}
create or replace macro {{ name }}(relation) as table
with wml_input as (
    select wml_row, wml_row.*
    from (select asked as wml_row from query_table(relation) as asked)
)

{{ body }}
{%- endmacro -%}

{%- macro describe_table_function(name, told) -%}
comment on macro table {{ name }} is {{ told | literal }}
{%- endmacro -%}

{%- macro drop_table_function(name) -%}
drop macro table if exists {{ name }}
{%- endmacro -%}

{%- macro raise_error(text) -%}
error({{ text | literal }})
{%- endmacro -%}

{#- Equal, or both null; as a condition of a join. -#}
{%- macro same(left, right) -%}
{{ left }} is not distinct from {{ right }}
{%- endmacro -%}

{#- One value of named fields; `fields` is a dict of name to expression. -#}
{%- macro record(fields) -%}
struct_pack({% for name, expression in fields.items() %}{{ name }} := {{ expression }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{%- macro record_type(fields) -%}
struct({% for name, kind in fields.items() %}{{ name }} {{ kind }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{%- macro list_type(of) -%}
{{ of }}[]
{%- endmacro -%}

{%- macro list_length(list) -%}
len({{ list }})
{%- endmacro -%}

{#- The elements of a list as rows, called `element`; to be written after the list's own relation in a FROM clause. -#}
{%- macro cross_join_elements(list, element) -%}
cross join unnest({{ list }}) as {{ element }}_rows({{ element }})
{%- endmacro -%}

{#- The elements of a list from a position on; the first is 1. -#}
{%- macro list_from(list, position) -%}
({{ list }})[{{ position }}:]
{%- endmacro -%}

{#- A list of values that occur, null left out: the two in the middle (one of them twice where the number of rows is
    odd), then the n + 1 that begin and end n equal parts of the rows. A share is taken a hair lower, so that rounding
    never passes over the row it falls on; the second middle a hair higher, for the row after. -#}
{%- macro middle_and_quantiles(expression, n) -%}
quantile_disc({{ expression }}, [0.5e0 - 1e-13, 0.5e0 + 1e-13] || [case when i in (0, {{ n }}) then i / {{ n }} else i / {{ n }} - 1e-13 end for i in range(0, {{ n + 1 }})])
{%- endmacro -%}

{#-
    P(X > x) of the chi-square distribution with a whole number of degrees of freedom: a finite sum for an even number,
    the normal tail and a finite sum for an odd one. 1 where there is no freedom, null where x is. `x` and `freedom` are columns.
-#}
{%- macro chi_square_upper_tail(x, freedom) -%}
case
    when {{ x }} is null then null
    when {{ x }} <= 0 or {{ freedom }} = 0 then 1e0
    else least(1e0, case when {{ freedom }} % 2 = 1 then 2e0 * {{ normal_upper_tail('sqrt(' ~ x ~ ')') }} else 0e0 end
        + coalesce(list_sum(list_transform(
            range(0, cast({{ freedom }} // 2 as bigint)),
            lambda i: exp((i + ({{ freedom }} % 2) / 2e0) * ln({{ x }} / 2e0) - {{ x }} / 2e0 - lgamma(i + 1e0 + ({{ freedom }} % 2) / 2e0))
        )), 0e0))
end
{%- endmacro -%}

{#- A double as short text, to 15 digits: 1.5, 20, 1e-07. -#}
{%- macro number_text(expression) -%}
printf('%.15g', {{ expression }})
{%- endmacro -%}

{#- Which of the columns a row of GROUP BY GROUPING SETS does not group by: bits, the last column's is 1. -#}
{%- macro which_grouped(names) -%}
grouping({% for name in names %}{{ name }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{#- Texts, null left out. -#}
{%- macro joined_text(names, separator) -%}
concat_ws({{ separator | literal }}, {% for name in names %}{{ name }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{#- JSON text of an object; `fields` is a dict of name to expression. -#}
{%- macro json_text(fields) -%}
cast(json_object({% for name, expression in fields.items() %}{{ name | literal }}, {{ expression }}{% if not loop.last %}, {% endif %}{% endfor %}) as varchar)
{%- endmacro -%}

{#- The values of JSON text for a list of names, in words as slice_text has them; one that is not there is an error. -#}
{%- macro json_slice_text(json, names) -%}
case
    when len({{ names }}) = 0 then 'all'
    else array_to_string(
        list_transform(
            {{ names }},
            lambda wml_name: coalesce(
                json_extract_string({{ json }}, '/' || replace(replace(wml_name, '~', '~0'), '/', '~1')),
                error('no slice column "' || wml_name || '" in the cells; they have ' || {{ json }})
            )
        ),
        ', '
    )
end
{%- endmacro -%}

{#- How the rows of a new table lie, to be written after its columns: by the hour, day, month or year of an instant, then by
    columns. This engine keeps the rows as they come, and knows the span of each block. -#}
{%- macro table_layout(at, period, columns) -%}
{%- endmacro -%}

{#- The same of a relation of the user's, to be written after its name. -#}
{%- macro relation_layout(layout) -%}
{%- endmacro -%}

{#- What a table is, in words that its engine keeps beside it. -#}
{%- macro describe_table(name, text) -%}
comment on table {{ name }} is {{ text | literal }}
{%- endmacro -%}

{#-
    A query of several parameters, called by any client: wml.resliced('late_arrival', ['origin']). `parameters` are
    names with their types, `defaults` what those that may be left out are then.
-#}
{%- macro create_query_function(name, parameters, defaults, body) -%}
create or replace macro {{ name }}({% for parameter in parameters %}{{ parameter }}{% if parameter in defaults %} := {{ defaults[parameter] }}{% endif %}{% if not loop.last %}, {% endif %}{% endfor %}) as table
{{ body }}
{%- endmacro -%}

{#- The md5 of a text as 32 hexadecimal digits. -#}
{%- macro hash_text(text) -%}
md5({{ text }})
{%- endmacro -%}

{#- A whole number from -32768 to 32767, in as few bytes as the engine has for it. -#}
{%- macro as_small_int(expression) -%}
cast({{ expression }} as smallint)
{%- endmacro -%}

{#- How many different values there are, null left out; it may be a few per cent off, which must not change a result. -#}
{%- macro about_distinct(expression) -%}
approx_count_distinct({{ expression }})
{%- endmacro -%}

{#- A value as another type, null where it cannot be; `name` is one of those that type(...) knows. -#}
{%- macro try_cast(expression, name) -%}
try_cast({{ expression }} as {{ type(name) }})
{%- endmacro -%}

{#- A field of JSON text, as text; null where there is none. `name` is of letters, digits and underscores. -#}
{%- macro json_field(json, name) -%}
json_extract_string({{ json }}, '$.{{ name }}')
{%- endmacro -%}

{#- Whether a regular expression of RE2 matches anywhere in a text. -#}
{%- macro regexp_found(text, pattern) -%}
regexp_matches({{ text }}, {{ pattern | literal }})
{%- endmacro -%}

{#- A text with every match of a regular expression of RE2 replaced by another text. -#}
{%- macro regexp_replaced(text, pattern, by) -%}
regexp_replace({{ text }}, {{ pattern | literal }}, {{ by | literal }}, 'g')
{%- endmacro -%}
