"""Rows between Arrow, Python and the reference implementation's messages."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa
from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

INT, BOOL, DOUBLE, STRING, BYTES = 2, 5, 7, 8, 9
DATE, TIMESTAMP, ARRAY, STRUCT, DATETIME, NUMERIC, BIGNUMERIC, JSON = 10, 19, 16, 17, 21, 23, 24, 26

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_0 = dt.date(1970, 1, 1)
_NAMES = {
    INT: "INT64",
    BOOL: "BOOL",
    DOUBLE: "FLOAT64",
    STRING: "STRING",
    BYTES: "BYTES",
    DATE: "DATE",
    TIMESTAMP: "TIMESTAMP",
    DATETIME: "DATETIME",
    NUMERIC: "NUMERIC",
    BIGNUMERIC: "BIGNUMERIC",
    JSON: "JSON",
}
_ARROW = {
    INT: pa.int64(),
    BOOL: pa.bool_(),
    DOUBLE: pa.float64(),
    STRING: pa.string(),
    BYTES: pa.binary(),
    DATE: pa.date32(),
    TIMESTAMP: pa.timestamp("us", tz="UTC"),
    NUMERIC: pa.decimal128(38, 9),
    JSON: pa.string(),
}


def simple(kind: int) -> type_pb2.TypeProto:
    """Return a type without parts."""
    return type_pb2.TypeProto(type_kind=kind)


def type_name(kind: type_pb2.TypeProto) -> str:
    """Return a type as BigQuery writes it."""
    if kind.type_kind == ARRAY:
        return f"ARRAY<{type_name(kind.array_type.element_type)}>"
    if kind.type_kind == STRUCT:
        fields = ", ".join(f"{field.field_name} {type_name(field.field_type)}" for field in kind.struct_type.field)
        return f"STRUCT<{fields}>"
    return _NAMES[kind.type_kind]


def arrow_type(kind: type_pb2.TypeProto) -> pa.DataType:
    """Return what the client hands out a column of this type as."""
    if kind.type_kind == ARRAY:
        return pa.list_(arrow_type(kind.array_type.element_type))
    if kind.type_kind == STRUCT:
        return pa.struct([(field.field_name, arrow_type(field.field_type)) for field in kind.struct_type.field])
    return _ARROW[kind.type_kind]


def type_of_arrow(kind: pa.DataType) -> type_pb2.TypeProto:
    """Return the type that a Parquet load gives an Arrow column."""
    if pa.types.is_dictionary(kind):
        return type_of_arrow(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        proto = simple(ARRAY)
        proto.array_type.element_type.CopyFrom(type_of_arrow(kind.value_type))
        return proto
    if pa.types.is_struct(kind):
        proto = simple(STRUCT)
        for field in kind:
            proto.struct_type.field.add(field_name=field.name).field_type.CopyFrom(type_of_arrow(field.type))
        return proto
    checks = (
        (pa.types.is_boolean, BOOL),
        (pa.types.is_integer, INT),
        (pa.types.is_floating, DOUBLE),
        (pa.types.is_timestamp, TIMESTAMP),
        (pa.types.is_date, DATE),
        (pa.types.is_decimal, NUMERIC),
        (pa.types.is_null, STRING),
    )
    for check, number in checks:
        if check(kind):
            return simple(number)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return simple(STRING)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return simple(BYTES)
    raise TypeError(f"BigQuery loads no {kind}")


def type_of_value(value: Any) -> type_pb2.TypeProto:
    """Return the type that the client gives a query parameter; one that is None is text."""
    if isinstance(value, (list, tuple)):
        proto = simple(ARRAY)
        proto.array_type.element_type.CopyFrom(type_of_value(value[0] if value else ""))
        return proto
    kinds = ((bool, BOOL), (int, INT), (float, DOUBLE), (dt.datetime, TIMESTAMP), (dt.date, DATE), (bytes, BYTES))
    return simple(next((number for kind, number in kinds if isinstance(value, kind)), STRING))


def set_value(into: value_pb2.ValueProto, value: Any, kind: type_pb2.TypeProto) -> None:
    """Write a Python value into a message; None leaves it null."""
    if value is None:
        return
    match kind.type_kind:
        case 2:
            into.int64_value = int(value)
        case 5:
            into.bool_value = bool(value)
        case 7:
            into.double_value = float(value)
        case 8:
            into.string_value = str(value)
        case 26:
            into.json_value = str(value)
        case 9:
            into.bytes_value = value
        case 10:
            into.date_value = (value - _DAY_0).days
        case 19:
            instant = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
            microseconds = (instant - _EPOCH) // dt.timedelta(microseconds=1)
            seconds, rest = divmod(microseconds, 1_000_000)
            into.timestamp_value.seconds = seconds
            into.timestamp_value.nanos = rest * 1000
        case 23:
            into.numeric_value = _scaled(decimal.Decimal(value), 9)
        case 16:
            into.array_value.SetInParent()
            for item in value:
                set_value(into.array_value.element.add(), item, kind.array_type.element_type)
        case 17:
            into.struct_value.SetInParent()
            for field in kind.struct_type.field:
                set_value(into.struct_value.field.add(), value.get(field.field_name), field.field_type)
        case other:
            raise TypeError(f"no value of type {other}")


def value_of(cell: value_pb2.ValueProto, kind: type_pb2.TypeProto) -> Any:
    """Return a message's value as Python's own."""
    if cell.WhichOneof("value") is None:
        return None
    match kind.type_kind:
        case 2:
            return cell.int64_value
        case 5:
            return cell.bool_value
        case 7:
            return cell.double_value
        case 8:
            return cell.string_value
        case 26:
            return cell.json_value
        case 9:
            return cell.bytes_value
        case 10:
            return _DAY_0 + dt.timedelta(days=cell.date_value)
        case 19:
            at = cell.timestamp_value
            return _EPOCH + dt.timedelta(seconds=at.seconds, microseconds=at.nanos // 1000)
        case 23:
            return decimal.Decimal(int.from_bytes(cell.numeric_value, "little", signed=True)).scaleb(-9)
        case 24:
            return decimal.Decimal(int.from_bytes(cell.bignumeric_value, "little", signed=True)).scaleb(-38)
        case 16:
            return [value_of(item, kind.array_type.element_type) for item in cell.array_value.element]
        case 17:
            fields = kind.struct_type.field
            return {
                field.field_name: value_of(item, field.field_type)
                for field, item in zip(fields, cell.struct_value.field, strict=True)
            }
        case other:
            raise TypeError(f"no value of type {other}")


def _scaled(number: decimal.Decimal, places: int) -> bytes:
    whole = int(number.scaleb(places))
    return whole.to_bytes((whole.bit_length() + 8) // 8, "little", signed=True)
