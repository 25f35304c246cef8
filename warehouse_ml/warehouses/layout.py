"""How the rows of a table lie: in partitions by a time, and sorted by columns within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from warehouse_ml.errors import DataError, TemplateError, did_you_mean

__all__ = [
    "GRANULARITIES",
    "LAYOUT_KEYS",
    "LOGS",
    "METRICS",
    "MOST_CLUSTERED",
    "Layout",
    "columns_of",
    "fitted",
    "granularity_of",
    "layout_of_config",
]

GRANULARITIES = ("hour", "day", "month", "year")
"""What a partition may hold, as BigQuery has it."""

LAYOUT_KEYS = ("partition_by", "cluster_by", "partition_expiration_days", "require_partition_filter")
"""The settings of ``config(...)`` that say how a relation's rows lie; none of them says anything about the rows."""

MOST_CLUSTERED = 4
"""BigQuery sorts a table by no more columns."""

_PARTITION_KEYS = ("field", "granularity", "data_type")
_TIMES = ("date", "datetime", "timestamp")
_ZONED = ("timestamp with time zone", "timestamptz")
_UNSORTED = ("float", "double", "real", "json", "blob", "bytes", "time", "interval")
_NESTED = ("struct", "array", "record", "map", "union", "list")


@dataclass(frozen=True)
class Layout:
    """How the rows of a table lie.

    Parameters
    ----------
    field : str or None
        The column of times that rows are parted by; None: the table has no partitions.
    granularity : str or None
        What one partition holds: an hour, day, month or year.
    cluster_by : tuple of str
        The columns by which rows are sorted within a partition.
    expiration_days : float or None
        A partition is dropped so many days after its own time; None: never.
    requires_filter : bool
        Whether a query that does not say when is refused.
    data_type : str or None
        What the field is: date, datetime or timestamp. None: not known yet.
    """

    field: str | None = None
    granularity: str | None = None
    cluster_by: tuple[str, ...] = ()
    expiration_days: float | None = None
    requires_filter: bool = False
    data_type: str | None = None

    def without_options(self) -> Layout:
        """Return the same partitions and order, kept for ever and read by anybody."""
        return replace(self, expiration_days=None, requires_filter=False)

    def stands_as(self, other: Layout) -> bool:
        """Whether partitions and order are the same: what no engine changes of a table that is there."""
        return self._standing() == other._standing()

    def _standing(self) -> tuple[str, str, tuple[str, ...]]:
        clustered = tuple(name.lower() for name in self.cluster_by)
        return ((self.field or "").lower(), (self.granularity or "") if self.field else "", clustered)

    def __str__(self) -> str:
        parts = [f"by {self.granularity} of {self.field}" if self.field else "without partitions"]
        parts += [f"sorted by {', '.join(self.cluster_by)}"] if self.cluster_by else []
        parts += [f"each kept {self.expiration_days:g} days"] if self.expiration_days is not None else []
        parts += ["read with a filter alone"] if self.requires_filter else []
        return ", ".join(parts)


LOGS = Layout("requested_at", "day", ("version", "request_id"), data_type="timestamp")
"""How request logs lie, unless the target says otherwise."""

METRICS = Layout("window_start", "month", data_type="timestamp")
"""How the tables of evaluations lie, unless the target says otherwise; each has columns of its own to be sorted by."""


