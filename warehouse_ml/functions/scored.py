"""The rows of an input with a model's predictions beside them: what most functions start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from warehouse_ml.errors import DataError, did_you_mean
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.functions.snapshot import input_columns
from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring import check_columns, compile_scoring, score_arrow
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.tables import all_of, spooled
from warehouse_ml.templates import statement

__all__ = ["PREDICTION", "PROBABILITIES", "SCORE", "label_column", "label_text", "scored_rows", "threshold_of"]

SCORE = "wml_score"
PREDICTION = "wml_prediction"
PROBABILITIES = "wml_probabilities"

_ROW = "wml_row"
_INPUT = exp.to_table("wml_input")


def scored_rows(
    call: Call,
    context: Context,
    stored: StoredVersion,
    read: Input,
    keep: Sequence[str] = (),
    *,
    threshold: float = 0.5,
    probabilities: bool = False,
    n_rows: int | None = None,
) -> str:
    """Return the text of a query that scores an input.

    A model that is fastest as SQL is written out, around the input's own text. One that is faster as arrays scores
    the rows now, and the query reads the results back; in a view that is refused, see ``Context.keep``.

    Parameters
    ----------
    call : Call
        For errors, and the names of temporary tables.
    context : Context
    stored : StoredVersion
    read : Input
        With every column that the model reads.
    keep : sequence of str
        Columns of the input that pass through in front, whatever they are called but for ``wml_*``.
    threshold : float
        In [0, 1]; a binary model predicts the positive class at this score and above.
    probabilities : bool
        Add the probability of every class, in the order of ``parameters.classes``; nothing is added for a regression.
    n_rows : int, optional
        How many rows there are, if it is known: few rows are scored as arrays.

    Returns
    -------
    str
        A query of one row for each row of the input: the kept columns, then ``wml_score``, ``wml_prediction`` and
        ``wml_probabilities`` as ``compile_scoring`` has them.

    Raises
    ------
    DataError
        If the input lacks a column that the model reads, or has one of another kind.
    """
    parameters, engine = stored.parameters, context.warehouse.engine
    check_columns(parameters.inputs, context.columns(read), place=call.place)
    names = {
        "inputs": input_columns(stored),
        "keep": list(keep),
        "has_probabilities": probabilities and parameters.task != "regression",
    }
    # A view has to be SQL, even where arrays would be quicker.
    if stored.path(n_rows, is_stored=context.is_view, engine=engine) == "sql":
        scoring = compile_scoring(
            parameters, _INPUT.copy(), _kept(keep), threshold=threshold, probabilities=probabilities
        )
        text = scoring.sql(dialect=engine, copy=False)
        return statement(__package__, "scored.sql", engine, rows=read.sql, scoring=text, **names)
    # The rows are kept, and only their numbers go through the arrays: types that Arrow lacks stay what they are.
    rows = context.keep_query(
        call, statement(__package__, "scored_input.sql", engine, rows=read.alone, row=_ROW, **names)
    )
    source = exp.table_(rows.name, db=rows.schema, quoted=True)
    batches = score_arrow(
        context.warehouse, parameters, source, [_ROW], threshold=threshold, probabilities=probabilities
    )
    with spooled(batches) as scores:
        scored = context.keep(call, scores)
    return statement(
        __package__,
        "scored_arrays.sql",
        engine,
        rows=all_of(context.warehouse, rows),
        scores=scored,
        row=_ROW,
        **names,
    )


def threshold_of(stored: StoredVersion) -> float:
    """Return the threshold that the model's file sets, at which its logged predictions are made; 0.5 by default."""
    return float(stored.facts.get("threshold", 0.5))


def label_column(call: Call, parameters: Parameters, columns: Mapping[str, str]) -> str:
    """Return the label's column in an input, as it is written there.

    Raises
    ------
    DataError
        If it is missing, or of a kind that cannot be compared with what the model was trained on.
    """
    label = parameters.label
    name = next((column for column in columns if column.casefold() == label.casefold()), None)
    if name is None:
        raise DataError(
            f'no column "{label}", which is the label',
            place=call.place,
            has=list(columns),
            hint=did_you_mean(label, list(columns))
            or f"ml.{call.name} compares predictions with it: join it in the query",
        )
    if kind_of(columns[name]) != kind_of(parameters.label_type):
        raise DataError(
            f'the label "{name}" is {columns[name]}, but the model was trained on {parameters.label_type}',
            place=call.place,
            hint=f'cast "{name}" in the query',
        )
    return name


def label_text(column_type: str) -> str:
    """Return how a class label becomes the text that ``parameters.classes`` has: ``as_is`` or ``whole``.

    A whole number may arrive as a double or a decimal, as it does beside NULLs in many files; its text would be 1.0.
    """
    is_whole = kind_of(column_type) != "number" or "INT" in column_type.upper()
    return "as_is" if is_whole else "whole"


def _kept(keep: Sequence[str]) -> list[str]:
    return [f"wml_kept_{index}" for index in range(len(keep))]
