"""Jobs of BigQuery: started once, waited for, and run again where the service alone was at fault."""

from __future__ import annotations

import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.cloud import bigquery

from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.bigquery.told import NETWORK, driver_errors, is_passing

__all__ = ["Jobs", "Patience"]

_Job = TypeVar("_Job", bound=Any)


@dataclass(frozen=True)
class Patience:
    """How long what fails for no fault of ours is tried again.

    Parameters
    ----------
    seconds : float
        For one request while the network is cut.
    attempts : int
        Of a job that the service failed, and of an upload that was cut.
    pause_seconds : float
        Before the second attempt; twice as long before each further one.
    chunk_retries : int
        Of one chunk of an upload, before the upload is begun again.
    """

    seconds: float = 300.0
    attempts: int = 4
    pause_seconds: float = 1.0
    chunk_retries: int = 2


def _is_network(error: BaseException) -> bool:
    # A certificate that does not fit will not fit later either.
    if isinstance(error, (requests.exceptions.SSLError, auth.RefreshError)):
        return False
    return isinstance(error, (*NETWORK, api.TooManyRequests))


class Jobs:
    """Starts jobs and waits for them.

    The id of a job is ours and stays the same however often the request to start it is sent. So a request whose
    answer was lost starts nothing twice: the service says that it has the job already, and it is waited for.

    Parameters
    ----------
    client : bigquery.Client
    settings : BigQuerySettings
    patience : Patience
    """

    def __init__(self, client: bigquery.Client, settings: BigQuerySettings, patience: Patience) -> None:
        self.client = client
        self.settings = settings
        self._patience = patience
        self.retry = Retry(predicate=_is_network, initial=0.5, maximum=20, multiplier=2, timeout=patience.seconds)

    def query(self, sql: str, config: bigquery.QueryJobConfig, location: str | None) -> tuple[Any, Any]:
        """Run a statement; return its job and its rows."""

        def start(job_id: str) -> bigquery.QueryJob:
            return self.client.query(
                sql, job_config=config, job_id=job_id, location=location, retry=self.retry, job_retry=None
            )

        with driver_errors(sql):
            return self._run(start, location)

    def dry_run(self, sql: str, config: bigquery.QueryJobConfig, location: str | None) -> bigquery.QueryJob:
        """Return the job that a statement would be, as far as the service tells without running it."""
        config.dry_run = True
        with driver_errors(sql):
            return self.client.query(sql, job_config=config, location=location, retry=self.retry, job_retry=None)

    def load(self, path: Path, table: Any, config: bigquery.LoadJobConfig, location: str | None) -> None:
        """Upload a file and load it. Nothing of it is there before all of it is."""

        def start(job_id: str) -> bigquery.LoadJob:
            # The upload is a conversation, and of a size that need not be known: a job starts at its end.
            with path.open("rb") as file, warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                return self.client.load_table_from_file(
                    file,
                    table,
                    job_id=job_id,
                    location=location,
                    job_config=config,
                    num_retries=self._patience.chunk_retries,
                    rewind=True,
                )

        with driver_errors():
            self._run(self._again_after_a_cut(start), location)

    def copy(self, source: Any, target: Any, config: bigquery.CopyJobConfig, location: str | None) -> None:
        """Copy a table, which moves no bytes and costs nothing."""

        def start(job_id: str) -> bigquery.CopyJob:
            return self.client.copy_table(
                source, target, job_id=job_id, location=location, job_config=config, retry=self.retry
            )

        with driver_errors():
            self._run(start, location)

    def _run(self, start: Callable[[str], _Job], location: str | None) -> tuple[_Job, Any]:
        call = uuid.uuid4().hex
        attempts, pause = self._patience.attempts, self._patience.pause_seconds
        for attempt in range(1, attempts + 1):
            job_id = f"wml-{call}-{attempt}"
            try:
                job = start(job_id)
            except api.Conflict:
                # The request came through before, and its answer was lost.
                job = self._known(job_id, location)
            try:
                return job, self._waited(job)
            except api.GoogleAPICallError as error:
                if attempt == attempts or not is_passing(error):
                    raise
                job.reload(retry=self.retry)
                if job.state == "DONE" and job.error_result is None:
                    return job, self._waited(job)
            time.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _known(self, job_id: str, location: str | None) -> Any:
        return self.client.get_job(job_id, location=location, retry=self.retry)

    def _waited(self, job: Any) -> Any:
        timeout = self.settings.timeout_seconds
        try:
            if isinstance(job, bigquery.QueryJob):
                return job.result(retry=self.retry, timeout=timeout, job_retry=None)
            return job.result(retry=self.retry, timeout=timeout)
        except (KeyboardInterrupt, FutureTimeoutError):
            # Nobody waits for it any longer; what it costs from here on is not wanted either.
            with suppress(Exception):
                job.cancel(retry=None, timeout=5)
            raise

    def _again_after_a_cut(self, start: Callable[[str], _Job]) -> Callable[[str], _Job]:
        """Begin an upload again that was cut: its bytes belong to no job yet. If they do, the service says so."""

        def tried(job_id: str) -> _Job:
            pause = self._patience.pause_seconds
            for _ in range(self._patience.attempts - 1):
                try:
                    return start(job_id)
                except NETWORK:
                    time.sleep(pause)
                    pause *= 2
            return start(job_id)

        return tried
