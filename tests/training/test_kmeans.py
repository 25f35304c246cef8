"""KMEANS: the clusters are scikit-learn's, and SQL and arrays find the same nearest one."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import davies_bouldin_score
from sklearn.metrics.pairwise import cosine_distances
from sklearn.preprocessing import normalize
from sqlglot import exp

from tests.tiny import write
from tests.training.unlabelled import ROWS, rows_of, scored, trained
from tests.wml import ok, rows, wml
from warehouse_ml.errors import ArtifactError, DataError, DefinitionError
from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import FittedFeature, Parameters, compile_scoring, scoring_path
from warehouse_ml.scoring.arrays import matrix, predict
from warehouse_ml.scoring.clusters import distances
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.scoring.parameters import Clusters
from warehouse_ml.scoring.parity import check_parity
from warehouse_ml.training.clustering import default_clusters
from warehouse_ml.training.design import Design
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N = 700
TABLE = rows_of(N, 1)
ALL = {"EARLY_STOP": False, "MAX_ITERATIONS": 500}
KINDS = [
    {},
    {"NUM_CLUSTERS": 2},
    {"NUM_CLUSTERS": 6, "KMEANS_INIT_METHOD": "KMEANS++"},
    {"NUM_CLUSTERS": 4, "STANDARDIZE_FEATURES": False},
    {"NUM_CLUSTERS": 4, "DISTANCE_TYPE": "COSINE"},
    {"NUM_CLUSTERS": 4, "DISTANCE_TYPE": "COSINE", "STANDARDIZE_FEATURES": False},
    {"KMEANS_INIT_METHOD": "CUSTOM", "KMEANS_INIT_COL": "is_start"},
]


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(Relation("fresh"), rows_of(2_000, 2, odd=True))
    yield warehouse
    warehouse.close()


def design_of(warehouse, parameters, relation="rows"):
    """Return the expanded matrix of a relation, in the order of its numbers."""
    query = encode_select(parameters.features, exp.to_table(relation), ["number"]).order_by("number")
    encoded = matrix(warehouse.fetch(query.sql(dialect="duckdb")), len(parameters.features))
    return Design(parameters, len(encoded)).expand(encoded), encoded


def centers_of(parameters):
    return np.array([[x for slots in centroid for x in slots] for centroid in parameters.clusters.centroids])


def ids_of(result):
    return list(range(1, result.parameters.n_outputs + 1))


@pytest.mark.parametrize("written", KINDS, ids=str)
def test_sql_and_arrays_say_the_same_on_rows_never_seen(warehouse, written):
    result = trained(warehouse, "KMEANS", written, TABLE)
    assert (result.parity.n_rows, result.parity.paths) == (N, ("arrow", "sql"))
    in_sql, over_arrays = scored(warehouse, result.parameters, "fresh")
    assert in_sql == over_arrays
    # The definition in plain Python: the first of the smallest distances.
    for row in in_sql:
        found = row["probabilities"]
        assert len(found) == result.parameters.n_outputs
        assert row["score"] == min(found) >= 0
        assert row["prediction"] == str(found.index(min(found)) + 1)
    again = Parameters.from_tables(result.parameters.to_tables())
    assert again == result.parameters
    table = exp.to_table("rows")
    assert compile_scoring(again, table).sql("duckdb") == compile_scoring(result.parameters, table).sql("duckdb")


@pytest.mark.parametrize("written", KINDS, ids=str)
def test_distances_are_those_of_the_definition(warehouse, written):
    parameters = trained(warehouse, "KMEANS", written, TABLE).parameters
    rows_, encoded = design_of(warehouse, parameters, "fresh")
    centers = centers_of(parameters)
    found = distances(parameters, encoded)
    if written.get("DISTANCE_TYPE") == "COSINE":
        np.testing.assert_allclose(found**2, cosine_distances(rows_, centers), atol=1e-13)
        np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 1.0, rtol=1e-14)
    else:
        expected = np.sqrt(((rows_[:, None, :] - centers[None]) ** 2).sum(axis=2))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_end_is_the_one_scikit_learn_reaches(warehouse):
    """Started from the same rows and never stopped early, Lloyd's algorithm has one end."""
    written = {"KMEANS_INIT_METHOD": "CUSTOM", "KMEANS_INIT_COL": "is_start", **ALL}
    result = trained(warehouse, "KMEANS", written, TABLE)
    rows_, _ = design_of(warehouse, result.parameters)
    start = rows_[np.arange(N) % 100 == 7]
    oracle = KMeans(len(start), init=start, n_init=1, tol=0.0, max_iter=500).fit(rows_)
    np.testing.assert_allclose(centers_of(result.parameters), oracle.cluster_centers_, atol=1e-10)
    assert result.parameters.clusters.n_rows == tuple(np.bincount(oracle.labels_))
    assert result.training_info[-1]["loss"] == pytest.approx(oracle.inertia_ / N)
    assert result.metrics["mean_squared_distance"] == pytest.approx(oracle.inertia_ / N)
    assert result.metrics["davies_bouldin_index"] == pytest.approx(davies_bouldin_score(rows_, oracle.labels_))
    assert result.warnings == []


