"""From parameters to predictions over arrays: for models whose SQL would be too large, and to check the SQL.

The matrix is encoded by the same SQL as everywhere; only the sums are done here, in the same order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse_ml.columns import chosen_texts, numbers_of, numeric_column
from warehouse_ml.scoring.clusters import distances, nearest
from warehouse_ml.scoring.compile import PREDICTION, PROBABILITIES, SCORE, check_keep, check_threshold
from warehouse_ml.scoring.features import FittedFeature, encode_select, encoded_name
from warehouse_ml.scoring.kept import Kept, dense
from warehouse_ml.scoring.parameters import Linear, Parameters, Trees

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from sqlglot import exp

    from warehouse_ml.warehouses.base import Warehouse

__all__ = ["Predictions", "fill", "linear_terms", "matrix", "predict", "raw_values", "score_arrow"]

# Enough to make little of the cost of a batch; few enough that one for each core, and those that wait, take no memory.
_BATCH_ROWS = 131_072


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of n rows.

    Parameters
    ----------
    score : float64 array of shape (n,)
        As the column ``score`` of ``compile_scoring``.
    prediction : int64 array of shape (n,), or None
        The index of the predicted class, or of the nearest centroid, in ``parameters.classes``; None for a regression
        and a projection.
    probabilities : float64 array of shape (n, n_outputs), or None
        Of all classes; the distances to all centroids; all components. None for a regression.
    """

    score: np.ndarray
    prediction: np.ndarray | None
    probabilities: np.ndarray | None


def matrix(batch: pa.RecordBatch | pa.Table, n_features: int) -> np.ndarray:
    """Return the encoded columns of a batch as a float64 array of shape (n_rows, n_features), NULL as NaN."""
    import numpy as np

    result = np.empty((batch.num_rows, n_features), order="F")
    fill(result, batch)
    return result


def fill(encoded: np.ndarray, batch: pa.RecordBatch | pa.Table) -> None:
    """Write the encoded columns of a batch into a float64 array of shape (n_rows, n_features), NULL as NaN."""
    for index in range(encoded.shape[1]):
        encoded[:, index] = numbers_of(batch.column(encoded_name(index)))


def predict(parameters: Parameters, encoded: np.ndarray, threshold: float = 0.5) -> Predictions:
    """Predict from an encoded matrix.

    Parameters
    ----------
    parameters : Parameters
        The fitted model.
    encoded : float64 array of shape (n, p)
        The columns that ``encode_select`` gives, NaN for NULL.
    threshold : float
        A binary model predicts the positive class at this score and above.
    """
    import numpy as np

    # A sum beyond what a double holds is infinite, and a difference of two such sums NaN, as in the warehouse.
    with np.errstate(over="ignore", invalid="ignore"):
        return _predicted(parameters, encoded, threshold)


def _predicted(parameters: Parameters, encoded: np.ndarray, threshold: float) -> Predictions:
    import numpy as np

    if parameters.task == "clustering":
        found = distances(parameters, encoded)
        index, distance = nearest(found)
        return Predictions(distance, index, found)
    if parameters.kept is not None:
        return _kept(parameters, parameters.kept, encoded, threshold)
    raw = raw_values(parameters, encoded)
    if parameters.task == "projection":
        return Predictions(raw[:, 0], None, raw)
    if parameters.has_log_link:
        return Predictions(np.exp(np.minimum(raw[:, 0], 709.0)), None, None)
    if parameters.task == "regression":
        return Predictions(raw[:, 0], None, None)
    if parameters.task == "binary":
        score = raw[:, 0] if parameters.is_forest else 1.0 / (1.0 + np.exp(-np.maximum(raw[:, 0], -709.0)))
        # NaN is larger than everything in the warehouse.
        is_positive = ~(score < threshold)
        return Predictions(score, is_positive.astype(np.int64), np.column_stack([1.0 - score, score]))
    prediction = raw.argmax(axis=1)
    if parameters.is_forest:
        return Predictions(raw.max(axis=1), prediction, raw)
    weights = np.exp(raw - raw.max(axis=1, keepdims=True))
    total = weights[:, 0].copy()
    for output in range(1, weights.shape[1]):
        total += weights[:, output]
    return Predictions(1.0 / total, prediction, weights / total[:, None])


def raw_values(parameters: Parameters, encoded: np.ndarray) -> np.ndarray:
    """Return what the model adds up from an encoded matrix, float64 of shape (n, n_outputs).

    The predicted value (regression), the log-odds of the positive class (binary) or the logarithms of what softmax
    turns into probabilities (multiclass); of a forest, the value or the probabilities themselves. With a log link,
    the logarithm of the value.
    """
    if parameters.trees is None:
        return _linear_raw(parameters.only_linear(), parameters, encoded)
    return _trees_raw(parameters.trees, parameters, encoded)


