"""Train a model: read its rows, fit, prove the scoring SQL, publish a version, and say who serves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from warehouse_ml.catalog import Catalog, Clock, Node
from warehouse_ml.definition import ModelDefinition, read_definition
from warehouse_ml.errors import DefinitionError, WmlError
from warehouse_ml.lint import lint, lint_rows
from warehouse_ml.registry import CHALLENGER, CHAMPION, Alias, Registry, Version, VersionContent
from warehouse_ml.requests.predict import LOG_COLUMNS
from warehouse_ml.scoring import compile_scoring, scoring_path
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.tables import run_file
from warehouse_ml.templates import statement
from warehouse_ml.training.environment import describe_environment, git_state
from warehouse_ml.training.fit import SEED, FitResult, fit
from warehouse_ml.training.holdout import Verdict, compare_with_champion, measure_held_out
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.training.rows import (
    ROW_HASH,
    SPLIT,
    TRAINING_ROWS,
    RowSummary,
    read_training_rows,
    refuse_disguised_labels,
)
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["PROMOTIONS", "Trained", "define", "train"]

PROMOTIONS = ("better", "always", "never")
"""When a new version becomes champion: if it is no worse on the rows held out, whatever it is, or not by itself."""


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Parameters
    ----------
    version : Version
        The new version, or the one that is there already for the same definition and rows.
    is_new : bool
    alias : str or None
        What the version is called now.
    reason : str
        Why it is called that, or why nothing was trained.
    n_train, n_eval : int
    seconds : float
    warnings : list of str
    """

    version: Version
    is_new: bool
    alias: str | None
    reason: str
    n_train: int
    n_eval: int
    seconds: float
    warnings: list[str] = field(default_factory=list)


def define(catalog: Catalog, node: Node, as_of: dt.datetime) -> ModelDefinition:
    """Return a model's definition, rendered at a clock."""
    source = catalog.source_text(node, Clock(as_of))
    return read_definition(source.text, name=node.name, place=node.place, source=source)


def train(
    warehouse: Warehouse,
    catalog: Catalog,
    registry: Registry,
    node: Node,
    as_of: dt.datetime,
    *,
    force: bool = False,
    promote: str = "better",
    on_step: Callable[[str], None] | None = None,
) -> Trained:
    """Train a model at a clock and publish it as a version.

    Parameters
    ----------
    warehouse : Warehouse
    catalog : Catalog
    registry : Registry
    node : Node
        The model; the relations it reads must be built.
    as_of : datetime
        The clock.
    force : bool
        Train even if the same definition was trained on the same rows before.
    promote : str
        One of ``PROMOTIONS``.
    on_step : callable, optional
        Told what is being done.

    Returns
    -------
    Trained

    Raises
    ------
    WmlError
        If anything forbids a version. The run is recorded as failed, and nothing else is left behind.
    """
    say = on_step or (lambda _: None)
    began, started_at = time.perf_counter(), dt.datetime.now(dt.UTC)
    run = {"run_id": uuid.uuid4().hex, "model": node.name, "as_of": as_of, "started_at": started_at}
    try:
        trained, options = _train(warehouse, catalog, registry, node, as_of, force, promote, say, began)
    except BaseException as error:
        told = error.what if isinstance(error, WmlError) else type(error).__name__
        _record(warehouse, {**run, "status": "failed", "error": told}, began, {}, {}, None, None)
        raise
    if trained.is_new:
        version = trained.version
        _record(
            warehouse,
            {**run, "status": "finished", "error": None},
            began,
            options,
            version.metrics,
            version.version,
            version.n_rows,
        )
    return trained


def _train(
    warehouse: Warehouse,
    catalog: Catalog,
    registry: Registry,
    node: Node,
    as_of: dt.datetime,
    force: bool,
    promote: str,
    say: Callable[[str], None],
    began: float,
) -> tuple[Trained, Mapping[str, Any]]:
    definition = define(catalog, node, as_of)
    traps = [str(finding) for finding in lint(definition, node.config)]
    say("reading the training rows")
    rows = read_training_rows(warehouse, definition)
    definition_hash = catalog.definition_hash(node)
    same = None if force else _same(registry, node.name, definition_hash, rows.data_hash)
    if same is not None:
        reason = f"the same definition was trained on the same {rows.n_rows:,} rows already"
        return Trained(same, False, None, reason, rows.n_train, rows.n_eval, 0.0, traps), {}
    result = _fit(warehouse, definition, rows, say)
    result.warnings[:0] = [*traps, *_traps_of_rows(definition, node, rows, result)]
    say("scoring the rows held out")
    threshold = float(node.config.get("threshold", 0.5))
    metrics = measure_held_out(warehouse, result.parameters, rows.n_eval, threshold) if rows.n_eval else {}
    verdict = _decide(warehouse, registry, node.name, as_of, result, metrics, rows.n_eval, promote)
    say("publishing the version")
    commit, is_dirty = git_state(catalog.project.root)
    environment = {**describe_environment(SEED), "git_is_dirty": is_dirty}

    def describe(number: int) -> Version:
        return Version(
            model=node.name,
            version=number,
            created_at=dt.datetime.now(dt.UTC),
            as_of=as_of,
            definition_hash=definition_hash,
            data_hash=rows.data_hash,
            artifact_uri="",
            artifact_hash="",
            git_commit=commit,
            model_type=definition.model_type,
            n_rows=rows.n_rows,
            metrics=metrics,
            environment=environment,
        )

    version = registry.publish(describe, _content(warehouse, definition, rows, result))
    _write_aliases(registry, version, verdict, as_of)
    seconds = time.perf_counter() - began
    return (
        Trained(version, True, verdict.alias, verdict.reason, rows.n_train, rows.n_eval, seconds, result.warnings),
        definition.options,
    )


