"""Drift of 20 numeric and 5 categorical inputs: ours, in the warehouse, against scipy over pandas.

Both compute PSI, the Jensen-Shannon divergence, L-infinity, chi-square, the Kolmogorov-Smirnov distance and the
Wasserstein distance, the last two exactly, and both read the reference anew. Ours evaluates the window besides and
writes its results; reading the rows is no part of scipy's time.
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

from warehouse_ml.evaluation import DriftInput, EvaluationSpec, evaluate
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

AS_OF = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
NUMBERS = [f"x{index}" for index in range(20)]
TEXTS = [f"c{index}" for index in range(5)]
JOIN = """
select
    'r' || numbers.n as request_id,
    timestamptz '2024-01-01 00:00:00+00' as requested_at,
    0.5 as score,
    numbers.n % 2 = 0 as label
from range({n_rows}) as numbers (n)
"""


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


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(n_rows: int, rounds: int = 3) -> None:
    """Print the medians of both sides, their ratio, and the largest difference of a value."""
    import pyarrow as pa

    from warehouse_ml.warehouses.base import Relation

    warehouse = DuckDBWarehouse()
    ensure_tables(warehouse)
    reference, current = rows(n_rows, 1, 1.0), rows(n_rows, 2, 1.02)
    for name, frame in (("reference", reference), ("asked", current)):
        warehouse.load(Relation(name), pa.Table.from_pandas(frame, preserve_index=False))
    spec = EvaluationSpec.from_config("bench", {}, place="bench", definition_hash="")
    asked = "select *, timestamptz '2024-01-01 00:00:00+00' as requested_at from asked"
    columns = {**dict.fromkeys(NUMBERS, "numeric"), **dict.fromkeys(TEXTS, "categorical")}
    drift = DriftInput(None, "from reference", asked, columns)

    def ours() -> None:
        evaluate(warehouse, spec, JOIN.format(n_rows=n_rows), as_of=AS_OF, restate=True, drift=[drift])

    expected: dict[tuple[str, str], float] = {}

    def theirs() -> None:
        expected.update(peer(reference, current))

    times = {"ours": [], "scipy": []}  # type: dict[str, list[float]]
    for _ in range(rounds):
        times["ours"].append(timed(ours))
        times["scipy"].append(timed(theirs))
    written = warehouse.fetch("select input, metric, value from wml.drift").to_pylist()
    apart = max(
        abs(row["value"] - expected[row["input"], row["metric"]]) / max(1.0, abs(expected[row["input"], row["metric"]]))
        for row in written
        if (row["input"], row["metric"]) in expected
    )
    mine, others = statistics.median(times["ours"]), statistics.median(times["scipy"])
    print(
        f"{n_rows:,} rows against {n_rows:,}, {len(columns)} inputs: ours {mine:.2f} s, scipy {others:.2f} s, "
        f"ratio {others / mine:.1f}; values differ by {apart:.0e} at the most"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
