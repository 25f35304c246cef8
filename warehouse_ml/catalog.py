"""The project's templates, rendered: what each file says, needs and depends on."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from warehouse_ml import templates
from warehouse_ml.dialect import calls_in
from warehouse_ml.due import rule_macros
from warehouse_ml.errors import GraphError, ProjectError, TemplateError, did_you_mean
from warehouse_ml.graph import Graph, NodeId
from warehouse_ml.places import SourceText, trace
from warehouse_ml.project import Project, SqlFile, Target
from warehouse_ml.template_names import BEGINNING, Clock, Reading, is_file, matches, template_names
from warehouse_ml.warehouses.layout import LAYOUT_KEYS, layout_of_config

__all__ = ["BEGINNING", "Catalog", "Clock", "Node"]

# Two clocks of no meaning: a file that reads the same under both does not depend on the clock.
_STILL = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_OTHER = dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)

_RELATION_KEYS = {"materialized", "event_time", "entity", "known_at", "description", "tags", *LAYOUT_KEYS}
_CONFIG_KEYS = {
    "relation": _RELATION_KEYS,
    "model": {"requests", "threshold", "allow", "description", "tags"},
    "rule": {"on", "model", "enabled", "description", "tags"},
    "test": {"description", "tags"},
}
_MATERIALIZED = ("view", "table", "incremental")


@dataclass(frozen=True)
class Node:
    """One file as it renders when the clock stands still.

    Parameters
    ----------
    id : NodeId
    file : SqlFile
    config : mapping
        What its ``config(...)`` says.
    needs : frozenset of NodeId
        What it reads directly.
    sources : frozenset of str
        The sources it reads directly.
    text_hash : str
        Of the rendered text and the config.
    uses_clock : bool
        Whether its own text depends on ``as_of`` or ``window``.
    models : frozenset of (str, str or None)
        The models that its own ``ml.*`` calls name, each with its version or alias.
    """

    id: NodeId
    file: SqlFile
    config: Mapping[str, Any]
    needs: frozenset[NodeId]
    sources: frozenset[str]
    text_hash: str
    uses_clock: bool
    models: frozenset[tuple[str, str | None]] = frozenset()

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.id.name

    @property
    def place(self) -> str:
        """The file, as errors show it."""
        return self.file.place


class Catalog:
    """Every file of a project on one target.

    Parameters
    ----------
    project : Project
    target : Target

    Raises
    ------
    TemplateError, GraphError, ProjectError
        If a template does not render, names what is not there, or the needs form a cycle.
    """

    def __init__(self, project: Project, target: Target) -> None:
        self.project = project
        self.target = target
        self._relations = {file.name.lower(): file.name for file in project.files if file.is_relation}
        self._models = {file.name.lower(): file.name for file in project.of_kind("model")}
        self._definition_hashes: dict[NodeId, str] = {}
        nodes = [self._read(file) for file in project.files if file.kind != "macro"]
        self.nodes = {node.id: node for node in nodes}
        self.graph = Graph({node.id: node.needs for node in nodes}, {node.id: node.file.place for node in nodes})

    def of_kind(self, kind: str) -> list[Node]:
        """Return the nodes of a kind, in the graph's order."""
        return [self.nodes[node] for node in self.graph.order if node.kind == kind]

    def node(self, kind: str, name: str) -> Node:
        """Return one node.

        Raises
        ------
        ProjectError
            If there is none of that name.
        """
        for node in self.nodes.values():
            if node.id.kind == kind and node.name.lower() == name.lower():
                return node
        known = sorted(node.name for node in self.of_kind(kind))
        folder = {"model": "models", "evaluation": "sql/evaluation", "rule": "sql/rules"}.get(kind, "sql")
        raise ProjectError(f'no {kind} "{name}" in {folder}/', has=known, hint=did_you_mean(name, known))

    def render(self, node: Node, clock: Clock) -> str:
        """Return a file's SQL at a clock."""
        return self._render(node.file, clock, Reading())

    def definition_text(self, node: Node) -> str:
        """Return a file's SQL as its hash knows it, with the clock as the parameters ``as_of`` and ``window_start``."""
        try:
            return self._render(node.file, None, Reading(is_for_hash=True))
        except TemplateError:
            # The template works with the clock's text itself.
            return self._render(node.file, Clock(_STILL, _STILL), Reading(is_for_hash=True))

    def source_text(self, node: Node, clock: Clock) -> SourceText:
        """Return a file's SQL at a clock, with its places in the file."""
        text = self.render(node, clock)
        source, engine = node.file.source, self.target.engine

        def render(marked: str) -> str:
            return self._render(replace(node.file, source=marked), clock, Reading())

        return SourceText(text, node.place, lambda: trace(source, text, templates.user_environment(engine), render))

    def texts(self, node: Node) -> dict[str, str]:
        """Return what the node and all above it say, by file: rendered, the clock by its names, with their config."""
        found = {}
        for other in sorted(self.graph.above([node.id])):
            file, reading = self.nodes[other].file, Reading(is_for_hash=True)
            text = self._render(file, Clock(_STILL, _OTHER), reading)
            for name, at in (("as_of", _STILL), ("window.start", _OTHER)):
                text = text.replace(templates.literal(at, self.target.engine), "{{ " + name + " }}")
            told = json.dumps(_telling(reading.config), sort_keys=True, default=str)
            found[file.place] = f"-- config: {told}\n{text.strip()}" if reading.config else text.strip()
        return found

    def definition_hash(self, node: Node) -> str:
        """Return a hash of what the node and everything above it say; no clock and no data in it."""
        if node.id not in self._definition_hashes:
            above = sorted(self.graph.above([node.id]))
            parts = [str(other) + self.nodes[other].text_hash for other in above]
            self._definition_hashes[node.id] = _hash(parts)
        return self._definition_hashes[node.id]

    def depends_on_clock(self, node: Node) -> bool:
        """Whether the node or anything it reads depends on the clock."""
        return any(self.nodes[other].uses_clock for other in self.graph.above([node.id]))

    def inputs_hash(self, node: Node) -> str | None:
        """Return a hash of the source files behind a node, or None if a source is a table that may change unseen."""
        names: set[str] = set()
        for other in self.graph.above([node.id]):
            names |= self.nodes[other].sources
        prints: list[str] = []
        for name in sorted(names):
            value = self.project.source(name, self.target.name)
            if not is_file(value):
                return None
            for path in matches(self.project.root, value):
                status = path.stat()
                prints.append(f"{name}:{path.name}:{status.st_size}:{status.st_mtime_ns}")
        return _hash(prints)

    def _read(self, file: SqlFile) -> Node:
        reading = Reading(is_for_hash=True)
        # Whether a rule is about a promotion is known when it has been read; any two versions do for that.
        versions = (2, 1) if file.kind == "rule" else (None, None)
        still = self._render(file, Clock(_STILL, _STILL, *versions), reading)
        versions = versions if reading.config.get("on") == "promote" else (None, None)
        other = self._render(file, Clock(_OTHER, _OTHER, *versions), Reading(is_for_hash=True))
        kind = "relation" if file.is_relation else file.kind
        _check_config(kind, file, reading.config)
        if kind == "model":
            reading.needs.add(self._relation_id(str(reading.config.get("requests", f"{file.name}_requests")), file))
        models = frozenset(self._models_called(still, file))
        reading.needs.update(NodeId("model", name) for name, _ in models)
        text_hash = _hash([still, json.dumps(_telling(reading.config), sort_keys=True, default=str)])
        return Node(
            id=NodeId(kind, file.name),
            file=file,
            config=reading.config,
            needs=frozenset(reading.needs),
            sources=frozenset(reading.sources),
            text_hash=text_hash,
            uses_clock=still != other,
            models=models,
        )

    def _models_called(self, sql: str, file: SqlFile) -> Iterator[tuple[str, str | None]]:
        for call in calls_in(sql, place=file.place, engine=self.target.engine):
            for model in call.args["models"]:
                found = self._models.get(model.name.lower())
                if found is None:
                    known = sorted(self._models.values())
                    raise GraphError(
                        f"ml.{call.this}(model {model.name}): no such model in models/",
                        place=file.place,
                        has=known,
                        hint=did_you_mean(model.name, known),
                    )
                yield found, model.version

    def _relation_id(self, name: str, file: SqlFile) -> NodeId:
        found = self._relations.get(name.lower())
        if found is None:
            raise GraphError(
                f'no relation "{name}" for the requests of this model',
                place=file.place,
                has=sorted(self._relations.values()),
                hint=did_you_mean(name, list(self._relations.values()))
                or f"write sql/requests/{file.name}_requests.sql, or name it: config(requests='...')",
            )
        return NodeId("relation", found)

    def _render(self, file: SqlFile, clock: Clock | None, reading: Reading) -> str:
        names = template_names(self.project, self.target, self._relations, self._models, clock, reading)
        if file.kind == "rule":
            # While the files are being read there is no telling yet what a model stands on.
            known = None if reading.is_for_hash else lambda model: self.definition_hash(self.node("model", model))
            names |= rule_macros(
                file.name,
                names,
                reading.config,
                (clock or Clock(_STILL)).as_of,
                self.project,
                self.target.engine,
                known,
            )
        for macro_file in self.project.of_kind("macro"):
            names.update(templates.macros(macro_file.source, self.target.engine, names, place=macro_file.place))
        return templates.render(file.source, self.target.engine, names, place=file.place)


def _check_config(kind: str, file: SqlFile, config: Mapping[str, Any]) -> None:
    known = _CONFIG_KEYS.get(kind)
    for key in config if known else ():
        if known and key not in known:
            raise TemplateError(
                f'config has no setting "{key}"',
                place=file.place,
                has=sorted(known),
                hint=did_you_mean(key, sorted(known)),
            )
    if kind != "relation":
        return
    materialized = config.get("materialized", "view")
    if materialized not in _MATERIALIZED:
        raise TemplateError(
            f'materialized = "{materialized}" is not known',
            place=file.place,
            has=_MATERIALIZED,
            hint=did_you_mean(str(materialized), _MATERIALIZED),
        )
    if materialized == "incremental" and not config.get("event_time"):
        raise TemplateError(
            "an incremental relation must say which column its windows cut",
            place=file.place,
            hint="add event_time='...' to config(...)",
        )
    layout_of_config(config, kind=file.kind, place=file.place)


def _telling(config: Mapping[str, Any]) -> dict[str, Any]:
    # What is only said about a model makes no other model of it; how rows lie, no other rows.
    return {key: value for key, value in config.items() if key != "allow" and key not in LAYOUT_KEYS}


def _hash(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()
