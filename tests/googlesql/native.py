"""The small project with models that BigQuery ML trains, which are played; see ml.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.googlesql.both import Both, playing
from tests.googlesql.ml import MlWarehouse
from tests.tiny import edit
from tests.wml import ok
from warehouse_ml.warehouses.base import Relation

AS_OF, LATER = "2024-01-12", "2024-01-15"
OPTION = "    model_type = 'logistic_reg',\n"
TRAINER = "    trainer = 'bigquery_ml',\n"
CHURN = "coalesce(amount, 0e0) / 100e0"
SETTINGS = '[targets.bigquery]\nproject = "my-project"\ndataset = "shop"\n'


@contextmanager
def native_project(
    root: Path, answers: Mapping[str, str | dict[str, str]] | None = None, n_events: int = 400
) -> Iterator[Both]:
    """The small project, its model trained by BigQuery ML where the target is BigQuery."""
    both = Both(root, n_events)
    both.warehouse = MlWarehouse({"has_churned": CHURN, **(answers or {})})
    both.warehouse.load(Relation("events"), pq.read_table(both.bigquery / "data" / "events.parquet"))
    edit(both.bigquery, "wml.toml", "[targets.bigquery]\n", SETTINGS)
    both.write(lambda folder: edit(folder, "models/churn.sql", OPTION, OPTION + TRAINER))
    with playing(both):
        yield both


def train(native: Both, *arguments: str, model: str = "churn", as_of: str = AS_OF) -> dict[str, Any]:
    """Train, and return the row that is printed."""
    (row,) = ok(native.bigquery, "train", model, "--as-of", as_of, *arguments, "--format", "json").rows
    return dict(row)


def made(native: Both) -> MlWarehouse:
    """Return the warehouse as one with models."""
    assert isinstance(native.warehouse, MlWarehouse)
    return native.warehouse
