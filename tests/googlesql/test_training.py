"""Training on the target: the rows, their split, the run's record and the version are what DuckDB makes of equal rows.

A row's hash is each engine's own (`row_hash`), and so is a split that goes by it; a split by time is the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.googlesql.both import Both
from tests.kinds import KINDS
from tests.tiny import edit, write
from tests.wml import wml

AS_OF = "2024-01-12"
LATER = "2024-01-15"
PROVES = (
    "training/all_rows.sql",
    "training/beside_champion.sql",
    "training/both_versions.sql",
    "training/champion_held_out.sql",
    "training/comparable_group.sql",
    "training/compare_rows.sql",
    "training/count_rows.sql",
    "training/describe_rows.sql",
    "training/disguised_label.sql",
    "training/disguised_number.sql",
    "training/end_killed_runs.sql",
    "training/held_out.sql",
    "training/held_out_rows.sql",
    "training/known_trials.sql",
    "training/label_classes.sql",
    "training/label_values.sql",
    "training/mark_optimal.sql",
    "training/not_finite.sql",
    "training/preprocessing_categories.sql",
    "training/preprocessing_statistics.sql",
    "training/read_rows.sql",
    "training/record_held_out.sql",
    "training/record_run.sql",
    "training/record_trial.sql",
    "training/snapshot.sql",
    "training/split.sql",
)


def version_of(folder: Path, model: str, number: int = 1) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Return a version's facts and its parameters."""
    root = folder / "artifacts" / model / str(number)
    tables = {path.stem: pq.read_table(path).to_pylist() for path in sorted((root / "parameters").glob("*.parquet"))}
    return json.loads((root / "facts.json").read_text()), tables


def same_versions(both: Both, model: str, number: int = 1) -> None:
    """Assert that both engines made the same model of the same rows."""
    ours, theirs = (version_of(folder, model, number) for folder in (both.duckdb, both.bigquery))
    assert close(theirs[1], ours[1]), model
    for name in ("options", "split", "threshold", "warnings", "scoring_path"):
        assert close(theirs[0][name], ours[0][name]), name
    assert list(theirs[0]["columns"]) == list(ours[0]["columns"])
    texts = [(folder / "artifacts" / model / str(number) / "scoring.sql").read_text() for folder in (both.duckdb, both.bigquery)]
    # DuckDB's SQL, wherever it was trained; numbers may differ in their last digits.
    assert len(texts[0].split()) == len(texts[1].split())
    assert "`" not in texts[1]


