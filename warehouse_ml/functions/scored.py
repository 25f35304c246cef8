"""The rows of a relation with a version's prediction beside them, whatever the rows' own columns are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from warehouse_ml.errors import WmlError
from warehouse_ml.functions.call import Call, Context, Input
from warehouse_ml.scoring import check_columns, compile_scoring, nodes, score_arrow, scoring_path
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.templates import statement

if TYPE_CHECKING:
    from warehouse_ml.registry import StoredVersion

__all__ = ["Scored", "carried", "score_input", "threshold_of", "with_carried"]

_SCORED = "wml_scored"


@dataclass(frozen=True)
class Scored:
    """Scored rows: the input's columns (see ``carried``), ``score``, ``prediction`` and ``probabilities``.

    Parameters
    ----------
    rows : exp.Expr
        A query over ``wml_input``, or a table.
    source : str or None
        The text of the query that is ``wml_input``.
    engine : str
    """

    rows: exp.Expr
    source: str | None
    engine: str

    def select(self, projections: Sequence[exp.Expr]) -> str:
        """Return the text of a query of the rows."""
        text = nodes.select_from(projections, self.rows, _SCORED).sql(dialect=self.engine, copy=False)
        if self.source is None:
            return text
        return statement("warehouse_ml.requests", "score.sql", self.engine, source=self.source, scoring=text)


def carried(columns: Mapping[str, str]) -> list[exp.Expr]:
    """Return the input's columns of scored rows under their own names."""
    return [nodes.projection(nodes.column(_carried(index)), name) for index, name in enumerate(columns)]


def with_carried(parameters: Parameters, columns: Mapping[str, str]) -> exp.Select:
    """Return the query of ``wml_input`` that has each column once more, under a name that no prediction uses."""
    own = [nodes.projection(nodes.column(name), _carried(index)) for index, name in enumerate(columns)]
    known = {name.casefold(): name for name in columns}
    read = dict.fromkeys(known[feature.name.casefold()] for feature in parameters.inputs)
    return nodes.select_from([*own, *nodes.kept(read)], exp.to_table(nodes.INPUT), nodes.INPUT)


def threshold_of(stored: StoredVersion) -> float:
    """Return the threshold that the model's file sets, at which its logged predictions are made; 0.5 by default."""
    return float(stored.facts.get("threshold", 0.5))


def score_input(
    call: Call,
    context: Context,
    stored: StoredVersion,
    read: Input,
    *,
    threshold: float = 0.5,
) -> tuple[Scored, dict[str, str]]:
    """Score the rows of an input.

    Returns
    -------
    tuple of Scored and dict
        The rows, and the input's columns with their types.

    Raises
    ------
    DataError
        If the input lacks a column that the version reads, or has it as another type.
    """
    parameters, engine = stored.parameters, context.warehouse.engine
    columns = context.columns(read)
    check_columns(parameters.inputs, columns, place=call.place)
    try:
        source = with_carried(parameters, columns)
        keep = [_carried(index) for index in range(len(columns))]
        if context.is_view or scoring_path(parameters) == "sql":
            rows = compile_scoring(parameters, source, keep=keep, threshold=threshold, probabilities=True)
            return Scored(rows, read.sql, engine), columns
        text = statement(
            "warehouse_ml.requests", "score.sql", engine, source=read.alone, scoring=source.sql(dialect=engine)
        )
        batches = score_arrow(
            context.warehouse, parameters, text, keep=keep, threshold=threshold, probabilities=True
        ).read_all()
    except WmlError as error:
        error.place = error.place or call.place
        raise
    kept = sqlglot.parse_one(context.keep(call, batches), read=engine)
    return Scored(exp.Subquery(this=kept), None, engine), columns


def _carried(index: int) -> str:
    return f"wml_k{index}"
