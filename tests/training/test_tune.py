"""Tuning itself: every trial measured, the best one kept, the others recorded."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, log_loss, mean_squared_error, r2_score, roc_auc_score

from warehouse_ml.definition import read_definition
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Context
from warehouse_ml.registry import Registry
from warehouse_ml.tables import ensure_tables
from warehouse_ml.training.fit import FitResult, fit
from warehouse_ml.training.holdout import measure_held_out
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.training.rows import ROW_HASH, SPLIT, TRAINING_ROWS, RowSummary, read_training_rows
from warehouse_ml.training.tune import FAILED, SUCCEEDED, Trial, tune
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROWS = Relation("events")
N, WIDTH = 400, 12
RNG = np.random.default_rng(7)
X = RNG.normal(size=(N, WIDTH))
SIGNAL = X[:, 0] + 0.5 * X[:, 1] + 1.2 * RNG.normal(size=N)
# So few rows to train on that a penalty helps.
PART = np.where(np.arange(N) < 30, "TRAIN", np.where(np.arange(N) < 200, "EVAL", "TEST"))
CUSTOM = "data_split_method = 'custom', data_split_col = 'part'"


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    warehouse = DuckDBWarehouse(threads=1)
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


def context(warehouse: Warehouse) -> Context:
    return Context(warehouse, Registry(Path("nowhere")), dt.datetime(2024, 1, 1, tzinfo=dt.UTC))


class Tuned:
    """What a tuning came to."""

    def __init__(
        self,
        warehouse: DuckDBWarehouse,
        options: str,
        model_type: str = "linear_reg",
        *,
        label: Any = SIGNAL,
        part: Any = PART,
        threshold: float = 0.5,
        split: str = CUSTOM,
    ) -> None:
        columns = {f"x{i}": X[:, i] for i in range(WIDTH)}
        warehouse.load(ROWS, pa.table({**columns, "part": part, "y": label}))
        text = (
            f"create model m options (model_type = '{model_type}', input_label_cols = ['y'], {split}, {options})"
            f" as select * {'' if 'part' in split else 'exclude (part)'} from events"
        )
        self.definition = read_definition(text, name="m", place="models/m.sql")
        self.rows: RowSummary = read_training_rows(context(warehouse), self.definition)
        excluded = [name for name in ("y", self.definition.split.column) if name]
        features = infer_features(self.rows.columns, exclude=excluded)
        self.features = fit_preprocessing(
            warehouse, TRAINING_ROWS, features, family_of(model_type.upper()), split_column=SPLIT
        )
        self.trials: list[Trial] = []
        self.said: list[str] = []
        self.result: FitResult = tune(
            warehouse,
            self.features,
            self.definition,
            self.rows,
            threshold=threshold,
            trials=self.trials,
            say=self.said.append,
        )

    @property
    def best(self) -> Trial:
        (best,) = [trial for trial in self.trials if trial.is_optimal]
        return best

    def values(self, metric: str) -> list[float | None]:
        return [trial.metrics.get(metric) for trial in self.trials]

    def fitted_by_hand(self, warehouse: DuckDBWarehouse, options: Mapping[str, Any]) -> FitResult:
        """The model without tuning, these values written."""
        return fit(
            warehouse,
            TRAINING_ROWS,
            self.features,
            model_type=self.definition.model_type,
            label="y",
            weight_column=None,
            options={**self.definition.options, **options},
            split_column=SPLIT,
            order_by=ROW_HASH,
        )


def scaled(part: str) -> np.ndarray:
    train = X[PART == "TRAIN"]
    scaled: np.ndarray = (X[part == PART] - train.mean(axis=0)) / train.std(axis=0)
    return scaled


PENALTIES = [0.0, 0.1, 3.0, 30.0, 300.0]
GRID = f"num_trials = 10, hparam_tuning_algorithm = 'grid_search', l2_reg = hparam_candidates({PENALTIES})"


def test_a_grid_of_regressions_is_that_of_scikit_learn(warehouse: DuckDBWarehouse) -> None:
    tuned = Tuned(warehouse, GRID)
    held_out, expected = SIGNAL[PART == "EVAL"], []
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty).fit(scaled("TRAIN"), SIGNAL[PART == "TRAIN"])
        expected.append(model.predict(scaled("EVAL")))
    scores = [r2_score(held_out, predicted) for predicted in expected]
    assert tuned.values("r2_score") == pytest.approx(scores, rel=1e-9)
    assert [trial.hyperparameters for trial in tuned.trials] == [{"l2_reg": penalty} for penalty in PENALTIES]
    assert [trial.trial_id for trial in tuned.trials] == [1, 2, 3, 4, 5]
    assert tuned.best.trial_id == int(np.argmax(scores)) + 1
    assert 0 < np.argmax(scores) < 4, "the best is inside of the grid, or the test says little"
    for trial, predicted in zip(tuned.trials, expected, strict=True):
        assert trial.objective == {"r2_score": trial.metrics["r2_score"]}
        assert trial.eval_loss == pytest.approx(mean_squared_error(held_out, predicted))
        assert trial.training_loss is not None
        assert (trial.status, trial.error_message) == (SUCCEEDED, None)
    assert tuned.result.warnings == ["5 trials of num_trials = 10: there are no more points to try"]


@pytest.mark.parametrize("objective", ["roc_auc", "log_loss", "f1_score"])
def test_a_grid_of_classifiers_is_that_of_scikit_learn(warehouse: DuckDBWarehouse, objective: str) -> None:
    tuned = Tuned(
        warehouse,
        "num_trials = 3, hparam_tuning_algorithm = 'grid_search', l2_reg = hparam_candidates([0.1, 3, 300]),"
        f" hparam_tuning_objectives = ['{objective}']",
        "logistic_reg",
        label=SIGNAL > 0.5,
        threshold=0.4,
    )
    held_out, expected = SIGNAL[PART == "EVAL"] > 0.5, []
    for penalty in (0.1, 3.0, 300.0):
        model = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
        score = model.fit(scaled("TRAIN"), SIGNAL[PART == "TRAIN"] > 0.5).predict_proba(scaled("EVAL"))[:, 1]
        measured = {"roc_auc": roc_auc_score, "log_loss": log_loss}.get(objective)
        expected.append(measured(held_out, score) if measured else f1_score(held_out, score >= 0.4))
    found = tuned.values(objective)
    assert found == pytest.approx(expected, abs=2e-3)
    best = min(found, key=float) if objective == "log_loss" else max(found, key=float)  # type: ignore[arg-type]
    assert tuned.best.trial_id == found.index(best) + 1
    assert tuned.result.facts["tuning"]["objective"] == objective


def test_the_winner_is_what_its_values_written_give(warehouse: DuckDBWarehouse) -> None:
    tuned = Tuned(
        warehouse,
        "num_trials = 5, learn_rate = hparam_range(0.05, 1), max_tree_depth = hparam_range(1, 4), early_stop = false,"
        " min_tree_child_weight = hparam_range(1, 3)",
        "boosted_tree_regressor",
    )
    chosen = {name.upper(): value for name, value in tuned.best.hyperparameters.items()}
    by_hand = tuned.fitted_by_hand(warehouse, chosen)
    assert tuned.result.parameters.to_tables() == by_hand.parameters.to_tables()
    assert tuned.result.training_info == by_hand.training_info
    assert tuned.result.facts["options"] == {**tuned.definition.options, **chosen}
    assert tuned.best.training_loss == by_hand.training_info[-1]["loss"]
    assert measure_held_out(warehouse, by_hand.parameters, tuned.rows.n_eval) == tuned.best.metrics
    # Proven once, on the winner.
    assert tuned.result.parity == by_hand.parity
    assert by_hand.parity.n_rows > 0


@pytest.mark.parametrize(
    ("algorithm", "model_type"), [("vizier_default", "logistic_reg"), ("random_search", "random_forest_classifier")]
)
def test_tuning_twice_gives_the_same_trials(warehouse: DuckDBWarehouse, algorithm: str, model_type: str) -> None:
    ranges = {
        "logistic_reg": "l2_reg = hparam_range(0.01, 100), l1_reg = hparam_candidates([0, 1])",
        "random_forest_classifier": "num_parallel_tree = hparam_range(2, 6), subsample = hparam_range(0, 1)",
    }
    options = f"num_trials = 4, hparam_tuning_algorithm = '{algorithm}', {ranges[model_type]}"
    first, second = (Tuned(warehouse, options, model_type, label=SIGNAL > 0) for _ in range(2))
    assert [trial.fact() for trial in first.trials] == [trial.fact() for trial in second.trials]
    assert first.result.parameters.to_tables() == second.result.parameters.to_tables()
    assert first.said == second.said
    assert len(first.trials) == 4
    assert first.best.metrics["roc_auc"] == max(first.values("roc_auc"), key=lambda value: value or 0)
    defaults = {"logistic_reg": {"l2_reg": 0.01, "l1_reg": 0.0}}
    assert first.trials[0].hyperparameters == defaults.get(model_type, {"num_parallel_tree": 6, "subsample": 0.8})


def test_the_earliest_of_equal_trials_wins(warehouse: DuckDBWarehouse) -> None:
    tuned = Tuned(
        warehouse,
        "num_trials = 3, hparam_tuning_algorithm = 'grid_search', tree_method = hparam_candidates(['hist', 'auto']),"
        " early_stop = false",
        "boosted_tree_regressor",
    )
    first, second = tuned.trials
    assert first.metrics == second.metrics
    assert (first.is_optimal, second.is_optimal) == (True, False)


def test_a_trial_that_cannot_be_measured_fails_alone(warehouse: DuckDBWarehouse) -> None:
    """A negative prediction has no logarithm; a strong penalty leaves none."""
    tuned = Tuned(
        warehouse,
        "num_trials = 3, hparam_tuning_algorithm = 'grid_search', l2_reg = hparam_candidates([0, 1e9, 1e6]),"
        " hparam_tuning_objectives = ['mean_squared_log_error']",
        label=np.abs(SIGNAL),
    )
    failed, first, second = tuned.trials
    assert (failed.status, first.status, second.status) == (FAILED, SUCCEEDED, SUCCEEDED)
    assert failed.error_message == "mean_squared_log_error has no value on the 170 rows held out"
    assert failed.objective == {"mean_squared_log_error": None}
    assert failed.metrics["r2_score"] is not None
    errors = [trial.metrics["mean_squared_log_error"] or 0 for trial in (first, second)]
    assert tuned.best.trial_id == 2 + int(np.argmin(errors))
    assert tuned.said[0] == (
        "trial 1 of 3: l2_reg 0: failed, mean_squared_log_error has no value on the 170 rows held out"
    )
    assert "1 of 3 trials failed; the first: mean_squared_log_error has no value" in tuned.result.warnings[0]


def test_a_trial_that_cannot_be_fitted_fails_alone(warehouse: DuckDBWarehouse) -> None:
    """The sum of two penalties may be infinite, which scikit-learn refuses."""
    tuned = Tuned(
        warehouse,
        "num_trials = 2, hparam_tuning_algorithm = 'grid_search', l2_reg = 1.7e308,"
        " l1_reg = hparam_candidates([1.7e308, 0])",
        "logistic_reg",
        label=SIGNAL > 0,
    )
    assert [trial.status for trial in tuned.trials] == [FAILED, SUCCEEDED]
    failed = tuned.trials[0]
    assert failed.error_message is not None
    assert failed.error_message.startswith("InvalidParameterError: The 'C' parameter of LogisticRegression")
    assert (failed.metrics, failed.training_loss, failed.eval_loss) == ({}, None, None)
    assert tuned.best.trial_id == 2


def test_if_all_trials_fail_the_training_does(warehouse: DuckDBWarehouse) -> None:
    one_class = np.where(PART == "EVAL", True, SIGNAL > 0)
    with pytest.raises(DataError) as caught:
        Tuned(warehouse, "num_trials = 2, l2_reg = hparam_range(1, 2)", "logistic_reg", label=one_class)
    assert str(caught.value) == (
        "models/m.sql: all 2 trials failed; the first: roc_auc has no value on the 170 rows held out\n"
        "  hint: wml query \"select * from wml.trials where status = 'FAILED'\" lists them"
    )


def test_three_classes_are_tuned_by_accuracy(warehouse: DuckDBWarehouse) -> None:
    label = np.digitize(SIGNAL, [-1, 1])
    options = "num_trials = 3, l2_reg = hparam_candidates([0, 10, 1000])"
    tuned = Tuned(warehouse, options, "logistic_reg", label=label)
    assert tuned.best.metrics["accuracy"] == max(tuned.values("accuracy"), key=lambda value: value or 0)
    macro = Tuned(warehouse, f"{options}, hparam_tuning_objectives = ['f1_score']", "logistic_reg", label=label)
    assert macro.best.objective == {"f1_score": macro.best.metrics["f1_macro"]}
    assert macro.best.metrics["f1_macro"] == max(macro.values("f1_macro"), key=lambda value: value or 0)
    with pytest.raises(DefinitionError) as caught:
        Tuned(warehouse, f"{options}, hparam_tuning_objectives = ['roc_auc']", "logistic_reg", label=label)
    assert str(caught.value) == (
        'models/m.sql: roc_auc is not measured for the 3 classes of "y"\n'
        "  has:  accuracy, precision, recall, f1_score\n"
        "  hint: hparam_tuning_objectives = ['accuracy']"
    )


def test_a_grid_longer_than_num_trials_is_cut_and_says_so(warehouse: DuckDBWarehouse) -> None:
    tuned = Tuned(
        warehouse,
        "num_trials = 3, hparam_tuning_algorithm = 'grid_search', max_tree_depth = hparam_range(1, 3),"
        " learn_rate = hparam_candidates([0.1, 0.5])",
        "boosted_tree_regressor",
    )
    assert [tuple(trial.hyperparameters.values()) for trial in tuned.trials] == [(1, 0.1), (1, 0.5), (2, 0.1)]
    assert tuned.result.warnings[0] == (
        "the grid has 6 points, of which the first 3 were tried: raise num_trials, or use another "
        "hparam_tuning_algorithm"
    )


def test_each_trial_is_told(warehouse: DuckDBWarehouse) -> None:
    tuned = Tuned(
        warehouse,
        "num_trials = 2, learn_rate = hparam_range(0.1, 0.9), tree_method = hparam_candidates(['hist'])",
        "boosted_tree_regressor",
    )
    first, second = (f"{value:.4g}" for value in tuned.values("r2_score"))
    assert tuned.said[0] == f"trial 1 of 2: learn_rate 0.3, tree_method hist: r2_score {first}"
    assert tuned.said[1] == f"trial 2 of 2: learn_rate 0.5, tree_method hist: r2_score {second}"


def test_the_default_split_needs_500_rows(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(DataError) as caught:
        Tuned(warehouse, "num_trials = 2", split="data_split_method = 'auto_split'")
    assert str(caught.value) == (
        "models/m.sql: none of 400 rows is held out, and trials are compared on those\n"
        "  hint: auto_split holds out none of fewer than 500: use data_split_method = 'random'"
    )
    with pytest.raises(DataError, match="mark some with EVAL in part"):
        Tuned(warehouse, "num_trials = 2", part=np.where(PART == "EVAL", "TEST", PART))


@pytest.mark.parametrize(("n_rows", "counts"), [(499, (0, 0)), (500, (50, 50)), (1203, (120, 120)), (60_000, None)])
def test_the_default_split_of_a_tuning_holds_out_two_tenths(
    warehouse: DuckDBWarehouse, n_rows: int, counts: tuple[int, int] | None
) -> None:
    text = "create model m options (model_type = 'linear_reg', input_label_cols = ['y'], num_trials = 2) as " + (
        f"select n, n * 2 as y from range({n_rows}) as t(n)"
    )
    rows = read_training_rows(context(warehouse), read_definition(text, name="m", place="m.sql"))
    assert (rows.n_eval, rows.n_test) == (counts or (6_000, 6_000))
    assert rows.n_train == n_rows - rows.n_eval - rows.n_test


def test_what_a_version_keeps_of_a_trial_is_json(warehouse: DuckDBWarehouse) -> None:
    tuned = Tuned(warehouse, "num_trials = 2, l2_reg = hparam_range(1, 2)")
    facts = json.loads(json.dumps(tuned.result.facts, default=str))
    assert facts["tuning"] == {
        "algorithm": "VIZIER_DEFAULT",
        "objective": "r2_score",
        "num_trials": 2,
        "hyperparameters": ["l2_reg"],
    }
    assert [set(trial) for trial in facts["trials"]] == [
        {
            "trial_id",
            "hyperparameters",
            "hparam_tuning_evaluation_metrics",
            "training_loss",
            "eval_loss",
            "status",
            "error_message",
            "is_optimal",
        }
    ] * 2