def close(found: Any, expected: Any) -> bool:
    """Whether two values are the same, doubles to 1e-9."""
    if isinstance(expected, float) and isinstance(found, float):
        return bool(found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(close(found[key], value) for key, value in expected.items())
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(close(*pair) for pair in zip(found, expected, strict=True))
    return bool(found == expected)


def model(both: Both, name: str) -> None:
    """Write a model of one of the kinds into both projects."""
    config = "{{ config(requests='churn_requests', threshold=0.4) }}\n"
    both.write(lambda folder: write(folder, f"models/{name}.sql", config + KINDS[name].replace("{name}", name)))


def test_a_version_of_equal_rows_is_the_same(both: Both) -> None:
    for as_of in (AS_OF, LATER):
        both.run("train", "churn", "--as-of", as_of)
    for number in (1, 2):
        same_versions(both, "churn", number)
    hashed = ("run_id", "started_at", "duration_seconds", "data_hash", "metrics")
    assert both.agree("wml.training_runs", but=hashed) == 2
    assert both.agree("wml.held_out_metrics", but=("run_id", "comparable_group"), within=1e-8) > 10
    ours, theirs = both.rows("select metrics from wml.training_runs order by as_of")
    for one, other in zip(ours, theirs, strict=True):
        assert close(json.loads(other["metrics"]), json.loads(one["metrics"]))
    # Again, it is the version that is there already.
    for done in both.run("train", "churn", "--as-of", LATER):
        assert "already" in done.out + done.err
    plans = both.run("train", "churn", "--as-of", "2024-01-16", "--plan")
    assert plans[0].out.replace("duckdb", "bigquery") == plans[1].out
    tries = both.run("train", "churn", "--as-of", "2024-01-16", "--try")
    assert len(tries[0].out.splitlines()) == len(tries[1].out.splitlines())


@pytest.mark.parametrize(
    "name", ["churn_trees", "churn_forest", "amount_linear", "amount_log", "region_linear", "groups", "axes"]
)
def test_models_of_every_kind(both: Both, name: str) -> None:
    model(both, name)
    both.run("train", name, "--as-of", AS_OF)
    same_versions(both, name)


@pytest.mark.parametrize(
    ("method", "column"),
    [("random", ""), ("auto_split", ""), ("no_split", ""), ("custom", "is_late"), ("custom", "side")],
)
def test_every_way_to_hold_rows_out(both: Both, method: str, column: str) -> None:
    split = f"data_split_method = '{method}'" + (f",\n    data_split_col = '{column}'" if column else "")
    old = "data_split_method = 'seq',\n    data_split_col = 'requested_at'"
    both.write(lambda folder: edit(folder, "models/churn.sql", old, split))
    chosen = {
        "is_late": "case when requests.amount > 10 then requests.amount > 80 end as is_late",
        "side": "case when requests.amount > 80 then 'EVAL' when requests.amount > 10 then 'Train' end as side",
    }
    if column:
        both.write(lambda folder: edit(folder, "models/churn.sql", "    labels.has", f"    {chosen[column]},\n    labels.has"))
    both.run("train", "churn", "--as-of", LATER)
    facts = [version_of(folder, "churn")[0]["split"] for folder in (both.duckdb, both.bigquery)]
    if method == "random":
        assert facts[1]["n_train"] + facts[1]["n_eval"] == facts[0]["n_train"] + facts[0]["n_eval"]
        assert 0.1 < facts[1]["n_eval"] / facts[1]["n_train"] < 0.5
    else:
        assert facts[0] == facts[1]
        same_versions(both, "churn")


def test_a_search_is_recorded_and_gone_on_with(both: Both) -> None:
    tuned = "model_type = 'logistic_reg',\n    num_trials = 2,\n    l2_reg = hparam_candidates([0.1, 10.0]),"
    tuned += "\n    hparam_tuning_algorithm = 'grid_search',"
    both.write(lambda folder: edit(folder, "models/churn.sql", "model_type = 'logistic_reg',", tuned))
    both.run("train", "churn", "--as-of", LATER)
    same_versions(both, "churn")
    json_texts = ("metrics", "hyperparameters")
    own = ("run_id", "duration_seconds", "search_hash", "training_loss", "eval_loss", "taken_from")
    assert both.agree("wml.trials", but=(*own, *json_texts)) == 2
    both.run("train", "churn", "--as-of", LATER, "--force")
    assert both.agree("wml.trials", but=(*own, *json_texts)) == 4


def test_what_gives_the_label_away_is_refused_in_the_same_words(both: Both) -> None:
    both.write(
        lambda folder: edit(
            folder, "models/churn.sql", "    labels.has_churned\n", "    labels.has_churned,\n    case when labels.has_churned then 5 else 7 end as told\n"
        )
    )
    refused = [wml(folder, "train", "churn", "--as-of", AS_OF) for folder in (both.duckdb, both.bigquery)]
    assert [done.code for done in refused] == [2, 2]
    assert 'the feature "told" gives the label "has_churned" away' in refused[0].err
    assert refused[1].err == refused[0].err
    assert both.agree("wml.training_runs", but=("run_id", "started_at", "duration_seconds", "data_hash")) == 1


def test_a_number_that_is_the_label_on_another_scale_is_refused_and_a_constant_is_not(both: Both) -> None:
    model(both, "amount_linear")
    scaled = "select requests.amount * 2 + 1 as doubled, 4 as four, requests.amount,"
    both.write(lambda folder: edit(folder, "models/amount_linear.sql", "select requests.amount,", scaled))
    refused = [wml(folder, "train", "amount_linear", "--as-of", AS_OF) for folder in (both.duckdb, both.bigquery)]
    assert ['the feature "doubled" gives' in done.err for done in refused] == [True, True]


def test_a_number_that_is_not_finite_is_refused_in_the_same_words(both: Both) -> None:
    events = pq.read_table(both.duckdb / "data" / "events.parquet")
    amounts = events["amount"].to_pylist()
    amounts[7] = float("inf")
    both_have(both, events.set_column(events.column_names.index("amount"), "amount", pa.array(amounts)))
    refused = [wml(folder, "train", "churn", "--as-of", AS_OF) for folder in (both.duckdb, both.bigquery)]
    assert 'column "amount" is not finite in 1 of' in refused[0].err
    assert refused[1].err == refused[0].err


def both_have(both: Both, events: pa.Table) -> None:
    from warehouse_ml.warehouses.base import Relation

    pq.write_table(events, both.duckdb / "data" / "events.parquet")
    both.warehouse.load(Relation("events"), events)
