"""The weekly job, from raw rows to metrics, on both engines."""

from __future__ import annotations

from tests.googlesql.both import Both
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
