"""Where the first window starts that may still change: read from the end of closed windows on, it is the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse_ml.loop.evaluating import open_since
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import LaysOut, Relation, wml_table
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse
from warehouse_ml.warehouses.layout import LOGS, METRICS, Layout

FIRST = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAY, WEEK = dt.timedelta(days=1), dt.timedelta(days=7)
LOG = wml_table("request_log_churn")

# The statement of the first release, which read the whole log.
OF_ALL = """
with closed as (
    select evaluations.version, evaluations.window_end, evaluations.n_requests
    from wml.evaluations as evaluations
    where evaluations.evaluation = $evaluation
        and evaluations.definition_hash = $definition_hash
        and evaluations.is_mature
        and evaluations.window_end is not null
    qualify row_number() over (
        partition by evaluations.version, evaluations.window_start order by evaluations.as_of desc
    ) = 1
),
closed_versions as (
    select closed.version, max(closed.window_end) as closed_until, sum(closed.n_requests) as n_requests
    from closed
    group by closed.version
),
logged_versions as (
    select
        logged.version,
        min(logged.requested_at) as first_requested_at,
        max(closed_versions.closed_until) as closed_until,
        max(closed_versions.n_requests) as n_closed,
        coalesce(sum(case when logged.requested_at < closed_versions.closed_until then 1 else 0 end), 0) as n_logged,
        count(*) as n_requests
    from wml.request_log_churn as logged
    left join closed_versions on logged.version = closed_versions.version
    group by logged.version
)
select
    coalesce(
        min(
            case
                when logged_versions.n_closed = logged_versions.n_requests then null
                when logged_versions.n_closed = logged_versions.n_logged then logged_versions.closed_until
                else logged_versions.first_requested_at
            end
        ),
        max(logged_versions.closed_until)
    ) as open_since
