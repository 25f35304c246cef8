"""From parameters to the one query that makes predictions in the warehouse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.scoring import clusters, linear, nodes, trees
from warehouse_ml.scoring.kept import refuse_sql
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.scoring.spelled import Same, Scaled, Spelled, Unscaled

__all__ = ["PREDICTION", "PROBABILITIES", "SCORE", "check_keep", "check_threshold", "compile_scoring", "scoring_path"]

SCORE = "score"
PREDICTION = "prediction"
PROBABILITIES = "probabilities"

# Planning costs about 0.12 milliseconds a leaf, so that a statement of this many is planned within a second.
_MOST_LEAVES = 8_000
# From here on arrays are faster, however many rows.
_FEW_LEAVES = 500
_FEW_ROWS = 50_000
# A term of a distance or component costs half a millisecond to plan.
_MOST_TERMS, _FEW_TERMS = 5_000, 500
_MOST_FEATURES = 1_000
# BigQuery refuses a statement of more than a megabyte; beside the model there are the columns that are kept.
_MOST_BYTES = 900_000
_BYTES_A_LEAF, _BYTES_A_TERM, _BYTES_A_CATEGORY = 80, 120, 34
_CLAMP = 709.0
_TAKEN = re.compile(r"score|prediction|probabilities|wml_(x\d+(_low|_high)?|z\d+|best|total|square)")


def compile_scoring(
    parameters: Parameters,
    source: exp.Expr,
    keep: Sequence[str] = (),
    *,
    threshold: float = 0.5,
    probabilities: bool = False,
) -> exp.Select:
    """Return the query that scores a relation.

    Parameters
    ----------
    parameters : Parameters
        The fitted model.
    source : exp.Expr
        A table or a query with the features' columns; it is copied.
    keep : sequence of str
        Columns of the source that pass through, in front.
    threshold : float
        In [0, 1]; a binary model predicts the positive class at this score and above.
    probabilities : bool
        Add the probability of every class, in the order of ``parameters.classes``; for a clustering, the distance to
        every centroid in order of the ids. A projection has its list in any case.

    Returns
    -------
    exp.Select
        One row for each row of the source: the kept columns; ``score`` double, never NULL; ``prediction`` text; with
        ``probabilities``, a list of doubles. The same parameters always give the same text.

        ==============  ================================  ======================  ==============================
        task            score                             prediction              probabilities
        ==============  ================================  ======================  ==============================
        binary          probability of the positive       the class               of both classes
        multiclass      probability of the predicted      the class               of all classes
        regression      the value                         NULL                    (no such column)
        clustering      distance to the nearest centroid  its id, ``1`` to ``k``  distances to all, by id
        projection      the first component               NULL                    all components, always there
        ==============  ================================  ======================  ==============================

        Of centroids that are equally near, the lowest id is predicted.

    Raises
    ------
    DataError
        If a kept column is called as an output is.
    DefinitionError
        If the threshold is not in [0, 1].
    """
    check_keep(keep)
    check_threshold(threshold)
    names = [f"wml_z{output}" for output in range(parameters.n_outputs)]
    if parameters.task == "clustering":
        return _clustering(parameters, clusters.raw_select(parameters, source, keep, names), keep, names, probabilities)
    if parameters.kept is not None:
        raise refuse_sql(parameters.kept.name)
    family = linear if parameters.trees is None else trees
    raw = family.raw_select(parameters, source, keep, names)
    if parameters.task == "projection":
        return _projection(raw, keep, names)
    if parameters.task == "multiclass":
        return _multiclass(parameters, raw, keep, names, probabilities)
    score: exp.Expr = nodes.column(names[0])
    if parameters.has_log_link:
        score = exp.Exp(this=exp.Anonymous(this="LEAST", expressions=[score, nodes.number(_CLAMP)]))
    elif parameters.task == "binary" and not parameters.is_forest:
        score = _sigmoid(score)
    scored = nodes.select_from([*nodes.kept(keep), nodes.projection(score, SCORE)], raw, "wml_raw")
    outputs = [*nodes.kept(keep), nodes.column(SCORE)]
    if parameters.task == "regression":
        outputs.append(nodes.projection(exp.cast(exp.Null(), exp.DataType.Type.TEXT), PREDICTION))
        return nodes.select_from(outputs, scored, "wml_scored")
    negative, positive = (nodes.text(name) for name in parameters.classes)
    is_positive: exp.Expr = exp.GTE(this=nodes.column(SCORE), expression=nodes.number(float(threshold)))
    if parameters.linear is not None:
        is_nan = exp.Or(this=is_positive.copy(), expression=exp.IsNan(this=nodes.column(SCORE)))
        is_positive = Spelled(this=is_positive, bigquery=is_nan)
    outputs.append(nodes.projection(nodes.case([(is_positive, positive)], negative), PREDICTION))
    if probabilities:
        rest = exp.Sub(this=nodes.number(1.0), expression=nodes.column(SCORE))
        outputs.append(nodes.projection(exp.Array(expressions=[rest, nodes.column(SCORE)]), PROBABILITIES))
    return nodes.select_from(outputs, scored, "wml_scored")


def scoring_path(
    parameters: Parameters,
    n_rows: int | None = None,
    *,
    forced: str = "AUTO",
    is_stored: bool = False,
    engine: str = "duckdb",
) -> Literal["sql", "arrow"]:
    """Return the faster way to score.

    Parameters
    ----------
    parameters : Parameters
        The fitted model.
    n_rows : int, optional
        How many rows are to be scored, if that is known.
    forced : str
        The option SCORING_PATH: ``SQL`` or ``ARROW`` whatever is faster, or ``AUTO``.
    is_stored : bool
        Whether a statement is wanted that can be kept, in a view or a file, as long as it can be planned at all.
    engine : str
        Where it would run. The rows of another machine are scored there whenever a statement can be written: arrays
        would fetch them all and send the scores back.

    Returns
    -------
    str
        ``arrow`` where the SQL would be planned for long, or would take longer than the arrays do: for trees of
        hundreds of leaves in all, for very many terms of clusters, components or a linear model, and for an estimator
        that is kept as it is; else ``sql``.
        Both decide alike, which training has proven.
    """
    if parameters.kept is not None:
        return "arrow"
    if forced != "AUTO":
        return "sql" if forced == "SQL" else "arrow"
    if engine == "bigquery":
        is_large = parameters.trees is not None and parameters.trees.n_leaves > _MOST_LEAVES
        return "arrow" if is_large or _n_bytes(parameters) > _MOST_BYTES else "sql"
    if parameters.trees is not None:
        return "arrow" if parameters.trees.n_leaves > (_MOST_LEAVES if is_stored else _FEW_LEAVES) else "sql"
    if parameters.task not in ("clustering", "projection"):
        return "arrow" if len(parameters.features) > _MOST_FEATURES else "sql"
    n_terms = parameters.n_outputs * sum(feature.n_slots for feature in parameters.features)
    is_small = n_rows is not None and n_rows < _FEW_ROWS and n_terms > _FEW_TERMS
    return "arrow" if n_terms > _MOST_TERMS or is_small else "sql"


def _n_bytes(parameters: Parameters) -> int:
    """Return roughly how long the statement is, rather more than less."""
    n_leaves = parameters.trees.n_leaves if parameters.trees is not None else 0
    # A tree compares the code of a category; a sum looks up what it adds, for each output.
    n_times = 1 if parameters.trees is not None else parameters.n_outputs
    total = n_leaves * _BYTES_A_LEAF
    for feature in parameters.features:
        categories = sum(len(name.encode()) + _BYTES_A_CATEGORY for name in feature.categories)
        total += (categories + _BYTES_A_TERM + len(feature.expression or feature.name)) * n_times
    return total


def check_keep(keep: Sequence[str]) -> None:
    """Refuse a column that would stand beside an output of the same name.

    Raises
    ------
    DataError
        Naming the column.
    """
    for name in keep:
        if _TAKEN.fullmatch(name.casefold()):
            raise DataError(
                f'column "{name}" has a name that the prediction itself uses',
                hint="rename it, or leave it out: score, prediction and probabilities are taken",
            )


def check_threshold(threshold: float) -> None:
    """Refuse a threshold outside of [0, 1], and NaN.

    Raises
    ------
    DefinitionError
        Naming the threshold.
    """
    if not 0 <= threshold <= 1:
        raise DefinitionError(f"threshold = {threshold} is out of range", hint="a threshold is between 0 and 1")


def _sigmoid(raw: exp.Expr) -> exp.Expr:
    """Return 1 / (1 + exp(-z)); z is held above -709, where exp would overflow and some engines fail."""
    held = exp.Anonymous(this="GREATEST", expressions=[raw, nodes.number(-_CLAMP)])
    denominator = exp.Add(this=nodes.number(1.0), expression=exp.Exp(this=exp.Neg(this=held)))
    return exp.Div(this=nodes.number(1.0), expression=exp.Paren(this=denominator))


def _clustering(
    parameters: Parameters, raw: exp.Select, keep: Sequence[str], names: list[str], probabilities: bool
) -> exp.Select:
    """Return the nearest centroid; of equal ones the first, as argmin does."""
    smallest = _smallest(names) if len(names) > 1 else nodes.column(names[0])
    query = nodes.select_from([*nodes.kept([*keep, *names]), nodes.projection(smallest, SCORE)], raw, "wml_raw")
    is_nearest = [Same(this=nodes.column(name), expression=nodes.column(SCORE)) for name in names]
    ids: list[exp.Expr] = [nodes.text(name) for name in parameters.classes]
    branches = list(zip(is_nearest[:-1], ids[:-1], strict=True))
    prediction = nodes.case(branches, ids[-1]) if branches else ids[-1]
    outputs = [*nodes.kept(keep), nodes.column(SCORE), nodes.projection(prediction, PREDICTION)]
    if probabilities:
        outputs.append(nodes.projection(exp.Array(expressions=nodes.kept(names)), PROBABILITIES))
    return nodes.select_from(outputs, query, "wml_scored")


def _smallest(names: Sequence[str]) -> exp.Expr:
    """Return the smallest of several distances; NaN is larger than every number."""
    smallest = exp.Anonymous(this="LEAST", expressions=nodes.kept(names))
    are_nan = [exp.IsNan(this=nodes.column(name)) for name in names]
    held = [
        nodes.case([(is_nan, nodes.infinity())], nodes.column(name))
        for is_nan, name in zip(are_nan, names, strict=True)
    ]
    least = exp.Anonymous(this="LEAST", expressions=held)
    return Spelled(
        this=smallest,
        bigquery=nodes.case([(exp.and_(*[node.copy() for node in are_nan]), nodes.column(names[0]))], least),
    )


def _difference(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    return exp.Sub(this=Scaled(this=one), expression=Scaled(this=other))


def _projection(raw: exp.Select, keep: Sequence[str], names: list[str]) -> exp.Select:
    outputs = [
        *nodes.kept(keep),
        nodes.projection(nodes.column(names[0]), SCORE),
        nodes.projection(exp.cast(exp.Null(), exp.DataType.Type.TEXT), PREDICTION),
        nodes.projection(exp.Array(expressions=nodes.kept(names)), PROBABILITIES),
    ]
    return nodes.select_from(outputs, raw, "wml_scored")


def _multiclass(
    parameters: Parameters, raw: exp.Select, keep: Sequence[str], names: list[str], probabilities: bool
) -> exp.Select:
    """Return the most probable class; of equal ones the first, as argmax does."""
    largest = exp.Anonymous(this="GREATEST", expressions=nodes.kept(names))
    best = "wml_best"
    query = nodes.select_from([*nodes.kept([*keep, *names]), nodes.projection(largest, best)], raw, "wml_raw")
    is_best = [Same(this=nodes.column(name), expression=nodes.column(best)) for name in names]
    classes = [nodes.text(name) for name in parameters.classes]
    branches: list[tuple[exp.Expr, exp.Expr]] = list(zip(is_best[:-1], classes[:-1], strict=True))
    prediction = nodes.projection(nodes.case(branches, classes[-1]), PREDICTION)
    if parameters.is_forest:
        outputs = [*nodes.kept(keep), nodes.projection(nodes.column(best), SCORE), prediction]
        if probabilities:
            outputs.append(nodes.projection(exp.Array(expressions=nodes.kept(names)), PROBABILITIES))
        return nodes.select_from(outputs, query, "wml_scored")
    # Softmax, shifted by the largest so that no exponential overflows; the predicted class's own term is 1.
    weights = [
        nodes.projection(
            exp.Exp(this=Unscaled(this=exp.Paren(this=_difference(nodes.column(name), nodes.column(best))))), name
        )
        for name in names
    ]
    query = nodes.select_from([*nodes.kept(keep), prediction, *weights], query, "wml_shifted")
    denominator = nodes.projection(nodes.total(nodes.kept(names)), "wml_total")
    query = nodes.select_from([*nodes.kept([*keep, PREDICTION, *names]), denominator], query, "wml_softmax")
    score = exp.Div(this=nodes.number(1.0), expression=nodes.column("wml_total"))
    outputs = [*nodes.kept(keep), nodes.projection(score, SCORE), nodes.column(PREDICTION)]
    if probabilities:
        shares = [exp.Div(this=nodes.column(name), expression=nodes.column("wml_total")) for name in names]
        outputs.append(nodes.projection(exp.Array(expressions=shares), PROBABILITIES))
    return nodes.select_from(outputs, query, "wml_scored")
