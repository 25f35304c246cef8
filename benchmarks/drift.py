"""Drift of 20 numeric and 5 categorical inputs: ours, in the warehouse, against scipy over pandas.

Both compute PSI, the Jensen-Shannon divergence, L-infinity, chi-square, the Kolmogorov-Smirnov distance and the
Wasserstein distance, the last two exactly. Ours reads both sides from a table and writes its results to one; reading
the rows is no part of scipy's time. It is measured twice: with the reference read anew, and with its profile kept from
before, as in each later window. Medians of rounds in which the sides take turns.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from warehouse_ml.evaluation import DriftInput, EvaluationSpec, JoinColumns, write_drift
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

AS_OF = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
NUMBERS = [f"x{index}" for index in range(20)]
TEXTS = [f"c{index}" for index in range(5)]
# One window that holds every row.
DUE = """
create or replace temp table wml_due as
select 1 as unit, 'bench' as evaluation_id, cast(null as bigint) as version, cast(null as timestamptz) as window_start,
    cast(null as timestamptz) as window_end
"""
NOTHING_JOINED = JoinColumns(
    has_score=False,
    has_prediction=False,
    has_label_known_at=False,
    has_version=False,
    has_weight=False,
    is_boolean_prediction=False,
    is_boolean_label=False,
)


def rows(n_rows: int, seed: int, scale: float) -> pd.DataFrame:
    """Return normal, heavy-tailed, zero-inflated, few-valued and rounded numbers, and texts; some are missing."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for index, name in enumerate(NUMBERS):
        values = rng.normal(size=n_rows) * scale
        if index % 5 == 1:
            values = np.exp(3 * values)
        elif index % 5 == 2:
            values = np.where(rng.random(n_rows) < 0.6, 0.0, values)
        elif index % 5 == 3:
            values = np.floor(values * 5)
        elif index % 5 == 4:
            values = np.round(values, 2)
        columns[name] = np.where(rng.random(n_rows) < 0.01, np.nan, values)
    for index, name in enumerate(TEXTS):
        columns[name] = pd.Series(rng.integers(0, 4 * (index + 1), n_rows)).map("v{}".format)
    return pd.DataFrame(columns)


def peer(reference: pd.DataFrame, current: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return every metric by column and name, from numpy and scipy."""
    found: dict[tuple[str, str], float] = {}
    for name in [*NUMBERS, *TEXTS]:
        left, right = reference[name], current[name]
        if name in NUMBERS:
            a, b = left.dropna().to_numpy(), right.dropna().to_numpy()
            edges = np.quantile(a, np.arange(1, 10) / 10, method="inverted_cdf")
            counts = np.array(
                [
                    np.append(np.bincount(np.searchsorted(edges, known), minlength=10), len(side) - len(known))
                    for side, known in ((left, a), (right, b))
                ]
            )
            found[name, "kolmogorov_smirnov"] = float(ks_2samp(a, b, method="asymp").statistic)
            found[name, "wasserstein"] = float(wasserstein_distance(a, b))
        else:
            both = pd.concat([left.value_counts(), right.value_counts()], axis=1).fillna(0)
            counts = both.to_numpy().T
        counts = counts[:, counts.sum(axis=0) > 0]
        p, q = (row / row.sum() for row in counts)
        low, high = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
        found[name, "jensen_shannon_divergence"] = float(jensenshannon(p, q, base=2) ** 2)
        found[name, "l_infinity"] = float(np.abs(p - q).max())
        found[name, "psi"] = float(np.sum((high - low) * np.log(high / low)))
        found[name, "chi_square"] = float(chi2_contingency(counts, correction=False).statistic)
    return found


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds, and the CPU seconds, that a piece of work takes."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def main(n_rows: int, rounds: int = 3) -> None:
    """Print the medians of the three sides, their ratios, the largest difference of a value, and what is kept."""
    import pyarrow as pa

    from warehouse_ml.evaluation import drift_cells as module
    from warehouse_ml.warehouses.base import Relation

    warehouse = DuckDBWarehouse()
    ensure_tables(warehouse)
    reference, current = rows(n_rows, 1, 1.0), rows(n_rows, 2, 1.02)
    for name, frame in (("reference", reference), ("asked", current)):
        warehouse.load(Relation(name), pa.Table.from_pandas(frame, preserve_index=False))
    warehouse.run(DUE)
    spec = EvaluationSpec.from_config("bench", {}, place="bench", definition_hash="")
    asked = "select *, timestamptz '2024-01-01 00:00:00+00' as requested_at from asked"
    columns = {**dict.fromkeys(NUMBERS, "numeric"), **dict.fromkeys(TEXTS, "categorical")}
    due = [{"unit": 1, "version": None, "window_start": None}]

    def ours(reference_hash: str | None) -> None:
        given = DriftInput(None, "from reference", asked, columns, reference_hash=reference_hash)
        warehouse.run("delete from wml.drift")
        write_drift(warehouse, spec, [given], due, AS_OF, NOTHING_JOINED)

    expected: dict[tuple[str, str], float] = {}
    sides: dict[str, Callable[[], object]] = {
        "the reference anew": lambda: ours(None),
        "its profile kept": lambda: ours("kept"),
        "scipy": lambda: expected.update(peer(reference, current)),
    }
    ours("kept")
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    apart = 0.0
    for _ in range(rounds):
        for side, work in sides.items():
            times[side].append(timed(work))
        written = warehouse.fetch("select input, metric, value from wml.drift").to_pylist()
        found = [(row["value"], expected.get((row["input"], row["metric"]))) for row in written]
        apart = max(apart, *(abs(a - b) / max(1.0, abs(b)) for a, b in found if b is not None))
    seconds, cpu = ({side: statistics.median(pair[i] for pair in times[side]) for side in sides} for i in (0, 1))
    print(f"{n_rows:,} rows against {n_rows:,}, {len(columns)} inputs; values differ by {apart:.0e} at the most")
    for side in sides:
        print(
            f"{side:20s} {seconds[side]:6.2f} s {cpu[side]:6.2f} s of CPU; scipy takes "
            f"{seconds['scipy'] / seconds[side]:4.1f} ({cpu['scipy'] / cpu[side]:4.1f}) times as long"
        )
    print(f"kept of the reference: {sum(kept.nbytes for kept in module._profiles.values()) / 1e6:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
