"""What a project needs to run on a target, looked at one by one: the files, the versions, the warehouse."""

from __future__ import annotations

import os
from collections.abc import Iterator

from warehouse_ml.building.layout import misplaced, n_laid_out
from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import WmlError
from warehouse_ml.project import Project, Target
from warehouse_ml.registry import Registry
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings, bigquery_settings
from warehouse_ml.warehouses.checks import Check, check_duckdb, checked
from warehouse_ml.warehouses.duckdb_settings import duckdb_settings

__all__ = ["Check", "examine"]


def examine(project: Project, target: Target) -> Iterator[Check]:
    """Look at a project and its target; nothing is changed, and what is made for a look is dropped again.

    Parameters
    ----------
    project : Project
    target : Target

    Yields
    ------
    Check
        As soon as it is known.
    """
    yield checked("files", lambda: _files(project, target))
    yield checked("versions", lambda: _versions(project))
    if target.engine == "bigquery":
        from warehouse_ml.warehouses.bigquery.checks import check_bigquery

        try:
            settings = bigquery_settings(target.settings, target.place)
        except WmlError as error:
            has = f"; it has {', '.join(error.has)}" if error.has else ""
            yield Check("settings", "failed", f"{target.place}: {error.what}{has}", error.hint)
            return
        yield Check("settings", "ok", f"project {settings.project}, dataset {settings.dataset}")
        is_ready = True
        for check in check_bigquery(settings):
            is_ready = is_ready and check.outcome not in ("failed", "skipped")
            yield check
        if is_ready:
            yield from _partitions(project, target, settings)
    else:
        try:
            wanted = duckdb_settings(target.settings, target.place)
        except WmlError as error:
            has = f"; it has {', '.join(error.has)}" if error.has else ""
            yield Check("settings", "failed", f"{target.place}: {error.what}{has}", error.hint)
            return
        yield from check_duckdb(project.root / wanted.path, wanted.threads, wanted.memory_limit)


def _partitions(project: Project, target: Target, settings: BigQuerySettings) -> Iterator[Check]:
    """Look whether tables lie as they are set to; of a project without tables there is nothing to say."""
    from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

    warehouse = BigQueryWarehouse(settings, name=target.name, read_only=True)
    try:
        catalog = Catalog(project, target)
        n_tables, found = n_laid_out(warehouse, catalog), list(misplaced(warehouse, catalog))
    except WmlError as error:
        yield Check("partitions", "failed", error.what, error.hint)
        return
    finally:
        warehouse.close()
    for table in found:
        yield Check("partitions", "note", table.told, table.fix)
    if n_tables and not found:
        yield Check("partitions", "ok", f"{n_tables} tables lie as they are set to")


def _files(project: Project, target: Target) -> str:
    catalog = Catalog(project, target)
    kinds = {kind: len(catalog.of_kind(kind)) for kind in ("relation", "model", "evaluation", "rule", "test")}
    return ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in kinds.items() if n) or "no SQL files yet"


def _versions(project: Project) -> str:
    folder = project.artifacts
    if folder.exists() and not os.access(folder, os.W_OK):
        raise WmlError(f"{folder} cannot be written to", hint="make it writable, or set [artifacts] path in wml.toml")
    versions = Registry.of(project).versions()
    n_models = len({version.model for version in versions})
    where = project.store or folder.name
    if not versions:
        return f"none yet, to be kept in {where}"
    return f"{len(versions)} of {n_models} model{'' if n_models == 1 else 's'} in {where}"
