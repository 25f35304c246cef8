"""Experiments: a search that goes on after a kill, what runs leave behind, --try, --plan and the leaderboard."""

from __future__ import annotations

import builtins
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.tiny import END, edit, write, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.hparams import HparamCandidates, HparamRange, Tuning
from warehouse_ml.session import open_session
from warehouse_ml.training import subject_of, train
from warehouse_ml.training import tune as tuning
from warehouse_ml.training.search import Search

AS_OF, EARLIER = "2024-03-04", "2024-02-05"
SEARCH = """model_type = 'boosted_tree_classifier',
    num_trials = 4, max_iterations = 3,
    learn_rate = hparam_range(0.05, 0.5),
    max_tree_depth = hparam_range(1, 4),
    tree_method = hparam_candidates(['hist', 'auto']),"""

SPACE: dict[str, Any] = {
    "LEARN_RATE": HparamRange(0.01, 0.5),
    "L2_REG": HparamRange(0.0, 1000.0, is_log=True),
    "MAX_TREE_DEPTH": HparamRange(2, 4, is_whole=True),
    "TREE_METHOD": HparamCandidates(("HIST", "AUTO")),
}
DEFAULTS = {"LEARN_RATE": 0.3, "L2_REG": 1.0, "MAX_TREE_DEPTH": 6, "TREE_METHOD": "AUTO"}

# Trains as `wml train` does, and is killed by the system in the middle: nothing of Python's own cleaning up runs.
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.tiny import END
from warehouse_ml.loop.learning import train_step
from warehouse_ml.session import open_session

def say(step):
    if step.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

with open_session(Path(sys.argv[1])) as session:
    train_step(session, "churn", END, on_step=say)
