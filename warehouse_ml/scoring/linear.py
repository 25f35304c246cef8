"""A linear predictor as SQL: the intercept, and one term for each feature."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import FittedFeature, cleaned, encoded, encoded_name
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["by_category", "inputs_select", "raw_select"]


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
    outputs = nodes.kept(keep)
    linear = parameters.only_linear()
    for name, intercept, weights in zip(names, linear.intercepts, linear.weights, strict=True):
        terms = [nodes.number(intercept)]
        for index, (feature, slots) in enumerate(zip(parameters.features, weights, strict=True)):
            value = nodes.column(encoded_name(index))
            if feature.encoding == "one_hot":
                terms.append(by_category(feature, value, slots, 0.0))
            else:
                terms.append(exp.Mul(this=nodes.number(slots[0]), expression=value))
        outputs.append(nodes.projection(nodes.total(terms), name))
    return nodes.select_from(outputs, inputs_select(parameters, source, keep), "wml_encoded")


def inputs_select(parameters: Parameters, source: exp.Expr, keep: Sequence[str]) -> exp.Select:
    """Return the query of the kept columns and of what each feature's terms are made from.

    A number is standardised once; a category stays a text, because its weight is looked up by the text itself.
    """
    inputs = nodes.kept(keep, nodes.INPUT)
    for index, feature in enumerate(parameters.features):
        value = cleaned(feature)
        if feature.encoding != "one_hot":
            value = encoded(feature, value)
        inputs.append(nodes.projection(value, encoded_name(index)))
    return nodes.select_from(inputs, source.copy())


def by_category(feature: FittedFeature, value: exp.Expr, slots: Sequence[float], unknown: float) -> exp.Expr:
    """Return the number that belongs to a category's slot, or the one of an unknown category."""
    looked_up = nodes.lookup(value, feature.categories, slots[: len(feature.categories)], unknown)
    null_value = slots[-1] if feature.has_null else unknown
    if null_value == unknown:
        return looked_up
    is_null = exp.Is(this=value.copy(), expression=exp.Null())
    return nodes.case([(is_null, nodes.number(null_value))], looked_up)
