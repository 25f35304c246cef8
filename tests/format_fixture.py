"""Writes ``tests/fixtures/version_format_<n>/``: versions of this release, requests, and what they answer.

Run once for each new number, ``python -m tests.format_fixture``, and committed. Later releases must give the same
answers from the same bytes, so a folder that is there is never written again.
"""

from __future__ import annotations

import datetime as dt
import math
import platform
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from tests.kinds import write_kinds
from tests.tiny import SPLIT
from tests.wml import ok
from warehouse_ml.registry import Registry
from warehouse_ml.registry.version import FORMAT
from warehouse_ml.scoring import score_arrow
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

FIXTURES = Path(__file__).parent / "fixtures"
MODELS = ("churn_transform", "churn_trees", "amount_linear")
REQUESTS = Relation("asked")

# Usual rows, and what rows may hold besides.
_ROWS = [
    (12.5, 3, "north"),
    (89.94, 12, "south"),
    (50.0, 19, "east"),
    (0.0, 0, "east"),
    (99.99, None, "north"),
    (None, 7, "south"),
    (None, None, None),
    (33.3, 1, "west"),
    (33.3, 1, ""),
    (math.nan, 5, "north"),
    (math.inf, 5, "south"),
    (-1e300, 2, "east"),
    (-0.0, 4, "NORTH"),
    (1e-12, 2**31 - 1, "south"),
    (61.4567890123, 8, "o'hara"),
    (77.73, 15, "north"),
]


def requests() -> pa.Table:
    """Return the requests that the versions are asked."""
    amounts, visits, regions = zip(*_ROWS, strict=True)
    return pa.table(
        {
            "request_id": pa.array([f"f{index}" for index in range(len(_ROWS))]),
            "requested_at": pa.array([SPLIT + index * dt.timedelta(hours=5) for index in range(len(_ROWS))]),
            "amount": pa.array(amounts, pa.float64()),
            "visits": pa.array(visits, pa.int32()),
            "region": pa.array(regions, pa.string()),
        }
    )


def answers(registry: Registry, asked: pa.Table, way: str) -> list[dict[str, object]]:
    """Return what each version says: by its own statement (``sql``), or from its parameters (``arrays``)."""
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(REQUESTS, asked)
    found: list[dict[str, object]] = []
    for version in registry.versions():
        stored = registry.load(version)
        source = statement("warehouse_ml.warehouses", "select_all.sql", "duckdb", relation=REQUESTS)
        if way == "sql":
            sql = statement("warehouse_ml.requests", "score.sql", "duckdb", source=source, scoring=stored.scoring_sql)
            rows = warehouse.fetch(sql)
        else:
            rows = score_arrow(warehouse, stored.parameters, source, ["request_id"]).read_all()
        rows = rows.select(["request_id", "score", "prediction"]).to_pylist()
        found += [{"model": version.model, **row} for row in rows]
    warehouse.close()
    return sorted(found, key=lambda row: (str(row["model"]), str(row["request_id"])))


def write(folder: Path) -> None:
    """Write the fixture into a folder that is not there yet."""
    if folder.exists():
        raise FileExistsError(f"{folder} is there, and stays as it is: old versions are not written again")
    with tempfile.TemporaryDirectory() as made:
        root = write_kinds(Path(made), MODELS)
        # Which kernel it was made on is nobody's business.
        with mock.patch.object(platform, "platform", return_value=platform.system()):
            for model in MODELS:
                ok(root, "train", model, "--as-of", f"{SPLIT:%Y-%m-%d}")
        shutil.copytree(root / "artifacts", folder / "artifacts", ignore=shutil.ignore_patterns(".lock"))
    asked = requests()
    expected = answers(Registry(folder / "artifacts"), asked, "sql")
    pq.write_table(asked, folder / "requests.parquet")
    pq.write_table(pa.Table.from_pylist(expected), folder / "expected.parquet")


if __name__ == "__main__":
    write(FIXTURES / f"version_format_{FORMAT}")
