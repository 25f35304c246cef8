"""All that tells two versions of a model apart, in one value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from warehouse_ml.catalog import Node
from warehouse_ml.diff.data import column_distances, label_means, row_change
from warehouse_ml.diff.definition import feature_changes, file_changes, option_changes
from warehouse_ml.diff.window import WindowDiff, compare_window
from warehouse_ml.errors import WmlError
from warehouse_ml.registry import Version
from warehouse_ml.session import Session
from warehouse_ml.training.plan import FileChange, RowChange

__all__ = ["VersionDiff", "diff_versions"]


@dataclass(frozen=True)
class VersionDiff:
    """Two versions beside each other.

    Parameters
    ----------
    before, now : Version
    is_definition_equal, is_data_equal : bool
        By their hashes.
    files : list of FileChange
        What the definition and all that it reads say now and said before.
    options : list of dict
        option, before, now: those with another value.
    features : list of dict
        feature, change, before, now.
    rows : RowChange
    label_before, label_now : float or None
        The share of the positive class, or the mean.
    distances : list of dict
        By column, see ``column_distances``.
    windows : list of WindowDiff
        One for each evaluation of the model.
    data_note : str or None
        Why rows, labels and columns are not compared: BigQuery ML trained one of the two, and keeps no rows here.
    """

    before: Version
    now: Version
    is_definition_equal: bool
    is_data_equal: bool
    files: list[FileChange]
    options: list[dict[str, Any]]
    features: list[dict[str, Any]]
    rows: RowChange
    label_before: float | None
    label_now: float | None
    distances: list[dict[str, Any]]
    windows: list[WindowDiff] = field(default_factory=list)
    data_note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as lists and mappings; versions as rows of the index."""
        found = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        found |= {"before": self.before.row(), "now": self.now.row(), "rows": dataclasses.asdict(self.rows)}
        for name in ("files", "windows"):
            found[name] = [dataclasses.asdict(part) for part in found[name]]
        return found


def _model_of(node: Node) -> str:
    return str(node.config.get("model") or "").lower()


def diff_versions(session: Session, model: str, before: str, now: str) -> VersionDiff:
    """Tell two versions of a model apart; nothing is written.

    Parameters
    ----------
    session : Session
        Outside of a transaction.
    model : str
    before, now : str
        Numbers or aliases.

    Raises
    ------
    VersionNotFoundError
        If there is no such version.
    WmlError
        If both are the same.
    ArtifactError
        If a stored version is not what was published.
    """
    registry, warehouse = session.registry, session.warehouse
    first, second = registry.get(model, before), registry.get(model, now)
    if first.version == second.version:
        raise WmlError(
            f"{model}@{before} and {model}@{now} are both version {first.version}",
            has=[f"{model}@{version.version}" for version in registry.versions(model)],
            hint="name two versions",
        )
    old, new = registry.load(first), registry.load(second)
    native = [f"{stored.version.model}@{stored.version.version}" for stored in (old, new) if stored.native is not None]
    if native:
        rows, label_before, label_now = RowChange(first.n_rows, second.n_rows, None, None), None, None
    else:
        rows = row_change(warehouse, registry, old, new)
        label_before, label_now = label_means(warehouse, registry, (old, new))
    nodes = [node for node in session.catalog.of_kind("evaluation") if _model_of(node) == first.model.lower()]
    return VersionDiff(
        before=first,
        now=second,
        is_definition_equal=first.definition_hash == second.definition_hash,
        is_data_equal=first.data_hash == second.data_hash,
        files=file_changes(old, new, (registry.root / first.artifact_uri, registry.root / second.artifact_uri)),
        options=option_changes(old, new),
        features=feature_changes(old, new),
        rows=rows,
        label_before=label_before,
        label_now=label_now,
        distances=[] if native else column_distances(warehouse, registry, old, new),
        windows=[compare_window(session, node, old, new) for node in nodes],
        data_note=f"which rows came or went is not known: BigQuery ML trained {' and '.join(native)}"
        if native
        else None,
    )