def test_cosine_clusters_are_means_of_directions(warehouse):
    result = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 4, "DISTANCE_TYPE": "COSINE", **ALL}, TABLE)
    rows_, encoded = design_of(warehouse, result.parameters)
    labels = predict(result.parameters, encoded).prediction
    means = np.array([normalize(rows_)[labels == cluster].mean(axis=0) for cluster in range(4)])
    np.testing.assert_allclose(centers_of(result.parameters), normalize(means), atol=1e-12)
    distance = distances(result.parameters, encoded).min(axis=1)
    assert result.training_info[-1]["loss"] == pytest.approx((distance**2).mean())
    assert result.metrics["mean_squared_distance"] == pytest.approx((distance**2).mean())


def test_it_stops_at_the_first_iteration_of_little_progress(warehouse):
    whole = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 8, **ALL}, TABLE)
    stopped = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 8, "MIN_REL_PROGRESS": 0.02}, TABLE)
    losses = [row["loss"] for row in whole.training_info]
    n_done = next(i for i, (a, b) in enumerate(itertools.pairwise(losses), start=2) if a - b < 0.02 * a)
    assert stopped.training_info == whole.training_info[:n_done]
    assert n_done < len(losses)
    assert losses == sorted(losses, reverse=True)
    short = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 8, "MAX_ITERATIONS": 2, "EARLY_STOP": False}, TABLE)
    assert short.warnings == ["not converged after 2 iterations: raise max_iterations"]
    assert short.training_info == whole.training_info[:2]


@pytest.mark.parametrize(("n_rows", "expected"), [(1, 2), (99, 2), (700, 3), (100_000, 5), (1_000_000, 6)])
def test_the_default_number_of_clusters(n_rows, expected):
    assert default_clusters(n_rows) == expected


def test_training_twice_gives_the_same_bits(warehouse):
    first = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 5}, TABLE)
    shuffled = TABLE.take(np.random.default_rng(0).permutation(N))
    again = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 5}, shuffled)
    assert first.parameters == again.parameters
    assert first.metrics == again.metrics


def test_fewer_distinct_rows_than_clusters(warehouse):
    table = pa.table({"x": [1.0, 2.0] * 20, "is_start": [False] * 40, "number": range(40)})
    result = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 4, **ALL}, table)
    assert sorted(result.parameters.clusters.n_rows) == [0, 0, 20, 20]
    assert result.warnings == ["2 of 4 clusters have no row nearest to them: lower num_clusters"]
    assert result.metrics == {"davies_bouldin_index": 0.0, "mean_squared_distance": 0.0}


def test_a_null_is_where_training_says(warehouse):
    parameters = trained(warehouse, "KMEANS", {}, TABLE).parameters
    x = next(i for i, f in enumerate(parameters.features) if f.name == "x")
    # The mean of a number is 0 once it is standardised; a category NULL has a column of its own.
    source = "select null::double as x, {money} as money, null as city, false as flag, date '2000-01-01' as day, "
    source += "timestamptz '2013-01-01' as at, 3 as constant, null::double as nothing, {x} as y"
    query = sqlglot.parse_one(source.format(money="0", x="1"), read="duckdb")
    (row,) = warehouse.fetch(encode_select(parameters.features, query).sql("duckdb")).to_pylist()
    assert row[f"wml_x{x}"] == 0.0
    city = next(i for i, f in enumerate(parameters.features) if f.name == "city")
    assert row[f"wml_x{city}"] == parameters.features[city].n_slots


