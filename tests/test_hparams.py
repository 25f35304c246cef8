"""HPARAM_RANGE, HPARAM_CANDIDATES and NUM_TRIALS: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from warehouse_ml.definition import ModelDefinition, read_definition
from warehouse_ml.errors import DefinitionError
from warehouse_ml.hparams import MAXIMISED, OBJECTIVES, TUNABLE, HparamCandidates, HparamRange, Tuning
from warehouse_ml.options import MODEL_TYPES, OPTIONS


def read(options: str, model_type: str = "boosted_tree_classifier") -> ModelDefinition:
    text = f"create model m\noptions (\n    model_type = '{model_type}',\n    {options}\n) as\nselect a, label from t"
    return read_definition(text, name="m", place="models/m.sql")


def tuning(options: str, model_type: str = "boosted_tree_classifier") -> Tuning:
    found = read(options, model_type).tuning
    assert found is not None
    return found


def test_ranges_and_candidates_are_read() -> None:
    definition = read(
        "num_trials = 7, learn_rate = hparam_range(0.01, 0.5), L2_REG = HPARAM_RANGE(1, 1e3),"
        " max_tree_depth = hparam_range(2, 6), tree_method = hparam_candidates(['hist', 'auto']),"
        " colsample_bynode = Hparam_Candidates([1, 0.5]), hparam_tuning_algorithm = 'random_search',"
        " hparam_tuning_objectives = ['LOG_LOSS']"
    )
    assert definition.tuning == Tuning(
        7,
        "RANDOM_SEARCH",
        "log_loss",
        {
            "LEARN_RATE": HparamRange(0.01, 0.5),
            "L2_REG": HparamRange(1.0, 1000.0, is_log=True),
            "MAX_TREE_DEPTH": HparamRange(2, 6, is_whole=True),
            "TREE_METHOD": HparamCandidates(("HIST", "AUTO")),
            "COLSAMPLE_BYNODE": HparamCandidates((1.0, 0.5)),
        },
    )
    assert list(definition.tuning.space)[:2] == ["LEARN_RATE", "L2_REG"]
    # Among the options, what is tuned has its default.
    assert (definition.options["LEARN_RATE"], definition.options["MAX_TREE_DEPTH"]) == (0.3, 6)


def test_without_num_trials_nothing_is_tuned() -> None:
    definition = read("learn_rate = 0.1")
    assert definition.tuning is None
    assert (definition.split.eval_fraction, definition.split.test_fraction) == (0.2, 0.0)


def test_trials_alone_tune_over_the_documented_ranges() -> None:
    penalty = HparamRange(0.0, 10.0, is_log=True)
    assert tuning("num_trials = 3", "logistic_reg").space == {"L1_REG": penalty, "L2_REG": penalty}
    assert tuning("num_trials = 3, l1_reg = 0", "linear_reg").space == {"L2_REG": penalty}
    boosted = tuning("num_trials = 3")
    # From 0 means from just above it, where 0 itself is not allowed.
    assert boosted.space == {
        "LEARN_RATE": HparamRange(1e-6, 1.0),
        "L2_REG": penalty,
        "MAX_TREE_DEPTH": HparamRange(1, 10, is_whole=True),
    }
    assert boosted.warnings == ("l1_reg and subsample cannot be honoured, so not tuned either",)
    forest = tuning("num_trials = 3", "random_forest_regressor")
    assert forest.space == {
        "MAX_TREE_DEPTH": HparamRange(1, 20, is_whole=True),
        "SUBSAMPLE": HparamRange(1e-6, 1.0),
        "NUM_PARALLEL_TREE": HparamRange(2, 200, is_whole=True),
    }
    assert (forest.algorithm, forest.objective) == ("VIZIER_DEFAULT", None)


def test_what_google_writes_from_0_is_taken_from_just_above() -> None:
    assert tuning("num_trials = 3, learn_rate = hparam_range(0, 0.5)").space["LEARN_RATE"] == HparamRange(1e-6, 0.5)
    assert tuning("num_trials = 3, l2_reg = hparam_range(0, 5)").space["L2_REG"] == HparamRange(0.0, 5.0, is_log=True)
    assert tuning("num_trials = 3, l2_reg = hparam_range(5, 5)").space["L2_REG"] == HparamRange(5.0, 5.0, is_log=True)


def test_a_value_that_changes_nothing_may_be_a_candidate() -> None:
    assert tuning("num_trials = 1, subsample = hparam_candidates([1])").space == {"SUBSAMPLE": HparamCandidates((1.0,))}


@pytest.mark.parametrize(
    ("options", "fractions"),
    [
        ("num_trials = 5", ("AUTO_SPLIT", 0.1, 0.1)),
        ("num_trials = 5, data_split_method = 'random'", ("RANDOM", 0.1, 0.1)),
        ("num_trials = 5, data_split_method = 'seq', data_split_col = 'a'", ("SEQ", 0.1, 0.1)),
        (
            "num_trials = 5, data_split_method = 'random', data_split_eval_fraction = 0.3,"
            " data_split_test_fraction = 0",
            ("RANDOM", 0.3, 0.0),
        ),
    ],
)
def test_a_tenth_chooses_and_another_tenth_measures(options: str, fractions: tuple[str, float, float]) -> None:
    split = read(options).split
    assert (split.method, split.eval_fraction, split.test_fraction) == fractions


def test_one_objective_may_be_written_as_a_text() -> None:
    assert tuning("num_trials = 5, hparam_tuning_objectives = 'recall'").objective == "recall"
    assert tuning("num_trials = 5, hparam_tuning_objectives = ['R2_SCORE']", "linear_reg").objective == "r2_score"


def test_parallel_trials_are_accepted_and_said_to_be_serial() -> None:
    assert tuning("num_trials = 5, l2_reg = hparam_range(1, 2), max_parallel_trials = 3").warnings == (
        "max_parallel_trials = 3: trials run one after another here",
    )
    assert tuning("num_trials = 5, l2_reg = hparam_range(1, 2), max_parallel_trials = 1").warnings == ()


def test_the_tables_agree_with_the_options() -> None:
    assert set(TUNABLE) == set(OBJECTIVES) <= set(MODEL_TYPES)
    for model_type, tunable in TUNABLE.items():
        assert set(tunable) <= set(OPTIONS[model_type])
        assert OBJECTIVES[model_type][0] in MAXIMISED


RANGE = "l2_reg = hparam_range(1, 2)"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            RANGE,
            "models/m.sql:4:5: l2_reg is to be tuned, but num_trials is missing\n  hint: add num_trials = 10: 10 or",
        ),
        ("hparam_tuning_objectives = ['roc_auc']", "hparam_tuning_objectives says how to tune, but num_trials is miss"),
        ("max_parallel_trials = 1", "max_parallel_trials says how to tune, but num_trials is missing"),
        ("hparam_tuning_algorithm = 'grid_search'", "hint: add num_trials, or leave hparam_tuning_algorithm out"),
        ("num_trials = 0", "num_trials = 0 is out of range\n  hint: num_trials is between 1 and 100"),
        ("num_trials = 101", "num_trials = 101 is out of range"),
        ("num_trials = null", "num_trials = null is not a whole number"),
        ("num_trials = 2.5", "num_trials = 2.5 is not a whole number"),
        ("num_trials = 5, max_parallel_trials = 6", "max_parallel_trials = 6 is out of range"),
        ("num_trials = 5, hparam_tuning_algorithm = 'grid'", "hparam_tuning_algorithm = 'grid' is not known"),
        ("num_trials = 5, hparam_tuning_objectives = ['roc_auk']", 'did you mean "roc_auc"'),
        ("num_trials = 5, hparam_tuning_objectives = ['r2_score']", "is no objective of a boosted_tree_classifier"),
        ("num_trials = 5, hparam_tuning_objectives = ['recall', 'roc_auc']", "one objective is tuned for, 2 are given"),
        ("num_trials = 5, hparam_tuning_objectives = [1]", "hparam_tuning_objectives = [1] is not a list of strings"),
        (
            "num_trials = 5, learn_rate = 0.1, l1_reg = 0, l2_reg = 1, max_tree_depth = 3, subsample = 1",
            "num_trials is given, but every hyperparameter has a value",
        ),
        ("num_trials = 5, learn_rate = hparam_range(0.5, 0.1)", "hint: the lower end comes first: hparam_range(0.1, 0"),
        ("num_trials = 5, learn_rate = hparam_range(0.1)", "learn_rate = hparam_range(...) needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range(0.1, 0.2, 0.3)", "needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range(null, 0.2)", "needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range('a', 'b')", "needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range(false, true)", "needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range([0.1, 0.2])", "needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range(0.1, 1e999)", "needs two numbers"),
        ("num_trials = 5, learn_rate = hparam_range(0.1, a)", "needs a constant, not a"),
        (
            "num_trials = 5, learn_rate = hparam_range(0.1, 7)",
            "learn_rate = 7 is out of range\n  hint: learn_rate is b",
        ),
        ("num_trials = 5, l2_reg = hparam_range(-1, 7)", "l2_reg = -1 is out of range"),
        ("num_trials = 5, max_tree_depth = hparam_range(0, 4)", "max_tree_depth = 0 is out of range"),
        ("num_trials = 5, max_tree_depth = hparam_range(1.5, 4)", "max_tree_depth = 1.5 is not a whole number"),
        ("num_trials = 5, min_tree_child_weight = hparam_range(0.5, 4)", "min_tree_child_weight is tuned in whole num"),
        ("num_trials = 5, tree_method = hparam_range(1, 4)", "tree_method is no number"),
        ("num_trials = 5, subsample = hparam_range(0.5, 1)", "hparam_range(0.5, 1) cannot be honoured: boosting here"),
        ("num_trials = 5, subsample = hparam_candidates([0.5, 1])", "subsample = 0.5 cannot be honoured"),
        ("num_trials = 5, booster_type = hparam_candidates(['dart'])", "booster_type = 'dart' cannot be honoured"),
        ("num_trials = 5, learn_rate = hparam_candidates([])", "needs one list of numbers or texts"),
        ("num_trials = 5, learn_rate = hparam_candidates(0.1, 0.2)", "needs one list of numbers or texts"),
        ("num_trials = 5, learn_rate = hparam_candidates([0.1, null])", "needs one list of numbers or texts"),
        ("num_trials = 5, learn_rate = hparam_candidates([0.1, [0.2]])", "needs one list of numbers or texts"),
        ("num_trials = 5, learn_rate = hparam_candidates(['fast'])", "learn_rate = 'fast' is not a number"),
        ("num_trials = 5, l2_reg = hparam_candidates([1, 2, 1.0])", "l2_reg = hparam_candidates(...) has 1.0 twice"),
        ("num_trials = 5, tree_method = hparam_candidates(['hist', 'HIST'])", "has hist twice"),
        ("num_trials = 5, max_iterations = hparam_range(1, 2)", "max_iterations is not tuned\n  has:  learn_rate, l2_"),
        ("num_trials = 5, gamma = hparam_range(0, 1)", "no option gamma in a boosted_tree_classifier"),
        ("gamma = hparam_range(0, 1)", "no option gamma in a boosted_tree_classifier"),
        ("num_trials = 5, dropout = hparam_range(0, 1)", "cannot be honoured: it belongs to booster_type = 'dart'"),
        (f"num_trials = 5, {RANGE}, hparam_tuning_algorithm = 'grid_search'", "grid_search needs values to count, and"),
        ("num_trials = 5, hparam_tuning_algorithm = 'grid_search'", "and learn_rate is a range of numbers"),
        ("num_trials = 5, data_split_method = 'no_split'", "leaves no rows to compare trials on"),
        ("num_trials = 5, data_split_eval_fraction = 0.2", "needs data_split_test_fraction beside it"),
        ("num_trials = 5, data_split_test_fraction = 0.2", "needs data_split_eval_fraction beside it"),
        (
            "num_trials = 5, data_split_eval_fraction = 0, data_split_test_fraction = 0.2",
            "data_split_eval_fraction = 0 leaves no rows to compare trials on",
        ),
    ],
)
def test_what_is_wrong_is_told(options: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(options)
    assert says in str(caught.value)
    assert str(caught.value).startswith("models/m.sql")


def test_options_that_contradict_each_other_are_told_before_any_trial() -> None:
    with pytest.raises(DefinitionError, match="'normal_equation' cannot be combined with l1_reg"):
        read("num_trials = 5, optimize_strategy = 'normal_equation', l1_reg = hparam_range(0, 1)", "linear_reg")
    assert tuning(
        "num_trials = 5, optimize_strategy = 'normal_equation', l2_reg = hparam_range(0, 1)", "linear_reg"
    ).space


def test_other_model_types_are_not_tuned() -> None:
    def refused(options: str, model_type: str) -> str:
        with pytest.raises(DefinitionError) as caught:
            read(options, model_type)
        return str(caught.value)

    assert "num_trials = 5 cannot be honoured: tuning compares models on rows held out" in refused(
        "num_trials = 5", "kmeans"
    )
    assert "a kmeans is not tuned\n  has:  linear_reg, logistic_reg, boosted" in refused(
        "num_clusters = hparam_range(2, 5)", "kmeans"
    )
    assert "models/m.sql:4:26: a sklearn is not tuned" in refused("estimator = 'Ridge', num_trials = 5", "sklearn")


def test_an_unknown_model_type_is_told_first() -> None:
    with pytest.raises(DefinitionError, match='no model type "lin_reg"'):
        read("num_trials = 5, l2_reg = hparam_range(0, 1)", "lin_reg")
