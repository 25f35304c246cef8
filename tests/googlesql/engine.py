"""GoogleSQL's reference implementation in this process: it analyses and evaluates, and shares no code with DuckDB."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import wasmtime
from zetasql.core import wasm_client
from zetasql.core.exceptions import ZetaSQLError
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

from tests.googlesql.values import set_value, type_of_value

Name = tuple[str, ...]
"""A table's name, part by part: ('wml', 'metrics') or ('churn_requests',)."""

# The reference implementation knows more than BigQuery does. What BigQuery's own pages do not name is switched off, so
# that a statement cannot pass here and fail there.
_NOT_IN_BIGQUERY = (
    "AGGREGATE_FILTERING",
    "ARRAY_AGGREGATION_FUNCTIONS",
    "ARRAY_EQUALITY",
    "ARRAY_FIND_FUNCTIONS",
    "ARRAY_GREATEST_LEAST",
    "ARRAY_ORDERING",
    "ARRAY_ZIP",
    "CHAINED_FUNCTION_CALLS",
    "CONCAT_MIXED_TYPES",
    "ENABLE_CONSTANT_EXPRESSION_IN_JSON_PATH",
    "FUNCTION_ARGUMENTS_WITH_DEFAULTS",
    "INLINE_LAMBDA_ARGUMENT",
    "INSERT_ON_CONFLICT_CLAUSE",
    "LATERAL_JOIN",
    "LIMIT_OFFSET_EXPRESSIONS",
    "LITERAL_CONCATENATION",
    "MAP_TYPE",
    "MULTILEVEL_AGGREGATION",
    "MULTIWAY_UNNEST",
    "PI_FUNCTIONS",
    "SAFE_FUNCTION_CALL_WITH_LAMBDA_ARGS",
    "STRUCT_POSITIONAL_ACCESSOR",
    "TIMESTAMP_NANOS",
    "TIMESTAMP_PICOS",
    "UUID_TYPE",
)


class GoogleSqlError(Exception):
    """What the reference implementation has against a statement."""


@dataclass
class Content:
    """A table: its columns and its rows as messages."""

    columns: list[tuple[str, type_pb2.TypeProto]]
    rows: list[Any] = field(default_factory=list)


class _Compiled:
    """The module as machine code, kept in the user's cache folder: to compile it takes half a minute and 1 GB."""

    @staticmethod
    def from_file(engine: wasmtime.Engine, path: str) -> wasmtime.Module:
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(home) / "warehouse-ml"
        folder.mkdir(parents=True, exist_ok=True)
        made_of = f"{version('zetasql')} {version('wasmtime')} {Path(path).stat().st_size}"
        kept = folder / f"zetasql-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.cwasm"
        with (folder / "zetasql.lock").open("w") as lock:
            # Several test processes start at once: one compiles, the others wait for it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                staged = folder / uuid.uuid4().hex
                staged.write_bytes(wasmtime.Module.from_file(engine, path).serialize())
                staged.replace(kept)
        return wasmtime.Module.deserialize_file(engine, str(kept))


def _write_bytes(client: Any, at: int, data: bytes) -> None:
    # The package copies byte by byte, which takes seconds a statement.
    ctypes.memmove(_memory(client) + at, data, len(data))


def _read_bytes(client: Any, at: int, size: int) -> bytes:
    return ctypes.string_at(_memory(client) + at, size)


def _memory(client: Any) -> int:
    return ctypes.addressof(client.memory.data_ptr().contents)


