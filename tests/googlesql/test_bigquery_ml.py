"""`trainer = 'bigquery_ml'`: what is sent to BigQuery is GoogleSQL, and the loop around it is whole.

The reference implementation analyses CREATE MODEL with its TRANSFORM, ML.EVALUATE and ML.PREDICT against a catalog of
BigQuery ML; what a model answers is played, see ml.py. That Google's service trains, how well and how fast, what it
says of a wrong option, and that ML.PREDICT reads a temporary table in a transaction, is not proved here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.googlesql.both import Both
from tests.googlesql.engine import GoogleSqlError
from tests.googlesql.ml import BINARY, REGRESSION
from tests.googlesql.native import AS_OF, LATER, TRAINER, made, native_project, train
from tests.tiny import edit, write
from tests.wml import ok, wml
from warehouse_ml.definition import read_definition
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry import Registry
from warehouse_ml.scoring.native import NativeParameters, native_parameters
from warehouse_ml.training.native import native_statement

PROVES = ("training/native_rows.sql", "training/native_evaluate.sql", "requests/native_scored.sql")

TRANSFORM = """create or replace model churn
transform (ml.standard_scaler(amount) over () as amount, visits + 1 as visits, requested_at, has_churned)
"""
REGRESSION_MODEL = """\
{{ config(requests='churn_requests') }}
create model spent
options (trainer = 'bigquery_ml', model_type = 'linear_reg', input_label_cols = ['spent'], learn_rate = 0.1) as
select requests.visits, requests.region, requests.amount * 2e0 as spent
from {{ ref('churn_requests') }} as requests
where requests.visits is not null
"""


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Both]:
    """The small project, its model trained by BigQuery ML where the target is BigQuery."""
    with native_project(tmp_path, {"spent": "cast(coalesce(visits, 0) as float64)"}) as both:
        yield both


def test_the_statement_that_is_sent_is_the_users_own(native: Both) -> None:
    edit(native.bigquery, "models/churn.sql", "create or replace model churn\n", TRANSFORM)
    assert train(native)["is_new"]
    (sent,) = made(native).sent
    written = (native.bigquery / "models" / "churn.sql").read_text()
    head, _, query = written.partition(") as\n")
    (name,) = made(native).models
    assert re.fullmatch(r"my-project\.shop\.churn_20240112_[0-9a-f]{8}", name)
    expected = head.replace("create or replace model churn", f"create model `{name.replace('.', '`.`')}`")
    assert sent.startswith(expected.replace(TRAINER, "") + ") as\n")
    assert "trainer" not in sent
    assert "{{" in query
    assert "data_split_method = 'seq'" in sent


def test_the_statement_is_analysed(native: Both) -> None:
    edit(
        native.bigquery, "models/churn.sql", "create or replace model churn\n", TRANSFORM.replace("visits +", "stays +")
    )
    done = wml(native.bigquery, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    assert "Unrecognized name: stays" in done.err
    assert "models/churn.sql" in done.err
    assert not list((native.bigquery / "artifacts").glob("churn/*"))


def test_the_loop_runs(native: Both) -> None:
    """Train, serve, predict, train again, shadow, promote, evaluate: what is logged is what the model answers."""
    row = train(native)
    assert (row["version"], row["alias"], row["n_eval"]) == (1, "champion", 0)
    # Nothing has changed, and it says so.
    again = train(native)
    assert (again["version"], again["is_new"]) == (1, False)
    assert "already" in again["reason"]
    assert len(made(native).sent) == 1
    ok(native.bigquery, "build", "--as-of", LATER)
    ok(native.bigquery, "predict", "--as-of", LATER)
    row = train(native, as_of=LATER)
    assert (row["version"], row["alias"]) == (2, "challenger")
    assert "not comparable" in row["reason"]
    ok(native.bigquery, "build", "--as-of", "2024-01-17")
    ok(native.bigquery, "predict", "--as-of", "2024-01-17")
    counted = native.warehouse.fetch(
        "select version, alias, count(*) as n, countif(score = amount / 100e0) as n_score,"
        " countif(prediction = if(score >= 0.5, 'true', 'false')) as n_prediction,"
        " countif(threshold = 0.5) as n_threshold"
        " from wml.request_log_churn group by version, alias order by version"
    ).to_pylist()
    assert [(row["version"], row["alias"]) for row in counted] == [(1, "champion"), (2, "challenger")]
    assert [row["n"] for row in counted] == [120, 48]
    assert all(row["n"] == row["n_score"] == row["n_prediction"] == row["n_threshold"] for row in counted)
    done = ok(native.bigquery, "evaluate", "--as-of", "2024-01-17", "--format", "json")
    assert {row["version"] for row in done.rows} >= {1}


def test_a_version_says_what_bigquery_ml_says(native: Both) -> None:
    train(native)
    registry = Registry(native.bigquery / "artifacts")
    version = registry.get("churn", "1")
    assert version.metrics == {name: (place + 1) / 8 for place, name in enumerate(BINARY)}
    assert version.model_type == "LOGISTIC_REG"
    folder = registry.root / version.artifact_uri
    assert not list((folder / "parameters").iterdir())
    assert not (folder / "snapshot.parquet").exists()
    facts = json.loads((folder / "facts.json").read_text())
    assert [".".join(facts["native"]["model"])] == list(made(native).models)
    assert facts["native"]["classes"] == ["false", "true"]
    assert [name for name, _ in facts["native"]["inputs"]] == ["amount", "visits", "region"]
    # What is not written has BigQuery ML's default, which is not ours.
    assert "MAX_ITERATIONS" not in facts["options"]
    assert (folder / "definition.sql").read_text().startswith("create or replace model churn")


def test_a_regression(native: Both) -> None:
    write(native.bigquery, "models/spent.sql", REGRESSION_MODEL)
    row = train(native, model="spent")
    assert row["alias"] == "champion"
    # An option that is refused where it is trained here is BigQuery's to know.
    assert "learn_rate = 0.1" in made(native).sent[0]
    metrics = Registry(native.bigquery / "artifacts").get("spent", "1").metrics
    assert set(metrics) == set(REGRESSION)
    ok(native.bigquery, "build", "--as-of", LATER)
    ok(native.bigquery, "predict", "spent", "--as-of", LATER)
    (found,) = native.warehouse.fetch(
        "select count(*) as n, countif(score = coalesce(visits, 0)) as n_score, countif(prediction is null) as n_null,"
        " countif(threshold is null) as n_open from wml.request_log_spent"
    ).to_pylist()
    assert found["n"] == found["n_score"] == found["n_null"] == found["n_open"] == 72


def test_another_target_refuses_it(native: Both) -> None:
    done = wml(native.duckdb, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    assert "models/churn.sql:4" in done.err
    assert "trainer = 'bigquery_ml' sends the statement to BigQuery, and the target \"duckdb\" is duckdb" in done.err
    assert "wml train --target bigquery" in done.err


CANNOT_BE_SENT = [
    (TRAINER, TRAINER + "    num_trials = 3, l2_reg = hparam_range(0, 1),\n", "trials of a tuning"),
    (TRAINER, TRAINER + "    instance_weight_col = 'visits',\n", "no instance_weight_col in a logistic_reg"),
    ("['has_churned']", "['churned']", 'the label column "churned" is not selected'),
    ("labels.has_churned\n", "nullif(labels.has_churned, true) as has_churned\n", "is null in"),
    ("labels.has_churned\n", "labels.has_churned or true as has_churned\n", "has 1 classes"),
    ("'bigquery_ml'", "'bigqueryml'", "trainer = 'bigqueryml' is not known"),
]


def test_what_cannot_be_sent(native: Both) -> None:
    place = "models/churn.sql"
    whole = (native.bigquery / place).read_text()
    for old, new, told in CANNOT_BE_SENT:
        write(native.bigquery, place, whole)
        edit(native.bigquery, place, old, new)
        done = wml(native.bigquery, "train", "churn", "--as-of", AS_OF)
        assert done.code == 2
        assert told in done.err
        assert "models/churn.sql" in done.err
    assert not made(native).sent


def test_what_needs_the_rows_or_fits_here_says_so(native: Both) -> None:
    train(native)
    done = wml(native.bigquery, "models", "rows", "churn@1")
    assert done.code == 3
    assert "rows stay there" in done.err
    for command in (("--plan",), ("--try",)):
        done = wml(native.bigquery, "train", "churn", "--as-of", LATER, *command)
        assert "trainer = 'bigquery_ml'" in done.err


def test_a_local_version_never_beats_it_unseen(native: Both) -> None:
    """A version that is trained here is not compared with one whose answers only BigQuery gives."""
    train(native)
    edit(native.bigquery, "models/churn.sql", TRAINER, "")
    row = train(native)
    assert (row["version"], row["alias"]) == (2, "challenger")
    assert "not comparable" in row["reason"]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("trainer = 'bigquery_ml', model_type = 'linear_reg'", " model_type = 'linear_reg'"),
        ("model_type = 'linear_reg', trainer = 'bigquery_ml'", "model_type = 'linear_reg'"),
        ("scoring_path = 'sql', trainer='bigquery_ml', model_type='linear_reg'", " model_type='linear_reg'"),
        (
            "model_type = 'logistic_reg', Trainer = 'bigquery_ml', scoring_path = 'sql',"
            " class_weights = [('a,b', 1.5), ('trainer', 2.0)]",
            "model_type = 'logistic_reg', class_weights = [('a,b', 1.5), ('trainer', 2.0)]",
        ),
    ],
)
def test_only_our_own_options_are_cut(options: str, kept: str) -> None:
    query = "select 1 as label, 'trainer' as x"
    text = f"-- a comment\ncreate model if not exists `m` options ({options}) as\n{query};\n"
    definition = read_definition(text, name="m", place="models/m.sql", engine="bigquery")
    sent = native_statement(definition, definition.query, ("p-1", "d", "m_v7"))
    assert sent == f"create model `p-1`.`d`.`m_v7`\noptions ({kept}) as\n{query}"


def test_facts_of_a_stranger_are_refused() -> None:
    told = NativeParameters(("d", "m"), "LINEAR_REG", "regression", "y", "FLOAT64", (), ()).told()
    assert native_parameters(told, "facts.json").told() == told
    for change in (
        {"model": ["d`; drop table x; --"]},
        {"model": []},
        {"task": "anything"},
        {"task": "binary"},
        {"inputs": [["x"]]},
        {"label": 3},
    ):
        with pytest.raises(ArtifactError, match="is not what a training writes"):
            native_parameters({**told, **change}, "facts.json")


def test_the_catalog_is_strict(native: Both) -> None:
    """The analysis knows what a model returns: a column that it does not return is refused."""
    train(native)
    (made_there,) = made(native).models
    name = f"`{made_there.replace('.', '`.`')}`"
    with pytest.raises(Exception, match="predicted_other") as found:
        native.warehouse.fetch(f"select s.predicted_other from ml.predict(model {name}, (select 1e0 as amount)) as s")
    assert isinstance(found.value.__cause__, GoogleSqlError)
