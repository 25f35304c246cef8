"""Functions by the name they are written with, and the rule that a call of each breaks."""

from __future__ import annotations

__all__ = ["FUNCTIONS", "SHARED_TYPES"]


def _each(code: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), code)


_BOTH = {
    **_each("log", "log"),
    **_each("regexp-extract", "regexp_extract"),
    **_each("regexp-replace", "regexp_replace"),
    **_each("digest", "md5 sha1 sha256"),
    **_each("date-trunc", "date_trunc"),
    **_each("date-diff", "date_diff"),
    **_each("concat", "concat"),
    "count_if": "count-if",
    "countif": "countif",
}

_OWN: dict[str, dict[str, str]] = {
    "duckdb": {
        **_BOTH,
        **_each("median", "median mode quantile quantile_cont quantile_disc percentile_cont percentile_disc mad"),
        **_each("about-quantiles", "approx_quantile reservoir_quantile"),
        **_each("arg-max", "arg_max arg_min argmax argmin first last list any_value_last"),
        **_each("hash", "hash"),
        **_each("date-diff", "datediff date_sub datesub age"),
        **_each("date-trunc", "datetrunc time_bucket"),
        **_each("time-text", "strftime strptime try_strptime"),
        **_each("epoch", "epoch epoch_ms epoch_us epoch_ns to_timestamp make_timestamp"),
        **_each("date-part", "year month day hour minute second quarter week weekofyear yearweek isoyear isodow"),
        **_each("date-part", "dayofweek weekday dayofmonth dayofyear dayname monthname date_part datepart last_day"),
        **_each("regexp-match", "regexp_matches regexp_full_match"),
        **_each("split-part", "split_part string_split str_split string_split_regex"),
        **_each("text-function", "contains prefix suffix printf format strip_accents bar ord concat_ws left_grapheme"),
        **_each("list-function", "len array_contains array_has list_contains list_has list_sort list_sum list_avg"),
        **_each("list-function", "list_min list_max list_distinct list_unique list_concat list_append list_prepend"),
        **_each(
            "list-function", "list_slice list_filter list_transform list_reduce list_aggregate list_aggr list_any_value"
        ),
        **_each(
            "list-function", "list_position list_extract list_element list_value list_zip list_reverse list_has_any"
        ),
        **_each(
            "list-function", "list_has_all list_first list_last list_count list_median array_sort array_distinct range"
        ),
        **_each("list-function", "generate_series flatten map map_keys map_values element_at cardinality"),
        **_each("struct-literal", "struct_pack row struct_extract struct_insert"),
        **_each("json-arrow", "json_extract_string json_extract json_extract_path json_extract_path_text"),
    },
    "bigquery": {
        **_BOTH,
        **_each("about-quantiles", "approx_quantiles approx_top_count approx_top_sum"),
        **_each("hash", "farm_fingerprint"),
        **_each("date-trunc", "timestamp_trunc datetime_trunc"),
        **_each("date-diff", "timestamp_diff datetime_diff time_diff"),
        **_each("date-add", "timestamp_add timestamp_sub date_sub datetime_add datetime_sub"),
        **_each(
            "epoch",
            "unix_seconds unix_millis unix_micros unix_date timestamp_seconds timestamp_millis timestamp_micros",
        ),
        **_each("regexp-match", "regexp_contains"),
        **_each("time-text", "format_timestamp format_datetime format_date parse_timestamp parse_datetime parse_date"),
        **_each("struct-literal", "struct"),
        **_each("digest", "sha512 to_hex to_base64"),
        **_each("google-function", "safe_divide ieee_divide generate_array array_concat array_concat_agg safe_add"),
        **_each("google-function", "safe_subtract safe_multiply safe_negate json_value json_query parse_json"),
        **_each("google-function", "to_json_string json_extract_scalar "),
        **_each("google-function", "timestamp datetime array_length regexp_extract_all regexp_instr div"),
        **_each("google-function", "logical_and logical_or generate_uuid bit_count is_inf is_nan rand"),
        **_each("google-function", "generate_date_array generate_timestamp_array session_user byte_length char_length"),
    },
}

# What the other engine has as well, and means otherwise or not at all.
_SHARED = {
    "duckdb": """
        format last_day percentile_cont percentile_disc json_extract range row date_sub last first list flatten map
    """,
    "bigquery": """
        date_sub array_length array_concat to_base64 to_hex sha512 rand timestamp datetime json_value bit_count
    """,
}


def _of(engine: str, other: str) -> dict[str, str]:
    shared = _SHARED[other].split()
    return {name: code for name, code in _OWN[other].items() if name not in shared} | _OWN[engine]


FUNCTIONS: dict[str, dict[str, str]] = {
    "duckdb": _of("duckdb", "bigquery"),
    "bigquery": _of("bigquery", "duckdb"),
}
"""By engine in whose language they are written; what that engine refuses itself is among them."""

SHARED_TYPES = frozenset({"string", "int64", "bool", "date", "bytes"})
"""Names that mean the same type everywhere."""