"""


def tune(root: Path, options: str = SEARCH) -> None:
    edit(root, "models/churn.sql", "model_type = 'logistic_reg',", options)


def kill_at(root: Path, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(root), step], cwd=Path(__file__).parent.parent, check=False
    )
    assert done.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("experiments") / "tiny")
    ok(root, "build", "--as-of", AS_OF)
    return root


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """The project with its relations built."""
    return Path(shutil.copytree(built_once, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory, built_once: Path) -> Path:
    root = Path(shutil.copytree(built_once, tmp_path_factory.mktemp("champion") / "tiny"))
    ok(root, "train", "churn", "--as-of", AS_OF)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """The same with a champion."""
    return Path(shutil.copytree(trained_once, tmp_path / "tiny"))


def published(root: Path, version: int) -> dict[str, bytes]:
    folder = root / "artifacts" / "churn" / str(version)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# A search that was stopped.


def test_a_killed_search_goes_on_and_comes_to_the_same(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune(built, f"{SEARCH} hparam_tuning_algorithm = 'optuna_tpe',")
    whole = Path(shutil.copytree(built, tmp_path / "whole"))
    ok(whole, "train", "churn", "--as-of", AS_OF)
    kill_at(built, "trial 3 of 4")
    (killed,) = rows(built, "select run_id, status, duration_seconds from wml.training_runs")
    assert (killed["status"], killed["duration_seconds"]) == ("running", None)
    assert [row["trial_id"] for row in rows(built, "select trial_id from wml.trials order by 1")] == [1, 2, 3]
    assert not list((built / "artifacts").glob("churn/*"))

    fitted: list[dict[str, Any]] = []
    real = tuning.fit_prepared

    def counted(prepared: Any, options: Any) -> Any:
        fitted.append({name: options[name] for name in ("LEARN_RATE", "MAX_TREE_DEPTH")})
        return real(prepared, options)

    monkeypatch.setattr(tuning, "fit_prepared", counted)
    done = ok(built, "train", "churn", "--as-of", AS_OF)
    assert "3 of 4 trials were taken over from an earlier run of the same search" in done.err
    # The one that was missing, and the best again if it was none of this run's.
    best = json.loads(rows(built, "select hyperparameters from wml.trials where is_optimal")[0]["hyperparameters"])
    last = json.loads(rows(built, "select hyperparameters from wml.trials where trial_id = 4")[0]["hyperparameters"])
    wanted = [last] if best == last else [last, best]
    assert [(one["LEARN_RATE"], one["MAX_TREE_DEPTH"]) for one in fitted] == [
        (one["learn_rate"], one["max_tree_depth"]) for one in wanted
    ]
    # The version is the one of the search that nobody killed, byte for byte.
    assert published(built, 1) == published(whole, 1)
    runs = rows(built, "select status, error, version from wml.training_runs order by started_at")
    assert runs == [
        {"status": "failed", "error": "killed: the process ended before it could say why", "version": None},
        {"status": "finished", "error": None, "version": 1},
    ]
    trials = rows(
        built,
        "select trial_id, hyperparameters, trials.metrics, training_loss, taken_from, is_optimal from wml.trials"
        " inner join wml.training_runs using (run_id) where training_runs.status = 'finished' order by trial_id",
    )
    assert [row["taken_from"] for row in trials] == [killed["run_id"]] * 3 + [None]
    columns = "trial_id, hyperparameters, metrics, training_loss, is_optimal"
    other = rows(whole, f"select {columns} from wml.trials order by trial_id")
    assert [{**row, "taken_from": None} for row in trials] == [{**row, "taken_from": None} for row in other]


def test_other_rows_another_definition_or_force_take_nothing_over(built: Path) -> None:
    tune(built, SEARCH.replace("num_trials = 4", "num_trials = 2"))
    ok(built, "train", "churn", "--try", "--as-of", AS_OF)
    assert "taken over" not in ok(built, "train", "churn", "--try", "--as-of", "2024-02-26").err
    assert "taken over" not in ok(built, "train", "churn", "--as-of", AS_OF, "--force").err
    edit(built, "models/churn.sql", "max_iterations = 3", "max_iterations = 2")
    assert "taken over" not in ok(built, "train", "churn", "--as-of", AS_OF).err
    assert rows(built, "select count(*) as n from wml.trials where taken_from is not null") == [{"n": 0}]


def test_a_trial_that_crashes_fails_alone(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tune(built)
    real = tuning.fit_prepared

    def crashing(prepared: Any, options: Any) -> Any:
        if options["MAX_TREE_DEPTH"] == 4:
            raise RuntimeError("a library's own bug\nwith a second line")
        return real(prepared, options)

    monkeypatch.setattr(tuning, "fit_prepared", crashing)
    done = ok(built, "train", "churn", "--as-of", AS_OF)
    trials = rows(built, "select trial_id, status, error, hyperparameters from wml.trials order by trial_id")
    failed = [trial for trial in trials if json.loads(trial["hyperparameters"])["max_tree_depth"] == 4]
    assert len(trials) == 4
    assert {(trial["status"], trial["error"]) for trial in failed} == {("FAILED", "RuntimeError: a library's own bug")}
    assert failed[0]["trial_id"] == 1
    assert f"warning: {len(failed)} of 4 trials failed; the first: RuntimeError: a library's own bug" in done.err
    # What failed is tried again by the next run, which may have more memory.
    monkeypatch.setattr(tuning, "fit_prepared", real)
    shutil.rmtree(built / "artifacts" / "churn")
    done = ok(built, "train", "churn", "--as-of", AS_OF)
    (again,) = rows(
        built,
        "select trials.status, taken_from from wml.trials inner join wml.training_runs using (run_id)"
        " where trial_id = 1 order by started_at desc limit 1",
    )
    assert again == {"status": "SUCCEEDED", "taken_from": None}


def test_all_trials_failing_names_the_first(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tune(built)

    def crashing(prepared: Any, options: Any) -> Any:
        raise TypeError("no such thing")

    monkeypatch.setattr(tuning, "fit_prepared", crashing)
    done = wml(built, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    assert "all 4 trials failed; the first: TypeError: no such thing" in done.err
    (run,) = rows(built, "select status, error, n_rows, options from wml.training_runs")
    assert (run["status"], run["error"]) == ("failed", "all 4 trials failed; the first: TypeError: no such thing")
    assert run["n_rows"] == (63 - 3) * 24 + 1
    assert json.loads(run["options"])["NUM_TRIALS"] == 4


@pytest.mark.parametrize("algorithm", ["VIZIER_DEFAULT", "RANDOM_SEARCH", "OPTUNA_TPE"])
def test_the_next_point_hangs_on_what_was_tried_alone(algorithm: str) -> None:
    """What makes a search that begins anew ask for the same points, in whose place it finds the trials that ended."""
    tuning_of = Tuning(6, algorithm, None, SPACE)
    search = Search(tuning_of, DEFAULTS)
    tried: list[tuple[dict[str, Any], float | None]] = []
    for number in range(6):
        anew = Search(tuning_of, DEFAULTS).propose(tried)
        point = search.propose(tried)
        assert point == anew
        assert point is not None
        # As a trial is written down and read again.
        tried.append((json.loads(json.dumps(point)), -abs(point["LEARN_RATE"] - 0.1) if number else None))


# Optuna.


def searched(space: dict[str, Any], n_trials: int, score: Any) -> list[tuple[dict[str, Any], float | None]]:
    search = Search(Tuning(n_trials, "OPTUNA_TPE", None, space), DEFAULTS)
    tried: list[tuple[dict[str, Any], float | None]] = []
    while len(tried) < n_trials and (point := search.propose(tried)) is not None:
        tried.append((point, score(point)))
    return tried


def test_optuna_starts_from_the_defaults_stays_inside_and_is_the_same_each_time() -> None:
    def score(point: dict[str, Any]) -> float:
        return -abs(point["LEARN_RATE"] - 0.07)

    tried = searched(SPACE, 24, score)
    assert tried == searched(SPACE, 24, score)
    assert tried[0][0] == {"LEARN_RATE": 0.3, "L2_REG": 1.0, "MAX_TREE_DEPTH": 4, "TREE_METHOD": "AUTO"}
    for point, _ in tried:
        assert 0.01 <= point["LEARN_RATE"] <= 0.5
        assert 0 <= point["L2_REG"] <= 1000
        assert point["MAX_TREE_DEPTH"] in (2, 3, 4)
        assert point["TREE_METHOD"] in ("HIST", "AUTO")
    # The results steer it: what it tries in the end is closer than what it tried before it knew anything.
    gaps = [abs(point["LEARN_RATE"] - 0.07) for point, _ in tried]
    assert sum(gaps[-8:]) < sum(gaps[1:9]) / 2


def test_optuna_ends_with_the_space_and_bears_failures() -> None:
    small = {"MAX_TREE_DEPTH": HparamRange(2, 4, is_whole=True), "L2_REG": HparamCandidates((0.0, 5.0))}
    tried = searched(small, 100, lambda point: None if point["L2_REG"] else float(point["MAX_TREE_DEPTH"]))
    assert len({tuple(point.values()) for point, _ in tried}) == len(tried) == 6


def test_optuna_that_is_not_installed_is_told(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import, real_find = builtins.__import__, importlib.util.find_spec

    def missing(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'")
        return real_import(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr(
        "warehouse_ml.training.optuna_search.find_spec", lambda name: None if name == "optuna" else real_find(name)
    )
    tune(built, f"{SEARCH} hparam_tuning_algorithm = 'optuna_tpe',")
    done = wml(built, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    assert "needs the package optuna, which is not installed" in done.err
    assert "pip install 'warehouse-ml[optuna]'" in done.err
    assert rows(built, "select status from wml.training_runs") == [{"status": "failed"}]


# What runs leave behind.


def test_a_run_that_fails_is_recorded_with_its_reason(built: Path) -> None:
    edit(built, "models/churn.sql", "requests.amount", "requests.amuont")
    done = wml(built, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    edit(built, "models/churn.sql", "requests.amuont", "requests.amount")
    edit(built, "models/churn.sql", "'logistic_reg'", "'no_such_model'")
    assert wml(built, "train", "churn", "--as-of", AS_OF).code == 2
    runs = rows(
        built, "select status, version, error, metrics, duration_seconds from wml.training_runs order by started_at"
    )
    assert [(run["status"], run["version"], run["metrics"]) for run in runs] == [("failed", None, "{}")] * 2
    assert "amuont" in runs[0]["error"]
    assert "no_such_model" in runs[1]["error"]
    assert all(run["duration_seconds"] >= 0 for run in runs)


def test_a_crash_of_a_fit_is_recorded_and_not_hidden(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crashing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("warehouse_ml.training.fit.fit_linear", crashing)
    with open_session(built) as session:
        node = session.catalog.node("model", "churn")
        with pytest.raises(RuntimeError, match="out of luck"):
            train(session.warehouse, session.registry, "churn", lambda: subject_of(session.catalog, node, END), END)
    (run,) = rows(built, "select status, error, n_rows from wml.training_runs")
    assert run == {"status": "failed", "error": "RuntimeError: out of luck", "n_rows": 1441}


def test_an_interrupt_is_recorded(built: Path) -> None:
    def stop(step: str) -> None:
        if step.startswith("publishing"):
            raise KeyboardInterrupt

    with open_session(built) as session:
        node = session.catalog.node("model", "churn")
        with pytest.raises(KeyboardInterrupt):
            train(
                session.warehouse,
                session.registry,
                "churn",
                lambda: subject_of(session.catalog, node, END),
                END,
                on_step=stop,
            )
    assert rows(built, "select status, error, version from wml.training_runs") == [
        {"status": "failed", "error": "KeyboardInterrupt", "version": None}
    ]
    assert rows(built, "select count(*) as n from wml.held_out_metrics") == [{"n": 0}]


# --try.


def state(root: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    files = {path.as_posix(): path.read_bytes() for path in sorted((root / "artifacts").rglob("*")) if path.is_file()}
    return files, rows(root, "select * from wml.model_aliases")


def test_a_definition_is_tried_without_being_kept(trained: Path) -> None:
    before = state(trained)
    edit(
        trained,
        "models/churn.sql",
        "requests.visits,",
        "requests.visits, requests.amount * requests.visits as product,",
    )
    found = ok(trained, "train", "churn", "--try", "--as-of", AS_OF, "--format", "json").rows
    assert state(trained) == before
    assert {row["champion"] for row in found} == {1}
    (run,) = rows(trained, "select run_id, version, metrics from wml.training_runs where status = 'tried'")
    assert run["version"] is None
    by_metric = {row["metric"]: row for row in found}
    assert json.loads(run["metrics"]) == {name: row["value"] for name, row in by_metric.items()}
    # The champion's side is what it had on the same rows when it was trained, to the last digit that a version keeps.
    (version,) = rows(trained, "select metrics from wml.model_versions")
    for name, value in json.loads(version["metrics"]).items():
        assert by_metric[name]["champion_value"] == (pytest.approx(value, rel=1e-9) if value is not None else None)
    auc = by_metric["roc_auc"]
    assert auc["difference"] == pytest.approx(auc["value"] - auc["champion_value"], abs=1e-12)
    assert auc["difference_lower"] < auc["difference"] < auc["difference_upper"]
    assert auc["ci_lower"] < auc["value"] < auc["ci_upper"]
    # Nothing of the comparison is left in the tables of evaluations.
    for table in ("evaluations", "metrics", "comparisons"):
        assert rows(trained, f"select count(*) as n from wml.{table}") == [{"n": 0}]


def test_what_is_tried_is_measured_as_scikit_learn_does(trained: Path) -> None:
    """Kept afterwards with the same parameters: the scores of the version, on the rows of its snapshot."""
    edit(
        trained,
        "models/churn.sql",
        "requests.visits,",
        "requests.visits, requests.amount * requests.visits as product,",
    )
    tried = {
        row["metric"]: row["value"]
        for row in ok(trained, "train", "churn", "--try", "--as-of", AS_OF, "--format", "json").rows
    }
    ok(trained, "train", "churn", "--as-of", AS_OF, "--promote", "never")
    snapshot = trained / "artifacts" / "churn" / "2" / "snapshot.parquet"
    scored = pd.DataFrame(
        rows(
            trained,
            "select has_churned, predicted_has_churned_probs[1].prob as p,"
            " predicted_has_churned_probs[1].label as label from ml.predict(model churn@2,"
            f" (select * from read_parquet('{snapshot.as_posix()}')"
            " where wml_split = 'eval'))",
        )
    )
    positive = scored.p.where(scored.label.astype(str).str.lower() == "true", 1 - scored.p)
    assert tried["roc_auc"] == pytest.approx(roc_auc_score(scored.has_churned, positive), abs=1e-9)
    assert tried["log_loss"] == pytest.approx(log_loss(scored.has_churned, positive), abs=1e-9)
    assert tried["n_labelled"] == len(scored)


def test_a_champion_that_misses_a_feature_shows_what_it_had(trained: Path) -> None:
    edit(trained, "models/churn.sql", "    requests.region,\n", "")
    done = ok(trained, "train", "models/churn.sql", "--try", "--as-of", AS_OF, "--format", "json")
    assert "the champion needs region, which is not selected any more" in done.err
    auc = next(row for row in done.rows if row["metric"] == "roc_auc")
    (version,) = rows(trained, "select metrics from wml.model_versions")
    assert auc["champion_value"] == json.loads(version["metrics"])["roc_auc"]
    assert auc["difference"] is None
    # On another clock other rows are held out, and nothing is shown beside it.
    done = ok(trained, "train", "churn", "--try", "--as-of", "2024-02-26", "--format", "json")
    assert {row["champion_value"] for row in done.rows} == {None}


def test_several_are_tried_at_once_and_the_first_has_no_champion(built: Path) -> None:
    text = (built / "models/churn.sql").read_text(encoding="utf-8")
    config = "{{ config(requests='churn_requests') }}\n"
    write(
        built,
        "models/other.sql",
        config + text.replace("model churn", "model other").replace("    requests.visits,\n", ""),
    )
    done = ok(built, "train", "models/churn.sql", "models/other.sql", "--try", "--as-of", AS_OF, "--format", "json")
    assert [row["model"] for row in done.rows if row["metric"] == "roc_auc"] == ["churn", "other"]
    assert "churn: there is no champion to compare it with" in done.err
    assert not list((built / "artifacts").glob("*/[0-9]*"))
    # Two models with one label, measured on the same latest rows, are ranked together.
    board = rows(
        built,
        "select model, version, value, rank, n_compared from wml.leaderboard where metric = 'log_loss' order by rank",
    )
    assert [row["rank"] for row in board] == [1, 2]
    assert {row["n_compared"] for row in board} == {2}
    assert board[0]["value"] < board[1]["value"]
    done = wml(built, "train", "churn", "nonsense", "--try", "--as-of", AS_OF)
    assert done.code == 2
    assert 'no model "nonsense"' in done.err


def test_models_of_two_tasks_are_trained_and_tried_in_one_go(built: Path) -> None:
    config = "{{ config(requests='churn_requests') }}\ncreate or replace model"
    rest = "as select amount, visits, region from {{ ref('churn_requests') }}"
    write(built, "models/groups.sql", f"{config} groups options (model_type = 'kmeans', num_clusters = 2) {rest}")
    label = "input_label_cols = ['amount']"
    write(built, "models/price.sql", f"{config} price options (model_type = 'linear_reg', {label}) {rest}")
    names = ("groups", "price")
    for option in ((), ("--plan",)):
        done = ok(built, "train", *names, "--as-of", AS_OF, *option)
        assert all(name in done.out for name in names)
    told = ok(built, "train", *names, "--as-of", AS_OF, "--try", "--format", "json")
    assert {row["model"] for row in told.rows} == set(names)
    assert "groups: no rows are held out to compare it on" in told.err


def test_a_training_takes_over_the_trials_of_a_try(built: Path) -> None:
    tune(built)
    ok(built, "train", "churn", "--try", "--as-of", AS_OF)
    assert "4 of 4 trials were taken over" in ok(built, "train", "churn", "--as-of", AS_OF).err
    assert rows(built, "select status from wml.training_runs order by started_at") == [
        {"status": "tried"},
        {"status": "finished"},
    ]


# --plan.


def planned(root: Path, as_of: str = AS_OF) -> dict[str, tuple[str | None, str | None]]:
    found = ok(root, "train", "churn", "--plan", "--as-of", as_of, "--format", "json").rows
    return {row["what"]: (row["before"], row["now"]) for row in found}


def test_a_plan_says_what_a_training_would_do(built: Path) -> None:
    assert planned(built) == {"plan": (None, "version 1: the first version"), "rows": (None, "1441")}
    assert rows(built, "select count(*) as n from wml.training_runs") == [{"n": 0}]
    ok(built, "train", "churn", "--as-of", EARLIER)
    assert planned(built, EARLIER) == {
        "plan": ("version 1", "nothing: the same definition was trained on the same 769 rows already")
    }
    assert planned(built) == {
        "plan": ("version 1", "version 2: the data changed: 1,441 rows, 769 before; 672 new, 0 gone"),
        "rows": ("769", "1441"),
        "rows that came": (None, "672"),
        "rows that went": ("0", None),
        "first requested_at": ("2024-01-01 00:00:00", "2024-01-01 00:00:00"),
        "last requested_at": ("2024-02-02 00:00:00", "2024-03-01 00:00:00"),
    }
    # What the plan says is what happens.
    (row,) = ok(built, "train", "churn", "--as-of", AS_OF, "--format", "json").rows
    assert (row["version"], row["is_new"], row["n_train"] + row["n_eval"]) == (2, True, 1441)


def test_a_plan_names_the_file_that_changed(trained: Path) -> None:
    edit(trained, "sql/features/churn_labels.sql", "-- grain", "-- note: the same rows\n-- grain")
    assert planned(trained) == {
        "plan": ("version 1", "version 2: the definition changed: sql/features/churn_labels.sql"),
        "sql/features/churn_labels.sql": ("version 1", "changed: +1 -0 lines"),
        "rows": ("1441", "1441"),
    }
    edit(trained, "models/churn.sql", "create or replace", "{{ config(threshold=0.3) }}\ncreate or replace")
    found = planned(trained)
    assert found["plan"][1] == "version 2: the definition changed: models/churn.sql, sql/features/churn_labels.sql"
    assert found["models/churn.sql"] == ("version 1", "changed: +1 -0 lines")
    write(trained, "wml.toml", (trained / "wml.toml").read_text().replace("known = 3", "known = 4"))
    assert planned(trained)["rows that went"] == ("24", None)
    done = wml(trained, "train", "churn", "--plan", "--try")
    assert done.code == 2


# The leaderboard.


@pytest.fixture
def shadowed(trained: Path) -> Iterator[Path]:
    """A champion and a challenger that have answered the same requests for two weeks."""
    shutil.rmtree(trained / "artifacts" / "churn")
    (trained / "artifacts" / "aliases.parquet").unlink()
    ok(trained, "train", "churn", "--as-of", EARLIER)
    edit(trained, "models/churn.sql", "    requests.visits,\n", "")
    ok(trained, "train", "churn", "--as-of", EARLIER, "--promote", "better")
    ok(trained, "evaluate", "--as-of", "2024-02-26")
    return trained


def test_versions_are_ranked_over_the_same_requests_alone(shadowed: Path) -> None:
    board = rows(
        shadowed,
        "select window_start, model, version, value, rank, n_compared, n, better from wml.leaderboard"
        " where source = 'evaluation' and metric = 'log_loss' order by window_start, rank",
    )
    assert [(row["window_start"][:10], row["rank"], row["n_compared"]) for row in board] == [
        (day, rank, 2) for day in ("2024-02-05", "2024-02-12", "2024-02-19") for rank in (1, 2)
    ]
    for best, other in zip(board[::2], board[1::2], strict=True):
        assert (best["better"], best["n"]) == ("lower", other["n"])
        assert best["value"] <= other["value"]
        assert {best["version"], other["version"]} == {1, 2}
    metrics = {
        row["metric"]: row["rank"] for row in rows(shadowed, "select distinct metric, rank from wml.leaderboard")
    }
    assert metrics["n_requests"] is None


def test_two_evaluations_of_the_same_answers_are_one_group_and_one_row_less_is_another(shadowed: Path) -> None:
    text = (shadowed / "sql/evaluation/churn.sql").read_text(encoding="utf-8")
    write(shadowed, "sql/evaluation/again.sql", text.replace("slices=['region'], ", ""))
    write(shadowed, "sql/evaluation/fewer.sql", text + "\nwhere answers.version = 2 or answers.amount > 1")
    ok(shadowed, "evaluate", "--as-of", "2024-02-26")
    found = pd.DataFrame(
        rows(
            shadowed,
            "select evaluation, version, window_start, comparable_group, n from wml.leaderboard"
            " where source = 'evaluation' and metric = 'log_loss'",
        )
    )
    week = found[found.window_start.str.startswith("2024-02-12")].set_index(["evaluation", "version"])
    assert week.comparable_group["churn", 1] == week.comparable_group["churn", 2] == week.comparable_group["again", 1]
    assert week.n["fewer", 1] < week.n["churn", 1]
    assert week.comparable_group["fewer", 1] != week.comparable_group["churn", 1]
    assert week.comparable_group["fewer", 2] == week.comparable_group["churn", 2]


def test_held_out_rows_of_a_random_split_are_the_same_only_for_the_same_rows(built: Path) -> None:
    edit(
        built,
        "models/churn.sql",
        "data_split_method = 'seq',\n    data_split_col = 'requested_at'",
        "data_split_method = 'random'",
    )
    edit(built, "models/churn.sql", "    requests.requested_at,\n", "")
    ok(built, "train", "churn", "--try", "--as-of", AS_OF)
    edit(built, "models/churn.sql", "'logistic_reg',", "'logistic_reg', l2_reg = 3,")
    ok(built, "train", "churn", "--try", "--as-of", AS_OF)
    edit(built, "models/churn.sql", "    requests.visits,\n", "")
    ok(built, "train", "churn", "--try", "--as-of", AS_OF)
    board = rows(
        built, "select rank, n_compared from wml.leaderboard where metric = 'roc_auc' order by n_compared, rank"
    )
    # The last one was held out other rows: its rows have other hashes.
    assert [row["n_compared"] for row in board] == [1, 2, 2]


def test_the_group_of_a_sequential_split_is_the_label_and_time_of_the_rows(trained: Path) -> None:
    ok(trained, "train", "churn", "--as-of", "2024-02-26", "--promote", "never")
    ok(trained, "train", "churn", "--as-of", AS_OF, "--force", "--promote", "never")
    groups = rows(
        trained, "select version, comparable_group from wml.held_out_metrics where metric = 'roc_auc' order by version"
    )
    assert groups[0]["comparable_group"] == groups[2]["comparable_group"] != groups[1]["comparable_group"]
    snapshots = [
        pq.read_table(trained / "artifacts/churn" / str(number) / "snapshot.parquet").to_pandas() for number in (1, 2)
    ]
    held_out = [set(frame[frame.wml_split == "eval"].requested_at) for frame in snapshots]
    assert held_out[0] != held_out[1]
