"""Python's values as query parameters, Arrow's types as those of tables, and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from google.cloud import bigquery

from warehouse_ml.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["query_parameters", "schema_of", "storable", "type_name"]

_QueryParameter = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter

_STANDARD = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
}


def query_parameters(values: Mapping[str, Any]) -> list[_QueryParameter]:
    """Return named parameters; those that are None are left out, as they are written into the statement.

    Raises
    ------
    WarehouseError
        If a value has no type in BigQuery.
    """
    parameters: list[_QueryParameter] = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, (list, tuple, set, frozenset)):
            items = sorted(value) if isinstance(value, (set, frozenset)) else list(value)
            parameters.append(bigquery.ArrayQueryParameter(name, _element_type(name, items), [_sent(i) for i in items]))
        else:
            parameters.append(bigquery.ScalarQueryParameter(name, _type_of(name, value), _sent(value)))
    return parameters


def _element_type(name: str, items: Sequence[Any]) -> str:
    types = {_type_of(name, item) for item in items}
    if types == {"INT64", "FLOAT64"}:
        return "FLOAT64"
    if len(types) > 1:
        raise WarehouseError(f'parameter "{name}" holds values of several types: {", ".join(sorted(types))}')
    return types.pop() if types else "STRING"


def _type_of(name: str, value: Any) -> str:
    # A bool is an int to Python, a datetime a date, and numpy's scalars are known by item().
    if hasattr(value, "item") and not isinstance(value, (bytes, str)):
        value = value.item()
    for python, kind in (
        (bool, "BOOL"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (str, "STRING"),
        (bytes, "BYTES"),
        (Decimal, "NUMERIC"),
        (dt.datetime, "TIMESTAMP"),
        (dt.date, "DATE"),
        (dt.time, "TIME"),
    ):
        if isinstance(value, python):
            return kind
    raise WarehouseError(f'parameter "{name}" is a {type(value).__name__}, which no type of BigQuery holds')


def _sent(value: Any) -> Any:
    if hasattr(value, "item") and not isinstance(value, (bytes, str)):
        value = value.item()
    if isinstance(value, dt.datetime):
        # A time without a zone is in UTC, as everywhere here.
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return value


def type_name(field: bigquery.SchemaField) -> str:
    """Return a column's type as GoogleSQL writes it: INT64, ARRAY<STRING>, STRUCT<a INT64>."""
    name = _STANDARD.get(field.field_type, field.field_type)
    if name == "STRUCT":
        name = f"STRUCT<{', '.join(f'{inner.name} {type_name(inner)}' for inner in field.fields)}>"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else str(name)


def storable(rows: pa.Table) -> pa.Table:
    """Return rows as Parquet and BigQuery hold them alike.

    Whole numbers have 64 bits, fractions are doubles, instants are in UTC to the microsecond, texts are plain.

    Raises
    ------
    WarehouseError
        If a column's type is none that a table can have, or a value does not fit.
    """
    import pyarrow as pa

    columns, fields = [], []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        target = _arrow_type(rows.schema.field(name).type, name)
        try:
            columns.append(column.cast(target) if column.type != target else column)
        except pa.ArrowInvalid as error:
            raise WarehouseError(f'column "{name}": {str(error).splitlines()[0]}', place="bigquery") from None
        fields.append(pa.field(name, target))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _arrow_type(found: pa.DataType, name: str) -> pa.DataType:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(found):
        return _arrow_type(found.value_type, name)
    if is_.is_null(found) or is_.is_large_string(found) or is_.is_string_view(found):
        return pa.string()
    if is_.is_integer(found):
        return pa.int64()
    if is_.is_floating(found):
        return pa.float64()
    if is_.is_timestamp(found):
        return pa.timestamp("us", tz="UTC")
    if is_.is_large_binary(found):
        return pa.binary()
    if is_.is_list(found) or is_.is_large_list(found) or is_.is_fixed_size_list(found):
        return pa.list_(_arrow_type(found.value_type, name))
    if is_.is_struct(found):
        return pa.struct([pa.field(inner.name, _arrow_type(inner.type, name)) for inner in found])
    if is_.is_string(found) or is_.is_boolean(found) or is_.is_binary(found) or is_.is_date32(found):
        return found
    if is_.is_decimal(found):
        return found
    if is_.is_time(found):
        return pa.time64("us")
    raise WarehouseError(f'column "{name}" is of type {found}, which no column of BigQuery holds', place="bigquery")


def schema_of(schema: pa.Schema | pa.StructType | Iterable[pa.Field]) -> list[bigquery.SchemaField]:
    """Return the columns of a table that is to hold rows made storable."""
    return [_field(field.name, field.type) for field in schema]


def _field(name: str, found: pa.DataType) -> bigquery.SchemaField:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_list(found):
        inner = _field(name, found.value_type)
        return bigquery.SchemaField(name, inner.field_type, mode="REPEATED", fields=inner.fields)
    if is_.is_struct(found):
        return bigquery.SchemaField(name, "RECORD", fields=schema_of(list(found)))
    if is_.is_decimal(found):
        # NUMERIC has 29 digits before the point and 9 behind it.
        fits = found.scale <= 9 and found.precision - found.scale <= 29
        return bigquery.SchemaField(name, "NUMERIC" if fits else "BIGNUMERIC")
    for is_one, kind in (
        (is_.is_string, "STRING"),
        (is_.is_integer, "INT64"),
        (is_.is_floating, "FLOAT64"),
        (is_.is_boolean, "BOOL"),
        (is_.is_timestamp, "TIMESTAMP"),
        (is_.is_date, "DATE"),
        (is_.is_time, "TIME"),
    ):
        if is_one(found):
            return bigquery.SchemaField(name, kind)
    return bigquery.SchemaField(name, "BYTES")
