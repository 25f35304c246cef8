"""How good a model is: ``ml.evaluate``, ``ml.roc_curve`` and ``ml.confusion_matrix``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from warehouse_ml.catalog import BEGINNING
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.evaluation import measure
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.functions.scored import label_column, label_text, scored_rows, threshold_of
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.functions.snapshot import held_out_side, snapshot_rows
from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring.clusters import davies_bouldin_index
from warehouse_ml.tables import all_of, one_row
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation

__all__ = ["confusion_matrix", "evaluate", "roc_curve"]

# The last digits of a sum depend on the order in which threads finish.
_DIGITS = 12
_N_THRESHOLDS = 100
_NO_COLUMN_NAME = re.compile(r"\W")

_CLASSIFICATION = ("precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc")
_METRICS = {
    "regression": (
        *("mean_absolute_error", "mean_squared_error", "mean_squared_log_error"),
        *("median_absolute_error", "r2_score", "explained_variance"),
    ),
    "clustering": ("davies_bouldin_index", "mean_squared_distance"),
    "projection": ("total_explained_variance_ratio",),
}

Metrics = Mapping[str, float | None]


def evaluate(call: Call, context: Context) -> str:
    """Return the metrics of a model: one row.

    Classifiers: precision, recall, accuracy, f1_score, log_loss, roc_auc. Regressions: mean_absolute_error,
    mean_squared_error, mean_squared_log_error, median_absolute_error, r2_score, explained_variance. All are doubles,
    to twelve digits, and NULL where there is nothing to divide by.

    With two classes, precision, recall and f1_score are those of the positive (higher) class at the threshold. With
    more, they and roc_auc (one class against the rest) are plain means over classes, as scikit-learn's ``macro``. A
    probability counts as at least 1e-15 in log_loss. A clustering has davies_bouldin_index and mean_squared_distance,
    a projection total_explained_variance_ratio, which is of the training rows.

    The rows are those of the input whose label is known; without an input those held out of training or, if none
    were, those trained on.

    Raises
    ------
    DataError
        If a column is missing, or a label is none of a binary model's classes.
    DefinitionError
        If a setting is wrong.
    """
    stored = context.stored(call)
    # Each family of models has its own metrics; an unsupervised one has no label.
    answers: Mapping[str, Callable[[Call, Context, StoredVersion], Metrics]] = {
        "binary": _binary,
        "multiclass": _multiclass,
        "regression": _regression,
        "clustering": _clustering,
        "projection": _projection,
    }
    found = answers[stored.parameters.task](call, context, stored)
    names = _METRICS.get(stored.parameters.task, _CLASSIFICATION)
    values = {name: pa.array([_rounded(found.get(name))], pa.float64()) for name in names}
    return context.keep(call, pa.table(values))


def roc_curve(call: Call, context: Context) -> str:
    """Return the points of a binary model's receiver operating characteristic, from the highest threshold down.

    Columns: threshold, recall, false_positive_rate (doubles), true_positives, false_positives, true_negatives,
    false_negatives (integers). A row counts as positive at a score of the threshold or above. The thresholds are those
    given, or the distinct percentiles of the scores, the least and the greatest score among them. Rows whose label is
    NULL, or none of the two classes, are left out.

    Raises
    ------
    DataError
        If a column is missing, or the model is not binary.
    DefinitionError
        If a setting is wrong.
    """
    stored = context.stored(call)
    parameters = stored.parameters
    if parameters.task != "binary":
        raise DataError(
            f"ml.roc_curve needs a model of two classes, and {stored.version.model} is a {_told(stored)}",
            place=call.place,
        )
    chosen = settings(call, thresholds=Setting("numbers", low=0, high=1))
    scored, label, form = _labelled(call, context, stored)
    return statement(
        __package__,
        "roc_curve.sql",
        context.warehouse.engine,
        scored=scored,
        label=label,
        form=form,
        classes=parameters.classes,
        thresholds=sorted(set(chosen["thresholds"])) if chosen["thresholds"] is not None else None,
        n_thresholds=_N_THRESHOLDS,
    )


def confusion_matrix(call: Call, context: Context) -> str:
    """Return how often each class was predicted for each label.

    Columns: expected_label, the label as the input has it, ascending; then a count for each class that the model
    knows, in ascending order, named as the class with every character that a column name cannot have as ``_``. Rows
    without a label are left out.

    Raises
    ------
    DataError
        If a column is missing, or the model is no classifier.
    DefinitionError
        If a setting is wrong; only a binary model has a threshold.
    """
    stored = context.stored(call)
    parameters = stored.parameters
    if not parameters.classes:
        raise DataError(
            f"ml.confusion_matrix needs a classifier, and {stored.version.model} is a {_told(stored)}", place=call.place
        )
    threshold = _threshold(call, stored)
    scored, label, _ = _labelled(call, context, stored, threshold=threshold)
    return statement(
        __package__,
        "confusion_matrix.sql",
        context.warehouse.engine,
        scored=scored,
        label=label,
        classes=list(zip(parameters.classes, class_columns(parameters.classes), strict=True)),
    )


def class_columns(classes: Sequence[str]) -> list[str]:
    """Return a column name for each class, all different, whatever the case."""
    taken = {"expected_label"}
    names = []
    for label in classes:
        base = _NO_COLUMN_NAME.sub("_", label) or "_"
        base = f"_{base}" if base[0].isdecimal() else base
        name, number = base, 0
        while name.casefold() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _labelled(
    call: Call, context: Context, stored: StoredVersion, *, threshold: float = 0.5, probabilities: bool = False
) -> tuple[str, str, str]:
    """Return the text of the scored rows, the label's column in it, and how it becomes a class."""
    read, n_rows = _rows(call, context, stored)
    columns = context.columns(read)
    label = label_column(call, stored.parameters, columns)
    scored = scored_rows(
        call, context, stored, read, [label], threshold=threshold, probabilities=probabilities, n_rows=n_rows
    )
    return scored, label, label_text(columns[label])


