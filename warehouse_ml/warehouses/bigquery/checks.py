"""Access to a BigQuery project, step by step: the first that fails says what to do, the rest are left out."""

from __future__ import annotations

import importlib.metadata
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import WarehouseError, WmlError
from warehouse_ml.warehouses.base import WML, Relation
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.checks import Check, checked

if TYPE_CHECKING:
    from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

__all__ = ["check_bigquery"]

_NAMES = (
    "packages",
    "credentials",
    "jobs",
    "dataset",
    "wml dataset",
    "tables",
    "transactions",
    "storage api",
    "limits",
)
_PACKAGE, _STORAGE = "google-cloud-bigquery", "google-cloud-bigquery-storage"
_NOT_THERE = "not there"


def check_bigquery(settings: BigQuerySettings) -> Iterator[Check]:
    """Look at everything that a command needs of a project; what is made for it is dropped again.

    Parameters
    ----------
    settings : BigQuerySettings

    Yields
    ------
    Check
        In order; a check that needs a failed one is ``skipped``.
    """
    with closing(_look(settings)) as looks:
        for done, found in enumerate(looks, start=1):
            yield found
            if found.outcome == "failed":
                yield from (Check(name, "skipped", f"{found.name} comes first") for name in _NAMES[done:])
                return


def _look(settings: BigQuerySettings) -> Generator[Check, None, None]:
    versions = {name: _version(name) for name in (_PACKAGE, _STORAGE)}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    if versions[_PACKAGE] == _NOT_THERE:
        yield Check("packages", "failed", told, 'pip install "warehouse-ml[bigquery]"')
        return
    yield Check("packages", "ok", told)

    from warehouse_ml.warehouses.bigquery.client import client_of, whose_credentials
    from warehouse_ml.warehouses.bigquery.jobs import Patience
    from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

    found = checked("credentials", lambda: whose_credentials(settings))
    yield found
    if found.outcome == "failed":
        return
    patience = Patience(seconds=5, attempts=1)
    warehouse = BigQueryWarehouse(settings, client=client_of(settings), patience=patience)
    try:
        yield checked("jobs", lambda: _asks(warehouse))
        yield checked("dataset", lambda: _dataset(warehouse))
        yield checked("wml dataset", lambda: _wml_dataset(warehouse))
        scratch = Relation(f"_wml_doctor_{uuid.uuid4().hex[:12]}")
        try:
            yield checked("tables", lambda: _makes(warehouse, scratch))
            yield checked("transactions", lambda: _takes_back(warehouse, scratch))
            yield _storage(warehouse, versions[_STORAGE], scratch)
        finally:
            with suppress(WmlError):
                warehouse.drop(scratch)
        yield _limits(settings)
    finally:
        warehouse.close()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _NOT_THERE


def _asks(warehouse: BigQueryWarehouse) -> str:
    from warehouse_ml.warehouses.bigquery.access import ping

    ping(warehouse)
    return f"{warehouse.settings.project} runs and pays for them"


def _dataset(warehouse: BigQueryWarehouse) -> str:
    settings = warehouse.settings
    return f"{settings.project}.{settings.dataset} in {warehouse.location}"


def _wml_dataset(warehouse: BigQueryWarehouse) -> str:
    from warehouse_ml.warehouses.bigquery.access import location_of

    settings = warehouse.settings
    name = f"{settings.project}.{settings.wml_dataset}"
    location = location_of(warehouse, WML)
    if location is None:
        return f"{name} is not there yet: the first command makes it"
    if warehouse.location and location.lower() != warehouse.location.lower():
        raise WarehouseError(
            f"{name} is in {location}, and {settings.dataset} in {warehouse.location}: no query can read both",
            hint="set wml_dataset to another name in wml.toml, which is made in the right place",
        )
    n_tables = len(warehouse.kinds(WML))
    return f"{name} in {location}, {n_tables} tables and views" if n_tables else f"{name} in {location}, empty yet"


def _makes(warehouse: BigQueryWarehouse, scratch: Relation) -> str:
    import pyarrow as pa

    warehouse.load(scratch, pa.table({"n": [1, 2, 3]}))
    warehouse.make_temporary(scratch)
    found = _count(warehouse, scratch)
    if found != 3:
        raise WarehouseError(f"3 rows were loaded, and {found} are there")
    return "one was loaded and queried"


def _takes_back(warehouse: BigQueryWarehouse, scratch: Relation) -> str:
    class _Enough(Exception):  # noqa: N818
        pass

    with suppress(_Enough), warehouse.transaction():
        warehouse.run(f"delete from `{scratch.name}` where true")
        raise _Enough
    found = _count(warehouse, scratch)
    if found != 3:
        raise WarehouseError(f"3 rows were deleted and taken back, and {found} are there")
    return "a session was opened, and a change taken back"


def _storage(warehouse: BigQueryWarehouse, version: str, scratch: Relation) -> Check:
    if version == _NOT_THERE:
        return Check("storage api", "note", "not installed: large results are read slowly", f"pip install {_STORAGE}")
    from warehouse_ml.warehouses.bigquery.access import reads_by_storage

    name = "storage api"
    try:
        told = reads_by_storage(warehouse, scratch)
    except WmlError as error:
        return Check(
            name,
            "note",
            f"cannot be used, so large results are read slowly: {error.what}",
            "give the account the role BigQuery Read Session User",
        )
    return Check(name, "ok" if told else "note", told or "not asked: this address is not Google's")


def _limits(settings: BigQuerySettings) -> Check:
    if settings.maximum_bytes_billed is None:
        return Check("limits", "note", "a job may be billed for any number of bytes", "set maximum_bytes_billed")
    return Check("limits", "ok", f"a job may be billed for {settings.maximum_bytes_billed:,} bytes")


def _count(warehouse: BigQueryWarehouse, relation: Relation) -> Any:
    return warehouse.fetch(f"select count(*) as n from `{relation.name}`")["n"][0].as_py()
