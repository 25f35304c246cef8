"""Every model type, scored in SQL and over arrays, against scikit-learn itself."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from warehouse_ml.errors import ArtifactError
from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import Parameters, check_parity, compile_scoring, score_arrow, scoring_path
from warehouse_ml.scoring.arrays import Predictions, matrix, predict
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.training.estimators import Sample, fit_boosting, fit_forest, fit_linear
from warehouse_ml.training.fit import fit
from warehouse_ml.training.grown import exact_threshold
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROWS = Relation("training rows")
MODELS = [
    ("LOGISTIC_REG", "yes", {}),
    ("LOGISTIC_REG", "yes", {"L2_REG": 1.0, "CATEGORY_ENCODING_METHOD": "DUMMY_ENCODING"}),
    ("LOGISTIC_REG", "colour", {"L2_REG": 1.0}),
    ("LOGISTIC_REG", "yes", {"L1_REG": 1.0, "MAX_ITERATIONS": 1000}),
    ("LINEAR_REG", "value", {}),
    ("LINEAR_REG", "value", {"L1_REG": 0.5, "L2_REG": 0.5}),
    ("LINEAR_REG", "value", {"L2_REG": 2.0, "FIT_INTERCEPT": False}),
    ("BOOSTED_TREE_CLASSIFIER", "yes", {"EARLY_STOP": False, "MAX_ITERATIONS": 40}),
    ("BOOSTED_TREE_CLASSIFIER", "colour", {"MAX_TREE_DEPTH": 3}),
    ("BOOSTED_TREE_REGRESSOR", "value", {}),
    ("RANDOM_FOREST_CLASSIFIER", "yes", {"NUM_PARALLEL_TREE": 30, "MAX_TREE_DEPTH": 6}),
    ("RANDOM_FOREST_CLASSIFIER", "colour", {"NUM_PARALLEL_TREE": 5, "MAX_TREE_DEPTH": 5}),
    ("RANDOM_FOREST_REGRESSOR", "value", {"NUM_PARALLEL_TREE": 7, "MAX_TREE_DEPTH": 7}),
]


@pytest.fixture(scope="module")
def warehouse():
    rng = np.random.default_rng(1)
    n = 700
    x, small = rng.normal(size=n), rng.integers(0, 5, n).astype(float)
    city = rng.integers(0, 40, n)
    noise = rng.normal(size=n)
    value = x * 2 + small + np.sin(city) + noise * 0.3
    rows = pa.table(
        {
            "x": pa.array(x, mask=rng.random(n) < 0.1),
            "small": pa.array(small.astype(np.float32), mask=rng.random(n) < 0.2),
            "Ci'ty": pa.array([f"c'\"{c}\\" if c else "" for c in city], mask=rng.random(n) < 0.1),
            "flag": pa.array(rng.random(n) < 0.5, mask=rng.random(n) < 0.1),
            "day": pa.array((rng.integers(-9999, 20000, n)).astype("datetime64[D]"), mask=rng.random(n) < 0.1),
            "at": pa.array(rng.integers(0, 2**50, n), pa.timestamp("us", "UTC")),
            "constant": pa.array(np.full(n, 3)),
            "nothing": pa.nulls(n, pa.float64()),
            "yes": pa.array(value > 2),
            "colour": pa.array(np.where(value > 3, "red", np.where(value > 1, "green", "blue"))),
            "value": pa.array(value),
            "split": pa.array(np.where(np.arange(n) % 4 == 0, "eval", "train")),
            "number": pa.array(np.arange(n)),
        }
    )
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(ROWS, rows)
    yield warehouse
    warehouse.close()


def trained(warehouse, model_type, label, options):
    columns = warehouse.columns('select * from "training rows"')
    features = infer_features(columns, exclude=["yes", "colour", "value", "split", "number"])
    fitted = fit_preprocessing(warehouse, ROWS, features, family_of(model_type), split_column="split")
    return fit(
        warehouse,
        ROWS,
        fitted,
        model_type=model_type,
        label=label,
        weight_column=None,
        options=resolve_options(model_type, options),
        split_column="split",
        order_by="number",
    )


def table(relation=ROWS):
    return exp.table_(relation.name, quoted=True)


def in_sql(warehouse, parameters, relation, keep=("number",), **options):
    query = compile_scoring(parameters, table(relation), keep, **options).order_by(exp.column("number"))
    return warehouse.fetch(query.sql(dialect="duckdb"))


def adversarial(warehouse, parameters):
    """Store rows that lie on thresholds, beside them, and where no training row was."""
    rng = np.random.default_rng(2)
    n = 1_500
    columns = {}
    for index, feature in enumerate(parameters.features):
        if feature.kind == "category":
            known = [*feature.categories, "never seen", None]
            columns[feature.name] = pa.array([known[i] for i in rng.integers(0, len(known), n)], pa.string())
        elif feature.kind == "number":
            points = np.array([0.0, -0.0, 5e-324, 1e300, -1e300, np.inf, -np.inf, np.nan])
            if parameters.trees is not None and (parameters.trees.feature == index).any():
                thresholds = parameters.trees.threshold[parameters.trees.feature == index]
                with np.errstate(over="ignore"):
                    single = thresholds.astype(np.float32)
                    up, down = np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))
                    beside = [np.nextafter(thresholds, np.inf), np.nextafter(thresholds, -np.inf)]
                    middles = [(single.astype(float) + up) / 2, (single.astype(float) + down) / 2]
                points = np.concatenate([points, thresholds, *beside, single, up, down, *middles])
            values = rng.choice(points, n)
            columns[feature.name] = pa.array(values, mask=rng.random(n) < 0.1)
        elif feature.kind == "boolean":
            columns[feature.name] = pa.array([[True, False, None][i] for i in rng.integers(0, 3, n)])
        elif feature.kind == "date":
            days = rng.integers(-20000, 40000, n).astype("datetime64[D]")
            columns[feature.name] = pa.array(days, mask=rng.random(n) < 0.1)
        else:
            columns[feature.name] = pa.array(rng.integers(-(2**50), 2**51, n), pa.timestamp("us", "UTC"))
    columns["number"] = pa.array(np.arange(n))
    warehouse.load(Relation("adversarial"), pa.table(columns))
    return Relation("adversarial")


@pytest.mark.parametrize(("model_type", "label", "options"), MODELS)
def test_sql_and_arrays_decide_as_scikit_learn_does(warehouse, monkeypatch, model_type, label, options):
    kept = {}
    for name in ("fit_linear", "fit_boosting", "fit_forest"):
        original = {"fit_linear": fit_linear, "fit_boosting": fit_boosting, "fit_forest": fit_forest}[name]

        def keep(*args, original=original):
            kept["fitted"] = original(*args)
            return kept["fitted"]

        monkeypatch.setattr(f"warehouse_ml.training.fit.{name}", keep)
    result = trained(warehouse, model_type, label, options)
    parameters = result.parameters
    assert result.parity.n_decision_differences == 0
    assert result.parity.n_rows == 700
    assert result.parity.paths == ("arrow", "sql")
    assert result.training_info[-1]["eval_loss"] > 0

    relation = adversarial(warehouse, parameters)
    query = encode_select(parameters.features, table(relation)).order_by(exp.column("number"))
    encoded = matrix(warehouse.fetch(query.sql(dialect="duckdb")), len(parameters.features))
    rows = in_sql(warehouse, parameters, relation)
    arrays = predict(parameters, encoded)
    # scikit-learn's forests refuse what float32 cannot hold; there the two paths of ours must agree alone.
    accepted = np.ones(len(encoded), dtype=bool)
    if parameters.is_forest:
        accepted = ~(np.abs(encoded) > 3e38).any(axis=1)
    if parameters.linear is not None:
        accepted = ~(np.abs(encoded) > 1e100).any(axis=1)
    expected = kept["fitted"].expect(encoded[accepted])
    score = rows.column("score").to_numpy()
    scale = np.maximum(1, np.abs(expected.score))
    bound = 0.0 if parameters.trees is not None and parameters.task != "multiclass" else 1e-12
    assert (np.abs(score[accepted] - expected.score) / scale).max() <= bound
    assert (np.abs(arrays.score[accepted] - expected.score) / scale).max() <= bound
    finite = np.isfinite(score) & np.isfinite(arrays.score)
    assert finite.all() or parameters.linear is not None
    np.testing.assert_allclose(score[finite], arrays.score[finite], rtol=1e-12, atol=1e-15)
    if expected.prediction is not None:
        names = np.array(parameters.classes)
        assert (np.array(rows.column("prediction").to_pylist())[accepted] == names[expected.prediction]).all()
        assert (arrays.prediction[accepted] == expected.prediction).all()
    else:
        assert rows.column("prediction").null_count == rows.num_rows


@pytest.mark.parametrize(("model_type", "label", "options"), MODELS)
def test_stored_parameters_give_the_same_sql(warehouse, tmp_path, model_type, label, options):
    parameters = trained(warehouse, model_type, label, options).parameters
    tables = {}
    for name, rows in parameters.to_tables().items():
        pq.write_table(rows, tmp_path / name)
        tables[name] = pq.read_table(tmp_path / name)
    again = Parameters.from_tables(tables)
    assert again.features == parameters.features
    assert again.linear == parameters.linear
    sql = compile_scoring(parameters, table(), ["number"]).sql(dialect="duckdb")
    assert compile_scoring(again, table(), ["number"]).sql(dialect="duckdb") == sql
    # Training again changes nothing.
    again = trained(warehouse, model_type, label, options).parameters
    assert compile_scoring(again, table(), ["number"]).sql(dialect="duckdb") == sql


@pytest.mark.parametrize("index", [0, 2, 4, 7, 8, 10, 11])
def test_the_two_paths_give_the_same_columns(warehouse, index):
    parameters = trained(warehouse, *MODELS[index]).parameters
    rows = in_sql(warehouse, parameters, ROWS, ["number", "x"], threshold=0.3, probabilities=True)
    reader = score_arrow(
        warehouse, parameters, table(), ["number", "x"], threshold=0.3, probabilities=True, batch_rows=2048
    )
    streamed = reader.read_all().sort_by("number")
    assert streamed.column_names == rows.column_names
    assert streamed.column("prediction").to_pylist() == rows.column("prediction").to_pylist()
    np.testing.assert_allclose(streamed["score"].to_numpy(), rows["score"].to_numpy(), rtol=1e-12)
    if parameters.task != "regression":
        lists = np.array(rows["probabilities"].to_pylist())
        np.testing.assert_allclose(lists, np.array(streamed["probabilities"].to_pylist()), atol=1e-15)
        np.testing.assert_allclose(lists.sum(axis=1), 1)
    if parameters.task == "binary":
        assert rows["prediction"].to_pylist() == ["true" if s >= 0.3 else "false" for s in rows["score"].to_pylist()]
    as_text = 'select * from "training rows"'
    again = score_arrow(warehouse, parameters, as_text, ["number"]).read_all().sort_by("number")
    np.testing.assert_array_equal(again["score"].to_numpy(), streamed["score"].to_numpy())


def test_a_wrong_estimator_is_found_out(warehouse):
    result = trained(warehouse, "BOOSTED_TREE_CLASSIFIER", "yes", {"MAX_ITERATIONS": 3})

    def wrong(encoded):
        right = predict(result.parameters, encoded)
        return Predictions(right.score, 1 - right.prediction, None)

    with pytest.raises(
        ArtifactError, match=r"700 of 700 sampled rows .* the first is row 0 of the sample: (true|false)"
    ):
        check_parity(warehouse, result.parameters, ROWS, wrong, order_by="number")

    def worse(encoded):
        right = predict(result.parameters, encoded)
        return Predictions(right.score + 1e-8, right.prediction, None)

    with pytest.raises(ArtifactError, match="differently by arrow than by the fitted boosted_tree_classifier"):
        check_parity(warehouse, result.parameters, ROWS, worse, order_by="number")


def test_the_path_follows_the_leaves(warehouse):
    linear = trained(warehouse, *MODELS[0]).parameters
    boosted = trained(warehouse, *MODELS[7]).parameters
    assert (scoring_path(linear), scoring_path(linear, 1)) == ("sql", "sql")
    assert {scoring_path(boosted, n_rows) for n_rows in (None, 100, 10**9)} == {"arrow"}
    assert scoring_path(boosted, is_stored=True) == "sql", "a view can only be SQL"


@pytest.mark.parametrize("threshold", [0.0, -0.0, 0.1, 1 / 3, 16777217.0, 1e-45, -7e-46, 3.4028234663852886e38, -1e38])
def test_exact_threshold(threshold):
    exact = exact_threshold(threshold)
    single = np.float32(threshold)
    with np.errstate(over="ignore", under="ignore"):
        near = [single, np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))]
    doubles = [float(value) for value in near if np.isfinite(value)] + [exact, threshold]
    doubles += [a / 2 + b / 2 for a in doubles for b in doubles]
    doubles += [math.nextafter(value, side) for value in doubles for side in (math.inf, -math.inf)]
    for value in doubles:
        if abs(value) <= 3.4028234663852886e38:
            assert (float(np.float32(value)) <= threshold) == (value <= exact), value


def test_infinite_thresholds_become_finite():
    assert exact_threshold(float("inf")) == 1.7976931348623157e308
    assert exact_threshold(float("-inf")) == -1.7976931348623157e308


@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    kind=st.sampled_from(["BOOSTED_TREE_CLASSIFIER", "RANDOM_FOREST_CLASSIFIER", "BOOSTED_TREE_REGRESSOR"]),
)
def test_small_random_models_agree(warehouse, data, kind):
    number = st.one_of(st.none(), st.floats(-1e30, 1e30, width=64), st.sampled_from([0.1, 0.2, 0.3, 1e-40]))
    values = data.draw(st.lists(st.tuples(number, number), min_size=8, max_size=40))
    targets = data.draw(st.lists(st.integers(0, 1), min_size=len(values), max_size=len(values)))
    targets[:2] = [0, 1]
    name = Relation("random_rows")
    rows = {
        "a": pa.array([a for a, _ in values], pa.float64()),
        "b": pa.array([b for _, b in values], pa.float64()),
        "y": pa.array(targets),
        "split": ["train"] * len(values),
        "number": list(range(len(values))),
    }
    warehouse.load(name, pa.table(rows))
    features = infer_features({"a": "DOUBLE", "b": "DOUBLE"})
    fitted = fit_preprocessing(warehouse, name, features, "trees", split_column="split")
    options = {"MIN_TREE_CHILD_WEIGHT": 0.0}
    options |= {"NUM_PARALLEL_TREE": 3} if kind.startswith("RANDOM") else {"MAX_ITERATIONS": 5}
    result = fit(
        warehouse,
        name,
        fitted,
        model_type=kind,
        label="y",
        weight_column=None,
        options=resolve_options(kind, options),
        split_column="split",
        order_by="number",
    )
    assert result.parity.max_abs_difference == 0


def test_samples_have_a_length():
    assert len(Sample(np.zeros((3, 1)), np.zeros(3), None)) == 3