def layout_of_config(config: Mapping[str, Any], *, kind: str, place: str) -> Layout | None:
    """Return how a relation is to lie, as its ``config(...)`` says it.

    Parameters
    ----------
    config : mapping
    kind : str
        ``feature`` or ``request``.
    place : str
        The file, for errors.

    Returns
    -------
    Layout or None
        None where nothing is said, and of a view. An incremental relation that says nothing of partitions lies by day
        of its ``event_time``; ``partition_by=none`` gives it none.

    Raises
    ------
    TemplateError
        If a setting cannot be; with what can.
    """
    materialized = str(config.get("materialized", "view"))
    given = [key for key in LAYOUT_KEYS if key in config]
    if given and materialized == "view":
        raise TemplateError(
            f"{given[0]} is of tables, and this is a view, which keeps no rows",
            place=place,
            hint="add materialized='table' or materialized='incremental', or leave it out",
        )
    is_incremental = materialized == "incremental"
    if not given and not is_incremental:
        return None
    if "partition_by" in config:
        layout = _partitions(config["partition_by"], place)
    else:
        layout = Layout(str(config["event_time"]), "day") if is_incremental else Layout()
    clustered = columns_of(config["cluster_by"], place) if "cluster_by" in config else ()
    layout = replace(
        layout,
        cluster_by=clustered,
        expiration_days=_days(config, place),
        requires_filter=_flag(config, place),
    )
    if layout.field is None and (layout.expiration_days is not None or layout.requires_filter):
        key = "partition_expiration_days" if layout.expiration_days is not None else "require_partition_filter"
        raise TemplateError(
            f"{key} is of partitions, and there are none", place=place, hint="add partition_by='...', a column of times"
        )
    if layout.requires_filter:
        _check_filter(layout, str(config["event_time"]) if is_incremental else None, kind, place)
    return layout


def columns_of(value: Any, place: str) -> tuple[str, ...]:
    """Return the columns that a setting ``cluster_by`` names.

    Raises
    ------
    TemplateError
        If it is no list of one to four different columns.
    """
    names = [value] if isinstance(value, str) else value
    is_list = isinstance(names, Sequence) and all(isinstance(name, str) and name for name in names)
    if not is_list or not names:
        raise TemplateError(
            f"cluster_by = {value!r} is no list of columns",
            place=place,
            hint="such as cluster_by=['region', 'product']",
        )
    if len(names) > MOST_CLUSTERED:
        raise TemplateError(
            f"cluster_by names {len(names)} columns, and {MOST_CLUSTERED} is the most",
            place=place,
            hint="keep those that queries name most, the first of them first",
        )
    twice = [name for index, name in enumerate(names) if name.lower() in {other.lower() for other in names[:index]}]
    if twice:
        raise TemplateError(f'cluster_by names "{twice[0]}" twice', place=place, hint="name it once")
    return tuple(names)


def granularity_of(value: Any, place: str) -> str:
    """Return a granularity in lower case.

    Raises
    ------
    TemplateError
        If there is no such one.
    """
    name = value.lower() if isinstance(value, str) else value
    if name not in GRANULARITIES:
        hint = did_you_mean(str(value), GRANULARITIES)
        if name == "week":
            hint = "write day: what reads a week reads seven of them"
        raise TemplateError(f"granularity = {value!r} cannot be", place=place, has=GRANULARITIES, hint=hint)
    return str(name)


def fitted(layout: Layout, columns: Mapping[str, str], *, engine: str, place: str) -> Layout:
    """Return a layout with its columns as a relation spells them, and what its field is.

    Parameters
    ----------
    layout : Layout
    columns : mapping of str to str
        The relation's columns and their types, as the engine names them.
    engine : str
    place : str
        The file, for errors.

    Raises
    ------
    DataError
        If the relation has no such column, or rows cannot be parted or sorted by it.
    """
    found = {name.lower(): name for name in columns}
    spelled = []
    for key, name in [("partition_by", layout.field), *(("cluster_by", name) for name in layout.cluster_by)]:
        if name is not None and name.lower() not in found:
            raise DataError(
                f'{key}: no column "{name}"',
                place=place,
                has=list(columns),
                hint=did_you_mean(name, list(columns)) or "name a column that the query selects",
            )
        spelled.append(found[name.lower()] if name is not None else None)
    for name in spelled[1:]:
        if name is not None and not _is_sorted_by(columns[name]):
            raise DataError(
                f'cluster_by: "{name}" is {columns[name]}, which rows are not sorted by',
                place=place,
                has=[column for column, kind in columns.items() if _is_sorted_by(kind)],
                hint="name columns of text, whole numbers, booleans or times",
            )
    field = spelled[0]
    kind = None if field is None else _time_of(columns[field], engine)
    if field is not None and kind is None:
        raise DataError(
            f'partition_by: "{field}" is {columns[field]}, and partitions are of times',
            place=place,
            has=[column for column, name in columns.items() if _time_of(name, engine)],
            hint="name a date or timestamp",
        )
    if layout.data_type is not None and kind is not None and layout.data_type != kind:
        raise DataError(
            f'partition_by: data_type is "{layout.data_type}", and "{field}" is a {kind}',
            place=place,
            hint=f"write 'data_type': '{kind}', or leave it out",
        )
    if kind == "date" and layout.granularity == "hour":
        raise DataError(
            f'partition_by: "{field}" is a date, which has no hours', place=place, hint="write 'granularity': 'day'"
        )
    clustered = tuple(name for name in spelled[1:] if name is not None)
    return replace(layout, field=field, cluster_by=clustered, data_type=kind)


