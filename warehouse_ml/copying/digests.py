"""Rows as short hashes that are alike on every engine.

A row is written as text: whole numbers in decimal, doubles in hexadecimal, which keeps every bit, instants as
microseconds since 1970 in UTC. Two rows have one hash if all their values are the same, -0.0 apart from 0.0.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["digest_of", "digests", "row_digests"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_BATCH_ROWS = 10_000


def row_digests(rows: pa.Table, columns: Sequence[str]) -> Iterator[bytes]:
    """Return the hash of each row, in order.

    Parameters
    ----------
    rows : pyarrow.Table
    columns : sequence of str
        In lower case; one that the rows do not have counts as null.
    """
    found = {name.lower(): index for index, name in enumerate(rows.column_names)}
    for start in range(0, rows.num_rows, _BATCH_ROWS):
        part = rows.slice(start, _BATCH_ROWS)
        none = [None] * part.num_rows
        lists = [part.column(found[name]).to_pylist() if name in found else none for name in columns]
        for values in zip(*lists, strict=True):
            text = json.dumps([_plain(value) for value in values], ensure_ascii=False, separators=(",", ":"))
            yield hashlib.blake2b(text.encode(), digest_size=16).digest()


def digests(rows: pa.Table, columns: Sequence[str]) -> Counter[bytes]:
    """Return how often each row is there."""
    return Counter(row_digests(rows, columns))


def digest_of(found: Counter[bytes]) -> str:
    """Return one hash of rows in whatever order, as 12 hexadecimal digits."""
    total = sum(int.from_bytes(digest) * n for digest, n in found.items()) % 2**128
    return hashlib.sha256(f"{found.total()} {total}".encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    # A bool is an int to Python, and a datetime a date.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return ["double", value.hex()]
    if isinstance(value, (int, Decimal)):
        text = f"{value:f}" if isinstance(value, Decimal) else str(value)
        return ["number", text.rstrip("0").rstrip(".") if "." in text else text]
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime):
        at = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return ["instant", (at - _EPOCH) // _MICROSECOND]
    if isinstance(value, (dt.date, dt.time)):
        return ["date", value.isoformat()]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, dict):
        return ["record", {key: _plain(item) for key, item in value.items()}]
    if isinstance(value, (list, tuple)):
        return ["list", [_plain(item) for item in value]]
    return ["text", str(value)]
