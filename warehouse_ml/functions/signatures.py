"""What each ``ml.*`` table function takes, and the code that answers it, imported when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from warehouse_ml.functions.call import Function

__all__ = ["SIGNATURES", "Signature"]


@dataclass(frozen=True)
class Signature:
    """How a function is called.

    Parameters
    ----------
    module : str
        Of this package; holds a function of the same name.
    has_model : bool
        Whether the first argument is ``model name``.
    inputs : tuple of int
        How few and how many relations follow.
    named : tuple of str
        The arguments given as ``name => value``, in the order in which they may also stand without their name.
    positional : tuple of str
        The values that stand without a name where others have ``struct(...)``.
    expressions : tuple of str
        Those of them that are expressions of the warehouse's SQL, not constants.
    """

    module: str
    has_model: bool = True
    inputs: tuple[int, int] = (0, 0)
    named: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()

    def function(self, name: str) -> Function:
        """Return the code."""
        found: Function = getattr(import_module(f"{__package__}.{self.module}"), name)
        return found

    def usage(self, name: str) -> str:
        """Return how a call is written."""
        parts = ["model name"] if self.has_model else []
        fewest, most = self.inputs
        parts += ["table name | (query)"] * fewest
        parts += ["[table name | (query)]"] * (most - fewest)
        parts += [f"{given} => value" for given in self.named]
        parts += [f"[{given}]" for given in self.positional] or ([] if self.named else ["[struct(...)]"])
        return f"ml.{name}({', '.join(parts)})"


_AT_TIME = ("num_rows", "ignore_feature_nulls")

SIGNATURES: dict[str, Signature] = {
    "predict": Signature("predict", inputs=(1, 1)),
    "transform": Signature("predict", inputs=(1, 1)),
    "evaluate": Signature("evaluate", inputs=(0, 1)),
    "roc_curve": Signature("evaluate", inputs=(0, 1), positional=("thresholds",)),
    "confusion_matrix": Signature("evaluate", inputs=(0, 1)),
    "explain_predict": Signature("explain", inputs=(1, 1)),
    "global_explain": Signature("explain"),
    "feature_importance": Signature("look"),
    "feature_info": Signature("look"),
    "weights": Signature("look"),
    "advanced_weights": Signature("look"),
    "training_info": Signature("look"),
    "trial_info": Signature("trial_info"),
    "centroids": Signature("components"),
    "principal_components": Signature("components"),
    "principal_component_info": Signature("components"),
    "describe_data": Signature("describe", has_model=False, inputs=(1, 1)),
    "validate_data_drift": Signature("drift", has_model=False, inputs=(2, 2)),
    "validate_data_skew": Signature("drift", inputs=(1, 1)),
    "features_at_time": Signature(
        "features_at_time", has_model=False, inputs=(1, 1), named=("time", *_AT_TIME), expressions=("time",)
    ),
    "entity_features_at_time": Signature("features_at_time", has_model=False, inputs=(2, 2), named=_AT_TIME),
}
"""Every function by its name without ``ml.``."""
