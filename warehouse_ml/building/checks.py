"""What rows must keep to once they are built."""

from __future__ import annotations

from warehouse_ml.catalog import Clock, Node
from warehouse_ml.errors import DataError
from warehouse_ml.tables import all_of, one_row
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["KNOWN_AT_SUFFIX", "check_overlap", "check_requests", "check_window"]

KNOWN_AT_SUFFIX = "_known_at"
"""A column of a request that ends so says when its features were known."""


def check_window(warehouse: Warehouse, relation: Relation, node: Node, clock: Clock) -> None:
    """Refuse rows of an incremental relation that lie outside the window they were built for.

    Raises
    ------
    DataError
        If a row has no event time, or one outside the window: the template forgot to filter, and the same row
        would be there twice or be seen before its time.
    """
    event_time = str(node.config["event_time"])
    _require(warehouse, relation, node.place, [event_time])
    sql = statement(__package__, "check_window.sql", warehouse.engine, fresh=relation, event_time=event_time)
    row = one_row(warehouse, sql, {"window_start": clock.window_start, "window_end": clock.as_of})
    outside = row["n_before"] + row["n_after"]
    if row["n_without_time"]:
        raise DataError(
            f'{row["n_without_time"]:,} of {row["n_rows"]:,} rows have no "{event_time}"',
            place=node.place,
            hint=f"filter them: where {event_time} is not null",
        )
    if outside:
        raise DataError(
            f"{outside:,} of {row['n_rows']:,} rows lie outside the window they were asked for",
            place=node.place,
            hint=f"filter: {event_time} >= {{{{ window.start }}}} and {event_time} < {{{{ window.end }}}}",
        )


def check_requests(warehouse: Warehouse, relation: Relation, place: str) -> None:
    """Refuse requests that are not one row each, or that know what was not known yet.

    Raises
    ------
    DataError
        If request_id is missing or not unique, requested_at is missing, or a ``*_known_at`` is after it.
    """
    columns = _require(warehouse, relation, place, ["request_id", "requested_at"])
    known_at = [name for name in columns if name.lower().endswith(KNOWN_AT_SUFFIX)]
    sql = statement(__package__, "check_requests.sql", warehouse.engine, relation=relation, known_at=known_at)
    row = one_row(warehouse, sql)
    for count, column in ((row["n_without_id"], "request_id"), (row["n_without_time"], "requested_at")):
        if count:
            raise DataError(
                f"{count:,} of {row['n_rows']:,} requests have no {column}",
                place=place,
                hint=f"every request needs one: where {column} is not null",
            )
    if row["n_request_ids"] != row["n_rows"]:
        example = one_row(
            warehouse, statement(__package__, "example_duplicate.sql", warehouse.engine, relation=relation)
        )
        raise DataError(
            f"request_id is not unique: {row['n_rows'] - row['n_request_ids']:,} rows too many; "
            f'"{example["request_id"]}" occurs {example["n"]} times',
            place=place,
            hint="a request is one row: look for a join that multiplies rows",
        )
    for index, column in enumerate(known_at):
        if row[f"n_known_later_{index}"]:
            sql = statement(__package__, "example_known_later.sql", warehouse.engine, relation=relation, column=column)
            example = one_row(warehouse, sql)
            raise DataError(
                f"{row[f'n_known_later_{index}']:,} of {row['n_rows']:,} requests use what was known only later: "
                f'request "{example["request_id"]}" of {example["requested_at"]} has {column} = {example["known_at"]}',
                place=place,
                hint=f"join on {column} <= requested_at",
            )


def check_overlap(warehouse: Warehouse, relation: Relation, fresh: Relation, node: Node, clock: Clock) -> None:
    """Refuse fresh requests that an earlier window has already.

    Raises
    ------
    DataError
        If a request_id is there twice.
    """
    event_time = str(node.config["event_time"])
    sql = statement(
        __package__, "example_overlap.sql", warehouse.engine, relation=relation, fresh=fresh, event_time=event_time
    )
    row = one_row(warehouse, sql, {"window_start": clock.window_start})
    if row["n"]:
        raise DataError(
            f"request_id is not unique: {row['n']:,} requests of this window were there before, such as "
            f'"{row["request_id"]}"',
            place=node.place,
            hint="a request is one row and keeps its time",
        )


def _require(warehouse: Warehouse, relation: Relation, place: str, wanted: list[str]) -> list[str]:
    columns = list(warehouse.columns(all_of(warehouse, relation)))
    for name in wanted:
        if name.lower() not in {column.lower() for column in columns}:
            raise DataError(f'no column "{name}"', place=place, has=columns, hint=f"select it as {name}")
    return columns
