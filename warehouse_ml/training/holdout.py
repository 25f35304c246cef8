"""How versions do on the rows held out of training, and which of two should serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import sqlglot

from warehouse_ml.catalog import BEGINNING
from warehouse_ml.evaluation import Measured, measured
from warehouse_ml.registry import CHALLENGER, CHAMPION, StoredVersion, Version
from warehouse_ml.scoring import compile_scoring, score_arrow, scoring_path
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.tables import all_of
from warehouse_ml.templates import statement
from warehouse_ml.training.preprocessing import EVAL
from warehouse_ml.training.rows import ROW_HASH, SPLIT, TRAINING_ROWS
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["Verdict", "compare_with_champion", "held_out_query", "measure_held_out", "measured_held_out"]

_DIGITS = 12
_SCORED = Relation("_wml_held_out_rows")

# What decides between two versions, and whether more of it is better.
_DECIDES = {"binary": ("roc_auc", True), "multiclass": ("accuracy", True), "regression": ("mean_squared_error", False)}


@dataclass(frozen=True)
class Verdict:
    """What a new version is to be called, and why.

    Parameters
    ----------
    alias : str or None
    reason : str
        With the numbers.
    champion : Version or None
        Who served until now.
    """

    alias: str | None
    reason: str
    champion: Version | None


def measure_held_out(
    warehouse: Warehouse, parameters: Parameters, n_rows: int, threshold: float = 0.5, *, side: str = EVAL
) -> dict[str, float | None]:
    """Return the values of what ``measured_held_out`` gives, by name."""
    found = measured_held_out(warehouse, parameters, n_rows, threshold, side=side)
    return {name: metric.value for name, metric in found.items()}


def measured_held_out(
    warehouse: Warehouse, parameters: Parameters, n_rows: int, threshold: float = 0.5, *, side: str = EVAL
) -> dict[str, Measured]:
    """Return the metrics of a model on the held-out rows among ``TRAINING_ROWS``, by name, with their intervals.

    The scores are those of the SQL (or arrays) that serve, not the estimator's own.

    Parameters
    ----------
    warehouse : Warehouse
    parameters : Parameters
    n_rows : int
        How many rows are held out; at least 1.
    threshold : float
        In [0, 1].
    side : str
        ``eval`` or ``test``.
    """
    query = held_out_query(warehouse, parameters, n_rows, side=side)
    found = measured(warehouse, query, task=parameters.task, threshold=threshold)
    # The last digits depend on the order in which threads finish, and a version must come out the same each time.
    return {
        name: replace(
            metric,
            value=_rounded(metric.value),
            ci_lower=_rounded(metric.ci_lower),
            ci_upper=_rounded(metric.ci_upper),
        )
        for name, metric in found.items()
    }


def held_out_query(
    warehouse: Warehouse,
    parameters: Parameters,
    n_rows: int,
    *,
    side: str = EVAL,
    version: int | None = None,
    scratch: Relation = _SCORED,
) -> str:
    """Return the query of the held-out rows with their scores, as the query of an evaluation.

    Parameters
    ----------
    warehouse : Warehouse
    parameters : Parameters
    n_rows : int
        How many rows are held out.
    side : str
        ``eval`` or ``test``.
    version : int, optional
        Whose answers these are, in a column ``model_version``.
    scratch : Relation
        Where the scores go that are not computed by SQL; two queries that are read together need one each.
    """
    inputs = [column.name for column in parameters.inputs]
    held_out = statement(
        __package__,
        "held_out_rows.sql",
        warehouse.engine,
        relation=TRAINING_ROWS,
        split=SPLIT,
        side=side,
        columns=list(dict.fromkeys([*inputs, parameters.label, ROW_HASH])),
    )
    keep = [ROW_HASH, parameters.label]
    if scoring_path(parameters, n_rows, engine=warehouse.engine) == "sql":
        source = sqlglot.parse_one(held_out, read=warehouse.engine)
        scored = compile_scoring(parameters, source, keep=keep).sql(dialect=warehouse.engine, copy=False)
    else:
        rows = pa.Table.from_batches(list(score_arrow(warehouse, parameters, held_out, keep=keep)))
        warehouse.load(scratch, rows, temporary=True)
        scored = all_of(warehouse, scratch)
    return statement(
        __package__,
        "held_out.sql",
        warehouse.engine,
        task=parameters.task,
        label=parameters.label,
        positive=parameters.classes[-1] if parameters.task == "binary" else None,
        scored=scored,
        asked_at=BEGINNING,
        version=version,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def compare_with_champion(
    warehouse: Warehouse,
    parameters: Parameters,
    metrics: Mapping[str, float | None],
    n_rows: int,
    stored: StoredVersion,
    *,
    side: str = EVAL,
) -> Verdict:
    """Say whether a new version should take over from the champion: it should if it is no worse on the same rows.

    The rows are those held out of the new version's training. The champion may have seen some of them in its own,
    which can only help the champion.
    """
    champion, champion_parameters = stored.version, stored.parameters
    metric, more_is_better = _DECIDES[parameters.task]
    new = metrics.get(metric)
    if new is None:
        return Verdict(CHALLENGER, f"no {metric} without held-out rows, so nothing says it is better", champion)
    known = {name.lower() for name in warehouse.columns(all_of(warehouse, TRAINING_ROWS))}
    missing = [column.name for column in champion_parameters.inputs if column.name.lower() not in known]
    if missing or champion_parameters.task != parameters.task or champion_parameters.label != parameters.label:
        what = f"the champion needs {missing[0]}, which is not selected any more" if missing else "the label changed"
        return Verdict(CHALLENGER, f"not comparable: {what}; promote it by hand if it is meant to serve", champion)
    old = measure_held_out(warehouse, champion_parameters, n_rows, side=side)[metric]
    is_better = old is None or (new >= old if more_is_better else new <= old)
    told = f"{metric} {new:.4f} against {'nothing' if old is None else f'{old:.4f}'} of version {champion.version}"
    verdict = "no worse" if is_better else "worse"
    return Verdict(CHAMPION if is_better else CHALLENGER, f"{verdict} on the rows held out: {told}", champion)
