"""The small tables that the statements of drift read beside the rows: pieces, edges of tenths, and what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse_ml.columns import table_of
from warehouse_ml.evaluation.drift_pieces import Pieces

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Facts", "edge_rows", "piece_rows", "told"]

_BINS = {
    "numeric": "10 quantile bins of the reference and one of nulls",
    "categorical": "one bin a value and one of nulls",
}
_EXACT = "exact; of the rows that are not null"
# Metric: method behind the bins, and threshold. 0.3 is BigQuery's, 0.2 the usual one for psi; for the others none is.
_BINNED = {
    "psi": ("natural logarithm; shares of rows, at least 0.0001 each", 0.2),
    "jensen_shannon_divergence": ("logarithm to base 2; shares of rows", 0.3),
    "l_infinity": ("largest difference of shares of rows", 0.3),
    "chi_square": ("Pearson's statistic of homogeneity, without correction; degrees of freedom ", None),
}
_ORDERED = {
    "kolmogorov_smirnov": "largest difference of the distribution functions",
    "wasserstein": "first order; in the unit of the input",
    "wasserstein_standardized": "first order; over the standard deviation of the reference",
}


@dataclass(frozen=True)
class Facts:
    """What is known of a reference column: its values, rows and numbers, where its tenths end, and its spread."""

    stddev: float | None = None
    n_values: int = 0
    n_rows: int = 0
    n_numbers: int = 0
    edges: tuple[float | None, ...] = (None,) * 9

    @property
    def written(self) -> dict[str, float | None]:
        """The columns of ``wml_drift_told``."""
        edges = {f"edge_{tenth}": edge for tenth, edge in enumerate(self.edges, start=1)}
        return {"n_reference": float(self.n_rows), "reference_numbers": float(self.n_numbers), **edges}


_NOTHING = Facts()


def piece_rows(pieces: Mapping[int, Pieces]) -> pa.Table:
    """Return ``wml_drift_pieces``: where the pieces of each column begin, and how they are cut."""
    rows = [row for column, cut_at in pieces.items() for row in cut_at.piece_rows(column)]
    whole, real = ("input", "piece", "tenth"), ("first_cell", "n_cells", "start", "width", "origin")
    return _table(rows, whole=whole, real=real, text=("form",))


def edge_rows(pieces: Mapping[int, Pieces]) -> pa.Table:
    """Return ``wml_drift_edges``: where the tenths of columns end whose numbers stand in cells."""
    rows = [row for column, cut_at in pieces.items() for row in cut_at.edge_rows(column)]
    return _table(rows, whole=("input", "tenth", "cell"), real=("edge",))


def told(columns: Sequence[Mapping[str, Any]], facts: Mapping[int, Facts]) -> pa.Table:
    """Return ``wml_drift_told``, what is told beside a value: one row for each column and metric that it has.

    A value is divided by ``divisor``. Where the reference is listed, the row of ``psi`` says what is known of it too.
    """
    rows = []
    for column in columns:
        metrics = {metric: (f"{_BINS[column['kind']]}; {how}", limit) for metric, (how, limit) in _BINNED.items()}
        if column["kind"] == "numeric":
            metrics |= {metric: (f"{_EXACT}; {how}", None) for metric, how in _ORDERED.items()}
        shown = {name: column[name] for name in ("name", "part", "importance")}
        known = facts.get(column["index"], _NOTHING)
        divisors = {"wasserstein_standardized": known.stddev}
        rows += [
            {
                "input": column["index"],
                "metric": metric,
                "method": method,
                "threshold": limit,
                "divisor": divisors.get(metric, 1.0),
                **shown,
                **(known.written if metric == "psi" else {}),
            }
            for metric, (method, limit) in metrics.items()
        ]
    real = ("threshold", "importance", "divisor", *_NOTHING.written)
    return _table(rows, whole=("input",), real=real, text=("metric", "method", "name", "part"))


def _table(
    rows: list[dict[str, Any]], *, whole: Sequence[str] = (), real: Sequence[str] = (), text: Sequence[str] = ()
) -> pa.Table:
    import pyarrow as pa

    types = dict.fromkeys(whole, pa.int64()) | dict.fromkeys(real, pa.float64()) | dict.fromkeys(text, pa.string())
    return table_of({name: [row.get(name) for row in rows] for name in types}, pa.schema(list(types.items())))