def _rows(call: Call, context: Context, stored: StoredVersion) -> tuple[Input, int | None]:
    """Return the input, or what stands for it, and how many rows it has if that is known."""
    if call.inputs:
        return call.inputs[0], None
    return snapshot_rows(context, stored, held_out=True, label=True), held_out_side(stored)[1]


@contextmanager
def _kept(
    call: Call, context: Context, scored: str, label: str, form: str, *, probabilities: bool = False
) -> Iterator[Relation]:
    """Compute the scored rows once, for the many statements that read them."""
    text = statement(
        __package__,
        "labelled.sql",
        context.warehouse.engine,
        scored=scored,
        label=label,
        form=form,
        has_probabilities=probabilities,
    )
    rows = context.keep_query(call, text)
    try:
        yield rows
    finally:
        context.warehouse.drop_temporary([rows.name])


def _binary(call: Call, context: Context, stored: StoredVersion) -> Metrics:
    parameters = stored.parameters
    threshold = _threshold(call, stored)
    with _kept(call, context, *_labelled(call, context, stored)) as rows:
        strange = one_row(
            context.warehouse,
            statement(
                __package__,
                "strange_labels.sql",
                context.warehouse.engine,
                relation=rows,
                classes=parameters.classes,
            ),
        )
        if strange["n_rows"]:
            raise DataError(
                f"the label is none of the model's classes in {strange['n_rows']:,} rows, "
                f"such as {strange['example']!r}",
                place=call.place,
                has=parameters.classes,
                hint="leave such rows out in the query of ml.evaluate, or cast the label",
            )
        return _measured(call, context, rows, "binary", positive=parameters.classes[-1], threshold=threshold)


def _multiclass(call: Call, context: Context, stored: StoredVersion) -> Metrics:
    _threshold(call, stored)
    scored = _labelled(call, context, stored, probabilities=True)
    with _kept(call, context, *scored, probabilities=True) as rows:
        found = _measured(call, context, rows, "multiclass")
        sql = statement(
            __package__,
            "evaluate_classes.sql",
            context.warehouse.engine,
            relation=rows,
            classes=stored.parameters.classes,
        )
        by_class = one_row(context.warehouse, sql)
    return {
        **by_class,
        "precision": found.get("precision_macro"),
        "recall": found.get("recall_macro"),
        "accuracy": found.get("accuracy"),
        "f1_score": found.get("f1_macro"),
    }


def _regression(call: Call, context: Context, stored: StoredVersion) -> Metrics:
    _threshold(call, stored)
    read, n_rows = _rows(call, context, stored)
    label = label_column(call, stored.parameters, context.columns(read))
    scored = scored_rows(call, context, stored, read, [label], n_rows=n_rows)
    with _kept(call, context, scored, label, "number") as rows:
        return _measured(call, context, rows, "regression")


def _clustering(call: Call, context: Context, stored: StoredVersion) -> Metrics:
    _threshold(call, stored)
    if not call.inputs:
        return stored.version.metrics
    scored = scored_rows(call, context, stored, call.inputs[0])
    sql = statement(__package__, "evaluate_clusters.sql", context.warehouse.engine, scored=scored)
    rows = {row["centroid_id"]: row for row in context.warehouse.fetch(sql).to_pylist()}
    n_rows = sum(row["n_rows"] for row in rows.values())
    numbers = range(1, stored.parameters.n_outputs + 1)
    spreads = [rows[number]["mean_distance"] if number in rows else None for number in numbers]
    total = sum(row["total_squared_distance"] for row in rows.values())
    return {
        "davies_bouldin_index": davies_bouldin_index(stored.parameters, spreads),
        "mean_squared_distance": total / n_rows if n_rows else None,
    }


def _projection(call: Call, context: Context, stored: StoredVersion) -> Metrics:
    _threshold(call, stored)
    if call.inputs:
        raise DefinitionError(
            f"ml.evaluate of {stored.version.model}, a pca, takes no rows: what it explains is of its training rows",
            place=call.place,
            hint=f"ml.evaluate(model {call.model})",
        )
    return stored.version.metrics


def _measured(
    call: Call, context: Context, rows: Relation, task: str, *, positive: str | None = None, threshold: float = 0.5
) -> Metrics:
    query = statement(
        __package__,
        "evaluate_rows.sql",
        context.warehouse.engine,
        scored=all_of(context.warehouse, rows),
        positive=positive,
        asked_at=BEGINNING,
    )
    return measure(context.warehouse, query, task=task, threshold=threshold, place=call.place)


def _threshold(call: Call, stored: StoredVersion) -> float:
    if call.get("threshold") is not None and stored.parameters.task != "binary":
        raise DefinitionError(
            f"ml.{call.name} takes no threshold for a model that is not binary",
            place=call.place,
            hint="leave it out",
        )
    chosen: dict[str, Any] = settings(call, threshold=Setting("number", threshold_of(stored), low=0, high=1))
    return float(chosen["threshold"])


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _model_type(stored: StoredVersion) -> str:
    return stored.parameters.model_type.lower()


def _told(stored: StoredVersion) -> str:
    n_classes = len(stored.parameters.classes)
    return f"{_model_type(stored)} of {n_classes} classes" if n_classes else _model_type(stored)
