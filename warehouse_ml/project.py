"""A user's project: wml.toml and the SQL files beside it, read into one frozen value."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from warehouse_ml.errors import ProjectError, did_you_mean

__all__ = ["SETTINGS_FILE", "Project", "SqlFile", "Target", "find_project", "load_project"]

SETTINGS_FILE = "wml.toml"

_FOLDERS = {
    "feature": ("sql", "features"),
    "request": ("sql", "requests"),
    "evaluation": ("sql", "evaluation"),
    "rule": ("sql", "rules"),
    "test": ("sql", "tests"),
    "macro": ("sql", "macros"),
    "model": ("models",),
}
_RELATIONS = frozenset({"feature", "request"})
_SETTINGS: dict[str, type] = {
    "project": dict,
    "targets": dict,
    "sources": dict,
    "vars": dict,
    "artifacts": dict,
}
ENGINES = ("duckdb", "bigquery")
"""The engines there is an adapter for."""


@dataclass(frozen=True)
class Target:
    """A warehouse the project can run on.

    Parameters
    ----------
    name : str
        What ``--target`` calls it.
    engine : str
        Which adapter opens it; the target's name unless ``type`` says otherwise.
    settings : mapping
        The rest of its table in wml.toml.
    """

    name: str
    engine: str
    settings: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Where errors say that its settings are."""
        return f"{SETTINGS_FILE}: [targets.{self.name}]"

    @property
    def schema(self) -> str | None:
        """What its relations must be qualified with in a view; None where their names alone do."""
        dataset = self.settings.get("dataset") if self.engine == "bigquery" else None
        return dataset if isinstance(dataset, str) else None


@dataclass(frozen=True)
class SqlFile:
    """One template of the project.

    Parameters
    ----------
    kind : str
        feature, request, evaluation, rule, test, macro or model: what its folder is for.
    name : str
        The file's stem, by which ``ref`` finds it.
    path : Path
        Where it is.
    place : str
        The path as errors show it, relative to the project.
    source : str
        The template.
    """

    kind: str
    name: str
    path: Path
    place: str
    source: str = field(repr=False)

    @property
    def is_relation(self) -> bool:
        """Whether it is built into a table or view of its name."""
        return self.kind in _RELATIONS


@dataclass(frozen=True)
class Project:
    """A project as read from disk; nothing in it has been rendered or run.

    Parameters
    ----------
    root : Path
        The folder of wml.toml, absolute.
    name : str
        ``[project] name``.
    targets : mapping of name to Target
    default_target : str
        ``[project] target``, or the first target.
    sources : mapping of name to what it is on every target
    target_sources : mapping of target to the sources it names otherwise
    variables : mapping
        ``[vars]``.
    artifacts : Path
        The folder of the versions; of their copies on this machine, if they are kept in an object store.
    store : str or None
        The address of the object store that keeps the versions.
    max_snapshot_rows : int or None
        A version trained on more rows than this keeps their query and hash alone; None: it always keeps them.
    files : tuple of SqlFile
        Ordered by path.
    """

    root: Path
    name: str
    targets: Mapping[str, Target]
    default_target: str
    sources: Mapping[str, str]
    target_sources: Mapping[str, Mapping[str, str]]
    variables: Mapping[str, Any]
    artifacts: Path
    store: str | None
    max_snapshot_rows: int | None
    files: tuple[SqlFile, ...]
    settings_text: str = field(repr=False)

    def target(self, name: str | None = None) -> Target:
        """Return the named target, or the default one.

        Raises
        ------
        ProjectError
            If there is no such target, or no adapter for its engine.
        """
        wanted = name or self.default_target
        if wanted not in self.targets:
            raise ProjectError(
                f'no target "{wanted}"',
                place=SETTINGS_FILE,
                has=sorted(self.targets),
                hint=did_you_mean(wanted, list(self.targets)),
            )
        target = self.targets[wanted]
        if target.engine not in ENGINES:
            raise ProjectError(
                f'no adapter for the engine "{target.engine}" in this release',
                place=target.place,
                has=ENGINES,
                hint="run on DuckDB: --target duckdb",
            )
        return target

    def source(self, name: str, target: str) -> str:
        """Return what a source is called on a target: a file, a glob or a table.

        Raises
        ------
        ProjectError
            If wml.toml does not name the source.
        """
        value = self.target_sources.get(target, {}).get(name, self.sources.get(name))
        if value is None:
            known = sorted({*self.sources, *self.target_sources.get(target, {})})
            raise ProjectError(
                f'no source "{name}" in {SETTINGS_FILE}',
                has=known,
                hint=did_you_mean(name, known) or f"add it under [sources] in {SETTINGS_FILE}",
            )
        return value

    def of_kind(self, *kinds: str) -> list[SqlFile]:
        """Return the files of these kinds, ordered by path."""
        return [file for file in self.files if file.kind in kinds]

    def setting_line(self, name: str) -> int | None:
        """Return the line of wml.toml that sets ``name``, or None."""
        for number, line in enumerate(self.settings_text.splitlines(), start=1):
            written = line.partition("=")[0].strip().strip("\"'")
            if "=" in line and written == name:
                return number
        return None


