"""``ml.explain_predict`` and ``ml.global_explain``: what each feature adds to predictions, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.predict import predicted
from warehouse_ml.functions.scored import threshold_of
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring import check_columns, nodes
from warehouse_ml.scoring.arrays import Predictions, matrix, predict
from warehouse_ml.scoring.compile import PREDICTION, SCORE
from warehouse_ml.scoring.explain import Explainer
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.templates import statement

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["explain_predict", "global_explain"]

_MOST_ROWS = 10_000
_BATCH_ROWS, _BATCH_NUMBERS = 50_000, 20_000_000
_ROW_HASH = "wml_row_hash"
_EXPLAINED_ROW, _PROBABILITY = "wml_row", "probability"
_EXPLAINED = ("top_feature_attributions", "baseline_prediction_value", "prediction_value", "approximation_error")


def explain_predict(call: Call, context: Context) -> str:
    """Return the query of the predictions with what they are made of, the input's columns behind them.

    For a multiclass model it is the predicted class that is explained, for a binary one always the positive class.
    Explained is what the model adds up, see ``raw_values``.
    """
    import pyarrow as pa

    stored = context.stored(call)
    _check_explainable(call, stored)
    asked = settings(
        call,
        top_k_features=Setting("integer", 5, low=1),
        threshold=Setting("number", threshold_of(stored), low=0, high=1),
        approx_feature_contrib=Setting("boolean", default=False),
        integrated_gradients_num_steps=Setting("integer"),
    )
    for name in ("approx_feature_contrib", "integrated_gradients_num_steps"):
        if asked[name]:
            raise DefinitionError(
                f"{name} of ml.{call.name} cannot be honoured: attributions are exact, nothing is approximated",
                place=call.place,
                hint=f"leave {name} out",
            )
    parameters, engine = stored.parameters, context.warehouse.engine
    columns = context.columns(call.inputs[0])
    check_columns(parameters.inputs, columns, place=call.place)
    is_classifier = parameters.task != "regression"
    first = predicted(parameters, engine=engine)[0]
    outputs = [first.alias, *([_PROBABILITY] if is_classifier else []), *_EXPLAINED]
    _check_names(call, list(columns), outputs)
    known = {name.casefold() for name in columns}
    row = next(name for name in (_EXPLAINED_ROW + "_" * n for n in range(len(columns) + 1)) if name not in known)
    # The rows stay in the warehouse, with types that arrays may lack; only numbers leave it.
    numbered = statement(__package__, "numbered.sql", engine, query=call.inputs[0].alone, row=row)
    rows = context.keep_query(call, numbered)
    source = exp.table_(rows.name, db=rows.schema, quoted=True)
    encoded = encode_select(parameters.features, source, [row])
    batches = [
        _explained(parameters, batch, asked["top_k_features"])
        for batch in _batches(context, parameters, encoded, row, asked["threshold"])
    ]
    return statement(
        __package__,
        "explained.sql",
        engine,
        explained=context.keep(call, pa.Table.from_batches(batches, schema=_schema())),
        predicted=first.sql(dialect=engine),
        outputs=outputs,
        explained_row=_EXPLAINED_ROW,
        rows=rows,
        row=row,
        columns=list(columns),
    )


def global_explain(call: Call, context: Context) -> str:
    """Return the query of the mean absolute attributions, over the rows held out of training or else those trained on.

    Without ``class_level_explain`` they are those of ``ml.explain_predict``.
    """
    import numpy as np
    import pyarrow as pa

    stored = context.stored(call)
    _check_explainable(call, stored)
    is_by_class = settings(call, class_level_explain=Setting("boolean", default=False))["class_level_explain"]
    parameters = stored.parameters
    if is_by_class and parameters.task == "regression":
        raise DefinitionError(
            f"class_level_explain of ml.{call.name} has no meaning for {call.model}, which is a regression",
            place=call.place,
            hint="leave class_level_explain out",
        )
    rows = statement(
        __package__,
        "trained_rows.sql",
        context.warehouse.engine,
        path=context.warehouse.parquet(context.registry.snapshot_path(stored.version)),
        split="eval" if stored.facts["split"]["n_eval"] else "train",
        most=_MOST_ROWS,
    )
    source = sqlglot.parse_one(rows, read=context.warehouse.engine)
    # In one order, so that the sums come out the same each time.
    encoded = encode_select(parameters.features, source, [_ROW_HASH])
    encoded = encoded.order_by(exp.Ordered(this=nodes.column(_ROW_HASH)), copy=False)
    n_rows, n_features = 0, len(parameters.features)
    total = np.zeros((parameters.n_outputs if is_by_class else 1, n_features))
    for batch in _batches(context, parameters, encoded, _ROW_HASH, threshold_of(stored)):
        values = batch.values if is_by_class else batch.values[np.arange(len(batch)), batch.output][:, None]
        total += np.abs(values).sum(axis=0)
        n_rows += len(batch)
    means = total / n_rows
    names = np.array([feature.name for feature in parameters.features])
    table: dict[str, list[object]] = {"class_name": [], "feature": [], "attribution": []}
    # Both classes of a binary model are told by one number, which counts for one and against the other.
    for index, class_name in enumerate(parameters.classes if is_by_class else ("",)):
        mean = means[index % len(means)]
        order = np.argsort(-mean, kind="stable")
        table["class_name"] += [class_name] * n_features
        table["feature"] += names[order].tolist()
        table["attribution"] += mean[order].tolist()
    if not is_by_class:
        del table["class_name"]
    types = {"class_name": pa.string(), "feature": pa.string(), "attribution": pa.float64()}
    return context.keep(call, pa.table({name: pa.array(column, types[name]) for name, column in table.items()}))


@dataclass(frozen=True, eq=False)
class _Batch:
    """Explained rows.

    Parameters
    ----------
    row : pyarrow.Array
        The column that tells the rows.
    predictions : Predictions
    values : float64 array of shape (n, n_outputs, n_features)
    output : int array of shape (n,)
        The output that is explained.
    baseline, prediction : float64 array of shape (n,)
        Of that output.
    """

    row: pa.Array
    predictions: Predictions
    values: np.ndarray
    output: np.ndarray
    baseline: np.ndarray
    prediction: np.ndarray

    def __len__(self) -> int:
        return len(self.output)


def _batches(
    context: Context, parameters: Parameters, query: exp.Select, row: str, threshold: float
) -> Iterator[_Batch]:
    """Explain the rows of a query of the encoded matrix, with a column that tells the rows in front."""
    import numpy as np

    explainer, n_features = Explainer(parameters), len(parameters.features)
    size = max(1, min(_BATCH_ROWS, _BATCH_NUMBERS // (parameters.n_outputs * n_features)))
    for rows in context.warehouse.stream(query.sql(dialect=context.warehouse.engine), batch_rows=size):
        encoded = matrix(rows, n_features)
        predictions = predict(parameters, encoded, threshold)
        found = explainer(encoded)
        output = np.zeros(len(encoded), dtype=np.int64)
        if parameters.task == "multiclass" and predictions.prediction is not None:
            output = predictions.prediction
        prediction = found.prediction[np.arange(len(encoded)), output]
        yield _Batch(rows.column(row), predictions, found.values, output, found.baseline[output], prediction)


def _explained(parameters: Parameters, batch: _Batch, most: int) -> pa.RecordBatch:
    """Return rows of ``_schema``, each with its largest attributions, the first feature first of equal ones."""
    import numpy as np
    import pyarrow as pa

    n_rows = len(batch)
    each = np.arange(n_rows)
    values = batch.values[each, batch.output]
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :most]
    names = pa.array([feature.name for feature in parameters.features])
    pairs = pa.StructArray.from_arrays(
        [names.take(pa.array(order.ravel())), pa.array(np.take_along_axis(values, order, axis=1).ravel())],
        fields=list(_pair()),
    )
    offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * order.shape[1])
    predictions = batch.predictions
    label, probability = pa.nulls(n_rows, pa.string()), pa.nulls(n_rows, pa.float64())
    if predictions.prediction is not None and predictions.probabilities is not None:
        label = pa.array(parameters.classes, pa.string()).take(pa.array(predictions.prediction))
        probability = pa.array(predictions.probabilities[each, predictions.prediction])
    columns = [
        batch.row,
        pa.array(predictions.score),
        label,
        probability,
        pa.ListArray.from_arrays(offsets, pairs),
        pa.array(batch.baseline),
        pa.array(batch.prediction),
        pa.array(np.zeros(n_rows)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_schema())


def _pair() -> pa.DataType:
    import pyarrow as pa

    return pa.struct([("feature", pa.string()), ("attribution", pa.float64())])


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    types = (pa.list_(_pair()), number, number, number)
    return pa.schema(
        [
            (_EXPLAINED_ROW, pa.int64()),
            (SCORE, number),
            (PREDICTION, text),
            (_PROBABILITY, number),
            *zip(_EXPLAINED, types, strict=True),
        ]
    )


def _check_names(call: Call, columns: Sequence[str], outputs: Sequence[str]) -> None:
    taken = {name.casefold() for name in outputs}
    for name in columns:
        if name.casefold() in taken:
            raise DataError(
                f'the input has a column "{name}" already, which is what the explanation calls one of its own',
                place=call.place,
                hint="rename it in the query, or leave it out",
            )


def _check_explainable(call: Call, stored: StoredVersion) -> None:
    parameters = stored.parameters
    if parameters.task in ("clustering", "projection"):
        raise DefinitionError(
            f"ml.{call.name} explains regressions and classifiers, and {call.model} is a "
            f"{parameters.model_type.lower()}",
            place=call.place,
        )
