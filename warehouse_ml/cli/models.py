"""``wml models``."""

from __future__ import annotations

from pathlib import Path

import click

from warehouse_ml.cli.options import format_option, project_option, target_option
from warehouse_ml.cli.output import print_rows
from warehouse_ml.errors import WmlError


@click.group("models", short_help="List the versions of models, show one, or tell two apart.")
def command() -> None:
    """List the versions of models, show one, or tell two apart."""


@command.command("list", short_help="List versions, with their metrics and aliases.")
@click.argument("model", required=False)
@format_option
@project_option
def list_(model: str | None, output: str, project: Path) -> None:
    """List every version, or those of MODEL, with its metrics on the rows held out and the aliases it has now."""
    import datetime as dt

    registry, _ = _registry(project)
    now = dt.datetime.now(dt.UTC)
    aliases: dict[tuple[str, int], list[str]] = {}
    for name, alias in sorted({(line.model, line.alias) for line in registry.ledger()}):
        holder = registry.holder(name, alias, now)
        if holder is not None:
            aliases.setdefault((name, holder.version), []).append(alias)
    rows = [
        {
            "model": version.model,
            "version": version.version,
            "aliases": ", ".join(aliases.get((version.model, version.version), [])),
            "as_of": version.as_of,
            "model_type": version.model_type,
            "trainer": version.environment.get("trainer"),
            "n_rows": version.n_rows,
            **{f"held_out_{name}": version.metrics.get(name) for name in ("roc_auc", "accuracy", "r2_score")},
            "artifact_hash": version.artifact_hash[:12],
        }
        for version in registry.versions(model)
    ]
    unused = [
        key
        for key in (rows[0] if rows else {})
        if key.startswith(("held_out_", "trainer")) and all(row[key] is None for row in rows)
    ]
    columns = [key for key in (rows[0] if rows else {"model": 1, "version": 1}) if key not in unused]
    print_rows(rows, output, columns)


@command.command("show", short_help="Show one version: MODEL, MODEL@3, MODEL@challenger.")
@click.argument("name")
@format_option
@project_option
def show(name: str, output: str, project: Path) -> None:
    """Show one version: MODEL is its champion, MODEL@3 the version 3, MODEL@challenger its challenger.

    Every file of the version is checked against its hash first.
    """
    registry, _ = _registry(project)
    version = registry.get(*_parts(name))
    stored = registry.load(version)
    facts, native = stored.facts, stored.native
    features = stored.parameters.features if native is None else native.inputs
    listed = {
        **{key: value for key, value in version.row().items() if key not in ("metrics", "environment")},
        "folder": registry.root / version.artifact_uri,
        **{
            f"{'held out' if native is None else 'ml.evaluate'}: {key}": value for key, value in version.metrics.items()
        },
        "scoring_path": facts["scoring_path"],
        "split": facts["split"],
        "features": ", ".join(feature.name for feature in features),
        **({"model in BigQuery": ".".join(native.native)} if native is not None else {}),
        **{f"option: {key.lower()}": value for key, value in facts["options"].items() if value is not None},
        **{f"environment: {key}": value for key, value in version.environment.items()},
    }
    rows = [{"property": key, "value": _text(value)} for key, value in listed.items()]
    print_rows(rows, output, ["property", "value"])


@command.command("rows", short_help="Say where the training rows of a version are; read them again if need be.")
@click.argument("name")
@format_option
@project_option
def rows_(name: str, output: str, project: Path) -> None:
    """Say where the rows are that a version was trained on: MODEL, MODEL@3, MODEL@challenger.

    A version trained on more rows than [artifacts] max_snapshot_rows of wml.toml keeps only their query. They are read
    again by it, compared with the version's data_hash, and put beside the versions, where every command finds them.
    """
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    model, wanted = _parts(name)
    with open_session(find_project(project)) as session:
        version = session.registry.get(model, wanted)
        path = session.registry.snapshot_path(version)
    row = {"model": version.model, "version": version.version, "n_rows": version.n_rows, "path": path.as_posix()}
    print_rows([row], output, list(row))


@command.command("diff", short_help="Tell two versions apart: MODEL@2 MODEL@3.")
@click.argument("before")
@click.argument("now")
@target_option
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Sections for a person, or all of it as one object.",
)
@project_option
def diff(before: str, now: str, target: str | None, output: str, project: Path) -> None:
    """Tell two versions of a model apart: MODEL@2 and MODEL@3, or aliases.

    What changed in the definition and the files it reads, in features and training rows; and what came of it: metrics
    on the same requests, those of the latest mature window of each evaluation, and the decisions that flip, by group.
    A version that was not asked then is asked now. Nothing is written.
    """
    import json

    from warehouse_ml.cli.diff_text import diff_text
    from warehouse_ml.cli.output import plain
    from warehouse_ml.diff import diff_versions
    from warehouse_ml.project import find_project
    from warehouse_ml.session import open_session

    (model, first), (other, second) = (_parts(name) for name in (before, now))
    if model.lower() != other.lower():
        raise WmlError(f"{model} and {other} are two models", hint=f"name two versions of one: {model}@1 {model}@2")
    with open_session(find_project(project), target) as session:
        found = diff_versions(session, session.registry.name_of(model), first, second)
    click.echo(json.dumps(plain(found.as_dict()), indent=2) if output == "json" else diff_text(found))


def _parts(name: str) -> tuple[str, str]:
    model, _, wanted = name.partition("@")
    if not model:
        raise WmlError(f'"{name}" names no model', hint="write MODEL, MODEL@3 or MODEL@champion")
    return model, wanted or "champion"


def _registry(project: Path):  # type: ignore[no-untyped-def]
    from warehouse_ml.project import find_project, load_project
    from warehouse_ml.registry import Registry

    settings = load_project(find_project(project))
    return Registry.of(settings), settings


def _text(value: object) -> str | None:
    return None if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
