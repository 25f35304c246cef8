"""A linear predictor as SQL: the intercept, and one term for each feature."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlglot import exp

from warehouse_ml.scoring import nodes
from warehouse_ml.scoring.features import FittedFeature, cleaned, encoded, encoded_name
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.scoring.spelled import Scaled, Unscaled

__all__ = ["by_category", "raw_select", "sums_select"]


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
    linear = parameters.only_linear()

    def term(output: int, index: int) -> exp.Expr:
        feature, slots = parameters.features[index], linear.weights[output][index]
        value = nodes.column(encoded_name(index))
        if feature.encoding == "one_hot":
            return Scaled(this=by_category(feature, value, slots, 0.0))
        return exp.Mul(this=nodes.number(slots[0]), expression=Scaled(this=value))

    starts = dict(zip(names, linear.intercepts, strict=True))
    return sums_select(parameters, source, keep, starts, term, scaled=names)


def sums_select(
    parameters: Parameters,
    source: exp.Expr,
    keep: Sequence[str],
    starts: Mapping[str, float],
    term: Callable[[int, int], exp.Expr],
    features_in_layer: int = 25,
    *,
    scaled: Collection[str] = (),
) -> exp.Select:
    """Return the query of sums over the features.

    Planning a sum is quadratic in its length, so a long one is made in nested queries.

    Parameters
    ----------
    parameters : Parameters
        Of the model.
    source : exp.Expr
        The relation to be scored.
    keep : sequence of str
        Columns that pass through.
    starts : mapping of str to float
        What each sum is called, and where it starts.
    term : callable
        Takes the positions of a sum and of a feature, and returns what is added.
    features_in_layer : int
        How many features a query adds.
    scaled : collection of str
        The sums whose terms are ``Scaled``, so that they may be infinite in the end and never fail on the way.

    Returns
    -------
    exp.Select
        The kept columns and one double for each sum, added from the first feature to the last.
    """
    query, n_features = _inputs_select(parameters, source, keep), len(parameters.features)
    for start in range(0, n_features, features_in_layer):
        layer = range(start, min(start + features_in_layer, n_features))
        projections = nodes.kept(keep)
        for output, (name, value) in enumerate(starts.items()):
            before = nodes.number(value) if start == 0 else nodes.column(name)
            if start == 0 and name in scaled:
                before = Scaled(this=before)
            added = nodes.total([before, *(term(output, index) for index in layer)])
            if layer.stop == n_features and name in scaled:
                added = Unscaled(this=added)
            projections.append(nodes.projection(added, name))
        projections += nodes.kept(encoded_name(index) for index in range(layer.stop, n_features))
        query = nodes.select_from(projections, query, "wml_encoded" if start == 0 else "wml_layer")
    return query


def _inputs_select(parameters: Parameters, source: exp.Expr, keep: Sequence[str]) -> exp.Select:
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
