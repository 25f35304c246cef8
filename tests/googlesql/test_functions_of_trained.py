"""Models trained on each engine by itself, with TRANSFORM, weights, p-values and trials: both answer alike of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.googlesql.both import Both, playing, same_rows
from tests.tiny import edit, write
from tests.wml import ok

AS_OF = "2024-02-05"
_SAID = "input_label_cols = ['has_churned'], data_split_method = 'seq', data_split_col = 'requested_at'"
_FROM = """\
from {{ ref('churn_requests') }} as requests
inner join {{ ref('churn_labels') }} as labels on requests.request_id = labels.request_id
"""
_COLUMNS = "requests.amount, requests.visits, requests.region, requests.requested_at, labels.has_churned"
_TRANSFORM = """\
transform (
    ml.standard_scaler(ml.imputer(amount, 'mean') over ()) over () as amount_scaled,
    ml.quantile_bucketize(visits, 4) over () as visits_band,
    ml.one_hot_encoder(region, 'none', 32000, 0) over () as region,
    ml.feature_cross(struct(region, cast(visits > 10 as {{ type('string') }}) as busy)) as crossed,
    case when visits > 10 then amount / nullif(visits, 0) else 0e0 end as spend,
    amount - avg(amount) over () as more_than_usual,
    {{ weekday('requested_at') }} as weekday,
    extract(hour from requested_at) as hour,
    has_churned,
    requested_at
)
"""
MODELS = {
    "mixed": (_TRANSFORM, "model_type = 'logistic_reg', l2_reg = 0.5", _COLUMNS),
    "weighed": (
        "",
        "model_type = 'logistic_reg', auto_class_weights = true, instance_weight_col = 'importance', "
        "calculate_p_values = true, category_encoding_method = 'dummy_encoding'",
        f"{_COLUMNS}, 1e0 + coalesce(requests.visits, 0) / 10e0 as importance",
    ),
    "tuned": (
        "",
        "model_type = 'logistic_reg', class_weights = [('true', 9.0), ('false', 1.0)], num_trials = 2, "
        "l2_reg = hparam_range(0.01, 10)",
        _COLUMNS,
    ),
}
_OF_DUCKDB = "mixed_trees"
ASKED = "(select request_id, amount, visits, region, requested_at from churn_requests)"
LABELLED = """(
    select r.amount, r.visits, r.region, r.requested_at, l.has_churned
    from churn_requests as r inner join churn_labels as l on r.request_id = l.request_id
)"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Train every model on each engine by itself, and one of trees on DuckDB alone."""
    with playing(Both(tmp_path_factory.mktemp("trained"), 150)) as both:
        trees = (_TRANSFORM, "model_type = 'boosted_tree_classifier', max_iterations = 4", _COLUMNS)
        for name, (transform, options, columns) in {**MODELS, _OF_DUCKDB: trees}.items():
            said = f"create or replace model {name}\n{transform}options ({options}, {_SAID}) as\n"
            text = f"{{{{ config(requests='churn_requests', threshold=0.4) }}}}\n{said}select {columns}\n{_FROM}"
            for folder in (both.duckdb, both.bigquery):
                write(folder, f"models/{name}.sql", text)
                if (name, folder) != (_OF_DUCKDB, both.bigquery):
                    ok(folder, "train", name, "--as-of", AS_OF)
        yield both


def asked(both: Both, query: str) -> list[dict[str, Any]]:
    """Ask each engine of the model that it trained itself; return the rows, which are the same."""
    ours, theirs = (_flat(done.rows) for done in both.run("query", query, "--format", "json"))
    same_rows(ours, theirs, within=1e-8)
    return ours


def _flat(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(_leaves("", row)) for row in rows]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{name}.{key}", part)
    elif isinstance(value, list):
        yield f"{name}[]", len(value)
        for index, part in enumerate(value):
            yield from _leaves(f"{name}[{index}]", part)
    else:
        yield name, value


