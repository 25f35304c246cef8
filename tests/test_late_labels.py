"""Late and corrected answers through the command line."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.tiny import edit, write
from tests.wml import ok, rows

_LABELS = """\
-- grain: one row per request whose answer is known
with answers as (
    select
        events.request_id,
        events.has_churned,
        {{ add_interval('events.requested_at', var('days_until_known'), 'day') }} as known_at
    from {{ source('events') }} as events
    union all
    select corrections.request_id, corrections.has_churned, corrections.known_at
    from {{ source('corrections') }} as corrections
)

select known.request_id, known.has_churned, known.known_at
from {{ latest_known('answers', ['request_id'], 'known_at', as_of, ['has_churned']) }} as known
"""


def correct(root: Path, known_at: str, *requests: str) -> None:
    """Write the file of corrections: these requests have churned, which became known then."""
    values = ", ".join(f"('{request}', true, timestamptz '{known_at} 00:00:00+00')" for request in requests)
    sql = f"select * from (values {values}) as t(request_id, has_churned, known_at)"
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"copy ({sql}) to '{(root / 'data' / 'corrections.parquet').as_posix()}' (format parquet)")


@pytest.fixture
def corrected(tiny: Path) -> Path:
    """A project with a version, and a file of corrections that has none as yet."""
    edit(tiny, "wml.toml", "[sources]\n", '[sources]\ncorrections = "data/corrections.parquet"\n')
    write(tiny, "sql/features/churn_labels.sql", _LABELS)
    correct(tiny, "2030-01-01", "nobody")
    ok(tiny, "train", "churn", "--as-of", "2024-02-05")
    return tiny


def evaluated(root: Path, as_of: str) -> list[str]:
    return [row["window_start"][:10] for row in ok(root, "evaluate", "--as-of", as_of, "--format", "json").rows]


def test_a_correction_opens_its_week_again_and_leaves_what_was_known_before(corrected: Path) -> None:
    assert evaluated(corrected, "2024-02-26") == ["2024-02-05", "2024-02-12", "2024-02-19"]
    assert evaluated(corrected, "2024-03-04") == ["2024-02-19", "2024-02-26"]
    stayed = rows(
        corrected,
        "select request_id from wml.request_log_churn inner join churn_labels using (request_id)"
        " where requested_at < '2024-02-12 00:00:00+00' and not has_churned order by request_id limit 3",
    )
    correct(corrected, "2024-03-05", *(row["request_id"] for row in stayed))
    assert evaluated(corrected, "2024-03-04") == []
    assert evaluated(corrected, "2024-03-07") == ["2024-02-05", "2024-02-26"]
    assert evaluated(corrected, "2024-03-07") == []
    history = rows(
        corrected,
        "select as_of, value, is_mature, is_latest from wml.metric_history where metric = 'n_positive'"
        " and slice_key = 'overall' and window_start = timestamptz '2024-02-05 00:00:00+00' order by as_of",
    )
    assert [(row["as_of"][:10], row["is_mature"], row["is_latest"]) for row in history] == [
        ("2024-02-26", True, False),
        ("2024-03-07", True, True),
    ]
    assert history[1]["value"] == history[0]["value"] + 3
    drift = rows(
        corrected,
        "select count(*) as n from wml.drift where as_of = timestamptz '2024-03-07 00:00:00+00'",
    )
    assert drift[0]["n"] > 0


def test_labels_that_mislead_are_told_on_one_line(corrected: Path) -> None:
    done = ok(corrected, "evaluate", "--as-of", "2024-02-12")
    (line,) = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert line == (
        "warning: churn version 1 2024-02-05: not mature, 58 % of the answers are known: "
        "there is no mature window to compare with"
    )
    assert "warning" not in ok(corrected, "evaluate", "--as-of", "2024-02-12").err
