"""Drift where few rows are asked about: every value of both sides is counted, and all of them stand in one order.

What a version's training rows come to is then small enough to be kept in the warehouse, in ``wml.drift_profiles``. It
is written once, when a version is first evaluated, and read in place by every later evaluation, of any process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from warehouse_ml.evaluation.drift_inputs import Reading, Rows
from warehouse_ml.evaluation.drift_tables import Facts, told
from warehouse_ml.warehouses.base import Relation

__all__ = ["Listed"]

_TOLD = "wml_drift_told"
_SCRATCH = ("wml_drift_listed", "wml_drift_values", "wml_drift_scores", _TOLD)

_FORMAT = 1
"""To be raised when what is kept of a reference changes; profiles of another format are not found then."""

_MOST_VALUES = 100_000
_MOST_VALUES_OF_WINDOWS = 250_000
_MOST_PROFILES = 40
_NOT_KEPT = "not kept"

# What is known of profiles that were read before, by their names, which say everything about them.
_known: dict[str, Mapping[int, Facts]] = {}
_too_long: set[str] = set()


class Listed:
    """The statements for one version.

    Parameters
    ----------
    reading : Reading
    before : Listed, optional
        Those of the version before, whose reference may be the same rows.
    """

    def __init__(self, reading: Reading, before: Listed | None = None) -> None:
        self._reading = reading
        self._facts: Mapping[int, Facts] = {}
        self._key = reading.key
        self._before = before
        self._profile = _NOT_KEPT if reading.drift.reference_hash is None else _name(reading)

    def profile(self, n_windows: int) -> bool:
        """See to it that the values of the reference are counted; False where there are too many to be listed."""
        if not self._is_known() and not self._count():
            return False
        n_values = sum(facts.n_values for facts in self._facts.values())
        return n_windows == 1 or n_values * n_windows <= _MOST_VALUES_OF_WINDOWS

    def compare_with_the_window_before(self, row: Mapping[str, object]) -> bool:
        """Write the drift of one window from the window before it."""
        self._profile = _NOT_KEPT
        self._keep(self._reading.requests_before(row))
        self.compare([row])
        return True

    def compare(self, due: Sequence[Mapping[str, object]]) -> None:
        """Count the values of the windows, and write how far they are from those of the reference."""
        reading = self._reading
        self._list(reading.requests(due))
        reading.warehouse.load(Relation(_TOLD), told(reading.columns, self._facts), temporary=True)
        reading.write({"profile": self._profile}, is_listed=True, is_kept=self._is_kept)

    def drop(self) -> None:
        """Take the scratch tables away."""
        self._reading.warehouse.drop_temporary(_SCRATCH)

    @property
    def _is_kept(self) -> bool:
        return self._profile != _NOT_KEPT

    def _is_known(self) -> bool:
        """Return whether the values were counted before: for the version before, or in an evaluation before."""
        if not self._is_kept:
            before = self._before
            if before is None or before._is_kept or before._key != self._key:
                return False
            self._facts = before._facts
            return True
        # Another process may have taken it away, or this one have rolled it back.
        if self._profile in _known:
            self._facts = _known[self._profile]
            return bool(self._reading.fetch("drift_is_kept.sql", {"profile": self._profile}).num_rows)
        self._facts = self._read_facts()
        if self._facts:
            _known[self._profile] = self._facts
        return bool(self._facts)

    def _count(self) -> bool:
        """Count the values of the training rows, where there are not too many."""
        reading = self._reading
        if self._profile in _too_long:
            return False
        inputs = reading.trained_on()
        n_values = reading.fetch("drift_size.sql", columns=inputs.columns, rows_sql=inputs.sql)["n_values"][0].as_py()
        if n_values > _MOST_VALUES:
            if self._is_kept:
                _too_long.add(self._profile)
            return False
        self._keep(reading.training())
        if self._is_kept:
            _known[self._profile] = self._facts
            reading.run("drift_forget.sql", most=_MOST_PROFILES)
        return True

    def _list(self, groups: Sequence[Rows]) -> None:
        parameters = {name: value for rows in groups for name, value in rows.parameters.items()}
        parts = []
        for rows in groups:
            for is_numeric in (True, False):
                columns = [column for column in rows.columns if (column["kind"] == "numeric") is is_numeric]
                parts += [{"name": rows.name, "is_numeric": is_numeric, "columns": columns}] if columns else []
        sides = [{"name": rows.name, "sql": rows.sql} for rows in groups]
        self._reading.run("drift_listed.sql", parameters, groups=sides, parts=parts)

    def _keep(self, groups: Sequence[Rows]) -> None:
        self._list(groups)
        parameters = {"profile": self._profile, **({"as_of": self._reading.as_of} if self._is_kept else {})}
        self._reading.run("drift_profile.sql", parameters, is_kept=self._is_kept)
        self._facts = self._read_facts()

    def _read_facts(self) -> dict[int, Facts]:
        rows = self._reading.fetch("drift_facts.sql", {"profile": self._profile}, is_kept=self._is_kept).to_pylist()
        return {
            row["input"]: Facts(
                stddev=row["stddev"],
                n_values=row["n_values"],
                n_rows=row["n_rows"],
                n_numbers=row["n_numbers"],
                edges=tuple(row[f"edge_{tenth}"] for tenth in range(1, 10)),
            )
            for row in rows
        }


def _name(reading: Reading) -> str:
    """Return what the values of a version's reference are kept under."""
    drift = reading.drift
    columns = [(column["name"], column["kind"]) for column in reading.columns]
    said = repr((_FORMAT, drift.reference_hash, columns, drift.label, drift.scores is not None))
    return hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()
