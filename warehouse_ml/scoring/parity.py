"""Proof, on a sample of the training data, that the stored parameters decide as the fitted estimator does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.arrays import Predictions, matrix, predict
from warehouse_ml.scoring.compile import PREDICTION, PROBABILITIES, SCORE, compile_scoring, scoring_path
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.scoring.parameters import Parameters

if TYPE_CHECKING:
    import numpy as np

    from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["TOLERANCE", "ParityReport", "check_parity"]

TOLERANCE = 1e-9
"""The largest relative difference between two scores of one row; exact decisions are asked for besides."""

_ROW = "parity_row"
_TIE = 1e-12
_ALL_OUTPUTS = ("clustering", "projection")


@dataclass(frozen=True)
class ParityReport:
    """What was compared.

    Parameters
    ----------
    n_rows : int
        Rows of the sample.
    paths : tuple of str
        What was compared with the estimator: ``sql`` and ``arrow``, or ``arrow`` alone where SQL is not used.
    max_abs_difference : float
        Between two scores of one row; of a clustering or projection, between two distances (cosine: their squares) or
        components.
    n_decision_differences : int
        Rows whose class differs. Always 0 for trees; a linear model may differ where the score is at the threshold to
        within 1e-12, and a clustering where two centroids are equally near, because the estimator adds in another
        order.
    """

    n_rows: int
    paths: tuple[str, ...]
    max_abs_difference: float
    n_decision_differences: int


def check_parity(
    warehouse: Warehouse,
    parameters: Parameters,
    relation: Relation,
    expect: Callable[[np.ndarray], Predictions],
    *,
    order_by: str,
    sample_rows: int = 5_000,
    forced_path: str = "AUTO",
) -> ParityReport:
    """Compare the predictions of the parameters with the estimator's, on rows spread evenly over a relation.

    Parameters
    ----------
    warehouse : Warehouse
        Where the relation is.
    parameters : Parameters
        What is to be stored.
    relation : Relation
        The training data.
    expect : callable
        The estimator: takes the encoded matrix, float64 of shape (n, p), and predicts at the threshold 0.5.
    order_by : str
        A column that orders the rows.
    sample_rows : int
        Roughly how many rows are compared, at most twice as many.
    forced_path : str
        The option SCORING_PATH; SQL is compared where it may be used.

    Raises
    ------
    ArtifactError
        If a decision or a score differs, naming the first such row.
    """
    sample = _sample(warehouse, relation, order_by, sample_rows)
    by_row = exp.Ordered(this=nodes.column(_ROW))
    query = encode_select(parameters.features, sample, [_ROW]).order_by(by_row, copy=False)
    encoded = matrix(warehouse.fetch(query.sql(dialect=warehouse.engine, copy=False)), len(parameters.features))
    expected = expect(encoded)
    found = {"arrow": predict(parameters, encoded)}
    if scoring_path(parameters, forced=forced_path, is_stored=True) == "sql":
        found["sql"] = _in_warehouse(warehouse, parameters, sample)
    worst, n_differences = 0.0, 0
    for path, predictions in found.items():
        difference, n_different = _compare(parameters, path, expected, predictions)
        worst, n_differences = max(worst, difference), max(n_differences, n_different)
    return ParityReport(len(encoded), tuple(sorted(found)), worst, n_differences)


def _sample(warehouse: Warehouse, relation: Relation, order_by: str, sample_rows: int) -> exp.Select:
    table = exp.table_(relation.name, db=relation.schema, quoted=True)
    count = exp.select(exp.alias_(exp.Count(this=exp.Star()), "n_rows")).from_(table)
    n_rows = warehouse.fetch(count.sql(dialect=warehouse.engine)).column(0)[0].as_py()
    step = max(1, n_rows // sample_rows)
    key = nodes.column(order_by)
    row = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=[exp.Ordered(this=key)]))
    if step == 1:
        return nodes.select_from([exp.Star(), nodes.projection(row, _ROW)], table)
    # Only the keys are put in order: whole rows would be sorted for seconds where there are a million.
    numbered = nodes.select_from([key.copy(), nodes.projection(row, _ROW)], table.copy())
    every = exp.Mod(this=nodes.column(_ROW), expression=exp.Literal.number(step))
    chosen = nodes.select_from([key.copy()], numbered).where(
        exp.EQ(this=every, expression=exp.Literal.number(0)), copy=False
    )
    found = nodes.select_from([exp.Star(), nodes.projection(row.copy(), _ROW)], table)
    found = found.where(exp.In(this=key.copy(), query=exp.Subquery(this=chosen)), copy=False)
    at_most = exp.LTE(this=nodes.column(_ROW), expression=exp.Literal.number(2 * sample_rows))
    return nodes.select_from([exp.Star()], found).where(at_most, copy=False)


def _in_warehouse(warehouse: Warehouse, parameters: Parameters, sample: exp.Select) -> Predictions:
    import numpy as np

    has_outputs = parameters.task in _ALL_OUTPUTS
    query = compile_scoring(parameters, sample, [_ROW], probabilities=has_outputs)
    query = query.order_by(exp.Ordered(this=nodes.column(_ROW)), copy=False)
    rows = warehouse.fetch(query.sql(dialect=warehouse.engine, copy=False))
    score = rows.column(SCORE).to_numpy()
    if parameters.task == "regression":
        return Predictions(score, None, None)
    outputs = None
    if has_outputs:
        flat = rows.column(PROBABILITIES).combine_chunks().flatten().to_numpy(zero_copy_only=False)
        outputs = flat.reshape(len(score), parameters.n_outputs)
    if parameters.task == "projection":
        return Predictions(score, None, outputs)
    index = {name: position for position, name in enumerate(parameters.classes)}
    prediction = np.array([index[name] for name in rows.column(PREDICTION).to_pylist()], dtype=np.int64)
    return Predictions(score, prediction, outputs)


def _compare(parameters: Parameters, path: str, expected: Predictions, found: Predictions) -> tuple[float, int]:
    import numpy as np

    if parameters.clusters is not None and parameters.clusters.distance == "cosine":
        # Near 0 the root makes 1e-8 of the last bit of a cosine.
        expected, found = _squared(expected), _squared(found)
    difference = np.abs(found.score - expected.score)
    # A probability near 0 is compared on the scale of 1, a value on its own.
    scale = np.maximum(np.abs(expected.score), 1.0)
    is_wrong = ~(difference <= TOLERANCE * scale)
    if parameters.task in _ALL_OUTPUTS and expected.probabilities is not None and found.probabilities is not None:
        # They have one unit, so the largest of a row is the scale of its others.
        differences = np.abs(found.probabilities - expected.probabilities)
        scales = np.maximum(np.abs(expected.probabilities).max(axis=1, initial=1.0), 1.0)
        difference = np.maximum(difference, differences.max(axis=1, initial=0.0))
        is_wrong = ~(difference <= TOLERANCE * scales)
    is_other = np.zeros(len(difference), dtype=bool)
    if expected.prediction is not None and found.prediction is not None:
        is_other = expected.prediction != found.prediction
        is_tie = (difference <= _TIE) if parameters.linear is not None else np.zeros_like(is_other)
        if parameters.task == "clustering":
            is_tie = ~is_wrong
        is_wrong |= is_other & ~is_tie
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise ArtifactError(
            f"{int(is_wrong.sum())} of {len(is_wrong)} sampled rows are scored differently by {path} than by "
            f"the fitted {parameters.model_type.lower()}; the first is row {row} of the sample: "
            f"{_told(parameters, found, row)} instead of {_told(parameters, expected, row)}",
            hint="this is an error of the toolkit; please report it with the model's definition",
        )
    return float(difference.max(initial=0.0)), int(is_other.sum())


def _squared(found: Predictions) -> Predictions:
    outputs = found.probabilities
    return Predictions(found.score**2, found.prediction, None if outputs is None else outputs**2)


def _told(parameters: Parameters, predictions: Predictions, row: int) -> str:
    score = repr(float(predictions.score[row]))
    if predictions.prediction is None:
        return score
    return f"{parameters.classes[int(predictions.prediction[row])]} ({score})"
