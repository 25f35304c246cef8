"""How a decision about who serves is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse_ml.cli.output import note, print_rows

if TYPE_CHECKING:
    from warehouse_ml.loop.deciding import Decision

__all__ = ["print_decision"]


def print_decision(decision: Decision, output: str, *, is_dry: bool) -> int:
    """Print a decision as a row, and return the command's exit code: 1 where a rule refuses it."""
    decided = decision.decided
    forced = decision.refusals and not decision.is_refused
    for refusal in decision.refusals:
        note(f"{'forced over' if forced else 'refused by'} {refusal}")
    if decision.is_refused:
        outcome = "refused"
        note(f"{decided.model}@{decided.was} still serves; --force promotes all the same, and the ledger says so")
    elif not decided.lines:
        outcome = "unchanged"
        holder = "nobody" if decided.version is None else f"{decided.model}@{decided.version}"
        note(f"{holder} is {decided.alias} already")
    else:
        outcome = "would be done" if is_dry else "done"
    row = {
        "model": decided.model,
        "alias": decided.alias,
        "version": decided.version,
        "was": decided.was,
        "since": decided.since,
        "share": decided.share,
        "outcome": outcome,
        "reason": decided.reason if decided.lines else None,
    }
    columns = [name for name in row if name != "share" or decided.share is not None or output != "table"]
    print_rows([row], output, columns)
    return int(decision.is_refused)
