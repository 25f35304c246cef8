"""What is wrong in a statement, its data or its size: place, what, what exists, the fix; never a traceback."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tiny import edit, write_tiny
from tests.wml import Done, ok, wml

SPLIT = "2024-02-05"


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("language") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "tiny"))


def refused(done: Done, *says: str, code: int = 2) -> None:
    assert done.code == code, done.out + done.err
    assert "Traceback" not in done.err
    assert [part for part in says if part not in done.err] == [], done.err


OPTION = "    data_split_method = 'seq',\n"
STATEMENTS = {
    "an unknown option": (OPTION, "    l2_rge = 1,\n", ["models/churn.sql:5:5", 'did you mean "l2_reg"?']),
    "another model's option": (
        OPTION,
        "    max_tree_depth = 3,\n",
        ["churn.sql:5:5", "it is an option of boosted_tree"],
    ),
    "an unknown value": (
        OPTION,
        "    data_split_method = 'seqq',\n",
        ["churn.sql:5:5", "data_split_method = 'seqq' is not known", 'did you mean "seq"?'],
    ),
    "a value of another type": (OPTION, "    l2_reg = 'much',\n", ["churn.sql:5:5", "l2_reg = 'much' is not a number"]),
    "a value out of range": (OPTION, "    l2_reg = -1,\n", ["churn.sql:5:5", "l2_reg is at least 0"]),
    "null": (OPTION, "    l2_reg = null,\n", ["churn.sql:5:5", "l2_reg = null"]),
    "no constant": (OPTION, "    l2_reg = 1 + 1,\n", ["churn.sql:5:5", "l2_reg needs a constant, not 1 + 1"]),
    "an option twice": (OPTION, OPTION + OPTION, ["the option data_split_method is given twice"]),
    "no options": (
        "model_type = 'logistic_reg',",
        "",
        ["churn.sql", "the option model_type is missing", "has:  logistic_reg, linear_reg"],
    ),
    "a model type that is no string": ("'logistic_reg'", "7", ["churn.sql:3:5", "model_type = 7 is not a string"]),
    "an unknown model type": ("'logistic_reg'", "'logstic_reg'", ["churn.sql:3:5", 'did you mean "logistic_reg"?']),
    "a label as text": ("['has_churned']", "'has_churned'", ["churn.sql", "input_label_cols = ['has_churned']"]),
    "a label that is not selected": (
        "['has_churned']",
        "['has_churnd']",
        ["churn.sql:8:1", 'the label column "has_churnd" is not selected', 'did you mean "has_churned"?'],
    ),
    "two statements": (
        "on requests.request_id = labels.request_id",
        "on requests.request_id = labels.request_id;\nselect 1",
        ["churn.sql:16:1", "one statement expected, found 2"],
    ),
    "an open string": ("'logistic_reg'", "'logistic_reg", ["churn.sql", "this string is not closed"]),
    "no AS": (") as\nselect", ")\nselect", ["churn.sql:8:1", "AS is missing before the query"]),
    "no model": ("create or replace model churn", "create or replace table churn", ["one CREATE MODEL statement"]),
    "another name": ("model churn\n", "model chrun\n", ["churn.sql:1:25", 'called "chrun", the file "churn"']),
    "an analytic function without over ()": (
        "model churn\n",
        "model churn\ntransform (\n    ml.standard_scaler(amount) as amount, has_churned)\n",
        ["churn.sql:3:8", "ml.standard_scaler needs the statistics of all rows", "over ()"],
    ),
    "an output of TRANSFORM twice": (
        "model churn\n",
        "model churn\ntransform (\n    amount,\n    visits as Amount, has_churned)\n",
        ["churn.sql:4:5", '"Amount" is made twice by TRANSFORM'],
    ),
    "TRANSFORM reads what is not there": (
        "model churn\n",
        "model churn\ntransform (\n    amont,\n    has_churned)\n",
        ["churn.sql:3:5", "amont", "amount"],
    ),
    "tuning without a number of trials": (
        OPTION,
        "    l2_reg = hparam_range(0, 1),\n",
        ["churn.sql:5:5", "num_trials is missing", "add num_trials = 10"],
    ),
    "too many classes": (
        "labels.has_churned\n",
        "requests.request_id as has_churned\n",
        ["churn.sql", 'the label "has_churned" has'],
    ),
}


@pytest.mark.parametrize(("old", "new", "says"), STATEMENTS.values(), ids=STATEMENTS)
def test_a_wrong_statement_says_where_and_what(trained: Path, old: str, new: str, says: list[str]) -> None:
    edit(trained, "models/churn.sql", old, new)
    before = sorted(path.name for path in (trained / "artifacts" / "churn").iterdir())
    done = wml(trained, "train", "churn", "--as-of", SPLIT)
    if says == STATEMENTS["too many classes"][2] and done.code == 0:
        assert "classes" in done.err, "few rows for many classes are at least told"
        return
    refused(done, *says)
    assert sorted(path.name for path in (trained / "artifacts" / "churn").iterdir()) == before


def test_requests_that_lack_a_column_are_refused(trained: Path) -> None:
    edit(trained, "sql/requests/churn_requests.sql", "    events.amount,\n", "")
    done = wml(trained, "predict", "churn", "--as-of", "2024-02-19")
    refused(done, 'no column "amount", which churn@1 was trained on', "has:  request_id")


def test_requests_of_another_type_are_refused(trained: Path) -> None:
    edit(trained, "sql/requests/churn_requests.sql", "events.amount,", "cast(events.amount as varchar) as amount,")
    refused(wml(trained, "predict", "churn", "--as-of", "2024-02-19"), '"amount" is VARCHAR', "trained on a number")


def test_a_model_without_a_champion(trained: Path) -> None:
    shutil.rmtree(trained / "artifacts")
    sql = "select * from ml.predict(model churn, table churn_requests)"
    refused(wml(trained, "query", sql), "query:1:15", 'the model "churn" has no version yet', "wml train churn")


def test_a_version_of_a_newer_format(trained: Path) -> None:
    """Whoever wrote it knew what it does: the hashes fit."""
    folder = trained / "artifacts" / "churn" / "1"
    path = folder / "parameters" / "model.parquet"
    table = pq.read_table(path)
    column = table.schema.get_field_index("format_version")
    pq.write_table(table.set_column(column, table.schema.field(column), pa.array([99], pa.int32())), path)
    manifest = json.loads((folder / "manifest.json").read_text())
    content = path.read_bytes()
    manifest["files"]["parameters/model.parquet"] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (trained / "artifacts" / "index.parquet").unlink()
    done = wml(trained, "models", "show", "churn")
    refused(done, "format 99, which is newer", "upgrade: pip install --upgrade warehouse-ml", code=3)


def test_a_million_categories_are_refused(trained: Path) -> None:
    sql = (
        "create or replace model ids options (model_type = 'linear_reg', input_label_cols = ['y']) as "
        "select 'id' || n as id, n % 7 as y from range(1000000) as t(n)"
    )
    refused(wml(trained, "query", sql), 'column "id" has', "categories, more than 10,000", "leave")


@pytest.mark.parametrize("model_type", ["logistic_reg", "boosted_tree_classifier"])
def test_hundreds_of_columns_are_trained_and_scored(trained: Path, model_type: str) -> None:
    columns = ", ".join(f"(hash(n * 1000 + {i}) % 1000) / 1000.0 as f{i}" for i in range(300))
    wide = f"select {columns}, hash(n) % 2 = 0 as y from range(600) as t(n)"
    option = ", max_iterations = 5" if model_type != "logistic_reg" else ", l2_reg = 10"
    options = f"model_type = '{model_type}', input_label_cols = ['y']{option}"
    sql = f"create or replace model wide options ({options}) as {wide}"
    (trained / "wide.sql").write_text(sql)
    ok(trained, "query", "--file", "wide.sql")
    (trained / "ask.sql").write_text(f"select count(predicted_y) as n from ml.predict(model wide, ({wide}))")
    assert ok(trained, "query", "--file", "ask.sql", "--format", "json").rows == [{"n": 600}]
