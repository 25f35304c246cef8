"""Networks that are cut: what was asked for happens once, or not at all and may be asked for again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from tests.bigquery.proxy import Proxy, proxied
from tests.emulator.start import Emulator
from warehouse_ml.errors import WarehouseError
from warehouse_ml.warehouses.base import Relation

bigquery = pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

from warehouse_ml.warehouses.bigquery.client import client_of  # noqa: E402
from warehouse_ml.warehouses.bigquery.jobs import Patience  # noqa: E402
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings  # noqa: E402
from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse  # noqa: E402

PATIENCE = Patience(seconds=3, attempts=3, pause_seconds=0.05, chunk_retries=0)
ROWS = Relation("rows")
MANY = pa.table({"id": np.arange(60_000), "x": np.random.default_rng(1).normal(size=60_000)})
START = b"POST /bigquery/v2/projects/wml-tests/jobs?"
UPLOAD = b"PUT /upload/"


@pytest.fixture
def proxy(bigquery_server: Emulator) -> Iterator[Proxy]:
    with proxied(bigquery_server.rest_port) as found:
        yield found


@pytest.fixture
def warehouse(proxy: Proxy, bigquery_server: Emulator, request: pytest.FixtureRequest) -> Iterator[BigQueryWarehouse]:
    name = f"cut_{os.getpid()}_{abs(hash(request.node.name))}"
    direct = client_of(BigQuerySettings("wml-tests", name, endpoint=bigquery_server.address))
    direct.create_dataset(f"wml-tests.{name}")
    settings = BigQuerySettings("wml-tests", name, endpoint=f"http://127.0.0.1:{proxy.port}")
    opened = BigQueryWarehouse(settings, patience=PATIENCE)
    yield opened
    proxy.mend()
    opened.close()


def ids(warehouse: BigQueryWarehouse) -> list[int]:
    found: list[int] = warehouse.fetch("select id from `rows` order by id")["id"].to_pylist()
    return found


def test_an_upload_cut_in_its_middle_is_begun_again(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    proxy.cut_sending(UPLOAD, 200_000)
    warehouse.load(ROWS, MANY)
    assert proxy.n_cut == 1
    assert warehouse.fetch("select id, x from `rows`").sort_by("id").equals(MANY)


def test_an_upload_that_is_always_cut_leaves_what_was_there(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    warehouse.load(ROWS, pa.table({"id": [1, 2]}))
    proxy.cut_sending(UPLOAD, 200_000, times=10)
    with pytest.raises(WarehouseError, match="cannot be reached") as caught:
        warehouse.load(ROWS, MANY)
    assert caught.value.is_retryable
    assert "run it again" in str(caught.value)
    proxy.mend()
    assert ids(warehouse) == [1, 2]
    assert warehouse.kinds() == {"rows": "table"}
    warehouse.load(ROWS, MANY)
    assert len(ids(warehouse)) == len(MANY)


def test_a_scratch_table_that_is_cut_leaves_nothing(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    proxy.cut_sending(UPLOAD, 200_000, times=10)
    with pytest.raises(WarehouseError, match="cannot be reached"):
        warehouse.load(ROWS, MANY, temporary=True)
    proxy.mend()
    assert warehouse.kinds() == {}


def test_an_upload_whose_answer_is_lost_is_loaded_once(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    proxy.drop_answer(UPLOAD)
    # A scratch table comes in by an append, which would show a second time.
    warehouse.load(ROWS, MANY, temporary=True)
    assert proxy.n_dropped == 1
    assert len(ids(warehouse)) == len(MANY)


def test_a_statement_whose_answer_is_lost_is_run_once(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    warehouse.load(ROWS, pa.table({"id": [1]}))
    proxy.drop_answer(START)
    warehouse.run("insert into `rows` (id) values (2)")
    assert proxy.n_dropped == 1
    assert ids(warehouse) == [1, 2]


def test_a_transaction_outlives_lost_answers(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    warehouse.load(ROWS, pa.table({"id": [1]}))
    with warehouse.transaction():
        # Of the beginning, of the change, and of the commit.
        proxy.drop_answer(START, times=2)
        warehouse.run("insert into `rows` (id) values (2)")
        proxy.drop_answer(START)
    assert proxy.n_dropped == 3
    assert ids(warehouse) == [1, 2]


def test_a_query_whose_answer_is_lost_is_answered(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    warehouse.load(ROWS, MANY)
    proxy.drop_answer(b"GET /bigquery/v2/projects/wml-tests/queries/", times=1)
    assert len(ids(warehouse)) == len(MANY)
    assert proxy.n_dropped == 1


def test_a_service_that_is_not_there_is_told_of(warehouse: BigQueryWarehouse, proxy: Proxy) -> None:
    assert warehouse.kinds() == {}
    proxy.is_down = True
    warehouse.client._http.close()
    with pytest.raises(WarehouseError) as caught:
        warehouse.fetch("select 1 as a")
    assert caught.value.exit_code == 3
    assert caught.value.is_retryable
