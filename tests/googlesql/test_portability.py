"""Each rule of ``wml lint`` is true: the construct runs on one engine alone, or means something else on each.

The same statement is sent to DuckDB and to GoogleSQL's reference implementation; what the rule names instead is sent to
both as well, and gives the same rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from tests.googlesql.both import _plain, same_rows
from tests.googlesql.warehouse import GoogleSqlWarehouse
from tests.portability_cases import BIGQUERY, DUCKDB
from warehouse_ml import templates
from warehouse_ml.errors import WmlError
from warehouse_ml.portability import RULES, check_file
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

_ALL = [("duckdb", code) for code in DUCKDB] + [("bigquery", code) for code in BIGQUERY]
# The reference implementation analyses them and does not evaluate them.
_ONLY_ANALYSED = {"about-quantiles"}


def _days(days: list[int], hour: int = 0) -> pa.Array:
    instants = [dt.datetime(2024, 1, day, hour, tzinfo=dt.UTC) for day in days]
    return pa.array(instants, pa.timestamp("us", tz="UTC"))


_T = pa.table(
    {
        "id": [1, 2, 3, 4],
        "n": [1, 4, 3, None],
        "x": [5.0, 3.0, 1.0, 7.0],
        "word": ["a-b", "b-a", None, "cab"],
        "flag": [True, False, True, None],
        "seen": _days([1, 2, 7, 9], 5),
        "items": [[1, 2], [2, 3], [], [5]],
    }
)
_U = pa.table({"id": [1, 2, 2], "seen": _days([1, 1, 2])})


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Warehouse]]:
    found: dict[str, Warehouse] = {"duckdb": DuckDBWarehouse(threads=1), "bigquery": GoogleSqlWarehouse()}
    for warehouse in found.values():
        warehouse.load(Relation("t"), _T)
        warehouse.load(Relation("u"), _U)
    yield found
    found["duckdb"].close()


def _render(text: str, engine: str) -> str:
    return templates.render(text, engine, {}, place="q.sql")


def _answer(warehouse: Warehouse, text: str) -> list[dict[str, Any]] | None:
    try:
        return _plain(warehouse.fetch(_render(text, warehouse.engine)))
    except WmlError:
        return None


def _case(engine: str, code: str) -> tuple[str, str]:
    return (DUCKDB if engine == "duckdb" else BIGQUERY)[code]


@pytest.mark.parametrize(("engine", "code"), _ALL)
def test_the_construct_is_refused_or_means_something_else(
    engines: dict[str, Warehouse], engine: str, code: str
) -> None:
    rule, (written, _) = RULES[code], _case(engine, code)
    ours, theirs = (_answer(engines[name], written) for name in ("duckdb", "bigquery"))
    refused = {name for name, rows in (("duckdb", ours), ("bigquery", theirs)) if rows is None}
    other = "bigquery" if engine == "duckdb" else "duckdb"
    if code == "syntax":
        assert refused == {engine}
        return
    assert refused - {other} <= ({"bigquery"} if code in _ONLY_ANALYSED or rule.is_rare else set())
    if rule.is_rare:
        # For the values that it is about, an error or another row.
        assert ours != theirs
    elif other in rule.refused_by:
        assert other in refused
    else:
        assert ours is not None
        assert theirs is not None
        # A type is not a value: an instant and a time without a zone are told apart by their type.
        types = [engines[name].columns(_render(written, name)) for name in ("duckdb", "bigquery")]
        assert ours != theirs or types == [{"a": "TIMESTAMP"}, {"a": "TIMESTAMP"}]


@pytest.mark.parametrize(("engine", "code"), _ALL)
def test_what_is_named_instead_gives_the_same_on_both(engines: dict[str, Warehouse], engine: str, code: str) -> None:
    _, fixed = _case(engine, code)
    ours, theirs = (_answer(engines[name], fixed) for name in ("duckdb", "bigquery"))
    assert ours
    assert theirs
    same_rows([_by_place(row) for row in ours], [_by_place(row) for row in theirs])


def _by_place(row: dict[str, Any]) -> dict[str, Any]:
    # A column without a name has one of the engine's.
    return {str(place): value for place, value in enumerate(row.values())}


@pytest.mark.parametrize(("engine", "code"), _ALL)
def test_the_construct_is_found_and_what_is_named_instead_is_not(engine: str, code: str) -> None:
    written, fixed = _case(engine, code)
    found = check_file(f"-- a comment\n{written}", place="q.sql", engine=engine)
    assert code in {finding.rule.code for finding in found}
    assert all(finding.place.startswith("q.sql:2") for finding in found if code != "syntax")
    if code == "math-domain":
        # A condition around it is not looked at.
        return
    left = {finding.rule.code for finding in check_file(fixed, place="q.sql", engine=engine)}
    assert left <= {"math-domain", "regexp-extract"} - {code} | ({"regexp-extract"} & {code})


def test_every_rule_has_a_case() -> None:
    assert {code for _, code in _ALL} == set(RULES)


@pytest.mark.parametrize(("engine", "code"), _ALL)
def test_what_the_other_engine_refuses_is_an_error_there(engine: str, code: str) -> None:
    written, _ = _case(engine, code)
    other = "bigquery" if engine == "duckdb" else "duckdb"
    found = check_file(written, place="q.sql", engine=engine, refusing=frozenset({other}))
    levels = {finding.rule.code: finding.level for finding in found}
    rule = RULES[code]
    assert levels[code] == ("error" if other in rule.refused_by or code == "syntax" else rule.level)
