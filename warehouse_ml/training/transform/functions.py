"""What each preprocessing function asks of the training rows, and the expression of one row that it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.preprocessing_calls import SIGNATURES
from warehouse_ml.scoring import manual
from warehouse_ml.training.preprocessing import LARGEST_SQUARE, MAX_CATEGORIES
from warehouse_ml.training.transform.statistics import Statistics
from warehouse_ml.transform_clause import MlCall

__all__ = ["Encoded", "Made", "ask", "fields_of", "make"]

_MOST_FIELDS = 10
_SCALERS = ("standard_scaler", "min_max_scaler", "max_abs_scaler", "robust_scaler")
_ENCODERS = ("one_hot_encoder", "label_encoder", "multi_hot_encoder")


@dataclass(frozen=True)
class Encoded:
    """What an encoder was given, and what it learned.

    Parameters
    ----------
    name : str
        The function.
    operand : exp.Expr
        Frozen.
    vocabulary : tuple of str
        Ascending by code point.
    dropped : str or None
        The category that is left to be recognised by the absence of all others.
    """

    name: str
    operand: exp.Expr
    vocabulary: tuple[str, ...]
    dropped: str | None = None


@dataclass(frozen=True)
class Made:
    """What a call became.

    Parameters
    ----------
    expression : exp.Expr
        Of one row.
    encoded : Encoded, optional
        Of ``one_hot_encoder`` and ``multi_hot_encoder``.
    warning : str, optional
        What the user should know.
    """

    expression: exp.Expr
    encoded: Encoded | None = None
    warning: str | None = None


class _Wanted(TypedDict):
    value: exp.Expr
    most: int
    fewest: int
    is_list: bool


def fields_of(call: MlCall, at: str) -> list[tuple[str, exp.Expr]]:
    """Return the named fields of a struct that is written out.

    Raises
    ------
    DefinitionError
        If it is not written out, a field has no name, or there are too few or too many.
    """
    usage = f"ml.{call.name}({SIGNATURES[call.name].usage})"
    struct = call.operand.unnest()
    if not isinstance(struct, exp.Struct):
        raise DefinitionError(f"ml.{call.name} needs a struct(...) that is written out", place=at, hint=usage)
    fields = []
    for node in struct.expressions:
        if isinstance(node, exp.PropertyEQ):
            fields.append((node.this.name, node.expression))
        elif isinstance(node, exp.Column):
            fields.append((node.name, node))
        else:
            told = node.sql(dialect=call.dialect)
            raise DefinitionError(
                f"a field of ml.{call.name} has no name: {told}", place=at, hint=f"struct({told} as name)"
            )
    names = [name.casefold() for name, _ in fields]
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise DefinitionError(
            f'two fields of ml.{call.name} are called "{again}"', place=at, hint="struct(a as b, ...)"
        )
    fewest = 2 if call.name == "feature_cross" else 1
    if not fewest <= len(fields) <= _MOST_FIELDS:
        raise DefinitionError(
            f"ml.{call.name} takes {fewest} to {_MOST_FIELDS} fields, not {len(fields)}", place=at, hint=usage
        )
    return fields


def ask(call: MlCall, kind: str, statistics: Statistics, at: str) -> None:
    """Ask for the statistics that a call needs.

    Parameters
    ----------
    call : MlCall
    kind : str
        What the operand's type means, as ``input_kind`` says.
    statistics : Statistics
    at : str
        File and line, for errors.

    Raises
    ------
    DefinitionError
        If there is no such statistic of a text.
    """
    strategy = call.settings.get("strategy")
    if strategy in ("mean", "median") and kind == "category":
        raise DefinitionError(
            f"a text has no {strategy}: {call.told()}", place=at, hint="ml.imputer(text, 'most_frequent') over ()"
        )
    if call.name in _ENCODERS or strategy == "most_frequent":
        statistics.ask_frequencies(**_wanted(call, kind))
    elif strategy is not None or call.name in _SCALERS or call.name == "quantile_bucketize":
        statistics.ask_number(manual.as_number(call.operand), _shares(call))


def make(call: MlCall, kind: str, statistics: Statistics, at: str) -> Made:
    """Return the expression of one row that a call becomes.

    Parameters
    ----------
    call : MlCall
    kind : str
        As for ``ask``.
    statistics : Statistics
        After it has run.
    at : str
        File and line, for errors.

    Raises
    ------
    DataError
        If the training rows have nothing to learn from, or too much.
    DefinitionError
        If a struct is wrong.
    """
    settings, operand = call.settings, call.operand
    match call.name:
        case "bucketize":
            points = settings["array_split_points"]
            points = points[1:-1] if settings["exclude_boundaries"] else points
            return Made(manual.bucketize(operand, points, settings["output_format"]))
        case "hash_bucketize":
            return Made(manual.hash_bucketize(operand, settings["hash_bucket_size"]))
        case "ngrams":
            return Made(manual.ngrams(operand, settings["range"], settings["separator"]))
        case "normalizer":
            return Made(manual.normalizer(operand, settings["p"]))
        case "feature_cross" | "polynomial_expand":
            return Made(_struct(call, at))
        case "one_hot_encoder" | "label_encoder" | "multi_hot_encoder":
            return _encoder(call, kind, statistics, at)
        case "imputer":
            return Made(manual.imputer(operand, _filling(call, kind, statistics, at)))
    return Made(_scaler(call, statistics, at))


def _wanted(call: MlCall, kind: str) -> _Wanted:
    """Return which categories are asked for."""
    if call.name == "imputer":
        value = manual.as_text(call.operand) if kind == "category" else manual.as_number(call.operand)
        return _Wanted(value=value, most=1, fewest=0, is_list=False)
    is_list = call.name == "multi_hot_encoder"
    value = manual.as_texts(call.operand) if is_list else manual.as_text(call.operand)
    most, fewest = call.settings["top_k"], call.settings["frequency_threshold"]
    return _Wanted(value=value, most=most, fewest=fewest, is_list=is_list)


def _shares(call: MlCall) -> list[tuple[int, int]]:
    match call.name:
        case "quantile_bucketize":
            n_buckets = call.settings["num_buckets"]
            return [(index, n_buckets) for index in range(1, n_buckets)]
        case "robust_scaler":
            return [(percent, 100) for percent in (*call.settings["quantile_range"], 50)]
        case "imputer" if call.settings["strategy"] == "median":
            return [(1, 2)]
    return []


def _struct(call: MlCall, at: str) -> exp.Expr:
    build = manual.feature_cross if call.name == "feature_cross" else manual.polynomial_expand
    try:
        return build(fields_of(call, at), call.settings["degree"])
    except ValueError as error:
        raise DefinitionError(
            f"ml.{call.name}: {error}", place=at, hint="rename a field: struct(a as b, ...)"
        ) from None


def _scaler(call: MlCall, statistics: Statistics, at: str) -> exp.Expr:
    settings, operand = call.settings, call.operand
    found = statistics.number(manual.as_number(operand))
    if call.name == "quantile_bucketize":
        return manual.bucketize(operand, sorted(set(found.quantiles.values())), settings["output_format"])
    largest = max(abs(found.low), abs(found.high))
    if largest > LARGEST_SQUARE:
        raise DataError(
            f"{call.told()} reaches {largest:g}, and cannot be scaled", place=at, hint="take its logarithm first"
        )
    if not found.n:
        return manual.centred(operand, 0.0, 0.0)
    match call.name:
        case "min_max_scaler":
            return manual.min_max_scaler(operand, found.low, found.high)
        case "max_abs_scaler":
            return manual.max_abs_scaler(operand, largest)
        case "robust_scaler":
            low, high, median = (found.quantiles[share] for share in _shares(call))
            # A range of nothing tells of many equal values, not of a column that says nothing: it divides by 1.
            scale = (high - low) or 1.0 if settings["with_quantile_range"] else 1.0
            return manual.centred(operand, median if settings["with_median"] else 0.0, scale)
    return manual.centred(operand, found.mean, found.stddev)


def _filling(call: MlCall, kind: str, statistics: Statistics, at: str) -> float | str:
    strategy = call.settings["strategy"]
    if strategy == "most_frequent":
        categories = statistics.frequencies(**_wanted(call, kind)).categories
        if categories:
            return categories[0] if kind == "category" else float(categories[0])
    else:
        found = statistics.number(manual.as_number(call.operand))
        if found.n:
            return found.mean if strategy == "mean" else found.quantiles[1, 2]
    raise DataError(
        f"{call.told()} has nothing to fill with: every training row is NULL",
        place=at,
        hint="leave it out, or write coalesce(..., value)",
    )


def _encoder(call: MlCall, kind: str, statistics: Statistics, at: str) -> Made:
    found = statistics.frequencies(**_wanted(call, kind))
    if len(found.categories) > MAX_CATEGORIES:
        raise DataError(
            f"{call.told()} has {len(found.categories):,} categories, more than {MAX_CATEGORIES:,}",
            place=at,
            hint="lower top_k, raise frequency_threshold, or use ml.hash_bucketize",
        )
    warning = None
    if found.n_dropped and "frequency_threshold" not in call.written:
        keep = "'none', 32000, 0" if call.name == "one_hot_encoder" else "32000, 0"
        warning = (
            f"{call.told()} leaves out {found.n_dropped:,} rare categories ({found.n_dropped_rows:,} training rows), "
            "because frequency_threshold is 5 where it is not written; to keep them: "
            f"ml.{call.name}({call.operand.sql(dialect=call.dialect)}, {keep}) over ()"
        )
    vocabulary = tuple(sorted(found.categories))
    operand = call.operand.copy()
    if call.name == "label_encoder":
        return Made(manual.label_encoder(operand, vocabulary), warning=warning)
    if call.name == "multi_hot_encoder":
        return Made(manual.multi_hot_encoder(operand, vocabulary), Encoded(call.name, operand, vocabulary), warning)
    # The most frequent comes first.
    dropped = found.categories[0] if call.settings["drop"] == "most_frequent" and found.categories else None
    encoded = Encoded(call.name, operand, vocabulary, dropped)
    return Made(manual.one_hot_encoder(operand, vocabulary, dropped), encoded, warning)
