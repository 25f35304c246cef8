"""A BigQuery project behind the protocol of all warehouses."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api
from google.cloud import bigquery

from warehouse_ml.errors import SqlError, TooManyBytesError, WarehouseError, WmlError
from warehouse_ml.warehouses.base import WML, Parameters, Relation
from warehouse_ml.warehouses.bigquery.client import client_of, is_google, storage_client_of
from warehouse_ml.warehouses.bigquery.files import Files
from warehouse_ml.warehouses.bigquery.jobs import Jobs, Patience
from warehouse_ml.warehouses.bigquery.layouts import kind_told, layouts_of, listed
from warehouse_ml.warehouses.bigquery.loads import Loads
from warehouse_ml.warehouses.bigquery.rewrite import Kind, kind_of, relation_read, rewritten
from warehouse_ml.warehouses.bigquery.rows import batches_of, rows_of
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.bigquery.told import NEEDS_FILTER, driver_errors
from warehouse_ml.warehouses.bigquery.undo import Undo
from warehouse_ml.warehouses.bigquery.values import query_parameters, type_name
from warehouse_ml.warehouses.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BigQueryWarehouse"]

_LEAST_BILLED = 10 * 1024 * 1024
_LEFTOVERS_EXPIRE = dt.timedelta(days=1)
_FILE_ROW = "wml_file_row"


class BigQueryWarehouse:
    """Two datasets of a BigQuery project: the user's own relations, and the toolkit's tables.

    A connection is a session of BigQuery from the moment it needs one: for its temporary tables, and for
    transactions. BigQuery keeps changes of rows in a transaction, and definitions of tables outside of them: inside
    ``transaction()``, a definition takes effect at once, and so does what was changed before it. If the block fails,
    each table and view that it defined is put back as it was; changes of rows since the last definition never
    happened. Only if the process itself dies are the definitions made so far left in force.

    Parameters
    ----------
    settings : BigQuerySettings
    name : str
        What the project calls this target.
    read_only : bool
        Refuse whatever changes a table.
    client : bigquery.Client, optional
        Made from Google's default credentials if not given.
    storage : bigquery_storage.BigQueryReadClient, optional
        Reads large results; made when it is first needed, if its package is there.
    patience : Patience, optional
        How long what fails for no fault of ours is tried again.

    Raises
    ------
    WarehouseError
        If there are no credentials.
    """

    engine = "bigquery"
    defines_in_transactions = False

    def __init__(
        self,
        settings: BigQuerySettings,
        *,
        name: str = "bigquery",
        read_only: bool = False,
        client: bigquery.Client | None = None,
        storage: Any = None,
        patience: Patience | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.read_only = read_only
        self.max_bytes: int | None = None
        self.bytes_processed = 0
        self.n_jobs = 0
        self.client = client or client_of(settings)
        self.jobs = Jobs(self.client, settings, patience or Patience())
        self.log_layout, self.metrics_layout = settings.log_layout, settings.metrics_layout
        self._storage = storage
        self._has_storage = storage is not None or is_google(settings)
        self._location: str | None = None
        self._session: str | None = None
        self._temporary: set[str] = set()
        self._depth = 0
        self._is_begun = False
        self._undo = Undo(self)
        self._loads = Loads(self.jobs, self.labels())
        # Who only reads has files as tables of the session, so that nothing is changed that others see.
        self._files = Files(self._load_file, self.description, None if read_only else WML)

    def run(self, sql: str, parameters: Parameters | None = None) -> None:
        kind = kind_of(sql, self._temporary)
        self._refuse(kind, sql)
        scratch = kind.relation.name.lower() if kind.is_temporary and kind.relation is not None else None
        if scratch is not None and kind.action == "DROP" and scratch not in self._temporary:
            # There may be no session yet whose table it could be.
            return
        if self._depth:
            self._prepare(kind)
        self._query(sql, parameters, kind)
        if scratch is not None:
            (self._temporary.discard if kind.action == "DROP" else self._temporary.add)(scratch)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> pa.Table:
        job, rows = self._read(sql, parameters)
        with driver_errors(sql):
            return rows_of(job, rows, self.storage_client)

    def stream(
        self, sql: str, parameters: Parameters | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        job, rows = self._read(sql, parameters)
        with driver_errors(sql):
            return batches_of(job, rows, self.storage_client, batch_rows, sql)

    def load(self, relation: Relation, rows: pa.Table, *, temporary: bool = False) -> None:
        if not temporary:
            kind = Kind("define", "CREATE", what="TABLE", relation=relation, replaces=True)
            self._refuse(kind, "load")
            if self._depth:
                self._prepare(kind)
            self._loads.load(self.reference(relation), rows, self.location)
            return
        # A load job cannot write what is a session's own, so the rows come in by a table that is gone again at once,
        # and by itself in a day if this process dies.
        staged = Relation(f"_wml_load_{uuid.uuid4().hex[:16]}")
        try:
            self._loads.load(self.reference(staged), rows, self.location, expires=_LEFTOVERS_EXPIRE)
            self.run(f"create or replace temp table `{relation.name}` as select * from `{staged.name}`")
        finally:
            self.drop(staged)

    def drop_temporary(self, names: Iterable[str]) -> None:
        there = [name for name in names if name.lower() in self._temporary]
        if there:
            # One job for all of them: a job of its own takes most of a second, whatever it does.
            sql = ";\n".join(f"drop table if exists _session.`{name}`" for name in there)
            self._query(sql, None, Kind("define", "DROP", is_temporary=True, is_several=True))
            self._temporary.difference_update(name.lower() for name in there)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._depth = 1
        try:
            yield
        except BaseException:
            self._depth = 0
            self._roll_back()
            raise
        self._depth = 0
        try:
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        self._undo.forget()

    def exists(self, relation: Relation) -> bool:
        return self.kind(relation) is not None

    def kind(self, relation: Relation) -> str | None:
        table = self.table(relation)
        return None if table is None else kind_told(table.table_type)

    def kinds(self, schema: str | None = None) -> dict[str, str]:
        return {table.table_id.lower(): kind_told(table.table_type) for table in self._listed(schema)}

    def layouts(self, schema: str | None = None) -> dict[str, Layout]:
        return layouts_of(self._listed(schema))

    def columns(self, query: str, parameters: Parameters | None = None) -> dict[str, str]:
        try:
            fields = self._dry(query, parameters).schema
        except SqlError as error:
            whole = relation_read(query) if NEEDS_FILTER in error.what else None
            # A table that is read with a filter alone is not even described without one; its columns are told apart.
            if whole is None or (table := self.table(whole)) is None:
                raise
            fields = table.schema
        return {field.name: type_name(field) for field in fields or []}

    def dry_run(self, sql: str, parameters: Parameters | None = None) -> int | None:
        return int(self._dry(sql, parameters).total_bytes_processed or 0)

    def description(self, relation: Relation) -> str | None:
        table = self.table(relation)
        return None if table is None else table.description

    def parquet(self, path: Path) -> str | Relation:
        return self._files.table(path.resolve().as_posix(), position=_FILE_ROW)

    def table_functions(self, mark: str) -> dict[str, str] | None:
        # A table function here takes a table of columns that are known when it is made.
        return None

    def close(self) -> None:
        if self._session is not None:
            # What is left of it, an open transaction too, is taken back at once and not in a day.
            with suppress(WmlError):
                self._query("call bq.abort_session()", None, Kind("other"))
        self.client.close()  # type: ignore[no-untyped-call]

    # What else the package's own modules ask of it.

    @property
    def location(self) -> str | None:
        """Where jobs run: where the dataset is.

        Raises
        ------
        WarehouseError
            If the dataset is not there, or elsewhere than wml.toml says.
        """
        if self._location is None:
            name = f"{self.settings.project}.{self.settings.dataset}"
            with driver_errors():
                found = self.client.get_dataset(name, retry=self.jobs.retry).location
            wanted = self.settings.location
            if wanted and found and wanted.lower() != found.lower():
                raise WarehouseError(
                    f'the dataset "{name}" is in {found}, and wml.toml says {wanted}',
                    place="bigquery",
                    hint=f'write location = "{found}", or leave it out; a dataset cannot be moved',
                )
            self._location = found or wanted
        return self._location

    def dataset(self, schema: str | None) -> str:
        """Return the dataset that a schema is."""
        if schema is None:
            return self.settings.dataset
        return self.settings.wml_dataset if schema == WML else schema

    def reference(self, relation: Relation) -> str:
        """Return a relation's name as the service's own functions take it."""
        return f"{self.settings.project}.{self.dataset(relation.schema)}.{relation.name}"

    def table(self, relation: Relation) -> bigquery.Table | None:
        """Return what the service says of a table or view, or None if there is none."""
        with driver_errors():
            try:
                return self.client.get_table(self.reference(relation), retry=self.jobs.retry)
            except api.NotFound:
                return None

    def drop(self, relation: Relation) -> None:
        """Take a table or view away, if it is there."""
        with driver_errors():
            self.client.delete_table(self.reference(relation), not_found_ok=True, retry=self.jobs.retry)

    def copy(self, source: Relation, target: Relation) -> None:
        """Copy a table over another."""
        config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE", labels=self.labels())
        self.jobs.copy(self.reference(source), self.reference(target), config, self.location)

    def make_temporary(self, relation: Relation) -> None:
        """Let a table be gone by itself in a day."""
        with driver_errors():
            table = self.client.get_table(self.reference(relation), retry=self.jobs.retry)
            table.expires = dt.datetime.now(dt.UTC) + _LEFTOVERS_EXPIRE
            self.client.update_table(table, ["expires"], retry=self.jobs.retry)

    # One statement.

    def _refuse(self, kind: Kind, sql: str) -> None:
        is_harmless = kind.verb == "read" or (kind.verb == "define" and kind.is_temporary)
        if self.read_only and (not is_harmless or kind.is_several):
            raise SqlError(
                f"{(kind.action or 'this').lower()} changes the warehouse, which is open for reading alone", sql=sql
            )

    def _prepare(self, kind: Kind) -> None:
        """Bring the transaction where a statement can run in it, or beside it."""
        if kind.verb == "change" and not self._is_begun:
            self._query("begin transaction", None, Kind("other"), needs_session=True)
            self._is_begun = True
        elif kind.verb == "define" and not kind.is_temporary:
            self._commit()
            if kind.relation is not None:
                self._undo.keep(kind)
        elif kind.verb == "define" and kind.relation is not None and not self._is_begun:
            self._undo.scratch.add(kind.relation.name)

    def _commit(self) -> None:
        if self._is_begun:
            self._query("commit transaction", None, Kind("other"))
            self._is_begun = False

    def _roll_back(self) -> None:
        if self._is_begun:
            self._is_begun = False
            try:
                self._query("rollback transaction", None, Kind("other"))
            except WmlError:
                # The session takes its transaction with it; what comes next gets a new one.
                self._session = None
                self._temporary.clear()
        self._undo.take_back()

    def _read(self, sql: str, parameters: Parameters | None) -> tuple[Any, Any]:
        kind = kind_of(sql, self._temporary)
        self._refuse(kind, sql)
        return self._query(sql, parameters, kind)

    def _query(
        self, sql: str, parameters: Parameters | None, kind: Kind, *, needs_session: bool = False
    ) -> tuple[Any, Any]:
        text = self._text(sql, parameters)
        if self.max_bytes is not None and kind.verb != "other":
            self._check_bytes(text, parameters)
        config = self._config(parameters)
        starts = self._session is None and (needs_session or kind.is_temporary)
        config.create_session = True if starts else None
        if (limit := self._limit()) is not None:
            config.maximum_bytes_billed = limit
        job, rows = self.jobs.query(text, config, self.location)
        if starts:
            self._session = job.session_info.session_id
        self.n_jobs += 1
        self.bytes_processed += int(job.total_bytes_processed or 0)
        return job, rows

    def _dry(self, sql: str, parameters: Parameters | None) -> bigquery.QueryJob:
        return self.jobs.dry_run(self._text(sql, parameters), self._config(parameters), self.location)

    def _text(self, sql: str, parameters: Parameters | None) -> str:
        return rewritten(sql, parameters or {}, wml_dataset=self.settings.wml_dataset, file_table=self._files.named)

    def _config(self, parameters: Parameters | None) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=f"{self.settings.project}.{self.settings.dataset}",
            query_parameters=query_parameters(parameters or {}),
            labels=self.labels(),
        )
        if self._session is not None:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", self._session)]
        return config

    def labels(self) -> dict[str, str]:
        """Return what every job is labelled with."""
        return {"tool": "warehouse-ml", **self.settings.labels}

    def _check_bytes(self, text: str, parameters: Parameters | None) -> None:
        job = self.jobs.dry_run(text, self._config(parameters), self.location)
        needed = int(job.total_bytes_processed or 0)
        if self.max_bytes is not None and self.bytes_processed + needed > self.max_bytes:
            so_far = f" after {self.bytes_processed:,} so far" if self.bytes_processed else ""
            limit = f"the limit is {self.max_bytes:,}: it was not run"
            raise TooManyBytesError(
                f"the next query would read {needed:,} bytes{so_far}, and {limit}",
                sql=text,
                place="bigquery",
                hint="raise --max-bytes, or read less; what was done before is kept",
            )

    def _limit(self) -> int | None:
        limits = [self.settings.maximum_bytes_billed] if self.settings.maximum_bytes_billed else []
        if self.max_bytes is not None:
            # No query that reads anything is billed for less.
            limits.append(max(self.max_bytes - self.bytes_processed, _LEAST_BILLED))
        return min(limits) if limits else None

    def _listed(self, schema: str | None) -> list[Any]:
        return listed(self.client, f"{self.settings.project}.{self.dataset(schema)}", self.jobs.retry)

    def _load_file(self, relation: Relation, rows: pa.Table, description: str) -> None:
        if relation.schema is None:
            self.load(relation, rows, temporary=True)
            return
        self._loads.load(self.reference(relation), rows, self.location)
        with driver_errors():
            table = self.client.get_table(self.reference(relation), retry=self.jobs.retry)
            table.description = description
            self.client.update_table(table, ["description"], retry=self.jobs.retry)

    def storage_client(self) -> Any:
        """Return the Storage API's client, or None where it is not installed or not there."""
        if self._storage is None and self._has_storage:
            self._storage = storage_client_of(self.client)
            self._has_storage = self._storage is not None
        return self._storage
