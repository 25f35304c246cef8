"""The settings of a call, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.functions.call import Call

__all__ = ["Setting", "settings"]

_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a string",
    "list": "a list",
    "sql": "an expression",
}


@dataclass(frozen=True)
class Setting:
    """What a setting may be.

    Parameters
    ----------
    type : str
        ``bool``, ``int``, ``float``, ``string``, ``list`` or ``sql`` (an expression, as text).
    default : object
        What holds when it is not written, or NULL.
    low, high : float, optional
        The range of a number, ends included.
    choices : tuple of str
        The values that a string may have, in upper case; it is read without regard to case.
    """

    type: Literal["bool", "int", "float", "string", "list", "sql"]
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def settings(call: Call, **known: Setting) -> dict[str, Any]:
    """Return every known setting with its value.

    Raises
    ------
    DefinitionError
        On an unknown setting, or a value of another type or out of range.
    """
    for name in call.settings:
        if name not in known:
            raise DefinitionError(
                f"ml.{call.name} has no setting {name}",
                place=call.place,
                has=list(known) or None,
                hint=did_you_mean(name, list(known)) or (None if known else "it takes none"),
            )
    return {name: _checked(call, name, call.get(name, setting.default), setting) for name, setting in known.items()}


def _checked(call: Call, name: str, value: Any, setting: Setting) -> Any:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "bool": isinstance(value, bool),
        "int": is_number and isinstance(value, int),
        "float": is_number,
        "string": isinstance(value, str),
        "list": isinstance(value, (list, tuple)),
        "sql": isinstance(value, str),
    }[setting.type]
    if not fits:
        raise DefinitionError(f"{name} = {value!r} of ml.{call.name} is not {_NAMES[setting.type]}", place=call.place)
    if is_number and not (
        (setting.low is None or value >= setting.low) and (setting.high is None or value <= setting.high)
    ):
        limits = f"at least {setting.low}" if setting.high is None else f"between {setting.low} and {setting.high}"
        raise DefinitionError(
            f"{name} = {value} of ml.{call.name} is out of range", place=call.place, hint=f"{name} is {limits}"
        )
    if setting.choices:
        value = value.upper()
        if value not in setting.choices:
            raise DefinitionError(
                f"{name} = '{value}' of ml.{call.name} is not known",
                place=call.place,
                has=setting.choices,
                hint=did_you_mean(value, setting.choices),
            )
    return float(value) if setting.type == "float" else value
