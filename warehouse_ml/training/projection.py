"""PCA: principal components by scikit-learn, stored as one linear output each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import DataError
from warehouse_ml.scoring.arrays import Predictions
from warehouse_ml.scoring.parameters import Components, Parameters
from warehouse_ml.training.design import Design
from warehouse_ml.training.estimators import SEED, Fitted

if TYPE_CHECKING:
    import numpy as np

__all__ = ["fit_components"]

_DIGITS = 12


def fit_components(shape: Parameters, options: Mapping[str, Any], encoded: np.ndarray, place: str | None) -> Fitted:
    """Fit the principal components of the encoded columns.

    The sign of a component is that which makes its largest weight positive, as scikit-learn has it.

    Parameters
    ----------
    shape : Parameters
        The model without components.
    options : mapping
        As ``resolve_options`` gives them.
    encoded : float64 array of shape (n, p)
        All rows.
    place : str, optional
        The definition, for errors.

    Raises
    ------
    DataError
        If there are fewer than two rows, fewer rows or columns than components, or nothing varies.
    """
    from scipy import sparse
    from sklearn.decomposition import PCA

    design = Design(shape, len(encoded))
    rows = design.expand(encoded)
    n_rows, n_columns = rows.shape
    n_components: int | float | None = options["NUM_PRINCIPAL_COMPONENTS"]
    if n_rows < 2 or not (encoded != encoded[:1]).any():
        raise DataError(
            f"nothing varies in the {n_rows:,} training rows, so there are no principal components", place=place
        )
    if n_components is None:
        n_components = options["PCA_EXPLAINED_VARIANCE_RATIO"]
    elif n_components > min(n_rows, n_columns):
        raise DataError(
            f"{n_rows:,} rows of {n_columns:,} columns have no {n_components:,} principal components",
            place=place,
            hint=f"num_principal_components is at most {min(n_rows, n_columns):,} (a category is a column of its own)",
        )
    solver = options["PCA_SOLVER"].lower()
    if solver == "auto" and not options["SCALE_FEATURES"]:
        # Between columns of different units, a covariance loses the small components.
        solver = "full"
    if sparse.issparse(rows):
        solver = "covariance_eigh"
    estimator = PCA(n_components=n_components, svd_solver=solver, random_state=SEED)
    estimator.fit(rows)
    directions = estimator.components_
    linear = design.linear(-(estimator.mean_ @ directions.T), directions, encoded)
    components = Components(
        tuple(estimator.explained_variance_.tolist()), tuple(estimator.explained_variance_ratio_.tolist())
    )

    def expect(asked: np.ndarray) -> Predictions:
        values = estimator.transform(design.expand(asked))
        return Predictions(values[:, 0], None, values)

    explained = float(f"{components.cumulative_ratios[-1]:.{_DIGITS}g}")
    return Fitted(
        replace(shape, linear=linear, components=components),
        expect,
        metrics={"total_explained_variance_ratio": explained},
    )
