"""A small project of made-up requests, written into a folder for tests."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SPLIT = dt.datetime(2024, 2, 5, tzinfo=dt.UTC)
END = dt.datetime(2024, 3, 4, tzinfo=dt.UTC)

FILES = {
    "wml.toml": """\
[project]
name = "tiny"

[targets.duckdb]
path = "warehouse.duckdb"
threads = 2

[sources]
events = "data/events.parquet"

[vars]
days_until_known = 3
""",
    "sql/requests/churn_requests.sql": """\
{{ config(materialized='incremental', event_time='requested_at') }}
-- grain: one row per request
select
    events.request_id,
    events.requested_at,
    events.amount,
    events.visits,
    events.region,
    events.seen_at as visits_known_at
from {{ source('events') }} as events
where events.requested_at >= {{ window.start }} and events.requested_at < {{ window.end }}
""",
    "sql/features/churn_labels.sql": """\
-- grain: one row per request whose answer is known
select
    events.request_id,
    events.has_churned,
    {{ add_interval('events.requested_at', var('days_until_known'), 'day') }} as known_at
from {{ source('events') }} as events
where {{ add_interval('events.requested_at', var('days_until_known'), 'day') }} <= {{ as_of }}
""",
    "models/churn.sql": """\
create or replace model churn
options (
    model_type = 'logistic_reg',
    input_label_cols = ['has_churned'],
    data_split_method = 'seq',
    data_split_col = 'requested_at'
) as
select
    requests.amount,
    requests.visits,
    requests.region,
    requests.requested_at,
    labels.has_churned
from {{ ref('churn_requests') }} as requests
inner join {{ ref('churn_labels') }} as labels on requests.request_id = labels.request_id
""",
    "sql/evaluation/churn.sql": """\
{{ config(model='churn', slices=['region'], window='week', maturity='3 days', min_slice_size=10) }}
select
    answers.request_id,
    answers.requested_at,
    answers.version as model_version,
    answers.score,
    labels.has_churned as label,
    labels.known_at as label_known_at,
    answers.region
from {{ request_log('churn') }} as answers
left join {{ ref('churn_labels') }} as labels on answers.request_id = labels.request_id
""",
    "sql/tests/requests_have_a_region.sql": """\
select request_id from {{ ref('churn_requests') }} where region is null
""",
}

# Everything hangs on a hash of the row's number, so that the data is the same on every machine.
_EVENTS = """
copy (
    with numbers as (
        select n, ('0x' || left(md5('a' || n), 8))::bigint / 4294967296.0 as a,
               ('0x' || left(md5('b' || n), 8))::bigint / 4294967296.0 as b,
               ('0x' || left(md5('c' || n), 8))::bigint / 4294967296.0 as c,
               ('0x' || left(md5('d' || n), 8))::bigint / 4294967296.0 as d
        from range(1512) t(n)
    )
    select
        'r' || n as request_id,
        timestamptz '2024-01-01 00:00:00+00' + interval (n) hour as requested_at,
        timestamptz '2024-01-01 00:00:00+00' + interval (n) hour - interval 30 minute as seen_at,
        round(a * 100, 2) as amount,
        case when b < 0.05 then null else (b * 20)::int end as visits,
        ['north', 'south', 'east'][1 + (c * 3)::int % 3] as region,
        d < 0.2 + 0.6 * a * (1 - b) as has_churned
    from numbers
) to '{path}' (format parquet)
"""


def write_tiny(root: Path) -> Path:
    """Write the project into a folder."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(_EVENTS.replace("{path}", (root / "data" / "events.parquet").as_posix()))
    for place, text in FILES.items():
        write(root, place, text)
    return root


def write(root: Path, place: str, text: str) -> None:
    """Write one file of the project."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def edit(root: Path, place: str, old: str, new: str) -> None:
    """Change one file of the project; ``old`` must be in it."""
    text = (root / place).read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {place}"
    write(root, place, text.replace(old, new))
