"""What an evaluation file says about itself in ``config(...)``."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.evaluation.own import OwnMetric, own_metrics

__all__ = ["OVERALL", "EvaluationSpec"]

OVERALL = "overall"
"""The slice key over everything; its value is ``all``."""

TASKS = ("binary", "multiclass", "regression")
WINDOWS = ("all", "day", "week", "month")
DRIFT_REFERENCES = ("training", "previous")
_KEYS = (
    "model",
    "task",
    "threshold",
    "slices",
    "pairs",
    "window",
    "maturity",
    "min_slice_size",
    "reference",
    "control",
    "metrics",
    "thresholds",
    "drift_reference",
    "search",
    "keep_cells",
)
REFERENCES = ("majority", "best")
"""The largest group; the group whose value is best."""

_GENERAL_KEYS = ("materialized", "tags", "description")
# So many days of mature windows tell how soon labels come.
_PAST_DAYS = {"all": 0, "day": 8, "week": 35, "month": 93}
_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_FIRST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
_DURATION = re.compile(r"\s*(\d+)\s*(second|minute|hour|day|week)s?\s*")


@dataclass(frozen=True)
class EvaluationSpec:
    """An evaluation, as its file configures it.

    Parameters
    ----------
    name : str
        The evaluation: the file's name without its ending.
    place : str
        The file, for errors.
    definition_hash : str
        Of the rendered definition; windows are evaluated again when it changes.
    model : str or None
        Whose predictions these are; None when nobody of this project made them.
    task : {'binary', 'multiclass', 'regression'}
    threshold : float
        Binary: a score of at least this much, in [0, 1], is a positive prediction.
    slices : tuple of tuple of str
        Columns of each slice key; two or more are an intersection.
    window : {'all', 'day', 'week', 'month'}
        How requests are cut in time.
    maturity_seconds : float
        How long after the end of a window its labels are complete.
    min_slice_size : int
        A metric of a slice whose own denominator counts fewer rows is not shown.
    reference : mapping of str to str
        What the groups of a slice key are compared with: a group, ``'majority'`` or ``'best'``; ``'majority'`` where a
        key is not named.
    control : tuple of tuple of str
        Columns within whose groups the slices are compared as well; two or more are an intersection.
    metrics : tuple of OwnMetric
        The metrics that the file defines.
    thresholds : tuple of float
        Further thresholds, ascending, at which the rates of a binary task are computed as well.
    drift_reference : {'training', 'previous'}
        What drift is measured from: the training rows, or the window before.
    search : tuple of str
        Columns that a search for the worst slices looks at; those of the slices if empty.
    keep_cells : bool
        Whether the finest cells are kept, from which windows and slices can be put together anew.
    """

    name: str
    place: str
    definition_hash: str
    model: str | None = None
    task: str = "binary"
    threshold: float = 0.5
    slices: tuple[tuple[str, ...], ...] = ()
    window: str = "all"
    maturity_seconds: float = 0.0
    min_slice_size: int = 30
    reference: Mapping[str, str] = field(default_factory=dict)
    control: tuple[tuple[str, ...], ...] = ()
    metrics: tuple[OwnMetric, ...] = ()
    thresholds: tuple[float, ...] = ()
    drift_reference: str = "training"
    search: tuple[str, ...] = ()
    keep_cells: bool = True

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any], *, place: str, definition_hash: str) -> EvaluationSpec:
        """Read the arguments of ``config(...)``.

        Raises
        ------
        DefinitionError
            If a key is unknown or a value is not one of those it may have.
        """
        for key in config:
            if key not in _KEYS and key not in _GENERAL_KEYS:
                raise DefinitionError(
                    f'an evaluation has no setting "{key}"',
                    place=place,
                    has=_KEYS,
                    hint=did_you_mean(key, _KEYS),
                )
        slices = _slices("slice", config.get("slices"), place)
        if _flag("pairs", config.get("pairs"), place):
            slices = _with_pairs(slices)
        control = _slices("control", config.get("control"), place)
        if control and not slices:
            raise DefinitionError(
                "control is set and slices is not", place=place, hint="control compares the groups of slices: name some"
            )
        task = _choice("task", config.get("task"), TASKS, "binary", place)
        return cls(
            name=name,
            place=place,
            definition_hash=definition_hash,
            model=_model(config.get("model"), place),
            task=task,
            threshold=_threshold(config.get("threshold"), place),
            slices=slices,
            window=_choice("window", config.get("window"), WINDOWS, "all", place),
            maturity_seconds=_duration(config.get("maturity"), place),
            min_slice_size=_min_slice_size(config.get("min_slice_size"), place),
            reference=_reference(config.get("reference"), [", ".join(names) for names in slices], place),
            control=control,
            metrics=own_metrics(config.get("metrics"), task, place),
            thresholds=_thresholds(config.get("thresholds"), task, place),
            drift_reference=_choice(
                "drift_reference", config.get("drift_reference"), DRIFT_REFERENCES, "training", place
            ),
            search=_search(config.get("search"), place),
            keep_cells=_flag("keep_cells", config.get("keep_cells", True), place),
        )

    @property
    def slice_columns(self) -> list[str]:
        """The columns that any slice needs, each once, in order."""
        return list(dict.fromkeys(column for columns in self.groupings for column in columns))

    @property
    def groupings(self) -> list[tuple[str, ...]]:
        """The slices, and those that ``control`` adds: each of its own, and each slice within it."""
        groupings = list(self.slices)
        for control in self.control:
            for slice_ in ((), *self.slices):
                names = (*slice_, *(name for name in control if name not in slice_))
                if set(names) not in [set(known) for known in groupings]:
                    groupings.append(names)
        return groupings

    def past_from(self, as_of: dt.datetime) -> dt.datetime:
        """Return where the newest mature windows start, those from which is seen how soon labels come."""
        days = _PAST_DAYS[self.window] + self.maturity_seconds / 86400
        return as_of - dt.timedelta(days=min(days, (as_of - _FIRST).days))


def _choice(key: str, value: Any, choices: Sequence[str], default: str, place: str) -> str:
    if value is None:
        return default
    if value not in choices:
        raise DefinitionError(f"{key} is {value!r}", place=place, has=choices, hint=did_you_mean(str(value), choices))
    return str(value)


def _model(value: Any, place: str) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise DefinitionError(f"model is {value!r}", place=place, hint="give the name of a model, as text")


def _threshold(value: Any, place: str) -> float:
    if value is None:
        return 0.5
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise DefinitionError(f"threshold is {value!r}", place=place, hint="give a number from 0 to 1")
    return float(value)


def _thresholds(value: Any, task: str, place: str) -> tuple[float, ...]:
    if value is None:
        return ()
    if task != "binary":
        raise DefinitionError(f"a {task} task has no thresholds", place=place, hint="leave thresholds out")
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise DefinitionError(f"thresholds is {value!r}", place=place, hint="give a list: thresholds=[0.2, 0.3]")
    found = tuple(sorted({_threshold(item, place) for item in value if item is not None}))
    if len(found) < len(value):
        raise DefinitionError(f"thresholds is {list(value)!r}", place=place, hint="give each number once")
    return found


def _min_slice_size(value: Any, place: str) -> int:
    if value is None:
        return 30
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DefinitionError(
            f"min_slice_size is {value!r}", place=place, hint="give a whole number of rows, such as 30"
        )
    return value


def _duration(value: Any, place: str) -> float:
    if value is None:
        return 0.0
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise DefinitionError(
            f"maturity is {value!r}",
            place=place,
            has=[f"{unit}s" for unit in _UNIT_SECONDS],
            hint="write a number and a unit, such as '2 days'",
        )
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def _flag(key: str, value: Any, place: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise DefinitionError(f"{key} is {value!r}", place=place, hint="write true or false")


def _with_pairs(slices: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Add every pair of the single columns that is not there yet."""
    known = [set(names) for names in slices]
    singles = [names[0] for names in slices if len(names) == 1]
    return (*slices, *(pair for pair in itertools.combinations(singles, 2) if set(pair) not in known))


