"""What a version's folder holds of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.registry import VersionContent
from warehouse_ml.scoring import scoring_path
from warehouse_ml.scoring.stored_sql import stored_sql
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
    *,
    keeps_rows: bool = True,
) -> VersionContent:
    """Return the version's content: its parameters, definition, scoring SQL, rows (or their query alone), and facts.

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
        **({"sample": {"max_training_rows": rows.most, "n_asked": rows.n_asked}} if rows.is_sample else {}),
        **result.facts,
    }
    return VersionContent(
        parameters=result.parameters,
        definition=definition.text + "\n",
        scoring_sql=stored_sql(result.parameters, forced),
        snapshot=warehouse.stream(snapshot) if keeps_rows else None,
        facts=facts,
        training_query=rows.query.strip() + "\n",
    )
