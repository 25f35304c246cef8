"""Training on the target: the rows, their split, the run's record and the version are what DuckDB makes of equal rows.

A row's hash is each engine's own (`row_hash`), and so is a split that goes by it; a split by time is the same.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.googlesql.both import Both
from tests.googlesql.warehouse import GoogleSqlWarehouse
from tests.kinds import KINDS
from tests.tiny import edit, write
from warehouse_ml.definition import ModelDefinition, read_definition
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions import Context
from warehouse_ml.training.names import check_names
from warehouse_ml.training.preprocessing import fit_preprocessing, infer_features
from warehouse_ml.training.rows import TRAINING_ROWS, RowSummary, read_training_rows, refuse_disguised_labels
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

AS_OF = "2024-01-12"
END = dt.datetime(2024, 1, 12, tzinfo=dt.UTC)
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
    "training/sample.sql",
    "training/snapshot.sql",
    "training/split.sql",
    "training/transform/derived_columns.sql",
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
    texts = [
        (folder / "artifacts" / model / str(number) / "scoring.sql").read_text()
        for folder in (both.duckdb, both.bigquery)
    ]
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
    both.run("train", "churn", "--as-of", AS_OF)
    same_versions(both, "churn")
    # A definition is hashed as it is rendered, in the target's own SQL.
    own = ("run_id", "started_at", "duration_seconds", "definition_hash", "data_hash", "metrics")
    assert both.agree("wml.training_runs", but=own) == 1
    assert both.agree("wml.held_out_metrics", but=("run_id", "comparable_group"), within=1e-8) > 10
    (ours,), (theirs,) = both.rows("select metrics from wml.training_runs")
    assert close(json.loads(theirs["metrics"]), json.loads(ours["metrics"]))
    # Again, it is the version that is there already; with further rows there would be another.
    for done in both.run("train", "churn", "--as-of", AS_OF):
        assert "already" in done.out + done.err
    for done in both.run("train", "churn", "--as-of", "2024-01-14", "--plan"):
        assert "last requested_at" in done.out


def test_a_trial_is_measured_beside_the_champion(both: Both) -> None:
    both.run("train", "churn", "--as-of", AS_OF)
    tries = both.run("train", "churn", "--as-of", "2024-01-14", "--try", "--format", "json")
    for one, other in zip(tries[0].rows, tries[1].rows, strict=True):
        assert one.keys() == other.keys()
        assert {key for key in one if not close(other[key], one[key])} == {"run_id"}


def test_a_trial_without_what_the_champion_needs_stands_beside_its_own_training(both: Both) -> None:
    both.run("train", "churn", "--as-of", AS_OF)
    both.write(lambda folder: edit(folder, "models/churn.sql", "    requests.visits,\n", ""))
    tries = both.run("train", "churn", "--as-of", AS_OF, "--try", "--format", "json")
    assert all("visits, which is not selected any more" in done.out + done.err for done in tries)
    for one, other in zip(tries[0].rows, tries[1].rows, strict=True):
        assert one.keys() == other.keys()
        assert {key for key in one if not close(other[key], one[key])} == {"run_id"}


def test_a_kept_estimator_is_measured_on_arrays(both: Both) -> None:
    model(both, "churn_near")
    both.run("train", "churn_near", "--as-of", AS_OF)
    own = ("run_id", "comparable_group")
    assert both.agree("wml.held_out_metrics", but=own, within=1e-8) > 10


def test_models_of_other_kinds(both: Both) -> None:
    names = ("churn_transform", "region_linear", "amount_trees", "groups")
    for name in names:
        model(both, name)
    # The label and the weight may be TRANSFORM's own as well.
    derived = "    has_churned,\n    requested_at", "    not has_churned as has_churned,\n    requested_at"
    both.write(lambda folder: edit(folder, "models/churn_transform.sql", *derived))
    both.run("train", *names, "--as-of", AS_OF)
    for name in names[1:3]:
        same_versions(both, name)
    # Where clusters start, the order of the rows says, which is that of their hashes.
    groups = [version_of(folder, "groups")[1] for folder in (both.duckdb, both.bigquery)]
    assert close(groups[1]["features"], groups[0]["features"])
    assert len(groups[1]["clusters"]) == len(groups[0]["clusters"]) == 3
    ours, theirs = (version_of(folder, "churn_transform") for folder in (both.duckdb, both.bigquery))
    assert theirs[1].pop("language") == [{"dialect": "bigquery"}]
    for _, tables in (ours, theirs):
        # The same expressions in the other engine's words.
        assert tables.pop("elsewhere")
        for row in (*tables["transform"], *tables["features"]):
            row.pop("frozen", None), row.pop("expression", None)
    assert close(theirs[1], ours[1])


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


@pytest.fixture(scope="module")
def warehouses() -> Iterator[tuple[DuckDBWarehouse, GoogleSqlWarehouse]]:
    n = 700
    rows = pa.table(
        {
            "number": pa.array(range(n)),
            "asked_at": pa.array(
                [dt.datetime(2024, 1, 1 + row % 9, row % 24, row % 60, tzinfo=dt.UTC) for row in range(n)]
            ),
            "x": pa.array([None if row % 11 == 0 else (row * 37 % 101) / 7 for row in range(n)]),
            "city": pa.array([("a", "b", "c")[row * 7 % 3] for row in range(n)]),
            "late": pa.array([None if row % 50 == 0 else row % 4 == 0 for row in range(n)]),
            "side": pa.array([None if row % 50 == 0 else ("Train", "EVAL", "test")[row * 13 % 3] for row in range(n)]),
            "far": pa.array([float("inf") if row == 9 else row / 3 for row in range(n)]),
            "value": pa.array([(row * 37 % 101) / 7 + row % 13 for row in range(n)]),
            "yes": pa.array([row * 17 % 5 < 2 for row in range(n)]),
        }
    )
    both = DuckDBWarehouse(threads=1), GoogleSqlWarehouse()
    for warehouse in both:
        warehouse.load(Relation("asked"), rows)
    yield both
    both[0].close()


def read(warehouse: Warehouse, options: str, columns: str, label: str = "yes") -> tuple[RowSummary, ModelDefinition]:
    """Read the training rows of a definition."""
    kind = "linear_reg" if label == "value" else "logistic_reg"
    text = f"create model m options (model_type = '{kind}', input_label_cols = ['{label}'] {options}) as\n"
    text += f"select {columns}, {label} from asked"
    definition = read_definition(text, name="m", place="m.sql", engine=warehouse.engine)
    return read_training_rows(Context(warehouse, None, END), definition), definition  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        (
            ", data_split_method = 'seq', data_split_col = 'asked_at', data_split_test_fraction = 0.1",
            "number, asked_at",
        ),
        (", data_split_method = 'custom', data_split_col = 'late'", "number, late"),
        (", data_split_method = 'custom', data_split_col = 'side'", "number, side"),
        (", data_split_method = 'no_split'", "number, x, city"),
        (", data_split_method = 'auto_split'", "number, x, city"),
        (", num_trials = 2, l2_reg = hparam_range(0, 1)", "number, x, city"),
        (", data_split_method = 'random', data_split_test_fraction = 0.3", "number, x, city"),
    ],
)
def test_rows_are_held_out_as_on_duckdb(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse], options: str, columns: str
) -> None:
    summaries, sides = [], []
    for warehouse in warehouses:
        summaries.append(read(warehouse, options, columns)[0])
        rows = warehouse.fetch(f"select number, wml_split from {TRAINING_ROWS.name} order by number").to_pylist()
        sides.append({row["number"]: row["wml_split"] for row in rows})
    counts = [(one.n_rows, one.n_train, one.n_eval, one.n_test, one.n_held_out_by_null) for one in summaries]
    if "random" in options:
        # By the rows' hash, which is each engine's own.
        for _, n_train, n_eval, n_test, _ in counts:
            assert (n_train / 700, n_eval / 700, n_test / 700) == pytest.approx((0.5, 0.2, 0.3), abs=0.06)
        return
    assert counts[0] == counts[1]
    if "seq" in options or "custom" in options:
        assert {row for row, side in sides[0].items() if sides[1][row] != side} <= set(ties(warehouses[0], options))


def ties(warehouse: DuckDBWarehouse, options: str) -> list[int]:
    """Return the rows that share their instant with another: which of them comes first, their hash says."""
    if "seq" not in options:
        return []
    return warehouse.fetch("select number from asked qualify count(*) over (partition by asked_at) > 1")[
        "number"
    ].to_pylist()


@pytest.mark.parametrize(
    ("label", "columns", "told"),
    [
        ("yes", "number, case when yes then 5 else 7 end as told", 'the feature "told" gives the label "yes" away'),
        ("value", "number, value * 2 + 1 as told", 'the feature "told" gives the label "value" away'),
        ("value", "number, 4 as four, 1.5e0 as same", None),
    ],
)
def test_what_gives_the_label_away_is_refused_in_the_same_words(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse], label: str, columns: str, told: str | None
) -> None:
    said = []
    for warehouse in warehouses:
        rows, definition = read(warehouse, ", data_split_method = 'no_split'", columns, label)
        features = [name for name in rows.columns if name != label]
        task = "regression" if label == "value" else "classification"
        try:
            refuse_disguised_labels(warehouse, definition, features, rows, task)
            said.append(None)
        except DataError as error:
            said.append(error.what)
    assert said[1] == said[0]
    assert (said[0] is None) == (told is None)
    assert told is None or told in str(said[0])


def test_a_number_that_is_not_finite_is_refused_in_the_same_words(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse],
) -> None:
    said = []
    for warehouse in warehouses:
        rows, _ = read(warehouse, ", data_split_method = 'no_split'", "number, far")
        columns = infer_features(rows.columns, exclude=["yes"])
        with pytest.raises(DataError) as refused:
            fit_preprocessing(warehouse, TRAINING_ROWS, columns, "linear", split_column="wml_split")
        said.append(refused.value.what)
    assert said == ['column "far" is not finite in 1 of 700 training rows, for example inf'] * 2


@pytest.mark.parametrize("most", [200, 700])
def test_a_sample_is_the_rows_of_lowest_hashes(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse], most: int
) -> None:
    for warehouse in warehouses:
        options = ", data_split_method = 'seq', data_split_col = 'asked_at'"
        everything, definition = read(warehouse, options, "number, asked_at")
        hashes = warehouse.fetch(f"select wml_row_hash from {TRAINING_ROWS.name}")["wml_row_hash"].to_pylist()
        rows = read_training_rows(Context(warehouse, None, END), definition, most)  # type: ignore[arg-type]
        taken = warehouse.fetch(f"select wml_row_hash from {TRAINING_ROWS.name}")["wml_row_hash"].to_pylist()
        assert rows.n_asked == 700
        assert rows.is_sample == (most < 700)
        assert sorted(taken) == sorted(hashes)[: rows.n_rows]
        assert most - 10 * most**0.5 < rows.n_rows <= most
        assert (rows.data_hash == everything.data_hash) == (most == 700)
        again = read_training_rows(Context(warehouse, None, END), definition, most)  # type: ignore[arg-type]
        assert again == rows


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.b", "'.' is not allowed"),
        ("say `x`", "'`' is not allowed"),
        ("_PARTITIONTIME", "BigQuery's own"),
        ("", "it has no name"),
    ],
)
def test_a_name_that_bigquery_refuses_is_said_before_anything_runs(name: str, told: str) -> None:
    with pytest.raises(DefinitionError, match=told) as refused:
        check_names(["number", name], "m.sql:3")
    assert f'a column called "{name}" cannot be kept by BigQuery' in str(refused.value)
    check_names(["number", "the count", "Größe", "it's", "a-b", "select", "100%"], "m.sql:3")


def test_an_expression_without_a_name_is_refused_by_its_place(
    warehouses: tuple[DuckDBWarehouse, GoogleSqlWarehouse],
) -> None:
    with pytest.raises(DefinitionError, match="it has no name") as refused:
        read(warehouses[1], "", "number, x + 1")
    assert "m.sql" in str(refused.value)
