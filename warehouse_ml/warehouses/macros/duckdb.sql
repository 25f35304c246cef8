{#-
    Portable constructs, DuckDB's side. Another engine has a file of the same macros; templates call them by name
    and never ask which engine they run on.
-#}

{#- An integer in [0, 2^60), the same on every engine: the first 15 hexadecimal digits of md5. `text` is a string. -#}
{%- macro hash_int(text) -%}
cast('0x' || left(md5({{ text }}), 15) as bigint)
{%- endmacro -%}

{#- A number in [0, 1) that depends on `text` alone. -#}
{%- macro hash_fraction(text) -%}
({{ hash_int(text) }} / 1152921504606846976e0)
{%- endmacro -%}

{#- One string that tells rows apart: columns in order, null kept apart from the empty string. -#}
{%- macro row_text(columns) -%}
concat_ws('|', {% for column in columns %}coalesce('=' || cast({{ column }} as varchar), '-'){% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro -%}

{#- Null, never an error or infinity, where the denominator is 0. -#}
{%- macro safe_divide(numerator, denominator) -%}
(cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0))
{%- endmacro -%}

{%- macro as_double(expression) -%}
cast({{ expression }} as double)
{%- endmacro -%}

{%- macro as_int(expression) -%}
cast({{ expression }} as bigint)
{%- endmacro -%}

{%- macro as_string(expression) -%}
cast({{ expression }} as varchar)
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

{%- macro type(name) -%}
{{ {'string': 'varchar', 'int': 'bigint', 'double': 'double', 'bool': 'boolean', 'timestamp': 'timestamptz', 'json': 'json'}[name] }}
{%- endmacro -%}

{%- macro param(name) -%}
${{ name }}
{%- endmacro -%}

{%- macro read_parquet(path) -%}
read_parquet({{ path | literal }})
{%- endmacro -%}
