"""How much each feature counts in a fitted model, from its parameters alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from warehouse_ml.scoring.features import FittedFeature
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["importances"]


def importances(parameters: Parameters) -> dict[str, float]:
    """Return the share of each input column in the importance of them all.

    Trees: the gain of all splits on the feature. Linear models: by how much the output changes when the feature does
    by one standard deviation, averaged over the outputs; that is the absolute weight of a standardised number, and of
    a category the standard deviation of its weights, its values counted alike.

    Parameters
    ----------
    parameters : Parameters

    Returns
    -------
    dict of str to float
        Shares in [0, 1] that sum to 1, by column. Empty where they are unknown: for clusters and components, linear
        models over numbers that are not standardised, models behind a TRANSFORM (its outputs are not its inputs), and
        those in which nothing counts.
    """
    if parameters.transform or parameters.task in ("clustering", "projection"):
        return {}
    if parameters.trees is not None:
        import numpy as np

        trees = parameters.trees
        is_split = trees.feature >= 0
        gains = np.bincount(trees.feature[is_split], trees.gain[is_split], len(parameters.features))
        found: list[float] = [float(gain) for gain in gains]
    elif parameters.linear is not None:
        if any(feature.encoding not in ("standard", "one_hot") for feature in parameters.features):
            return {}
        found = [
            math.fsum(_spread(feature, weights[index]) for weights in parameters.linear.weights)
            for index, feature in enumerate(parameters.features)
        ]
    else:
        return {}
    total = math.fsum(found)
    if not (math.isfinite(total) and total > 0):
        return {}
    return {feature.name: value / total for feature, value in zip(parameters.features, found, strict=True)}


def _spread(feature: FittedFeature, weights: Sequence[float]) -> float:
    if feature.encoding == "standard":
        # A column that never varied adds nothing, whatever its weight.
        return abs(weights[0]) if feature.stddev else 0.0
    if not weights:
        return 0.0
    mean = math.fsum(weights) / len(weights)
    return math.sqrt(math.fsum((weight - mean) ** 2 for weight in weights) / len(weights))
