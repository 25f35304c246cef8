"""A warehouse in memory that speaks GoogleSQL: what BigQuery would say to the statements of a whole project.

Queries and changes of rows are evaluated by the reference implementation. Statements that define something are analysed
by it; the table or view itself is kept here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot.tokenizer_core import Token, TokenType

from tests.googlesql.engine import Content, GoogleSqlError, Name, googlesql
from tests.googlesql.values import arrow_type, set_value, type_name, type_of_arrow, value_of
from warehouse_ml.errors import SqlError
from warehouse_ml.warehouses.base import Parameters, Relation, wml_table
from warehouse_ml.warehouses.layout import LOGS, METRICS, Layout

_FILE = "file:"


@dataclass
class Asked:
    """A statement that was sent, for those who watch; one that is not run is asked for its columns alone."""

    sql: str
    parameters: dict[str, Any]
    is_run: bool = True


@dataclass
class _State:
    tables: dict[Name, Content] = field(default_factory=dict)
    scratch: dict[Name, Content] = field(default_factory=dict)
    views: dict[Name, str] = field(default_factory=dict)
    schemas: set[str] = field(default_factory=set)
    descriptions: dict[Name, str] = field(default_factory=dict)
    layouts: dict[Name, Layout] = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(
            {name: Content(list(table.columns), list(table.rows)) for name, table in self.tables.items()},
            dict(self.scratch),
            dict(self.views),
            set(self.schemas),
            dict(self.descriptions),
            dict(self.layouts),
        )


_WIDER = {
    "INT64": ("NUMERIC", "BIGNUMERIC", "FLOAT64"),
    "NUMERIC": ("BIGNUMERIC", "FLOAT64"),
    "BIGNUMERIC": ("FLOAT64",),
    "DATE": ("DATETIME", "TIMESTAMP"),
    "DATETIME": ("TIMESTAMP",),
}
"""What a column's type may be changed to, as BigQuery's page on column types has it."""

PROVED: dict[str, str] = {}
"""Statements that went through in this process: whether they were ``evaluated`` over rows, or only ``analysed``."""


class _Statement:
    """The words of a statement, with the places where they stand."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens: list[Token] = sqlglot.tokenize(sql, read="bigquery")
        self.at = 0

    def word(self, offset: int = 0) -> str:
        place = self.at + offset
        return self.tokens[place].text.lower() if place < len(self.tokens) else ""

    def take(self, *words: str) -> bool:
        if all(self.word(offset) == word for offset, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def name(self) -> Name:
        parts = [self.tokens[self.at].text.lower()]
        self.at += 1
        while self.word() == ".":
            parts.append(self.word(1))
            self.at += 2
        return tuple(part for text in parts for part in text.split("."))[-2:]

    def rest(self) -> str:
        return self.sql[self.tokens[self.at].start :] if self.at < len(self.tokens) else ""

    def parenthesised(self) -> list[str]:
        """Return the parts of a list in parentheses, split at its own commas."""
        assert self.word() == "("
        depth, begin, parts = 0, self.tokens[self.at].end + 1, []
        while True:
            token = self.tokens[self.at]
            depth += {TokenType.L_PAREN: 1, TokenType.LT: 1, TokenType.R_PAREN: -1, TokenType.GT: -1}.get(
                token.token_type, 0
            )
            self.at += 1
            if depth == 0 or (depth == 1 and token.token_type == TokenType.COMMA):
                parts.append(self.sql[begin : token.start])
                begin = token.end + 1
            if depth == 0:
                return parts


class GoogleSqlWarehouse:
    """The `Warehouse` protocol over the reference implementation.

    Parameters
    ----------
    on_statement : callable, optional
        Told of each statement before it runs.
    """

    engine = "bigquery"
    defines_in_transactions = False

    def __init__(self, name: str = "bigquery", on_statement: Callable[[Asked], None] | None = None) -> None:
        self.name = name
        self._on_statement = on_statement
        self.log_layout, self.metrics_layout = LOGS, METRICS
        self._state = _State()
        self._depth = 0
        self._read: dict[Name, Content] = {}
        self._files: dict[Name, Content] = {}

    def run(self, sql: str, parameters: Parameters | None = None) -> None:
        self._tell(sql, parameters)
        with _told(sql):
            statement = _Statement(sql)
            self._run(statement, dict(parameters or {}))
        words = {token.text.lower() for token in statement.tokens[:6]}
        PROVED[sql] = "analysed" if "function" in words or statement.tokens[0].text.lower() == "alter" else "evaluated"

    def fetch(self, sql: str, parameters: Parameters | None = None) -> pa.Table:
        self._tell(sql, parameters)
        with _told(sql):
            rows = _as_arrow(self._evaluate(sql, parameters))
        PROVED[sql] = "evaluated"
        return rows

    def stream(
        self, sql: str, parameters: Parameters | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        table = self.fetch(sql, parameters)
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=batch_rows))

    def load(self, relation: Relation, rows: pa.Table, *, temporary: bool = False) -> None:
        content = content_of(rows)
        if self._depth and not temporary:
            raise GoogleSqlError(f"load {relation}: no permanent definition inside of a transaction")
        self._write(self._state.scratch if temporary else self._state.tables, _key(relation), content)

    def drop_temporary(self, names: Iterable[str]) -> None:
        for name in names:
            self._state.scratch.pop(_key(Relation(name)), None)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        before = self._state.copy() if self._depth == 0 else None
        self._depth += 1
        try:
            yield
        except BaseException:
            if before is not None:
                self._state = before
                self._read.clear()
            raise
        finally:
            self._depth -= 1

    def exists(self, relation: Relation) -> bool:
        return self.kind(relation) is not None

    def kind(self, relation: Relation) -> str | None:
        key = _key(relation)
        return "view" if key in self._state.views else "table" if key in self._state.tables else None

    def kinds(self, schema: str | None = None) -> dict[str, str]:
        def within(name: Name) -> bool:
            return (name[0] if len(name) == 2 else None) == schema

        kinds = {name[-1]: "table" for name in self._state.tables if within(name)}
        return kinds | {name[-1]: "view" for name in self._state.views if within(name)}

    def layouts(self, schema: str | None = None) -> dict[str, Layout]:
        kinds = self.kinds(schema)
        tables = [name for name, kind in kinds.items() if kind == "table"]
        return {name: self._state.layouts.get(_key(Relation(name, schema)), Layout()) for name in tables}

    def columns(self, query: str, parameters: Parameters | None = None) -> dict[str, str]:
        self._tell(query, parameters, is_run=False)
        with _told(query):
            sql, tables = self._prepared(query)
            empty = {name: Content(table.columns) for name, table in tables.items()}
            columns = {name: type_name(kind) for name, kind in googlesql().evaluate(sql, empty, parameters).columns}
        PROVED[query] = "evaluated"
        return columns

    def description(self, relation: Relation) -> str | None:
        return self._state.descriptions.get(_key(relation))

    def parquet(self, path: Path) -> str | Relation:
        rows = pq.ParquetFile(path).read()
        position = pa.array(range(len(rows)), type=pa.int64())
        relation = wml_table(f"_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}")
        # A file is loaded by a job of its own, beside whatever transaction is going on.
        depth, self._depth = self._depth, 0
        try:
            self.load(relation, rows.append_column("wml_file_row", position))
        finally:
            self._depth = depth
        return relation

    def table_functions(self, mark: str) -> dict[str, str] | None:
        return None

    def close(self) -> None:
        for name in self._state.scratch:
            self._state.layouts.pop(name, None)
        self._state.scratch.clear()
        self._read.clear()

    def _tell(self, sql: str, parameters: Parameters | None, *, is_run: bool = True) -> None:
        if self._on_statement:
            self._on_statement(Asked(sql, dict(parameters or {}), is_run))

    def _write(self, where: dict[Name, Content], name: Name, content: Content) -> None:
        where[name] = content
        self._read.clear()

    def _find(self, name: Name) -> Content:
        state = self._state
        if name in self._files:
            return self._files[name]
        if name in state.scratch:
            return state.scratch[name]
        if name in state.tables:
            return state.tables[name]
        if name in state.views:
            if name not in self._read:
                self._read[name] = self._evaluate(state.views[name], None)
            return self._read[name]
        raise GoogleSqlError(f"Table not found: {'.'.join(name)}")

    def _tables(self, sql: str) -> dict[Name, Content]:
        found = googlesql().tables_of(sql)
        for name in found:
            if name[-1].startswith(_FILE):
                rows = pq.ParquetFile(unquote(name[-1].removeprefix(_FILE))).read()
                self._files.setdefault((name[-1].lower(),), content_of(rows))
        names = {tuple(part.lower() for text in name for part in text.split(".")) for name in found}
        # Of a table of another project, its name is known as it is written, too.
        return {key: self._find(name[-2:]) for name in sorted(names) for key in {name, name[-2:]}}

    def _prepared(self, sql: str) -> tuple[str, dict[Name, Content]]:
        tables = self._tables(sql)
        return _with_flat_names(sql, set(tables)), tables

    def _evaluate(self, query: str, parameters: Mapping[str, Any] | None) -> Content:
        sql, tables = self._prepared(query)
        return googlesql().evaluate(sql, tables, parameters)

    def _run(self, statement: _Statement, parameters: dict[str, Any]) -> None:
        first = statement.word()
        if first in ("select", "with", "("):
            self._evaluate(statement.sql, parameters)
        elif first == "create":
            statement.take("create")
            self._create(statement, parameters)
        elif first == "drop":
            self._drop(statement)
        elif first == "alter":
            self._alter(statement)
        elif first in ("insert", "delete", "update"):
            self._modify(statement, parameters)
        else:
            raise GoogleSqlError(f"{first} is not played here")

    def _refuse_in_transaction(self, statement: _Statement, name: Name, *, is_temporary: bool) -> None:
        """Refuse what BigQuery refuses: a transaction is of rows, and of tables that are the session's own."""
        if self._depth and not is_temporary:
            what = " ".join(token.text for token in statement.tokens[:4])
            raise GoogleSqlError(f"{what} ... {'.'.join(name)}: no permanent definition inside of a transaction")

    def _create(self, statement: _Statement, parameters: dict[str, Any]) -> None:
        state = self._state
        is_new = not statement.take("or", "replace")
        is_temporary = statement.take("temp") or statement.take("temporary")
        what = statement.word()
        statement.at += 1
        if what == "table" and statement.take("function"):
            what = "function"
        if_missing = statement.take("if", "not", "exists")
        name = statement.name()
        self._refuse_in_transaction(statement, name, is_temporary=is_temporary)
        if what == "schema":
            state.schemas.add(name[-1])
            return
        where = state.scratch if is_temporary else state.tables
        if what == "function":
            googlesql().analyze(statement.sql, self._tables(statement.sql), parameters)
            return
        if is_new and (name in where or name in state.views):
            if if_missing:
                return
            raise GoogleSqlError(f"Already Exists: {'.'.join(name)}")
        declared = statement.parenthesised() if statement.word() == "(" else []
        begin = statement.at
        while statement.at < len(statement.tokens) and statement.word() != "as":
            # partition by, cluster by and options say how a table is kept
            if statement.word() == "(":
                statement.parenthesised()
            else:
                statement.at += 1
        layout = _layout_of([token.text for token in statement.tokens[begin : statement.at]])
        if what == "table" and name in where and not layout.stands_as(state.layouts.get(name, Layout())):
            # In the service's words.
            raise GoogleSqlError("Cannot replace a table with a different partitioning spec. Instead, DROP the table")
        if statement.take("as"):
            googlesql().analyze(statement.sql, self._tables(statement.sql), parameters)
            query = statement.rest()
            if what == "view":
                state.tables.pop(name, None)
                state.views[name] = query
                self._read.clear()
                return
            content = self._evaluate(query, parameters)
            unnamed = [place for place, (column, _) in enumerate(content.columns) if not column]
            if unnamed:
                raise GoogleSqlError("CREATE TABLE columns must be named")
        else:
            googlesql().analyze(statement.sql, {}, parameters)
            nulls = ", ".join(
                f"cast(null as {kind}) as {column}"
                for column, _, kind in (part.strip().partition(" ") for part in declared)
            )
            content = Content(googlesql().evaluate(f"select {nulls}", {}).columns)
        state.views.pop(name, None)
        state.layouts[name] = layout
        self._write(where, name, content)

    def _drop(self, statement: _Statement) -> None:
        statement.at += 1
        what = statement.word()
        statement.at += 1
        if what == "table" and statement.take("function"):
            self._refuse_in_transaction(statement, statement.name(), is_temporary=False)
            return
        if_there = statement.take("if", "exists")
        name = statement.name()
        if name[0] == "_session":
            self._state.scratch.pop(name[1:], None)
            self._state.layouts.pop(name[1:], None)
            self._read.clear()
            return
        state = self._state
        self._refuse_in_transaction(statement, name, is_temporary=name in state.scratch)
        where: dict[Name, Any] = (
            state.views if what == "view" else state.scratch if name in state.scratch else state.tables
        )
        if name not in where:
            if if_there:
                return
            raise GoogleSqlError(f"Not found: {'.'.join(name)}")
        del where[name]
        state.layouts.pop(name, None)
        self._read.clear()

    def _alter(self, statement: _Statement) -> None:
        statement.take("alter")
        statement.at += 1
        name = statement.name()
        self._refuse_in_transaction(statement, name, is_temporary=name in self._state.scratch)
        content = self._find(name)
        if statement.word() != "alter":
            # Of a column's type the reference implementation leaves what may become of it to the engine.
            googlesql().analyze(statement.sql, {name: content})
        if statement.take("set", "options"):
            key, _, text = statement.parenthesised()[0].partition("=")
            assert key.strip() == "description", key
            described = googlesql().evaluate(f"select {text} as description", {})
            self._state.descriptions[name] = described.rows[0].cell[0].string_value
            return
        if statement.take("alter", "column"):
            self._widen(statement, name, content)
            return
        if not statement.take("add", "column"):
            raise GoogleSqlError(f"not played here: {statement.sql}")
        is_optional = statement.take("if", "not", "exists")
        column = statement.tokens[statement.at].text
        if is_optional and column.lower() in {known.lower() for known, _ in content.columns}:
            return
        statement.at += 1
        added = googlesql().evaluate(f"select cast(null as {statement.rest()}) as {column}", {}).columns
        for row in content.rows:
            row.cell.add()
        self._write(self._state.tables, name, Content(content.columns + added, content.rows))

    def _widen(self, statement: _Statement, name: Name, content: Content) -> None:
        column = statement.tokens[statement.at].text
        statement.at += 1
        assert statement.take("set", "data", "type"), statement.sql
        wanted = statement.rest()
        read = ", ".join(
            f"cast(`{known}` as {wanted}) as `{known}`" if known.lower() == column.lower() else f"`{known}`"
            for known, _ in content.columns
        )
        known = {found.lower(): type_name(kind) for found, kind in content.columns}
        if wanted.upper() not in _WIDER.get(known[column.lower()], ()):
            raise GoogleSqlError(f"ALTER TABLE ALTER COLUMN SET DATA TYPE: {known[column.lower()]} to {wanted}")
        widened = googlesql().evaluate(f"select {read} from `{'.'.join(name)}`", {name: content})
        self._write(self._state.tables, name, widened)

    def _modify(self, statement: _Statement, parameters: dict[str, Any]) -> None:
        kind = statement.word()
        statement.at += 1
        statement.take("into") or statement.take("from")
        begin = statement.tokens[statement.at].start
        name = statement.name()
        sql, tables = self._prepared(statement.sql)
        tables[name] = content = self._find(name)
        sql = _with_flat_names(statement.sql, set(tables))
        where = self._state.scratch if name in self._state.scratch else self._state.tables
        if kind == "insert":
            every = [f"`{column}`" for column, _ in content.columns]
            into = statement.parenthesised() if statement.word() == "(" else every
            if statement.word() in ("with", "select"):
                # The evaluation knows no WITH below an INSERT: the query is evaluated first, its rows are inserted.
                googlesql().analyze(statement.sql, self._tables(statement.sql) | {name: content}, parameters)
                asked = self._evaluate(statement.rest(), parameters)
                columns = [(f"column_{place}", kind) for place, (_, kind) in enumerate(asked.columns)]
                tables = {name: content, ("asked",): Content(columns, asked.rows)}
                read = ", ".join(column for column, _ in columns)
                sql = f"insert into `{'.'.join(name)}` ({', '.join(into)}) select {read} from asked"
            added = googlesql().modify(sql, tables, parameters)
            self._write(where, name, Content(content.columns, content.rows + [_row(row) for row in added]))
            return
        changed = googlesql().modify(sql, tables, parameters) if kind == "update" else []
        googlesql().analyze(statement.sql, tables, parameters)
        # Which rows a change leaves alone it does not say: those that its condition does not hold for.
        depth, place = 0, None
        for number, token in enumerate(statement.tokens):
            depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
            if depth == 0 and token.text.lower() == "where":
                place = number
        assert place is not None, "a change of rows needs its where"
        ends = [number for number, token in enumerate(statement.tokens) if token.text.lower() in ("set", "where")]
        target = statement.sql[begin : statement.tokens[ends[0]].start]
        condition = statement.sql[statement.tokens[place].end + 1 :]
        if kind == "update" and any(token.text.lower() == "from" for token in _top(statement.tokens[ends[0] : place])):
            raise GoogleSqlError("update ... from is not played here")
        kept = self._evaluate(f"select * from {target} where ({condition}) is not true", parameters)
        self._write(where, name, Content(content.columns, kept.rows + [_row(row) for row in changed]))