@pytest.mark.parametrize("model", MODELS)
def test_predictions_and_evaluations(both: Both, model: str) -> None:
    assert len(asked(both, f"select * from ml.predict(model {model}, {ASKED})")) > 100
    assert asked(both, f"select * from ml.evaluate(model {model}, {LABELLED})")
    assert asked(both, f"select * from ml.evaluate(model {model})")


def test_what_transform_makes(both: Both) -> None:
    (row, *_) = asked(both, f"select * from ml.transform(model mixed, {LABELLED})")
    assert {".amount_scaled", ".visits_band", ".spend", ".weekday", ".has_churned"} <= set(row)
    assert asked(both, f"select * from ml.explain_predict(model mixed, {ASKED}, struct(3 as top_k_features))")


WHAT_IS_KNOWN = {
    "mixed": ("feature_info", "weights", "global_explain", "confusion_matrix"),
    "weighed": ("weights", "advanced_weights", "roc_curve"),
    "tuned": ("weights", "trial_info", "roc_curve"),
}


@pytest.mark.parametrize(
    ("model", "function"), [(model, name) for model in WHAT_IS_KNOWN for name in WHAT_IS_KNOWN[model]]
)
def test_what_is_known_of_a_model(both: Both, model: str, function: str) -> None:
    assert asked(both, f"select * from ml.{function}(model {model})")


def test_weights_count(both: Both) -> None:
    """A class of weight 9 is predicted more often than one without."""
    counts = {
        model: sum(
            bool(row[".predicted_has_churned"])
            for row in asked(both, f"select predicted_has_churned from ml.predict(model {model}, {ASKED})")
        )
        for model in ("mixed", "weighed", "tuned")
    }
    assert counts["mixed"] < counts["weighed"]
    assert counts["mixed"] < counts["tuned"]


@pytest.mark.parametrize(("model", "trained_on"), [("mixed", "duckdb"), ("mixed", "bigquery"), (_OF_DUCKDB, "duckdb")])
def test_a_version_with_a_transform_answers_where_it_was_not_trained(both: Both, model: str, trained_on: str) -> None:
    home, other = (both.duckdb, both.bigquery) if trained_on == "duckdb" else (both.bigquery, both.duckdb)
    away = other / "artifacts"
    away.rename(other / "kept")
    shutil.copytree(home / "artifacts", away)
    try:
        for query in (
            f"select * from ml.predict(model {model}, {ASKED})",
            f"select * from ml.transform(model {model}, {LABELLED})",
            f"select * from ml.evaluate(model {model}, {LABELLED})",
        ):
            answers = [_flat(ok(folder, "query", query, "--format", "json").rows) for folder in (home, other)]
            same_rows(*answers, within=1e-9)
            assert answers[0]
        # What is shown for the target is what runs there.
        assert ("`" in ok(other, "compile", f"{model}@1").out) == (trained_on == "duckdb")
    finally:
        shutil.rmtree(away)
        (other / "kept").rename(away)


def test_requests_are_answered_by_a_version_of_the_other_engine(tmp_path: Path) -> None:
    """What ``wml copy`` takes along goes on there: the same log, and the same scores when it is asked again."""
    with playing(Both(tmp_path, 260)) as both:
        both.write(lambda folder: edit(folder, "models/churn.sql", "options (", f"{_TRANSFORM}options ("))
        ok(both.duckdb, "train", "churn", "--as-of", "2024-01-07")
        shutil.copytree(both.duckdb / "artifacts", both.bigquery / "artifacts", dirs_exist_ok=True)
        both.run("predict", "churn", "--as-of", "2024-01-11")
        assert both.agree("wml.request_log_churn", but=("logged_at", "predicted_at", "definition_hash")) > 50
        for done in both.run("replay", "--model", "churn", "--all"):
            assert "96 answers of 1 version replayed: 0 differences" in done.out + done.err