def linear_terms(feature: FittedFeature, slots: Sequence[float], column: np.ndarray) -> np.ndarray:
    """Return what a feature adds to an output of a linear model: its encoded column by its weights."""
    import numpy as np

    if feature.encoding == "one_hot":
        # Code 0 is an unknown category, which adds nothing.
        by_code: np.ndarray = np.array([0.0, *slots])[column.astype(np.int64)]
        return by_code
    return slots[0] * column


def score_arrow(
    warehouse: Warehouse,
    parameters: Parameters,
    source: exp.Expr | str,
    keep: Sequence[str] = (),
    *,
    threshold: float = 0.5,
    probabilities: bool = False,
    batch_rows: int = _BATCH_ROWS,
) -> pa.RecordBatchReader:
    """Score a relation outside of the warehouse, batch by batch.

    Parameters
    ----------
    warehouse : Warehouse
        Where the source is; no other statement may run there until the reader is at its end.
    parameters, keep, threshold, probabilities
        As for ``compile_scoring``.
    source : exp.Expr or str
        A table or a query, or the text of a query in the warehouse's SQL.
    batch_rows : int
        Rows of a batch; there are at most two more batches in memory than the processor has cores.

    Returns
    -------
    pyarrow.RecordBatchReader
        The columns of ``compile_scoring``, same names, types and order.

    Raises
    ------
    DataError
        If a kept column is called as an output is.
    DefinitionError
        If the threshold is not in [0, 1].
    """
    import pyarrow as pa
    import sqlglot

    check_keep(keep)
    check_threshold(threshold)
    if isinstance(source, str):
        source = sqlglot.parse_one(source, read=warehouse.engine)
    sql = encode_select(parameters.features, source, keep).sql(dialect=warehouse.engine, copy=False)
    reader = warehouse.stream(sql, batch_rows=batch_rows)
    fields = [reader.schema.field(index) for index in range(len(keep))]
    fields += [pa.field(SCORE, pa.float64()), pa.field(PREDICTION, pa.string())]
    if parameters.task == "projection" or (probabilities and parameters.task != "regression"):
        fields.append(pa.field(PROBABILITIES, pa.list_(pa.float64())))
    schema = pa.schema(fields)
    return pa.RecordBatchReader.from_batches(schema, _batches(reader, parameters, schema, len(keep), threshold))


def _batches(
    reader: pa.RecordBatchReader, parameters: Parameters, schema: pa.Schema, n_kept: int, threshold: float
) -> Iterator[pa.RecordBatch]:
    """Score batches beside each other, while the next is read and the last is written; they come out in order."""
    n_threads = os.cpu_count() or 1
    waiting: deque[Future[pa.RecordBatch]] = deque()
    with ThreadPoolExecutor(n_threads) as threads:
        for batch in reader:
            waiting.append(threads.submit(_scored, batch, parameters, schema, n_kept, threshold))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _scored(
    batch: pa.RecordBatch, parameters: Parameters, schema: pa.Schema, n_kept: int, threshold: float
) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    found = predict(parameters, matrix(batch, len(parameters.features)), threshold)
    columns = [batch.column(index) for index in range(n_kept)]
    columns.append(numeric_column(found.score))
    if found.prediction is None:
        columns.append(pa.nulls(batch.num_rows, pa.string()))
    else:
        columns.append(chosen_texts(parameters.classes, found.prediction))
    if PROBABILITIES in schema.names[n_kept:] and found.probabilities is not None:
        n_classes = found.probabilities.shape[1]
        offsets = np.arange(batch.num_rows + 1, dtype=np.int32) * n_classes
        flat = np.ascontiguousarray(found.probabilities).ravel()
        columns.append(pa.ListArray.from_arrays(numeric_column(offsets), numeric_column(flat)))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _kept(parameters: Parameters, kept: Kept, encoded: np.ndarray, threshold: float) -> Predictions:
    import numpy as np

    values, shares = kept.outputs(dense(parameters.features, encoded))
    if shares is None:
        return Predictions(values, None, None)
    if parameters.task == "binary":
        score = np.ascontiguousarray(shares[:, 1])
        return Predictions(score, (score >= threshold).astype(np.int64), shares)
    return Predictions(shares[np.arange(len(values)), values], values, shares)


def _linear_raw(linear: Linear, parameters: Parameters, encoded: np.ndarray) -> np.ndarray:
    import numpy as np

    raw = np.empty((len(encoded), parameters.n_outputs))
    for output, (intercept, weights) in enumerate(zip(linear.intercepts, linear.weights, strict=True)):
        total = np.full(len(encoded), intercept)
        for index, (feature, slots) in enumerate(zip(parameters.features, weights, strict=True)):
            total += linear_terms(feature, slots, encoded[:, index])
        raw[:, output] = total
    return raw


def _trees_raw(trees: Trees, parameters: Parameters, encoded: np.ndarray) -> np.ndarray:
    """Return the sums or means of the leaves that each row falls into: shape (n, n_outputs)."""
    import numpy as np

    raw = np.tile(np.array(trees.baselines), (len(encoded), 1))
    trees.walk.add(encoded, raw)
    if parameters.is_forest:
        raw /= trees.n_trees
    return raw
