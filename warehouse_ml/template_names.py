"""What the project's templates may name: relations, sources, logs, settings, and the clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse_ml import templates
from warehouse_ml.errors import GraphError, ProjectError, TemplateError, did_you_mean
from warehouse_ml.graph import NodeId
from warehouse_ml.project import SETTINGS_FILE, Project, Target
from warehouse_ml.warehouses.base import Relation, wml_table

__all__ = ["BEGINNING", "Clock", "Reading", "is_file", "matches", "template_names"]

BEGINNING = dt.datetime(100, 1, 1, tzinfo=dt.UTC)
"""Where the first window of an incremental relation starts: a template may look some time further back, and the first
instant that every engine knows is in the year 1."""

_WHERE_VERSIONS_ARE = 'is a version\'s number that only a rule with config(on="promote") is told'
_CLOCK = ("as_of", "window_start")
_FILE_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".json", ".ndjson", ".jsonl")


@dataclass(frozen=True)
class Clock:
    """What the templates may see: nothing later than ``as_of``.

    Parameters
    ----------
    as_of : datetime
        The clock; aware.
    window_start : datetime
        Where an incremental relation goes on from.
    candidate, champion : int or None
        The versions that a rule about a promotion is asked about.
    """

    as_of: dt.datetime
    window_start: dt.datetime = BEGINNING
    candidate: int | None = None
    champion: int | None = None


@dataclass
class _Window:
    start: str
    end: str


@dataclass
class Reading:
    """What a template touched while it rendered."""

    is_for_hash: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    needs: set[NodeId] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)


def template_names(
    project: Project,
    target: Target,
    relations: Mapping[str, str],
    models: Mapping[str, str],
    clock: Clock | None,
    reading: Reading,
) -> dict[str, Any]:
    """Return what a template is rendered with, beside the macros.

    Parameters
    ----------
    project : Project
    target : Target
    relations, models : mapping of str to str
        Their names by the names in lower case.
    clock : Clock or None
        None leaves the clock as the parameters ``as_of`` and ``window_start``.
    reading : Reading
        Is told what the template touches.
    """
    engine = target.engine
    ident = templates.environment(engine).filters["ident"]

    if clock is None:
        as_of, window_start = (str(templates.environment(engine).globals["param"](name)) for name in _CLOCK)  # type: ignore[operator]
    else:
        as_of, window_start = (templates.literal(at, engine) for at in (clock.as_of, clock.window_start))

    def ref(name: str) -> str:
        found = relations.get(name.lower())
        if found is None:
            known = sorted(relations.values())
            is_model = name.lower() in models
            raise GraphError(
                f'ref("{name}"): {"that is a model, not a relation" if is_model else "no such relation"}',
                has=known,
                hint=f"its logged predictions are request_log('{name}')" if is_model else did_you_mean(name, known),
            )
        reading.needs.add(NodeId("relation", found))
        # Where a view needs whole names, the dataset is where its target is, and no part of what it says.
        return str(ident(found if reading.is_for_hash or target.schema is None else Relation(found, target.schema)))

    def source(name: str) -> str:
        value = project.source(name, target.name)
        reading.sources.add(name)
        if not is_file(value):
            return ".".join(str(ident(part)) for part in _table_parts(value, target))
        _check_source_file(project, name, value)
        # A hash of the text must not change when the project is moved.
        path = value if reading.is_for_hash else (project.root / value).as_posix()
        return str(templates.environment(engine).globals["read_file"](path))  # type: ignore[operator]

    def request_log(model: str) -> str:
        found = models.get(model.lower())
        if found is None:
            known = sorted(models.values())
            raise GraphError(f'request_log("{model}"): no such model', has=known, hint=did_you_mean(model, known))
        reading.needs.add(NodeId("model", found))
        return str(ident(wml_table(f"request_log_{found}")))

    def var(name: str, *default: Any) -> Any:
        if name in project.variables:
            return project.variables[name]
        if default:
            return default[0]
        known = sorted(project.variables)
        raise TemplateError(
            f'var("{name}") is not set under [vars] in {SETTINGS_FILE}', has=known, hint=did_you_mean(name, known)
        )

    def config(**settings: Any) -> str:
        reading.config.update(settings)
        return ""

    return {
        "ref": ref,
        "source": source,
        "request_log": request_log,
        "var": var,
        "config": config,
        "as_of": as_of,
        "window": _Window(window_start, as_of),
        "candidate": (clock and clock.candidate) or templates.missing("candidate", _WHERE_VERSIONS_ARE),
        "champion": (clock and clock.champion) or templates.missing("champion", _WHERE_VERSIONS_ARE),
    }


def _table_parts(value: str, target: Target) -> list[str]:
    """Return the parts of a table's name as wml.toml has it."""
    if target.engine != "bigquery":
        return value.split(".")
    # A project of a domain has a dot of its own: example.com:project.dataset.table.
    parts = value.replace("`", "").rsplit(".", 2)
    # A view needs at least the dataset.
    return [target.schema, *parts] if target.schema and len(parts) == 1 else parts


def _check_source_file(project: Project, name: str, value: str) -> None:
    if matches(project.root, value):
        return
    line = project.setting_line(name)
    folder = (project.root / value).parent
    beside = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise ProjectError(
        f'source "{name}": there is no file {value}',
        has=beside or [f"no folder {Path(value).parent.as_posix()}"],
        hint=f"it is set in {SETTINGS_FILE}{f':{line}' if line else ''}, relative to the project's folder",
    )


def is_file(value: str) -> bool:
    """Return whether a source is a file, or files, and no table."""
    return value.lower().endswith(_FILE_SUFFIXES)


def matches(root: Path, value: str) -> list[Path]:
    """Return the files that a source names, by a path or a pattern relative to the project's folder."""
    path = root / value
    if any(sign in value for sign in "*?["):
        base = Path(path.anchor) if path.is_absolute() else root
        pattern = path.relative_to(base).as_posix()
        return sorted(base.glob(pattern))
    return [path] if path.is_file() else []
