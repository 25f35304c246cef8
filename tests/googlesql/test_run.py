"""The weekly job, from raw rows to metrics, on both engines."""

from __future__ import annotations

import pytest

from tests.googlesql.both import Both
from warehouse_ml.warehouses.base import WML

AS_HASHED = {
    "builds": ("definition_hash", "started_at", "duration_seconds"),
}
"""Columns that differ by nature, by table: each engine's own text and hash, and the machine's clock."""


@pytest.mark.parametrize("weeks", [2])
def test_the_weekly_job_comes_to_the_same_rows(both: Both, weeks: int) -> None:
    both.run("run", "--since", "2024-01-08", "--as-of", "2024-01-16")
    both.run("run", "--as-of", "2024-01-17")
    kinds = both.warehouse.kinds(WML)
    compared = {}
    for table in sorted(kinds):
        if not table.startswith("_file_"):
            compared[table] = both.agree(f"wml.{table}", but=AS_HASHED.get(table, ()))
    assert compared["metrics"] > 100
    assert compared["request_log_churn"] > 100
