"""TRANSFORM applied by itself: what the model was given, for any relation with its inputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlglot import exp

from warehouse_ml.errors import DataError
from warehouse_ml.scalar_sql import columns_in, parse_scalar, qualified
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.parameters import Parameters, TransformOutput
from warehouse_ml.scoring.spelled import Written

__all__ = ["transform_select"]


def transform_select(
    parameters: Parameters, source: exp.Expr, keep: Sequence[str] = (), *, columns: Collection[str] | None = None
) -> exp.Select:
    """Return the query of TRANSFORM's outputs, with the statistics of the training rows.

    Parameters
    ----------
    parameters : Parameters
        A model with TRANSFORM.
    source : exp.Expr
        A table or a query with the model's inputs; it is copied.
    keep : sequence of str
        Columns of the source that pass through, in front; an output of the same name comes in their place.
    columns : collection of str, optional
        The source's columns, if they are known: the label, the weight and the split's column are left out where what
        they read is not there. Without it they are always left out.

    Returns
    -------
    exp.Select
        One row for each row of the source: the kept columns, then the outputs in the order written, in the types of
        BigQuery ML.

    Raises
    ------
    DataError
        If the model has no TRANSFORM.
    """
    if not parameters.transform:
        raise DataError(
            "the model has no TRANSFORM", hint="add transform (...) to its definition, or read its inputs themselves"
        )
    there = {name.casefold() for name in columns or ()}
    outputs = [output for output in parameters.transform if output.is_feature or _is_there(output, there)]
    made = {output.name.casefold() for output in outputs}
    projections = nodes.kept([name for name in keep if name.casefold() not in made], nodes.INPUT)
    for output in outputs:
        tree = qualified(parse_scalar(output.frozen, output.dialect), nodes.INPUT)
        written = Written(this=tree, dialect=output.dialect, elsewhere=output.elsewhere, table=nodes.INPUT)
        projections.append(nodes.projection(written, output.name))
    return nodes.select_from(projections, source.copy())


def _is_there(output: TransformOutput, there: set[str]) -> bool:
    return {name.casefold() for name in columns_in(parse_scalar(output.frozen, output.dialect))} <= there
