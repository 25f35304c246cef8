"""What a clustering or a projection has learned: ``ml.centroids``, ``ml.principal_components`` and its info."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from warehouse_ml.errors import DefinitionError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.settings import Setting, settings
from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring.features import FittedFeature
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["centroids", "principal_component_info", "principal_components"]


def centroids(call: Call, context: Context) -> str:
    """Return the query of the centroids, a row a cluster and feature; numbers in their own unit."""
    stored = context.stored(call)
    is_standardized = settings(call, standardize=Setting("boolean", default=False))["standardize"]
    clusters = stored.parameters.clusters
    if clusters is None:
        raise _other_kind(call, stored, "the centroids of a kmeans")
    rows = [
        {"centroid_id": number, "feature": feature.name, "numerical_value": value, "categorical_value": categories}
        for number, centroid in enumerate(clusters.centroids, start=1)
        for feature, value, categories in _values(stored.parameters, centroid, is_standardized)
    ]
    return _kept(call, context, rows, "centroid_id", "value")


def principal_components(call: Call, context: Context) -> str:
    """Return the query of the components' directions, a row a component and feature, the first component first."""
    stored = context.stored(call)
    settings(call)
    linear = stored.parameters.linear
    if stored.parameters.components is None or linear is None:
        raise _other_kind(call, stored, "the components of a pca")
    rows = [
        # BigQuery ML counts components from 0.
        {
            "principal_component_id": number,
            "feature": feature.name,
            "numerical_value": value,
            "categorical_value": categories,
        }
        for number, weights in enumerate(linear.weights)
        for feature, value, categories in _values(stored.parameters, weights, is_standardized=True)
    ]
    return _kept(call, context, rows, "principal_component_id", "value")


def principal_component_info(call: Call, context: Context) -> str:
    """Return the query of what each component explains."""
    import pyarrow as pa

    stored = context.stored(call)
    settings(call)
    components = stored.parameters.components
    if components is None:
        raise _other_kind(call, stored, "what the components of a pca explain")
    columns = {
        "principal_component_id": pa.array(range(len(components.eigenvalues)), pa.int64()),
        "eigenvalue": pa.array(components.eigenvalues, pa.float64()),
        "explained_variance_ratio": pa.array(components.explained_variance_ratios, pa.float64()),
        "cumulative_explained_variance_ratio": pa.array(components.cumulative_ratios, pa.float64()),
    }
    return context.keep(call, pa.table(columns))


def _values(
    parameters: Parameters, by_feature: Sequence[Sequence[float]], is_standardized: bool
) -> Iterator[tuple[FittedFeature, float | None, list[dict[str, Any]] | None]]:
    """Yield each feature with its number, or its number for each category."""
    for feature, slots in zip(parameters.features, by_feature, strict=True):
        if feature.encoding == "one_hot":
            names = [*feature.categories, *([None] if feature.has_null else [])]
            yield feature, None, [{"category": name, "value": slot} for name, slot in zip(names, slots, strict=True)]
        elif is_standardized or feature.encoding != "standard":
            yield feature, slots[0], None
        else:
            yield feature, slots[0] * feature.stddev + feature.mean, None


def _kept(call: Call, context: Context, rows: list[dict[str, Any]], number: str, value: str) -> str:
    import pyarrow as pa

    pair = pa.struct([("category", pa.string()), (value, pa.float64())])
    schema = pa.schema(
        [
            (number, pa.int64()),
            ("feature", pa.string()),
            ("numerical_value", pa.float64()),
            ("categorical_value", pa.list_(pair)),
        ]
    )
    return context.keep(call, pa.Table.from_pylist(rows, schema=schema))


def _other_kind(call: Call, stored: StoredVersion, what: str) -> DefinitionError:
    return DefinitionError(
        f"ml.{call.name} shows {what}, and {call.model} is a {stored.parameters.model_type.lower()}", place=call.place
    )
