"""The settings of a call: known names, of the right type, in their range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.functions.call import Call

__all__ = ["Setting", "settings"]

Kind = Literal["integer", "number", "boolean", "text", "numbers", "named_numbers", "expression"]

_KINDS: Mapping[str, str] = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "text": "a text",
    "numbers": "an array of numbers",
    "named_numbers": "an array of a name and a number each, such as [('amount', 0.2)]",
    "expression": "an expression",
}


@dataclass(frozen=True)
class Setting:
    """What a setting may be.

    Parameters
    ----------
    kind : str
        ``integer``, ``number``, ``boolean``, ``text``, ``numbers`` (a list of floats), ``named_numbers`` (a dict of
        name to float) or ``expression`` (SQL).
    default : Any
        If it is not written, or NULL.
    low, high : float, optional
        The range of the number, or of each number; both ends belong to it.
    below : float, optional
        The number must be less than this.
    choices : sequence of str
        The texts that are allowed, upper case; read without regard to case.
    refused : str, optional
        Why a setting of BigQuery ML's cannot be honoured, in a few words.
    """

    kind: Kind
    default: Any = None
    low: float | None = None
    high: float | None = None
    below: float | None = None
    choices: Sequence[str] = ()
    refused: str | None = None


def settings(call: Call, **known: Setting) -> dict[str, Any]:
    """Return the value of every setting that a function has.

    Parameters
    ----------
    call : Call
    **known : Setting
        By name, lower case.

    Returns
    -------
    dict of str to Any
        Without those that are refused; a number is a float, a text with choices is upper case.

    Raises
    ------
    DefinitionError
        If a name is unknown or refused, or a value has the wrong type or is out of range.
    """
    accepted = [name for name, setting in known.items() if setting.refused is None]
    for name in call.settings:
        setting = known.get(name)
        if setting is None:
            raise DefinitionError(
                f'ml.{call.name} has no setting "{name}"',
                place=call.place,
                has=accepted,
                hint=did_you_mean(name, accepted) or (None if accepted else "it takes none"),
            )
        if setting.refused is not None:
            raise DefinitionError(f'ml.{call.name} does not take "{name}"', place=call.place, hint=setting.refused)
    values = {}
    for name in accepted:
        value = call.get(name)
        values[name] = known[name].default if value is None else _value(call, name, value, known[name])
    return values


def _value(call: Call, name: str, value: Any, setting: Setting) -> Any:
    if setting.kind == "expression":
        return str(value)
    if setting.kind == "boolean" and isinstance(value, bool):
        return value
    if setting.kind == "text" and isinstance(value, str):
        return _choice(call, name, value, setting)
    if setting.kind in ("integer", "number"):
        number = _number(value)
        if number is not None and (setting.kind == "number" or number == int(number)):
            _check_range(call, name, number, setting)
            return int(number) if setting.kind == "integer" else number
    if setting.kind == "numbers" and isinstance(value, (list, tuple)):
        numbers = [_number(item) for item in value]
        found = [number for number in numbers if number is not None]
        if len(found) == len(numbers):
            for number in found:
                _check_range(call, name, number, setting)
            return found
    if setting.kind == "named_numbers" and isinstance(value, (list, tuple)):
        pairs = [_pair(item) for item in value]
        named = {pair[0]: pair[1] for pair in pairs if pair is not None}
        if len(named) == len(pairs):
            for number in named.values():
                _check_range(call, name, number, setting)
            return named
    raise DefinitionError(
        f"{name} = {value!r} in ml.{call.name}", place=call.place, hint=f"{name} is {_KINDS[setting.kind]}"
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _pair(item: Any) -> tuple[str, float] | None:
    values = list(item.values()) if isinstance(item, Mapping) else item
    if not isinstance(values, (list, tuple)) or len(values) != 2 or not isinstance(values[0], str):
        return None
    number = _number(values[1])
    return None if number is None else (values[0], number)


def _choice(call: Call, name: str, value: str, setting: Setting) -> str:
    if not setting.choices:
        return value
    if value.upper() not in setting.choices:
        raise DefinitionError(
            f"{name} = {value!r} in ml.{call.name}",
            place=call.place,
            has=setting.choices,
            hint=did_you_mean(value, setting.choices),
        )
    return value.upper()


def _check_range(call: Call, name: str, number: float, setting: Setting) -> None:
    low, high = setting.low, setting.high if setting.below is None else setting.below
    if (
        (low is not None and number < low)
        or (setting.high is not None and number > setting.high)
        or (setting.below is not None and number >= setting.below)
    ):
        if low is None or high is None:
            told = f"{name} is at least {low:,.10g}" if low is not None else f"{name} is at most {high:,.10g}"
        else:
            told = f"{name} is from {low:,.10g} to {high:,.10g}"
        raise DefinitionError(
            f"{name} = {number:.10g} in ml.{call.name} is out of range",
            place=call.place,
            hint=told + (" exclusive" if setting.below is not None else ""),
        )
