"""Fit a model: read the encoded rows in a fixed order, train, and prove that the parameters say the same."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from warehouse_ml.errors import DataError
from warehouse_ml.options import ESTIMATORS, UNLABELLED, is_classification
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.arrays import fill
from warehouse_ml.scoring.features import FittedFeature, encode_select
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.scoring.parity import ParityReport, check_parity
from warehouse_ml.training.estimators import SEED, Fitted, Sample, fit_boosting, fit_forest, fit_linear
from warehouse_ml.training.labels import Label, read_label
from warehouse_ml.training.p_values import fit_with_p_values
from warehouse_ml.training.preprocessing import EVAL, TRAIN
from warehouse_ml.training.sklearn_estimators import fit_sklearn
from warehouse_ml.training.transform import FittedTransform
from warehouse_ml.training.unlabelled import fit_unlabelled
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SEED", "FitResult", "Prepared", "fit", "fit_prepared", "prepare", "prove"]

_LABEL, _WEIGHT, _IS_TRAIN = "fit_label", "fit_weight", "fit_is_train"
# As many as fit into the caches beside the matrix.
_BATCH_ROWS = 20_000
_LARGEST_FLOAT32 = 3.4028234663852886e38


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted model.

    Parameters
    ----------
    parameters : Parameters
        The model.
    training_info : list of dict
        By iteration: iteration, loss, eval_loss (None without rows to evaluate on), learning_rate (None where there
        is none). The loss is the mean log loss or the mean squared error.
    warnings : list of str
        What the user should know.
    parity : ParityReport
        How closely the parameters agree with the estimator that was fitted.
    n_train, n_eval : int
        Rows used.
    metrics : dict
        Of a model without a label, on the rows that it was trained on; empty for all others.
    facts : mapping
        What else the version should tell of its training.
    """

    parameters: Parameters
    training_info: list[dict[str, Any]]
    warnings: list[str] = field(default_factory=list)
    parity: ParityReport = field(default_factory=lambda: ParityReport(0, (), 0.0, 0))
    n_train: int = 0
    n_eval: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Rows read once, to fit as many models on as are asked for.

    Parameters
    ----------
    shape : Parameters
        The model without what is learned.
    train : Sample
    evaluation : Sample or None
    warnings : list of str
        What the user should know of the rows.
    place : str, optional
        The definition, for errors.
    scoring_path : str
        The option SCORING_PATH.
    """

    shape: Parameters
    train: Sample
    evaluation: Sample | None
    warnings: list[str]
    place: str | None = None
    scoring_path: str = "AUTO"


def fit(
    warehouse: Warehouse,
    relation: Relation,
    features: Sequence[FittedFeature],
    *,
    model_type: str,
    label: str,
    weight_column: str | None,
    options: Mapping[str, Any],
    split_column: str,
    order_by: str,
    transformed: FittedTransform | None = None,
    place: str | None = None,
) -> FitResult:
    """Fit a model on the training rows of a relation.

    Parameters
    ----------
    warehouse : Warehouse
        Where the relation is.
    relation : Relation
        The rows: features, label, weight, and the split.
    features : sequence of FittedFeature
        As ``fit_preprocessing`` gives them.
    model_type : str
        Upper case, one of ``MODEL_TYPES``.
    label : str
        The column to learn; empty for a model type without one.
    weight_column : str, optional
        A number >= 0 for each row.
    options : mapping
        As ``resolve_options`` gives them.
    split_column : str
        Holds ``train`` or ``eval``; other rows are not read.
    order_by : str
        A column that orders the rows, so that training twice gives the same model; equal rows may share a value.
    transformed : FittedTransform, optional
        The TRANSFORM whose features these are.
    place : str, optional
        The definition, for errors.

    Returns
    -------
    FitResult
        The same parameters, bit for bit, for the same rows, options and libraries on the same machine.

    Raises
    ------
    DataError
        If there are no features or training rows, the label or weights cannot be learned from, class_weights do not
        fit the classes, or the estimator refuses the rows.
    DefinitionError
        If a SKLEARN's estimator has no such parameter.
    ArtifactError
        If the parameters do not score as the estimator does.
    """
    if not features:
        raise DataError("there are no features to train on", place=place)
    if model_type in UNLABELLED:
        fitted, n_rows = fit_unlabelled(
            warehouse, relation, features, model_type=model_type, options=options, order_by=order_by, place=place
        )
        if transformed:
            whole = replace(fitted.parameters, transform=transformed.outputs, input_columns=transformed.inputs)
            fitted = replace(fitted, parameters=whole)
        path = str(options.get("SCORING_PATH", "AUTO"))
        parity = check_parity(
            warehouse, fitted.parameters, relation, fitted.expect, order_by=order_by, forced_path=path
        )
        return FitResult(
            fitted.parameters, fitted.training_info, fitted.warnings, parity, n_train=n_rows, metrics=fitted.metrics
        )
    prepared = prepare(
        warehouse,
        relation,
        features,
        model_type=model_type,
        label=label,
        weight_column=weight_column,
        options=options,
        split_column=split_column,
        order_by=order_by,
        transformed=transformed,
        place=place,
    )
    return prove(warehouse, relation, prepared, fit_prepared(prepared, options), order_by=order_by)


def prepare(
    warehouse: Warehouse,
    relation: Relation,
    features: Sequence[FittedFeature],
    *,
    model_type: str,
    label: str,
    weight_column: str | None,
    options: Mapping[str, Any],
    split_column: str,
    order_by: str,
    transformed: FittedTransform | None = None,
    place: str | None = None,
) -> Prepared:
    """Read the rows of a relation for fitting; parameters and errors are those of ``fit``, for a model with a label."""
    if not features:
        raise DataError("there are no features to train on", place=place)
    learner = model_type
    if model_type == "SKLEARN":
        learner = "SKLEARN_CLASSIFIER" if is_classification(model_type, options) else "SKLEARN_REGRESSOR"
    target = read_label(warehouse, relation, label, model_type=learner, split_column=split_column, place=place)
    train, evaluation = _read(warehouse, relation, features, target, weight_column, split_column, order_by)
    train = _weighted(train, target, weight_column, options, place)
    if evaluation is not None:
        evaluation = _weighted(evaluation, target, weight_column, {}, place)
    if options.get("CATEGORY_ENCODING_METHOD") == "DUMMY_ENCODING":
        features = _with_references(features, train)
    shape = Parameters(
        model_type=model_type,
        task=target.task,
        label=target.name,
        label_type=target.type,
        classes=target.classes,
        features=tuple(features),
        transform=transformed.outputs if transformed else (),
        input_columns=transformed.inputs if transformed else (),
    )
    form = ESTIMATORS[options["ESTIMATOR"]].form if model_type == "SKLEARN" else None
    if model_type.startswith("RANDOM_FOREST") or form in ("tree", "forest", "gradient_boosting"):
        _check_float32(train, features, place)
    path = str(options.get("SCORING_PATH", "AUTO"))
    return Prepared(shape, train, evaluation, list(target.warnings), place, path)


def fit_prepared(prepared: Prepared, options: Mapping[str, Any]) -> Fitted:
    """Fit the estimator of the model type; that its parameters score as it does is not proven yet."""
    with warnings.catch_warnings():
        # The label's own warning says it in the user's words.
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        return _fitted(prepared, options)


def _fitted(prepared: Prepared, options: Mapping[str, Any]) -> Fitted:
    shape, train, evaluation, place = prepared.shape, prepared.train, prepared.evaluation, prepared.place
    if shape.model_type == "SKLEARN":
        return fit_sklearn(shape, options, train, evaluation, place)
    if shape.model_type.startswith("RANDOM_FOREST"):
        return fit_forest(shape, options, train, evaluation)
    if shape.model_type.startswith("BOOSTED_TREE"):
        return fit_boosting(shape, options, train, evaluation)
    if options.get("CALCULATE_P_VALUES"):
        return fit_with_p_values(shape, options, train, evaluation, place)
    return fit_linear(shape, options, train, evaluation)


def prove(warehouse: Warehouse, relation: Relation, prepared: Prepared, fitted: Fitted, *, order_by: str) -> FitResult:
    """Return the fitted model once its parameters score as its estimator does, or raise ArtifactError."""
    parity = check_parity(
        warehouse,
        fitted.parameters,
        relation,
        fitted.expect,
        order_by=order_by,
        forced_path=prepared.scoring_path,
    )
    return FitResult(
        parameters=fitted.parameters,
        training_info=fitted.training_info,
        warnings=[*prepared.warnings, *fitted.warnings],
        parity=parity,
        n_train=len(prepared.train),
        n_eval=len(prepared.evaluation) if prepared.evaluation is not None else 0,
    )


def _read(
    warehouse: Warehouse,
    relation: Relation,
    features: Sequence[FittedFeature],
    target: Label,
    weight_column: str | None,
    split_column: str,
    order_by: str,
) -> tuple[Sample, Sample | None]:
    """Stream the encoded rows into arrays, training rows apart from those to evaluate on."""
    import numpy as np

    table = exp.table_(relation.name, db=relation.schema, quoted=True)
    split = nodes.column(split_column, nodes.INPUT)
    query = encode_select(features, table)
    is_train = exp.EQ(this=split, expression=nodes.text(TRAIN))
    query = query.select(
        nodes.projection(target.encoded(), _LABEL),
        nodes.projection(is_train, _IS_TRAIN),
        *([nodes.projection(nodes.double(nodes.column(weight_column, nodes.INPUT)), _WEIGHT)] if weight_column else []),
        copy=False,
    )
    query = query.where(exp.In(this=split.copy(), expressions=[nodes.text(TRAIN), nodes.text(EVAL)]), copy=False)
    # The rows to train on come first, so that both samples are parts of one matrix and not copies.
    first, then = exp.Ordered(this=is_train.copy(), desc=True), exp.Ordered(this=nodes.column(order_by, nodes.INPUT))
    query = query.order_by(first, then, copy=False)
    n_rows = target.n_train + target.n_eval
    is_linear = all(feature.encoding in ("standard", "one_hot") for feature in features)
    encoded = np.empty((n_rows, len(features)), order="C" if is_linear else "F")
    labels, is_training = np.empty(n_rows), np.empty(n_rows, dtype=bool)
    weights = np.empty(n_rows) if weight_column else None
    start = 0
    for batch in warehouse.stream(query.sql(dialect=warehouse.engine, copy=False), batch_rows=_BATCH_ROWS):
        stop = start + batch.num_rows
        fill(encoded[start:stop], batch)
        labels[start:stop] = batch.column(_LABEL).to_numpy(zero_copy_only=False)
        is_training[start:stop] = batch.column(_IS_TRAIN).to_numpy(zero_copy_only=False)
        if weights is not None:
            weights[start:stop] = batch.column(_WEIGHT).to_numpy(zero_copy_only=False)
        start = stop

    def sample(rows: np.ndarray | slice) -> Sample:
        values = labels[rows] if target.task == "regression" else labels[rows].astype(np.int64)
        return Sample(encoded[rows], values, None if weights is None else weights[rows])

    # A class that no training row has cannot be evaluated.
    is_known = np.ones(n_rows, dtype=bool) if target.task == "regression" else labels >= 0
    held_out = ~is_training & is_known
    return sample(slice(target.n_train)), sample(held_out) if held_out.any() else None


def _weighted(
    sample: Sample, target: Label, weight_column: str | None, options: Mapping[str, Any], place: str | None
) -> Sample:
    """Return the sample with the weights of its rows times those of their classes."""
    import numpy as np

    weight = sample.weight
    if weight is not None:
        n_bad = int((~(np.isfinite(weight) & (weight >= 0))).sum())
        if n_bad:
            raise DataError(
                f'the weight "{weight_column}" is missing, negative or not finite in {n_bad:,} of {len(sample):,} rows',
                place=place,
                hint="a weight is a number of at least 0",
            )
        if not weight.any():
            raise DataError(f'the weight "{weight_column}" is 0 in all of {len(sample):,} rows', place=place)
    by_class = _class_weights(sample, target, options, place)
    if by_class is not None:
        weight = by_class[sample.label] * (1.0 if weight is None else weight)
    return replace(sample, weight=weight)


def _class_weights(sample: Sample, target: Label, options: Mapping[str, Any], place: str | None) -> np.ndarray | None:
    """Return one weight for each class, or None if all weigh the same."""
    import numpy as np

    n_classes = len(target.classes)
    if options.get("AUTO_CLASS_WEIGHTS"):
        n_rows = np.bincount(sample.label, minlength=n_classes)
        balanced: np.ndarray = len(sample) / (n_classes * n_rows)
        return balanced
    if not options.get("CLASS_WEIGHTS"):
        return None
    weights = dict(options["CLASS_WEIGHTS"])
    if set(weights) != set(target.classes):
        raise DataError(
            f'class_weights names {", ".join(sorted(weights))}, but the classes of "{target.name}" are others',
            place=place,
            has=target.classes,
            hint="give each class of the training rows one weight",
        )
    if not any(weights.values()):
        raise DataError("class_weights are all 0", place=place)
    return np.array([weights[name] for name in target.classes])


def _with_references(features: Sequence[FittedFeature], train: Sample) -> list[FittedFeature]:
    """Take away the column of each category's most frequent code (the first of equal ones), as DUMMY_ENCODING says."""
    import numpy as np

    chosen = []
    for index, feature in enumerate(features):
        if feature.encoding == "one_hot" and feature.n_slots and not feature.reference:
            counts = np.bincount(train.encoded[:, index].astype(np.int64), minlength=feature.n_slots + 1)
            feature = replace(feature, reference=int(counts[1:].argmax()) + 1)  # noqa: PLW2901
        chosen.append(feature)
    return chosen


def _check_float32(train: Sample, features: Sequence[FittedFeature], place: str | None) -> None:
    """Refuse what a forest cannot compare: its values are rounded to float32."""
    import numpy as np

    too_large = (np.abs(train.encoded) > _LARGEST_FLOAT32).any(axis=0)
    if too_large.any():
        name = features[int(too_large.argmax())].name
        raise DataError(
            f'column "{name}" reaches beyond {_LARGEST_FLOAT32:g}, which a forest cannot compare',
            place=place,
            hint="scale it, or take its logarithm, in the query",
        )
