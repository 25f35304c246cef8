"""What a fitted model is: data, from which SQL and arrays are made."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scalar_sql import DIALECT, Elsewhere
from warehouse_ml.scoring.features import FittedFeature, InputColumn

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from warehouse_ml.scoring.kept import Kept
    from warehouse_ml.scoring.walk import Walk

__all__ = [
    "Clusters",
    "Components",
    "Distance",
    "Estimator",
    "Linear",
    "PValue",
    "Parameters",
    "Task",
    "TransformOutput",
    "Trees",
]

Task = Literal["binary", "multiclass", "regression", "clustering", "projection"]
Distance = Literal["euclidean", "cosine"]
Link = Literal["identity", "log"]

TASKS: tuple[str, ...] = get_args(Task)
DISTANCES: tuple[str, ...] = get_args(Distance)
LINKS: tuple[str, ...] = get_args(Link)


@dataclass(frozen=True)
class Linear:
    """An intercept and weights for each output.

    Parameters
    ----------
    intercepts : tuple of float
        One for each output.
    weights : tuple of tuple of tuple of float
        By output, feature and slot: one slot for a number, one for each code of a category, in order from code 1.
    expected : tuple of tuple of float
        By output and feature: the mean of what the feature adds, over the training rows with their weights.
    """

    intercepts: tuple[float, ...]
    weights: tuple[tuple[tuple[float, ...], ...], ...]
    expected: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False)
class Trees:
    """Binary trees as parallel arrays, one entry a node; each tree's root comes first, children after parents.

    Parameters
    ----------
    baselines : tuple of float
        One for each output; the sum starts here.
    tree, node : int32 array of shape (n_nodes,)
        The tree, ascending, and the node's number in it, from 0.
    feature : int32 array of shape (n_nodes,)
        What is compared; -1 at a leaf.
    threshold : float64 array of shape (n_nodes,)
        A row goes left if its float64 value is at most this; 0 at a leaf. Always finite.
    is_missing_left : bool array of shape (n_nodes,)
        Where a missing value goes.
    left, right : int32 array of shape (n_nodes,)
        The children's numbers in the tree; -1 at a leaf.
    value : float64 array of shape (n_nodes, n_values)
        What a leaf adds; 0 elsewhere. One value, or one for each output.
    output : int32 array of shape (n_trees,)
        The output that the tree adds to, or -1 for all of them (n_values is the number of outputs then).
    cover : float64 array of shape (n_nodes,)
        How many training rows reach the node, above 0: rows as they are for boosting; for a forest those drawn for
        the tree, by their weights.
    gain : float64 array of shape (n_nodes,)
        By how much the split lowers the loss of the rows that reach it, 0 at a leaf: as scikit-learn's boosting
        computes it from gradients; for a forest, the impurity times the cover, less that of the children.
    """

    baselines: tuple[float, ...]
    tree: np.ndarray
    node: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    is_missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    output: np.ndarray
    cover: np.ndarray
    gain: np.ndarray

    @property
    def n_trees(self) -> int:
        """How many trees there are."""
        return len(self.output)

    @cached_property
    def n_leaves(self) -> int:
        """Leaves of all trees together, counted once for each value they hold."""
        return int((self.feature < 0).sum()) * int(self.value.shape[1])

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each tree starts, and the number of nodes at the end: shape (n_trees + 1,)."""
        import numpy as np

        offsets: np.ndarray = np.searchsorted(self.tree, np.arange(self.n_trees + 1))
        return offsets

    @cached_property
    def walk(self) -> Walk:
        """The trees, made ready for rows as arrays."""
        from warehouse_ml.scoring.walk import Walk

        return Walk(self)


@dataclass(frozen=True)
class Clusters:
    """Centroids in the space of the encoded features.

    Parameters
    ----------
    distance : str
        ``euclidean``, or ``cosine``: the square root of 1 - cosine of the angle between a row and a centroid, as in
        BigQuery ML; 1 for a row of zeros.
    centroids : tuple of tuple of tuple of float
        By cluster, feature and slot, as the weights of ``Linear``. Those of cosine distances have the length 1.
    n_rows : tuple of int
        Training rows nearest to each.
    """

    distance: Distance
    centroids: tuple[tuple[tuple[float, ...], ...], ...]
    n_rows: tuple[int, ...]


@dataclass(frozen=True)
class Components:
    """What each principal component explains; its direction is an output of ``Linear``.

    Parameters
    ----------
    eigenvalues : tuple of float
        The variance along each component, n - 1 in the denominator; not ascending.
    explained_variance_ratios : tuple of float
        The share of each in the variance of all columns.
    """

    eigenvalues: tuple[float, ...]
    explained_variance_ratios: tuple[float, ...]

    @property
    def cumulative_ratios(self) -> tuple[float, ...]:
        """The share that each component and those before it explain together."""
        return tuple(itertools.accumulate(self.explained_variance_ratios))


@dataclass(frozen=True)
class Estimator:
    """How the outputs of a SKLEARN become predictions; other model types say it by their name.

    Parameters
    ----------
    name : str
        The class, such as ``sklearn.linear_model.Ridge``.
    is_averaged : bool
        Whether its trees are averaged; they are added otherwise.
    link : str
        ``log``: the prediction is the exponential of the output; ``identity``: what the task says.
    """

    name: str
    is_averaged: bool
    link: Link


