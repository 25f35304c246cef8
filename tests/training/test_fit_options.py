"""What may be written in OPTIONS, and what is said about the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from warehouse_ml.errors import DefinitionError
from warehouse_ml.options import CLASSIFIERS, MODEL_TYPES, OPTIONS, UNLABELLED, resolve_options

# What a statement of the model type cannot leave out.
NEEDED = {"PCA": {"NUM_PRINCIPAL_COMPONENTS": 2}, "SKLEARN": {"ESTIMATOR": "sklearn.linear_model.Ridge"}}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_default_may_be_written(model_type):
    defaults = resolve_options(model_type, NEEDED.get(model_type, {}))
    # Who trains is told only where it is written.
    assert set(defaults) == set(OPTIONS[model_type]) - {"TRAINER"}
    assert defaults["MODEL_TYPE"] == model_type
    written = {name: value for name, value in defaults.items() if value is not None and name != "MODEL_TYPE"}
    assert resolve_options(model_type, written) == defaults
    for name, spec in OPTIONS[model_type].items():
        assert not spec.only or spec.default in spec.only, name
        assert not spec.only or spec.why, name


def test_the_documented_defaults():
    boosted = resolve_options("BOOSTED_TREE_CLASSIFIER", {})
    names = ("MAX_ITERATIONS", "MAX_TREE_DEPTH", "LEARN_RATE", "L2_REG", "MIN_TREE_CHILD_WEIGHT", "EARLY_STOP")
    assert [boosted[name] for name in names] == [20, 6, 0.3, 1.0, 1.0, True]
    forest = resolve_options("RANDOM_FOREST_REGRESSOR", {})
    assert [forest[n] for n in ("NUM_PARALLEL_TREE", "MAX_TREE_DEPTH", "SUBSAMPLE", "COLSAMPLE_BYNODE")] == [
        100,
        15,
        0.8,
        0.8,
    ]
    assert CLASSIFIERS == ("LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER", "RANDOM_FOREST_CLASSIFIER")


def test_the_documented_defaults_of_models_without_a_label():
    kmeans = resolve_options("KMEANS", {})
    names = ("NUM_CLUSTERS", "KMEANS_INIT_METHOD", "DISTANCE_TYPE", "STANDARDIZE_FEATURES", "MAX_ITERATIONS")
    assert [kmeans[name] for name in names] == [None, "RANDOM", "EUCLIDEAN", True, 20]
    assert (kmeans["EARLY_STOP"], kmeans["MIN_REL_PROGRESS"], kmeans["WARM_START"]) == (True, 0.01, False)
    pca = resolve_options("PCA", {"NUM_PRINCIPAL_COMPONENTS": 2})
    assert (pca["SCALE_FEATURES"], pca["PCA_SOLVER"]) == (True, "AUTO")
    assert UNLABELLED == ("KMEANS", "PCA")
    assert resolve_options("KMEANS", {"KMEANS_INIT_METHOD": "kmeans++"})["KMEANS_INIT_METHOD"] == "KMEANS++"


# The options of Google's pages of each statement; INSTANCE_WEIGHT_COL of a linear model is ours.
SPLIT = "DATA_SPLIT_METHOD DATA_SPLIT_EVAL_FRACTION DATA_SPLIT_TEST_FRACTION DATA_SPLIT_COL"
VERTEX = "MODEL_REGISTRY VERTEX_AI_MODEL_ID VERTEX_AI_MODEL_VERSION_ALIASES KMS_KEY_NAME"
TUNING = "NUM_TRIALS MAX_PARALLEL_TRIALS HPARAM_TUNING_ALGORITHM HPARAM_TUNING_OBJECTIVES"
LABELLED = f"MODEL_TYPE INPUT_LABEL_COLS ENABLE_GLOBAL_EXPLAIN INSTANCE_WEIGHT_COL {SPLIT} {VERTEX} {TUNING}"
STOPS = "MAX_ITERATIONS EARLY_STOP MIN_REL_PROGRESS"
GLM = (
    f"{LABELLED} {STOPS} OPTIMIZE_STRATEGY L1_REG L2_REG LEARN_RATE_STRATEGY LEARN_RATE LS_INIT_LEARN_RATE "
    "WARM_START CALCULATE_P_VALUES FIT_INTERCEPT CATEGORY_ENCODING_METHOD"
)
TREES = (
    f"{LABELLED} APPROX_GLOBAL_FEATURE_CONTRIB CATEGORY_ENCODING_METHOD NUM_PARALLEL_TREE TREE_METHOD MAX_TREE_DEPTH "
    "MIN_TREE_CHILD_WEIGHT COLSAMPLE_BYTREE COLSAMPLE_BYLEVEL COLSAMPLE_BYNODE MIN_SPLIT_LOSS SUBSAMPLE L1_REG L2_REG "
    "EARLY_STOP MIN_REL_PROGRESS XGBOOST_VERSION"
)
BOOSTED = f"{TREES} MAX_ITERATIONS LEARN_RATE BOOSTER_TYPE DART_NORMALIZE_TYPE DROPOUT"
CLASSES = "AUTO_CLASS_WEIGHTS CLASS_WEIGHTS"
DOCUMENTED = {
    "LINEAR_REG": GLM,
    "LOGISTIC_REG": f"{GLM} {CLASSES}",
    "BOOSTED_TREE_REGRESSOR": BOOSTED,
    "BOOSTED_TREE_CLASSIFIER": f"{BOOSTED} {CLASSES}",
    "RANDOM_FOREST_REGRESSOR": TREES,
    "RANDOM_FOREST_CLASSIFIER": f"{TREES} {CLASSES}",
    "KMEANS": "MODEL_TYPE NUM_CLUSTERS KMEANS_INIT_METHOD KMEANS_INIT_COL DISTANCE_TYPE STANDARDIZE_FEATURES "
    f"WARM_START {STOPS} {VERTEX} {TUNING}",
    "PCA": f"MODEL_TYPE NUM_PRINCIPAL_COMPONENTS PCA_EXPLAINED_VARIANCE_RATIO SCALE_FEATURES PCA_SOLVER {VERTEX}",
}


@pytest.mark.parametrize("model_type", DOCUMENTED)
def test_every_documented_option_is_known(model_type):
    assert set(OPTIONS[model_type]) - {"SCORING_PATH", "TRAINER"} == set(DOCUMENTED[model_type].split())


def test_values_are_put_into_one_form():
    options = resolve_options(
        "LOGISTIC_REG",
        {
            "MODEL_TYPE": "logistic_reg",
            "L2_REG": 1,
            "DATA_SPLIT_METHOD": "seq",
            "INPUT_LABEL_COLS": ["y"],
            "CLASS_WEIGHTS": [(True, 2), ("false", 1.0)],
        },
    )
    assert options["MODEL_TYPE"] == "LOGISTIC_REG"
    assert repr(options["L2_REG"]) == "1.0"
    assert options["DATA_SPLIT_METHOD"] == "SEQ"
    assert options["INPUT_LABEL_COLS"] == ("y",)
    assert options["CLASS_WEIGHTS"] == (("true", 2.0), ("false", 1.0))
    structs = resolve_options("LOGISTIC_REG", {"CLASS_WEIGHTS": [{"label": "a", "weight": 1}, {"x": "b", "y": 2}]})
    assert structs["CLASS_WEIGHTS"] == (("a", 1.0), ("b", 2.0))
    assert resolve_options("LOGISTIC_REG", {"CLASS_WEIGHTS": {"a": 1}})["CLASS_WEIGHTS"] == (("a", 1.0),)


@pytest.mark.parametrize(
    ("model_type", "written", "message"),
    [
        ("LOGISTIC_REG", {"L2_REGG": 1.0}, 'no option l2_regg in a logistic_reg.*did you mean "l2_reg"'),
        (
            "LINEAR_REG",
            {"SUBSAMPLE": 1.0},
            "no option subsample in a linear_reg.*it is an option of boosted_tree_class",
        ),
        ("LINEAR_REG", {"L2_REG": "1"}, "l2_reg = '1' is not a number"),
        ("LINEAR_REG", {"L2_REG": True}, "l2_reg = true is not a number"),
        ("LINEAR_REG", {"L2_REG": float("nan")}, "l2_reg = nan is not a number"),
        ("LINEAR_REG", {"L2_REG": -1}, "l2_reg = -1 is out of range.*l2_reg is at least 0"),
        ("LINEAR_REG", {"MAX_ITERATIONS": 1.5}, "max_iterations = 1.5 is not a whole number"),
        ("LINEAR_REG", {"FIT_INTERCEPT": 1}, "fit_intercept = 1 is not true or false"),
        ("LINEAR_REG", {"INPUT_LABEL_COLS": "y"}, "input_label_cols = 'y' is not a list of strings"),
        ("LINEAR_REG", {"DATA_SPLIT_COL": 1}, "data_split_col = 1 is not a string"),
        ("LOGISTIC_REG", {"CLASS_WEIGHTS": [("a", -1)]}, "is not a list of .label, weight. pairs"),
        ("LOGISTIC_REG", {"CLASS_WEIGHTS": 3}, "is not a list of .label, weight. pairs"),
        ("LOGISTIC_REG", {"CLASS_WEIGHTS": ["ab"]}, "is not a list of .label, weight. pairs"),
        ("LOGISTIC_REG", {"CLASS_WEIGHTS": [("a", 1), ("a", 2)]}, "class_weights names a label twice: a, a"),
        ("LOGISTIC_REG", {"CLASS_WEIGHTS": {"a": 1}, "AUTO_CLASS_WEIGHTS": True}, "cannot both be set"),
        ("LINEAR_REG", {"DATA_SPLIT_METHOD": "RANDUM"}, "data_split_method = 'RANDUM' is not known.*\"random\""),
        ("LINEAR_REG", {"WARM_START": True}, "warm_start = true cannot be honoured: training always.*leave warm_start"),
        ("LINEAR_REG", {"LEARN_RATE": 0.1}, "learn_rate = 0.1 cannot be honoured: there is no gradient descent"),
        ("LINEAR_REG", {"NUM_TRIALS": 101}, "num_trials = 101 is out of range"),
        ("LINEAR_REG", {"OPTIMIZE_STRATEGY": "normal_equation", "L1_REG": 1.0}, "cannot be combined with l1_reg"),
        ("BOOSTED_TREE_REGRESSOR", {"BOOSTER_TYPE": "dart"}, "booster_type = 'dart' cannot be honoured"),
        ("BOOSTED_TREE_REGRESSOR", {"DROPOUT": 0.1}, "dropout = 0.1 cannot be honoured: it belongs to booster_type"),
        ("BOOSTED_TREE_REGRESSOR", {"SUBSAMPLE": 0.5}, "subsample = 0.5 cannot be honoured.*has:  1.0"),
        ("BOOSTED_TREE_REGRESSOR", {"LEARN_RATE": 3}, "learn_rate = 3 is out of range.*between 1e-06 and 1"),
        ("RANDOM_FOREST_REGRESSOR", {"NUM_PARALLEL_TREE": 1}, "num_parallel_tree = 1 is out of range"),
        (
            "LINEAR_REG",
            {"DATA_SPLIT_EVAL_FRACTION": 0.9, "DATA_SPLIT_TEST_FRACTION": 0.2},
            "leaves no rows to train on",
        ),
        ("LOGISTIC", {}, 'no model type "logistic".*did you mean "logistic_reg"'),
        ("", {}, "the option model_type is missing"),
    ],
)
def test_what_is_refused(model_type, written, message):
    with pytest.raises(DefinitionError, match=f"(?s){message}"):
        resolve_options(model_type, written)


def test_the_place_of_the_option_is_named():
    with pytest.raises(DefinitionError, match=r"models/late.sql:7:5: l2_reg = -1 is out of range"):
        resolve_options("LINEAR_REG", {"L2_REG": -1}, "models/late.sql", places={"L2_REG": "models/late.sql:7:5"})


def test_options_are_read_without_scikit_learn():
    code = "import sys, warehouse_ml.options; assert not {'sklearn', 'numpy', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
