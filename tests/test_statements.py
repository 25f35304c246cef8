"""The statements of BigQuery ML through ``wml query``: create, drop and export a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import write_tiny
from tests.wml import ok, rows, wml

CREATE = """\
/* a model of its own */
create or replace model guess
options (model_type = 'linear_reg', input_label_cols = ['amount'], l2_reg = 1)
as select amount, visits, region from churn_requests
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("statements") / "tiny")
    ok(root, "build", "--as-of", "2024-03-04")
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "tiny"))


def query(root: Path, sql: str) -> list[dict[str, Any]]:
    return ok(root, "query", sql, "--format", "json").rows


def test_a_model_is_made_replaced_dropped_and_made_again(project: Path) -> None:
    assert query(project, CREATE)[0]["model"] == "guess@1"
    predicted = "select avg(predicted_amount) as mean from ml.predict(model guess, table churn_requests)"
    first = query(project, predicted)
    assert query(project, CREATE)[0]["result"].startswith("the same definition was trained on the same 1,512 rows")
    assert query(project, CREATE.replace("l2_reg = 1", "l2_reg = 1000"))[0]["model"] == "guess@2"
    assert query(project, predicted) != first
    assert query(project, predicted.replace("model guess", "model guess@1")) == first

    there = wml(project, "query", CREATE.replace("or replace ", ""))
    assert there.code == 2
    assert 'the model "guess" is there already: version 2 serves' in there.err
    quiet = query(project, CREATE.replace("create or replace model", "create model if not exists"))
    assert quiet == [{"statement": "create model", "model": "guess@2", "result": "it is there already"}]

    assert query(project, "drop model guess")[0]["result"] == "it serves no more; its 2 versions are kept"
    gone = wml(project, "query", predicted)
    assert gone.code == 2
    assert "guess" in gone.err
    assert query(project, predicted.replace("model guess", "model guess@1")) == first
    functions = "select count(*) as n from duckdb_functions() where function_name = 'predict_guess'"
    assert query(project, functions) == [{"n": 0}]
    assert wml(project, "query", "drop model guess").code == 2
    assert query(project, "drop model if exists guess")[0]["result"] == "there is no such model"
    # Made again from the same words and rows, it is the version that there was.
    assert query(project, CREATE)[0]["model"] == "guess@1"
    assert query(project, predicted) == first
    assert query(project, functions) == [{"n": 1}]
    runs = rows(project, "select status, count(*) as n from wml.training_runs where model = 'guess' group by all")
    assert runs == [{"status": "finished", "n": 2}]


def test_a_version_is_exported_as_it_is(project: Path) -> None:
    query(project, CREATE)
    assert query(project, "export model guess@1 options (uri = 'out')")[0]["result"] == "copied to out"
    manifest = json.loads((project / "out" / "manifest.json").read_text())
    assert manifest["version"]["model"] == "guess"
    for name in manifest["files"]:
        assert (project / "out" / name).read_bytes() == (project / "artifacts" / "guess" / "1" / name).read_bytes()
    again = wml(project, "query", "export model guess options (uri = 'out')")
    assert again.code == 2
    assert "out is there already" in again.err


WRONG = [
    ("drop model guess@1", "a version is never dropped", "drop model guess stops the model from serving"),
    ("drop model gess", 'no model "gess" serves', 'did you mean "guess"?'),
    ("export model guess", "export model needs a folder", "export model name options (uri = 'folder')"),
    ("export model guess options (url = 'x')", "export model has no option url", "uri = 'folder'"),
    ("export model guess@9 options (uri = 'x')", 'no version "9" of guess', "1, champion"),
    (CREATE.replace("amount, visits", "amount, visitz"), 'query:4:19: no column "visitz"', 'did you mean "visits"?'),
    (CREATE.replace("linear_reg", "linear"), "query:3:10", 'did you mean "linear_reg"?'),
    ("create model x", "CREATE MODEL ... AS SELECT is missing its SELECT", ""),
    ("drop model", "query:1:", "Expecting the name of a model"),
]


def test_wrong_statements_say_what_is_wrong(project: Path) -> None:
    query(project, CREATE)
    for sql, *says in WRONG:
        done = wml(project, "query", sql)
        assert done.code == 2, sql
        assert "Traceback" not in done.err
        assert [part for part in says if part not in done.err] == [], done.err
    assert len(list((project / "artifacts" / "guess").glob("[0-9]*"))) == 1
