"""Several classes, numbers and weights with `trainer = 'bigquery_ml'`: what is sent, logged and measured.

What the models answer is played (see ml.py); the log and the metrics are compared with plain Python over the same rows.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.googlesql.both import Both
from tests.googlesql.ml import BINARY, REGRESSION
from tests.googlesql.native import AS_OF, LATER, TRAINER, made, native_project, train
from tests.tiny import edit, write
from tests.wml import ok, wml
from warehouse_ml.registry import Registry

PROVES = ("training/native_rows.sql", "training/native_evaluate.sql", "requests/native_scored.sql")

PLACES = ("east", "north", "south")
SHARES = {
    "'east'": "0.2e0",
    "'north'": "if(coalesce(amount, 0e0) < 50e0, 0.7e0, 0.1e0)",
    "'south'": "if(coalesce(amount, 0e0) < 50e0, 0.1e0, 0.7e0)",
}
MODEL = """\
{{{{ config(requests='churn_requests') }}}}
create model {name}
options (trainer = 'bigquery_ml', model_type = '{kind}', input_label_cols = ['{label}']{more}) as
select requests.amount, {selected}
from {{{{ ref('churn_requests') }}}} as requests
"""
EVALUATION = """\
{{{{ config(model='{name}', task='{task}', window='week', maturity='3 days', min_slice_size=0) }}}}
select
    answers.request_id,
    answers.requested_at,
    answers.version as model_version,
    answers.{answer},
    {label} as label,
    answers.requested_at as label_known_at