def small(distance="euclidean", centroids=(((1.0,), (0.25, 0.75)), ((-1.0,), (0.5, 0.5)))):
    features = (
        FittedFeature("x", "number", "standard", mean=2.0, stddev=2.0),
        FittedFeature("c", "category", "one_hot", categories=("a",), has_null=True),
    )
    n = len(centroids)
    return Parameters(
        "KMEANS",
        "clustering",
        "",
        "",
        tuple(map(str, range(1, n + 1))),
        features,
        clusters=Clusters(distance, centroids, (1,) * n),
    )


def test_distances_by_hand(warehouse):
    warehouse.load(Relation("by_hand"), pa.table({"x": [4.0, None, 0.0], "c": ["a", None, "?"], "number": [0, 1, 2]}))
    in_sql, over_arrays = scored(warehouse, small(), "by_hand")
    expected = [
        [math.sqrt(0 + 0.75**2 + 0.75**2), math.sqrt(4 + 0.25 + 0.25)],
        [math.sqrt(1 + 0.25**2 + 0.25**2), math.sqrt(1 + 0.25 + 0.25)],
        [math.sqrt(4 + 0.25**2 + 0.75**2), math.sqrt(0 + 0.25 + 0.25)],
    ]
    for row, other, distance in zip(in_sql, over_arrays, expected, strict=True):
        assert row == other
        assert row["probabilities"] == pytest.approx(distance, rel=1e-15)
    assert [row["prediction"] for row in in_sql] == ["1", "1", "2"]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_of_equally_near_centroids_the_lowest_id_wins(warehouse, distance):
    same = (((0.6,), (0.8, 0.0)),) * 3
    far = (((-0.6,), (-0.8, 0.0)),)
    parameters = small(distance, (*far, *same))
    warehouse.load(Relation("ties"), pa.table({"x": [9.0, 2.0], "c": ["a", "?"], "number": [0, 1]}))
    in_sql, over_arrays = scored(warehouse, parameters, "ties")
    assert in_sql == over_arrays
    assert in_sql[0]["prediction"] == "2"
    if distance == "cosine":
        # A row of zeros has no direction: it is equally far from everything.
        assert (in_sql[1]["prediction"], in_sql[1]["probabilities"]) == ("1", [1.0] * 4)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8))
def test_every_number_is_scored_alike(warehouse, distance, values):
    centroids = (((0.6,), (0.8, 0.0)), ((-1.0,), (0.0, 0.0)), ((0.0,), (0.0, 1.0)))
    table = {"x": values, "c": ["a", None, "?"] * 2 + ["a", None], "number": range(8)}
    table = {name: list(column)[: len(values)] for name, column in table.items()}
    warehouse.load(
        Relation("wild"), pa.table(table, schema=pa.schema({"x": "double", "c": "string", "number": "int64"}))
    )
    in_sql, over_arrays = scored(warehouse, small(distance, centroids), "wild")
    assert repr(in_sql) == repr(over_arrays)


def test_many_rows_and_many_clusters(warehouse):
    parameters = trained(warehouse, "KMEANS", {"NUM_CLUSTERS": 12, "MAX_ITERATIONS": 3}, TABLE).parameters
    warehouse.load(Relation("many"), rows_of(100_000, 3, odd=True))
    query = compile_scoring(parameters, exp.to_table("many"), ["number"]).order_by("number")
    in_sql = warehouse.fetch(query.sql("duckdb"))
    _, encoded = design_of(warehouse, parameters, "many")
    found = predict(parameters, encoded)
    assert (in_sql["score"].to_numpy() == found.score).all()
    assert [int(name) - 1 for name in in_sql["prediction"].to_pylist()] == found.prediction.tolist()


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_sums_over_many_features_are_made_in_layers_and_stay_the_same(warehouse, distance):
    rng = np.random.default_rng(5)
    n_features = 30
    centroids = normalize(rng.normal(size=(3, n_features)))
    parameters = Parameters(
        "KMEANS",
        "clustering",
        "",
        "",
        ("1", "2", "3"),
        tuple(FittedFeature(f"f{i}", "number", "standard", mean=0.5, stddev=2.0) for i in range(n_features)),
        clusters=Clusters(distance, tuple(tuple((x,) for x in row) for row in centroids.tolist()), (1, 1, 1)),
    )
    columns = {f"f{i}": rng.normal(size=500) for i in range(n_features)}
    warehouse.load(Relation("wide"), pa.table({**columns, "number": range(500)}))
    in_sql, over_arrays = scored(warehouse, parameters, "wide")
    assert in_sql == over_arrays


