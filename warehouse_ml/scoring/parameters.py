"""What a fitted model is: data, from which SQL and arrays are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from warehouse_ml.errors import ArtifactError
from warehouse_ml.scoring.features import FittedFeature

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from warehouse_ml.scoring.walk import Walk

__all__ = ["Linear", "Parameters", "Task", "Trees"]

Task = Literal["binary", "multiclass", "regression"]

TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True)
class Linear:
    """An intercept and weights for each output.

    Parameters
    ----------
    intercepts : tuple of float
        One for each output.
    weights : tuple of tuple of tuple of float
        By output, feature and slot: one slot for a number, one for each code of a category, in order from code 1.
    """

    intercepts: tuple[float, ...]
    weights: tuple[tuple[tuple[float, ...], ...], ...]


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
class Parameters:
    """A fitted model.

    Parameters
    ----------
    model_type : str
        As in ``create model``, upper case.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    label : str
        The label's column.
    label_type : str
        Its type in the warehouse at training.
    classes : tuple of str
        The labels as text, ascending in the order of their own type; the positive class of a binary model is the
        last one. Empty for a regression.
    features : tuple of FittedFeature
        In the order of the matrix.
    linear : Linear, optional
        For a linear or logistic regression.
    trees : Trees, optional
        For boosting and forests.
    """

    model_type: str
    task: Task
    label: str
    label_type: str
    classes: tuple[str, ...]
    features: tuple[FittedFeature, ...]
    linear: Linear | None = None
    trees: Trees | None = None

    @property
    def n_outputs(self) -> int:
        """How many sums a prediction needs: one for each class of a multiclass model, else one."""
        return len(self.classes) if self.task == "multiclass" else 1

    @property
    def is_forest(self) -> bool:
        """Whether trees are averaged; they are added otherwise."""
        return self.model_type.startswith("RANDOM_FOREST")

    def to_tables(self) -> dict[str, pa.Table]:
        """Return the parameters as tables, which Parquet keeps exactly."""
        from warehouse_ml.scoring import storage

        return storage.to_tables(self)

    @classmethod
    def from_tables(cls, tables: dict[str, Any]) -> Parameters:
        """Return the parameters that were stored; nothing is executed.

        Raises
        ------
        ArtifactError
            If a table or column is missing, or the values do not describe a model.
        """
        from warehouse_ml.scoring import storage

        return storage.from_tables(tables)

    def only_linear(self) -> Linear:
        """Return the linear part.

        Raises
        ------
        ArtifactError
            If there is none.
        """
        if self.linear is None:
            raise ArtifactError(f"the parameters of a {self.model_type.lower()} have no coefficients")
        return self.linear
