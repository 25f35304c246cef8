"""The label: what its type and values say about the task, checked before anything is fitted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from warehouse_ml.errors import DataError, did_you_mean
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.scoring.parameters import Task
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["Label", "read_label"]

_MOST_CLASSES = 1_000
_WHOLE_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|INT64")
# What is kept of a label is the same wherever it was learned.
_KEPT_AS = {"INT64": "BIGINT", "STRING": "VARCHAR", "BOOL": "BOOLEAN", "FLOAT64": "DOUBLE"}


@dataclass(frozen=True)
class Label:
    """A column to be learned.

    Parameters
    ----------
    name : str
        The column.
    type : str
        Its type, as DuckDB calls it.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    classes : tuple of str
        As text, ascending in the order of the type; those among the training rows. Empty for a regression.
    n_train, n_eval : int
        Rows.
    warnings : tuple of str
        What the user should know.
    """

    name: str
    type: str
    task: Task
    classes: tuple[str, ...]
    n_train: int
    n_eval: int
    warnings: tuple[str, ...] = ()

    def encoded(self) -> exp.Expr:
        """Return the label as a double: the index of its class, -1 for one not seen in training, or the value."""
        column = nodes.column(self.name, nodes.INPUT)
        if self.task == "regression":
            return nodes.double(column)
        text = exp.cast(column, exp.DataType.Type.TEXT)
        in_order = sorted(range(len(self.classes)), key=lambda index: self.classes[index])
        return nodes.lookup(text, [self.classes[i] for i in in_order], [float(i) for i in in_order], -1.0)


def read_label(
    warehouse: Warehouse, relation: Relation, label: str, *, model_type: str, split_column: str, place: str | None
) -> Label:
    """Read what there is to learn.

    Raises
    ------
    DataError
        If the label's type does not fit the model type, a label is missing or not finite, there are no training rows,
        or fewer than two or more than a thousand classes.
    """
    table = exp.table_(relation.name, db=relation.schema, quoted=True)
    columns = warehouse.columns(exp.select("*").from_(table).sql(dialect=warehouse.engine))
    name = next((column for column in columns if column.casefold() == label.casefold()), None)
    if name is None:
        raise DataError(
            f'no label column "{label}"', place=place, has=list(columns), hint=did_you_mean(label, list(columns))
        )
    context: dict[str, Any] = {"relation": relation, "label": name, "split": split_column}
    if model_type == "LOGISTIC_REG" or model_type.endswith("_CLASSIFIER"):
        return _classes(warehouse, name, columns[name], model_type, context, place)
    return _values(warehouse, name, columns[name], model_type, context, place)


def _classes(
    warehouse: Warehouse, name: str, type_name: str, model_type: str, context: dict[str, Any], place: str | None
) -> Label:
    kind = kind_of(type_name)
    if kind not in ("boolean", "category") and not _WHOLE_NUMBERS.fullmatch(type_name):
        raise DataError(
            f'the label "{name}" is {type_name}, and a {model_type.lower()} needs classes',
            place=place,
            has=["booleans", "whole numbers", "texts", "ENUM"],
            hint=f'compare or cast "{name}" in the query, or train a regression',
        )
    sql = statement(__package__, "label_classes.sql", warehouse.engine, most=_MOST_CLASSES + 2, **context)
    rows = warehouse.fetch(sql).to_pylist()
    n_train, n_eval = sum(row["n_train"] for row in rows), sum(row["n_eval"] for row in rows)
    _check_rows(name, n_train, n_eval, sum(r["n_train"] + r["n_eval"] for r in rows if r["label"] is None), place)
    classes = tuple(row["label"] for row in rows if row["n_train"])
    if len(classes) == 1:
        raise DataError(
            f'the label "{name}" is {classes[0]} in all of the {n_train:,} training rows: nothing to tell apart',
            place=place,
            hint="look at the query and at the split",
        )
    if len(classes) > _MOST_CLASSES:
        raise DataError(
            f'the label "{name}" has more than {_MOST_CLASSES:,} classes',
            place=place,
            hint="train a regression, or join classes in the query",
        )
    unseen = [row["label"] for row in rows if not row["n_train"]]
    warnings: tuple[str, ...] = ()
    if unseen:
        n_unseen = sum(row["n_eval"] for row in rows if not row["n_train"])
        warnings = (
            f"{n_unseen:,} rows to evaluate on have a label that no training row has: {', '.join(unseen[:5])}; "
            "they are left out of eval_loss",
        )
    if len(classes) > 2 and 2 * len(classes) > n_train:
        warnings = (
            *warnings,
            f'the label "{name}" has {len(classes):,} classes in {n_train:,} training rows: not two rows for each',
        )
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    return Label(name, _kept_as(type_name), task, classes, n_train, n_eval, warnings)


def _values(
    warehouse: Warehouse, name: str, type_name: str, model_type: str, context: dict[str, Any], place: str | None
) -> Label:
    if kind_of(type_name) != "number":
        raise DataError(
            f'the label "{name}" is {type_name}, and a {model_type.lower()} needs a number',
            place=place,
            hint=f'cast "{name}" in the query, or train a classifier',
        )
    row = warehouse.fetch(statement(__package__, "label_values.sql", warehouse.engine, **context)).to_pylist()[0]
    _check_rows(name, row["n_train"], row["n_eval"], row["n_missing"], place)
    if row["n_not_finite"]:
        raise DataError(
            f'the label "{name}" is not finite in {row["n_not_finite"]:,} of {row["n_train"] + row["n_eval"]:,} rows',
            place=place,
            hint=f'add "where isfinite({name})" to the query',
        )
    return Label(name, _kept_as(type_name), "regression", (), row["n_train"], row["n_eval"])


def _kept_as(type_name: str) -> str:
    bare = type_name.partition("(")[0]
    return "DOUBLE" if bare in ("NUMERIC", "BIGNUMERIC") else _KEPT_AS.get(bare, type_name)


def _check_rows(name: str, n_train: int, n_eval: int, n_missing: int, place: str | None) -> None:
    if n_missing:
        raise DataError(
            f'the label "{name}" is missing in {n_missing:,} of {n_train + n_eval:,} rows',
            place=place,
            hint=f'add "where {name} is not null" to the query',
        )
    if not n_train:
        raise DataError("there are no rows to train on", place=place, hint="look at the query and at the split")
