"""Relations: order, materialisation, windows, and what is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import END, SPLIT, START, edit, write, write_tiny
from warehouse_ml.building import build
from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import DataError, GraphError, ProjectError, SqlError, TemplateError
from warehouse_ml.functions import Reader
from warehouse_ml.project import load_project
from warehouse_ml.registry import Registry
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse


class Built:
    """A project with a warehouse in memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.warehouse = DuckDBWarehouse(threads=1)
        ensure_tables(self.warehouse)

    def build(self, as_of: dt.datetime, **options: Any) -> dict[str, str]:
        project = load_project(self.root)
        catalog = Catalog(project, project.target())
        nodes = catalog.of_kind("relation")
        reader = Reader(self.warehouse, catalog, Registry(project.artifacts))
        built = build(self.warehouse, catalog, reader, as_of, nodes, **options)
        return {row.relation: row.action for row in built}

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self.warehouse.fetch(sql).to_pylist()


def test_a_first_build_a_second_and_a_later_one(tiny: Path) -> None:
    built = Built(tiny)
    assert built.build(SPLIT) == {"churn_labels": "built", "churn_requests": "built"}
    assert set(built.build(SPLIT).values()) == {"up to date"}
    assert built.build(END) == {"churn_labels": "built", "churn_requests": "extended"}
    assert built.rows("select count(*) as n from churn_requests") == [{"n": 1512}]


def test_the_clock_going_back_hides_the_later_rows(tiny: Path) -> None:
    built = Built(tiny)
    built.build(END)
    assert built.build(SPLIT)["churn_requests"] == "built"
    assert built.rows("select max(requested_at) < timestamptz '2024-02-05 00:00:00+00' as ok from churn_requests") == [
        {"ok": True}
    ]


