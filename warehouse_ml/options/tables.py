"""The options of each model type: default, range, and what is honoured here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CLASSIFIERS", "MODEL_TYPES", "OPTIONS", "OWN", "UNLABELLED", "Option", "OptionType"]

OptionType = Literal["bool", "int", "float", "string", "strings", "weights", "pairs"]


@dataclass(frozen=True)
class Option:
    """One option of one model type.

    Parameters
    ----------
    type : str
        ``bool``, ``int``, ``float``, ``string``, ``strings``, ``weights`` or ``pairs`` (names with any values).
    default : object
        What holds when the option is not written; None where it then has no effect.
    low, high : float, optional
        The range, ends included.
    choices : tuple of str
        The known values of a string, upper case.
    only : tuple
        The values that can be honoured, if not all; another one is refused.
    why : str
        Why the others cannot be honoured, or how the option's meaning here differs from BigQuery ML's.
    """

    type: OptionType
    default: object = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    only: tuple[object, ...] = ()
    why: str = ""


_OFFLINE = "it belongs to Google's service, which is not here"
_TUNED = "only with num_trials"
_SPLITS = ("AUTO_SPLIT", "RANDOM", "CUSTOM", "SEQ", "NO_SPLIT")

_SCORING_PATH = Option(
    "string",
    "AUTO",
    choices=("AUTO", "SQL", "ARROW"),
    why="not in BigQuery ML: how rows are scored; `auto` takes the faster way, and all give the same answers",
)

_GENERAL = {
    "MODEL_TYPE": Option("string"),
    "SCORING_PATH": _SCORING_PATH,
    "TRAINER": Option(
        "string",
        "WAREHOUSE_ML",
        choices=("WAREHOUSE_ML", "BIGQUERY_ML"),
        why="not in BigQuery ML: who trains; `bigquery_ml` sends the statement to BigQuery, on that target alone",
    ),
    "INPUT_LABEL_COLS": Option("strings", default=("label",)),
    "DATA_SPLIT_METHOD": Option("string", "AUTO_SPLIT", choices=_SPLITS),
    "DATA_SPLIT_EVAL_FRACTION": Option("float", 0.2, low=0, high=1),
    "DATA_SPLIT_TEST_FRACTION": Option("float", 0.0, low=0, high=1),
    "DATA_SPLIT_COL": Option("string"),
    "INSTANCE_WEIGHT_COL": Option("string", why="BigQuery ML has it for trees only; here every model type"),
    "ENABLE_GLOBAL_EXPLAIN": Option("bool", default=False, why="changes nothing: explanations can always be asked for"),
    "NUM_TRIALS": Option("int", low=1, high=100, why="tunes the hyperparameters"),
    "MAX_PARALLEL_TRIALS": Option("int", default=1, low=1, high=5, why="trials run one after another here"),
    "HPARAM_TUNING_ALGORITHM": Option(
        "string",
        "VIZIER_DEFAULT",
        choices=("VIZIER_DEFAULT", "RANDOM_SEARCH", "GRID_SEARCH", "OPTUNA_TPE"),
        why=f"{_TUNED}; `optuna_tpe` is not in BigQuery ML and needs `warehouse-ml[optuna]`",
    ),
    "HPARAM_TUNING_OBJECTIVES": Option("strings", why=_TUNED),
    "MODEL_REGISTRY": Option("string", only=(None,), why=_OFFLINE),
    "VERTEX_AI_MODEL_ID": Option("string", only=(None,), why=_OFFLINE),
    "VERTEX_AI_MODEL_VERSION_ALIASES": Option("strings", only=(None,), why=_OFFLINE),
    "KMS_KEY_NAME": Option("string", only=(None,), why=_OFFLINE),
}

_CLASSES = {
    "AUTO_CLASS_WEIGHTS": Option("bool", default=False),
    "CLASS_WEIGHTS": Option("weights"),
}

_GRADIENT_DESCENT = "there is no gradient descent here: L-BFGS, coordinate descent or a closed form"
_GLM = {
    "L1_REG": Option(
        "float", 0.0, low=0, why="the penalty is added to half the squared error or the log loss, summed over rows"
    ),
    "L2_REG": Option("float", 0.0, low=0, why="half of it times the squared weights, added to the same sum"),
    # BigQuery ML's default of 20 counts steps of gradient descent; a step of L-BFGS is another thing.
    "MAX_ITERATIONS": Option("int", default=100, low=1, high=100_000, why="BigQuery ML: 20, of its own steps"),
    "FIT_INTERCEPT": Option("bool", default=True),
    "CATEGORY_ENCODING_METHOD": Option(
        "string",
        "ONE_HOT_ENCODING",
        choices=("ONE_HOT_ENCODING", "DUMMY_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING"),
        only=("ONE_HOT_ENCODING", "DUMMY_ENCODING"),
        why="a linear model is given its categories as columns",
    ),
    "EARLY_STOP": Option("bool", default=True, only=(True,), why="the solver stops when it has converged"),
    "MIN_REL_PROGRESS": Option("float", 0.01, low=0, only=(0.01,), why=_GRADIENT_DESCENT),
    "LEARN_RATE_STRATEGY": Option("string", "LINE_SEARCH", only=("LINE_SEARCH",), why=_GRADIENT_DESCENT),
    "LEARN_RATE": Option("float", only=(None,), why=_GRADIENT_DESCENT),
    "LS_INIT_LEARN_RATE": Option("float", only=(None,), why=_GRADIENT_DESCENT),
    "WARM_START": Option("bool", default=False, only=(False,), why="training always starts from nothing"),
    "CALCULATE_P_VALUES": Option(
        "bool",
        default=False,
        why="needs dummy_encoding, no penalty and at most two classes; a weight counts as so many rows",
    ),
}

_TREE_SHAPE = "the tree grower has no such step"
_DART = "it belongs to booster_type = 'dart', which is not here"
_TREES = {
    "L1_REG": Option("float", 0.0, low=0, only=(0.0,), why="leaf values are shrunk by L2_REG only"),
    "MIN_SPLIT_LOSS": Option("float", 0.0, low=0, only=(0.0,), why=_TREE_SHAPE),
    "MIN_TREE_CHILD_WEIGHT": Option(
        "float", 1.0, low=0, why="becomes a number of rows in a leaf, four times as many for a classifier"
    ),
    "COLSAMPLE_BYTREE": Option("float", 1.0, low=0, high=1, only=(1.0,), why=_TREE_SHAPE),
    "COLSAMPLE_BYLEVEL": Option("float", 1.0, low=0, high=1, only=(1.0,), why=_TREE_SHAPE),
    "CATEGORY_ENCODING_METHOD": Option(
        "string",
        "LABEL_ENCODING",
        choices=("ONE_HOT_ENCODING", "DUMMY_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING"),
        only=("LABEL_ENCODING",),
        why="trees are given their categories as numbers, in alphabetical order",
    ),
    "XGBOOST_VERSION": Option("string", only=(None,), why="trees are grown by scikit-learn"),
    "APPROX_GLOBAL_FEATURE_CONTRIB": Option("bool", default=False, only=(False,), why=_OFFLINE),
}

_BOOSTED = {
    **_TREES,
    "MAX_ITERATIONS": Option("int", default=20, low=1, high=10_000),
    "LEARN_RATE": Option("float", 0.3, low=1e-6, high=1),
    "MAX_TREE_DEPTH": Option("int", default=6, low=1, high=64, why="a tree has at most 31 leaves as well"),
    "L2_REG": Option("float", 1.0, low=0),
    "SUBSAMPLE": Option("float", 1.0, low=0, high=1, only=(1.0,), why="boosting here sees every row in each tree"),
    "COLSAMPLE_BYNODE": Option("float", 1.0, low=1e-6, high=1),
    "EARLY_STOP": Option("bool", default=True),
    "MIN_REL_PROGRESS": Option("float", 0.01, low=0, high=1),
    "BOOSTER_TYPE": Option("string", "GBTREE", choices=("GBTREE", "DART"), only=("GBTREE",), why=_TREE_SHAPE),
    "DART_NORMALIZE_TYPE": Option("string", "TREE", choices=("TREE", "FOREST"), only=("TREE",), why=_DART),
    "DROPOUT": Option("float", 0.0, low=0, high=1, only=(0.0,), why=_DART),
    "TREE_METHOD": Option(
        "string",
        "AUTO",
        choices=("AUTO", "EXACT", "APPROX", "HIST"),
        only=("AUTO", "HIST"),
        why="trees are grown on histograms",
    ),
    "NUM_PARALLEL_TREE": Option("int", default=1, low=1, only=(1,), why="one tree is grown in each iteration"),
}

_FOREST = {
    **_TREES,
    "NUM_PARALLEL_TREE": Option("int", default=100, low=2, high=10_000),
    "MAX_TREE_DEPTH": Option("int", default=15, low=1, high=64),
    "SUBSAMPLE": Option("float", 0.8, low=1e-6, high=1, why="rows are drawn with replacement"),
    "COLSAMPLE_BYNODE": Option("float", 0.8, low=1e-6, high=1),
    "L2_REG": Option("float", 1.0, low=0, only=(0.0, 1.0), why="leaves hold plain means; neither value shrinks them"),
    "EARLY_STOP": Option("bool", default=True, only=(True,), why="a forest is grown in one iteration"),
    "MIN_REL_PROGRESS": Option("float", 0.01, low=0, only=(0.01,), why="a forest is grown in one iteration"),
    "TREE_METHOD": Option(
        "string",
        "AUTO",
        choices=("AUTO", "EXACT", "APPROX", "HIST"),
        only=("AUTO", "EXACT"),
        why="a forest is grown on the values themselves",
    ),
}

# Neither knows a label, a split, weights, or what to tune by.
_NOT_TUNED = "tuning compares models on rows held out, and no row is; train once per value instead"
_ALONE = {
    "MODEL_TYPE": _GENERAL["MODEL_TYPE"],
    "SCORING_PATH": _SCORING_PATH,
    "MODEL_REGISTRY": _GENERAL["MODEL_REGISTRY"],
    "VERTEX_AI_MODEL_ID": _GENERAL["VERTEX_AI_MODEL_ID"],
    "VERTEX_AI_MODEL_VERSION_ALIASES": _GENERAL["VERTEX_AI_MODEL_VERSION_ALIASES"],
    "KMS_KEY_NAME": _GENERAL["KMS_KEY_NAME"],
}

_KMEANS = {
    **_ALONE,
    "NUM_CLUSTERS": Option(
        "int", low=2, high=100, why="if not given, the decimal logarithm of the number of rows, rounded, at least 2"
    ),
    "KMEANS_INIT_METHOD": Option("string", "RANDOM", choices=("RANDOM", "KMEANS++", "CUSTOM")),
    "KMEANS_INIT_COL": Option("string", why="with 'custom': a boolean, true in the rows to start from; not a feature"),
    "DISTANCE_TYPE": Option("string", "EUCLIDEAN", choices=("EUCLIDEAN", "COSINE")),
    "STANDARDIZE_FEATURES": Option("bool", default=True),
    "MAX_ITERATIONS": Option("int", default=20, low=1, high=10_000),
    "EARLY_STOP": Option("bool", default=True),
    "MIN_REL_PROGRESS": Option("float", 0.01, low=0, high=1),
    "WARM_START": Option("bool", default=False, only=(False,), why="training always starts from nothing"),
    "NUM_TRIALS": Option("int", only=(None,), why=_NOT_TUNED),
    "MAX_PARALLEL_TRIALS": Option("int", default=1, only=(1,), why=_NOT_TUNED),
    "HPARAM_TUNING_ALGORITHM": Option("string", "VIZIER_DEFAULT", only=("VIZIER_DEFAULT",), why=_NOT_TUNED),
    "HPARAM_TUNING_OBJECTIVES": Option("strings", only=(None,), why=_NOT_TUNED),
}

_PCA = {
    **_ALONE,
    "NUM_PRINCIPAL_COMPONENTS": Option("int", low=1, high=10_000, why="this or pca_explained_variance_ratio"),
    "PCA_EXPLAINED_VARIANCE_RATIO": Option(
        "float",
        low=1e-9,
        high=1 - 1e-9,
        why="as many components as explain more than this share; or num_principal_components",
    ),
    "SCALE_FEATURES": Option("bool", default=True, why="numbers are centred in any case"),
    "PCA_SOLVER": Option(
        "string",
        "AUTO",
        choices=("FULL", "RANDOMIZED", "AUTO"),
        why="'randomized' needs num_principal_components",
    ),
}

_SKLEARN = {
    **_GENERAL,
    "TRAINER": Option(
        "string",
        "WAREHOUSE_ML",
        choices=("WAREHOUSE_ML", "BIGQUERY_ML"),
        only=("WAREHOUSE_ML",),
        why="BigQuery ML has no scikit-learn",
    ),
    "ESTIMATOR": Option("string", why="a class of scikit-learn, such as 'sklearn.linear_model.Ridge'"),
    "PARAMS": Option("pairs", why="its parameters: struct(1.0 as alpha), a list of (name, value), or JSON"),
}

_STRATEGIES = ("AUTO_STRATEGY", "BATCH_GRADIENT_DESCENT", "NORMAL_EQUATION")

OPTIONS: dict[str, dict[str, Option]] = {
    "LOGISTIC_REG": {
        **_GENERAL,
        **_CLASSES,
        **_GLM,
        "OPTIMIZE_STRATEGY": Option(
            "string", "AUTO_STRATEGY", choices=_STRATEGIES, only=("AUTO_STRATEGY",), why=_GRADIENT_DESCENT
        ),
    },
    "LINEAR_REG": {
        **_GENERAL,
        **_GLM,
        "OPTIMIZE_STRATEGY": Option(
            "string",
            "AUTO_STRATEGY",
            choices=_STRATEGIES,
            only=("AUTO_STRATEGY", "NORMAL_EQUATION"),
            why=_GRADIENT_DESCENT,
        ),
    },
    "BOOSTED_TREE_CLASSIFIER": {**_GENERAL, **_CLASSES, **_BOOSTED},
    "BOOSTED_TREE_REGRESSOR": {**_GENERAL, **_BOOSTED},
    "RANDOM_FOREST_CLASSIFIER": {**_GENERAL, **_CLASSES, **_FOREST},
    "RANDOM_FOREST_REGRESSOR": {**_GENERAL, **_FOREST},
    "KMEANS": _KMEANS,
    "PCA": _PCA,
    "SKLEARN": _SKLEARN,
}
"""The options of each model type, by upper-case name."""

MODEL_TYPES = tuple(OPTIONS)
UNLABELLED = tuple(name for name in MODEL_TYPES if "INPUT_LABEL_COLS" not in OPTIONS[name])
"""The model types that learn without a label: all rows are trained on, none are held out."""

OWN = ("TRAINER", "SCORING_PATH")
"""The options that BigQuery ML does not know."""

CLASSIFIERS = tuple(name for name in MODEL_TYPES if "AUTO_CLASS_WEIGHTS" in OPTIONS[name])
"""The model types whose every run tells classes apart; a SKLEARN may."""
