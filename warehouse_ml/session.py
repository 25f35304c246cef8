"""An open project: its files, its warehouse and its versions together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import ProjectError, WarehouseError
from warehouse_ml.functions import Reader, install_predictions
from warehouse_ml.project import Project, Target, load_project
from warehouse_ml.registry import Registry, StoredVersion
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import CountsBytes, Warehouse
from warehouse_ml.warehouses.bigquery.settings import bigquery_settings
from warehouse_ml.warehouses.duckdb_settings import duckdb_settings

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Session", "limit_bytes", "open_session", "open_warehouse", "read_again_by"]


@dataclass(frozen=True)
class Session:
    """What every step works on.

    Parameters
    ----------
    project : Project
    warehouse : Warehouse
    catalog : Catalog
        The project's files as they render on this target.
    registry : Registry
    reader : Reader
        The project's files as plain SQL, their ``ml.*`` calls answered.
    logs : set of str
        The models whose request log is known to be there.
    """

    project: Project
    warehouse: Warehouse
    catalog: Catalog
    registry: Registry
    reader: Reader
    logs: set[str] = field(default_factory=set)

    def show_versions(self) -> None:
        """Let the warehouse show the versions and their aliases as they are now, and answer by each champion."""
        self.registry.show_in(self.warehouse)
        install_predictions(self.warehouse, self.registry)


@contextmanager
def open_session(folder: Path, target: str | None = None, *, max_bytes: int | None = None) -> Iterator[Session]:
    """Open a project for work: the warehouse is locked for others, the ``wml`` tables are there.

    Parameters
    ----------
    folder : Path
    target : str, optional
        The default one if not given.
    max_bytes : int, optional
        What the warehouse may read in all.

    Raises
    ------
    ProjectError, TemplateError, GraphError
        If the project's files are wrong, or the target counts no bytes; the warehouse has not been touched then.
    WarehouseError
        If the warehouse cannot be opened.
    """
    project = load_project(folder)
    chosen = project.target(target)
    catalog = Catalog(project, chosen)
    registry = Registry.of(project)
    warehouse = open_warehouse(project, chosen)
    try:
        if max_bytes is not None:
            limit_bytes(warehouse, max_bytes)
        ensure_tables(warehouse)
        read_again_by(warehouse, registry)
        session = Session(project, warehouse, catalog, registry, Reader(warehouse, catalog, registry))
        session.show_versions()
        yield session
    finally:
        warehouse.close()


def limit_bytes(warehouse: Warehouse, max_bytes: int) -> None:
    """Let a warehouse read no more than so many bytes in all.

    Raises
    ------
    ProjectError
        If its engine counts none.
    """
    if not isinstance(warehouse, CountsBytes):
        raise ProjectError(
            f'the target "{warehouse.name}" counts no bytes, so there is nothing to limit',
            hint="leave --max-bytes out: it is for targets that are billed by the byte",
        )
    warehouse.max_bytes = max_bytes


def read_again_by(warehouse: Warehouse, registry: Registry) -> Registry:
    """Let the registry read training rows again that a version does not keep, and return it."""

    def rows_again(asking: Registry, stored: StoredVersion) -> pa.RecordBatchReader:
        from warehouse_ml.training.again import rows_again as read

        return read(warehouse, asking, stored)

    registry.rows_again = rows_again
    return registry


def open_warehouse(project: Project, target: Target, *, read_only: bool = False) -> Warehouse:
    """Open a target's warehouse.

    Raises
    ------
    ProjectError
        If the target's settings are wrong.
    WarehouseError
        If it cannot be opened, or is to be read only and is not there.
    """
    if target.engine == "bigquery":
        return _open_bigquery(target, read_only=read_only)
    from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

    settings = duckdb_settings(target.settings, target.place)
    path = project.root / settings.path
    if not path.parent.is_dir():
        raise ProjectError(
            f"there is no folder {path.parent.name}/ for the warehouse {path.name}",
            place=target.place,
            hint="make it, or set another path",
        )
    if read_only and not path.exists():
        raise WarehouseError("there is no warehouse yet", place=path.name, hint="build it: wml build")
    return DuckDBWarehouse(
        path,
        name=target.name,
        read_only=read_only,
        threads=settings.threads,
        memory_limit=settings.memory_limit,
    )


def _open_bigquery(target: Target, *, read_only: bool) -> Warehouse:
    settings = bigquery_settings(target.settings, target.place)
    try:
        from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse
    except ImportError as error:
        raise ProjectError(
            f'the package "{error.name}" is not installed, and the target "{target.name}" needs it',
            place=target.place,
            hint='pip install "warehouse-ml[bigquery]"',
        ) from None
    return BigQueryWarehouse(settings, name=target.name, read_only=read_only)
