"""``wml query``."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from warehouse_ml.cli.options import as_of_option, format_option, project_option, target_option
from warehouse_ml.cli.output import note, print_rows, status
from warehouse_ml.errors import WmlError


@click.command("query", short_help="Ask the warehouse in SQL.")
@click.argument("sql", required=False)
@click.option(
    "--file", "file", type=click.Path(path_type=Path), help="Read the query from a file; - is standard input."
)
@click.option("--limit", type=click.IntRange(min=1), help="Print at most so many rows.")
@as_of_option
@target_option
@format_option
@project_option
def command(
    sql: str | None,
    file: Path | None,
    limit: int | None,
    as_of: dt.datetime,
    target: str | None,
    output: str,
    project: Path,
) -> None:
    """Ask the warehouse in SQL. It is opened read-only: a query changes nothing in it.

    For example: wml query "select slice_value, value from wml.latest_metrics where metric = 'recall'"

    The functions of models may stand wherever a table may: ml.predict(model late_arrival, (select ...)). The clock
    says whose champion a model's name means. The statements create model, drop model and export model work, too.
    """
    from warehouse_ml.functions import Context, expand, placing
    from warehouse_ml.project import find_project, load_project
    from warehouse_ml.registry import Registry
    from warehouse_ml.session import open_warehouse, read_again_by

    if (sql is None) == (file is None):
        raise WmlError("give the query itself or --file, one of the two", hint='wml query "select ..."')
    text = sql if sql is not None else _read(file)
    settings = load_project(find_project(project))
    chosen = settings.target(target)
    _refuse_several(text, chosen.engine)
    place = str(file) if file else "query"
    from warehouse_ml.statements import is_model_statement

    if is_model_statement(text, chosen.engine):
        _run_statement(text, as_of, place, target, output, project)
        return
    warehouse = open_warehouse(settings, chosen, read_only=True)
    try:
        registry = read_again_by(warehouse, Registry.of(settings))
        query = expand(text.rstrip().rstrip(";"), Context(warehouse, registry, as_of), place=place)
        with placing(query, warehouse):
            table = warehouse.fetch(query.sql)
    finally:
        warehouse.close()
    shown = table.slice(0, limit) if limit else table
    print_rows(shown.to_pylist(), output, table.column_names)


def _run_statement(text: str, as_of: dt.datetime, place: str, target: str | None, output: str, project: Path) -> None:
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session
    from warehouse_ml.statements import run_statement

    with open_session(find_project(project), target) as session, status() as say:
        done = run_statement(session, text.rstrip().rstrip(";"), as_of, place=place, on_step=say)
    for warning in done.warnings:
        note(f"warning: {warning}")
    print_rows([{"statement": done.statement, "model": done.model, "result": done.result}], output)


def _refuse_several(text: str, engine: str) -> None:
    import sqlglot
    from sqlglot.errors import TokenError
    from sqlglot.tokenizer_core import TokenType

    try:
        tokens = sqlglot.tokenize(text, read=engine)
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
