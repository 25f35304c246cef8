"""What a version's folder holds of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlglot import exp

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.registry import VersionContent
from warehouse_ml.requests.predict import REQUEST_COLUMNS
from warehouse_ml.scoring import compile_scoring, scoring_path
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.templates import statement
from warehouse_ml.training.fit import FitResult
from warehouse_ml.training.rows import TRAINING_ROWS, RowSummary
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["content_of"]


def content_of(
    warehouse: Warehouse,
    definition: ModelDefinition,
    rows: RowSummary,
    result: FitResult,
    threshold: float,
    files: Mapping[str, str],
) -> VersionContent:
    """Return the version's content: its parameters, definition, scoring SQL, rows, and facts.

    ``files`` is what the definition and all that it reads say, so that a later one can be told from it file by file.
    """
    snapshot = statement(__package__, "snapshot.sql", warehouse.engine, relation=TRAINING_ROWS)
    forced = str(definition.options["SCORING_PATH"])
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
        "threshold": threshold,
        "files": dict(files),
        "scoring_path": scoring_path(result.parameters, forced=forced),
        "parity": dataclasses.asdict(result.parity),
        "training_info": result.training_info,
        "warnings": result.warnings,
        **result.facts,
    }
    return VersionContent(
        parameters=result.parameters,
        definition=definition.text + "\n",
        scoring_sql=_scoring_sql(result.parameters, forced, warehouse.engine),
        snapshot=warehouse.stream(snapshot),
        facts=facts,
    )


def _scoring_sql(parameters: Parameters, forced: str, engine: str) -> str:
    if scoring_path(parameters, forced=forced, is_stored=True) != "sql":
        size = f"{parameters.trees.n_leaves:,} leaves" if parameters.trees else f"{len(parameters.features):,} features"
        return f"-- {size}: this version is scored from its parameters, not by one statement.\n"
    inputs = [column.name for column in parameters.inputs if column.name.lower() not in REQUEST_COLUMNS]
    query = compile_scoring(parameters, exp.to_table("wml_input"), keep=[*REQUEST_COLUMNS, *inputs])
    return query.sql(dialect=engine, copy=False) + "\n"
