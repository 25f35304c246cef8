"""Which of the toolkit's .sql files the reference implementation has seen."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import sqlglot

from warehouse_ml import templates

PACKAGE = Path(templates.__file__).parent

NOT_SENT = {
    "requests/double.sql": "the wider type of short floats, which BigQuery has not",
    "functions/install.sql": "made on DuckDB alone: a table function of BigQuery hands on declared columns only",
    "functions/too_large.sql": "made on DuckDB alone: a table function of BigQuery hands on declared columns only",
    "functions/uninstall.sql": "made on DuckDB alone: a table function of BigQuery hands on declared columns only",
    "example/build_data.sql": "makes the example's data files, on DuckDB, before it is shipped",
}
"""Files that no warehouse but DuckDB is ever sent, with the reason."""


def shipped_files() -> set[str]:
    """Return every .sql file that the toolkit renders for an engine, as ``package/file``."""
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.sql")}
    return {
        file
        for file in files
        if not file.startswith(("warehouses/macros/", "example/starter/", "example/sql/", "example/models/"))
    }


def proved_files(statements: Collection[str], claimed: Collection[str]) -> set[str]:
    """Return the claimed files all of whose statements, as rendered for BigQuery in this process, are among those sent.

    A query that became a part of another through sqlglot is looked for in sqlglot's own spelling.
    """
    found: set[str] = set()
    unseen = []
    for (package, file, engine, _), text in templates._rendered.items():
        name = f"{package.removeprefix('warehouse_ml').strip('.').replace('.', '/')}/{file}"
        if engine != "bigquery" or name not in claimed:
            continue
        parts = [part.strip() for part in text.split(";\n") if part.strip()]
        if all(any(part in sent for sent in statements) for part in parts):
            found.add(name)
        else:
            unseen.append((name, text))
    missing = [text for name, text in unseen if name not in found]
    spelled = [_spelled(sent) for sent in statements] if missing else []
    found |= {name for name, text in unseen if name not in found and any(_spelled(text) in sent for sent in spelled)}
    return found


def _spelled(sql: str) -> str:
    try:
        tree = sqlglot.parse_one(sql, read="bigquery")
    except sqlglot.ParseError:
        return sql
    return tree.sql(dialect="bigquery", comments=False)
