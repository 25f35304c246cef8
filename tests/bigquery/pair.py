"""A project in two folders, one on DuckDB and one that asks the emulator through Google's client."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.emulator.start import Emulator
from tests.googlesql.both import _plain, same_rows
from tests.googlesql.test_run import BY_NATURE
from tests.tiny import edit
from tests.wml import Done, wml
from warehouse_ml.warehouses.base import WML
from warehouse_ml.warehouses.bigquery.client import client_of
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

__all__ = ["Pair"]

_numbers = itertools.count(1)
_DIFFER = {*BY_NATURE, "fired_at", "seconds"}
_TARGET = """\
[targets.bigquery]
project = "wml-tests"
dataset = "{dataset}"
wml_dataset = "{wml_dataset}"
endpoint = "{endpoint}"

"""


class Pair:
    """Two folders of one project.

    Parameters
    ----------
    here, there : Path
        The folders, both written for DuckDB; ``there`` is given a target of the emulator in its place.
    server : Emulator
    """

    def __init__(self, here: Path, there: Path, server: Emulator) -> None:
        self.here, self.there = here, there
        name = f"pair_{os.getpid()}_{next(_numbers)}"
        self.settings = BigQuerySettings("wml-tests", f"ml_{name}", wml_dataset=f"wml_{name}", endpoint=server.address)
        client = client_of(self.settings)
        for dataset in (self.settings.dataset, self.settings.wml_dataset):
            client.create_dataset(f"wml-tests.{dataset}")
        client.close()
        target = _TARGET.format(
            dataset=self.settings.dataset, wml_dataset=self.settings.wml_dataset, endpoint=server.address
        )
        edit(there, "wml.toml", "[targets.duckdb]", f"{target}[targets.duckdb]")

    def run(self, *arguments: str, code: int = 0) -> tuple[Done, Done]:
        """Run a command in both folders; both must end with a code, and what they print as JSON must be the same."""
        ours, theirs = (wml(folder, *arguments, "--format", "json") for folder in (self.here, self.there))
        for one in (ours, theirs):
            assert one.code == code, one.out + one.err
        _same(json.loads(ours.out), json.loads(theirs.out), " ".join(arguments))
        return ours, theirs

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of every table that the toolkit keeps on the emulator; when a rule fired is left out."""
        warehouse = BigQueryWarehouse(self.settings, read_only=True)
        names = sorted(name for name, kind in warehouse.kinds(WML).items() if kind == "table")
        found = {name: _plain(warehouse.fetch(f"select * from wml.{name}")) for name in names}
        warehouse.close()
        for row in found["rule_firings"]:
            row.pop("fired_at")
        return found

    def rows(self, query: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the rows of a query that both engines understand, in any order."""
        with duckdb.connect(str(self.here / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            ours = _plain(connection.sql(query).to_arrow_table())
        warehouse = BigQueryWarehouse(self.settings, read_only=True)
        theirs = _plain(warehouse.fetch(query))
        warehouse.close()
        return ours, theirs

    def agree(self, query: str, *, but: Collection[str] = ()) -> int:
        """Compare the rows of a query, doubles to 1e-9, hashes and clocks apart; return how many there are."""
        ours, theirs = self.rows(query)
        for row in (*ours, *theirs):
            if "returned_row" in row:
                row |= {f"returned {name}": value for name, value in json.loads(row.pop("returned_row")).items()}
            for name in _DIFFER.union(but):
                row.pop(name, None)
        same_rows(ours, theirs)
        return len(ours)

    def tables(self) -> list[str]:
        """Return the tables and views that both have in ``wml``."""
        warehouse = BigQueryWarehouse(self.settings, read_only=True)
        # Files, which DuckDB reads in place, are tables there.
        theirs = {name for name in warehouse.kinds(WML) if not name.startswith("file_")}
        warehouse.close()
        with duckdb.connect(str(self.here / "warehouse.duckdb"), read_only=True) as connection:
            sql = f"select table_name from information_schema.tables where table_schema = '{WML}'"
            ours = {name for (name,) in connection.execute(sql).fetchall()}
        assert ours == theirs, sorted(ours ^ theirs)
        return sorted(ours)


def _same(ours: Any, theirs: Any, where: str) -> None:
    """Compare what two commands printed."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for name in ours.keys() - _DIFFER:
            _same(ours[name], theirs[name], f"{where}, {name}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), where
        for place, (left, right) in enumerate(zip(ours, theirs, strict=True), start=1):
            _same(left, right, f"{where}, {place}")
    elif isinstance(ours, float):
        assert theirs == pytest.approx(ours, rel=1e-9, abs=1e-9, nan_ok=True), where
    else:
        assert ours == theirs, where
