"""``wml lint``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse_ml.cli.options import format_option, project_option
from warehouse_ml.cli.output import note, print_rows
from warehouse_ml.errors import ProjectError, did_you_mean

if TYPE_CHECKING:
    from warehouse_ml.catalog import Catalog
    from warehouse_ml.portability import Finding
    from warehouse_ml.project import Project


@click.command("lint", short_help="Tell what another engine refuses or reads differently.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--target", help="The target, or the engine (duckdb, bigquery), that it shall run on: what it refuses is an error."
)
@click.option(
    "--level",
    type=click.Choice(["note", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Tell, and exit with 1 for, what is at least so serious; a note matters for NULL, 0 and the like only.",
)
@format_option
@project_option
def command(files: tuple[Path, ...], target: str | None, level: str, output: str, project: Path) -> int:
    """Tell what another engine refuses or reads differently, in the project's own SQL or in FILES.

    Nothing runs: the files are rendered and read. What a macro writes is not looked at. Exits with 1 if there is
    something at the level asked. docs/portability.md lists every construct. Of models, what trains without an error
    and is wrong all the same is told, too.
    """
    from warehouse_ml.catalog import Catalog
    from warehouse_ml.portability import LEVELS
    from warehouse_ml.project import find_project, load_project

    settings = load_project(find_project(project))
    chosen = settings.target(None)
    catalog = Catalog(settings, chosen)
    refusing = frozenset({_engine(settings, target)}) if target else frozenset()
    rows = [finding.row() for finding in _findings(catalog, chosen.engine, files, refusing)]
    rows += _traps(catalog, chosen.engine, files)
    found = [row for row in rows if LEVELS.index(row["level"]) >= LEVELS.index(level)]
    print_rows(found, output, list(COLUMNS))
    n_files = len({row["place"].partition(":")[0] for row in found})
    note(f"{len(found)} found in {n_files} file{_s(n_files)}" if found else "nothing found")
    return 1 if found else 0


def _s(n: int) -> str:
    return "" if n == 1 else "s"


_CLOCK = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
COLUMNS = ("level", "code", "place", "construct", "why", "fix")


def _traps(catalog: Catalog, engine: str, files: tuple[Path, ...]) -> list[dict[str, str]]:
    """Return what wml train would warn of, as far as the statements show it."""
    from warehouse_ml.catalog import Clock
    from warehouse_ml.definition import read_definition
    from warehouse_ml.lint import lint

    rows = []
    asked = {file.resolve() for file in files}
    for node in catalog.of_kind("model"):
        if asked and (catalog.project.root / node.place).resolve() not in asked:
            continue
        source = catalog.source_text(node, Clock(_CLOCK, _CLOCK))
        definition = read_definition(source.text, name=node.name, place=node.place, source=source, engine=engine)
        rows += [
            {
                "level": "warning",
                "code": finding.trap,
                "place": finding.place,
                "construct": finding.what,
                "why": finding.why,
                "fix": finding.fix,
            }
            for finding in lint(definition, node.config)
        ]
    return rows


def _engine(settings: Project, target: str) -> str:
    from warehouse_ml.templates import ENGINES

    return target if target in ENGINES else settings.target(target).engine


def _findings(catalog: Catalog, engine: str, files: tuple[Path, ...], refusing: frozenset[str]) -> Iterator[Finding]:
    from warehouse_ml.portability import check_file, check_project

    if not files:
        yield from check_project(catalog, written_for=engine, refusing=refusing)
        return
    root = catalog.project.root.resolve()
    nodes = {(root / node.place).resolve(): node for node in catalog.nodes.values()}
    for file in files:
        node = nodes.get(file.resolve())
        if node is not None:
            yield from check_project(catalog, written_for=engine, refusing=refusing, nodes=[node])
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            known = sorted(node.place for node in catalog.nodes.values())
            hint = did_you_mean(str(file), known)
            raise ProjectError(f"cannot be read: {error.strerror}", place=str(file), hint=hint) from None
        yield from check_file(text, place=str(file), engine=engine, refusing=refusing)
