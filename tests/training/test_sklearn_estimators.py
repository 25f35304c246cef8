"""SKLEARN: every estimator of the list against scikit-learn itself, on rows that training has not seen."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge, TweedieRegressor
from sqlglot import exp
from threadpoolctl import threadpool_limits

from tests.tiny import edit
from tests.training.unlabelled import rows_of, scored
from tests.wml import ok, rows, wml
from warehouse_ml.definition import read_definition
from warehouse_ml.errors import ArtifactError, DataError, DefinitionError
from warehouse_ml.options import ESTIMATORS, is_classification, resolve_options
from warehouse_ml.scoring import FittedFeature, Linear, Parameters, compile_scoring
from warehouse_ml.scoring.arrays import matrix, predict
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.scoring.parameters import Estimator
from warehouse_ml.training.design import Design
from warehouse_ml.training.fit import fit
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.training.sklearn_estimators import _link, make_estimator
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N = 400
ROWS = Relation("rows")
LABELS = ("value", "count", "yes", "colour", "split", "number", "is_start", "weight")
# Small enough that all of them together take seconds.
SMALL = {
    "RandomForestRegressor": {"n_estimators": 4, "max_depth": 4},
    "RandomForestClassifier": {"n_estimators": 4, "max_depth": 4},
    "ExtraTreesRegressor": {"n_estimators": 4, "max_depth": 4},
    "ExtraTreesClassifier": {"n_estimators": 4, "max_depth": 4},
    "GradientBoostingRegressor": {"n_estimators": 6},
    "GradientBoostingClassifier": {"n_estimators": 6},
    "HistGradientBoostingRegressor": {"max_iter": 6},
    "HistGradientBoostingClassifier": {"max_iter": 6},
    "TheilSenRegressor": {"max_subpopulation": 200},
}
CASES = [
    *(
        (name, label, SMALL.get(name.rpartition(".")[2], {}))
        for name, spec in ESTIMATORS.items()
        for label in (("yes", "colour")[: 1 if spec.is_binary_only else 2] if spec.is_classifier else ("value",))
        if spec.form != "kept" and (label != "value" or ("Poisson" not in name and "Gamma" not in name))
    ),
    ("sklearn.linear_model.PoissonRegressor", "count", {}),
    ("sklearn.linear_model.GammaRegressor", "count", {"alpha": 0.1}),
    ("sklearn.linear_model.TweedieRegressor", "count", {"power": 1.5}),
    ("sklearn.linear_model.TweedieRegressor", "count", {"power": 1.5, "link": "log"}),
    ("sklearn.ensemble.HistGradientBoostingRegressor", "count", {"loss": "poisson", "max_iter": 6}),
    ("sklearn.ensemble.HistGradientBoostingRegressor", "value", {"loss": "quantile", "quantile": 0.8, "max_iter": 6}),
    ("sklearn.ensemble.GradientBoostingClassifier", "yes", {"loss": "exponential", "n_estimators": 6}),
    ("sklearn.ensemble.GradientBoostingClassifier", "colour", {"init": "zero", "n_estimators": 6}),
    ("sklearn.ensemble.GradientBoostingRegressor", "value", {"loss": "huber", "subsample": 0.7, "n_estimators": 6}),
    ("sklearn.linear_model.Ridge", "value", {"alpha": 3.0, "fit_intercept": False}),
    ("sklearn.tree.DecisionTreeRegressor", "value", {"criterion": "absolute_error", "max_depth": 4}),
    ("sklearn.linear_model.LogisticRegression", "yes", {"class_weight": "balanced", "solver": "liblinear"}),
]


def table(n, seed, *, odd=False):
    rng = np.random.default_rng(seed)
    rows_ = rows_of(n, seed, odd=odd)
    x = np.nan_to_num(rows_["x"].to_numpy(zero_copy_only=False))
    value = x + rng.normal(size=n) * 2
    labels = {
        "value": value,
        "count": rng.poisson(np.exp(x / 10)) + 0.5,
        "yes": value > 5,
        "colour": np.where(value > 8, "red", np.where(value > 2, "green", "blue")),
        "split": np.where(np.arange(n) % 4 == 0, "eval", "train"),
        "weight": rng.integers(1, 4, n).astype(float),
    }
    for name, column in labels.items():
        rows_ = rows_.append_column(name, pa.array(column))
    return rows_


TABLE = table(N, 1)


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(ROWS, TABLE)
    warehouse.load(Relation("fresh"), table(500, 2, odd=True))
    yield warehouse
    warehouse.close()


def trained(warehouse, name, label="value", params=None, weight=None):
    options = resolve_options("SKLEARN", {"ESTIMATOR": name, "PARAMS": params or {}})
    features = infer_features(warehouse.columns("select * from rows"), exclude=LABELS)
    fitted = fit_preprocessing(warehouse, ROWS, features, family_of("SKLEARN", options), split_column="split")
    return fit(
        warehouse,
        ROWS,
        fitted,
        model_type="SKLEARN",
        label=label,
        weight_column=weight,
        options=options,
        split_column="split",
        order_by="number",
        place="m.sql",
    )


def matrix_of(warehouse, parameters, relation, where="true"):
    source = exp.select("*").from_(relation).where(where)
    query = encode_select(parameters.features, source, ["number"]).order_by("number")
    encoded = matrix(warehouse.fetch(query.sql(dialect="duckdb")), len(parameters.features))
    is_linear = ESTIMATORS[parameters.estimator.name].form == "linear"
    return Design(parameters, len(encoded)).expand(encoded) if is_linear else encoded


@pytest.mark.parametrize(("name", "label", "params"), CASES, ids=lambda x: str(x).rpartition(".")[2])
def test_rows_never_seen_are_scored_as_by_scikit_learn(warehouse, name, label, params):
    result = trained(warehouse, name, label, params)
    parameters = result.parameters
    assert parameters.model_type == "SKLEARN"
    in_sql, over_arrays = scored(warehouse, parameters, "fresh")
    spec = ESTIMATORS[name]
    if parameters.trees is not None and not parameters.has_log_link and parameters.task != "multiclass":
        assert in_sql == over_arrays
    assert [row["prediction"] for row in in_sql] == [row["prediction"] for row in over_arrays]

    # The estimator again, fitted here on the same matrix.
    train = matrix_of(warehouse, parameters, "rows", "split = 'train'")
    if spec.form == "histogram_boosting":
        train = np.where(np.isnan(train).all(axis=0), 0.0, train)
    answers = TABLE.filter(pa.compute.equal(TABLE["split"], "train"))[label].to_pylist()
    with threadpool_limits(1):
        oracle = make_estimator(name, params).fit(train, answers)
    fresh = matrix_of(warehouse, parameters, "fresh")
    score = np.array([row["score"] for row in in_sql])
    if not spec.is_classifier:
        np.testing.assert_allclose(score, oracle.predict(fresh), rtol=1e-9, atol=1e-9)
        return
    probabilities = oracle.predict_proba(fresh)
    found = np.array([row["probabilities"] for row in in_sql])
    np.testing.assert_allclose(found, probabilities, atol=1e-9)
    clear = np.sort(probabilities, axis=1)[:, -1] - np.sort(probabilities, axis=1)[:, -2] > 1e-9
    predicted = [str(value).lower() if label == "yes" else value for value in oracle.predict(fresh)]
    assert [row["prediction"] for row, known in zip(in_sql, clear, strict=True) if known] == [
        value for value, known in zip(predicted, clear, strict=True) if known
    ]


@pytest.mark.parametrize("name", ["Ridge", "ExtraTreesClassifier", "GradientBoostingClassifier", "PoissonRegressor"])
def test_what_is_stored_comes_back(warehouse, name):
    label = "yes" if name.endswith("Classifier") else "count"
    parameters = trained(warehouse, name, label, SMALL.get(name)).parameters
    again = Parameters.from_tables(parameters.to_tables())
    assert again.estimator == parameters.estimator
    assert (again.is_forest, again.has_log_link) == (name == "ExtraTreesClassifier", name == "PoissonRegressor")
    source = exp.to_table("rows")
    assert compile_scoring(again, source).sql("duckdb") == compile_scoring(parameters, source).sql("duckdb")


def test_a_log_link_by_hand(warehouse):
    parameters = Parameters(
        "SKLEARN",
        "regression",
        "y",
        "DOUBLE",
        (),
        (FittedFeature("x", "number", "standard", mean=1.0, stddev=2.0),),
        Linear((0.5,), (((2.0,),),), ((0.0,),)),
        estimator=Estimator("sklearn.linear_model.PoissonRegressor", is_averaged=False, link="log"),
    )
    warehouse.load(Relation("by_hand"), pa.table({"x": [1.0, 3.0, None, 1e9, -1e9], "number": range(5)}))
    in_sql, over_arrays = scored(warehouse, parameters, "by_hand")
    expected = [math.exp(0.5), math.exp(2.5), math.exp(0.5), math.exp(709), 0.0]
    for found in (in_sql, over_arrays):
        assert [row["score"] for row in found] == pytest.approx(expected, rel=1e-14)


def test_links():
    spec = ESTIMATORS["sklearn.linear_model.TweedieRegressor"]
    for power, link, expected in [(0, "auto", "identity"), (1.5, "auto", "log"), (1.5, "identity", "identity")]:
        assert _link(TweedieRegressor(power=power, link=link), spec) == expected
    assert _link(HistGradientBoostingRegressor(loss="gamma"), spec) == "log"
    assert _link(HistGradientBoostingRegressor(), spec) == "identity"
    assert _link(Ridge(), ESTIMATORS["sklearn.linear_model.Ridge"]) == "identity"


def test_weights_are_given_to_the_estimator(warehouse):
    weighted = trained(warehouse, "Ridge", weight="weight").parameters
    train = TABLE.filter(pa.compute.equal(TABLE["split"], "train"))
    rows_ = matrix_of(warehouse, weighted, "rows", "split = 'train'")
    oracle = Ridge().fit(rows_, train["value"].to_numpy(), sample_weight=train["weight"].to_numpy())
    found = [x for slots in weighted.linear.weights[0] for x in slots]
    np.testing.assert_allclose(found, oracle.coef_, atol=1e-10)
    with pytest.raises(DataError, match="Lars takes no weights of rows\n  hint: leave instance_weight_col out"):
        trained(warehouse, "Lars", weight="weight")


def test_the_random_state_is_set(warehouse):
    params = SMALL["RandomForestClassifier"]
    one, two = (trained(warehouse, "RandomForestClassifier", "yes", params).parameters for _ in range(2))
    assert all(a.equals(b) for a, b in zip(one.to_tables().values(), two.to_tables().values(), strict=True))


def test_what_scikit_learn_warns_of_is_told(warehouse):
    result = trained(warehouse, "LogisticRegression", "yes", {"max_iter": 2})
    assert result.warnings[0].startswith("LogisticRegression: lbfgs failed to converge")


@pytest.mark.parametrize(
    ("params", "label", "message"),
    [
        ({"alpa": 1}, "value", r'Ridge has no parameter "alpa"(?s:.*)did you mean "alpha"'),
        ({"random_state": 1}, "value", "the parameter random_state of Ridge is not yours to set"),
        ({"solver": {"a": 1}}, "value", "the parameter solver of Ridge is a mapping"),
    ],
)
def test_params_that_are_refused(warehouse, params, label, message):
    with pytest.raises(DefinitionError, match=message):
        trained(warehouse, "Ridge", label, params)


@pytest.mark.parametrize(
    ("name", "label", "params", "error", "message"),
    [
        (
            "Ridge",
            "value",
            {"alpha": -1.0},
            DataError,
            "Ridge cannot be fitted: The 'alpha' parameter of Ridge must be",
        ),
        ("Ridge", "value", {"alpha": "much"}, DataError, "Ridge cannot be fitted"),
        ("Ridge", "yes", {}, DataError, "and a sklearn_regressor needs a number"),
        ("LogisticRegression", "value", {}, DataError, "and a sklearn_classifier needs classes"),
        ("PoissonRegressor", "value", {}, DataError, "PoissonRegressor cannot be fitted: Some value"),
        ("SGDClassifier", "colour", {}, DataError, "SGDClassifier tells two classes apart here, and the label has 3"),
        (
            "SGDClassifier",
            "yes",
            {"loss": "hinge"},
            DefinitionError,
            "loss = 'hinge' of SGDClassifier cannot be honoured",
        ),
        (
            "LogisticRegression",
            "yes",
            {"class_weight": {"true": 2}},
            DefinitionError,
            "weigh rows with instance_weight_col",
        ),
    ],
)
def test_what_is_refused(warehouse, name, label, params, error, message):
    with pytest.raises(error, match=message):
        trained(warehouse, name, label, params)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "model_type = 'sklearn' needs estimator"),
        ({"ESTIMATOR": "sklearn.linear_model.Rigde"}, 'did you mean "sklearn.linear_model.Ridge"'),
        ({"ESTIMATOR": "Rigde"}, 'did you mean "Ridge"'),
        ({"ESTIMATOR": "os.system"}, 'no estimator "os.system" among those that can be kept as data'),
        ({"ESTIMATOR": "sklearn.svm.OneClassSVM"}, 'no estimator "sklearn.svm.OneClassSVM"'),
        ({"ESTIMATOR": "Ridge", "PARAMS": "alpha=1"}, "params = 'alpha=1' is not a struct of named values, a list of"),
        ({"ESTIMATOR": "Ridge", "PARAMS": "[1]"}, "is not a struct of named values"),
        ({"ESTIMATOR": "Ridge", "PARAMS": [1]}, "is not a struct of named values"),
        ({"ESTIMATOR": "Ridge", "PARAMS": [("a", 1), ("a", 2)]}, "params names a parameter twice: a, a"),
        ({"ESTIMATOR": "Ridge", "L2_REG": 1.0}, "no option l2_reg in a sklearn"),
    ],
)
def test_options_that_are_refused(written, message):
    with pytest.raises(DefinitionError, match=message):
        resolve_options("SKLEARN", written)


@pytest.mark.parametrize(
    "params",
    [
        "struct(2.5 as alpha, false as fit_intercept, 'svd' as solver)",
        "[('alpha', 2.5), ('fit_intercept', false), ('solver', 'svd')]",
        "[struct('alpha', 2.5), struct('fit_intercept', false), struct('solver', 'svd')]",
        """'{"alpha": 2.5, "fit_intercept": false, "solver": "svd"}'""",
    ],
)
def test_params_are_written_in_one_of_these_ways(params):
    text = f"create model m options (model_type = 'sklearn', estimator = 'ridge', params = {params}) as select 1 as x"
    options = read_definition(text, name="m", place="m.sql").options
    assert options["ESTIMATOR"] == "sklearn.linear_model.Ridge"
    assert options["PARAMS"] == (("alpha", 2.5), ("fit_intercept", False), ("solver", "svd"))
    estimator = make_estimator(options["ESTIMATOR"], dict(options["PARAMS"]))
    assert isinstance(estimator, Ridge)
    assert (estimator.alpha, estimator.fit_intercept, estimator.solver) == (2.5, False, "svd")
    assert estimator.random_state == 0


def test_a_value_without_a_name_is_refused():
    text = "create model m options (model_type = 'sklearn', estimator = 'ridge', params = struct(1.0)) as select 1 as x"
    with pytest.raises(DefinitionError, match="params has a value without a name: 1"):
        read_definition(text, name="m", place="m.sql")


def test_every_estimator_of_the_list_is_there():
    for name, spec in ESTIMATORS.items():
        estimator = make_estimator(name, {})
        assert f"{type(estimator).__module__}".startswith(name.rpartition(".")[0])
        assert estimator.__sklearn_tags__().estimator_type == ("classifier" if spec.is_classifier else "regressor")
        assert is_classification("SKLEARN", {"ESTIMATOR": name}) == spec.is_classifier


def test_a_boosting_starts_where_scikit_learn_does(warehouse):
    parameters = trained(warehouse, "GradientBoostingClassifier", "yes", {"n_estimators": 3}).parameters
    train = TABLE.filter(pa.compute.equal(TABLE["split"], "train"))["yes"].to_numpy()
    assert parameters.trees.baselines == pytest.approx([math.log(train.mean() / (1 - train.mean()))])
    assert isinstance(make_estimator(parameters.estimator.name, {}), GradientBoostingClassifier)
    encoded = matrix_of(warehouse, parameters, "rows")
    # NULL is the mean of a number here: this estimator knows no missing values.
    assert not np.isnan(encoded).any()
    assert predict(parameters, encoded).score.shape == (N,)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("name", ["sklearn.svm.OneClassSVM"], 'names an unknown estimator "sklearn.svm.OneClassSVM"'),
        ("name", ["sklearn.svm.SVC"], "does not go with the file of the estimator"),
        ("link", ["probit"], 'names an unknown link "probit"'),
        ("link", ["log"], "has a link that does not fit a binary"),
    ],
)
def test_what_is_stored_is_checked(warehouse, column, value, message):
    tables = trained(warehouse, "DecisionTreeClassifier", "yes", {"max_depth": 2}).parameters.to_tables()
    stored = tables["estimator"]
    changed = stored.set_column(stored.schema.get_field_index(column), column, pa.array(value))
    with pytest.raises(ArtifactError, match=message):
        Parameters.from_tables({**tables, "estimator": changed})
    with pytest.raises(ArtifactError, match='the table "estimator" is missing'):
        Parameters.from_tables({name: found for name, found in tables.items() if name != "estimator"})


def test_a_project_trains_and_predicts(tiny):
    changed = "model_type = 'sklearn', estimator = 'DecisionTreeClassifier', params = struct(3 as max_depth)"
    edit(tiny, "models/churn.sql", "model_type = 'logistic_reg'", changed)
    (row,) = ok(tiny, "train", "churn", "--as-of", "2024-02-05", "--format", "json").rows
    assert row["held_out_roc_auc"] > 0.5
    ok(tiny, "predict", "churn", "--as-of", "2024-02-19")
    (found,) = rows(tiny, "select count(distinct score) as n from wml.request_log_churn")
    assert 1 < found["n"] <= 8
    edit(tiny, "models/churn.sql", "3 as max_depth", "3 as max_dept")
    done = wml(tiny, "train", "churn", "--as-of", "2024-02-05")
    assert (done.code, 'did you mean "max_depth"' in done.err) == (2, True)
