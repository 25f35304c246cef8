"""What is to be trained: a definition as its files say it, and what they say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.definition import ModelDefinition, read_definition
from warehouse_ml.errors import ProjectError
from warehouse_ml.project import Target

__all__ = ["Subject", "dataset_of", "max_training_rows", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """What is to be trained.

    Parameters
    ----------
    definition : ModelDefinition
    definition_hash : str
        Of the definition with all that it reads.
    config : mapping
        What the model's file says in ``config(...)``.
    root : Path
        The project's folder, whose commit is noted.
    files : mapping of str to str
        What the model's file and all that it reads say, by file, as ``Catalog.texts`` has them.
    max_rows : int or None
        Of more training rows than this a sample is taken: the target's setting ``max_training_rows``.
    dataset : tuple of str
        Where a model that the target itself trains is put: its settings ``project`` and ``dataset``.
    target : str
        The target's name.
    """

    definition: ModelDefinition
    definition_hash: str
    config: Mapping[str, Any]
    root: Path
    files: Mapping[str, str] = field(default_factory=dict)
    max_rows: int | None = None
    dataset: tuple[str, ...] = ()
    target: str = ""


def subject_of(catalog: Catalog, node: Node, as_of: dt.datetime) -> Subject:
    """Return a model of the project, its definition rendered at a clock."""
    source = catalog.source_text(node, Clock(as_of))
    definition = read_definition(
        source.text, name=node.name, place=node.place, source=source, engine=catalog.target.engine
    )
    return Subject(
        definition,
        catalog.definition_hash(node),
        node.config,
        catalog.project.root,
        catalog.texts(node),
        max_training_rows(catalog.target),
        dataset_of(catalog.target),
        catalog.target.name,
    )


def dataset_of(target: Target) -> tuple[str, ...]:
    """Return where a model that a target itself trains is put: its settings ``project`` and ``dataset``."""
    named = (target.settings.get("project"), target.settings.get("dataset"))
    return tuple(str(part) for part in named if part)


def max_training_rows(target: Target) -> int | None:
    """Return of how many training rows a target takes a sample; None: it never does.

    Raises
    ------
    ProjectError
        If the setting is no number of rows.
    """
    most = target.settings.get("max_training_rows")
    if most is not None and (type(most) is not int or most < 100):
        raise ProjectError(
            f"max_training_rows = {most!r} is not a number of rows of at least 100",
            place=target.place,
            hint="leave it out to train on all rows",
        )
    return most
