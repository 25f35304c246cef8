{#-
    Portable constructs, BigQuery's side, in GoogleSQL. Templates call them by name and never ask which engine they run
    on. What an engine's own file must have is what duckdb.sql has.
-#}

{#- An integer in [0, 2^60), the same on every engine: the first 15 hexadecimal digits of md5. `text` is a string. -#}
{%- macro hash_int(text) -%}
cast('0x' || substr(to_hex(md5({{ text }})), 1, 15) as int64)
{%- endmacro -%}

{#- The md5 of a text as 32 hexadecimal digits. -#}
{%- macro hash_text(text) -%}
to_hex(md5({{ text }}))
{%- endmacro -%}

{#- One string that tells rows apart: columns in order, null kept apart from the empty string. -#}
{%- macro row_text(columns) -%}
array_to_string([{% for column in columns %}coalesce(cast({{ column }} as string), chr(1)){% if not loop.last %}, {% endif %}{% endfor %}], '|')
{%- endmacro -%}

{#-
    An integer in [0, 2^60) that equal rows of a relation share, of a relation's name or alias. Each engine has a hash
    of its own: to write doubles down as text, alike everywhere, takes longer than all the rest of reading them.
-#}
{%- macro row_hash(relation) -%}
farm_fingerprint(to_json_string({{ relation }})) & 1152921504606846975
{%- endmacro -%}

{#- Null, never an error or infinity, where the denominator is 0. -#}
{%- macro safe_divide(numerator, denominator) -%}
safe_divide(cast({{ numerator }} as float64), cast({{ denominator }} as float64))
{%- endmacro -%}

{#- Whether two doubles are the same: NaN is NaN, null is null, and -0.0 is not 0.0. -#}
{%- macro same_double(left, right) -%}
({{ left }} is not distinct from {{ right }} and coalesce({{ left }} <> 0e0 or ieee_divide(1e0, {{ left }}) = ieee_divide(1e0, {{ right }}), true))
{%- endmacro -%}

{#- A number that is not a number, or is infinite, is null from here on. -#}
{%- macro finite(expression) -%}
case when not (is_nan(cast({{ expression }} as float64)) or is_inf(cast({{ expression }} as float64))) then cast({{ expression }} as float64) end
{%- endmacro -%}

{#- Rows for which the condition holds; 0 over no rows at all. -#}
{%- macro count_where(condition) -%}
countif({{ condition }})
{%- endmacro -%}

{%- macro weekday(at) -%}
{#- 1 is Monday, 7 is Sunday. -#}
(mod(extract(dayofweek from {{ at }}) + 5, 7) + 1)
{%- endmacro -%}

{#- The number of a row in the order in which its relation gives them; of a file of rows, as they were written. -#}
{%- macro row_in_order() -%}
row_number() over ()
{%- endmacro -%}

{#- The start of the day, week (Monday) or month that the instant falls in, in UTC. -#}
{%- macro period_start(at, period) -%}
timestamp_trunc({{ at }}, {{ 'week(monday)' if period == 'week' else period }})
{%- endmacro -%}

{#- The instant a whole number of days, weeks or months later. -#}
{%- macro add_period(at, n, period) -%}
{{ add_interval(at, n, period) }}
{%- endmacro -%}

{#- `amount` and `unit` are written out: add_interval('requested_at', -2, 'hour'). Months and years are of the calendar. -#}
{%- macro add_interval(at, amount, unit) -%}
{%- if unit.rstrip('s') in ('month', 'quarter', 'year') -%}
timestamp(datetime_add(datetime({{ at }}), interval ({{ amount }}) {{ unit.rstrip('s') }}))
{%- elif unit.rstrip('s') == 'week' -%}
timestamp_add({{ at }}, interval (7 * ({{ amount }})) day)
{%- else -%}
timestamp_add({{ at }}, interval ({{ amount }}) {{ unit.rstrip('s') }})
{%- endif -%}
{%- endmacro -%}

{%- macro seconds_between(earlier, later) -%}
(timestamp_diff({{ later }}, {{ earlier }}, microsecond) / 1e6)
{%- endmacro -%}

{#-
    Keeps every row of the left side with the last row of `right` whose `right_at` is not after `left_at`.
    `using` names the columns that must be equal. To be written after the left side in a FROM clause. Each row of the
    right side holds until the next one of its kind, which `wml_until` says.
-#}
{%- macro asof_join(left, right, alias, using, left_at, right_at) -%}
left join (
    select wml_right.*, lead(wml_right.{{ right_at }}) over ({% if using %}partition by {% for column in using %}wml_right.{{ column }}{% if not loop.last %}, {% endif %}{% endfor %} {% endif %}order by wml_right.{{ right_at }}) as wml_until
    from {{ right }} as wml_right
    where wml_right.{{ right_at }} is not null
) as {{ alias }}
    on {% for column in using %}{{ left }}.{{ column }} = {{ alias }}.{{ column }} and {% endfor %}{{ left }}.{{ left_at }} >= {{ alias }}.{{ right_at }}
        and ({{ left }}.{{ left_at }} < {{ alias }}.wml_until or {{ alias }}.wml_until is null)
{%- endmacro -%}

{#-
    What was known last of each key at `as_of`: a table of the key, `known_at` and `columns`, to be written in a FROM
    clause, before its alias. Of rows known at the same instant it is the one whose columns, compared in order, are greatest.
-#}
{%- macro latest_known(relation, key, known_at, as_of, columns) -%}
(select {% for name in key %}{{ name }}, {% endfor %}{{ known_at }}{% for name in columns %}, {{ name }}{% endfor %} from {{ relation }} where {{ known_at }} <= {{ as_of }} qualify row_number() over (partition by {{ key | join(', ') }} order by {{ known_at }} desc{% for name in columns %}, {{ name }} desc nulls first{% endfor %}) = 1)
{%- endmacro -%}

{%- macro type(name) -%}
{{ {'string': 'string', 'int': 'int64', 'double': 'float64', 'bool': 'bool', 'timestamp': 'timestamp', 'json': 'json'}[name] }}
{%- endmacro -%}

{%- macro param(name) -%}
@{{ name }}
{%- endmacro -%}

{#- The rows of a Parquet file: the adapter has loaded it, `path` is the relation that holds it. -#}
{%- macro read_parquet(path) -%}
{{ path | ident }}
{%- endmacro -%}

{#- The rows of a source that is a file of this machine, or a pattern of several: a name that the adapter knows by its
    beginning, and puts the table in place of that holds what the file holds. -#}
{%- macro read_file(path) -%}
{{ ('file:' ~ path | replace('%', '%25') | replace('.', '%2E') | replace('`', '%60')) | ident }}
{%- endmacro -%}

{#- As `read_parquet`, with the position of each row in the file, from 0, which the adapter wrote beside the rows. -#}
{%- macro read_parquet_in_order(path, position) -%}
(select wml_stored.* except (wml_file_row), wml_stored.wml_file_row as {{ position }} from {{ path | ident }} as wml_stored)
{%- endmacro -%}

{#- Text of the sum of integers below 2^60, which overflows 64 bits; the same whatever the order of the rows. -#}
{%- macro sum_text(expression) -%}
cast(sum(cast({{ expression }} as bignumeric)) as string)
{%- endmacro -%}

{#- A table of one column: the given names. To be written in a FROM clause, before its alias. -#}
{%- macro names_table(column, names) -%}
(select {{ column }} from unnest(cast([{% for name in names %}{{ name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}] as array<string>)) as {{ column }})
{%- endmacro -%}

{#- A table of this session, gone with it. -#}
{%- macro create_scratch(name) -%}
create or replace temp table {{ name }} as
{%- endmacro -%}

{#- A window function over all rows in the order of one number. The first macro ends the query that is read, the second
    stands behind the function; a running total is told so. -#}
{%- macro sorted_first(key) -%}
{%- endmacro -%}

{%- macro over_sorted(key, is_running=false) -%}
over (order by {{ key }}{% if is_running %} rows between unbounded preceding and current row{% endif %})
{%- endmacro -%}

{#- A named query whose expressions are worked out once a row, however often they are used. -#}
{%- macro materialized() -%}
{%- endmacro -%}

{#- The values of a group in order, null left out, as a list. A group of more than 100 MB of values does not fit. -#}
{%- macro sorted_list(expression) -%}
array_agg({{ expression }} ignore nulls order by {{ expression }})
{%- endmacro -%}

{#- The value of a sorted list at a share q of its rows: the ceil(q n)-th, at least the first. -#}
{%- macro at_share(list, q) -%}
{{ list }}[safe_ordinal(greatest(1, array_length({{ list }}) - cast(floor(array_length({{ list }}) - {{ q }} * array_length({{ list }})) as int64)))]
{%- endmacro -%}

{#- The n - 1 values that cut the rows into n equal parts, each of them a value that occurs; null is left out. -#}
{%- macro quantiles(expression, n) -%}
{%- set list = sorted_list(expression) -%}
case when count({{ expression }}) > 0 then [{% for i in range(1, n) %}{{ at_share(list, i ~ 'e0 / ' ~ n) }}{% if not loop.last %}, {% endif %}{% endfor %}] end
{%- endmacro -%}

{#- The middle value; of an even number of rows, the mean of the two in the middle. Null is left out. -#}
{%- macro median(expression) -%}
{%- set list = sorted_list('cast(' ~ expression ~ ' as float64)') -%}
(({{ list }}[safe_ordinal(div(count({{ expression }}) + 1, 2))] + {{ list }}[safe_ordinal(div(count({{ expression }}), 2) + 1)]) / 2e0)
{%- endmacro -%}

{#- The values at shares of the rows, each a pair (i, n) for i / n; every one is a value that occurs; null is left out. -#}
{%- macro quantiles_at(expression, shares) -%}
{%- set list = sorted_list(expression) -%}
case when count({{ expression }}) > 0 then [{% for share in shares %}{{ at_share(list, share[0] ~ 'e0 / ' ~ share[1]) }}{% if not loop.last %}, {% endif %}{% endfor %}] end
{%- endmacro -%}

{#- An element of a list; the first is 1. -#}
{%- macro element(list, position) -%}
({{ list }})[safe_ordinal({{ position }})]
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
struct({% for name, expression in fields.items() %}{{ expression }} as {{ name }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{%- macro record_type(fields) -%}
struct<{% for name, kind in fields.items() %}{{ name }} {{ kind }}{% if not loop.last %}, {% endif %}{% endfor %}>
{%- endmacro -%}

{%- macro list_type(of) -%}
array<{{ of }}>
{%- endmacro -%}

{%- macro list_length(list) -%}
array_length({{ list }})
{%- endmacro -%}

{#- The elements of a list as rows, called `element`; to be written after the list's own relation in a FROM clause. -#}
{%- macro cross_join_elements(list, element) -%}
cross join unnest({{ list }}) as {{ element }}
{%- endmacro -%}

{#- The elements of a list from a position on; the first is 1. -#}
{%- macro list_from(list, position) -%}
case when {{ list }} is not null then array(select wml_element from unnest({{ list }}) as wml_element with offset as wml_offset where wml_offset + 1 >= {{ position }} order by wml_offset) end
{%- endmacro -%}

{#- A list of values that occur, null left out: the two in the middle (one of them twice where the number of rows is
    odd), then the n + 1 that begin and end n equal parts of the rows. A share is taken a hair lower, so that rounding
    never passes over the row it falls on; the second middle a hair higher, for the row after. -#}
{%- macro middle_and_quantiles(expression, n) -%}
{%- set list = sorted_list(expression) -%}
case when count({{ expression }}) > 0 then array_concat(
    [{{ at_share(list, '(0.5e0 - 1e-13)') }}, {{ at_share(list, '(0.5e0 + 1e-13)') }}],
    [{% for i in range(0, n + 1) %}{{ at_share(list, '(' ~ i ~ 'e0 / ' ~ n ~ ('' if i in (0, n) else ' - 1e-13') ~ ')') }}{% if not loop.last %}, {% endif %}{% endfor %}]
) end
{%- endmacro -%}

{#- The logarithm of the gamma function of a number of at least 1: Stirling's series eight places further on, right to 1e-14. -#}
{%- macro ln_gamma(z) -%}
(({{ z }} + 7.5e0) * ln({{ z }} + 8e0) - ({{ z }} + 8e0) + 0.9189385332046727e0
    + 1e0 / (12e0 * ({{ z }} + 8e0)) - 1e0 / (360e0 * pow({{ z }} + 8e0, 3)) + 1e0 / (1260e0 * pow({{ z }} + 8e0, 5)) - 1e0 / (1680e0 * pow({{ z }} + 8e0, 7))
    - ln({{ z }} * ({{ z }} + 1e0) * ({{ z }} + 2e0) * ({{ z }} + 3e0) * ({{ z }} + 4e0) * ({{ z }} + 5e0) * ({{ z }} + 6e0) * ({{ z }} + 7e0)))
{%- endmacro -%}

{#-
    P(X > x) of the chi-square distribution with a whole number of degrees of freedom: a finite sum for an even number,
    the normal tail and a finite sum for an odd one. 1 where there is no freedom, null where x is. `x` and `freedom` are columns.
-#}
{%- macro chi_square_upper_tail(x, freedom) -%}
case
    when {{ x }} is null then null
    when {{ x }} <= 0 or {{ freedom }} = 0 then 1e0
    else least(1e0, case when mod(cast({{ freedom }} as int64), 2) = 1 then 2e0 * {{ normal_upper_tail('sqrt(' ~ x ~ ')') }} else 0e0 end
        + coalesce((
            select sum(case
                when wml_term.wml_exponent > -700e0 then exp(wml_term.wml_exponent) else 0e0
            end)
            from (
                select wml_power.wml_half * ln({{ x }} / 2e0) - {{ x }} / 2e0 - {{ ln_gamma('(wml_power.wml_half + 1e0)') }} as wml_exponent
                from (
                    select wml_step + mod(cast({{ freedom }} as int64), 2) / 2e0 as wml_half
                    from unnest(generate_array(0, div(cast({{ freedom }} as int64), 2) - 1)) as wml_step
                ) as wml_power
            ) as wml_term
        ), 0e0))
end
{%- endmacro -%}

{#- A double as short text, to 15 digits: 1.5, 20, 1e-07. -#}
{%- macro number_text(expression) -%}
format('%.15g', {{ expression }})
{%- endmacro -%}

{#- Which of the columns a row of GROUP BY GROUPING SETS does not group by: bits, the last column's is 1. -#}
{%- macro which_grouped(names) -%}
({% for name in names %}{{ 2 ** (names | length - loop.index) }} * grouping({{ name }}){% if not loop.last %} + {% endif %}{% endfor %})
{%- endmacro -%}

{#- Texts, null left out. -#}
{%- macro joined_text(names, separator) -%}
array_to_string([{% for name in names %}{{ name }}{% if not loop.last %}, {% endif %}{% endfor %}], {{ separator | literal }})
{%- endmacro -%}

{#- JSON text of an object; `fields` is a dict of name to expression. -#}
{%- macro json_text(fields) -%}
to_json_string(struct({% for name, expression in fields.items() %}{{ expression }} as {{ name | ident }}{% if not loop.last %}, {% endif %}{% endfor %}))
{%- endmacro -%}

{#- The values of JSON text for a list of names, in words as slice_text has them; one that is not there is an error. -#}
{%- macro json_slice_text(json, names) -%}
case
    when array_length({{ names }}) = 0 then 'all'
    else array_to_string(
        array(
            select coalesce(
                json_value(parse_json({{ json }})[wml_name]),
                error('no slice column "' || wml_name || '" in the cells; they have ' || {{ json }})
            )
            from unnest({{ names }}) as wml_name with offset as wml_offset
            order by wml_offset
        ),
        ', '
    )
end
{%- endmacro -%}

{#- How the rows of a new table lie, to be written after its columns: by the hour, day, month or year of an instant, then by
    columns. A query that says when, or of whom, reads and is billed for those alone. -#}
{%- macro table_layout(at, period, columns) %}

partition by {{ period_start(at, period) }}
cluster by {{ columns | join(', ') }}
{%- endmacro -%}

{#- The same of a relation of the user's, to be written after its name: a `Layout` whose field's type is known. -#}
{%- macro relation_layout(layout) -%}
{%- if layout.field %}
 partition by {{ layout.field | ident if layout.data_type == 'date' and layout.granularity == 'day' else layout.data_type ~ '_trunc(' ~ (layout.field | ident) ~ ', ' ~ layout.granularity ~ ')' }}
{%- endif -%}
{%- if layout.cluster_by %}
 cluster by {{ layout.cluster_by | map('ident') | join(', ') }}
{%- endif -%}
{%- if layout.expiration_days is not none or layout.requires_filter %}
 options ({% if layout.expiration_days is not none %}partition_expiration_days = {{ layout.expiration_days }}{{ ', ' if layout.requires_filter else '' }}{% endif %}{{ 'require_partition_filter = true' if layout.requires_filter else '' }})
{%- endif -%}
{%- endmacro -%}

{#- What a table is, in words that its engine keeps beside it. -#}
{%- macro describe_table(name, text) -%}
alter table {{ name }} set options (description = {{ text | literal }})
{%- endmacro -%}

{#-
    A query of several parameters, called by any client: wml.resliced('late_arrival', ['origin'], null, null, false).
    `parameters` are names with their types; no argument may be left out on this engine, whatever its default.
-#}
{%- macro create_query_function(name, parameters, defaults, body) -%}
create or replace table function {{ name }}({% for parameter, kind in parameters.items() %}{{ parameter }} {{ kind }}{% if not loop.last %}, {% endif %}{% endfor %})
as (
{{ body }}
)
{%- endmacro -%}

{#-
    An integer in [0, 2^60) that rows share where these expressions do: a fingerprint of a row, by which it is seen that
    something changed. Each engine has one of its own, and may have another in a later release.
-#}
{%- macro fingerprint(expressions) -%}
(farm_fingerprint(to_json_string(struct({{ expressions | join(', ') }}))) & 1152921504606846975)
{%- endmacro -%}

{#- An integer in [0, 2^32); the engine has one size of whole numbers. -#}
{%- macro as_natural(expression) -%}
cast({{ expression }} as int64)
{%- endmacro -%}

{#- A whole number from -32768 to 32767; the engine has one size of whole numbers. -#}
{%- macro as_small_int(expression) -%}
cast({{ expression }} as int64)
{%- endmacro -%}

{#- How many different values there are, null left out; it may be a few per cent off, which must not change a result. -#}
{%- macro about_distinct(expression) -%}
count(distinct {{ expression }})
{%- endmacro -%}

{#- A value as another type, null where it cannot be; `name` is one of those that type(...) knows. -#}
{%- macro try_cast(expression, name) -%}
safe_cast({{ expression }} as {{ type(name) }})
{%- endmacro -%}

{#- A field of JSON text, as text; null where there is none. `name` is of letters, digits and underscores. -#}
{%- macro json_field(json, name) -%}
json_value({{ json }}, '$.{{ name }}')
{%- endmacro -%}

{#- Whether a regular expression of RE2 matches anywhere in a text. -#}
{%- macro regexp_found(text, pattern) -%}
regexp_contains({{ text }}, {{ pattern | literal }})
{%- endmacro -%}

{#- A text with every match of a regular expression of RE2 replaced by another text. -#}
{%- macro regexp_replaced(text, pattern, by) -%}
regexp_replace({{ text }}, {{ pattern | literal }}, {{ by | literal }})
{%- endmacro -%}
