"""The weekly job, from raw rows to metrics, on both engines."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlglot
from sqlglot.tokenizer_core import TokenType

from tests.googlesql.both import Both, same_rows
from tests.wml import rows as asked
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import WML

PROVES = ("evaluation/late_labels.sql",)

BY_NATURE = {
    # Each engine's own text, and hashes of it or of its rows.
    "definition_hash",
    "content_hash",
    "rows_hash",
    "inputs_hash",
    "data_hash",
    "artifact_hash",
    "comparable_group",
    "run_id",
    "profile",
    "sql",
    "upstream",
    # The machine's clock.
    "started_at",
    "built_at",
    "first_built_at",
    "created_at",
    "duration_seconds",
    # Measured by whom: the versions of the packages, how long each part took.
    "environment",
}


def test_the_weekly_job_comes_to_the_same_rows(both: Both) -> None:
    both.run("run", "--since", "2024-01-08", "--as-of", "2024-01-15")
    # The first window is mature now, and closed; the next evaluation asks for answers that came late.
    both.run("run", "--as-of", "2024-01-19")
    both.run("evaluate", "--as-of", "2024-01-22")
    compared = {}
    for table in sorted(both.warehouse.kinds(WML)):
        # The files of versions are tables there; a view is built anew where its upstream may have moved.
        if not table.startswith(("_file_", "build_history")):
            compared[table] = both.agree(f"wml.{table}", but=BY_NATURE)
    assert compared["metrics"] > 200
    assert compared["fairness"] > 20
    assert compared["drift"] > 20
    assert compared["request_log_churn"] > 100
    assert compared["model_versions"] == 1
    for arguments, call in (
        ({"by_columns": ["region"], "since": None, "by_window": False}, "wml.resliced('churn', ['region'])"),
        ({"by_columns": [], "since": None, "by_window": True}, "wml.resliced('churn', [], by_window := true)"),
        (
            {"by_columns": ["region"], "since": dt.datetime(2024, 1, 15, tzinfo=dt.UTC), "by_window": True},
            "wml.resliced('churn', ['region'], since := timestamptz '2024-01-15 00:00:00+00', by_window := true)",
        ),
    ):
        columns = "slice_key, slice_value, metric, value, ci_lower, ci_upper, n, denominator, is_suppressed, reason"
        ours = asked(both.duckdb, f"select {columns} from {call}")
        theirs = _resliced(both, columns, {"of_evaluation": "churn", "until": None, **arguments})
        assert len(ours) > 10
        same_rows(ours, theirs)


def _resliced(both: Both, columns: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask what the table function would answer: its body, the arguments in place of their names."""
    made = statement("warehouse_ml.warehouses", "resliced.sql", "bigquery")
    body = made[made.index("as (") + 4 : made.rindex(")")]
    tokens = sqlglot.tokenize(body, read="bigquery")
    sql, done = "", 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        is_column = before is not None and before.token_type == TokenType.DOT
        if token.text in arguments and not is_column:
            kind = {"since": "timestamp", "until": "timestamp"}.get(token.text)
            value = f"cast(@{token.text} as {kind})" if kind else f"@{token.text}"
            sql += body[done : token.start] + value
            done = token.end + 1
    return both.warehouse.fetch(f"select {columns} from ({sql}{body[done:]}) as found", arguments).to_pylist()
