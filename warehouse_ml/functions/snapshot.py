"""The rows that a version was trained on, as an input."""

from __future__ import annotations

from warehouse_ml.functions.call import Context, Input
from warehouse_ml.registry import StoredVersion
from warehouse_ml.templates import statement

__all__ = ["held_out_side", "input_columns", "snapshot_rows"]


def input_columns(stored: StoredVersion) -> list[str]:
    """Return the columns that a relation must have to be scored by a version."""
    return [column.name for column in stored.parameters.inputs]


def held_out_side(stored: StoredVersion) -> tuple[str, int]:
    """Return which rows measure a version, eval, test or train, and how many they are.

    Those held out of training; after a tuning those that did not choose the best trial, if there are any; without
    either, the rows trained on.
    """
    split = stored.facts["split"]
    if stored.facts.get("tuning") and split["n_test"]:
        return "test", split["n_test"]
    return ("eval", split["n_eval"]) if split["n_eval"] else ("train", split["n_train"])


def snapshot_rows(context: Context, stored: StoredVersion, *, held_out: bool = False, label: bool = False) -> Input:
    """Return the rows of a version's stored snapshot.

    Parameters
    ----------
    context : Context
    stored : StoredVersion
    held_out : bool
        The rows that measure the version, see ``held_out_side``; by default, the rows trained on.
    label : bool
        The label's column as well, behind the input columns.
    """
    columns = input_columns(stored)
    # The label of an unsupervised model is empty.
    if label and stored.parameters.label:
        columns.append(stored.parameters.label)
    sql = statement(
        __package__,
        "snapshot_rows.sql",
        context.warehouse.engine,
        path=context.warehouse.parquet(context.registry.snapshot_path(stored.version)),
        columns=columns,
        split=held_out_side(stored)[0] if held_out else "train",
    )
    return Input(sql=sql, alone=sql)
