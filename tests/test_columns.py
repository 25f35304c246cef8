"""Arrow's columns read and made without pandas: as Arrow itself does it."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import write_tiny
from tests.wml import ok
from warehouse_ml.columns import chosen_texts, lengths_of, named_rows, numbers_of, numeric_column, table_of

doubles = st.one_of(st.none(), st.floats(allow_nan=False))
instants = st.one_of(st.none(), st.datetimes(min_value=dt.datetime(1, 1, 1), max_value=dt.datetime(9999, 12, 31)))


@given(
    st.lists(st.tuples(doubles, st.one_of(st.none(), st.text()), instants)),
    st.integers(0, 9),
    st.sampled_from([None, "UTC"]),
)
def test_rows_are_those_that_arrow_makes(rows: list[tuple], begin: int, zone: str | None) -> None:
    names = ["number", "text", "at"]
    kinds = [pa.float64(), pa.string(), pa.timestamp("us", tz=zone)]
    columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)]
    table = pa.concat_tables([pa.Table.from_arrays(columns, names)] * 2).slice(begin)
    assert named_rows(table) == table.to_pylist()


@given(st.lists(doubles), st.integers(0, 9), st.integers(0, 9))
def test_numbers_are_those_of_the_column(values: list[float | None], begin: int, end: int) -> None:
    column = pa.array(values, pa.float64()).slice(begin)
    chunked = pa.chunked_array([column, column.slice(end)], pa.float64())
    for one in (column, chunked):
        assert np.array_equal(numbers_of(one), one.to_numpy(zero_copy_only=False), equal_nan=True)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.bool_()])
def test_numbers_of_every_type(kind: pa.DataType) -> None:
    column = pa.array([1, 0, 1, None, 1]).cast(kind)
    assert numbers_of(column.slice(1, 2)).tolist() == [0, 1]
    assert numbers_of(pa.chunked_array([], kind)).tolist() == []
    filled = numbers_of(column.slice(1), at_null=0)
    assert (filled.tolist(), filled.dtype) == ([0, 1, 0, 1], kind.to_pandas_dtype())
    assert np.array_equal(numbers_of(column.slice(2)), [1, np.nan, 1], equal_nan=True)
    if kind != pa.bool_():
        assert numeric_column(filled).equals(pa.array([0, 1, 0, 1], kind))


@given(st.lists(st.one_of(st.none(), st.lists(st.floats(allow_nan=False)))), st.integers(0, 3))
def test_lists_have_their_lengths(lists: list[list[float] | None], begin: int) -> None:
    column = pa.array(lists, pa.list_(pa.float64())).slice(begin)
    assert lengths_of(column).tolist() == [len(one or []) for one in lists[begin:]]


@given(st.lists(st.text(), min_size=1, max_size=5), st.lists(st.integers(0, 4)))
def test_texts_are_chosen_by_their_places(texts: list[str], places: list[int]) -> None:
    places = [place % len(texts) for place in places]
    found = chosen_texts(texts, np.array(places, dtype=np.int64))
    found.validate(full=True)
    assert found.to_pylist() == [texts[place] for place in places]


wholes = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
texts = st.one_of(st.none(), st.text())


@given(st.lists(st.tuples(wholes, doubles, texts)))
def test_a_table_of_numbers_and_texts(rows: list[tuple]) -> None:
    schema = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("text", pa.string())])
    found = table_of({name: [row[place] for row in rows] for place, name in enumerate(schema.names)}, schema)
    found.validate(full=True)
    assert found.equals(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema))


def test_nothing_of_it_imports_pandas() -> None:
    code = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from warehouse_ml.columns import *\n"
        "rows = table_of({'n': [1], 'text': ['a']}, pa.schema([('n', pa.int64()), ('text', pa.string())]))\n"
        "assert named_rows(rows) == [{'n': 1, 'text': 'a'}] and numbers_of(rows['n']).tolist() == [1]\n"
        "numeric_column(np.array([1e0])), chosen_texts(['a'], np.array([0]))\n"
        "assert 'pandas' not in sys.modules and 'pyarrow.compute' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_evaluation_imports_no_pandas(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    ok(root, "train", "churn", "--as-of", "2024-02-05")
    code = (
        "import os, sys\n"
        "from warehouse_ml.cli import cli\n"
        f"os.chdir({str(root)!r})\n"
        "for _ in range(2):\n"
        "    cli.main(['evaluate', '--as-of', '2024-02-19'], standalone_mode=False)\n"
        "assert 'pandas' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nothing is due" in done.stderr
