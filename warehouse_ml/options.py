"""BigQuery ML's training options: what each model type takes, its default and range, and what is honoured here.

Nothing is dropped in silence: an option that cannot be honoured is refused unless its value changes nothing.
scikit-learn is not imported, because options are checked whenever a project is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from warehouse_ml.errors import DefinitionError, Place, did_you_mean

__all__ = ["CLASSIFIERS", "MODEL_TYPES", "OPTIONS", "Option", "resolve_options"]

OptionType = Literal["bool", "int", "float", "string", "strings", "weights"]

_TYPE_NAMES: dict[OptionType, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a string",
    "strings": "a list of strings",
    "weights": "a list of (label, weight) pairs",
}


@dataclass(frozen=True)
class Option:
    """One option of one model type.

    Parameters
    ----------
    type : str
        ``bool``, ``int``, ``float``, ``string``, ``strings`` or ``weights``.
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
_TUNING = "hyperparameter tuning is not done by this statement; train once per value instead"
_SPLITS = ("AUTO_SPLIT", "RANDOM", "CUSTOM", "SEQ", "NO_SPLIT")

_GENERAL = {
    "MODEL_TYPE": Option("string"),
    "INPUT_LABEL_COLS": Option("strings", default=("label",)),
    "DATA_SPLIT_METHOD": Option("string", "AUTO_SPLIT", choices=_SPLITS),
    "DATA_SPLIT_EVAL_FRACTION": Option("float", 0.2, low=0, high=1),
    "DATA_SPLIT_TEST_FRACTION": Option("float", 0.0, low=0, high=1),
    "DATA_SPLIT_COL": Option("string"),
    "INSTANCE_WEIGHT_COL": Option("string", why="BigQuery ML has it for trees only; here every model type"),
    "ENABLE_GLOBAL_EXPLAIN": Option(
        "bool", default=False, only=(False,), why="no explanations are computed at training"
    ),
    "NUM_TRIALS": Option("int", only=(None,), why=_TUNING),
    "MAX_PARALLEL_TRIALS": Option("int", default=1, only=(1,), why=_TUNING),
    "HPARAM_TUNING_ALGORITHM": Option("string", "VIZIER_DEFAULT", only=("VIZIER_DEFAULT",), why=_TUNING),
    "HPARAM_TUNING_OBJECTIVES": Option("strings", only=(None,), why=_TUNING),
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
    "CALCULATE_P_VALUES": Option("bool", default=False, only=(False,), why="p-values are not computed"),
}

_TREE_SHAPE = "the tree grower has no such step"
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
}
"""The options of each model type, by upper-case name."""

MODEL_TYPES = tuple(OPTIONS)
CLASSIFIERS = tuple(name for name in MODEL_TYPES if "AUTO_CLASS_WEIGHTS" in OPTIONS[name])


def resolve_options(
    model_type: str,
    written: Mapping[str, object],
    place: str | None = None,
    *,
    places: Mapping[str, Place] | None = None,
) -> dict[str, object]:
    """Check what was written and fill in the defaults.

    Parameters
    ----------
    model_type : str
        Upper case, one of ``MODEL_TYPES``.
    written : mapping of str to object
        The options of the statement by upper-case name: bool, int, float, str, lists, and for CLASS_WEIGHTS a mapping
        or a list of pairs.
    place : str, optional
        The file, for errors.
    places : mapping of str to place, optional
        Where each option is written.

    Returns
    -------
    dict of str to object
        Every option of the model type: numbers of type float as float, choices in upper case, lists as tuples,
        CLASS_WEIGHTS as a tuple of (text, float).

    Raises
    ------
    DefinitionError
        On an unknown model type or option, a value of the wrong type or out of range, a value that cannot be
        honoured, or options that contradict each other.
    """
    places = places or {}
    if model_type not in OPTIONS:
        raise DefinitionError(
            f'no model type "{model_type.lower()}"' if model_type else "the option model_type is missing",
            place=places.get("MODEL_TYPE", place),
            has=_lower(MODEL_TYPES),
            hint=did_you_mean(model_type, _lower(MODEL_TYPES)),
        )
    specs = OPTIONS[model_type]
    resolved = {name: spec.default for name, spec in specs.items()}
    resolved["MODEL_TYPE"] = model_type
    for name, value in written.items():
        if name not in specs:
            raise _unknown_option(model_type, name, places.get(name, place))
        if name != "MODEL_TYPE":
            resolved[name] = _checked(name, value, specs[name], places.get(name, place))
    _check_together(resolved, place)
    return resolved