from logged_versions
"""


class InPartitions(DuckDBWarehouse):
    """DuckDB, taken for an engine that keeps tables in partitions, which notes what it is asked."""

    log_layout, metrics_layout = LOGS, METRICS

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def layouts(self, schema: str | None = None) -> dict[str, Layout]:
        return {}

    def fetch(self, sql: str, parameters: object = None) -> pa.Table:
        self.asked.append(sql)
        return super().fetch(sql, parameters)  # type: ignore[arg-type]


@dataclass
class Desk:
    """A log and its evaluations, by version and hours since the first day."""

    log: list[tuple[int, int]] = field(default_factory=list)
    evaluated: list[tuple[int, int, int, bool, str, int]] = field(default_factory=list)

    def evaluate(self, versions: Sequence[int], until: int, *, is_mature: bool, definition: str = "now") -> None:
        """Write down the weeks that ended by a day, as they stand now."""
        for version in versions:
            for week in range(until // 7):
                n = sum(v == version and hour // 168 == week for v, hour in self.log)
                if n:
                    self.evaluated.append((version, week, n, is_mature, definition, len(self.evaluated)))

    def write(self, warehouse: DuckDBWarehouse) -> None:
        at = pa.timestamp("us", tz="UTC")
        rows = [
            {"request_id": f"r{index}", "version": version, "requested_at": FIRST + dt.timedelta(hours=hour)}
            for index, (version, hour) in enumerate(self.log)
        ]
        columns = [("request_id", pa.string()), ("version", pa.int64()), ("requested_at", at)]
        warehouse.load(LOG, pa.Table.from_pylist(rows, pa.schema(columns)))
        warehouse.run("delete from wml.evaluations")
        for version, week, n, is_mature, definition, order in self.evaluated:
            warehouse.run(
                "insert into wml.evaluations (evaluation, version, window_start, window_end, as_of, n_requests,"
                " is_mature, definition_hash) values ('churn', $version, $start, $end, $as_of, $n, $is_mature, $hash)",
                {
                    "version": version,
                    "start": FIRST + week * WEEK,
                    "end": FIRST + (week + 1) * WEEK,
                    "as_of": FIRST + 100 * WEEK + order * DAY,
                    "n": n,
                    "is_mature": is_mature,
                    "hash": definition,
                },
            )


@pytest.fixture(scope="module")
def warehouse() -> Iterator[InPartitions]:
    found = InPartitions()
    ensure_tables(found)
    yield found
    found.close()


def answers(warehouse: InPartitions, desk: Desk) -> tuple[dt.datetime | None, dt.datetime | None, bool]:
    """Return the answer, that of the statement which reads all, and whether all was read for the first."""
    assert isinstance(warehouse, LaysOut)
    desk.write(warehouse)
    names = {"evaluation": "churn", "definition_hash": "now"}
    whole = warehouse.fetch(OF_ALL, names)["open_since"][0].as_py()
    warehouse.asked.clear()
    found = open_since(warehouse, LOG, **names)
    has_read_all = "is_settled" not in warehouse.asked[-1]
    return found, whole, has_read_all


events = st.one_of(
    # A version answers some requests of some day: in order, or late.
    st.tuples(st.just("log"), st.integers(1, 3), st.integers(0, 34), st.integers(1, 3)),
    st.tuples(st.just("evaluate"), st.sets(st.integers(1, 3), min_size=1), st.integers(7, 35), st.booleans()),
    st.tuples(st.just("evaluate before"), st.sets(st.integers(1, 3), min_size=1), st.integers(7, 35), st.booleans()),
)


class TestTheSameAnswer:
    @given(st.lists(events, max_size=14), st.booleans())
    def test_whatever_was_logged_and_evaluated(
        self, warehouse: InPartitions, told: list[tuple[object, ...]], is_begun: bool
    ) -> None:
        desk = Desk()
        if is_begun:
            # Otherwise few examples come to anything that is closed.
            desk.log = [(version, hour) for version in (1, 2) for hour in range(0, 24 * 28, 24)]
            desk.evaluate([1, 2], 21, is_mature=True)
        for kind, who, when, much in told:
            if kind == "log":
                desk.log += [(who, 24 * when + hour) for hour in range(much)]  # type: ignore[operator,misc,call-overload]
            else:
                definition = "now" if kind == "evaluate" else "before"
                desk.evaluate(sorted(who), when, is_mature=much, definition=definition)  # type: ignore[call-overload,arg-type]
        found, whole, _ = answers(warehouse, desk)
        assert found == whole

    @given(st.data())
    def test_also_where_rows_were_taken_away(self, warehouse: InPartitions, data: st.DataObject) -> None:
        desk = Desk(log=[(version, hour) for version in (1, 2) for hour in range(0, 24 * 28, 12)])
        desk.evaluate([1, 2], 21, is_mature=True)
        gone = data.draw(st.sets(st.integers(0, len(desk.log) - 1), max_size=5))
        desk.log = [row for index, row in enumerate(desk.log) if index not in gone]
        found, whole, _ = answers(warehouse, desk)
        assert found == whole


class TestWhatIsRead:
    def weeks(self, n: int = 5, versions: Sequence[int] = (1,)) -> Desk:
        return Desk(log=[(version, hour) for version in versions for hour in range(0, 168 * n, 6)])

    def test_of_an_empty_log_nothing_is_open(self, warehouse: InPartitions) -> None:
        assert answers(warehouse, Desk())[:2] == (None, None)

    def test_before_anything_is_closed_all_is_read(self, warehouse: InPartitions) -> None:
        desk = self.weeks(2)
        desk.evaluate([1], 14, is_mature=False)
        assert answers(warehouse, desk) == (FIRST, FIRST, True)

    def test_of_a_closed_log_the_open_part_is(self, warehouse: InPartitions) -> None:
        desk = self.weeks()
        desk.evaluate([1], 28, is_mature=True)
        assert answers(warehouse, desk) == (FIRST + 4 * WEEK, FIRST + 4 * WEEK, False)
        assert "where logged.requested_at >= $closed_until" in warehouse.asked[-1]

    def test_a_version_that_is_new_is_open_from_its_first_request(self, warehouse: InPartitions) -> None:
        desk = self.weeks(4)
        desk.evaluate([1], 28, is_mature=True)
        desk.log += [(2, 168 * 4 + 30)]
        new = FIRST + 4 * WEEK + dt.timedelta(hours=30)
        assert answers(warehouse, desk) == (new, new, False)

    def test_a_version_that_nobody_asks_stays_closed(self, warehouse: InPartitions) -> None:
        desk = self.weeks(2)
        desk.log += [(2, hour) for hour in range(168 * 2, 168 * 5, 6)]
        desk.evaluate([1, 2], 28, is_mature=True)
        assert answers(warehouse, desk) == (FIRST + 4 * WEEK, FIRST + 4 * WEEK, False)

    def test_a_request_that_came_late_opens_the_log_of_its_version(self, warehouse: InPartitions) -> None:
        desk = self.weeks()
        desk.evaluate([1], 28, is_mature=True)
        desk.log += [(1, 30)]
        assert answers(warehouse, desk) == (FIRST, FIRST, True)

    def test_an_evaluation_of_no_version_reads_all(self, warehouse: InPartitions) -> None:
        desk = self.weeks()
        desk.evaluate([1], 28, is_mature=True)
        desk.evaluated = [(None, *row[1:]) for row in desk.evaluated]  # type: ignore[misc]
        assert answers(warehouse, desk) == (FIRST, FIRST, True)

    def test_duckdb_asks_once(self) -> None:
        assert not isinstance(DuckDBWarehouse(), LaysOut)
        assert Relation("request_log_churn", "wml") == LOG
