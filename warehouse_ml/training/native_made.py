"""A model in BigQuery from before it is made until a version names it, and what becomes of it if none ever does.

Each training makes a model of a name of its own, so that none is ever replaced: not by another training of the same
model at the same time, nor by another copy of the project that uses the same dataset.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.errors import ArtifactError, DefinitionError, SqlError, WmlError
from warehouse_ml.registry import Registry
from warehouse_ml.scoring.native import NativeParameters, refuse_native
from warehouse_ml.templates import statement
from warehouse_ml.training.native import fit_native
from warehouse_ml.training.rows import RowSummary
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["drop_left_overs", "export_there", "made_there"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


@contextmanager
def made_there(
    warehouse: Warehouse,
    registry: Registry,
    definition: ModelDefinition,
    rows: RowSummary,
    asked: NativeParameters,
    as_of: dt.datetime,
) -> Iterator[NativeParameters]:
    """Let BigQuery ML train a model that the block publishes a version of; if the block fails, the model is dropped.

    Parameters
    ----------
    warehouse, registry
    definition : ModelDefinition
    rows : RowSummary
    asked : NativeParameters
        What is known before the training; its name becomes ``<model>_<day of the clock>_<eight random digits>``.
    as_of : datetime

    Yields
    ------
    NativeParameters

    Raises
    ------
    SqlError, WarehouseError
        What BigQuery has against it, at the definition's file.
    """
    plain = _NOT_IN_NAMES.sub("_", definition.name)
    parameters = asked.called(f"{plain}_{as_of:%Y%m%d}_{uuid.uuid4().hex[:8]}")
    making = registry.making
    key = making.begin(definition.name, parameters.native)
    try:
        fit_native(warehouse, definition, rows, parameters.native)
    except SqlError:
        # BigQuery refused it, or gave it up: nothing was made.
        making.end(key)
        raise
    except BaseException:
        # It may still be at work on it.
        making.let_go(key)
        raise
    try:
        yield parameters
    except Exception:
        _take_back(warehouse, registry, definition.name, key, parameters.native)
        raise
    except BaseException:
        making.let_go(key)
        raise
    making.end(key)


def drop_left_overs(warehouse: Warehouse, registry: Registry, model: str) -> list[str]:
    """Drop the models in BigQuery of trainings that were killed, and return what is to be told of it.

    One whose training has not surely ended is looked for again the next time: a job that nobody waits for goes on.
    """
    told = []
    for left in registry.making.left(model, dt.datetime.now(dt.UTC)):
        name = ".".join(left.name)
        if _is_published(registry, model, left.name):
            registry.making.end(left.key)
            continue
        try:
            _drop(warehouse, left.name)
        except WmlError as error:
            told.append(f"`{name}`, which a training that was killed may have left, cannot be dropped: {error.what}")
        else:
            told.append(f"dropped `{name}`, if a training that was killed had left it")
        if left.is_final:
            registry.making.end(left.key)
    return told


def export_there(warehouse: Warehouse, native: NativeParameters, uri: str, place: str) -> None:
    """Let BigQuery export a model that it trained to Cloud Storage.

    Raises
    ------
    DefinitionError
        If the address is none of Cloud Storage, or the warehouse is not BigQuery.
    SqlError, WarehouseError
        What BigQuery has against it.
    """
    if warehouse.engine != "bigquery":
        told = refuse_native(native.native)
        raise DefinitionError(told.what, place=place, hint=f"run it on BigQuery; this target is {warehouse.engine}")
    if not uri.startswith("gs://"):
        raise DefinitionError(
            f"BigQuery exports models to Cloud Storage, and {uri} is elsewhere",
            place=place,
            hint="export model name options (uri = 'gs://bucket/folder')",
        )
    warehouse.run(statement(__package__, "native_export.sql", warehouse.engine, native=native.native, uri=uri))


def _take_back(warehouse: Warehouse, registry: Registry, model: str, key: str, name: tuple[str, ...]) -> None:
    """Drop a model that was to be published, unless that came about all the same."""
    try:
        registry.pull()
        if not _is_published(registry, model, name):
            _drop(warehouse, name)
    except WmlError:
        # The next training tries again.
        registry.making.let_go(key)
    else:
        registry.making.end(key)


def _is_published(registry: Registry, model: str, name: tuple[str, ...]) -> bool:
    """Return whether a version names a model in BigQuery; one that cannot be read may."""
    for version in reversed(registry.versions(model)):
        try:
            native = registry.load(version).native
        except ArtifactError:
            return True
        if native is not None and native.native == name:
            return True
    return False


def _drop(warehouse: Warehouse, name: tuple[str, ...]) -> None:
    warehouse.run(statement(__package__, "native_drop.sql", warehouse.engine, native=name))
