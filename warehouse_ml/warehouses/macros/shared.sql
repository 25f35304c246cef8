{#-
    Portable constructs that every engine writes alike, out of the constructs in its own file: arithmetic and statistics.
-#}

{#- A number in [0, 1) that depends on `text` alone. -#}
{%- macro hash_fraction(text) -%}
({{ hash_int(text) }} / 1152921504606846976e0)
{%- endmacro -%}

{#-
    Whether a text falls into a share of all texts, by its hash alone. `share` in [0, 1] is written out; a larger one
    takes in every text that a smaller one does. The bound is a whole number, so no rounding decides.
-#}
{%- macro is_in_share(text, share) -%}
{{ hash_int(text) }} < {{ (share * 1152921504606846976) | int }}
{%- endmacro -%}

{#- What a request is told apart by where requests of a model are shared out; two models share theirs out independently. -#}
{%- macro request_text(model, request_id) -%}
{{ (model ~ '|') | literal }} || {{ as_string(request_id) }}
{%- endmacro -%}

{%- macro as_double(expression) -%}
cast({{ expression }} as {{ type('double') }})
{%- endmacro -%}

{%- macro as_int(expression) -%}
cast({{ expression }} as {{ type('int') }})
{%- endmacro -%}

{%- macro as_string(expression) -%}
cast({{ expression }} as {{ type('string') }})
{%- endmacro -%}

{#- Wilson's interval at 95 % for a rate over n rows, n > 0; n need not be whole. Both sides stay in [0, 1]. -#}
{%- macro wilson_lower(rate, n) -%}
greatest(0e0, ({{ rate }} + 1.9207294103470622e0 / ({{ n }}) - 1.959963984540054e0 * sqrt(greatest(0e0, {{ rate }} * (1e0 - {{ rate }})) / ({{ n }}) + 0.9603647051735311e0 / (({{ n }}) * ({{ n }})))) / (1e0 + 3.8414588206941245e0 / ({{ n }})))
{%- endmacro -%}

{%- macro wilson_upper(rate, n) -%}
least(1e0, ({{ rate }} + 1.9207294103470622e0 / ({{ n }}) + 1.959963984540054e0 * sqrt(greatest(0e0, {{ rate }} * (1e0 - {{ rate }})) / ({{ n }}) + 0.9603647051735311e0 / (({{ n }}) * ({{ n }})))) / (1e0 + 3.8414588206941245e0 / ({{ n }})))
{%- endmacro -%}

{#-
    P(Z > z) of the standard normal for a column z >= 0: Hart's rational approximation (1968) as West gives it (2005),
    right to 1e-15.
-#}
{%- macro normal_upper_tail(z) -%}
case
    when {{ z }} > 37e0 then 0e0
    when {{ z }} < 7.07106781186547e0 then exp(-{{ z }} * {{ z }} / 2e0)
        * ((((((0.0352624965998911e0 * {{ z }} + 0.700383064443688e0) * {{ z }} + 6.37396220353165e0) * {{ z }}
            + 33.912866078383e0) * {{ z }} + 112.079291497871e0) * {{ z }} + 221.213596169931e0) * {{ z }} + 220.206867912376e0)
        / (((((((0.0883883476483184e0 * {{ z }} + 1.75566716318264e0) * {{ z }} + 16.064177579207e0) * {{ z }}
            + 86.7807322029461e0) * {{ z }} + 296.564248779674e0) * {{ z }} + 637.333633378831e0) * {{ z }}
            + 793.826512519948e0) * {{ z }} + 440.413735824752e0)
    when {{ z }} is not null then exp(-{{ z }} * {{ z }} / 2e0) / 2.506628274631e0
        / ({{ z }} + 1e0 / ({{ z }} + 2e0 / ({{ z }} + 3e0 / ({{ z }} + 4e0 / ({{ z }} + 0.65e0)))))
end
{%- endmacro -%}

{#- P(Z <= z) of the standard normal. `z` is a column: it is written out many times. -#}
{%- macro normal_cdf(z) -%}
case when {{ z }} > 0 then 1e0 - {{ normal_upper_tail('abs(' ~ z ~ ')') }} else {{ normal_upper_tail('abs(' ~ z ~ ')') }} end
{%- endmacro -%}

{#-
    Which of the slices a row of GROUP BY GROUPING SETS is: its number, and its values in words. `slices` is a list of
    {names: columns}, `names` every column that any of them groups by.
-#}
{%- macro grouped_slice(slices, names) -%}
case
{% for slice in slices %}
        when {% for name in names %}grouping({{ name }}) = {{ 0 if name in slice.names else 1 }} and {% endfor %}true then {{ loop.index0 }}
{% endfor %}
    end as slice_set,
    case
{% for slice in slices %}
        when {% for name in names %}grouping({{ name }}) = {{ 0 if name in slice.names else 1 }} and {% endfor %}true then {{ slice_text(slice.names) }}
{% endfor %}
    end as slice_value
{%- endmacro -%}

{#- The values of a slice in words; 'all' over everything. -#}
{%- macro slice_text(names) -%}
{% for name in names %}{{ name }}{% if not loop.last %} || ', ' || {% endif %}{% else %}'all'{% endfor %}
{%- endmacro -%}

{#- The variance of a weighted mean, from the weighted sums of values and of squares; the rows count as their effective
    number. Null over fewer than two. -#}
{%- macro variance_of_mean(total, squares, weight, weight_squares) -%}
({{ safe_divide(squares, weight) }} - {{ safe_divide(total, weight) }} * {{ safe_divide(total, weight) }})
    / nullif({{ safe_divide(weight ~ ' * ' ~ weight, weight_squares) }} - 1e0, 0e0)
{%- endmacro -%}

{#- The rows of a simple sample whose share varies as much as this weighted one: Kish's effective size, his design effect
    linearised from the squares of the weights counted and of all. Where all or nothing is counted, the weights alone tell. -#}
{%- macro effective_rows(counted, among, counted_squares, among_squares) -%}
case
    when {{ counted }} > 0 and {{ counted }} < {{ among }} then
        {{ safe_divide(
            among ~ ' * ' ~ among,
            '((' ~ among ~ ' - ' ~ counted ~ ') * ' ~ counted_squares ~ ' / nullif(' ~ counted ~ ', 0e0) + ' ~ counted ~ ' * (' ~ among_squares ~ ' - ' ~ counted_squares ~ ') / nullif(' ~ among ~ ' - ' ~ counted ~ ', 0e0))'
        ) }}
    else {{ safe_divide(among ~ ' * ' ~ among, among_squares) }}
end
{%- endmacro -%}

{#- The variance of a weighted mean whose weights may have to do with the values: from the weighted sum, and from the
    sums of values and of squares over squared weights. Without weights, s squared over n. Null over fewer than two. -#}
{%- macro variance_of_weighted_mean(total, weight, weight_squares, sq_total, sq_squares) -%}
{{ safe_divide(
    '(' ~ sq_squares ~ ' - 2e0 * ' ~ safe_divide(total, weight) ~ ' * ' ~ sq_total ~ ' + ' ~ safe_divide(total, weight) ~ ' * ' ~ safe_divide(total, weight) ~ ' * ' ~ weight_squares ~ ')',
    'case when ' ~ weight ~ ' * ' ~ weight ~ ' > (1e0 + 1e-12) * ' ~ weight_squares ~ ' then ' ~ weight ~ ' * ' ~ weight ~ ' - ' ~ weight_squares ~ ' end'
) }}
{%- endmacro -%}

{#- The Jensen-Shannon divergence, to base 2, of two distributions over the same buckets: an aggregate over the buckets
    of their shares, in [0, 1] but for rounding. -#}
{%- macro jensen_shannon(expected, observed) -%}
sum(
    case when {{ expected }} > 0 then {{ expected }} * ln(2e0 * {{ expected }} / ({{ expected }} + {{ observed }})) else 0e0 end
    + case when {{ observed }} > 0 then {{ observed }} * ln(2e0 * {{ observed }} / ({{ expected }} + {{ observed }})) else 0e0 end
) / (2e0 * ln(2e0))
{%- endmacro -%}

{#-
    The standard normal deviate with the upper tail of t >= 0 in Student's distribution: Hill's expansion (1970), whose
    tail is right to 1e-6 of itself from 20 degrees of freedom on. `t` and `freedom` are columns.
-#}
{%- macro normal_of_student(t, freedom) -%}
{%- set a = '(' ~ freedom ~ ' - 0.5e0)' -%}
{%- set y = 'sqrt(' ~ a ~ ' * ln(1e0 + ' ~ t ~ ' * ' ~ t ~ ' / ' ~ freedom ~ '))' -%}
{%- set b = '(48e0 * ' ~ a ~ ' * ' ~ a ~ ')' -%}
{{ y }} + (power({{ y }}, 3) + 3e0 * {{ y }}) / {{ b }}
    - (4e0 * power({{ y }}, 7) + 33e0 * power({{ y }}, 5) + 240e0 * power({{ y }}, 3) + 855e0 * {{ y }})
    / (10e0 * {{ b }} * ({{ b }} + 0.8e0 * power({{ y }}, 4) + 100e0))
{%- endmacro -%}

{#- The 97.5 % point of Student's distribution, right to 1e-5 from 20 degrees of freedom on: Fisher's expansion. -#}
{%- macro student_97_5(freedom) -%}
(1.959963984540054e0 + 2.372271230298562e0 / {{ freedom }} + 2.8224986157396112e0 / ({{ freedom }} * {{ freedom }}) + 2.555849679507722e0 / ({{ freedom }} * {{ freedom }} * {{ freedom }}))
{%- endmacro -%}
