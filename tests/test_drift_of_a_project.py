"""Drift and the search, from the files of a project: what they are compared with, and what is told beside."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from scipy.stats import ks_2samp

from tests.tiny import END, SPLIT, edit
from tests.wml import ok, rows, wml
from warehouse_ml.scoring import importances
from warehouse_ml.scoring.features import FittedFeature
from warehouse_ml.scoring.parameters import Linear, Parameters
from warehouse_ml.session import open_session


@pytest.fixture
def evaluated(tiny: Path) -> Path:
    ok(tiny, "train", "churn", "--as-of", SPLIT.isoformat())
    ok(tiny, "evaluate", "--as-of", END.isoformat())
    return tiny


def test_predictions_are_compared_with_those_of_the_held_out_rows(evaluated: Path) -> None:
    (found,) = rows(
        evaluated,
        "select value, n_reference, n_current, importance, reference from wml.drift "
        "where kind = 'prediction' and metric = 'kolmogorov_smirnov' and window_start = '2024-02-12'",
    )
    asked = rows(
        evaluated,
        "select score from wml.request_log_churn where requested_at >= '2024-02-12' and requested_at < '2024-02-19'",
    )
    path = next((evaluated / "artifacts").rglob("snapshot.parquet"))
    with duckdb.connect() as connection:
        sql = f"select amount, visits, region from '{path}' where wml_split = 'eval'"
        connection.sql(sql).write_parquet(str(evaluated / "data" / "held_out.parquet"))
    held_out = rows(
        evaluated,
        "select predicted_has_churned_probs from ml.predict(model churn, "
        f"(select * from read_parquet('{evaluated / 'data' / 'held_out.parquet'}')))",
    )
    expected = [next(p["prob"] for p in row["predicted_has_churned_probs"] if p["label"]) for row in held_out]
    assert (found["n_reference"], found["n_current"]) == (len(held_out), len(asked))
    assert found["value"] == pytest.approx(ks_2samp(expected, [row["score"] for row in asked]).statistic, abs=1e-12)
    assert (found["importance"], found["reference"]) == (None, "training")


def test_labels_are_compared_with_those_trained_on(evaluated: Path) -> None:
    path = next((evaluated / "artifacts").rglob("snapshot.parquet"))
    with duckdb.connect() as connection:
        (trained,) = connection.execute(
            f"select avg(has_churned::int) from '{path}' where wml_split = 'train'"
        ).fetchone() or (None,)
    (found,) = rows(
        evaluated,
        "select drift.value, metrics.value as prevalence from wml.drift inner join wml.latest_metrics as metrics "
        "using (evaluation_id) where kind = 'label' and drift.metric = 'l_infinity' and metrics.metric = 'prevalence' "
        "and slice_key = 'overall' and drift.window_start = '2024-02-12'",
    )
    assert found["value"] == pytest.approx(abs(trained - found["prevalence"]), abs=1e-12)


def test_the_importance_of_an_input_stands_beside_its_drift(evaluated: Path) -> None:
    with open_session(evaluated) as session:
        (version,) = session.registry.versions("churn")
        expected = importances(session.registry.load(version).parameters)
    found = rows(evaluated, "select distinct input, importance from wml.drift where kind = 'input'")
    assert {row["input"]: row["importance"] for row in found} == pytest.approx(expected)
    assert sum(expected.values()) == pytest.approx(1)


def test_the_importance_of_weights() -> None:
    features = (
        FittedFeature("x", "number", "standard", stddev=2.0),
        FittedFeature("constant", "number", "standard"),
        FittedFeature("c", "category", "one_hot", categories=("a", "b")),
    )
    linear = Linear((0.0,), (((-3.0,), (9.0,), (0.5, 2.5)),), ((0.0, 0.0, 0.0),))
    parameters = Parameters("LINEAR_REG", "regression", "y", "DOUBLE", (), features, linear=linear)
    assert importances(parameters) == {"x": 0.75, "constant": 0.0, "c": 0.25}
    raw = (FittedFeature("x", "number", "double"),)
    linear = Linear((0.0,), (((1.0,),),), ((0.0,),))
    assert importances(Parameters("SKLEARN", "regression", "y", "DOUBLE", (), raw, linear=linear)) == {}


def test_the_window_before_is_read_though_it_is_closed(tiny: Path) -> None:
    edit(tiny, "sql/evaluation/churn.sql", "window='week'", "window='week', drift_reference='previous'")
    ok(tiny, "run", "--since", SPLIT.isoformat(), "--as-of", END.isoformat())
    found = rows(
        tiny,
        "select drift.kind, drift.window_start, drift.value, n_reference, n_current from wml.drift "
        "inner join wml.evaluations using (evaluation_id) where metric = 'psi' and input in ('(label)', 'amount') "
        "and is_mature and drift.window_start = '2024-02-19' order by kind",
    )
    assert [(row["kind"], row["n_reference"], row["n_current"]) for row in found] == [
        ("input", 168, 168),
        ("label", 168, 168),
    ]
    assert all(row["value"] is not None for row in found)


def test_a_search_is_asked_for(evaluated: Path) -> None:
    edit(evaluated, "sql/evaluation/churn.sql", "answers.region\n", "answers.region, answers.amount, 'x' as same\n")
    edit(evaluated, "sql/evaluation/churn.sql", "window='week'", "window='week', search=['amount', 'region', 'same']")
    done = wml(evaluated, "evaluate", "--search", "--as-of", END.isoformat())
    assert done.code == 0
    assert '"same" has the same value in every row' in done.err
    assert rows(evaluated, "select count(*) as n from wml.worst_slices where p_adjusted > 0.05") == [{"n": 0}]
    edit(evaluated, "sql/evaluation/churn.sql", "'region', 'same'", "'regoin'")
    done = wml(evaluated, "evaluate", "--search", "--as-of", END.isoformat())
    assert done.code == 2
    assert 'no column "regoin" to search' in done.err