from {{{{ request_log('{name}') }}}} as answers
inner join {{{{ ref('churn_requests') }}}} as requests on answers.request_id = requests.request_id
"""


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Both]:
    answers: dict[str, str | dict[str, str]] = {"place": SHARES, "spent": "coalesce(amount, 0e0) * 2e0 + 1e0"}
    with native_project(tmp_path, answers) as both:
        (both.bigquery / "models" / "churn.sql").unlink()
        (both.bigquery / "sql" / "evaluation" / "churn.sql").unlink()
        yield both


def asked(native: Both) -> list[dict[str, Any]]:
    """Return what was asked between the two clocks, from the file of events."""
    since, until = (dt.datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (AS_OF, LATER))
    events = pq.read_table(native.bigquery / "data" / "events.parquet").to_pylist()
    return [event for event in events if since <= event["requested_at"] < until]


def metrics(native: Both, name: str) -> dict[str, Any]:
    ok(native.bigquery, "build", "--as-of", LATER)
    ok(native.bigquery, "predict", name, "--as-of", LATER)
    ok(native.bigquery, "evaluate", "--as-of", LATER)
    rows = native.warehouse.fetch(
        "select metric, value, n from wml.metrics where slice_key = 'overall' and version = 1"
    ).to_pylist()
    assert {row["n"] for row in rows if row["metric"] == "accuracy"} <= {72}
    return {row["metric"]: row["value"] for row in rows}


def test_several_classes(native: Both) -> None:
    text = MODEL.format(name="place", kind="logistic_reg", label="place", more="", selected="requests.region as place")
    write(native.bigquery, "models/place.sql", text)
    write(
        native.bigquery,
        "sql/evaluation/place.sql",
        EVALUATION.format(name="place", task="multiclass", answer="prediction", label="requests.region"),
    )
    row = train(native, model="place")
    assert (row["alias"], row["n_eval"]) == ("champion", 0)
    version = Registry(native.bigquery / "artifacts").get("place", "1")
    # BigQuery ML averages over the classes what has one value a class.
    assert set(version.metrics) == {
        *("precision_macro", "recall_macro", "f1_macro"),
        *(name for name in BINARY if name not in ("precision", "recall", "f1_score")),
    }
    facts = json.loads((native.bigquery / "artifacts" / "place" / "1" / "facts.json").read_text())
    assert facts["native"]["classes"] == list(PLACES)
    assert facts["native"]["task"] == "multiclass"
    found = metrics(native, "place")
    events = asked(native)
    expected = {event["request_id"]: ("north" if event["amount"] < 50 else "south", 0.7) for event in events}
    logged = native.warehouse.fetch("select * from wml.request_log_place").to_pylist()
    assert {line["request_id"]: (line["prediction"], line["score"]) for line in logged} == expected
    assert all(line["threshold"] is None for line in logged)
    hits = sum(event["region"] == expected[event["request_id"]][0] for event in events)
    assert found["accuracy"] == pytest.approx(hits / len(events))
    recalls = [
        sum(expected[event["request_id"]][0] == place for event in events if event["region"] == place)
        / sum(event["region"] == place for event in events)
        for place in PLACES
    ]
    assert found["recall_macro"] == pytest.approx(sum(recalls) / 3)
    assert found["recall[north]"] == pytest.approx(recalls[1])


def test_the_probability_of_each_class_is_there(native: Both) -> None:
    """The log keeps that of the predicted class; `ml.predict` gives all of them, the likeliest first."""
    write(
        native.bigquery,
        "models/place.sql",
        MODEL.format(name="place", kind="logistic_reg", label="place", more="", selected="requests.region as place"),
    )
    train(native, model="place")
    query = (
        "select predicted_place, predicted_place_probs, amount from"
        " ml.predict(model place, (select 20e0 as amount union all select 80e0)) order by amount"
    )
    first, second = ok(native.bigquery, "query", query, "--format", "json").rows
    assert (first["predicted_place"], second["predicted_place"]) == ("north", "south")
    probs = first["predicted_place_probs"]
    probs = json.loads(probs) if isinstance(probs, str) else probs
    assert [each["label"] for each in probs] == ["north", "east", "south"]
    assert math.fsum(each["prob"] for each in probs) == pytest.approx(1.0)


def test_a_number(native: Both) -> None:
    write(
        native.bigquery,
        "models/spent.sql",
        MODEL.format(
            name="spent",
            kind="boosted_tree_regressor",
            label="spent",
            more="",
            selected="requests.amount + 5e0 as spent",
        ),
    )
    write(
        native.bigquery,
        "sql/evaluation/spent.sql",
        EVALUATION.format(name="spent", task="regression", answer="score", label="requests.amount + 5e0"),
    )
    train(native, model="spent")
    assert set(Registry(native.bigquery / "artifacts").get("spent", "1").metrics) == set(REGRESSION)
    found = metrics(native, "spent")
    errors = [2 * event["amount"] + 1 - (event["amount"] + 5) for event in asked(native)]
    assert found["mean_absolute_error"] == pytest.approx(sum(map(abs, errors)) / 72)
    assert found["root_mean_squared_error"] == pytest.approx(math.sqrt(sum(error**2 for error in errors) / 72))


def test_weights_are_sent_to_trees_and_to_nothing_else(native: Both) -> None:
    weighted = MODEL.format(
        name="spent",
        kind="boosted_tree_regressor",
        label="spent",
        more=", instance_weight_col = 'weight'",
        selected="requests.amount + 5e0 as spent, 1 + coalesce(requests.visits, 0) as weight",
    )
    write(native.bigquery, "models/spent.sql", weighted)
    train(native, model="spent")
    (sent,) = made(native).sent
    assert "instance_weight_col = 'weight'" in sent
    # A request has no weight, so that a prediction must do without.
    facts = json.loads((native.bigquery / "artifacts" / "spent" / "1" / "facts.json").read_text())
    assert facts["native"]["inputs"] == [["amount", "number"]]
    ok(native.bigquery, "build", "--as-of", LATER)
    ok(native.bigquery, "predict", "spent", "--as-of", LATER)
    lines = native.warehouse.fetch("select score, amount from wml.request_log_spent").to_pylist()
    assert len(lines) == 72
    assert all(line["score"] == line["amount"] * 2 + 1 for line in lines)
    edit(native.bigquery, "models/spent.sql", "boosted_tree_regressor", "linear_reg")
    done = wml(native.bigquery, "train", "spent", "--as-of", AS_OF)
    assert done.code == 2
    assert "models/spent.sql:3" in done.err
    assert "BigQuery ML has no instance_weight_col in a linear_reg" in done.err
    assert "take a boosted tree" in done.err
    edit(native.bigquery, "models/spent.sql", "'weight'", "'wait'")
    edit(native.bigquery, "models/spent.sql", "linear_reg", "boosted_tree_regressor")
    done = wml(native.bigquery, "train", "spent", "--as-of", AS_OF)
    assert 'the weight column "wait" is not selected' in done.err
    assert 'did you mean "weight"?' in done.err


def test_the_case_of_a_label_does_not_matter(native: Both) -> None:
    """The label is no input, however the option writes it."""
    text = MODEL.format(
        name="spent",
        kind="linear_reg",
        label="SPENT",
        more="",
        selected="requests.amount + 5e0 as spent",
    ).replace("options", "transform (amount + 1e0 as amount, spent)\noptions")
    made(native)._answers = {"SPENT": "amount * 2e0"}
    write(native.bigquery, "models/spent.sql", text)
    train(native, model="spent")
    facts = json.loads((native.bigquery / "artifacts" / "spent" / "1" / "facts.json").read_text())
    assert facts["native"]["label"] == "spent"
    assert facts["native"]["inputs"] == [["amount", "number"]]
    assert TRAINER.strip(" ,\n") not in made(native).sent[0]
