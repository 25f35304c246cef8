"""Arrow's columns as Python's values and NumPy's arrays, and the other way round.

Arrow's own way imports pandas for the first instant, array or list that it meets, which takes longer than all else of a
small command.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["chosen_texts", "lengths_of", "named_rows", "numbers_of", "numeric_column", "rows_of", "table_of"]

_EPOCH = dt.datetime(1970, 1, 1)


def named_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Return each row of a table by the names of its columns; instants are in UTC."""
    return [dict(zip(rows.column_names, row, strict=True)) for row in rows_of(rows)]


def rows_of(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table; instants are in UTC. Several times as fast as Arrow makes datetimes."""
    return zip(*(_values(column) for column in rows.columns), strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_timestamp(kind) or kind.unit != "us":
        values: list[Any] = column.to_pylist()
        return values
    epoch = _EPOCH.replace(tzinfo=dt.UTC) if kind.tz else _EPOCH
    instants = [at for chunk in column.chunks for at in chunk.view(pa.int64()).to_pylist()]
    return [None if at is None else epoch + dt.timedelta(microseconds=at) for at in instants]


def numbers_of(column: pa.Array | pa.ChunkedArray, *, at_null: float = math.nan) -> np.ndarray:
    """Return a column of numbers or booleans as an array of their type, or of doubles where a null is not one of it.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
    at_null : float
        What stands for a null.
    """
    import numpy as np
    import pyarrow as pa

    is_bool = pa.types.is_boolean(column.type)
    if not is_bool and not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
        others: np.ndarray = column.to_numpy(zero_copy_only=False)
        return others
    kind = np.dtype(column.type.to_pandas_dtype())
    parts = [np.empty(0, kind)]
    for chunk in [column] if isinstance(column, pa.Array) else column.chunks:
        valid, values = chunk.buffers()
        if is_bool:
            numbers = _bits(values, chunk)
        else:
            numbers = np.frombuffer(values, kind, len(chunk), chunk.offset * kind.itemsize)
        if chunk.null_count:
            filled = np.where(_bits(valid, chunk), numbers, at_null)
            numbers = filled if math.isnan(at_null) else filled.astype(kind)
        parts.append(numbers)
    return np.concatenate(parts) if len(parts) > 2 else parts[-1]


def lengths_of(lists: pa.ListArray) -> np.ndarray:
    """Return how many elements each list has; a null has none."""
    import numpy as np

    lengths = np.diff(numbers_of(lists.offsets))
    return np.where(_bits(lists.buffers()[0], lists), lengths, 0) if lists.null_count else lengths


def _bits(buffer: pa.Buffer, array: pa.Array) -> np.ndarray:
    import numpy as np

    if not len(array):
        return np.empty(0, bool)
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(bool)


def numeric_column(values: np.ndarray) -> pa.Array:
    """Return an array of numbers as a column of their type."""
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def chosen_texts(texts: Sequence[str], places: np.ndarray) -> pa.Array:
    """Return, for each place, the text that stands there."""
    import numpy as np
    import pyarrow as pa

    encoded = [np.frombuffer(text.encode(), np.uint8) for text in texts]
    lengths = np.array([len(text) for text in encoded])
    letters = np.zeros((len(texts), max(lengths, default=0)), np.uint8)
    for row, text in zip(letters, encoded, strict=True):
        row[: len(text)] = text
    is_letter = np.arange(letters.shape[1]) < lengths[:, np.newaxis]
    ends = np.concatenate([[0], np.cumsum(lengths[places])]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(letters[places][is_letter[places]])]
    return pa.Array.from_buffers(pa.string(), len(places), buffers)


def table_of(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Return a table of whole numbers, doubles and texts, from the values of each column."""
    import pyarrow as pa

    return pa.Table.from_arrays([_column_of(columns[field.name], field.type) for field in schema], schema=schema)


def _column_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    is_there = np.array([value is not None for value in values], dtype=bool)
    valid = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    if pa.types.is_string(kind):
        texts = [(value or "").encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        return pa.Array.from_buffers(kind, len(texts), [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))])
    numbers = np.array([value if value is not None else 0 for value in values], dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)])
