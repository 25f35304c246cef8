"""Bad input through the command line: place, what, what exists, the fix; the exit code; nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.tiny import edit, write, write_tiny
from tests.wml import Done, ok, rows, wml

SPLIT, LATER, END = "2024-02-05", "2024-02-19", "2024-03-04"


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("trained") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "tiny"))


def refused(done: Done, code: int, *says: str) -> None:
    assert done.code == code, done.out + done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("error: ")
    for part in says:
        assert part in done.err, done.err


def no_version(root: Path) -> None:
    """Nothing was published, and the run is on record as failed."""
    assert ok(root, "models", "list", "--format", "json").rows == []
    assert list((root / "artifacts").rglob("*.staging*")) == []
    assert [path for path in (root / "artifacts").glob("*/*") if path.is_dir()] == []
    assert [row["status"] for row in rows(root, "select status from wml.training_runs")] == ["failed"]


TRAINING = [
    pytest.param(
        "labels.has_churned\n",
        "true as has_churned\n",
        ["models/churn.sql", 'the label "has_churned" is true in all of the 615 training rows: nothing to tell apart'],
        id="one class",
    ),
    pytest.param(
        "labels.has_churned\n",
        "case when requests.amount > 50 then labels.has_churned end as has_churned\n",
        ["models/churn.sql:8", 'label "has_churned" is null in', "where has_churned is not null"],
        id="null labels",
    ),
    pytest.param(
        "requests.amount,",
        "labels.has_churned as flag,",
        ["models/churn.sql", 'the feature "flag" is the label "has_churned" under another name'],
        id="the label as a feature",
    ),
    pytest.param(
        "requests.amount,",
        "labels.has_churned, ",
        ["models/churn.sql", 'the label is also a feature: "has_churned"'],
        id="the label twice",
    ),
    pytest.param(
        "requests.amount,",
        "not labels.has_churned as stays,",
        ["models/churn.sql", 'the feature "stays" gives the label "has_churned" away', "goes with one label only"],
        id="the label in disguise",
    ),
    pytest.param(
        "requests.amount,",
        "requests.amount + case when labels.has_churned then 1000 else 0 end as amount,",
        ["models/churn.sql", 'the feature "amount" gives the label', "one threshold of it parts the two labels"],
        id="a number that parts the labels",
    ),
    pytest.param(
        "requests.amount,",
        "case when requests.request_id = 'r7' then 'infinity'::double else requests.amount end as amount,",
        ["models/churn.sql", '"amount"', "not finite"],
        id="a number that is not finite",
    ),
    pytest.param(
        "requests.amount,",
        "requests.amuont,",
        ["models/churn.sql:9", 'no column "amuont"', 'did you mean "amount"?'],
        id="unknown column",
    ),
    pytest.param(
        "input_label_cols = ['has_churned']",
        "input_label_cols = ['churned']",
        ["models/churn.sql:8", 'the label column "churned" is not selected', 'did you mean "has_churned"?'],
        id="unknown label",
    ),
    pytest.param(
        "'logistic_reg'",
        "'logistic_regression'",
        ["models/churn.sql:3", 'no model type "logistic_regression"', 'did you mean "logistic_reg"?'],
        id="unknown model type",
    ),
    pytest.param(
        "data_split_col =",
        "data_split_cols =",
        ["models/churn.sql:6", "data_split_cols", 'did you mean "data_split_col"?'],
        id="unknown option",
    ),
    pytest.param(
        "'seq'",
        "'sequential'",
        ["models/churn.sql:5", "sequential", "seq"],
        id="unknown split",
    ),
    pytest.param(
        "requests.amount,",
        "requests.amount as score,",
        ["models/churn.sql:8", 'a feature cannot be called "score"', "score_value"],
        id="a feature called as a column of the log",
    ),
    pytest.param(
        "create or replace model churn",
        "create or replace model chrun",
        ["models/churn.sql", 'the model is called "chrun", the file "churn"'],
        id="another name",
    ),
    pytest.param(
        "on requests.request_id = labels.request_id",
        "on requests.request_id = labels.request_id where false",
        ["models/churn.sql:8", "the training query returns no rows"],
        id="no rows",
    ),
    pytest.param(
        "options (",
        "transform (amount, ml.standard_scaler(visit) over () as v, has_churned) options (",
        ["models/churn.sql:2", 'TRANSFORM reads "visit", which the query does not select', 'did you mean "visits"?'],
        id="transform of an unknown column",
    ),
    pytest.param(
        "options (",
        "transform (amount, nosuch(visits) as v, has_churned)\noptions (",
        ["models/churn.sql:2", '"v" of TRANSFORM', "nosuch"],
        id="transform with an unknown function",
    ),
    pytest.param(
        "options (",
        "transform (amount,\nml.min_max_scaler(region) over () as v, has_churned)\noptions (",
        ["models/churn.sql:3", 'ml.min_max_scaler needs a number, and "region" is VARCHAR'],
        id="transform of another type",
    ),
    pytest.param(
        "options (",
        "transform (amount, has_churned, not has_churned as stays)\noptions (",
        ["models/churn.sql:2", '"stays" of TRANSFORM is made of the label "has_churned"'],
        id="transform of the label",
    ),
    pytest.param(
        "options (",
        "transform (region, not has_churned as stays)\noptions (",
        ["models/churn.sql:2", '"stays" of TRANSFORM is made of the label "has_churned"'],
        id="transform of the label that it does not name",
    ),
    pytest.param(
        "options (",
        "transform (amount, cast(region as integer) as v)\noptions (",
        ["models/churn.sql", "TRANSFORM fails on a row", "Could not convert string"],
        id="transform that fails on a row",
    ),
    pytest.param(
        "options (",
        "transform (has_churned)\noptions (",
        ["models/churn.sql", "TRANSFORM leaves no features to train on"],
        id="transform without features",
    ),
]


@pytest.mark.parametrize(("old", "new", "says"), TRAINING)
def test_what_cannot_be_trained_is_refused(tiny: Path, old: str, new: str, says: list[str]) -> None:
    edit(tiny, "models/churn.sql", old, new)
    refused(wml(tiny, "train", "churn", "--as-of", SPLIT), 2, *says)
    no_version(tiny)


def test_an_unknown_command_model_target_and_alias(trained: Path) -> None:
    refused(wml(trained, "evalute"), 2, 'no command "evalute"', 'did you mean "evaluate"?')
    refused(wml(trained, "train", "chrun"), 2, 'no model "chrun"', 'did you mean "churn"?')
    refused(wml(trained, "build", "--target", "duckbd"), 2, 'no target "duckbd"', 'did you mean "duckdb"?')
    refused(wml(trained, "models", "show", "churn@7"), 2, 'no version "7" of churn', "has:  1, champion")
    refused(wml(trained, "models", "show", "chrun"), 2, 'the model "chrun" has no version', 'did you mean "churn"?')
    refused(wml(trained, "build", "--as-of", "yesterday"), 2, '"yesterday" is not a date', "2013-04-01")


def test_no_project_here(tmp_path: Path) -> None:
    refused(wml(tmp_path, "build"), 2, "no wml.toml here", "wml init", "wml demo")


def test_a_target_that_this_release_cannot_reach(tiny: Path) -> None:
    write(tiny, "wml.toml", (tiny / "wml.toml").read_text() + '\n[targets.oracle]\nproject = "p"\n')
    refused(wml(tiny, "build", "--target", "oracle"), 2, 'no adapter for the engine "oracle"', "--target duckdb")


def test_evaluating_before_training_says_what_to_type(tiny: Path) -> None:
    refused(wml(tiny, "evaluate", "--as-of", END), 2, 'the model "churn" has no version yet', "wml train churn")


def test_an_empty_window_is_not_an_error(trained: Path) -> None:
    assert ok(trained, "evaluate", "--as-of", SPLIT, "--format", "json").rows == []
    done = ok(trained, "evaluate", "--as-of", SPLIT)
    assert "nothing is due" in done.err


def test_a_query_tells_place_and_column(trained: Path) -> None:
    refused(
        wml(trained, "query", "select metrc\nfrom wml.metrics"), 2, "query:1", 'no column "metrc"', 'mean "metric"?'
    )
    refused(wml(trained, "query", "select * from wml.metric"), 2, 'no relation "metric"', 'did you mean "metrics"?')
    refused(wml(trained, "query"), 2, "give the query itself or --file")


def test_a_query_changes_nothing(trained: Path) -> None:
    done = wml(trained, "query", "delete from wml.model_versions")
    assert done.code != 0
    assert wml(trained, "query", "create table x as select 1").code != 0


def test_a_slice_that_is_no_column(trained: Path) -> None:
    edit(trained, "sql/evaluation/churn.sql", "slices=['region']", "slices=['regoin']")
    refused(
        wml(trained, "evaluate", "--as-of", END),
        2,
        "sql/evaluation/churn.sql",
        'no column "regoin" to slice by',
        'did you mean "region"?',
    )
    assert rows(trained, "select count(*) as n from wml.metrics") == [{"n": 0}]


def test_requests_that_lack_a_feature_of_the_version(trained: Path) -> None:
    edit(trained, "sql/requests/churn_requests.sql", "events.visits,", "events.visits as n_visits,")
    edit(trained, "models/churn.sql", "requests.visits,", "requests.n_visits as visits,")
    refused(
        wml(trained, "predict", "churn", "--as-of", LATER),
        2,
        "sql/requests/churn_requests.sql",
        'no column "visits", which churn@1 was trained on',
        'did you mean "n_visits"?',
    )


def test_a_corrupt_parquet_file(trained: Path) -> None:
    before = rows(trained, "select count(*) as n from churn_requests")
    (trained / "data" / "events.parquet").write_bytes(b"PAR1 not Parquet at all PAR1")
    done = wml(trained, "build", "--as-of", END)
    assert done.code in {2, 3}
    assert "Traceback" not in done.err
    assert "events.parquet" in done.err
    assert rows(trained, "select count(*) as n from churn_requests") == before


@pytest.mark.parametrize("file", ["scoring.sql", "parameters/model.parquet", "facts.json", "manifest.json"])
def test_a_changed_byte_in_a_version_is_noticed(trained: Path, file: str) -> None:
    path = trained / "artifacts" / "churn" / "1" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    refused(wml(trained, "predict", "churn", "--as-of", LATER), 3, f"churn/1/{file}")
    refused(wml(trained, "models", "show", "churn"), 3, f"churn/1/{file}")


def test_a_missing_file_of_a_version_is_noticed(trained: Path) -> None:
    (trained / "artifacts" / "churn" / "1" / "scoring.sql").unlink()
    refused(wml(trained, "predict", "churn", "--as-of", LATER), 3, "scoring.sql", "cannot be read")


def test_a_version_of_a_later_format(trained: Path) -> None:
    path = trained / "artifacts" / "churn" / "1" / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'), encoding="utf-8")
    (trained / "artifacts" / "index.parquet").unlink()
    refused(wml(trained, "models", "list"), 3, "format 99 is newer than this release reads (1)", "upgrade")


def test_a_locked_warehouse_says_who_holds_it(trained: Path) -> None:
    path = str(trained / "warehouse.duckdb")
    hold = f"import duckdb, time; c = duckdb.connect({path!r}); print('held', flush=True); time.sleep(30)"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        refused(wml(trained, "build", "--as-of", END), 3, "open in another process", f"PID {holder.pid}", "one writer")
    finally:
        holder.kill()
        holder.communicate()
    ok(trained, "build", "--as-of", END)


def test_a_warehouse_that_is_no_database(trained: Path) -> None:
    (trained / "warehouse.duckdb").write_bytes(b"not a database" * 1000)
    refused(wml(trained, "build", "--as-of", END), 3, "warehouse.duckdb")


@pytest.fixture
def read_only(trained: Path) -> Iterator[Path]:
    """The project on a file system that cannot be written to: permissions do not bind a superuser."""
    if os.geteuid() != 0:
        modes = {path: path.stat().st_mode for path in [trained, *trained.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield trained
        for path, mode in modes.items():
            path.chmod(mode)
        return
    for options in (["--bind"], ["-o", "remount,ro,bind"]):
        done = subprocess.run(["mount", *options, str(trained), str(trained)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("a superuser without the right to mount cannot be kept from writing")
    yield trained
    subprocess.run(["umount", str(trained)], check=True)


@pytest.mark.parametrize("arguments", [["build"], ["train", "churn"], ["predict", "churn"], ["evaluate"], ["run"]])
def test_a_read_only_folder(read_only: Path, arguments: list[str]) -> None:
    before = sorted(read_only.rglob("*"))
    done = wml(read_only, *arguments, "--as-of", END)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    assert "warehouse.duckdb" in done.err
    assert sorted(read_only.rglob("*")) == before


def test_init_into_a_folder_that_is_taken(trained: Path) -> None:
    refused(wml(trained.parent, "init", "tiny"), 2, "not empty")
    refused(wml(trained.parent, "demo", "tiny"), 2, "not empty")


class _Stop:
    """Ctrl-C at the n-th step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, text: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def _state(root: Path) -> dict[str, object]:
    """Everything a later step could read, but for clocks on the wall."""
    connection = duckdb.connect(str(root / "warehouse.duckdb"), read_only=True)
    names = connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_name not in ('builds', 'training_runs') order by all"
    ).fetchall()
    hidden = {
        "model_versions": "exclude (created_at, artifact_hash)",
        "rule_firings": "exclude (fired_at)",
        "build_history": "exclude (built_at)",
        "definitions": "exclude (first_built_at)",
        "held_out_metrics": "exclude (run_id)",
        "leaderboard": "exclude (run_id)",
    }
    state: dict[str, object] = {}
    for schema, name in names:
        query = f'select * {hidden.get(name, "")} from "{schema}"."{name}" order by all'
        state[f"{schema}.{name}"] = [
            tuple(round(value, 9) if isinstance(value, float) else value for value in row)
            for row in zip(*connection.sql(query).to_arrow_table().to_pydict().values(), strict=True)
        ]
    connection.close()
    return state