def _slices(what: str, value: Any, place: str) -> tuple[tuple[str, ...], ...]:
    setting = "slices" if what == "slice" else what
    hint = f"give names of columns, or lists of names for intersections: {setting}=['origin', ['origin', 'carrier']]"
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise DefinitionError(f"{setting} is {value!r}", place=place, hint=hint)
    slices: list[tuple[str, ...]] = []
    for item in value:
        names = [item] if isinstance(item, str) else item
        if (
            not isinstance(names, Sequence)
            or not names
            or any(not isinstance(name, str) or not name for name in names)
            or len(set(names)) < len(names)
        ):
            raise DefinitionError(f"a {what} is {item!r}", place=place, hint=hint)
        if set(names) in [set(known) for known in slices]:
            raise DefinitionError(f"the {what} {item!r} is given twice", place=place)
        slices.append(tuple(names))
    return tuple(slices)


def _search(value: Any, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(name, str) and name for name in value):
        raise DefinitionError(
            f"search is {value!r}", place=place, hint="give names of columns: search=['origin', 'distance_miles']"
        )
    return tuple(dict.fromkeys(value))


def _reference(value: Any, keys: Sequence[str], place: str) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, str) and value in REFERENCES:
        return dict.fromkeys(keys, value)
    if not isinstance(value, Mapping):
        raise DefinitionError(
            f"reference is {value!r}",
            place=place,
            has=REFERENCES,
            hint="give one of these, or a group for a slice: reference={'sex': 'male'}",
        )
    for key in value:
        if key not in keys:
            raise DefinitionError(
                f'reference names "{key}", which is no slice',
                place=place,
                has=keys,
                hint=did_you_mean(str(key), keys),
            )
    return {str(key): str(group) for key, group in value.items()}
