"""BigQuery ML's statements given to ``wml query``: ``create model``, ``drop model``, ``export model``."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlglot import exp
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

from warehouse_ml.definition import read_definition
from warehouse_ml.dialect import DropModel, ExportModel, dialect_of, parse
from warehouse_ml.errors import DefinitionError, ProjectError, VersionNotFoundError, did_you_mean
from warehouse_ml.registry import CHAMPION, Alias
from warehouse_ml.session import Session
from warehouse_ml.training import Subject, dataset_of, export_there, max_training_rows, train

__all__ = ["Done", "is_model_statement", "run_statement"]

_FIRST_WORDS = {"CREATE", "DROP", "EXPORT"}


@dataclass(frozen=True)
class Done:
    """What a statement did.

    Parameters
    ----------
    statement : str
        create model, drop model or export model.
    model : str
        With the version, where there is one.
    result : str
        In words.
    warnings : tuple of str
    """

    statement: str
    model: str
    result: str
    warnings: tuple[str, ...] = ()


def is_model_statement(text: str, engine: str = "duckdb") -> bool:
    """Return whether a text is one of the statements, going by its first words."""
    try:
        tokens = dialect_of(engine).tokenize(text)[:6]
    except TokenError:
        return False
    if not tokens or tokens[0].text.upper() not in _FIRST_WORDS:
        return False
    return any(token.token_type == TokenType.MODEL for token in tokens[1:4])


def run_statement(
    session: Session, text: str, as_of: dt.datetime, *, place: str, on_step: Callable[[str], None] | None = None
) -> Done:
    """Run a statement about a model.

    Raises
    ------
    TemplateError, DefinitionError
        If it is not understood.
    VersionNotFoundError
        If it is about a model that is not there.
    """
    tree = parse(text, place=place, engine=session.warehouse.engine)
    match tree:
        case DropModel():
            return _drop(session, tree, as_of, place)
        case ExportModel():
            return _export(session, tree, as_of, place)
        case exp.Create():
            return _create(session, tree, text, as_of, place, on_step)
        case _:
            raise DefinitionError("this is not a statement about a model", place=place)


def _create(
    session: Session,
    tree: exp.Create,
    text: str,
    as_of: dt.datetime,
    place: str,
    on_step: Callable[[str], None] | None,
) -> Done:
    """Train a model that is no file of the project; the relations it reads are read as they are."""
    name = session.registry.name_of(tree.this.name)
    champion = session.registry.holder(name, CHAMPION, as_of)
    if champion is not None and tree.args.get("exists"):
        return Done("create model", f"{name}@{champion.version}", "it is there already")
    if champion is not None and not tree.args.get("replace"):
        raise DefinitionError(
            f'the model "{name}" is there already: version {champion.version} serves',
            place=place,
            hint="create or replace model trains the next version; create model if not exists leaves it",
        )

    def read() -> Subject:
        definition = read_definition(text, name=name, place=place, engine=session.warehouse.engine)
        definition_hash = hashlib.sha256(definition.text.encode()).hexdigest()
        target = session.catalog.target
        return Subject(
            definition,
            definition_hash,
            {},
            session.project.root,
            max_rows=max_training_rows(target),
            dataset=dataset_of(target),
            target=target.name,
        )

    trained = train(session.warehouse, session.registry, name, read, as_of, promote="always", on_step=on_step)
    number = trained.version.version
    if not trained.is_new and (champion is None or champion.version != number):
        # Dropped or replaced since: what was trained before serves again.
        session.registry.write_ledger([Alias(name, CHAMPION, number, as_of, "made again")])
    session.show_versions()
    result = f"trained on {trained.n_train:,} rows" if trained.is_new else trained.reason
    return Done("create model", f"{name}@{number}", result, tuple(trained.warnings))


def _drop(session: Session, tree: DropModel, as_of: dt.datetime, place: str) -> Done:
    """Take every alias away: nothing serves any more, and what was decided can still be explained."""
    named = tree.this
    if named.version:
        raise DefinitionError(
            "a version is never dropped: what it decided must stay explainable",
            place=place,
            hint=f"drop model {named.name} stops the model from serving",
        )
    name = session.registry.name_of(named.name)
    aliases = sorted({line.alias for line in session.registry.ledger() if line.model == name})
    held = [alias for alias in aliases if session.registry.holder(name, alias, as_of) is not None]
    if not held:
        if not tree.args.get("exists"):
            raise _not_there(session, named.name, place)
        return Done("drop model", named.name, "there is no such model")
    session.registry.write_ledger([Alias(name, alias, None, as_of, "dropped") for alias in held])
    session.show_versions()
    n_versions = len(session.registry.versions(name))
    return Done("drop model", name, f"it serves no more; its {n_versions} versions are kept")


def _export(session: Session, tree: ExportModel, as_of: dt.datetime, place: str) -> Done:
    options = {item.name.lower(): item.args["value"] for item in tree.args.get("options") or []}
    uri = options.pop("uri", None)
    if uri is None or not uri.is_string or options:
        raise DefinitionError(
            f"export model has no option {next(iter(options))}" if options else "export model needs a folder",
            place=place,
            hint="export model name options (uri = 'folder')",
        )
    version = session.registry.get(session.registry.name_of(tree.this.name), tree.this.version or CHAMPION, at=as_of)
    stored = session.registry.load(version)
    named = f"{version.model}@{version.version}"
    if "://" in uri.name:
        if stored.native is None:
            raise ProjectError(
                f"{uri.name} is no folder of this machine, and {named} was trained here",
                place=place,
                hint="export it to a folder, and copy that: export model name options (uri = 'folder')",
            )
        export_there(session.warehouse, stored.native, uri.name, place)
        return Done("export model", named, f"BigQuery exported the model to {uri.name}")
    target = session.project.root / uri.name
    if target.exists():
        raise ProjectError(f"{uri.name} is there already", place=place, hint="name a folder that is not there yet")
    _copy(session.registry.root / version.artifact_uri, target)
    if stored.native is None:
        return Done("export model", named, f"copied to {uri.name}")
    told = (
        f"{uri.name} holds the definition, the training query and the metrics of {named}; what it learned is in"
        f" BigQuery, as the model `{'.'.join(stored.native.native)}`: export model {named} options (uri = 'gs://bucket/folder')"
        " exports that"
    )
    return Done("export model", named, f"copied to {uri.name}, without what it learned", (told,))


def _copy(folder: Path, target: Path) -> None:
    staged = target.with_name(f".staging-{target.name}")
    try:
        shutil.copytree(folder, staged)
        staged.rename(target)
    except OSError as error:
        raise ProjectError(f"cannot be written: {error.strerror or error}", place=str(target)) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _not_there(session: Session, name: str, place: str) -> VersionNotFoundError:
    known = sorted({version.model for version in session.registry.versions()})
    return VersionNotFoundError(
        f'no model "{name}" serves', place=place, has=known or None, hint=did_you_mean(name, known)
    )