def test_ctrl_c_at_every_step_leaves_nothing_behind(trained: Path, tmp_path: Path) -> None:
    from warehouse_ml.cli.options import AS_OF
    from warehouse_ml.loop.job import run_job
    from warehouse_ml.session import open_session

    clock = AS_OF.convert(LATER, None, None)
    write(
        trained,
        "sql/rules/always.sql",
        "{{ config(on='retrain', model='churn') }}\nselect 'always' as reason\n"
        "where {{ as_of }} = timestamptz '2024-02-19 00:00:00+00'\n"
        "and (select count(*) from wml.model_versions) < 2",
    )
    whole = Path(shutil.copytree(trained, tmp_path / "whole"))
    ok(whole, "run", "--as-of", LATER)
    expected = _state(whole)
    steps = 0
    while True:
        try:
            with open_session(trained) as session:
                run_job(session, clock, on_step=_Stop(steps))
            break
        except KeyboardInterrupt:
            steps += 1
            assert list((trained / "artifacts").rglob(".staging*")) == []
    assert steps > 8
    assert {key: value for key, value in _state(trained).items() if key != "wml.rule_firings"} == {
        key: value for key, value in expected.items() if key != "wml.rule_firings"
    }


@pytest.mark.parametrize("wait", [0.3, 0.6, 0.9, 1.3])
def test_a_real_ctrl_c(trained: Path, wait: float) -> None:
    write(
        trained,
        "sql/features/long.sql",
        "{{ config(materialized='table') }}\nselect count(*) as n from range(3000000) as a, range(300000) as b\n"
        "where {{ as_of }} is not null",
    )
    command = [sys.executable, "-c", "from warehouse_ml.cli import main; main()", "build", "--as-of", END]
    process = subprocess.Popen(command, cwd=trained, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(wait + 0.7)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in {130, -signal.SIGINT}, err
    if process.returncode == 130:
        assert "Traceback" not in err
        assert "interrupted" in err
    (trained / "sql/features/long.sql").unlink()
    ok(trained, "build", "--as-of", END)
    assert rows(trained, "select count(*) as n from churn_requests") == [{"n": 1512}]
