"""CREATE MODEL through Google's client: what is sent, how it is waited for, and how each end of it is told.

The service is a played one that knows jobs alone (tests/emulator/jobs_service.py); that BigQuery's own answers look
like its answers is what its pages say, and no more.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

from tests.emulator.jobs_service import Ending, JobsService, jobs_service
from warehouse_ml.definition import read_definition
from warehouse_ml.errors import SqlError, WarehouseError
from warehouse_ml.training.native import fit_native
from warehouse_ml.training.rows import RowSummary
from warehouse_ml.warehouses.bigquery.jobs import Patience
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

TEXT = """\
create or replace model churn
options (trainer = 'bigquery_ml', model_type = 'logistic_reg', input_label_cols = ['has_churned']) as
select amount, has_churned
from requests
"""
NAME = ("p", "shop", "churn_20240112_0123abcd")
SENT = """\
create model `p`.`shop`.`churn_20240112_0123abcd`
options ( model_type = 'logistic_reg', input_label_cols = ['has_churned']) as
select amount, has_churned
from requests"""
DEFINITION = read_definition(TEXT, name="churn", place="models/churn.sql", engine="bigquery")
ROWS = RowSummary(
    columns={}, n_rows=1, n_train=1, n_eval=0, n_test=0, data_hash="1-1", query=DEFINITION.query, n_asked=1
)


@pytest.fixture
def service() -> Iterator[JobsService]:
    with jobs_service() as found:
        yield found


def opened(service: JobsService, seconds: float | None = None) -> BigQueryWarehouse:
    settings = BigQuerySettings(
        "p", "shop", endpoint=service.address, labels={"team": "tests"}, timeout_seconds=seconds
    )
    return BigQueryWarehouse(settings, patience=Patience(seconds=5, attempts=3, pause_seconds=0.01))


def fit(service: JobsService, seconds: float | None = None) -> None:
    warehouse = opened(service, seconds)
    try:
        fit_native(warehouse, DEFINITION, ROWS, NAME)
    finally:
        warehouse.close()


def test_one_job_is_sent_and_waited_for(service: JobsService) -> None:
    service.endings.append(Ending(n_polls=3))
    warehouse = opened(service)
    fit_native(warehouse, DEFINITION, ROWS, NAME)
    ((job_id, job),) = service.jobs.items()
    assert job_id.startswith("wml-")
    configuration = job["configuration"]
    assert configuration["query"]["query"] == SENT
    assert configuration["labels"] == {"tool": "warehouse-ml", "team": "tests"}
    assert configuration["query"]["useLegacySql"] is False
    assert configuration["query"]["defaultDataset"] == {"projectId": "p", "datasetId": "shop"}
    # A model is for good: it needs no session, and none is opened for it.
    assert not configuration["query"].get("createSession")
    assert "connectionProperties" not in configuration["query"]
    assert service.ends[job_id].n_polls == 0
    assert (warehouse.n_jobs, warehouse.bytes_processed) == (1, 4096)
    assert service.cancelled == []
    warehouse.close()


@pytest.mark.parametrize(
    ("reason", "message", "kind", "says", "hint"),
    [
        (
            "invalidQuery",
            "Unrecognized name: amount; Did you mean amounts? at [3:8]",
            SqlError,
            'models/churn.sql:3:8: no column "amount"',
            'did you mean "amounts"?',
        ),
        (
            "invalidQuery",
            "Unknown option: model_kind at [2:11]",
            SqlError,
            # The option of ours that was cut out in front of it is counted.
            "models/churn.sql:2:35: Unknown option: model_kind",
            None,
        ),
        (
            "invalidQuery",
            "Failed to train model: the label has_churned has fewer than two classes",
            SqlError,
            "models/churn.sql: Failed to train model: the label has_churned has fewer than two classes",
            None,
        ),
        (
            "resourcesExceeded",
            "Resources exceeded during query execution",
            WarehouseError,
            "Resources exceeded",
            "read",
        ),
        (
            "accessDenied",
            "Access Denied: Dataset p:shop: Permission bigquery.models.create denied",
            WarehouseError,
            "bigquery.models.create",
            "wml doctor",
        ),
    ],
)
def test_a_training_that_fails_is_told(
    service: JobsService, reason: str, message: str, kind: type[WarehouseError | SqlError], says: str, hint: str | None
) -> None:
    service.endings.append(Ending(1, reason, message))
    with pytest.raises(kind) as found:
        fit(service)
    told = f"{found.value.place}: {found.value.what}"
    assert says in told
    assert (hint or "") in (found.value.hint or "")
    # What failed for a reason of its own is not tried again.
    assert len(service.jobs) == 1


def test_what_the_service_failed_is_run_again(service: JobsService) -> None:
    service.endings += [Ending(1, "backendError", "An internal error occurred"), Ending(1)]
    fit(service)
    assert service.statements == [SENT, SENT]
    first, second = service.jobs
    assert first.removesuffix("1") == second.removesuffix("2")


def test_a_lost_answer_trains_nothing_twice(service: JobsService) -> None:
    service.endings.append(Ending(2, loses_answer=True))
    fit(service)
    assert service.statements == [SENT]


def test_who_stops_waiting_stops_the_training(service: JobsService) -> None:
    service.endings.append(Ending(n_polls=-1))

    def interrupt() -> None:
        assert service.on_poll.wait(20)
        os.kill(os.getpid(), signal.SIGINT)

    killer = threading.Thread(target=interrupt)
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        fit(service)
    killer.join()
    assert service.cancelled == list(service.jobs)


def test_a_training_that_takes_too_long_is_stopped(service: JobsService) -> None:
    service.endings.append(Ending(n_polls=-1))
    with pytest.raises(WarehouseError, match="took longer than it may") as found:
        fit(service, seconds=1)
    assert service.cancelled == list(service.jobs)
    assert "timeout_seconds" in (found.value.hint or "")


def test_a_model_that_is_gone_is_told(service: JobsService) -> None:
    message = "Not found: Model p:shop.churn_20240112_0123abcd was not found in location US"
    service.endings.append(Ending(1, "notFound", message))
    warehouse = opened(service)
    with pytest.raises(WarehouseError) as found:
        warehouse.fetch("select * from ml.predict(model `p`.`shop`.`churn_20240112_0123abcd`, (select 1 as amount))")
    assert found.value.what == 'no model "shop.churn_20240112_0123abcd" in project p'
    assert "wml train --force" in (found.value.hint or "")
    warehouse.close()