def test_nothing_later_than_the_clock_is_seen(tiny: Path) -> None:
    built = Built(tiny)
    built.build(SPLIT)
    assert built.rows("select count(*) as n from churn_requests where requested_at >= '2024-02-05 00:00:00+00'") == [
        {"n": 0}
    ]
    assert built.rows("select count(*) as n from churn_labels where known_at > '2024-02-05 00:00:00+00'") == [{"n": 0}]


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(1, 1600), max_size=4))
def test_windows_add_up_to_one_full_build(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    root = tmp_path_factory.getbasetemp() / "windows"
    if not root.exists():
        write_tiny(root)
    whole, parts = Built(root), Built(root)
    whole.build(END)
    for hours in sorted(set(cuts)):
        parts.build(min(START + dt.timedelta(hours=hours), END))
    parts.build(END)
    query = "select * from churn_requests order by request_id"
    assert parts.rows(query) == whole.rows(query)


def test_a_changed_template_is_built_again_and_what_reads_it_too(tiny: Path) -> None:
    write(
        tiny,
        "sql/features/by_region.sql",
        "{{ config(materialized='table') }}\n"
        "select region, count(*) as n from {{ ref('churn_requests') }} group by region",
    )
    built = Built(tiny)
    built.build(SPLIT)
    edit(tiny, "sql/requests/churn_requests.sql", "events.amount,", "events.amount * 2 as amount,")
    assert built.build(SPLIT) == {"churn_labels": "up to date", "churn_requests": "built", "by_region": "built"}


def test_changed_source_rows_are_built_again_at_the_same_clock(tiny: Path) -> None:
    built = Built(tiny)
    built.build(SPLIT)
    path = tiny / "data" / "events.parquet"
    built.warehouse.run(f"copy (select * from '{path}' where request_id <> 'r7') to '{path}.new' (format parquet)")
    Path(f"{path}.new").replace(path)
    assert built.build(SPLIT)["churn_requests"] == "built"
    assert built.rows("select count(*) as n from churn_requests where request_id = 'r7'") == [{"n": 0}]


def test_a_view_may_become_a_table_and_back(tiny: Path) -> None:
    built = Built(tiny)
    for materialized in ("table", "view", "incremental", "view"):
        config = f"{{{{ config(materialized='{materialized}', event_time='known_at') }}}}\n"
        text = (
            "select request_id, requested_at as known_at from {{ source('events') }}\n"
            "where requested_at < {{ window.end }} and requested_at >= {{ window.start }}"
        )
        write(tiny, "sql/features/churn_labels.sql", config + text)
        assert built.build(SPLIT)["churn_labels"] == "built"
        assert built.rows("select count(*) as n from churn_labels") == [{"n": 840}]


REFUSED = [
    pytest.param(
        "sql/requests/churn_requests.sql",
        "events.amount,",
        "events.amuont,",
        SqlError,
        ["sql/requests/churn_requests.sql:6", 'no column "amuont"', 'did you mean "amount"?'],
        id="unknown column",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "source('events')",
        "ref('churn_reqests')",
        GraphError,
        ["sql/features/churn_labels.sql:6", 'ref("churn_reqests")', 'did you mean "churn_requests"?'],
        id="unknown ref",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "source('events')",
        "source('evnts')",
        ProjectError,
        ["sql/features/churn_labels.sql:6", 'no source "evnts"', 'did you mean "events"?'],
        id="unknown source",
    ),
    pytest.param(
        "wml.toml",
        "data/events.parquet",
        "data/event.parquet",
        ProjectError,
        [".sql:", "there is no file data/event.parquet", "events.parquet", "wml.toml:9"],
        id="missing source file",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "var('days_until_known')",
        "var('day_until_known')",
        TemplateError,
        ["sql/features/churn_labels.sql:5", 'did you mean "days_until_known"?'],
        id="unknown var",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "<= {{ as_of }}",
        "<= {{ as_off }}",
        TemplateError,
        ["sql/features/churn_labels.sql:7", "'as_off' is undefined", 'did you mean "as_of"?'],
        id="undefined name",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "<= {{ as_of }}",
        "<= {{ as_of }",
        TemplateError,
        ["sql/features/churn_labels.sql:7", "template syntax"],
        id="template syntax",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "from {{",
        "form {{",
        SqlError,
        ["sql/features/churn_labels.sql:6", "syntax error"],
        id="sql syntax",
    ),
    pytest.param(
        "sql/features/churn_labels.sql",
        "source('events')",
        "ref('churn_labels')",
        GraphError,
        ["a cycle: churn_labels -> churn_labels"],
        id="a cycle of one",
    ),
    pytest.param(
        "sql/requests/churn_requests.sql",
        "where events.requested_at >= {{ window.start }} and events.requested_at < {{ window.end }}",
        "",
        DataError,
        ["churn_requests.sql", "rows lie outside the window", "window.start"],
        id="a forgotten window",
    ),
    pytest.param(
        "sql/requests/churn_requests.sql",
        "events.request_id,",
        "left(events.request_id, 3) as request_id,",
        DataError,
        ["request_id is not unique", '"r10" occurs 11 times'],
        id="duplicate request_id",
    ),
    pytest.param(
        "sql/requests/churn_requests.sql",
        "events.seen_at as",
        "events.requested_at + interval 1 minute as",
        DataError,
        ["840 of 840 requests use what was known only later", '"r0"', "join on visits_known_at <= requested_at"],
        id="a feature from the future",
    ),
    pytest.param(
        "sql/requests/churn_requests.sql",
        "materialized='incremental'",
        "materialised='incremental'",
        TemplateError,
        ['config has no setting "materialised"', 'did you mean "materialized"?'],
        id="unknown config",
    ),
    pytest.param(
        "sql/requests/churn_requests.sql",
        "materialized='incremental', event_time='requested_at'",
        "materialized='incremental'",
        TemplateError,
        ["which column its windows cut", "event_time"],
        id="incremental without a time",
    ),
]


@pytest.mark.parametrize(("place", "old", "new", "kind", "says"), REFUSED)
def test_what_is_wrong_is_told_and_nothing_is_built(
    tiny: Path, place: str, old: str, new: str, kind: type[Exception], says: list[str]
) -> None:
    built = Built(tiny)
    edit(tiny, place, old, new)
    with pytest.raises(kind) as caught:
        built.build(SPLIT)
    for part in says:
        assert part in str(caught.value)
    assert built.warehouse.kind(_relation("churn_requests")) in {None, "table"}
    if "requests" in place:
        assert not built.warehouse.exists(_relation("churn_requests"))


def test_a_failed_build_leaves_the_last_one(tiny: Path) -> None:
    built = Built(tiny)
    built.build(SPLIT)
    edit(tiny, "sql/requests/churn_requests.sql", "events.request_id,", "'same' as request_id,")
    with pytest.raises(DataError, match="not unique"):
        built.build(END)
    assert built.rows("select count(distinct request_id) as n from churn_requests") == [{"n": 840}]


def test_a_cycle_of_two_names_both_files(tiny: Path) -> None:
    write(tiny, "sql/features/a.sql", "select * from {{ ref('b') }}")
    write(tiny, "sql/features/b.sql", "select * from {{ ref('a') }}")
    with pytest.raises(GraphError) as caught:
        Built(tiny).build(SPLIT)
    assert "sql/features/a.sql" in str(caught.value)
    assert "sql/features/b.sql" in str(caught.value)


def test_a_corrupt_parquet_file_is_named(tiny: Path) -> None:
    (tiny / "data" / "events.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    with pytest.raises((SqlError, DataError)) as caught:
        Built(tiny).build(SPLIT)
    assert "events.parquet" in str(caught.value)


def test_macros_of_the_project_are_known_everywhere(tiny: Path) -> None:
    write(tiny, "sql/macros/money.sql", "{% macro cents(x) %}cast(round({{ x }} * 100) as bigint){% endmacro %}")
    write(
        tiny,
        "sql/features/cents.sql",
        "select request_id, {{ cents('amount') }} as amount_cents from {{ source('events') }}",
    )
    built = Built(tiny)
    built.build(SPLIT)
    assert built.rows("select sum(amount_cents) > 0 as ok from cents") == [{"ok": True}]


def _relation(name: str) -> Any:
    from warehouse_ml.warehouses.base import Relation

    return Relation(name)