def content_of(rows: pa.Table) -> Content:
    """Return rows as the reference implementation takes them."""
    columns = [(field.name, type_of_arrow(field.type)) for field in rows.schema]
    content = Content(columns)
    message = _row_message()
    for row in zip(*[column.to_pylist() for column in rows.columns], strict=True):
        proto = message()
        for value, (_, kind) in zip(row, columns, strict=True):
            set_value(proto.cell.add(), value, kind)
        content.rows.append(proto)
    return content


def _layout_of(words: list[str]) -> Layout:
    """Return what stands between a table's name, or its columns, and its query."""
    text = " ".join(words)
    parted = re.search(
        r"partition by (?:(?:timestamp|date|datetime)_trunc \( (\w+) , (\w+) \)|(\w+))", text, re.IGNORECASE
    )
    sorted_by = re.search(r"cluster by (\w+(?: , \w+)*)", text, re.IGNORECASE)
    days = re.search(r"partition_expiration_days = ([0-9.]+)", text)
    return Layout(
        (parted[1] or parted[3]) if parted else None,
        (parted[2] or "day").lower() if parted else None,
        tuple(sorted_by[1].split(" , ")) if sorted_by else (),
        float(days[1]) if days else None,
        "require_partition_filter = true" in text,
    )


def _top(tokens: list[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0:
            yield token


def _key(relation: Relation) -> Name:
    name = relation.name.lower()
    return (relation.schema.lower(), name) if relation.schema else (name,)


def _with_flat_names(sql: str, names: set[Name]) -> str:
    """Write each table of a dataset as one identifier, which is all that the evaluation knows by content."""
    tokens = sqlglot.tokenize(sql, read="bigquery")
    out, done = [], 0
    for place in range(len(tokens) - 2):
        first, dot, last = tokens[place : place + 3]
        name = (first.text.lower(), last.text.lower())
        before = tokens[place - 1].token_type if place else None
        start = first.start
        if before == TokenType.DOT and place >= 2:
            # A project's name may stand before the dataset's.
            before = tokens[place - 3].token_type if place >= 3 else None
            start = tokens[place - 2].start
        if name not in names or dot.token_type != TokenType.DOT or before == TokenType.DOT or start < done:
            continue
        following = tokens[place + 3] if place + 3 < len(tokens) else None
        has_alias = following is not None and following.token_type in (
            TokenType.ALIAS,
            TokenType.VAR,
            TokenType.IDENTIFIER,
            TokenType.DOT,
        )
        is_target = before in (TokenType.INTO, TokenType.UPDATE) or (
            place >= 2 and tokens[place - 2].token_type == TokenType.DELETE
        )
        alias = "" if has_alias or is_target else f" as `{last.text}`"
        out.append(f"{sql[done:start]}`{'.'.join(name)}`{alias}")
        done = last.end + 1
    return "".join(out) + sql[done:]


def _as_arrow(content: Content) -> pa.Table:
    columns = [
        pa.array([value_of(row.cell[place], kind) for row in content.rows], type=arrow_type(kind))
        for place, (_, kind) in enumerate(content.columns)
    ]
    return pa.Table.from_arrays(columns, names=[name for name, _ in content.columns])


def _row_message() -> Any:
    from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service

    table = service.EvaluateQueryRequest.DESCRIPTOR.fields_by_name["table_content"].message_type
    rows = table.fields_by_name["value"].message_type.fields_by_name["table_data"].message_type
    return rows.fields_by_name["row"].message_type._concrete_class


def _row(changed: Any) -> Any:
    row = _row_message()()
    for cell in changed.cell:
        row.cell.add().CopyFrom(cell)
    return row


@contextmanager
def _told(sql: str) -> Iterator[None]:
    try:
        yield
    except GoogleSqlError as error:
        raise SqlError(str(error), sql=sql) from error


__all__ = ["Asked", "GoogleSqlWarehouse"]