def _unknown_option(model_type: str, name: str, place: Place) -> DefinitionError:
    owners = [other.lower() for other in MODEL_TYPES if name in OPTIONS[other]]
    known = sorted(OPTIONS[model_type])
    return DefinitionError(
        f"no option {name.lower()} in a {model_type.lower()}",
        place=place,
        has=[option.lower() for option in known],
        hint=f"it is an option of {', '.join(owners)}" if owners else did_you_mean(name.lower(), _lower(known)),
    )


def _checked(name: str, value: object, spec: Option, place: Place) -> object:
    shown = name.lower()
    converted = _converted(value, spec.type)
    if converted is None:
        raise DefinitionError(
            f"{shown} = {_shown(value)} is not {_TYPE_NAMES[spec.type]}",
            place=place,
            hint=f"{shown} = ['{value}']" if spec.type == "strings" and isinstance(value, str) else None,
        )
    if isinstance(converted, (int, float)) and not _in_range(converted, spec):
        raise DefinitionError(f"{shown} = {_shown(value)} is out of range", place=place, hint=_range_hint(shown, spec))
    if isinstance(converted, str) and (spec.choices or spec.only):
        converted = converted.upper()
        choices = spec.choices or tuple(str(choice) for choice in spec.only)
        if spec.choices and converted not in choices:
            raise DefinitionError(
                f"{shown} = {_shown(value)} is not known",
                place=place,
                has=_lower(choices),
                hint=did_you_mean(converted, _lower(choices)),
            )
    if spec.only and converted not in spec.only:
        honoured = [_shown(only).lower() for only in spec.only if only is not None]
        raise DefinitionError(
            f"{shown} = {_shown(value)} cannot be honoured: {spec.why}",
            place=place,
            has=honoured or None,
            hint=f"leave {shown} out",
        )
    return converted


def _converted(value: object, kind: OptionType) -> object | None:
    """Return the value as the option's type, or None if it is of another."""
    match kind:
        case "bool":
            return value if isinstance(value, bool) else None
        case "int":
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case "float":
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]
        case "string":
            return value if isinstance(value, str) else None
        case "strings":
            items = list(value) if isinstance(value, (list, tuple)) else []
            return tuple(items) if items and all(isinstance(item, str) for item in items) else None
        case "weights":
            pairs = list(_pairs(value))
            return tuple(pairs) if pairs else None


def _pairs(value: object) -> Iterator[tuple[str, float]]:
    """Yield (label, weight) from a mapping, pairs, or structs of two fields; nothing if it is neither."""
    items: list[object]
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = [list(item.values()) if isinstance(item, Mapping) else item for item in value]
    else:
        return
    pairs = []
    for item in items:
        if not isinstance(item, (list, tuple)) or len(item) != 2:
            return
        label, weight = item
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight < 0:
            return
        pairs.append((str(label).lower() if isinstance(label, bool) else str(label), float(weight)))
    yield from pairs


def _in_range(value: float, spec: Option) -> bool:
    return (spec.low is None or value >= spec.low) and (spec.high is None or value <= spec.high)


def _range_hint(name: str, spec: Option) -> str:
    if spec.high is None:
        return f"{name} is at least {spec.low}"
    return f"{name} is between {spec.low} and {spec.high}"


def _check_together(options: Mapping[str, object], place: str | None) -> None:
    if options.get("AUTO_CLASS_WEIGHTS") and options.get("CLASS_WEIGHTS"):
        raise DefinitionError("auto_class_weights and class_weights cannot both be set", place=place)
    labels = [label for label, _ in options.get("CLASS_WEIGHTS") or ()]  # type: ignore[attr-defined]
    if len(set(labels)) < len(labels):
        raise DefinitionError(f"class_weights names a label twice: {', '.join(labels)}", place=place)
    if options.get("OPTIMIZE_STRATEGY") == "NORMAL_EQUATION" and options["L1_REG"]:
        raise DefinitionError("optimize_strategy = 'normal_equation' cannot be combined with l1_reg", place=place)
    held_out = float(options["DATA_SPLIT_EVAL_FRACTION"]) + float(options["DATA_SPLIT_TEST_FRACTION"])  # type: ignore[arg-type]
    if held_out >= 1:
        raise DefinitionError(
            f"data_split_eval_fraction + data_split_test_fraction = {held_out:g} leaves no rows to train on",
            place=place,
        )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _lower(names: Sequence[str]) -> list[str]:
    return [name.lower() for name in names]
