"""Large results through the Storage Read API, spoken by Google's own client before the emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("google.cloud.bigquery_storage", reason='not installed: pip install "warehouse-ml[bigquery]"')

from tests.emulator.start import Emulator
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.bigquery.client import client_of
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

N = 25_000
MANY = pa.table({"id": np.arange(N), "x": np.random.default_rng(2).normal(size=N), "name": [f"n{i}" for i in range(N)]})


class _Counted:
    """Google's client, with a count of what it was asked."""

    def __init__(self, client: object) -> None:
        self._client = client
        self.n_sessions = 0

    def create_read_session(self, *arguments: object, **names: object) -> object:
        self.n_sessions += 1
        return self._client.create_read_session(*arguments, **names)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)


@pytest.fixture
def storage(bigquery_server: Emulator) -> Iterator[_Counted]:
    import grpc
    from google.cloud.bigquery_storage import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    with grpc.insecure_channel(f"127.0.0.1:{bigquery_server.grpc_port}") as channel:
        yield _Counted(BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel)))


@pytest.fixture
def warehouse(storage: _Counted, bigquery_server: Emulator) -> Iterator[BigQueryWarehouse]:
    settings = BigQuerySettings("wml-tests", f"storage_{os.getpid()}", endpoint=bigquery_server.address)
    client_of(settings).create_dataset(f"wml-tests.{settings.dataset}", exists_ok=True)
    opened = BigQueryWarehouse(settings, storage=storage)
    yield opened
    opened.close()


def test_many_rows_are_read_through_it(warehouse: BigQueryWarehouse, storage: _Counted) -> None:
    warehouse.load(Relation("many"), MANY)
    found = warehouse.fetch("select id, x, name from `many`")
    assert storage.n_sessions == 1
    assert found.sort_by("id").equals(MANY)


def test_a_stream_keeps_its_order(warehouse: BigQueryWarehouse, storage: _Counted) -> None:
    warehouse.load(Relation("many"), MANY)
    reader = warehouse.stream("select id from `many` order by id desc", batch_rows=4000)
    batches = list(reader)
    assert storage.n_sessions == 1
    assert max(batch.num_rows for batch in batches) <= 4000
    assert [value for batch in batches for value in batch["id"].to_pylist()] == list(range(N - 1, -1, -1))


def test_few_rows_are_not(warehouse: BigQueryWarehouse, storage: _Counted) -> None:
    warehouse.load(Relation("many"), MANY)
    assert warehouse.fetch("select id from `many` where id < 5").num_rows == 5
    assert storage.n_sessions == 0
