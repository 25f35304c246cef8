"""The ``ml.*`` table functions: the same versions asked on DuckDB and on GoogleSQL's reference implementation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.googlesql.asking import Asking, asking
from warehouse_ml.errors import DataError, WmlError
from warehouse_ml.functions import expand, placing

PROVES = (
    "functions/confusion_matrix.sql",
    "functions/entity_features_at_time.sql",
    "functions/evaluate_classes.sql",
    "functions/evaluate_clusters.sql",
    "functions/evaluate_rows.sql",
    "functions/explained.sql",
    "functions/feature_info.sql",
    "functions/features_at_time.sql",
    "functions/keep.sql",
    "functions/labelled.sql",
    "functions/numbered.sql",
    "functions/predict.sql",
    "functions/roc_curve.sql",
    "functions/scored.sql",
    "functions/scored_arrays.sql",
    "functions/scored_input.sql",
    "functions/snapshot_rows.sql",
    "functions/strange_labels.sql",
    "functions/trained_rows.sql",
)

MODELS = ("churn_transform", "churn_upper", "churn_wood", "amount_linear", "region_linear", "groups", "axes")
ROWS = "(select request_id, amount, visits, region, requested_at from churn_requests)"
LABELLED = """(
    select r.amount, r.visits, r.region, r.requested_at, l.has_churned
    from churn_requests as r inner join churn_labels as l on r.request_id = l.request_id
)"""
FEATURES = """(
    select region as entity_id, requested_at as feature_timestamp, amount, visits from churn_requests
    union all select region, requested_at, amount - 1e0, null from churn_requests where visits > 10
)"""
ASKED = "(select region as entity_id, visits_known_at as time from churn_requests where amount < 20)"


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("functions") / "tiny", MODELS, n_events=150) as project:
        yield project


@pytest.mark.parametrize("model", ["churn", *(model for model in MODELS if model != "churn_upper")])
def test_predictions(ask: Asking, model: str) -> None:
    found = ask.agree(f"select * from ml.predict(model {model}, {ROWS})")
    assert len(found) == 150


def test_the_threshold_and_the_columns_are_the_callers(ask: Asking) -> None:
    found = ask.agree(
        f"select * from ml.predict(model churn, {ROWS}, struct(0.9 as threshold, false as keep_original_columns))"
    )
    assert next(iter(found[0])) == "predicted_has_churned"
    assert "amount" not in found[0]


def test_what_transform_makes(ask: Asking) -> None:
    found = ask.agree(f"select * from ml.transform(model churn_transform, {ROWS})")
    assert len(found) == 150
    assert {"amount_scaled", "visits_band", "hour"} <= set(found[0])


@pytest.mark.parametrize("function", ["predict", "transform"])
def test_a_transform_that_the_other_engine_reads_otherwise_is_refused(ask: Asking, function: str) -> None:
    with pytest.raises(
        DataError, match=r"churn_upper.sql:5:5: .*BigQuery does not read all of it alike: UPPER"
    ) as told:
        ask.text(f"select * from ml.{function}(model churn_upper, {ROWS})")
    assert told.value.hint == "train the model on BigQuery"


@pytest.mark.parametrize("model", ["churn", "churn_transform", "churn_wood", "amount_linear", "region_linear"])
def test_explanations(ask: Asking, model: str) -> None:
    found = ask.agree(f"select * from ml.explain_predict(model {model}, {ROWS}, struct(2 as top_k_features))")
    assert len(found) == 150
    assert found[0]["top_feature_attributions[]"] == 2
    assert ask.agree(f"select * from ml.global_explain(model {model})")


@pytest.mark.parametrize(
    "call",
    [
        f"model churn, {LABELLED}",
        f"model churn_transform, {LABELLED}",
        "model churn_transform",
        "model amount_linear",
        "model region_linear",
    ],
)
def test_evaluations(ask: Asking, call: str) -> None:
    (found,) = ask.agree(f"select * from ml.evaluate({call})")
    assert all(value is not None for value in found.values())


def test_evaluations_without_a_label(ask: Asking) -> None:
    (found,) = ask.agree(f"select * from ml.evaluate(model groups, {ROWS})")
    assert found["mean_squared_distance"] > 0
    (found,) = ask.agree("select * from ml.evaluate(model axes)")
    assert found["total_explained_variance_ratio"] > 0


@pytest.mark.parametrize(
    "call", ["model churn", f"model churn_wood, {LABELLED}", f"model churn, {LABELLED}, [0.2, 0.5]"]
)
def test_roc_curves(ask: Asking, call: str) -> None:
    found = ask.agree(f"select * from ml.roc_curve({call})")
    assert len(found) > 1


@pytest.mark.parametrize("call", [f"model churn, {LABELLED}, struct(0.3 as threshold)", "model region_linear"])
def test_confusion_matrices(ask: Asking, call: str) -> None:
    found = ask.agree(f"select * from ml.confusion_matrix({call})")
    assert len(found) > 1


LEARNED = {
    "churn": ("feature_info", "weights", "training_info"),
    "churn_transform": ("feature_info", "weights"),
    "churn_wood": ("feature_importance", "training_info"),
    "region_linear": ("weights",),
    "groups": ("centroids", "feature_info"),
    "axes": ("principal_components", "principal_component_info"),
}


@pytest.mark.parametrize("model", LEARNED)
def test_what_a_version_has_learned(ask: Asking, model: str) -> None:
    for function in LEARNED[model]:
        assert ask.agree(f"select * from ml.{function}(model {model})")


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize("ignored", ["false", "true"])
def test_features_at_a_time(ask: Asking, n_rows: int, ignored: str) -> None:
    settings = f"num_rows => {n_rows}, ignore_feature_nulls => {ignored}"
    at = "time => timestamp '2024-01-05 00:00:00+00'"
    assert len(ask.agree(f"select * from ml.features_at_time({FEATURES}, {at}, {settings})")) == 3 * n_rows
    assert ask.agree(f"select * from ml.entity_features_at_time({FEATURES}, {ASKED}, {settings})")


def test_the_time_may_be_a_query_that_asks_a_model_itself(ask: Asking) -> None:
    at = f"(select max(requested_at) from ml.predict(model churn, {ROWS}) where amount < 50)"
    assert len(ask.agree(f"select * from ml.features_at_time({FEATURES}, time => {at})")) == 3


# What a user of BigQuery writes around a call: only the call is replaced, the rest is sent as it is.
AWKWARD = {
    "comments": (
        "# of BigQuery\nselect /* ml.predict(model nobody) */ count(*) as n -- ml.predict(\n",
        "from",
        "# the end",
    ),
    "backticks": (
        "select p.`amount` as `order`, 'ml.weights(model x)' as `from` ",
        "from",
        " as p where `amount` > 50",
    ),
    "texts": (
        r"""select r'\d+' as a, "it's" as b, '''x "y" z''' as c, 'it\'s' as d, b'\x00' as e, """
        + r'"""ml.x(""" as f, amount ',
        "from",
        "",
    ),
    "except and replace": (
        "select * except (visits, predicted_has_churned_probs) replace (amount * 2 as amount) ",
        "from",
        "",
    ),
    "arrays and structs": (
        "select [1, 2, 3][offset(0)] as a, struct(1 as x, 'y' as y).x as b, "
        "array(select as struct u.prob from unnest(p.predicted_has_churned_probs) as u order by u.prob) as c ",
        "from",
        " as p, unnest([1, 2]) as i with offset as o",
    ),
    "qualify and a named window": (
        "select request_id, row_number() over w as place ",
        "from",
        " where true qualify row_number() over (partition by region order by amount desc) <= 2 "
        "window w as (partition by region order by amount desc, request_id)",
    ),
    "pipes": (
        "from churn_requests |> where amount > 20 |> select request_id |> join ",
        "",
        " as p using (request_id) |> aggregate count(*) as n group by region |> order by region",
    ),
    "pipes after named queries": (
        "with few as (select * from churn_requests where amount < 30) from few |> where visits > 3 |> join ",
        "",
        " as p using (request_id) |> select p.predicted_has_churned, few.amount",
    ),
    "what sqlglot would write otherwise": (
        "select safe_divide(amount, 0) as a, if(region = 'north', 1, 0) as b, safe.ln(-1) as c, "
        "amount is distinct from 1 as e ",
        "from",
        " where region not in unnest(['south'])",
    ),
    "named queries": (
        "with few as (select * from churn_requests where amount < 30), more as (select * from few) "
        "select (select count(*) from more) as m, count(*) as n ",
        "from",
        "",
    ),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_the_users_own_sql_is_sent_as_it_is(ask: Asking, case: str) -> None:
    before, word, after = AWKWARD[case]
    before = f"{before}{word} "
    read = "few" if "few" in before else "churn_requests"
    written = f"{before}ml.predict(model churn, table {read}){after}"
    sql = expand(written, ask.bigquery, place="query").sql
    assert sql.startswith(before)
    assert sql.endswith(after)
    assert sql[len(before) :].startswith("(\n")
    assert ask.bigquery.warehouse.fetch(sql).num_rows > 0


MISTAKES = {
    "two statements": (
        "select * from ml.weights(model churn);\nselect 2",
        "query:2:1: one statement expected, found 2",
    ),
    "a column": (
        "select\n  p.amont\nfrom ml.predict(model churn, table churn_requests) as p",
        "query: ",
    ),
    "DuckDB's own words": ("select * exclude (weight) from ml.weights(model churn)", "query"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_at_their_place(ask: Asking, case: str) -> None:
    written, told = MISTAKES[case]

    def asked() -> None:
        query = expand(written, ask.bigquery, place="query")
        with placing(query, ask.bigquery.warehouse):
            ask.bigquery.warehouse.fetch(query.sql)

    with pytest.raises(WmlError) as caught:
        asked()
    assert str(caught.value).startswith(told)
