"""Rows as a table, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.wml import ok
from warehouse_ml.cli.output import format_table
from warehouse_ml.cli.story import bar

QUERY = (
    "select 1 as n, 0.5 as share, 'a, \"b\"' as name, null as nothing, true as yes,"
    " timestamptz '2024-01-01 06:30:00+00' as at, [1, 2] as several"
)


def test_a_table() -> None:
    rows = [{"name": "a", "n": 1, "share": 0.25}, {"name": "long", "n": 20, "share": None}]
    assert format_table(rows, ["name", "n", "share"]) == (
        "name   n   share\n----  --  ------\na      1  0.2500\nlong  20"
    )


def test_long_text_is_cut_to_the_terminal_and_numbers_are_not() -> None:
    rows = [{"n": 123456789, "text": "x" * 100}]
    assert max(len(line) for line in format_table(rows, ["n", "text"], width=40).splitlines()) == 40
    assert "123456789" in format_table(rows, ["n", "text"], width=20)


def test_json(tiny: Path) -> None:
    ok(tiny, "build", "--as-of", "2024-02-05")
    assert json.loads(ok(tiny, "query", QUERY, "--format", "json").out) == [
        {
            "n": 1,
            "share": 0.5,
            "name": 'a, "b"',
            "nothing": None,
            "yes": True,
            "at": "2024-01-01T06:30:00+00:00",
            "several": [1, 2],
        }
    ]


def test_csv(tiny: Path) -> None:
    ok(tiny, "build", "--as-of", "2024-02-05")
    head, row = csv.reader(io.StringIO(ok(tiny, "query", QUERY, "--format", "csv").out))
    assert head == ["n", "share", "name", "nothing", "yes", "at", "several"]
    assert row == ["1", "0.5", 'a, "b"', "", "true", "2024-01-01T06:30:00+00:00", "[1, 2]"]


def test_no_rows_are_valid_in_every_format(tiny: Path) -> None:
    ok(tiny, "build", "--as-of", "2024-02-05")
    query = "select 1 as n where false"
    assert ok(tiny, "query", query, "--format", "json").rows == []
    assert ok(tiny, "query", query, "--format", "csv").out == "n\n"
    assert ok(tiny, "query", query).out.startswith("n\n")


@pytest.mark.parametrize(
    ("value", "drawn"), [(0.5, "    "), (0.75, "██  "), (1.0, "████"), (2.0, "████"), (0.0, "    ")]
)
def test_a_bar(value: float, drawn: str) -> None:
    assert bar(value, 0.5, 1.0, 4) == drawn