def test_very_many_terms_are_not_written_as_sql(warehouse):
    slots = tuple(float(i) for i in range(250))
    features = (FittedFeature("c", "category", "one_hot", categories=tuple(sorted(map(str, range(250))))),)
    large = Parameters(
        "KMEANS",
        "clustering",
        "",
        "",
        tuple(str(i) for i in range(1, 101)),
        features,
        clusters=Clusters("euclidean", ((slots,),) * 100, (0,) * 100),
    )
    assert (scoring_path(large), scoring_path(small())) == ("arrow", "sql")
    middle = replace(large, classes=large.classes[:4], clusters=Clusters("euclidean", ((slots,),) * 4, (0,) * 4))
    assert (scoring_path(middle), scoring_path(middle, 100), scoring_path(middle, 10**6)) == ("sql", "arrow", "sql")


def test_a_wrong_centroid_is_found_before_it_is_stored(warehouse):
    result = trained(warehouse, "KMEANS", {}, TABLE)
    parameters = result.parameters
    encoded = design_of(warehouse, parameters)[1]
    right = predict(parameters, encoded)
    moved = parameters.clusters.centroids
    wrong = (tuple(tuple(x + 1e-6 for x in slots) for slots in moved[0]), *moved[1:])
    changed = Parameters(**{**vars(parameters), "clusters": Clusters("euclidean", wrong, parameters.clusters.n_rows)})
    with pytest.raises(ArtifactError, match="rows are scored differently"):
        check_parity(warehouse, changed, ROWS, lambda asked: right, order_by="number")


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("clusters", "cluster", [1, 3], "does not list the clusters in order"),
        ("clusters", "distance", ["euclidean", "cosine"], "has several distances"),
        ("clusters", "distance", ["manhattan"] * 2, 'names an unknown distance "manhattan"'),
        ("clusters", "n_rows", [-1, 2], "counts fewer than no rows"),
        ("centroids", "slot", [0, 0, 2, 0, 0, 1], "does not have one value for each cluster, feature and slot"),
        ("centroids", "value", [0.0, 1.0, 2.0, 3.0, math.inf, 5.0], "has a value that is not finite"),
        ("clusters", "distance", ["cosine"] * 2, "has one whose length is not 1"),
        ("model", "task", ["regression"], "says that a kmeans does regression"),
        ("model", "task", ["binary"], "says that a kmeans does binary"),
        ("model", "classes", [["1", "3"]], "does not number the clusters from 1"),
        ("features", "encoding", ["double", "one_hot"], "leaves x without a value where it is null"),
    ],
)
def test_what_is_stored_is_checked(table, column, value, message):
    tables = small().to_tables()
    schema = tables[table].schema
    changed = tables[table].set_column(
        schema.get_field_index(column), column, pa.array(value, schema.field(column).type)
    )
    with pytest.raises(ArtifactError, match=message):
        Parameters.from_tables({**tables, table: changed})


