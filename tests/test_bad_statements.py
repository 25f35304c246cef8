"""What is wrong in a statement, its data or its size: place, what, what exists, the fix; never a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

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
