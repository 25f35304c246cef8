"""PCA: the components are scikit-learn's and those of the covariance matrix; SQL and arrays project alike."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA
from sqlglot import exp

from tests.tiny import write
from tests.training.unlabelled import rows_of, scored, trained
from tests.wml import ok, rows
from warehouse_ml.errors import ArtifactError, DataError, DefinitionError
from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import Parameters, compile_scoring
from warehouse_ml.scoring.arrays import matrix, predict
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.training.design import Design
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N = 700
TABLE = rows_of(N, 1)
KINDS = [
    {"NUM_PRINCIPAL_COMPONENTS": 1},
    {"NUM_PRINCIPAL_COMPONENTS": 4, "PCA_SOLVER": "FULL"},
    {"NUM_PRINCIPAL_COMPONENTS": 3, "SCALE_FEATURES": False},
    {"NUM_PRINCIPAL_COMPONENTS": 2, "PCA_SOLVER": "RANDOMIZED"},
    {"PCA_EXPLAINED_VARIANCE_RATIO": 0.8},
]


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(Relation("fresh"), rows_of(2_000, 2, odd=True))
    yield warehouse
    warehouse.close()


def encoded_of(warehouse, parameters, relation="rows"):
    query = encode_select(parameters.features, exp.to_table(relation), ["number"]).order_by("number")
    return matrix(warehouse.fetch(query.sql(dialect="duckdb")), len(parameters.features))


def directions_of(parameters):
    return np.array([[x for slots in output for x in slots] for output in parameters.linear.weights])


@pytest.mark.parametrize("written", KINDS, ids=str)
def test_sql_and_arrays_say_the_same_on_rows_never_seen(warehouse, written):
    result = trained(warehouse, "PCA", written, TABLE)
    parameters = result.parameters
    assert result.parity.paths == ("arrow", "sql")
    in_sql, over_arrays = scored(warehouse, parameters, "fresh")
    assert in_sql == over_arrays
    assert [row["prediction"] for row in in_sql] == [None] * 2_000
    assert all(row["score"] == row["probabilities"][0] for row in in_sql)
    found = np.array([row["probabilities"] for row in in_sql])
    # By the definition: rows less their mean, along each direction.
    design = Design(parameters, N)
    train, fresh = (design.expand(encoded_of(warehouse, parameters, name)) for name in ("rows", "fresh"))
    expected = (fresh - train.mean(axis=0)) @ directions_of(parameters).T
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * np.abs(fresh).max())
    again = Parameters.from_tables(parameters.to_tables())
    assert again == parameters
    assert again.n_outputs == len(parameters.components.eigenvalues) == found.shape[1]
    source = exp.to_table("fresh")
    assert compile_scoring(again, source).sql("duckdb") == compile_scoring(parameters, source).sql("duckdb")


def test_the_list_is_there_without_being_asked_for(warehouse):
    parameters = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 2}, TABLE).parameters
    query = compile_scoring(parameters, exp.to_table("fresh"), ["number"])
    assert query.named_selects == ["number", "score", "prediction", "probabilities"]


@pytest.mark.parametrize("scale", [True, False])
def test_components_are_eigenvectors_of_the_covariance(warehouse, scale):
    # Where nothing is scaled, the variances are fourteen orders apart, and the oracle loses the fourth.
    n_components = 4 if scale else 3
    written = {"NUM_PRINCIPAL_COMPONENTS": n_components, "SCALE_FEATURES": scale}
    parameters = trained(warehouse, "PCA", written, TABLE).parameters
    columns = Design(parameters, N).expand(encoded_of(warehouse, parameters))
    eigenvalues, vectors = np.linalg.eigh(np.cov(columns, rowvar=False))
    eigenvalues, vectors = eigenvalues[::-1][:n_components], vectors[:, ::-1][:, :n_components].T
    np.testing.assert_allclose(parameters.components.eigenvalues, eigenvalues, rtol=1e-8)
    total = np.cov(columns, rowvar=False).trace()
    np.testing.assert_allclose(parameters.components.explained_variance_ratios, eigenvalues / total, rtol=1e-8)
    directions = directions_of(parameters)
    np.testing.assert_allclose(np.abs(directions), np.abs(vectors), atol=1e-6)
    # The sign is that of the largest weight.
    assert (directions[np.arange(n_components), np.abs(directions).argmax(axis=1)] > 0).all()
    oracle = PCA(n_components, svd_solver="full").fit(columns)
    np.testing.assert_allclose(directions, oracle.components_, atol=1e-9)


def test_numbers_that_are_not_scaled_keep_their_unit(warehouse):
    table = pa.table({"x": [1.0, 2.0, 6.0], "z": [100.0, 300.0, 200.0], "is_start": [True] * 3, "number": [0, 1, 2]})
    result = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 1, "SCALE_FEATURES": False}, table)
    assert result.parameters.components.eigenvalues[0] == pytest.approx(10_000, rel=1e-2)
    assert [feature.stddev for feature in result.parameters.features] == [1.0, 1.0]


def test_as_many_components_as_the_share_needs(warehouse):
    whole = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 9}, TABLE)
    ratios = whole.parameters.components.explained_variance_ratios
    # Of twelve columns, two are constant, and one of the categories adds nothing of its own.
    assert sum(ratios) == pytest.approx(1)
    cumulative = whole.parameters.components.cumulative_ratios
    assert cumulative == pytest.approx(np.cumsum(ratios))
    for share in (0.2, 0.5, 0.9):
        part = trained(warehouse, "PCA", {"PCA_EXPLAINED_VARIANCE_RATIO": share}, TABLE)
        assert part.parameters.n_outputs == next(i for i, x in enumerate(cumulative, start=1) if x > share)
        assert part.metrics["total_explained_variance_ratio"] > share


def test_training_twice_gives_the_same_bits(warehouse):
    first = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 3}, TABLE)
    shuffled = TABLE.take(np.random.default_rng(0).permutation(N))
    assert trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 3}, shuffled).parameters == first.parameters


def test_many_rows(warehouse):
    parameters = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 5}, TABLE).parameters
    warehouse.load(Relation("many"), rows_of(100_000, 3, odd=True))
    query = compile_scoring(parameters, exp.to_table("many"), ["number"]).order_by("number")
    rows_ = warehouse.fetch(query.sql("duckdb"))
    found = rows_["probabilities"].combine_chunks().flatten().to_numpy().reshape(-1, 5)
    assert (found == predict(parameters, encoded_of(warehouse, parameters, "many")).probabilities).all()


def test_the_tables_say_what_is_explained(warehouse):
    parameters = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 3}, TABLE).parameters
    rows_ = parameters.to_tables()["components"].to_pylist()
    assert [row["component"] for row in rows_] == [1, 2, 3]
    assert [row["eigenvalue"] for row in rows_] == list(parameters.components.eigenvalues)
    shares = [row["explained_variance_ratio"] for row in rows_]
    assert [row["cumulative_explained_variance_ratio"] for row in rows_] == pytest.approx(np.cumsum(shares))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("component", [1, 1], "is out of order"),
        ("eigenvalue", [1.0, -1.0], "has an impossible eigenvalue"),
        ("eigenvalue", [1.0, math.nan], "has an impossible eigenvalue"),
        ("explained_variance_ratio", [1.5, 0.1], "explains less than nothing, or more than everything"),
    ],
)
def test_what_is_stored_is_checked(warehouse, column, value, message):
    tables = trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 2}, TABLE).parameters.to_tables()
    table = tables["components"]
    index = table.schema.get_field_index(column)
    changed = table.set_column(index, column, pa.array(value, table.schema.field(column).type))
    with pytest.raises(ArtifactError, match=message):
        Parameters.from_tables({**tables, "components": changed})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "exactly one of num_principal_components and pca_explained_variance_ratio is needed, none is given"),
        ({"NUM_PRINCIPAL_COMPONENTS": 2, "PCA_EXPLAINED_VARIANCE_RATIO": 0.5}, "both are given"),
        ({"PCA_EXPLAINED_VARIANCE_RATIO": 1}, "pca_explained_variance_ratio = 1 is out of range"),
        ({"PCA_EXPLAINED_VARIANCE_RATIO": 0.5, "PCA_SOLVER": "RANDOMIZED"}, "pca_solver = 'randomized' cannot tell"),
        ({"NUM_PRINCIPAL_COMPONENTS": 2, "PCA_SOLVER": "ARPACK"}, "pca_solver = 'ARPACK' is not known"),
        ({"NUM_PRINCIPAL_COMPONENTS": 2, "L2_REG": 1.0}, "no option l2_reg in a pca"),
    ],
)
def test_options_that_are_refused(written, message):
    with pytest.raises(DefinitionError, match=message):
        resolve_options("PCA", written)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1.0, 2.0, 3.0]}, "3 rows of 1 columns have no 2 principal components"),
        ({"x": [1.0] * 9, "z": [2.0] * 9}, "nothing varies in the 9 training rows"),
        ({"x": [1.0], "z": [2.0]}, "nothing varies in the 1 training rows"),
    ],
)
def test_rows_that_are_refused(warehouse, table, message):
    n = len(table["x"])
    table = pa.table({**table, "is_start": [True] * n, "number": list(range(n))})
    with pytest.raises(DataError, match=message):
        trained(warehouse, "PCA", {"NUM_PRINCIPAL_COMPONENTS": 2}, table)


MODEL = """\
{{ config(requests='churn_requests') }}
create or replace model shape
options (model_type = 'pca', num_principal_components = 2) as
select requests.amount, requests.visits, requests.region from {{ ref('churn_requests') }} as requests
"""


def test_a_project_trains_and_predicts(tiny):
    write(tiny, "models/shape.sql", MODEL)
    (row,) = ok(tiny, "train", "shape", "--as-of", "2024-02-05", "--format", "json").rows
    assert (row["alias"], row["n_train"], row["n_eval"]) == ("champion", 840, 0)
    assert 0 < row["total_explained_variance_ratio"] < 1
    ok(tiny, "predict", "shape", "--as-of", "2024-02-19")
    (found,) = rows(
        tiny, "select count(*) as n, count(prediction) as n_named, stddev(score) as spread from wml.request_log_shape"
    )
    assert (found["n"], found["n_named"]) == (14 * 24, 0)
    assert found["spread"] > 0