def _fit(warehouse: Warehouse, definition: ModelDefinition, rows: RowSummary, say: Callable[[str], None]) -> FitResult:
    excluded = {definition.label, definition.split.column, definition.weight_column} - {None}
    features = infer_features(rows.columns, exclude=[str(name) for name in excluded], place=definition.place)
    _refuse_reserved(definition, [feature.name for feature in features])
    task = "regression" if definition.model_type.endswith(("REGRESSOR", "LINEAR_REG")) else "classification"
    say("looking for labels in disguise")
    refuse_disguised_labels(warehouse, definition, [feature.name for feature in features], rows, task)
    say(f"fitting {definition.model_type.lower()} on {rows.n_train:,} rows")
    fitted = fit_preprocessing(
        warehouse,
        TRAINING_ROWS,
        features,
        family_of(definition.model_type),
        split_column=SPLIT,
        place=definition.place,
    )
    return fit(
        warehouse,
        TRAINING_ROWS,
        fitted,
        model_type=definition.model_type,
        label=definition.label,
        weight_column=definition.weight_column,
        options=definition.options,
        split_column=SPLIT,
        order_by=ROW_HASH,
        place=definition.place,
    )


def _traps_of_rows(definition: ModelDefinition, node: Node, rows: RowSummary, result: FitResult) -> list[str]:
    found = lint_rows(
        definition,
        node.config,
        n_rows=rows.n_rows,
        n_train=rows.n_train,
        n_held_out_by_null=rows.n_held_out_by_null,
        n_categories={feature.name: len(feature.categories) for feature in result.parameters.features},
    )
    return [str(finding) for finding in found]


def _content(warehouse: Warehouse, definition: ModelDefinition, rows: RowSummary, result: FitResult) -> VersionContent:
    snapshot = statement(__package__, "snapshot.sql", warehouse.engine, relation=TRAINING_ROWS)
    facts = {
        "options": dict(definition.options),
        "split": {
            "method": definition.split.method,
            "column": definition.split.column,
            "n_train": rows.n_train,
            "n_eval": rows.n_eval,
            "n_test": rows.n_test,
        },
        "columns": rows.columns,
        "scoring_path": scoring_path(result.parameters),
        "parity": dataclasses.asdict(result.parity),
        "training_info": result.training_info,
        "warnings": result.warnings,
    }
    return VersionContent(
        parameters=result.parameters,
        definition=definition.text + "\n",
        scoring_sql=_scoring_sql(result.parameters, warehouse.engine),
        snapshot=warehouse.stream(snapshot).read_all(),
        facts=facts,
    )


def _scoring_sql(parameters: Parameters, engine: str) -> str:
    if scoring_path(parameters) != "sql":
        trees = parameters.trees
        parts = f"{trees.n_leaves:,} leaves" if trees else f"{len(parameters.features):,} features"
        return f"-- {parts} are too many for one statement: this version is scored from its parameters.\n"
    keep = ["request_id", "requested_at", *(feature.name for feature in parameters.features)]
    query = compile_scoring(parameters, exp.to_table("wml_input"), keep=keep)
    return query.sql(dialect=engine, copy=False) + "\n"


def _decide(
    warehouse: Warehouse,
    registry: Registry,
    model: str,
    as_of: dt.datetime,
    result: FitResult,
    metrics: Mapping[str, float | None],
    n_held_out: int,
    promote: str,
) -> Verdict:
    champion = registry.holder(model, CHAMPION, as_of)
    if promote == "never":
        return Verdict(None, "promotion was not asked for", champion)
    if champion is None:
        return Verdict(CHAMPION, "the first version", None)
    if promote == "always":
        return Verdict(CHAMPION, "promoted without a comparison, as asked", champion)
    return compare_with_champion(warehouse, result.parameters, metrics, n_held_out, registry.load(champion))


def _write_aliases(registry: Registry, version: Version, verdict: Verdict, as_of: dt.datetime) -> None:
    """Let the winner serve; the other one goes on scoring the same requests in the shadow, so that both compare."""
    if verdict.alias is None:
        return
    model, number = version.model, version.version
    lines = [Alias(model, verdict.alias, number, as_of, verdict.reason)]
    if verdict.alias == CHAMPION and verdict.champion is not None:
        was = verdict.champion.version
        lines.append(Alias(model, CHALLENGER, was, as_of, f"champion until version {number} took over"))
    registry.write_ledger(lines)


def _same(registry: Registry, model: str, definition_hash: str, data_hash: str) -> Version | None:
    for version in reversed(registry.versions(model)):
        if version.definition_hash == definition_hash and version.data_hash == data_hash:
            return version
    return None


def _refuse_reserved(definition: ModelDefinition, features: list[str]) -> None:
    for name in features:
        if name.lower() in LOG_COLUMNS:
            raise DefinitionError(
                f'a feature cannot be called "{name}": the request log has a column of that name',
                place=definition.query_place,
                has=list(LOG_COLUMNS),
                hint=f"give it another name, such as {name}_value",
            )


def _record(
    warehouse: Warehouse,
    run: Mapping[str, Any],
    began: float,
    options: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    version: int | None,
    n_rows: int | None,
) -> None:
    run_file(
        warehouse,
        __package__,
        "record_run.sql",
        {
            **run,
            "version": version,
            "duration_seconds": time.perf_counter() - began,
            "options": json.dumps(dict(options), sort_keys=True, default=str),
            "metrics": json.dumps(dict(metrics), sort_keys=True),
            "n_rows": n_rows,
        },
    )