def test_a_missing_table_is_told():
    tables = small().to_tables()
    del tables["centroids"]
    with pytest.raises(ArtifactError, match='the table "centroids" is missing'):
        Parameters.from_tables(tables)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"KMEANS_INIT_METHOD": "CUSTOM"}, "kmeans_init_method = 'custom' needs kmeans_init_col"),
        ({"KMEANS_INIT_COL": "c"}, "kmeans_init_col has a meaning with kmeans_init_method = 'custom' only"),
        ({"WARM_START": True}, "warm_start = true cannot be honoured: training always starts from nothing"),
        ({"NUM_CLUSTERS": 1}, "num_clusters = 1 is out of range.*between 2 and 100"),
        ({"NUM_TRIALS": 5}, "num_trials = 5 cannot be honoured"),
        ({"DISTANCE_TYPE": "manhattan"}, "distance_type = 'manhattan' is not known"),
        ({"INPUT_LABEL_COLS": ["y"]}, "no option input_label_cols in a kmeans"),
        ({"DATA_SPLIT_METHOD": "RANDOM"}, "no option data_split_method in a kmeans"),
    ],
)
def test_options_that_are_refused(written, message):
    with pytest.raises(DefinitionError, match=f"(?s){message}"):
        resolve_options("KMEANS", written)


CUSTOM = {"KMEANS_INIT_METHOD": "CUSTOM", "KMEANS_INIT_COL": "is_start"}


@pytest.mark.parametrize(
    ("written", "change", "message"),
    [
        ({"NUM_CLUSTERS": 41}, {}, "40 rows cannot make 41 clusters"),
        ({**CUSTOM, "NUM_CLUSTERS": 3}, {}, 'the kmeans_init_col "is_start" is true in 2 rows, but num_clusters = 3'),
        (CUSTOM, {"is_start": [False, None] * 20}, "is true in 0 rows, but at least two are needed"),
        (CUSTOM, {"is_start": ["yes"] * 40}, 'the kmeans_init_col "is_start" is VARCHAR, not BOOLEAN'),
        ({**CUSTOM, "KMEANS_INIT_COL": "is_strat"}, {}, "is not selected"),
        ({"DISTANCE_TYPE": "COSINE"}, {"x": [7.0] * 40}, "all rows are zeros, which have no direction"),
    ],
)
def test_rows_that_are_refused(warehouse, written, change, message):
    table = {"x": np.arange(40.0), "is_start": np.arange(40) % 20 == 3, "number": np.arange(40), **change}
    with pytest.raises(DataError, match=message):
        trained(warehouse, "KMEANS", written, pa.table(table))


MODEL = """\
{{ config(requests='churn_requests') }}
create or replace model groups
options (model_type = 'kmeans', num_clusters = 3) as
select requests.amount, requests.visits, requests.region from {{ ref('churn_requests') }} as requests
"""


def test_a_project_trains_predicts_and_trains_again(tiny):
    write(tiny, "models/groups.sql", MODEL)
    (row,) = ok(tiny, "train", "groups", "--as-of", "2024-02-05", "--format", "json").rows
    assert (row["alias"], row["reason"], row["n_train"], row["n_eval"]) == ("champion", "the first version", 840, 0)
    assert row["davies_bouldin_index"] > 0
    assert row["mean_squared_distance"] > 0
    ok(tiny, "predict", "groups", "--as-of", "2024-02-19")
    (found,) = rows(
        tiny,
        "select count(*) as n, count(distinct prediction) as n_ids, min(score) as nearest, max(prediction) as last "
        "from wml.request_log_groups",
    )
    assert (found["n"], found["n_ids"], found["last"]) == (14 * 24, 3, "3")
    assert found["nearest"] >= 0
    (row,) = ok(tiny, "train", "groups", "--as-of", "2024-02-19", "--format", "json").rows
    assert (row["version"], row["alias"]) == (2, "champion")
    assert row["reason"] == "the newest serves: no rows are held out to compare versions of a kmeans on"
    (row,) = ok(tiny, "train", "groups", "--as-of", "2024-03-04", "--promote", "never", "--format", "json").rows
    assert (row["version"], row["alias"]) == (3, None)
    (row,) = ok(tiny, "train", "groups", "--as-of", "2024-03-04", "--format", "json").rows
    assert (row["is_new"], row["version"]) == (False, 3)


def test_a_project_names_the_line_of_a_wrong_option(tiny):
    write(tiny, "models/groups.sql", MODEL.replace("num_clusters = 3", "\n    data_split_col = 'requested_at'"))
    done = wml(tiny, "train", "groups", "--as-of", "2024-02-05")
    assert done.code == 2
    assert "groups.sql:4:5: no option data_split_col in a kmeans" in done.err
