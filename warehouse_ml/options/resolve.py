"""What was written in OPTIONS, checked and completed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from warehouse_ml.errors import DefinitionError, Place, did_you_mean
from warehouse_ml.options.estimators import ESTIMATORS, estimator_named
from warehouse_ml.options.tables import MODEL_TYPES, OPTIONS, Option, OptionType

__all__ = ["resolve_options"]

_TYPE_NAMES: dict[OptionType, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a string",
    "strings": "a list of strings",
    "weights": "a list of (label, weight) pairs",
    "pairs": "a struct of named values, a list of (name, value) pairs, or a JSON object",
}


_ALWAYS_TOLD = ("MODEL_TYPE", "INPUT_LABEL_COLS")


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
        CLASS_WEIGHTS as a tuple of (text, float), PARAMS as a tuple of (name, value), ESTIMATOR as its full name.

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
    # Who trains is told only where it is written: versions of earlier releases say nothing of it.
    resolved = {name: spec.default for name, spec in specs.items() if name != "TRAINER"}
    is_native = str(written.get("TRAINER")).upper() == "BIGQUERY_ML" and "TRAINER" in specs
    resolved["MODEL_TYPE"] = model_type
    for name, value in written.items():
        if name not in specs:
            raise _unknown_option(model_type, name, places.get(name, place))
        if name != "MODEL_TYPE":
            # What cannot be honoured here may well be there.
            spec = replace(specs[name], only=()) if is_native and name != "TRAINER" else specs[name]
            resolved[name] = _checked(name, value, spec, places.get(name, place))
    _check_together(resolved, place)
    if resolved.get("ESTIMATOR"):
        resolved["ESTIMATOR"] = estimator_named(str(resolved["ESTIMATOR"]))
    if is_native and "NUM_TRIALS" not in written:
        # The defaults are BigQuery ML's own: what is not written is not ours to tell.
        return {name: value for name, value in resolved.items() if name in written or name in _ALWAYS_TOLD}
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
        case "pairs":
            return _named_values(value)


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


def _named_values(value: object) -> tuple[tuple[str, object], ...] | None:
    """Return (name, value) from a mapping, pairs or JSON, or None if it is none of them."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
    if isinstance(value, Mapping):
        return tuple((str(name), item) for name, item in value.items())
    items = [tuple(item) if isinstance(item, (list, tuple)) else () for item in value] if _is_list(value) else [()]
    if any(len(item) != 2 or not isinstance(item[0], str) for item in items):
        return None
    return tuple((item[0], item[1]) for item in items)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (list, tuple))


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
    _check_p_values(options, place)
    _check_unlabelled(options, place)
    if options["MODEL_TYPE"] == "SKLEARN":
        _check_estimator(options, place)
    evaluation, test = options.get("DATA_SPLIT_EVAL_FRACTION", 0.0), options.get("DATA_SPLIT_TEST_FRACTION", 0.0)
    held_out = float(evaluation) + float(test)  # type: ignore[arg-type]
    if held_out >= 1:
        raise DefinitionError(
            f"data_split_eval_fraction + data_split_test_fraction = {held_out:g} leaves no rows to train on",
            place=place,
        )


def _check_p_values(options: Mapping[str, object], place: str | None) -> None:
    if not options.get("CALCULATE_P_VALUES"):
        return
    if options["L1_REG"] or options["L2_REG"]:
        raise DefinitionError(
            "calculate_p_values needs a fit without a penalty: the standard errors of shrunken weights mean little",
            place=place,
            hint="leave l1_reg and l2_reg out",
        )
    if options["CATEGORY_ENCODING_METHOD"] != "DUMMY_ENCODING":
        raise DefinitionError(
            "calculate_p_values needs category_encoding_method = 'dummy_encoding': with a column for every category "
            "the weights are not determined",
            place=place,
            hint="add category_encoding_method = 'dummy_encoding'",
        )


def _check_unlabelled(options: Mapping[str, object], place: str | None) -> None:
    if options["MODEL_TYPE"] == "KMEANS":
        is_custom, column = options["KMEANS_INIT_METHOD"] == "CUSTOM", options["KMEANS_INIT_COL"]
        if is_custom and not column:
            raise DefinitionError(
                "kmeans_init_method = 'custom' needs kmeans_init_col",
                place=place,
                hint="name a boolean: true in the rows to start from",
            )
        if column and not is_custom:
            raise DefinitionError(
                "kmeans_init_col has a meaning with kmeans_init_method = 'custom' only", place=place, hint="add it"
            )
    if options["MODEL_TYPE"] == "PCA":
        count, ratio = options["NUM_PRINCIPAL_COMPONENTS"], options["PCA_EXPLAINED_VARIANCE_RATIO"]
        if (count is None) == (ratio is None):
            raise DefinitionError(
                "exactly one of num_principal_components and pca_explained_variance_ratio is needed, "
                + ("none is given" if count is None else "both are given"),
                place=place,
            )
        if ratio is not None and options["PCA_SOLVER"] == "RANDOMIZED":
            raise DefinitionError(
                "pca_solver = 'randomized' cannot tell how many components explain a share of the variance",
                place=place,
                hint="give num_principal_components, or leave pca_solver out",
            )


def _check_estimator(options: Mapping[str, object], place: str | None) -> None:
    written = options["ESTIMATOR"]
    if not written:
        raise DefinitionError(
            "model_type = 'sklearn' needs estimator", place=place, hint="estimator = 'sklearn.linear_model.Ridge'"
        )
    if estimator_named(str(written)) is None:
        short = {name.rpartition(".")[2]: name for name in ESTIMATORS}
        raise DefinitionError(
            f'no estimator "{written}" among those that can be kept as data',
            place=place,
            has=list(short),
            hint=did_you_mean(str(written), list(ESTIMATORS)) or did_you_mean(str(written), list(short)),
        )
    names = [name for name, _ in options["PARAMS"] or ()]  # type: ignore[attr-defined]
    if len(set(names)) < len(names):
        raise DefinitionError(f"params names a parameter twice: {', '.join(names)}", place=place)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _lower(names: Sequence[str]) -> list[str]:
    return [name.lower() for name in names]
