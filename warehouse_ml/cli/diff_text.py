"""The difference of two versions as a person reads it, section by section."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from warehouse_ml.cli.output import format_table, headline

if TYPE_CHECKING:
    from warehouse_ml.diff import VersionDiff
    from warehouse_ml.diff.window import WindowDiff

__all__ = ["diff_text"]

_DISTANCES = ("psi", "jensen_shannon_divergence", "kolmogorov_smirnov", "wasserstein_standardized")
_COMPARED = ("metric", "before", "now", "difference", "ci_lower", "ci_upper", "p_value", "n", "verdict")
_FLIPS = ("slice_key", "slice_value", "n", "n_flips", "n_to_positive", "n_to_negative", "share")


def diff_text(found: VersionDiff) -> str:
    """Return the sections of a difference: definition, features, data, and each evaluation."""
    return "\n\n".join(section.rstrip() for section in _sections(found))


def _sections(found: VersionDiff) -> Iterator[str]:
    before, now = (f"{version.model}@{version.version}" for version in (found.before, found.now))
    yield f"{before} (before) and {now} (now)"
    yield _section("definition", _definition(found))
    options = found.options
    if any(row["option"] == "model_type" for row in options):
        # Options that one of the two model types does not have are in the JSON.
        options = [row for row in options if row["before"] is not None and row["now"] is not None]
    if options:
        yield _section("options", format_table(options, ["option", "before", "now"]))
    if found.features:
        yield _section("features", format_table(found.features, ["feature", "change", "before", "now"]))
    else:
        # How an input becomes a number is BigQuery ML's to know, where it trained one of the two.
        yield _section("features", "the same" if found.data_note else "the same, made in the same way")
    yield _section("data", _data(found))
    if found.distances and not found.is_data_equal:
        columns = ["column", "kind", *_DISTANCES, "importance"]
        shown = [{**dict.fromkeys(columns), **row} for row in found.distances]
        yield _section("columns of the training rows, the farthest from what they were first", _table(shown, columns))
    for window in found.windows:
        yield from _window(window, before, now)
    if not found.windows:
        yield _section("evaluation", f"none has model='{found.now.model}' in its config(...)")


def _section(title: str, text: str) -> str:
    return f"{title}\n{'=' * len(title)}\n{text}"


def _definition(found: VersionDiff) -> str:
    if found.is_definition_equal:
        return "the same"
    if not found.files:
        return "not the same, though its own statement is: a file that it reads changed, and these versions keep none"
    return "\n\n".join("\n".join(change.diff) for change in found.files)


def _data(found: VersionDiff) -> str:
    if found.is_data_equal:
        return f"the same {found.now.n_rows:,} rows"
    rows = found.rows
    listed: list[dict[str, Any]] = [{"what": "rows", "before": str(rows.n_before), "now": str(rows.n_now)}]
    if rows.n_added is not None:
        listed.append({"what": "rows in this one alone", "before": str(rows.n_removed), "now": str(rows.n_added)})
    if rows.time_column:
        for what, ends in (("first", (rows.first_before, rows.first_now)), ("last", (rows.last_before, rows.last_now))):
            listed.append({"what": f"{what} {rows.time_column}", "before": _time(ends[0]), "now": _time(ends[1])})
    if found.label_before is not None and found.label_now is not None:
        values = {"before": f"{found.label_before:.4f}", "now": f"{found.label_now:.4f}"}
        listed.append({"what": "mean label", **values})
    table = format_table(listed, ["what", "before", "now"])
    return f"{table}\n{found.data_note}" if found.data_note else table


def _window(window: WindowDiff, before: str, now: str) -> Iterator[str]:
    title = f"evaluation {window.evaluation}"
    if window.reason:
        yield _section(title, window.reason)
        return
    span = f"{_time(window.window_start)} to {_time(window.window_end)}" if window.window_start else "all requests"
    maturity = "" if window.is_mature else ", not mature yet"
    told = [f"{span}{maturity}, answers as known at {_time(window.as_of)}, the same requests for both"]
    for version, n_asked in zip((before, now), window.n_asked, strict=True):
        if n_asked:
            told.append(f"{version} was asked {n_asked:,} of them for this; nothing of it is kept")
    for version, may_have in zip((before, now), window.may_have_learned, strict=True):
        if may_have:
            told.append(f"{version} was trained when answers of it may have been known: what it shows here flatters it")
    overall = [row for row in window.metrics if row["slice_key"] == "overall"]
    named = {row["metric"]: row["now"] for row in overall}
    picked = [row for row in overall if row["difference"] is not None or row["metric"] in headline(named)]
    if not picked:
        yield _section(title, "\n".join([*told, "neither version has an answered request in it"]))
        return
    yield _section(title, "\n".join([*told, "", _table(picked, _COMPARED)]))
    if window.flips:
        seen = [row for row in window.flips if not row["is_suppressed"]]
        shown = [row for row in seen if row["slice_key"] == "overall" or row["n_flips"]]
        told = [_table(shown, [name for name in _FLIPS if any(row[name] is not None for row in shown)])]
        if len(seen) > len(shown):
            told.append(f"groups without a flip: {len(seen) - len(shown)}")
        if len(window.flips) > len(seen):
            few = f"fewer than {window.min_slice_size} requests"
            told.append(f"groups of {few}, left out: {len(window.flips) - len(seen)}")
        yield _section(f"decisions of {window.evaluation} that flip, and for whom", "\n".join(told))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    return format_table(rows, columns)


def _time(value: object) -> str | None:
    if isinstance(value, dt.datetime):
        if value.tzinfo:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        return str(value.date() if value.time() == dt.time() else value)
    return None if value is None else str(value)
