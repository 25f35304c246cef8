"""Explaining and looking into the model types that the shared project does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.functions.conftest import AS_OF
from tests.tiny import write, write_tiny
from tests.wml import ok
from warehouse_ml.errors import DefinitionError
from warehouse_ml.functions import Context, expand
from warehouse_ml.functions.call import Call, ModelName
from warehouse_ml.session import open_session

JOINED = """
select requests.amount, requests.visits, requests.region, labels.has_churned
from {{ ref('churn_requests') }} as requests
inner join {{ ref('churn_labels') }} as labels on requests.request_id = labels.request_id
"""
MODELS = {
    "sure": (
        "model_type = 'logistic_reg', input_label_cols = ['has_churned'], calculate_p_values = true, "
        "category_encoding_method = 'dummy_encoding'",
        JOINED,
    ),
    "counts": (
        "model_type = 'sklearn', estimator = 'sklearn.linear_model.PoissonRegressor', input_label_cols = ['visits']",
        "select amount, region, visits from {{ ref('churn_requests') }} where visits is not null",
    ),
    "stages": (
        "model_type = 'sklearn', estimator = 'sklearn.ensemble.GradientBoostingClassifier', "
        "params = struct(5 as n_estimators, 0.5 as subsample), input_label_cols = ['has_churned']",
        JOINED.replace("requests.visits", "coalesce(requests.visits, -1) as visits"),
    ),
    "groups": ("model_type = 'kmeans', num_clusters = 2", "select amount, visits from {{ ref('churn_requests') }}"),
    "parts": (
        "model_type = 'pca', num_principal_components = 1",
        "select amount, visits from {{ ref('churn_requests') }}",
    ),
}


@pytest.fixture(scope="module")
def further(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    root: Path = write_tiny(tmp_path_factory.mktemp("further") / "tiny")
    for name, (options, query) in MODELS.items():
        text = f"{{{{ config(requests='churn_requests') }}}}\ncreate or replace model {name}\noptions ({options}) as\n"
        write(root, f"models/{name}.sql", text + query)
        ok(root, "train", name, "--as-of", "2024-02-05")
    ok(root, "build", "--as-of", "2024-03-04")
    with open_session(root) as session:
        yield Context(session.warehouse, session.registry, AS_OF)


def ask(context: Context, sql: str) -> list[dict[str, Any]]:
    return context.warehouse.fetch(expand(sql, context, place="query").sql).to_pylist()


def parameters(context: Context, model: str) -> Any:
    return context.stored(Call("x", "query", model=ModelName(model))).parameters


def test_advanced_weights(further: Context) -> None:
    found = ask(further, "select * from ml.advanced_weights(model sure)")
    assert list(found[0]) == ["processed_input", "category", "weight", "standard_error", "p_value"]
    plain = ask(further, "select * from ml.weights(model sure)")
    expected = []
    for row in plain:
        pairs = row["category_weights"] or [{"category": None, "weight": row["weight"]}]
        expected += [(row["processed_input"], pair["category"], pair["weight"]) for pair in pairs]
    assert [(row["processed_input"], row["category"], row["weight"]) for row in found] == expected
    # A weight over its standard error is normal under the null hypothesis.
    from scipy.stats import norm

    sure = [row for row in found if row["p_value"] is not None]
    assert {(row["processed_input"], row["category"]) for row in found if row["p_value"] is None} == {
        ("region", next(row["category"] for row in found if row["category"] and row["weight"] == 0))
    }
    for row in sure:
        assert row["p_value"] == pytest.approx(2 * norm.sf(abs(row["weight"] / row["standard_error"])), rel=1e-9)
    scaled = ask(further, "select * from ml.advanced_weights(model sure, struct(true as standardize))")
    stddev = {feature.name: feature.stddev for feature in parameters(further, "sure").features}
    for before, after in zip(scaled, found, strict=True):
        if before["processed_input"] in ("amount", "visits"):
            assert after["weight"] == pytest.approx(before["weight"] / stddev[before["processed_input"]])
            ratio = before["standard_error"] / stddev[before["processed_input"]]
            assert after["standard_error"] == pytest.approx(ratio)
    assert scaled[-1]["processed_input"] == found[-1]["processed_input"] == "__INTERCEPT__"
    assert scaled[-1]["weight"] == parameters(further, "sure").linear.intercepts[0]


def test_a_log_link_is_explained_by_logarithms(further: Context) -> None:
    for row in ask(further, "select * from ml.explain_predict(model counts, table churn_requests)"):
        assert row["predicted_visits"] == pytest.approx(np.exp(row["prediction_value"]), rel=1e-12)
        total = row["baseline_prediction_value"] + sum(pair["attribution"] for pair in row["top_feature_attributions"])
        assert total == pytest.approx(row["prediction_value"], rel=1e-9, abs=1e-9)


def test_stages_of_drawn_rows_are_explained(further: Context) -> None:
    sql = "(select request_id, amount, coalesce(visits, -1) as visits, region from churn_requests)"
    for row in ask(further, f"select * from ml.explain_predict(model stages, {sql})"):
        total = row["baseline_prediction_value"] + sum(pair["attribution"] for pair in row["top_feature_attributions"])
        assert total == pytest.approx(row["prediction_value"], rel=1e-9, abs=1e-9)
    importances = ask(further, "select * from ml.feature_importance(model stages)")
    n_drawn = ask(
        further,
        "select sum(importance_weight) as n, max(importance_cover) as cover from ml.feature_importance(model stages)",
    )[0]
    trees = parameters(further, "stages").trees
    assert n_drawn["n"] == (trees.feature >= 0).sum()
    assert importances[0]["importance_gain"] > 0
    assert set(trees.cover[trees.offsets[:-1]]) == {int(0.5 * len(trained(further, "stages")))}


def trained(context: Context, model: str) -> list[dict[str, Any]]:
    path = context.registry.snapshot_path(context.stored(Call("x", "query", model=ModelName(model))).version)
    return context.warehouse.fetch(f"select * from read_parquet('{path}') where wml_split = 'train'").to_pylist()


def test_clusterings_and_projections(further: Context) -> None:
    for model in ("groups", "parts"):
        assert [row["input"] for row in ask(further, f"select * from ml.feature_info(model {model})")] == [
            "amount",
            "visits",
        ]
    steps = ask(further, "select * from ml.training_info(model groups)")
    assert [row["iteration"] for row in steps] == list(range(len(steps)))
    assert steps[0]["loss"] > 0
    assert [row["eval_loss"] for row in ask(further, "select * from ml.training_info(model parts)")] in ([], [None])
    # What a component adds on average is what the centre of the rows gives: nothing.
    linear = parameters(further, "parts").linear
    assert linear.intercepts[0] + sum(linear.expected[0]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("weights(model groups)", "groups is a kmeans", "for this one there is ml.centroids"),
        ("weights(model parts)", "parts is a pca", "for this one there is ml.principal_components and"),
        ("advanced_weights(model parts)", "parts is a pca", "for this one there is ml.principal_components and"),
        ("feature_importance(model groups)", "groups is a kmeans", "for this one there is ml.centroids"),
        ("advanced_weights(model counts)", "counts was trained without p-values", "calculate_p_values = true"),
        ("explain_predict(model groups, table churn_requests)", "ml.explain_predict explains regressions", ""),
        ("global_explain(model parts)", "ml.global_explain explains regressions and classifiers, and parts is", ""),
    ],
)
def test_what_cannot_be_answered_is_refused(further: Context, call: str, message: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        ask(further, f"select * from ml.{call}")
    assert message in caught.value.what
    assert hint in (caught.value.hint or "")
