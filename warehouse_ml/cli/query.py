"""``wml query``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from warehouse_ml.cli.options import format_option, project_option, target_option
from warehouse_ml.cli.output import print_rows
from warehouse_ml.diagnosis import diagnosed
from warehouse_ml.errors import SqlError, WmlError
from warehouse_ml.places import SourceText


@click.command("query", short_help="Ask the warehouse in SQL.")
@click.argument("sql", required=False)
@click.option(
    "--file", "file", type=click.Path(path_type=Path), help="Read the query from a file; - is standard input."
)
@click.option("--limit", type=click.IntRange(min=1), help="Print at most so many rows.")
@target_option
@format_option
@project_option
def command(
    sql: str | None, file: Path | None, limit: int | None, target: str | None, output: str, project: Path
) -> None:
    """Ask the warehouse in SQL. It is opened read-only: a query changes nothing.

    For example: wml query "select slice_value, value from wml.latest_metrics where metric = 'recall'"
    """
    from warehouse_ml.project import find_project, load_project
    from warehouse_ml.session import open_warehouse

    if (sql is None) == (file is None):
        raise WmlError("give the query itself or --file, one of the two", hint='wml query "select ..."')
    text = sql if sql is not None else _read(file)
    _refuse_several(text)
    settings = load_project(find_project(project))
    warehouse = open_warehouse(settings, settings.target(target), read_only=True)
    try:
        table = warehouse.fetch(text.strip().rstrip(";"))
    except SqlError as error:
        asked = SourceText(text, str(file) if file else "query")
        raise asked.placed(diagnosed(error, warehouse), asked.position_of(error)) from None
    finally:
        warehouse.close()
    shown = table.slice(0, limit) if limit else table
    print_rows(shown.to_pylist(), output, table.column_names)


def _refuse_several(text: str) -> None:
    import sqlglot
    from sqlglot.errors import TokenError
    from sqlglot.tokenizer_core import TokenType

    try:
        tokens = sqlglot.tokenize(text, read="duckdb")
    except TokenError:
        # The warehouse says better what it does not understand.
        return
    ends = [index for index, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
    if any(index < len(tokens) - 1 for index in ends):
        raise WmlError("one query at a time, please: there are several statements", place="query")


def _read(file: Path | None) -> str:
    if file is None or str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise WmlError(f"cannot be read: {error.strerror}", place=str(file)) from None