class GoogleSql:
    """Analyses and evaluates statements over given tables."""

    def __init__(self) -> None:
        wasm_client.Module = _Compiled
        wasm_client.WasmClient.write_bytes = _write_bytes
        wasm_client.WasmClient.read_bytes = _read_bytes
        self._client = wasm_client.WasmClient(get_wasm_path())
        language = self._call(
            "GetLanguageOptions",
            service.LanguageOptionsRequest(maximum_features=True),
            options_pb2.LanguageOptionsProto,
        )
        language.product_mode = 1
        language.reserved_keywords.append("QUALIFY")
        del language.supported_statement_kinds[:]
        features = type(language).DESCRIPTOR.fields_by_name["enabled_language_features"].enum_type.values_by_name
        off = {features[f"FEATURE_{name}"].number for name in _NOT_IN_BIGQUERY if f"FEATURE_{name}" in features}
        kept = [number for number in language.enabled_language_features if number not in off]
        del language.enabled_language_features[:]
        language.enabled_language_features.extend(kept)
        self._language = language
        self._resolved: set[Any] = set()

    def analyze(self, sql: str, tables: Mapping[Name, Content], parameters: Mapping[str, Any] | None = None) -> None:
        """Resolve a statement's names and types without running it; what was resolved before is not again."""
        shapes = tuple(
            (name, tuple((column, kind.SerializeToString()) for column, kind in content.columns))
            for name, content in sorted(tables.items())
        )
        asked = (sql, shapes, tuple(sorted((parameters or {}).keys())))
        if asked in self._resolved:
            return
        request = service.AnalyzeRequest(sql_statement=sql)
        self._equip(request, tables, parameters, nested=True)
        self._call("Analyze", request, service.AnalyzeResponse)
        self._resolved.add(asked)

    def evaluate(
        self, sql: str, tables: Mapping[Name, Content], parameters: Mapping[str, Any] | None = None
    ) -> Content:
        """Run a query; tables in a dataset are named `` `dataset.table` ``, in one identifier."""
        request = service.EvaluateQueryRequest(sql=sql)
        self._equip(request, tables, parameters, nested=False)
        self._fill(request, tables, parameters)
        response = self._call("EvaluateQuery", request, service.EvaluateQueryResponse)
        columns = [(column.name, column.type) for column in response.prepared.columns]
        return Content(columns, list(response.content.table_data.row))

    def modify(
        self, sql: str, tables: Mapping[Name, Content], parameters: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Return the rows that an INSERT adds or that an UPDATE leaves changed, in the order of the table's columns."""
        request = service.EvaluateModifyRequest(sql=sql)
        self._equip(request, tables, parameters, nested=False)
        self._fill(request, tables, parameters)
        response = self._call("EvaluateModify", request, service.EvaluateModifyResponse)
        return list(response.content)

    def tables_of(self, sql: str) -> set[Name]:
        """Return the tables a statement reads; named queries of its own are not among them."""
        request = service.ExtractTableNamesFromStatementRequest(sql_statement=sql)
        request.options.CopyFrom(self._language)
        response = self._call("ExtractTableNamesFromStatement", request, service.ExtractTableNamesFromStatementResponse)
        return {tuple(name.table_name_segment) for name in response.table_name}

    def _equip(
        self, request: Any, tables: Mapping[Name, Content], parameters: Mapping[str, Any] | None, *, nested: bool
    ) -> None:
        catalog = simple_catalog_pb2.SimpleCatalogProto(name="warehouse")
        catalog.builtin_function_options.language_options.CopyFrom(self._language)
        folders = {}
        for number, (name, content) in enumerate(tables.items(), start=1):
            place = catalog
            for depth in range(1, len(name)) if nested else ():
                if name[:depth] not in folders:
                    folders[name[:depth]] = place.catalog.add(name=name[depth - 1])
                place = folders[name[:depth]]
            table = place.table.add(name=name[-1] if nested else ".".join(name), serialization_id=number)
            for column, kind in content.columns:
                table.column.add(name=column).type.CopyFrom(kind)
        request.simple_catalog.CopyFrom(catalog)
        request.options.language_options.CopyFrom(self._language)
        request.options.default_timezone = "UTC"
        request.descriptor_pool_list.definitions.add().builtin.SetInParent()
        for name, value in (parameters or {}).items():
            request.options.query_parameters.add(name=name).type.CopyFrom(type_of_value(value))

    def _fill(self, request: Any, tables: Mapping[Name, Content], parameters: Mapping[str, Any] | None) -> None:
        for name, content in tables.items():
            rows = request.table_content[".".join(name)].table_data
            rows.SetInParent()
            rows.row.extend(content.rows)
        for name, value in (parameters or {}).items():
            cell = value_pb2.ValueProto()
            set_value(cell, value, type_of_value(value))
            request.params.add(name=name).value.CopyFrom(cell)

    def _call(self, method: str, request: Any, response: Any) -> Any:
        try:
            return self._client.call_grpc_func(f"ZetaSqlLocalService_{method}", request, response)
        except ZetaSQLError as error:
            raise GoogleSqlError(str(error)) from None


@lru_cache(maxsize=1)
def googlesql() -> GoogleSql:
    """Return this process's reference implementation; the first call loads it."""
    return GoogleSql()
