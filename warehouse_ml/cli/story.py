"""What a run of the weekly job did, as a line that a person watches go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse_ml.cli.output import note
from warehouse_ml.registry import CHAMPION, SERVING

if TYPE_CHECKING:
    from warehouse_ml.loop.job import WeeklyRun
    from warehouse_ml.rules import Firing

__all__ = ["bar", "tell_week"]

_BLOCKS = " ▏▎▍▌▋▊▉█"


def bar(value: float, low: float, high: float, width: int) -> str:
    """Return a bar for a value between two bounds, drawn in eighths of a character."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[rest] if rest else "")).ljust(width)


def tell_week(result: WeeklyRun, number: int, total: int) -> None:
    """Say on stderr what a run did: what was scored, how the champion did, what was trained."""
    n_scored = sum(row.n_requests for row in result.predicted if row.alias in SERVING)
    line = f"[{number:>{len(str(total))}}/{total}] {result.as_of:%d %b %Y}  {n_scored:>7,} scored"
    serving = {row.version for row in result.predicted if row.alias == CHAMPION}
    mature = [window for window in result.evaluated if window.is_mature and window.version in serving]
    if mature:
        window = max(mature, key=lambda found: (found.window_start is not None, found.window_start, found.version))
        score = window.metrics.get("roc_auc")
        if score is not None and window.window_start is not None:
            line += f"  week of {window.window_start:%d %b}: AUC {score:.3f} {bar(score, 0.5, 0.85, 14)}"
            line += f"  v{window.version}"
    note(line)
    for trained in result.trained:
        if trained.is_new:
            note(
                f"        trained {trained.version.model}@{trained.version.version} on {trained.n_train:,} rows "
                f"in {trained.seconds:.1f} s: {trained.alias or 'no alias'} ({trained.reason})"
            )
    for model in result.retrained:
        if model.result == "skipped":
            note(f"        not trained: {model.due.model} ({model.reason})")
    fired: dict[tuple[str, str | None], list[Firing]] = {}
    for firing in result.firings:
        fired.setdefault((firing.rule, firing.model), []).append(firing)
    for (rule, _), (first, *others) in fired.items():
        more = f" (and {len(others)} more)" if others else ""
        note(f"        rule {rule} fired: " + ", ".join(f"{key} {value}" for key, value in first.row.items()) + more)
    for decided in result.decided:
        note(f"        {decided.model} fell back from version {decided.was} to the safe version {decided.version}")
    for text in result.notes:
        note(f"        warning: {text}")
