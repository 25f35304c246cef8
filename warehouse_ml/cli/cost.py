"""What a command may cost where bytes are billed: a limit before it, a line after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from warehouse_ml.cli.output import note
from warehouse_ml.errors import WmlError

if TYPE_CHECKING:
    from warehouse_ml.session import Session
    from warehouse_ml.warehouses.base import Warehouse

__all__ = ["bytes_text", "max_bytes_option", "tell_cost", "tell_misplaced"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


class _Bytes(click.ParamType[int]):
    """``5000000``, ``10GB`` or ``1.5TiB``."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from warehouse_ml.warehouses.bigquery.settings import bytes_of

        number = value if isinstance(value, int) else bytes_of(str(value))
        if number is None or number <= 0:
            option = param.opts[0] if param is not None else "the limit"
            raise WmlError(f'{option}: "{value}" is not a number of bytes', hint="write 5000000, 10GB or 1.5TiB")
        return number


def max_bytes_option(command: _Command) -> _Command:
    """``--max-bytes``: what the command may read in all."""
    return click.option(
        "--max-bytes",
        type=_Bytes(),
        help="Stop before a query that would make the command read more, such as 10GB; where bytes are billed.",
    )(command)


def tell_cost(warehouse: Warehouse) -> None:
    """Say on stderr how much was read, where the engine counts it."""
    from warehouse_ml.warehouses.base import CountsBytes

    if isinstance(warehouse, CountsBytes) and warehouse.n_jobs:
        jobs = "1 job" if warehouse.n_jobs == 1 else f"{warehouse.n_jobs:,} jobs"
        note(f"{jobs} on {warehouse.name}, which read {bytes_text(warehouse.bytes_processed)}")


def tell_misplaced(session: Session) -> None:
    """Say on stderr which tables lie otherwise than somebody set them to, and what to do about it."""
    from warehouse_ml.building.layout import misplaced
    from warehouse_ml.warehouses.layout import LAYOUT_KEYS

    asked_for = any(key in session.catalog.target.settings for key in ("logs", "metrics"))
    asked_for = asked_for or any(key in node.config for node in session.catalog.nodes.values() for key in LAYOUT_KEYS)
    for table in misplaced(session.warehouse, session.catalog) if asked_for else ():
        if table.is_asked_for:
            note(f"{table.told}; what is there is not changed: {table.fix}")


def bytes_text(number: float) -> str:
    """Return a number of bytes as people say it: 0 bytes, 12.3 GB."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the last unit takes every number")
