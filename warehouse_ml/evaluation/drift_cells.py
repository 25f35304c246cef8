"""Drift where many rows are asked about: numbers are counted in cells, and few of them are looked into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse_ml.evaluation.drift_inputs import INPUTS, OUTPUTS, Reading, Rows
from warehouse_ml.evaluation.drift_pieces import SHARES, UNCUT, Pieces, cut
from warehouse_ml.evaluation.drift_tables import Facts, edge_rows, piece_rows, told
from warehouse_ml.warehouses.base import Relation

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Cells"]

_GIVEN, _REFERENCE, _CURRENT = "wml_drift_given", "wml_drift_reference", "wml_drift_current"
_COUNTED = "counted"
_PIECES, _EDGES = "wml_drift_pieces", "wml_drift_edges"
_TOLD = "wml_drift_told"
_SCRATCH = (
    *(f"{side}_{of}" for side in (_REFERENCE, _CURRENT) for of in (INPUTS, OUTPUTS, _COUNTED)),
    *(_PIECES, _EDGES, "wml_drift_cells", "wml_drift_open", "wml_drift_picked", "wml_drift_walked"),
    *("wml_drift_scores", _TOLD),
)

_MOST_KEPT_BYTES = 600_000_000


@dataclass(frozen=True)
class _Profile:
    """What is kept of a reference: how its numbers are counted, the counts, and the numbers that stand in cells."""

    pieces: Mapping[int, Pieces]
    tables: Mapping[str, pa.Table]

    @property
    def nbytes(self) -> int:
        return sum(table.nbytes for table in self.tables.values())


# Profiles of reference rows that a hash names, so that many windows, one after the other, read each version's training
# rows once. The hash and the columns say everything about them.
_profiles: dict[tuple[Any, ...], _Profile] = {}


class Cells:
    """The statements for one version.

    Parameters
    ----------
    reading : Reading
    before : Cells, optional
        Those of the version before, whose reference may be the same rows.
    """

    def __init__(self, reading: Reading, before: Cells | None = None) -> None:
        self._reading = reading
        self._pieces: Mapping[int, Pieces] = {}
        self._key = reading.key
        self._before = before

    def profile(self, n_windows: int) -> bool:
        """Bring the counted values of the reference into the warehouse, computed or from before."""
        drift, warehouse = self._reading.drift, self._reading.warehouse
        if self._before is not None and self._before._key == self._key:
            self._pieces = self._before._pieces
            return True
        key = (warehouse.engine, drift.reference_hash, *self._key[1:])
        kept = _profiles.get(key) if drift.reference_hash else None
        if kept is not None:
            self._pieces = kept.pieces
            for table, rows in kept.tables.items():
                warehouse.load(Relation(table), rows, temporary=True)
            return True
        tables = self._count_reference(self._reading.training())
        if drift.reference_hash is not None:
            fetched = {table: self._reading.fetch("drift_kept.sql", table=table) for table in tables}
            _profiles[key] = _Profile(self._pieces, fetched)
            while len(_profiles) > 1 and sum(kept.nbytes for kept in _profiles.values()) > _MOST_KEPT_BYTES:
                _profiles.pop(next(iter(_profiles)))
        return True

    def compare_with_the_window_before(self, row: Mapping[str, Any]) -> bool:
        """Write the drift of one window from the window before it."""
        self._count_reference(self._reading.requests_before(row))
        self.compare([row])
        return True

    def compare(self, due: Sequence[Mapping[str, Any]]) -> None:
        """Count the values of the windows, and write how far they are from those of the reference."""
        reading, warehouse = self._reading, self._reading.warehouse
        unit = due[0]["unit"] if len(due) == 1 else None
        current = []
        for rows in reading.requests(due):
            table = f"{_CURRENT}_{rows.name}"
            columns = [{**self._with_pieces(column), "rows": table, "group": rows.name} for column in rows.columns]
            reading.run("drift_rows.sql", rows.parameters, table=table, columns=columns, rows_sql=rows.sql)
            current += columns
        reading.run("drift_counted.sql", table=f"{_CURRENT}_{_COUNTED}", columns=current, unit=unit)
        warehouse.load(Relation(_PIECES), piece_rows(self._pieces), temporary=True)
        warehouse.load(Relation(_EDGES), edge_rows(self._pieces), temporary=True)
        facts = {index: Facts(stddev=pieces.stddev) for index, pieces in self._pieces.items()}
        warehouse.load(Relation(_TOLD), told(reading.columns, facts), temporary=True)
        reading.run("drift_cells.sql")
        placed = [column for column in current if column["pieces"]]
        if placed:
            self._walk(placed, unit)
        reading.write(is_listed=False, has_cells=bool(placed))

    def drop(self) -> None:
        """Take the scratch tables away."""
        self._reading.warehouse.drop_temporary(_SCRATCH)

    def _count_reference(self, groups: Sequence[Rows]) -> list[str]:
        """Count the values of the reference, and return the tables that say all about them."""
        reading = self._reading
        given: list[dict[str, Any]] = []
        for rows in groups:
            table = f"{_GIVEN}_{rows.name}"
            columns = [{**column, **UNCUT.written, "rows": table, "group": rows.name} for column in rows.columns]
            reading.run("drift_rows.sql", rows.parameters, table=table, columns=columns, rows_sql=rows.sql)
            given += columns
        numeric = [column for column in given if column["kind"] == "numeric"]
        found = reading.fetch("drift_quantiles.sql", columns=numeric, shares=SHARES).to_pylist() if numeric else []
        self._pieces = {profile["input"]: cut(profile) for profile in found}
        tables = [f"{_REFERENCE}_{_COUNTED}"]
        counted = [self._with_pieces(column) for column in given]
        for group in {column["group"]: None for column in counted}:
            # Values that are counted one by one are not looked into again.
            placed = [column for column in counted if column["group"] == group and column["pieces"]]
            if placed:
                tables.append(f"{_REFERENCE}_{group}")
                sql = reading.source("given", placed, given=f"{_GIVEN}_{group}")
                reading.run("drift_rows.sql", table=tables[-1], columns=placed, rows_sql=sql)
                for column in placed:
                    column["rows"] = tables[-1]
        reading.run("drift_counted.sql", table=tables[0], columns=counted, unit=0)
        reading.warehouse.drop_temporary(f"{_GIVEN}_{rows.name}" for rows in groups)
        return tables

    def _walk(self, columns: Sequence[Mapping[str, Any]], unit: int | None) -> None:
        """Look into the cells in which the distribution functions may cross, or be farthest apart, or a tenth ends."""
        reading = self._reading
        reading.run("drift_open.sql")
        inputs = set(reading.fetch("drift_open_inputs.sql")["input"].to_pylist())
        current = [column for column in columns if column["index"] in inputs]
        # The label of the training rows stands among their inputs.
        is_previous = reading.names["is_previous"]
        groups = {c["index"]: c["group"] if is_previous or c["part"] != "label" else INPUTS for c in current}
        reference = [{**column, "rows": f"{_REFERENCE}_{groups[column['index']]}"} for column in current]
        reading.run("drift_picked.sql", reference=reference, current=current, unit=unit)
        reading.run("drift_walked.sql")

    def _with_pieces(self, column: Mapping[str, Any]) -> dict[str, Any]:
        return {**column, **self._pieces.get(column["index"], UNCUT).written}
