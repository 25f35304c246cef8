"""A linear predictor as SQL: the intercept, and one term for each feature."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import cleaned, encoded, encoded_name, with_null
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["raw_select"]


def raw_select(parameters: Parameters, source: exp.Expr, keep: Sequence[str], names: Sequence[str]) -> exp.Select:
    """Return the query of the linear predictors.

    Parameters
    ----------
    parameters : Parameters
        Of a linear model.
    source : exp.Expr
        The relation to be scored.
    keep : sequence of str
        Columns that pass through.
    names : sequence of str
        What each output is called.

    Returns
    -------
    exp.Select
        The kept columns and one double for each output. Terms are added from left to right, as the arrays are.
    """
    # A number is standardised once; a category stays a text, because its weight is looked up by the text itself.
    inputs = nodes.kept(keep, nodes.INPUT)
    for index, feature in enumerate(parameters.features):
        value = cleaned(feature)
        if feature.encoding != "one_hot":
            value = encoded(feature, value)
        inputs.append(nodes.projection(value, encoded_name(index)))
    outputs = nodes.kept(keep)
    linear = parameters.only_linear()
    for name, intercept, weights in zip(names, linear.intercepts, linear.weights, strict=True):
        terms = [nodes.number(intercept)]
        for index, (feature, slots) in enumerate(zip(parameters.features, weights, strict=True)):
            value = nodes.column(encoded_name(index))
            if feature.encoding == "one_hot":
                looked_up = nodes.lookup(value, feature.categories, slots[: len(feature.categories)], 0.0)
                terms.append(with_null(value, looked_up, slots[-1] if feature.has_null else 0.0))
            else:
                terms.append(exp.Mul(this=nodes.number(slots[0]), expression=value))
        outputs.append(nodes.projection(nodes.total(terms), name))
    return nodes.select_from(outputs, nodes.select_from(inputs, source.copy()), "wml_encoded")
