"""The slices that do worse than the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warehouse_ml.columns import named_rows
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["found_slices", "worst_slices"]


def worst_slices(warehouse: Warehouse, evaluation_ids: Sequence[str], limit: int = 3) -> list[dict[str, Any]]:
    """Return the slices whose headline metric is furthest on the wrong side of the overall value.

    The metric is recall for a binary task, mean_absolute_error for regression and accuracy for many classes. Slices
    whose interval does not meet that of the overall value come first; suppressed ones are left out.

    Parameters
    ----------
    warehouse : Warehouse
    evaluation_ids : sequence of str
    limit : int
        Slices of each evaluation, at the most.

    Returns
    -------
    list of dict
        evaluation_id, slice_key, slice_value, metric, value, ci_lower, ci_upper, n, overall_value, difference and
        is_apart, in the order of the given evaluations, worst first.
    """
    return _ranked(warehouse, "worst_slices.sql", evaluation_ids, limit)


def found_slices(warehouse: Warehouse, evaluation_ids: Sequence[str], limit: int = 3) -> list[dict[str, Any]]:
    """Return what a search of these evaluations found, the worst first.

    Parameters
    ----------
    warehouse : Warehouse
    evaluation_ids : sequence of str
    limit : int
        Slices of each evaluation and metric, at the most.

    Returns
    -------
    list of dict
        evaluation_id, metric, slice_key, slice_value, n, value, rest_value, ci_lower, ci_upper (of the difference) and
        p_adjusted, in the order of the given evaluations.
    """
    return _ranked(warehouse, "found_slices.sql", evaluation_ids, limit)


def _ranked(warehouse: Warehouse, file: str, evaluation_ids: Sequence[str], limit: int) -> list[dict[str, Any]]:
    if not evaluation_ids:
        return []
    sql = statement(__package__, file, warehouse.engine, ids=[f"id_{i}" for i in range(len(evaluation_ids))])
    parameters = {f"id_{i}": evaluation_id for i, evaluation_id in enumerate(evaluation_ids)}
    rows = named_rows(warehouse.fetch(sql, {**parameters, "n_slices": limit}))
    order = {evaluation_id: i for i, evaluation_id in enumerate(evaluation_ids)}
    return sorted(rows, key=lambda row: order[row["evaluation_id"]])
