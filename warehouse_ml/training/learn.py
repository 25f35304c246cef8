"""From training rows to a fitted model: what may be learned from, TRANSFORM and preprocessing, the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.errors import DataError, DefinitionError, SqlError
from warehouse_ml.options import is_classification
from warehouse_ml.requests.predict import LOG_COLUMNS, REQUEST_COLUMNS
from warehouse_ml.scalar_sql import columns_in
from warehouse_ml.training.fit import FitResult, fit
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.training.rows import ROW_HASH, SPLIT, TRAINING_ROWS, RowSummary, refuse_disguised_labels
from warehouse_ml.training.transform import Rows, expand_items, fit_transform, inputs_of
from warehouse_ml.training.trials import Trial
from warehouse_ml.training.tune import tune
from warehouse_ml.transform_clause import TransformItem
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["learn"]


def learn(
    warehouse: Warehouse,
    definition: ModelDefinition,
    rows: RowSummary,
    *,
    threshold: float,
    trials: list[Trial],
    say: Callable[[str], None],
    known: Mapping[str, Trial] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> FitResult:
    """Fit a model on ``TRAINING_ROWS``.

    Parameters
    ----------
    warehouse : Warehouse
    definition : ModelDefinition
    rows : RowSummary
    threshold : float
        In [0, 1]; from which probability on a row counts as positive when trials are compared.
    trials : list of Trial
        Filled as the trials of a tuning end.
    say : callable
        Told what is being done.
    known, on_trial : optional
        As of ``tune``.

    Raises
    ------
    DefinitionError
        If a column cannot be a feature.
    DataError
        If the rows cannot be learned from.
    ArtifactError
        If the parameters do not score as the estimator does.
    """
    options, place = definition.options, definition.place
    named = (definition.label, definition.split.column, definition.weight_column, options.get("KMEANS_INIT_COL"))
    roles = [str(name) for name in named if name]
    items = expand_items(definition.transform, rows.columns, place)
    if items:
        inputs = inputs_of(items, roles, rows.columns)
        _refuse_label_among_inputs(definition, items, roles)
        # The log has the time of a request anyhow.
        _refuse_reserved(definition, [name for name in inputs if name.lower() not in REQUEST_COLUMNS[1:]])
    else:
        columns = infer_features(rows.columns, exclude=roles, place=place)
        inputs = [column.name for column in columns]
        _refuse_reserved(definition, inputs)
    if definition.label:
        task = "classification" if is_classification(definition.model_type, options) else "regression"
        say("looking for labels in disguise")
        refuse_disguised_labels(warehouse, definition, inputs, rows, task)
    say(f"fitting {definition.model_type.lower()} on {rows.n_train:,} rows")
    family, transformed = family_of(definition.model_type, options), None
    try:
        if items:
            where = Rows(warehouse, TRAINING_ROWS, rows.columns, ROW_HASH, SPLIT, place)
            transformed = fit_transform(where, items, roles, family, rows.derived)
            features = list(transformed.features)
        else:
            features = list(
                fit_preprocessing(warehouse, TRAINING_ROWS, columns, family, split_column=SPLIT, place=place)
            )
        if definition.tuning is not None:
            result = tune(
                warehouse,
                features,
                definition,
                rows,
                threshold=threshold,
                trials=trials,
                say=say,
                transformed=transformed,
                known=known,
                on_trial=on_trial,
            )
        else:
            result = fit(
                warehouse,
                TRAINING_ROWS,
                features,
                model_type=definition.model_type,
                label=definition.label,
                weight_column=definition.weight_column,
                options=options,
                split_column=SPLIT,
                order_by=ROW_HASH,
                transformed=transformed,
                place=place,
            )
    except SqlError as error:
        if transformed is None and not items:
            raise
        raise DataError(f"TRANSFORM fails on a row: {error.what}", place=place, hint=error.hint) from None
    result.warnings[:0] = transformed.warnings if transformed else []
    return result


def _refuse_label_among_inputs(definition: ModelDefinition, items: list[TransformItem], roles: list[str]) -> None:
    taken, label = {name.lower() for name in roles}, definition.label.lower()
    for item in items if label else ():
        if item.name.lower() not in taken and label in map(str.lower, columns_in(item.expression)):
            raise DefinitionError(
                f'"{item.name}" of TRANSFORM is made of the label "{definition.label}"',
                place=item.place,
                hint="leave it out",
            )


def _refuse_reserved(definition: ModelDefinition, features: list[str]) -> None:
    for name in features:
        if name.lower() in LOG_COLUMNS:
            raise DefinitionError(
                f'a feature cannot be called "{name}": the request log has a column of that name',
                place=definition.query_place,
                has=list(LOG_COLUMNS),
                hint=f"give it another name, such as {name}_value",
            )
