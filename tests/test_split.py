"""Splits: which rows are held out, the same ones every time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_ml.definition import read_definition
from warehouse_ml.errors import DataError
from warehouse_ml.functions import Context
from warehouse_ml.registry import Registry
from warehouse_ml.templates import environment
from warehouse_ml.training.rows import TRAINING_ROWS, read_training_rows
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse


def split(
    method: str, rows: int | str, *, column: str | None = None, evaluation: float = 0.2, test: float = 0.0
) -> list[dict[str, Any]]:
    """Return n and wml_split of every row, in the order of n."""
    options = ["model_type = 'linear_reg'", "input_label_cols = ['y']", f"data_split_method = '{method}'"]
    if column:
        options.append(f"data_split_col = '{column}'")
    if method in {"random", "seq"}:
        options += [f"data_split_eval_fraction = {evaluation}", f"data_split_test_fraction = {test}"]
    source = rows if isinstance(rows, str) else f"select n, n * 2 as y, n % 7 as x from range({rows}) as t(n)"
    text = f"create model m options ({', '.join(options)}) as {source}"
    warehouse = DuckDBWarehouse(threads=1)
    context = Context(warehouse, Registry(Path("artifacts")), dt.datetime.now(dt.UTC))
    read_training_rows(context, read_definition(text, name="m", place="models/m.sql"))
    found = warehouse.fetch(f'select n, wml_split from "{TRAINING_ROWS.name}" order by n').to_pylist()
    warehouse.close()
    return found


def held_out(found: list[dict[str, Any]], part: str = "eval") -> list[int]:
    return [row["n"] for row in found if row["wml_split"] == part]


def test_no_split_trains_on_all() -> None:
    assert held_out(split("no_split", 1000)) == []


@pytest.mark.parametrize(("n_rows", "n_held_out"), [(499, 0), (500, 100), (50_000, 10_000), (60_000, 10_000)])
def test_auto_split_follows_the_number_of_rows(n_rows: int, n_held_out: int) -> None:
    assert len(held_out(split("auto_split", n_rows))) == n_held_out


def test_random_holds_out_about_the_fraction_and_the_same_rows_as_data_grows() -> None:
    small, large = held_out(split("random", 5_000)), held_out(split("random", 20_000))
    assert abs(len(large) / 20_000 - 0.2) < 0.01
    assert small == [n for n in large if n < 5_000]


def test_a_row_keeps_its_hash_from_one_release_of_the_engine_to_the_next() -> None:
    # Another hash would hold other rows out, and train every model again on rows that did not change.
    rows = "select 7 as n, 'a|b' as t, cast(null as varchar) as nothing, 0.1e0 as x, date '2024-02-29' as d, true as y"
    hashed = environment("duckdb").from_string("{{ row_hash('r') }}").render()
    sql = f"select {hashed} as row_hash from ({rows}) as r"
    assert DuckDBWarehouse(threads=1).fetch(sql).to_pylist() == [{"row_hash": 343170551336466349}]


def test_random_does_not_depend_on_the_order_of_rows() -> None:
    straight = split("random", "select n, n * 2 as y, n % 7 as x from range(3000) as t(n)")
    back = split("random", "select n, n * 2 as y, n % 7 as x from range(3000) as t(n) order by n desc")
    assert straight == back


def test_seq_holds_out_the_latest_rows_and_those_without_a_time() -> None:
    found = split(
        "seq",
        "select n, n + 1 as y, case when n <> 3 then n end as at from range(100) as t(n)",
        column="at",
        evaluation=0.1,
    )
    assert held_out(found) == [3, *range(91, 100)]


def test_seq_keeps_the_very_latest_for_the_test() -> None:
    found = split("seq", "select n, n + 1 as y, n as at from range(100) as t(n)", column="at", evaluation=0.2, test=0.1)
    assert held_out(found) == list(range(70, 90))
    assert held_out(found, "test") == list(range(90, 100))


def test_custom_holds_out_true_and_null() -> None:
    source = "select n, n + 1 as y, [true, false, null][1 + n % 3] as hold from range(9) as t(n)"
    assert held_out(split("custom", source, column="hold")) == [0, 2, 3, 5, 6, 8]


def test_custom_reads_words_too() -> None:
    source = "select n, n + 1 as y, ['TRAIN', 'EVAL', 'TEST'][1 + n % 3] as part from range(9) as t(n)"
    found = split("custom", source, column="part")
    assert (held_out(found), held_out(found, "test")) == ([1, 4, 7], [2, 5, 8])


def test_custom_refuses_other_words() -> None:
    source = "select n, n + 1 as y, 'validation' as part from range(9) as t(n)"
    with pytest.raises(DataError, match="neither TRAIN, EVAL nor TEST"):
        split("custom", source, column="part")


@settings(max_examples=10)
@given(evaluation=st.floats(0.01, 0.6), test=st.floats(0.0, 0.3))
def test_the_parts_are_disjoint_and_complete(evaluation: float, test: float) -> None:
    found = split("random", 2_000, evaluation=round(evaluation, 3), test=round(test, 3))
    assert len(found) == 2_000
    assert {row["wml_split"] for row in found} <= {"train", "eval", "test"}
    assert abs(len(held_out(found)) / 2_000 - evaluation) < 0.05


@pytest.mark.parametrize(("n_rows", "n_kinds", "n_held_out"), [(1000, 1, 200), (1000, 3, 200), (60_000, 7, 10_000)])
def test_auto_split_holds_out_as_many_of_equal_rows(n_rows: int, n_kinds: int, n_held_out: int) -> None:
    source = f"select n % {n_kinds} as n, n % {n_kinds} + 1 as y from range({n_rows}) as t(n)"
    found = split("auto_split", source)
    assert len(found) == n_rows
    assert len(held_out(found)) == n_held_out
    assert len(set(held_out(found))) == -(-n_held_out * n_kinds // n_rows)
