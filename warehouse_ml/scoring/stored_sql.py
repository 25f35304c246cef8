"""scoring.sql: the prediction as one query that is kept with a version, and the look at it before it runs.

What is kept was written by a release of this toolkit, or by somebody who wants it to seem so. It runs only if it is
what this release writes for the same parameters, or, when an earlier release wrote it, if it is one query over
``wml_input`` made of expressions of one row.
"""

from __future__ import annotations

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scalar_sql import refusal
from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.compile import compile_scoring, scoring_path
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["REQUEST_COLUMNS", "check_stored_sql", "compiled_sql", "stored_sql"]

REQUEST_COLUMNS = ("request_id", "requested_at")
"""What every request has; the log keeps them apart from the inputs."""

_SHAPES = (exp.Select, exp.From, exp.Subquery, exp.TableAlias, exp.Alias, exp.Column)


def stored_sql(parameters: Parameters, forced: str, engine: str | None = None) -> str:
    """Return the text of scoring.sql: a query over ``wml_input``, or a comment where a version has no such query.

    It is DuckDB's SQL, wherever the version was trained; with a TRANSFORM in BigQuery's it is BigQuery's.

    Parameters
    ----------
    parameters : Parameters
    forced : str
        The option SCORING_PATH.
    engine : str, optional
        In whose SQL it is instead.
    """
    asked = "duckdb" if engine is None else engine
    if scoring_path(parameters, forced=forced, is_stored=True, engine=asked) != "sql":
        return f"-- {_size(parameters)}: this version is scored from its parameters, not by one statement.\n"
    return compiled_sql(parameters, engine or parameters.dialect)


def check_stored_sql(text: str, parameters: Parameters, place: str) -> None:
    """Refuse a scoring.sql that is not the one query over ``wml_input`` that it should be.

    Raises
    ------
    ArtifactError
        Saying what it holds instead.
    """
    if parameters.kept is None and text == compiled_sql(parameters, parameters.dialect):
        return
    try:
        trees = parse(text, dialect=parameters.dialect)
    except (SqlglotError, RecursionError) as error:
        raise _refused(place, "cannot be read as SQL") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise _refused(place, "is not one query")
    for node in trees[0].walk():
        if isinstance(node, exp.Table):
            is_input = isinstance(node.this, exp.Identifier) and node.name == nodes.INPUT
            if not is_input or node.args.get("db") or node.args.get("catalog"):
                raise _refused(place, f"reads {node.sql(dialect=parameters.dialect)[:80]}, not {nodes.INPUT} alone")
        elif not isinstance(node, _SHAPES):
            reason = refusal(node, parameters.dialect)
            if reason is not None:
                raise _refused(place, f"holds {reason[:120]}")


def compiled_sql(parameters: Parameters, engine: str) -> str:
    """Return the prediction as one query over ``wml_input``, in an engine's SQL."""
    inputs = [column.name for column in parameters.inputs if column.name.lower() not in REQUEST_COLUMNS]
    query = compile_scoring(parameters, exp.to_table(nodes.INPUT), keep=[*REQUEST_COLUMNS, *inputs])
    return query.sql(dialect=engine, copy=False) + "\n"


def _size(parameters: Parameters) -> str:
    if parameters.kept is not None:
        return parameters.kept.name
    return f"{parameters.trees.n_leaves:,} leaves" if parameters.trees else f"{len(parameters.features):,} features"


def _refused(place: str, what: str) -> ArtifactError:
    return ArtifactError(f"the scoring SQL {what}; it does not run", place=place, hint="train the model again")
