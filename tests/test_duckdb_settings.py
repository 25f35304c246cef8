"""``[targets.duckdb]`` in wml.toml: what it may say, and that the engine keeps to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.wml import wml
from warehouse_ml.errors import ProjectError, WarehouseError
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse
from warehouse_ml.warehouses.duckdb_settings import DuckDBSettings, duckdb_settings

PLACE = "wml.toml: [targets.duckdb]"


def test_nothing_need_be_set() -> None:
    assert duckdb_settings({}, PLACE) == DuckDBSettings("warehouse.duckdb", None, None)


def test_all_of_them() -> None:
    settings = {"type": "duckdb", "path": "a.duckdb", "threads": 2, "memory_limit": "2GB", "max_training_rows": 1000}
    assert duckdb_settings(settings, PLACE) == DuckDBSettings("a.duckdb", 2, 2_000_000_000)
    assert duckdb_settings({"memory_limit": "1.5 GiB"}, PLACE).memory_limit == 3 * 2**29
    assert duckdb_settings({"memory_limit": 500_000_000}, PLACE).memory_limit == 500_000_000


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"memory_limt": "2GB"}, 'did you mean "memory_limit"'),
        ({"memory_limit": "lots"}, 'such as memory_limit = "2GB"'),
        ({"memory_limit": True}, "is not a number of bytes"),
        ({"memory_limit": -1}, "is too little"),
        ({"memory_limit": "10MB"}, 'at least memory_limit = "100MB"'),
        ({"threads": 0}, "is not a number of threads"),
        ({"threads": "2"}, "is not a number of threads"),
        ({"path": 3}, "path = 3 must be text"),
    ],
)
def test_a_wrong_one_is_told(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectError) as told:
        duckdb_settings(settings, PLACE)
    assert PLACE in str(told.value)
    assert says in str(told.value)


def test_commands_keep_to_it(tmp_path: Path) -> None:
    settings = tmp_path / "wml.toml"
    settings.write_text('[targets.duckdb]\nmemory_limit = "300MB"\nthreads = 1\n')
    DuckDBWarehouse(tmp_path / "warehouse.duckdb").close()
    asked = "select current_setting('memory_limit') as m, current_setting('threads') as t"
    assert wml(tmp_path, "query", asked, "--format", "json").rows == [{"m": "286.1 MiB", "t": 1}]
    assert "286.1 MiB" in wml(tmp_path, "doctor").out
    settings.write_text('[targets.duckdb]\nmemory_limt = "300MB"\n')
    for command in (("query", asked), ("build",), ("doctor",)):
        done = wml(tmp_path, *command)
        assert done.code != 0
        assert 'unknown setting "memory_limt"' in done.out + done.err


def test_what_does_not_fit_waits_beside_the_file(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", threads=1, memory_limit=100_000_000)
    warehouse.run("create temp table many as select hash(n) as a, hash(n + 1) as b from range(8000000) as numbers (n)")
    waiting = sum(file.stat().st_size for file in (tmp_path / "warehouse.duckdb.tmp").iterdir())
    assert waiting > 20_000_000
    same = "select bit_xor(a) = (select bit_xor(hash(n)) from range(8000000) as numbers (n)) as is_same from many"
    assert warehouse.fetch(same).to_pylist() == [{"is_same": True}]
    with pytest.raises(WarehouseError, match="failed to allocate") as told:
        warehouse.run("create temp table one as select list(a) as l from many")
    assert "memory_limit" in str(told.value)
    warehouse.close()
    assert [file.name for file in tmp_path.iterdir()] == ["warehouse.duckdb"]
