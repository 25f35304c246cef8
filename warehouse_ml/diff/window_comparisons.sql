-- grain: one row per slice and metric of the two versions just compared
-- unit:  as in wml.comparisons
-- null:  as in wml.comparisons
select
    comparisons.version,
    comparisons.slice_key,
    comparisons.slice_value,
    comparisons.metric,
    comparisons.n_pairs,
    comparisons.difference,
    comparisons.ci_lower,
    comparisons.ci_upper,
    comparisons.p_value,
    comparisons.p_adjusted,
    comparisons.n_gained,
    comparisons.n_lost
from {{ 'comparisons' | wml }} as comparisons
where
    comparisons.evaluation = {{ param('evaluation') }}
    and comparisons.as_of = {{ param('as_of') }}
    and comparisons.version = {{ param('later') }}
    and comparisons.other_version = {{ param('earlier') }}
    and {{ same('comparisons.window_start', 'cast(' ~ param('window_start') ~ ' as ' ~ type('timestamp') ~ ')') }}
