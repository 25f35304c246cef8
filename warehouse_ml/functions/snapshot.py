"""The rows that a version was trained on, as an input."""

from __future__ import annotations

from warehouse_ml.functions.call import Context, Input
from warehouse_ml.registry import StoredVersion
from warehouse_ml.templates import statement

__all__ = ["input_columns", "snapshot_rows"]


def input_columns(stored: StoredVersion) -> list[str]:
    """Return the columns that a relation must have to be scored by a version."""
    return [column.name for column in stored.parameters.inputs]


def snapshot_rows(context: Context, stored: StoredVersion, *, held_out: bool = False, label: bool = False) -> Input:
    """Return the rows of a version's stored snapshot.

    Parameters
    ----------
    context : Context
    stored : StoredVersion
    held_out : bool
        The rows held out of training; if there are none, and by default, the rows trained on.
    label : bool
        The label's column as well, behind the input columns.
    """
    has_held_out = held_out and stored.facts["split"]["n_eval"] > 0
    columns = input_columns(stored)
    # The label of an unsupervised model is empty.
    if label and stored.parameters.label:
        columns.append(stored.parameters.label)
    sql = statement(
        __package__,
        "snapshot_rows.sql",
        context.warehouse.engine,
        path=context.registry.snapshot_path(stored.version).as_posix(),
        columns=columns,
        split="eval" if has_held_out else "train",
    )
    return Input(sql=sql, alone=sql)
