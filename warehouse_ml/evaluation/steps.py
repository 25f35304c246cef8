"""The statements of one evaluation, with the names and the parameters that they share."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from warehouse_ml.columns import named_rows
from warehouse_ml.evaluation.join import JoinColumns
from warehouse_ml.evaluation.names import AT_THRESHOLDS, BETTER
from warehouse_ml.evaluation.own import FOLDS
from warehouse_ml.evaluation.spec import OVERALL, EvaluationSpec
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Steps"]


class Steps:
    """The statements of one evaluation, with the names and the parameters they share."""

    def __init__(
        self,
        warehouse: Warehouse,
        spec: EvaluationSpec,
        columns: JoinColumns,
        as_of: dt.datetime,
        *,
        since: dt.datetime | None = None,
    ) -> None:
        self._warehouse = warehouse
        names = {column: f"slice_{index}" for index, column in enumerate(spec.slice_columns)}
        keys = [(OVERALL, ()), *((", ".join(slice_), slice_) for slice_ in spec.groupings)]
        value_column = "score" if columns.has_score else "prediction"
        row_columns = ["request_id", value_column, "label", *names.values()]
        if columns.has_weight:
            row_columns.append("weight")
        row_columns += [metric.column for metric in spec.metrics if metric.over == "rows"]
        self._names: dict[str, Any] = {
            "task": spec.task,
            "window": spec.window,
            "columns": columns,
            "wilson": "wilson_kish" if columns.has_weight else "wilson",
            "names": list(names.values()),
            "slice_columns": [{"column": column, "name": name} for column, name in names.items()],
            "slices": [
                {"index": index, "key": key, "names": [names[column] for column in slice_]}
                for index, (key, slice_) in enumerate(keys)
            ],
            # By which windows differ; none where there is one.
            "window_keys": ["version"] * columns.has_version + ["window_start"] * (spec.window != "all"),
            "has_since": since is not None,
            "dialect": warehouse.engine,
            "own_metrics": spec.metrics,
            "n_folds": FOLDS,
            "better": _better(spec),
            "thresholds": spec.thresholds,
            "row_weight": "request_rows.weight" if columns.has_weight else "1e0",
            "row_columns": [f"joined.{name}" for name in row_columns],
        }
        self._parameters = {
            "evaluation": spec.name,
            "model": spec.model,
            "as_of": as_of,
            "as_of_text": as_of.astimezone(dt.UTC).isoformat(),
            "definition_hash": spec.definition_hash,
            "maturity_seconds": spec.maturity_seconds,
            "min_slice_size": spec.min_slice_size,
            "threshold": spec.threshold,
            "since": since,
            "past_from": spec.past_from(as_of),
        }
        self._written = {
            name: re.compile(re.escape(_written_parameter(name, warehouse.engine)) + r"\b")
            for name in (*self._parameters, "restate")
        }

    @property
    def slice_fields(self) -> dict[str, str]:
        """Each slice column, and where ``wml_cells`` has it."""
        return {item["column"]: f"cells.{item['name']}" for item in self._names["slice_columns"]}

    def run(self, file: str, *, restate: bool = False, join_sql: str = "", **names: Any) -> None:
        """Run a statement; ``join_sql`` is the user's own query, where it has it."""
        sql = self._render(file, {**names, "join_sql": join_sql})
        # The user's own text is left out of the search: a dollar in it is no parameter of ours.
        own = self._render(file, {**names, "join_sql": ""}) if join_sql else sql
        self._warehouse.run(sql, self._named(own, {**self._parameters, "restate": restate}))

    def fetch(self, file: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        sql = self._render(file, {})
        return named_rows(self._warehouse.fetch(sql, self._named(sql, self._parameters)))

    def fetch_arrow(self, file: str, **names: Any) -> pa.Table:
        """Return the rows of a query as a table."""
        sql = self._render(file, names)
        return self._warehouse.fetch(sql, self._named(sql, self._parameters))

    def load(self, name: str, rows: pa.Table) -> None:
        """Put rows into a scratch table."""
        self._warehouse.load(Relation(name), rows, temporary=True)

    def drop(self, names: Iterable[str]) -> None:
        """Take scratch tables away."""
        self._warehouse.drop_temporary(names)

    def _render(self, file: str, names: Mapping[str, Any]) -> str:
        return statement(__package__, file, self._warehouse.engine, **self._names, **names)

    def _named(self, sql: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that the statement names; an engine refuses others."""
        return {name: value for name, value in parameters.items() if self._written[name].search(sql)}


def _better(spec: EvaluationSpec) -> dict[str, list[str]]:
    """Return the metrics of an evaluation by the way in which they are better."""
    found = {}
    for way, names in BETTER.items():
        at = [f"{name}@{threshold}" for name in AT_THRESHOLDS if name in names for threshold in spec.thresholds]
        found[way] = [*names, *at, *(metric.name for metric in spec.metrics if metric.better == way)]
    return found


@lru_cache
def _written_parameter(name: str, engine: str) -> str:
    return statement("warehouse_ml.warehouses", "parameter.sql", engine, name=name)