def _partitions(value: Any, place: str) -> Layout:
    if value is None or value is False:
        return Layout()
    if isinstance(value, str) and value:
        return Layout(value, "day")
    if not isinstance(value, Mapping):
        raise TemplateError(
            f"partition_by = {value!r} is no column",
            place=place,
            hint="such as partition_by='requested_at', or {'field': 'requested_at', 'granularity': 'month'}",
        )
    for key in value:
        if key not in _PARTITION_KEYS:
            hint = did_you_mean(str(key), _PARTITION_KEYS)
            if key == "range":
                hint = "partitions are of times; name a whole number in cluster_by"
            raise TemplateError(f'partition_by has no setting "{key}"', place=place, has=_PARTITION_KEYS, hint=hint)
    field, data_type = value.get("field"), value.get("data_type")
    if not isinstance(field, str) or not field:
        raise TemplateError(
            f"partition_by names no column: field = {field!r}", place=place, hint="{'field': 'requested_at'}"
        )
    data_type = data_type.lower() if isinstance(data_type, str) else data_type
    if data_type is not None and data_type not in _TIMES:
        raise TemplateError(
            f"partition_by: data_type = {data_type!r} cannot be",
            place=place,
            has=_TIMES,
            hint=did_you_mean(str(data_type), _TIMES) or "leave it out: the column has a type",
        )
    return Layout(field, granularity_of(value.get("granularity", "day"), place), data_type=data_type)


def _days(config: Mapping[str, Any], place: str) -> float | None:
    value = config.get("partition_expiration_days")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise TemplateError(
            f"partition_expiration_days = {value!r} is no number of days",
            place=place,
            hint="such as 365; leave it out to keep partitions for ever",
        )
    return float(value)


def _flag(config: Mapping[str, Any], place: str) -> bool:
    value = config.get("require_partition_filter", False)
    if not isinstance(value, bool):
        raise TemplateError(
            f"require_partition_filter = {value!r} is neither true nor false",
            place=place,
            hint="write require_partition_filter=true",
        )
    return value


def _check_filter(layout: Layout, event_time: str | None, kind: str, place: str) -> None:
    """Refuse a filter on a column that the toolkit's own statements do not name when they read the relation."""
    named = "requested_at" if kind == "request" else event_time
    if named is not None and (layout.field or "").lower() != named.lower():
        raise TemplateError(
            f'require_partition_filter: the relation is read by "{named}", and its partitions are of "{layout.field}"',
            place=place,
            hint=f"write partition_by='{named}', or leave require_partition_filter out",
        )


def _time_of(type_name: str, engine: str) -> str | None:
    name = type_name.lower()
    if name in _ZONED or (name == "timestamp" and engine == "bigquery"):
        return "timestamp"
    if name == "date":
        return "date"
    # DuckDB's timestamp without a zone is what BigQuery calls datetime.
    return "datetime" if name == "datetime" or name.startswith("timestamp") else None


def _is_sorted_by(type_name: str) -> bool:
    name = type_name.lower()
    is_nested = name.endswith("]") or name.startswith(_NESTED)
    return not is_nested and (name.startswith("timestamp") or not name.startswith(_UNSORTED))
