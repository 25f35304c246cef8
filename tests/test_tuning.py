"""Tuning through the command line: the version, the rows of wml.trials, and ml.trial_info from the version alone."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.tiny import END, edit, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.errors import DefinitionError, VersionNotFoundError
from warehouse_ml.functions.call import Call, Context, ModelName
from warehouse_ml.functions.trial_info import trial_info
from warehouse_ml.session import Session, open_session
from warehouse_ml.training import subject_of, train

AS_OF = "2024-03-04"
OPTIONS = """model_type = 'boosted_tree_classifier',
    num_trials = 4,
    learn_rate = hparam_range(0.05, 0.5),
    max_tree_depth = hparam_range(1, 4),
    tree_method = hparam_candidates(['hist', 'auto']),"""


def tune(root: Path, options: str = OPTIONS) -> None:
    edit(root, "models/churn.sql", "model_type = 'logistic_reg',", options)


@pytest.fixture(scope="module")
def tuned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("tuned") / "tiny")
    tune(root)
    ok(root, "train", "churn", "--as-of", AS_OF)
    return root


@pytest.fixture
def tuned(tuned_once: Path, tmp_path: Path) -> Path:
    """A project whose version 1 is the best of four trials."""
    return Path(shutil.copytree(tuned_once, tmp_path / "tiny"))


@pytest.fixture
def session(tuned: Path) -> Iterator[Session]:
    with open_session(tuned) as session:
        yield session


def facts(root: Path, version: int = 1) -> dict[str, object]:
    found: dict[str, object] = json.loads((root / "artifacts" / "churn" / str(version) / "facts.json").read_text())
    return found


def test_every_trial_is_a_row_of_its_run(tuned: Path) -> None:
    trials = rows(tuned, "select * from wml.trials order by trial_id")
    (run,) = rows(tuned, "select run_id, version, status, options from wml.training_runs")
    assert [(trial["trial_id"], trial["run_id"], trial["model"], trial["status"]) for trial in trials] == [
        (number, run["run_id"], "churn", "SUCCEEDED") for number in (1, 2, 3, 4)
    ]
    assert json.loads(trials[0]["hyperparameters"]) == {"learn_rate": 0.3, "max_tree_depth": 4, "tree_method": "AUTO"}
    scores = [json.loads(trial["metrics"])["roc_auc"] for trial in trials]
    (best,) = [trial for trial in trials if trial["is_optimal"]]
    assert scores.index(max(scores)) == best["trial_id"] - 1
    assert all(trial["duration_seconds"] > 0 for trial in trials)
    # What the run was with, in the end.
    chosen = {name.upper(): value for name, value in json.loads(best["hyperparameters"]).items()}
    assert chosen.items() <= json.loads(run["options"]).items()
    assert facts(tuned)["options"] == json.loads(run["options"])


def test_a_version_is_measured_on_rows_that_did_not_choose_it(tuned: Path) -> None:
    snapshot = pq.read_table(tuned / "artifacts" / "churn" / "1" / "snapshot.parquet").to_pandas()
    sides = snapshot.groupby("wml_split").requested_at.agg(["size", "min", "max"])
    assert (sides.loc["eval", "size"], sides.loc["test", "size"]) == (144, 145)
    # Trained on the past, chosen on what came after, measured on the latest.
    assert sides.loc["train", "max"] <= sides.loc["eval", "min"]
    assert sides.loc["eval", "max"] <= sides.loc["test", "min"]
    (version,) = rows(tuned, "select metrics from wml.model_versions")
    metrics = json.loads(version["metrics"])
    assert metrics["n_labelled"] == 145
    assert metrics["mean_label"] == pytest.approx(snapshot[snapshot.wml_split == "test"].has_churned.mean())
    # And ml.evaluate without rows measures on the same ones.
    (evaluated,) = rows(tuned, "select roc_auc, log_loss, recall from ml.evaluate(model churn)")
    assert evaluated == {name: pytest.approx(metrics[name], rel=1e-9) for name in evaluated}
    on_eval = json.loads(rows(tuned, "select metrics from wml.trials where is_optimal")[0]["metrics"])
    assert on_eval["n_labelled"] == 144


def test_tuning_again_gives_the_same_version(tuned: Path) -> None:
    (row,) = ok(tuned, "train", "churn", "--as-of", AS_OF, "--format", "json").rows
    assert (row["version"], row["is_new"]) == (1, False)
    assert rows(tuned, "select count(*) as n from wml.trials") == [{"n": 4}]
    (row,) = ok(tuned, "train", "churn", "--as-of", AS_OF, "--force", "--format", "json").rows
    assert (row["version"], row["alias"]) == (2, "champion")
    assert "no worse on the rows held out" in row["reason"]
    first, second = (tuned / "artifacts" / "churn" / str(number) for number in (1, 2))
    for path in sorted(first.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_a_run_whose_trials_all_fail_keeps_them(tiny: Path) -> None:
    # Who is never taken for a positive has no precision.
    tune(tiny, "model_type = 'logistic_reg', num_trials = 2, hparam_tuning_objectives = ['precision'], l2_reg = "
         "hparam_range(1e8, 1e9),")  # fmt: skip
    done = wml(tiny, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    assert "all 2 trials failed; the first: precision has no value on the 144 rows held out" in done.err
    trials = rows(tiny, "select run_id, trial_id, status, error, is_optimal, metrics from wml.trials order by trial_id")
    (run,) = rows(tiny, "select run_id, status, version, error from wml.training_runs")
    assert (run["status"], run["version"]) == ("failed", None)
    for number, trial in enumerate(trials, start=1):
        assert (trial["run_id"], trial["trial_id"], trial["status"]) == (run["run_id"], number, "FAILED")
        assert trial["error"] == "precision has no value on the 144 rows held out"
        assert trial["is_optimal"] is False
        assert json.loads(trial["metrics"])["recall"] == 0


def test_trials_that_ended_are_kept_when_the_training_is_stopped(tiny: Path) -> None:
    tune(tiny)

    def stop(step: str) -> None:
        if step.startswith("trial 2"):
            raise KeyboardInterrupt

    ok(tiny, "build", "--as-of", AS_OF)
    with open_session(tiny) as session:
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
    assert rows(tiny, "select trial_id, status, is_optimal from wml.trials order by trial_id") == [
        {"trial_id": number, "status": "SUCCEEDED", "is_optimal": False} for number in (1, 2)
    ]
    assert [row["error"] for row in rows(tiny, "select error from wml.training_runs")] == ["KeyboardInterrupt"]


def context(session: Session) -> Context:
    return Context(session.warehouse, session.registry, END)


def test_trial_info_has_the_documented_columns(session: Session) -> None:
    # From the version alone: no row of the warehouse's own table is looked at.
    session.warehouse.run("delete from wml.trials")
    sql = trial_info(Call("trial_info", "q.sql:1:1", ModelName("churn")), context(session))
    assert session.warehouse.columns(sql) == {
        "trial_id": "BIGINT",
        "hyperparameters": "STRUCT(learn_rate DOUBLE, max_tree_depth BIGINT, tree_method VARCHAR)",
        "hparam_tuning_evaluation_metrics": "STRUCT(roc_auc DOUBLE)",
        "training_loss": "DOUBLE",
        "eval_loss": "DOUBLE",
        "status": "VARCHAR",
        "error_message": "VARCHAR",
        "is_optimal": "BOOLEAN",
    }
    found = session.warehouse.fetch(f"select * from ({sql}) order by trial_id").to_pylist()
    assert [row["trial_id"] for row in found] == [1, 2, 3, 4]
    assert found[0]["hyperparameters"] == {"learn_rate": 0.3, "max_tree_depth": 4, "tree_method": "AUTO"}
    assert {row["status"] for row in found} == {"SUCCEEDED"}
    assert all(row["training_loss"] > 0 and row["eval_loss"] > 0 for row in found)
    best = max(found, key=lambda row: row["hparam_tuning_evaluation_metrics"]["roc_auc"])
    assert [row["is_optimal"] for row in found] == [row is best for row in found]


def test_trial_info_is_asked_in_a_query(tuned: Path) -> None:
    (best,) = rows(
        tuned, "select trial_id, hyperparameters.learn_rate from ml.trial_info(model churn) where is_optimal"
    )
    (trial,) = rows(tuned, "select trial_id, hyperparameters from wml.trials where is_optimal")
    assert best == {"trial_id": trial["trial_id"], "learn_rate": json.loads(trial["hyperparameters"])["learn_rate"]}
    done = wml(tuned, "query", "select * from ml.trial_info(model churn, struct(1 as best))")
    assert done.code == 2
    assert 'ml.trial_info has no setting "best"' in done.err


def test_a_transform_is_fitted_once_for_all_trials(tiny: Path) -> None:
    clause = "transform (ml.standard_scaler(amount) over () as scaled, visits, has_churned, requested_at)"
    edit(tiny, "models/churn.sql", "model churn\n", f"model churn\n{clause}\n")
    tune(tiny, "model_type = 'logistic_reg', num_trials = 2, l2_reg = hparam_range(0.1, 100),")
    ok(tiny, "train", "churn", "--as-of", AS_OF)
    found = rows(tiny, "select trial_id, status, is_optimal from ml.trial_info(model churn) order by trial_id")
    assert [(row["trial_id"], row["status"]) for row in found] == [(1, "SUCCEEDED"), (2, "SUCCEEDED")]
    assert sum(row["is_optimal"] for row in found) == 1


def test_a_failed_trial_is_told(tiny: Path) -> None:
    tune(
        tiny,
        "model_type = 'logistic_reg', num_trials = 2, hparam_tuning_objectives = ['precision'],"
        " hparam_tuning_algorithm = 'grid_search', l2_reg = hparam_candidates([0, 1e9]),",
    )
    done = ok(tiny, "train", "churn", "--as-of", AS_OF)
    assert "warning: 1 of 2 trials failed; the first: precision has no value" in done.err
    with open_session(tiny) as session:
        sql = trial_info(Call("trial_info", "q.sql:1:1", ModelName("churn", "1")), context(session))
        first, second = session.warehouse.fetch(f"select * from ({sql}) order by trial_id").to_pylist()
    assert (first["status"], first["error_message"], first["is_optimal"]) == ("SUCCEEDED", None, True)
    assert (second["status"], second["is_optimal"]) == ("FAILED", False)
    assert second["error_message"] == "precision has no value on the 144 rows held out"
    assert second["hparam_tuning_evaluation_metrics"] == {"precision": None}


def test_trial_info_of_a_model_that_was_not_tuned(tiny: Path) -> None:
    ok(tiny, "train", "churn", "--as-of", AS_OF)
    with open_session(tiny) as session:
        with pytest.raises(DefinitionError) as caught:
            trial_info(Call("trial_info", "q.sql:1:1", ModelName("churn")), context(session))
        assert str(caught.value) == (
            "q.sql:1:1: churn was trained without tuning, and has no trials\n"
            "  hint: train it with num_trials = 10 and a range, such as l2_reg = hparam_range(0.01, 100)"
        )
        with pytest.raises(VersionNotFoundError):
            trial_info(Call("trial_info", "q.sql:1:1", ModelName("churn", "7")), context(session))
        early = Context(session.warehouse, session.registry, dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        with pytest.raises(VersionNotFoundError):
            trial_info(Call("trial_info", "q.sql:1:1", ModelName("churn")), early)
    assert "trials" not in facts(tiny)
