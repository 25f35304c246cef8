"""Marks on the trees of TRANSFORM: what a user has written, and what a preprocessing function became.

They stay on what is copied, and are not seen where a tree is written down.
"""

from __future__ import annotations

import math

from sqlglot import exp

from warehouse_ml.training.transform.moving.values import LARGEST_INT, Value, ValueKind, kind_of_node

__all__ = ["is_own", "made_value", "mark_constant", "mark_made", "mark_own"]

_OWN, _MADE = "wml_own", "wml_made"

_KINDS: dict[str, ValueKind] = {
    **dict.fromkeys(("standard_scaler", "min_max_scaler", "max_abs_scaler", "robust_scaler", "imputer"), "double"),
    **dict.fromkeys(("bucketize", "quantile_bucketize"), "text"),
    **dict.fromkeys(("label_encoder", "hash_bucketize"), "int"),
    "ngrams": "texts",
    "normalizer": "numbers",
}


def mark_own(node: exp.Expr) -> exp.Expr:
    """Mark the root of what a user has written."""
    node.meta[_OWN] = True
    return node


def mark_made(node: exp.Expr, function: str, operand: str) -> exp.Expr:
    """Mark the root of what a preprocessing function became.

    Parameters
    ----------
    node : exp.Expr
    function : str
        Without ``ml.``.
    operand : str
        What its operand's type means, as ``input_kind`` says.
    """
    kind: ValueKind = "text" if function == "imputer" and operand == "category" else _KINDS.get(function, "other")
    # What the functions return is missing where it would be NaN.
    node.meta[_MADE] = (kind, LARGEST_INT if kind == "int" else math.inf, False)
    return node


def mark_constant(node: exp.Expr) -> exp.Expr:
    """Mark the value of an aggregate: a literal, cast to its type."""
    kind, text = kind_of_node(node.args["to"]), node.this.name
    is_number = kind in ("int", "double") and not isinstance(node.this, exp.Null)
    value = float(text) if is_number else math.inf
    is_nan = math.isnan(value)
    node.meta[_MADE] = (kind, math.inf if is_nan else abs(value), is_nan)
    return node


def is_own(node: exp.Expr) -> bool:
    """Whether a user has written it, and it is not what a function became."""
    return bool(node.meta.get(_OWN)) and not node.meta.get(_MADE)


def made_value(node: exp.Expr, written: exp.Expr) -> Value | None:
    """Return what is known of what a function became, ``written`` for the other engine; None of all else."""
    made = node.meta.get(_MADE)
    return Value(written, *made) if made else None
