"""How two versions were defined: their files, their options, their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warehouse_ml.registry import StoredVersion
from warehouse_ml.scoring import FittedFeature
from warehouse_ml.training.plan import FileChange, changed_files

__all__ = ["feature_changes", "file_changes", "option_changes"]

_SHOWN_CATEGORIES = 5


def file_changes(before: StoredVersion, now: StoredVersion, folders: tuple[Path, Path]) -> list[FileChange]:
    """Return the files that changed, each with its unified diff.

    Versions of an earlier release kept the model's own statement alone, with the clock of their training in it.

    Parameters
    ----------
    before, now : StoredVersion
    folders : tuple of Path
        Their folders, whose hashes were checked when they were loaded.
    """
    said = [version.facts.get("files") for version in (before, now)]
    if None in said:
        said = [{"definition.sql": (folder / "definition.sql").read_text(encoding="utf-8")} for folder in folders]
    names = tuple(f"{version.version.model}@{version.version.version}" for version in (before, now))
    return changed_files(said[0], said[1] or {}, names=(names[0], names[1]))


def option_changes(before: StoredVersion, now: StoredVersion) -> list[dict[str, Any]]:
    """Return the options with another value: option, before, now; those that a tuning chose are among them."""
    old: Mapping[str, Any] = before.facts.get("options", {})
    new: Mapping[str, Any] = now.facts.get("options", {})
    rows = [
        {"option": name.lower(), "before": old.get(name), "now": new.get(name)}
        for name in dict.fromkeys([*new, *old])
        if old.get(name) != new.get(name)
    ]
    if before.facts.get("threshold") != now.facts.get("threshold"):
        rows.append({"option": "threshold", "before": before.facts.get("threshold"), "now": now.facts.get("threshold")})
    return rows


def feature_changes(before: StoredVersion, now: StoredVersion) -> list[dict[str, Any]]:
    """Return the features that came, went or became a number in another way: feature, change, before, now."""
    if before.native is not None or now.native is not None:
        return _input_changes(before, now)
    old, new = ({feature.name: feature for feature in version.parameters.features} for version in (before, now))
    rows = []
    for name in dict.fromkeys([*old, *new]):
        was, became = old.get(name), new.get(name)
        if was is None or became is None:
            change = "added" if was is None else "removed"
            rows.append({"feature": name, "change": change, "before": _kind(was), "now": _kind(became)})
        elif _kind(was) != _kind(became):
            rows.append({"feature": name, "change": "changed", "before": _kind(was), "now": _kind(became)})
        elif set(was.categories) != set(became.categories):
            rows.append(
                {
                    "feature": name,
                    "change": "categories",
                    "before": _without(was.categories, became.categories),
                    "now": _without(became.categories, was.categories),
                }
            )
    return rows


def _input_changes(before: StoredVersion, now: StoredVersion) -> list[dict[str, Any]]:
    """Return the inputs that came, went or are of another kind; how they become numbers BigQuery ML alone knows."""
    old, new = ({column.name: column.kind for column in version.parameters.inputs} for version in (before, now))
    return [
        {
            "feature": name,
            "change": "changed" if name in old and name in new else "added" if name in new else "removed",
            "before": old.get(name),
            "now": new.get(name),
        }
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _kind(feature: FittedFeature | None) -> str | None:
    return None if feature is None else f"{feature.kind}, {feature.encoding}"


def _without(names: Sequence[str], others: Sequence[str]) -> str | None:
    """Return the categories that the other version does not know, the first few by name."""
    found = sorted(set(names) - set(others))
    rest = len(found) - _SHOWN_CATEGORIES
    told = ", ".join(found[:_SHOWN_CATEGORIES]) + (f" and {rest} more" if rest > 0 else "")
    return f"also {told}" if found else None