def find_project(start: Path) -> Path:
    """Return the closest folder at or above ``start`` that holds wml.toml.

    Raises
    ------
    ProjectError
        If there is none.
    """
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / SETTINGS_FILE).is_file():
            return candidate
    raise ProjectError(
        f"no {SETTINGS_FILE} here or in a folder above",
        place=str(start),
        hint="start a project with: wml init my_project    or see one live: wml demo",
    )


def load_project(folder: Path) -> Project:
    """Read wml.toml and every SQL file of the project in ``folder``.

    Raises
    ------
    ProjectError
        If the settings are not valid, a name is taken twice, or a file cannot be read as text.
    """
    root = folder.resolve()
    path = root / SETTINGS_FILE
    text = _read(path, SETTINGS_FILE)
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"not valid TOML: {error}", place=SETTINGS_FILE) from None
    for key, value in settings.items():
        if key not in _SETTINGS:
            raise ProjectError(
                f'unknown table "{key}"',
                place=SETTINGS_FILE,
                has=sorted(_SETTINGS),
                hint=did_you_mean(key, list(_SETTINGS)),
            )
        if not isinstance(value, dict):
            raise ProjectError(f'"{key}" must be a table', place=SETTINGS_FILE, hint=f"write [{key}]")
    project = settings.get("project", {})
    targets = _targets(settings.get("targets", {"duckdb": {"path": "warehouse.duckdb"}}))
    sources, target_sources = _sources(settings.get("sources", {}), targets)
    files = tuple(_files(root))
    _check_names(files)
    return Project(
        root=root,
        name=str(project.get("name", root.name)),
        targets=targets,
        default_target=str(project.get("target", next(iter(targets)))),
        sources=sources,
        target_sources=target_sources,
        variables=MappingProxyType(settings.get("vars", {})),
        **_artifacts(root, settings.get("artifacts", {})),
        files=files,
        settings_text=text,
    )


def _artifacts(root: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return where versions are kept, and how much of their rows."""
    place = f"{SETTINGS_FILE}: [artifacts]"
    known = ("path", "cache", "max_snapshot_rows")
    for key in table:
        if key not in known:
            raise ProjectError(f'unknown setting "{key}"', place=place, has=known, hint=did_you_mean(key, known))
    path, cache, most = str(table.get("path", "artifacts")), table.get("cache"), table.get("max_snapshot_rows")
    if most is not None and (type(most) is not int or most < 0):
        raise ProjectError(f"max_snapshot_rows = {most!r} is not a number of rows", place=place, hint="0 keeps none")
    scheme, separator, rest = path.partition("://")
    if separator and scheme == "file":
        path, separator = rest, ""
    if cache is not None and not separator:
        raise ProjectError("cache is of an object store alone", place=place, hint="leave it out: path is a folder")
    folder = root / (str(cache or "artifacts") if separator else path)
    return {"artifacts": folder, "store": path if separator else None, "max_snapshot_rows": most}


def _targets(tables: Mapping[str, Any]) -> Mapping[str, Target]:
    targets = {}
    for name, settings in tables.items():
        if not isinstance(settings, dict):
            raise ProjectError(f'target "{name}" must be a table', place=SETTINGS_FILE, hint=f"write [targets.{name}]")
        engine = str(settings.get("type", name))
        targets[name] = Target(name, engine, MappingProxyType(settings))
    if not targets:
        raise ProjectError(
            "no target", place=SETTINGS_FILE, hint='write [targets.duckdb] with path = "warehouse.duckdb"'
        )
    return MappingProxyType(targets)


def _sources(
    table: Mapping[str, Any], targets: Mapping[str, Target]
) -> tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]:
    shared: dict[str, str] = {}
    by_target: dict[str, Mapping[str, str]] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            if name not in targets and name not in ENGINES:
                raise ProjectError(
                    f"[sources.{name}] is for a target that is not there", place=SETTINGS_FILE, has=sorted(targets)
                )
            by_target[name] = MappingProxyType({key: str(item) for key, item in value.items()})
        elif isinstance(value, str) and value:
            shared[name] = value
        else:
            raise ProjectError(
                f'source "{name}" must be text', place=SETTINGS_FILE, hint="a file, a glob or the name of a table"
            )
    return MappingProxyType(shared), MappingProxyType(by_target)


def _files(root: Path) -> Iterator[SqlFile]:
    for kind, parts in _FOLDERS.items():
        folder = root.joinpath(*parts)
        for path in sorted(folder.rglob("*.sql")):
            place = path.relative_to(root).as_posix()
            yield SqlFile(kind, path.stem, path, place, _read(path, place))


def _check_names(files: tuple[SqlFile, ...]) -> None:
    seen: dict[tuple[str, str], SqlFile] = {}
    for file in files:
        if file.kind == "macro":
            continue
        space = "relation" if file.is_relation else file.kind
        first = seen.setdefault((space, file.name.lower()), file)
        if first is not file:
            raise ProjectError(
                f'the name "{file.name}" is taken by {first.place}', place=file.place, hint="rename one of the files"
            )


def _read(path: Path, place: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"cannot be read: {error.strerror}", place=place) from None
    except UnicodeDecodeError:
        raise ProjectError("is not UTF-8 text", place=place) from None
