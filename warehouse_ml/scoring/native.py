"""A version whose parameters are in BigQuery: what is known of it here, and what is said where they are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from warehouse_ml.errors import ArtifactError, DefinitionError
from warehouse_ml.scoring.features import InputColumn
from warehouse_ml.scoring.parameters import Parameters

__all__ = ["NativeParameters", "native_parameters", "refuse_native"]

_FITTED = frozenset(
    {"features", "linear", "trees", "clusters", "components", "estimator", "kept", "p_values", "transform", "n_outputs"}
)
_TASKS = ("binary", "multiclass", "regression")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,299}")
_MOST_PARTS = 3


class NativeParameters(Parameters):
    """What is known here of a model that BigQuery ML trained: its inputs and its label, and no parameter.

    Whatever asks it for a fitted part is told where the part is, so that no way of scoring, explaining or comparing
    parameters has to know of such models.

    Parameters
    ----------
    name : tuple of str
        The model in BigQuery: project, dataset and model, as far as they are known.
    model_type, task, label, label_type, classes
        As in ``Parameters``.
    input_columns : tuple of InputColumn
        The columns that predictions read.
    """

    native: tuple[str, ...]

    def __init__(
        self,
        name: tuple[str, ...],
        model_type: str,
        task: str,
        label: str,
        label_type: str,
        classes: tuple[str, ...],
        input_columns: tuple[InputColumn, ...],
    ) -> None:
        told = {"native": name, "model_type": model_type, "task": task, "label": label, "label_type": label_type}
        for key, value in {**told, "classes": classes, "input_columns": input_columns}.items():
            object.__setattr__(self, key, value)

    def __getattribute__(self, name: str) -> Any:
        if name in _FITTED:
            raise refuse_native(object.__getattribute__(self, "native"))
        return object.__getattribute__(self, name)

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        """The columns of the relation that predictions read."""
        return self.input_columns

    @property
    def dialect(self) -> str:
        """In whose SQL it predicts."""
        return "bigquery"

    def called(self, name: str) -> NativeParameters:
        """Return the same of a model that is called otherwise in its dataset."""
        return native_parameters({**self.told(), "model": [*self.native[:-1], name]}, name)

    def told(self) -> dict[str, Any]:
        """Return it as the facts of a version keep it."""
        return {
            "model": list(self.native),
            "model_type": self.model_type,
            "task": self.task,
            "label": self.label,
            "label_type": self.label_type,
            "classes": list(self.classes),
            "inputs": [[column.name, column.kind] for column in self.input_columns],
        }

    def to_tables(self) -> dict[str, Any]:
        """Return no table: there is nothing to keep."""
        return {}

    def __repr__(self) -> str:
        return f"NativeParameters({'.'.join(self.native)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NativeParameters) and self.told() == other.told()

    def __hash__(self) -> int:
        return hash(self.native)


def refuse_native(name: tuple[str, ...]) -> DefinitionError:
    """Return the error of asking for the parameters of a model that BigQuery ML trained."""
    return DefinitionError(
        f"the parameters are in BigQuery, as the model `{'.'.join(name)}`: BigQuery ML trained it",
        hint="wml predict on the target bigquery asks it; for parameters here, train without trainer = 'bigquery_ml'",
    )


def native_parameters(told: Any, place: str) -> NativeParameters:
    """Return what the facts of a version tell of its native model.

    Raises
    ------
    ArtifactError
        If they are not what a training writes.
    """
    texts = ("model_type", "task", "label", "label_type")
    is_right = (
        isinstance(told, Mapping)
        and all(isinstance(told.get(key), str) for key in texts)
        and told["task"] in _TASKS
        and _are_texts(told.get("model"))
        and 1 <= len(told["model"]) <= _MOST_PARTS
        and all(_PART.fullmatch(part) for part in told["model"])
        and _are_texts(told.get("classes"))
        and (told["task"] != "binary" or len(told["classes"]) == 2)
        and isinstance(told.get("inputs"), list)
        and all(_are_texts(column) and len(column) == 2 for column in told["inputs"])
    )
    if not is_right:
        raise ArtifactError('"native" is not what a training writes', place=place)
    return NativeParameters(
        name=tuple(told["model"]),
        classes=tuple(told["classes"]),
        input_columns=tuple(InputColumn(name, kind) for name, kind in told["inputs"]),
        **{key: told[key] for key in texts},
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
