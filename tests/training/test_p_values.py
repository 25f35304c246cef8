"""Standard errors and p-values against statsmodels, on the scale of the model and on that of the data."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm

from tests.tiny import edit
from tests.wml import ok
from warehouse_ml.errors import ArtifactError, DataError, DefinitionError
from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import Parameters
from warehouse_ml.scoring.storage_parts import weight_places
from warehouse_ml.training.fit import fit
from warehouse_ml.training.preprocessing import fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N = 500
ROWS = Relation("rows")
RNG = np.random.default_rng(4)
X = RNG.normal(3.0, 2.0, N)
Z = RNG.normal(-100.0, 30.0, N)
GROUP = np.array(["a", "b", "c"])[RNG.integers(0, 3, N)]
VALUE = 0.5 * X + 0.01 * Z + (GROUP == "b") + RNG.normal(size=N)
YES = np.median(VALUE) < VALUE
WEIGHT = RNG.integers(0, 4, N).astype(float)
REFERENCE = max("abc", key=lambda name: (name == GROUP).sum())
OTHERS = [name for name in "abc" if name != REFERENCE]


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


def trained(warehouse, model_type, y, *, weight=None, columns=None, **options):
    rows = {"x": X, "z": Z, "c": GROUP, "same": np.full(N, 7.0), **(columns or {})}
    n = len(y)
    rows = {name: column[:n] for name, column in rows.items()}
    warehouse.load(ROWS, pa.table({**rows, "y": y, "w": np.ones(n) if weight is None else weight, "k": range(n)}))
    warehouse.run("alter table rows add column split varchar default 'train'")
    features = infer_features(warehouse.columns("select * from rows"), exclude=["y", "w", "k", "split"])
    fitted = fit_preprocessing(warehouse, ROWS, features, "linear", split_column="split")
    written = {"CALCULATE_P_VALUES": True, "CATEGORY_ENCODING_METHOD": "DUMMY_ENCODING", **options}
    return fit(
        warehouse,
        ROWS,
        fitted,
        model_type=model_type,
        label="y",
        weight_column=None if weight is None else "w",
        options=resolve_options(model_type, written),
        split_column="split",
        order_by="k",
        place="m.sql",
    )


def design(*, standardised, intercept=True):
    numbers = [(c - c.mean()) / c.std() if standardised else c for c in (X, Z)]
    columns = [*numbers, *(np.where(name == GROUP, 1.0, 0.0) for name in OTHERS)]
    return np.column_stack([*([np.ones(N)] if intercept else []), *columns])


def estimated(parameters, name):
    """Return one measure of the weights that are estimated, in order: intercept, x, z, the two groups."""
    return [getattr(found, name) for found in parameters.p_values if found.p_value is not None]


def check(parameters, standardised, original):
    np.testing.assert_allclose(estimated(parameters, "standard_error"), standardised.bse, rtol=1e-7)
    np.testing.assert_allclose(estimated(parameters, "p_value"), standardised.pvalues, rtol=1e-5, atol=1e-300)
    np.testing.assert_allclose(estimated(parameters, "original_standard_error"), original.bse, rtol=1e-7)
    np.testing.assert_allclose(estimated(parameters, "original_p_value"), original.pvalues, rtol=1e-5, atol=1e-300)


def quiet(model):
    return model.fit(disp=0, method="newton", tol=1e-12, maxiter=100)


def test_linear_regression(warehouse):
    result = trained(warehouse, "LINEAR_REG", VALUE)
    parameters = result.parameters
    check(parameters, *(sm.OLS(VALUE, design(standardised=scale)).fit(use_t=False) for scale in (True, False)))
    intercept, *_ = parameters.linear.intercepts
    weights = sm.OLS(VALUE, design(standardised=True)).fit().params
    assert [intercept, *(slots[0] for slots in parameters.linear.weights[0][:2])] == pytest.approx(weights[:3])
    # The reference of a category and a constant column have weights of 0 that nothing was estimated for.
    places = dict(zip(weight_places(parameters), parameters.p_values, strict=True))
    reference = parameters.features[2].reference
    unknown = {place for place, found in places.items() if found.p_value is None}
    assert unknown == {(0, 2, reference - 1), (0, 3, 0)}
    assert result.parity.max_abs_difference < 1e-12


def test_logistic_regression(warehouse):
    result = trained(warehouse, "LOGISTIC_REG", YES)
    models = [quiet(sm.Logit(YES.astype(float), design(standardised=scale))) for scale in (True, False)]
    check(result.parameters, *models)
    assert result.parameters.linear.intercepts[0] == pytest.approx(models[0].params[0], rel=1e-8)
    assert result.warnings == []
    assert result.parity.n_decision_differences == 0


def test_a_weight_counts_as_so_many_rows(warehouse):
    """The oracle sees each row as often as its weight says; the model standardises by the rows as they are."""
    repeated = np.repeat(np.arange(N), WEIGHT.astype(int))
    matrices = [design(standardised=scale)[repeated] for scale in (True, False)]
    linear = trained(warehouse, "LINEAR_REG", VALUE, weight=WEIGHT).parameters
    check(linear, *(sm.OLS(VALUE[repeated], matrix).fit(use_t=False) for matrix in matrices))
    logistic = trained(warehouse, "LOGISTIC_REG", YES, weight=WEIGHT).parameters
    check(logistic, *(quiet(sm.Logit(YES[repeated].astype(float), matrix)) for matrix in matrices))


@pytest.mark.parametrize("model_type", ["LINEAR_REG", "LOGISTIC_REG"])
def test_without_an_intercept(warehouse, model_type):
    y = VALUE if model_type == "LINEAR_REG" else YES
    parameters = trained(warehouse, model_type, y, FIT_INTERCEPT=False).parameters
    matrix = design(standardised=True, intercept=False)
    model = (
        sm.OLS(y, matrix).fit(use_t=False) if model_type == "LINEAR_REG" else quiet(sm.Logit(y.astype(float), matrix))
    )
    np.testing.assert_allclose(estimated(parameters, "standard_error"), model.bse, rtol=1e-7)
    np.testing.assert_allclose(estimated(parameters, "p_value"), model.pvalues, rtol=1e-5)
    assert parameters.p_values[0].p_value is None
    assert parameters.linear.intercepts == (0.0,)


def test_a_missing_value_is_the_mean_and_a_missing_category_one_of_its_own(warehouse):
    missing = RNG.random(N) < 0.2
    columns = {"x": pa.array(X, mask=missing), "c": pa.array(GROUP, mask=missing)}
    parameters = trained(warehouse, "LINEAR_REG", VALUE, columns=columns).parameters
    x = np.where(missing, X[~missing].mean(), X)
    group = np.where(missing, "null", GROUP)
    names = [*parameters.features[2].categories, "null"]
    reference = names[parameters.features[2].reference - 1]
    dummies = [np.where(group == name, 1.0, 0.0) for name in names if name != reference]
    model = sm.OLS(VALUE, np.column_stack([np.ones(N), x, Z, *dummies])).fit(use_t=False)
    np.testing.assert_allclose(estimated(parameters, "original_standard_error"), model.bse, rtol=1e-7)
    np.testing.assert_allclose(estimated(parameters, "original_p_value"), model.pvalues, rtol=1e-5)


def test_rare_answers_and_collinear_columns_stay_exact(warehouse):
    near = X + RNG.normal(size=N) * 1e-3
    rare = np.quantile(VALUE, 0.97) < VALUE
    parameters = trained(warehouse, "LOGISTIC_REG", rare, columns={"z": near}).parameters
    columns = [(c - c.mean()) / c.std() for c in (X, near)]
    dummies = [np.where(name == GROUP, 1.0, 0.0) for name in OTHERS]
    model = quiet(sm.Logit(rare.astype(float), np.column_stack([np.ones(N), *columns, *dummies])))
    np.testing.assert_allclose(estimated(parameters, "standard_error"), model.bse, rtol=1e-5)
    np.testing.assert_allclose(estimated(parameters, "p_value"), model.pvalues, rtol=1e-4)


def test_nothing_is_computed_unless_asked_for(warehouse):
    parameters = trained(warehouse, "LINEAR_REG", VALUE, CALCULATE_P_VALUES=False).parameters
    assert parameters.p_values == ()
    assert "p_values" not in parameters.to_tables()


@pytest.mark.parametrize("model_type", ["LINEAR_REG", "LOGISTIC_REG"])
def test_the_weights_are_those_of_the_model_without_p_values(warehouse, model_type):
    y = VALUE if model_type == "LINEAR_REG" else YES
    asked = trained(warehouse, model_type, y).parameters.linear
    plain = trained(warehouse, model_type, y, CALCULATE_P_VALUES=False, MAX_ITERATIONS=1000).parameters.linear
    flat = [[x for slots in linear.weights[0] for x in slots] for linear in (asked, plain)]
    np.testing.assert_allclose(*flat, atol=1e-10 if model_type == "LINEAR_REG" else 1e-2)


def test_they_are_stored_and_checked(warehouse):
    parameters = trained(warehouse, "LOGISTIC_REG", YES).parameters
    tables = parameters.to_tables()
    assert Parameters.from_tables(tables) == parameters
    table = tables["p_values"]
    assert table.column_names[:5] == ["output", "feature", "slot", "standard_error", "p_value"]
    assert table.select(["output", "feature", "slot"]).equals(
        tables["coefficients"].select(["output", "feature", "slot"])
    )

    def changed(column, value):
        values = table[column].to_pylist()
        values[0] = value
        index = table.schema.get_field_index(column)
        return {
            **tables,
            "p_values": table.set_column(index, column, pa.array(values, table.schema.field(column).type)),
        }

    for column, value, message in [
        ("p_value", 1.5, "has a p-value above 1"),
        ("standard_error", -1.0, "has an impossible number"),
        ("standard_error", None, "knows a weight in part"),
        ("slot", 3, "does not have one row for each weight"),
    ]:
        with pytest.raises(ArtifactError, match=message):
            Parameters.from_tables(changed(column, value))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"CATEGORY_ENCODING_METHOD": "ONE_HOT_ENCODING"}, "needs category_encoding_method = 'dummy_encoding'"),
        ({"L2_REG": 0.1}, "calculate_p_values needs a fit without a penalty"),
        ({"L1_REG": 0.1}, "calculate_p_values needs a fit without a penalty"),
    ],
)
@pytest.mark.parametrize("model_type", ["LINEAR_REG", "LOGISTIC_REG"])
def test_options_that_are_refused(model_type, written, message):
    asked = {"CALCULATE_P_VALUES": True, "CATEGORY_ENCODING_METHOD": "DUMMY_ENCODING", **written}
    with pytest.raises(DefinitionError, match=message):
        resolve_options(model_type, asked)


def test_rows_that_are_refused(warehouse):
    with pytest.raises(DataError, match="calculate_p_values needs two classes, and the label has 3"):
        trained(warehouse, "LOGISTIC_REG", GROUP)
    with pytest.raises(DataError, match=r'a column of "(x|z)" is determined by the other columns'):
        trained(warehouse, "LINEAR_REG", VALUE, columns={"z": 2 * X + 1})
    with pytest.raises(DataError, match=r'a column of "(c|d)" is determined by the other columns'):
        trained(warehouse, "LOGISTIC_REG", YES, columns={"d": np.char.upper(GROUP)})
    with pytest.raises(DataError, match="5 rows are too few to say how sure 5 weights are"):
        trained(warehouse, "LINEAR_REG", VALUE[[*range(5)]], columns={"c": np.array(["a", "b", "c", "a", "b"])})
    with pytest.raises(DataError, match="the fit has not converged, and p-values would say nothing"):
        trained(warehouse, "LOGISTIC_REG", YES, MAX_ITERATIONS=1)


def test_classes_that_a_column_parts_are_told(warehouse):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = trained(warehouse, "LOGISTIC_REG", X > 3)
        except DataError as error:
            assert "the fit has not converged" in str(error)  # noqa: PT017 - either way it is told
        else:
            assert "some fitted probabilities are 0 or 1" in result.warnings[0]


def test_a_project_keeps_them(tiny):
    options = (
        "calculate_p_values = true,\n    category_encoding_method = 'dummy_encoding',\n    data_split_method = 'seq'"
    )
    edit(tiny, "models/churn.sql", "data_split_method = 'seq'", options)
    (row,) = ok(tiny, "train", "churn", "--as-of", "2024-02-05", "--format", "json").rows
    stored = tiny / "artifacts" / "churn" / str(row["version"]) / "parameters" / "p_values.parquet"
    assert stored.is_file()
