"""Features as they were known: ``ml.features_at_time`` and ``ml.entity_features_at_time``."""

from __future__ import annotations

from warehouse_ml.errors import DataError, did_you_mean
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.templates import literal, statement

__all__ = ["entity_features_at_time", "features_at_time"]

ENTITY = "entity_id"
FEATURE_TIME = "feature_timestamp"
TIME = "time"

_MOST_ROWS = 1_000_000
_NUM_ROWS = Setting("integer", 1, low=1, high=_MOST_ROWS)
_IGNORE_NULLS = Setting("boolean", False)


def features_at_time(call: Call, context: Context) -> str:
    """Return the latest rows of every entity whose ``feature_timestamp`` is not after one instant.

    Settings: ``time``, an expression, by default the clock; ``num_rows``, how many rows of each entity, 1 by default;
    ``ignore_feature_nulls``, each feature's last value that is not NULL, false by default.

    The columns are those of the input. An entity without such a row is kept once, with NULLs, and the timestamp is
    the row's own. Of several rows at one instant, the last is the one whose columns, in their order, are greatest.
    Rows without an entity belong to none and are left out.

    Raises
    ------
    DataError
        If ``entity_id`` or ``feature_timestamp`` is missing or of another type.
    DefinitionError
        If a setting is wrong.
    """
    chosen = settings(call, time=Setting("expression"), num_rows=_NUM_ROWS, ignore_feature_nulls=_IGNORE_NULLS)
    read = call.inputs[0]
    columns = _feature_columns(call, context, read)
    return statement(
        __package__,
        "features_at_time.sql",
        context.warehouse.engine,
        features=read.sql,
        columns=columns,
        values=_values(columns),
        time=chosen["time"] or literal(context.as_of, context.warehouse.engine),
        num_rows=chosen["num_rows"],
        ignore_nulls=chosen["ignore_feature_nulls"],
    )


def entity_features_at_time(call: Call, context: Context) -> str:
    """Return, for every row of the second input, the latest rows of its entity up to its own ``time``.

    Settings: ``num_rows`` and ``ignore_feature_nulls``, as ``features_at_time``.

    The columns are those of the first input, then ``time``, the instant asked for; other columns of the second input
    are left out. A row whose entity has nothing by then is kept, with NULLs.

    Raises
    ------
    DataError
        If ``entity_id``, ``feature_timestamp`` or ``time`` is missing or of another type, or the features have a
        column ``time`` themselves.
    DefinitionError
        If a setting is wrong.
    """
    chosen = settings(call, num_rows=_NUM_ROWS, ignore_feature_nulls=_IGNORE_NULLS)
    features, asked = call.inputs
    columns = _feature_columns(call, context, features)
    taken = next((name for name in columns if name.casefold() == TIME), None)
    if taken is not None:
        raise DataError(
            f'the features have a column "{taken}", which is what the instant asked for is called',
            place=call.place,
            hint="rename it in the query",
        )
    _check_asked(call, context, asked, context.columns(features))
    return statement(
        __package__,
        "entity_features_at_time.sql",
        context.warehouse.engine,
        features=features.sql,
        asked=asked.sql,
        columns=columns,
        values=_values(columns),
        num_rows=chosen["num_rows"],
        ignore_nulls=chosen["ignore_feature_nulls"],
    )


def _feature_columns(call: Call, context: Context, read: Input) -> list[str]:
    """Return the columns of the features after checking the two that must be there."""
    columns = context.columns(read)
    _check(call, columns, ENTITY, "the features")
    _check_instant(call, columns, FEATURE_TIME, "the features")
    return list(columns)


def _values(columns: list[str]) -> list[str]:
    return [name for name in columns if name.casefold() not in (ENTITY, FEATURE_TIME)]


def _check_asked(call: Call, context: Context, asked: Input, features: dict[str, str]) -> None:
    columns = context.columns(asked)
    found = _check(call, columns, ENTITY, "the entities")
    _check_instant(call, columns, TIME, "the entities")
    wanted = _check(call, features, ENTITY, "the features")
    if kind_of(found) != kind_of(wanted):
        raise DataError(
            f'"{ENTITY}" is {found} in the entities and {wanted} in the features',
            place=call.place,
            hint="cast one of the two in a query",
        )


def _check(call: Call, columns: dict[str, str], wanted: str, where: str) -> str:
    """Return the type of a column that must be there."""
    types = {name.casefold(): type_name for name, type_name in columns.items()}
    if wanted not in types:
        raise DataError(
            f'no column "{wanted}" in {where}',
            place=call.place,
            has=list(columns),
            hint=did_you_mean(wanted, list(columns)) or f"call a column so: select ... as {wanted}",
        )
    return types[wanted]


def _check_instant(call: Call, columns: dict[str, str], wanted: str, where: str) -> None:
    found = _check(call, columns, wanted, where)
    if kind_of(found) != "timestamp":
        raise DataError(
            f'"{wanted}" in {where} is {found}, not a timestamp', place=call.place, hint="cast it in a query"
        )
