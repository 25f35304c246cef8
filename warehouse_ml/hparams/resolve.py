"""What was written of tuning in OPTIONS, checked and completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from warehouse_ml.errors import DefinitionError, Place, did_you_mean
from warehouse_ml.hparams.space import OBJECTIVES, TUNABLE, Hparam, HparamCandidates, HparamRange, Tunable, Tuning
from warehouse_ml.options import OPTIONS, Option, resolve_options

__all__ = ["resolve_tuned"]

# The share of rows that trials are compared on, and that of the rows that the best one is then measured on.
_FRACTION = 0.1
_LEAST_ABOVE_ZERO = 1e-6
_TRIALS_A_HPARAM = 10
_MOST_TRIALS = 100
_SAYS_HOW = ("MAX_PARALLEL_TRIALS", "HPARAM_TUNING_ALGORITHM", "HPARAM_TUNING_OBJECTIVES")


def resolve_tuned(
    model_type: str,
    written: Mapping[str, object],
    place: str | None = None,
    *,
    places: Mapping[str, Place] | None = None,
) -> tuple[dict[str, object], Tuning | None]:
    """Check what was written, as ``resolve_options`` does, and take from it what is to be tuned.

    Parameters
    ----------
    model_type, written, place, places
        As of ``resolve_options``; values may also be ``HparamRange`` and ``HparamCandidates``.

    Returns
    -------
    options : dict of str to object
        Every option; one that is tuned has its default.
    tuning : Tuning or None
        None if nothing is to be tuned.

    Raises
    ------
    DefinitionError
        As ``resolve_options``; and if an option cannot be tuned, or not over these values, if ``num_trials`` is
        missing or there is nothing to try, if no rows would be left to compare trials on.
    """
    reader = _Reader(model_type, written, place, places or {})
    return reader.read()


class _Reader:
    """Reads the options of one statement."""

    def __init__(
        self, model_type: str, written: Mapping[str, object], place: str | None, places: Mapping[str, Place]
    ) -> None:
        self._model_type, self._place, self._places = model_type, place, places
        self._hparams = {name: value for name, value in written.items() if isinstance(value, Hparam)}
        self._plain = {name: value for name, value in written.items() if name not in self._hparams}
        self._specs = OPTIONS.get(model_type, {})
        self._tunable = TUNABLE.get(model_type, {})

    def read(self) -> tuple[dict[str, object], Tuning | None]:
        objectives = self._plain.get("HPARAM_TUNING_OBJECTIVES")
        if isinstance(objectives, str):
            self._plain["HPARAM_TUNING_OBJECTIVES"] = [objectives]
        if self._model_type not in OPTIONS or any(name not in self._specs for name in self._hparams):
            unknown = {name: None for name in self._hparams if name not in self._specs}
            return self._resolve({**self._plain, **unknown}), None
        is_tuned = "NUM_TRIALS" in self._plain
        if not self._tunable and (is_tuned or self._hparams):
            self._resolve(self._plain)
            name = next(iter(self._hparams), "NUM_TRIALS")
            raise self._error(
                name, f"a {self._model_type.lower()} is not tuned", has=_lower(TUNABLE), hint="train once per value"
            )
        if is_tuned:
            self._split_rows()
        options = self._resolve(self._plain)
        if not is_tuned:
            self._refuse_without_trials()
            return options, None
        space, warnings = self._space()
        tuning = Tuning(
            n_trials=int(str(options["NUM_TRIALS"])),
            algorithm=str(options["HPARAM_TUNING_ALGORITHM"]),
            objective=self._objective(options),
            space=space,
            warnings=(*warnings, *self._one_by_one(options)),
        )
        if tuning.algorithm == "GRID_SEARCH":
            self._refuse_ranges(space)
        return options, tuning

    def _resolve(self, written: Mapping[str, object]) -> dict[str, object]:
        return resolve_options(self._model_type, written, self._place, places=self._places)

    def _error(
        self, name: str, what: str, *, has: Sequence[str] | None = None, hint: str | None = None
    ) -> DefinitionError:
        return DefinitionError(what, place=self._places.get(name, self._place), has=has, hint=hint)

    def _refuse_without_trials(self) -> None:
        for name in self._hparams:
            n_trials = min(_TRIALS_A_HPARAM * len(self._hparams), _MOST_TRIALS)
            raise self._error(
                name,
                f"{name.lower()} is to be tuned, but num_trials is missing",
                hint=f"add num_trials = {n_trials}: {_TRIALS_A_HPARAM} or more for each hyperparameter",
            )
        for name in _SAYS_HOW:
            if self._plain.get(name) is not None:
                raise self._error(
                    name,
                    f"{name.lower()} says how to tune, but num_trials is missing",
                    hint=f"add num_trials, or leave {name.lower()} out",
                )

    def _split_rows(self) -> None:
        """Give the rows that trials are compared on, and those of the final metrics, the shares that Google gives."""
        method = str(self._plain.get("DATA_SPLIT_METHOD") or "AUTO_SPLIT").upper()
        if method == "NO_SPLIT":
            raise self._error(
                "DATA_SPLIT_METHOD",
                "data_split_method = 'no_split' leaves no rows to compare trials on",
                hint="leave data_split_method out, or use 'random', 'seq' or 'custom'",
            )
        if method == "CUSTOM":
            return
        names = ("DATA_SPLIT_EVAL_FRACTION", "DATA_SPLIT_TEST_FRACTION")
        given = [name for name in names if self._plain.get(name) is not None]
        if len(given) == 1:
            (other,) = set(names) - set(given)
            at_once = "0 to measure the version on the rows that chose it" if other == names[1] else "0.1"
            raise self._error(
                given[0],
                f"with num_trials, {given[0].lower()} needs {other.lower()} beside it",
                hint=f"add {other.lower()}, such as {at_once}",
            )
        if not given:
            self._plain.update(dict.fromkeys(names, _FRACTION))
        elif self._plain[names[0]] == 0:
            raise self._error(
                names[0],
                "data_split_eval_fraction = 0 leaves no rows to compare trials on",
                hint="data_split_eval_fraction = 0.1",
            )

    def _objective(self, options: Mapping[str, object]) -> str | None:
        written = options.get("HPARAM_TUNING_OBJECTIVES")
        if not isinstance(written, tuple):
            return None
        known, name = OBJECTIVES[self._model_type], "HPARAM_TUNING_OBJECTIVES"
        if len(written) != 1:
            raise self._error(
                name,
                f"one objective is tuned for, {len(written)} are given",
                hint=f"{name.lower()} = ['{written[0].lower()}']",
            )
        (objective,) = (str(item).lower() for item in written)
        if objective not in known:
            raise self._error(
                name,
                f"{name.lower()} = ['{objective}'] is no objective of a {self._model_type.lower()}",
                has=known,
                hint=did_you_mean(objective, known),
            )
        return objective

    def _one_by_one(self, options: Mapping[str, object]) -> list[str]:
        n_parallel = options["MAX_PARALLEL_TRIALS"]
        return [f"max_parallel_trials = {n_parallel}: trials run one after another here"] if n_parallel != 1 else []

    def _space(self) -> tuple[dict[str, Hparam], list[str]]:
        if self._hparams:
            return {name: self._checked(name, hparam) for name, hparam in self._hparams.items()}, []
        space: dict[str, Hparam] = {}
        left_out = []
        for name, tunable in self._tunable.items():
            if tunable.default is None or name in self._plain:
                continue
            if self._specs[name].only:
                left_out.append(name.lower())
                continue
            space[name] = self._checked(name, HparamRange(*tunable.default))
        if not space:
            raise self._error(
                "NUM_TRIALS",
                "num_trials is given, but every hyperparameter has a value",
                has=_lower(self._tunable),
                hint="leave num_trials out, or give one of these hparam_range(low, high)",
            )
        told = [f"{' and '.join(left_out)} cannot be honoured, so not tuned either"] if left_out else []
        return space, told

    def _checked(self, name: str, hparam: Hparam) -> Hparam:
        tunable, spec = self._tunable.get(name), self._specs[name]
        if tunable is None:
            raise self._error(
                name,
                f"{name.lower()} is not tuned",
                has=_lower(name for name in self._tunable if not self._specs[name].only),
                hint=f"give {name.lower()} one value",
            )
        if isinstance(hparam, HparamCandidates):
            return self._candidates(name, hparam)
        return self._range(name, hparam, tunable, spec)

    def _candidates(self, name: str, hparam: HparamCandidates) -> HparamCandidates:
        values = tuple(self._resolve({**self._plain, name: value})[name] for value in hparam.values)
        for value in values:
            if values.count(value) > 1:
                shown = value.lower() if isinstance(value, str) else value
                raise self._error(name, f"{name.lower()} = hparam_candidates(...) has {shown} twice")
        return HparamCandidates(values)

    def _range(self, name: str, hparam: HparamRange, tunable: Tunable, spec: Option) -> HparamRange:
        shown = f"{name.lower()} = hparam_range({hparam.low}, {hparam.high})"
        if tunable.is_word:
            raise self._error(
                name, f"{shown}: {name.lower()} is no number", hint=f"{name.lower()} = hparam_candidates(['...'])"
            )
        if spec.only:
            honoured = [str(value) for value in spec.only if value is not None]
            raise self._error(
                name,
                f"{shown} cannot be honoured: {spec.why}",
                has=honoured or None,
                hint=f"leave {name.lower()} out",
            )
        ends: list[Any] = []
        for end in (hparam.low, hparam.high):
            # Where 0 is just outside of what an option takes, a range from 0 means from just above it.
            is_just_outside = end == 0 and spec.low is not None and 0 < spec.low <= _LEAST_ABOVE_ZERO
            value = spec.low if is_just_outside else end
            resolved: Any = self._resolve({**self._plain, name: value})[name]
            if tunable.is_whole and resolved != int(resolved):
                raise self._error(name, f"{shown}: {name.lower()} is tuned in whole numbers")
            ends.append(int(resolved) if tunable.is_whole else resolved)
        low, high = ends
        return replace(hparam, low=low, high=high, is_log=tunable.is_log, is_whole=tunable.is_whole)

    def _refuse_ranges(self, space: Mapping[str, Hparam]) -> None:
        for name, hparam in space.items():
            if isinstance(hparam, HparamRange) and not hparam.is_discrete:
                raise self._error(
                    name if name in self._hparams else "HPARAM_TUNING_ALGORITHM",
                    f"grid_search needs values to count, and {name.lower()} is a range of numbers",
                    hint=f"{name.lower()} = hparam_candidates([...]), or another hparam_tuning_algorithm",
                )


def _lower(names: Any) -> list[str]:
    return [str(name).lower() for name in names]
