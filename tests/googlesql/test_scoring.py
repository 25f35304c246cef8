"""Every model type that is scored as SQL: GoogleSQL's scores and decisions are DuckDB's, and those of the arrays."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from tests.googlesql.scoring import agree
from tests.googlesql.warehouse import GoogleSqlWarehouse
from tests.scoring import test_parity_of_models as models
from tests.training import test_sklearn_estimators as sklearn
from tests.training import unlabelled
from warehouse_ml.options import ESTIMATORS
from warehouse_ml.scoring import FittedFeature, Linear, Parameters
from warehouse_ml.scoring.parameters import Clusters, Components, Task
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N_ASKED = 250
LARGEST = 1.7976931348623157e308
# One of each form that SKLEARN knows how to write down; the others differ in what they fit, not in what is written.
FORMS = {
    "LogisticRegression": "colour",
    "PoissonRegressor": "count",
    "Ridge": "value",
    "DecisionTreeClassifier": "colour",
    "ExtraTreesRegressor": "value",
    "GradientBoostingClassifier": "yes",
    "HistGradientBoostingRegressor": "count",
}
HARD_TEXTS = [
    "",
    " ",
    "it's",
    'say "x"',
    "back\\slash",
    "`tick`",
    "new\nline",
    "tab\t",
    "né",
    "😀",
    "%s",
    "{{x}}",
    "\x7f",
]


@pytest.fixture(scope="module")
def theirs() -> GoogleSqlWarehouse:
    return GoogleSqlWarehouse()


@pytest.fixture(scope="module")
def ours() -> Iterator[DuckDBWarehouse]:
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


@pytest.fixture(scope="module")
def trained_on() -> Iterator[DuckDBWarehouse]:
    yield from models.warehouse.__wrapped__()


@pytest.mark.parametrize(("model_type", "label", "options"), models.MODELS)
def test_every_model_type(
    trained_on: DuckDBWarehouse, theirs: GoogleSqlWarehouse, model_type: str, label: str, options: dict[str, Any]
) -> None:
    options = {**options, **({"MAX_ITERATIONS": 12} if "BOOSTED" in model_type else {})}
    options = {**options, **({"NUM_PARALLEL_TREE": 5} if "FOREST" in model_type else {})}
    parameters = models.trained(trained_on, model_type, label, options).parameters
    models.adversarial(trained_on, parameters)
    rows = trained_on.fetch(f"select * from adversarial order by number limit {N_ASKED}")
    assert agree(trained_on, theirs, parameters, rows) == 0


@pytest.mark.parametrize(
    ("model_type", "options"),
    [
        ("KMEANS", {"NUM_CLUSTERS": 4}),
        ("KMEANS", {"NUM_CLUSTERS": 3, "DISTANCE_TYPE": "COSINE"}),
        ("KMEANS", {"NUM_CLUSTERS": 3, "STANDARDIZE_FEATURES": False}),
        ("PCA", {"NUM_PRINCIPAL_COMPONENTS": 3}),
        ("PCA", {"PCA_EXPLAINED_VARIANCE_RATIO": 0.9, "SCALE_FEATURES": False}),
    ],
)
def test_models_without_a_label(
    ours: DuckDBWarehouse, theirs: GoogleSqlWarehouse, model_type: str, options: dict[str, Any]
) -> None:
    parameters = unlabelled.trained(ours, model_type, options, unlabelled.rows_of(300, 1)).parameters
    # A sum of squares and a product are added alike everywhere: to the last bit.
    assert agree(ours, theirs, parameters, unlabelled.rows_of(N_ASKED, 2, odd=True)) == 0


@pytest.mark.parametrize(("name", "label"), FORMS.items())
def test_estimators_of_scikit_learn(theirs: GoogleSqlWarehouse, name: str, label: str) -> None:
    full = next(known for known in ESTIMATORS if known.endswith(f".{name}"))
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(sklearn.ROWS, sklearn.TABLE)
    parameters = sklearn.trained(warehouse, full, label, sklearn.SMALL.get(name, {})).parameters
    assert agree(warehouse, theirs, parameters, sklearn.table(N_ASKED, 2, odd=True)) <= 1e-14
    warehouse.close()


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_labels_categories_and_names_of_every_spelling(
    ours: DuckDBWarehouse, theirs: GoogleSqlWarehouse, threshold: float
) -> None:
    known = tuple(sorted(HARD_TEXTS))
    weights = tuple(float(place) for place in range(len(known)))
    names = ("select", "the count", "Größe", "it's")
    features = (
        FittedFeature(names[0], "category", "one_hot", categories=known, has_null=True),
        FittedFeature(names[1], "boolean", "standard", 0.5, 0.5),
        FittedFeature(names[2], "date", "standard", 18000.0, 365.25),
        FittedFeature(names[3], "timestamp", "standard", 1.5e9, 86400.5),
    )
    linear = Linear((-3.0,), (((*weights, -0.5), (0.25,), (-1e-3,), (7e-3,)),), ((0.0,) * 4,))
    parameters = Parameters("LOGISTIC_REG", "binary", "y", "VARCHAR", ("it's", "back\\slash\n"), features, linear)
    asked = [*known, "never seen", None]
    at = [dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), None]
    rows = pa.table(
        {
            names[0]: pa.array(asked, pa.string()),
            names[1]: pa.array([[True, False, None][row % 3] for row in range(len(asked))]),
            names[2]: pa.array([[dt.date(1, 1, 1), dt.date(9999, 12, 31), None][row % 3] for row in range(len(asked))]),
            names[3]: pa.array([at[row // 3 % 3] for row in range(len(asked))], pa.timestamp("us", "UTC")),
            "number": pa.array(range(len(asked))),
        }
    )
    assert agree(ours, theirs, parameters, rows, threshold) == 0


def large(names: tuple[str, ...]) -> pa.Table:
    """Return rows of numbers at the ends of what a double holds, one in a row beside small ones.

    Of two infinite terms DuckDB and the arrays make NaN; GoogleSQL's sum is exact until it ends.
    """
    values = [0.0, -3.5, 5e-324, 1e140, -1e200, LARGEST, -LARGEST, float("inf"), float("nan"), None]
    picked = [row for row in itertools.product(values, repeat=len(names)) if sum(_is_large(value) for value in row) < 2]
    columns = {
        name: pa.array(column, pa.float64()) for name, column in zip(names, zip(*picked, strict=True), strict=True)
    }
    return pa.table({**columns, "number": pa.array(range(len(picked)))})


def _is_large(value: float | None) -> bool:
    return value is not None and 1e100 < abs(value) <= LARGEST


@pytest.mark.parametrize(
    ("model_type", "task", "classes"),
    [
        ("LINEAR_REG", "regression", ()),
        ("LOGISTIC_REG", "multiclass", ("a", "b", "c")),
        ("PCA", "projection", ()),
    ],
)
def test_sums_that_no_double_holds_are_infinite_and_no_error(
    ours: DuckDBWarehouse, theirs: GoogleSqlWarehouse, model_type: str, task: Task, classes: tuple[str, ...]
) -> None:
    features = tuple(
        FittedFeature(name, "number", "standard", mean, stddev)
        for name, mean, stddev in (("x", 0.0, 1.0), ("tiny", 1e-3, 1e-12), ("huge", -1e149, 1e150))
    )
    weights = (((30.0,), (1e-3,), (-2.0,)), ((-4.0,), (2e-3,), (0.5,)), ((1.0,), (1e-5,), (1.0,)))
    n_outputs = len(classes) or (2 if task == "projection" else 1)
    linear = Linear((0.5, -1.0, 2.0)[:n_outputs], weights[:n_outputs], ((0.0,) * 3,) * n_outputs)
    components = Components((2.0, 1.0), (0.6, 0.3)) if task == "projection" else None
    label = "" if task == "projection" else "y"
    parameters = Parameters(model_type, task, label, "", classes, features, linear, components=components)
    assert agree(ours, theirs, parameters, large(("x", "tiny", "huge"))) == 0


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_distances_that_no_double_holds_are_infinite_and_no_error(
    ours: DuckDBWarehouse, theirs: GoogleSqlWarehouse, distance: Any
) -> None:
    features = tuple(
        FittedFeature(name, "number", "standard", 0.0, stddev) for name, stddev in (("x", 1.0), ("y", 10.0))
    )
    centroids = (((1.0,), (0.0,)), ((0.6,), (-0.8,)), ((0.0,), (1.0,)))
    clusters = Clusters(distance, centroids, (1, 1, 1))
    parameters = Parameters("KMEANS", "clustering", "", "", ("1", "2", "3"), features, clusters=clusters)
    assert agree(ours, theirs, parameters, large(("x", "y"))) == 0


def test_types_that_only_bigquery_has(theirs: GoogleSqlWarehouse) -> None:
    """A DATETIME is an instant in UTC, a NUMERIC a number."""
    from sqlglot import exp

    from warehouse_ml.scoring.features import encode_select

    features = (
        FittedFeature("moment", "timestamp", "double"),
        FittedFeature("amount", "number", "double"),
        FittedFeature("big", "number", "double"),
    )
    theirs.load(Relation("one"), pa.table({"one": [1]}))
    theirs.run(
        "create or replace table typed as select datetime '2024-02-03 04:05:06.789' as moment, "
        "numeric '1.25' as amount, bignumeric '-2.5' as big from one"
    )
    assert theirs.columns("select * from typed") == {"moment": "DATETIME", "amount": "NUMERIC", "big": "BIGNUMERIC"}
    query = encode_select(features, exp.to_table("typed"))
    instant = dt.datetime(2024, 2, 3, 4, 5, 6, 789000, tzinfo=dt.UTC).timestamp()
    assert theirs.fetch(query.sql(dialect="bigquery")).to_pylist() == [
        {"wml_x0": instant, "wml_x1": 1.25, "wml_x2": -2.5}
    ]


def test_what_bigquery_is_asked_is_shorter_than_it_takes(theirs: GoogleSqlWarehouse) -> None:
    from sqlglot import exp

    from warehouse_ml.scoring import compile_scoring, scoring_path

    def of(n_categories: int, n_classes: int) -> Parameters:
        names = tuple(sorted(f"category {row}" for row in range(n_categories)))
        feature = FittedFeature("name", "category", "one_hot", categories=names)
        weights = ((tuple(float(row) / 7 for row in range(n_categories)),),) * n_classes
        classes = tuple(f"class {row:03}" for row in range(n_classes))
        linear = Linear((0.0,) * n_classes, weights, ((0.0,),) * n_classes)
        return Parameters("LOGISTIC_REG", "multiclass", "y", "VARCHAR", classes, (feature,), linear)

    small, large_one = of(500, 20), of(5_000, 20)
    assert scoring_path(small, engine="bigquery") == "sql"
    assert scoring_path(large_one, engine="bigquery") == "arrow"
    assert scoring_path(large_one) == "sql"
    assert len(compile_scoring(small, exp.to_table("asked")).sql(dialect="bigquery")) < 1_000_000
    assert len(compile_scoring(large_one, exp.to_table("asked")).sql(dialect="bigquery")) > 1_000_000
