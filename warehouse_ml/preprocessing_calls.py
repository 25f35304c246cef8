"""BigQuery ML's manual preprocessing functions: what each is called with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

__all__ = ["BUCKET_FORMATS", "SIGNATURES", "Operand", "Setting", "Signature"]

Operand = Literal["number", "text", "number or text", "list of texts", "list of numbers", "struct"]

BUCKET_FORMATS = ("bucket_names", "bucket_ranges", "bucket_ranges_json")
"""How a bucket is called: ``bin_2``, ``[1, 2.5)`` or ``{"start": "1", "end": "2.5"}``."""


@dataclass(frozen=True)
class Setting:
    """An argument after the first; it is a constant.

    Parameters
    ----------
    name : str
    read : callable
        Returns the value, or raises ValueError that says what it must be.
    default : value
    is_needed : bool
    """

    name: str
    read: Callable[[Any], Any]
    default: Any = None
    is_needed: bool = False


@dataclass(frozen=True)
class Signature:
    """How a function is called.

    Parameters
    ----------
    operand : str
        What the first argument is.
    is_analytic : bool
        Whether it needs statistics of all rows, and so ``over ()``.
    settings : tuple of Setting
    usage : str
        The arguments, in brackets those that may be left away.
    """

    operand: Operand
    is_analytic: bool
    settings: tuple[Setting, ...]
    usage: str

    @property
    def fewest(self) -> int:
        """How many arguments there must be."""
        return 1 + sum(setting.is_needed for setting in self.settings)

    @property
    def most(self) -> int:
        """How many arguments there may be."""
        return 1 + len(self.settings)


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    return value


def _whole(low: int, high: int | None = None) -> Callable[[Any], int]:
    told = f"must be a whole number of at least {low}" + ("" if high is None else f" and at most {high:,}")

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            raise ValueError(told)
        return value

    return read


def _one_of(*choices: str) -> Callable[[Any], str]:
    told = f"must be one of {', '.join(repr(choice) for choice in choices)}"

    def read(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in choices:
            raise ValueError(told)
        return value.lower()

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _points(value: Any) -> tuple[float, ...]:
    told = "must be an array of numbers, ascending"
    if not isinstance(value, list) or not value:
        raise ValueError(told)
    points = tuple(float(_number(point)) for point in value)
    if not all(math.isfinite(point) for point in points) or any(low >= high for low, high in pairwise(points)):
        raise ValueError(told)
    return points


def _percents(value: Any) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(type(percent) is int for percent in value):
        low, high = value
        if 0 < low < high < 100:
            return low, high
    raise ValueError("must be an array of two whole numbers, 0 < lower < upper < 100")


def _sizes(value: Any) -> tuple[int, int]:
    low, high = value if isinstance(value, list) and len(value) == 2 else (value, value)
    if type(low) is int and type(high) is int and 1 <= low <= high:
        return low, high
    raise ValueError("must be [smallest, largest] or one whole number, at least 1")


def _power(value: Any) -> float:
    power = float(_number(value))
    if power == 0 or power >= 1:
        return power
    raise ValueError("must be 0, at least 1, or cast('+inf' as double)")


_FORMAT = Setting("output_format", _one_of(*BUCKET_FORMATS), "bucket_names")
_VOCABULARY = (
    Setting("top_k", _whole(1, 999_999), 32_000),
    Setting("frequency_threshold", _whole(0), 5),
)

SIGNATURES: dict[str, Signature] = {
    "standard_scaler": Signature("number", True, (), "number"),
    "min_max_scaler": Signature("number", True, (), "number"),
    "max_abs_scaler": Signature("number", True, (), "number"),
    "robust_scaler": Signature(
        "number",
        True,
        (
            Setting("quantile_range", _percents, (25, 75)),
            Setting("with_median", _flag, True),
            Setting("with_quantile_range", _flag, True),
        ),
        "number [, quantile_range] [, with_median] [, with_quantile_range]",
    ),
    "imputer": Signature(
        "number or text",
        True,
        (Setting("strategy", _one_of("mean", "median", "most_frequent"), is_needed=True),),
        "number or text, 'mean' | 'median' | 'most_frequent'",
    ),
    "quantile_bucketize": Signature(
        "number",
        True,
        (Setting("num_buckets", _whole(2, 1_000), is_needed=True), _FORMAT),
        "number, num_buckets [, output_format]",
    ),
    "one_hot_encoder": Signature(
        "text",
        True,
        (Setting("drop", _one_of("none", "most_frequent"), "none"), *_VOCABULARY),
        "text [, drop] [, top_k] [, frequency_threshold]",
    ),
    "label_encoder": Signature("text", True, _VOCABULARY, "text [, top_k] [, frequency_threshold]"),
    "multi_hot_encoder": Signature(
        "list of texts", True, _VOCABULARY, "list of texts [, top_k] [, frequency_threshold]"
    ),
    "bucketize": Signature(
        "number",
        False,
        (
            Setting("array_split_points", _points, is_needed=True),
            Setting("exclude_boundaries", _flag, False),
            _FORMAT,
        ),
        "number, [point, ...] [, exclude_boundaries] [, output_format]",
    ),
    "hash_bucketize": Signature(
        "text", False, (Setting("hash_bucket_size", _whole(0), is_needed=True),), "text, hash_bucket_size"
    ),
    "feature_cross": Signature("struct", False, (Setting("degree", _whole(2, 4), 2),), "struct(text, ...) [, degree]"),
    "polynomial_expand": Signature(
        "struct", False, (Setting("degree", _whole(1, 4), 2),), "struct(number, ...) [, degree]"
    ),
    "ngrams": Signature(
        "list of texts",
        False,
        (Setting("range", _sizes, is_needed=True), Setting("separator", _text, " ")),
        "list of texts, [smallest, largest] [, separator]",
    ),
    "normalizer": Signature("list of numbers", False, (Setting("p", _power, 2.0),), "list of numbers [, p]"),
}
"""The functions of TRANSFORM by name."""