@dataclass(frozen=True)
class PValue:
    """How sure a weight is; None for one that is not estimated (a reference category, a constant column).

    Parameters
    ----------
    standard_error, p_value : float or None
        Of the weight as it is stored, for standardised numbers; the p-value is two-sided, for a weight of 0.
    original_standard_error, original_p_value : float or None
        Of the weight for numbers in their own unit. Only the intercept has another p-value there.
    """

    standard_error: float | None
    p_value: float | None
    original_standard_error: float | None
    original_p_value: float | None


@dataclass(frozen=True)
class TransformOutput:
    """An output of TRANSFORM.

    Parameters
    ----------
    name : str
    written : str
        The expression as the definition has it.
    frozen : str
        The expression of one row that it became, with the statistics of the training rows in it.
    is_feature : bool
        False for the label, the weight and the column of the split.
    dialect : str
        In whose SQL the expressions are.
    elsewhere : Elsewhere, optional
        What it became, as the other engine has it.
    """

    name: str
    written: str
    frozen: str
    is_feature: bool = True
    dialect: str = DIALECT
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True)
class Parameters:
    """A fitted model.

    Parameters
    ----------
    model_type : str
        As in ``create model``, upper case.
    task : str
        ``binary``, ``multiclass``, ``regression``, ``clustering`` (KMEANS) or ``projection`` (PCA).
    label : str
        The label's column; empty if there is none (clustering, projection).
    label_type : str
        Its type in the warehouse at training; empty if there is no label.
    classes : tuple of str
        The labels as text, ascending in the order of their own type; the positive class of a binary model is the
        last one. The ids of a clustering, from 1, as text. Empty for a regression and a projection.
    features : tuple of FittedFeature
        In the order of the matrix.
    linear : Linear, optional
        For a linear or logistic regression, and the directions of a projection.
    trees : Trees, optional
        For boosting and forests.
    clusters : Clusters, optional
        For a clustering.
    components : Components, optional
        For a projection.
    estimator : Estimator, optional
        For a SKLEARN.
    kept : Kept, optional
        For a SKLEARN that neither coefficients nor trees can tell: the estimator itself.
    p_values : tuple of PValue
        By weight of ``linear``, in the order of its rows in storage (intercept, then features and their slots);
        empty unless they were asked for.
    transform : tuple of TransformOutput
        The outputs of TRANSFORM in the order written, a star's columns in its place; empty without one.
    input_columns : tuple of InputColumn
        With TRANSFORM: the columns that its expressions read.
    """

    model_type: str
    task: Task
    label: str
    label_type: str
    classes: tuple[str, ...]
    features: tuple[FittedFeature, ...]
    linear: Linear | None = None
    trees: Trees | None = None
    clusters: Clusters | None = None
    components: Components | None = None
    estimator: Estimator | None = None
    kept: Kept | None = None
    p_values: tuple[PValue, ...] = ()
    transform: tuple[TransformOutput, ...] = ()
    input_columns: tuple[InputColumn, ...] = ()

    @property
    def dialect(self) -> str:
        """In whose SQL the expressions of TRANSFORM are; without any there is nothing that is one engine's own."""
        return self.transform[0].dialect if self.transform else DIALECT

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        """The columns of the relation that predictions read; without TRANSFORM these are the features."""
        if self.transform:
            return self.input_columns
        return tuple(InputColumn(feature.name, feature.kind) for feature in self.features)

    @property
    def n_outputs(self) -> int:
        """How many sums a prediction needs.

        One for each class of a multiclass model, each cluster, each component; else one.
        """
        if self.components is not None:
            return len(self.components.eigenvalues)
        return len(self.classes) if self.task in ("multiclass", "clustering") else 1

    @property
    def is_forest(self) -> bool:
        """Whether trees are averaged; they are added otherwise."""
        return self.model_type.startswith("RANDOM_FOREST") or (
            self.estimator is not None and self.estimator.is_averaged
        )

    @property
    def has_log_link(self) -> bool:
        """Whether the prediction is the exponential of the output."""
        return self.estimator is not None and self.estimator.link == "log"

    def to_tables(self) -> dict[str, pa.Table]:
        """Return the parameters as tables, which Parquet keeps exactly."""
        from warehouse_ml.scoring import storage

        return storage.to_tables(self)

    @classmethod
    def from_tables(cls, tables: dict[str, Any], kept: bytes | None = None) -> Parameters:
        """Return the parameters that were stored; nothing is executed.

        Parameters
        ----------
        tables : dict of str to pyarrow.Table
        kept : bytes, optional
            The file of an estimator that is kept as it is.

        Raises
        ------
        ArtifactError
            If a table or column is missing, or the values do not describe a model.
        """
        from warehouse_ml.scoring import storage

        return storage.from_tables(tables, kept)

    def only_linear(self) -> Linear:
        """Return the linear part.

        Raises
        ------
        ArtifactError
            If there is none.
        DefinitionError
            If the estimator itself is kept, which has no such part.
        """
        if self.kept is not None:
            from warehouse_ml.scoring.kept import refuse_sql

            raise refuse_sql(self.kept.name)
        if self.linear is None:
            raise ArtifactError(f"the parameters of a {self.model_type.lower()} have no coefficients")
        return self.linear

    def only_clusters(self) -> Clusters:
        """Return the clusters.

        Raises
        ------
        ArtifactError
            If there are none.
        """
        if self.clusters is None:
            raise ArtifactError(f"the parameters of a {self.model_type.lower()} have no centroids")
        return self.clusters
