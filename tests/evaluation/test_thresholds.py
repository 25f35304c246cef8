"""The rates of a binary task at further thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.conftest import AS_OF, make_spec, table, with_requests
from warehouse_ml.errors import DefinitionError
from warehouse_ml.evaluation import evaluate
from warehouse_ml.evaluation.names import AT_THRESHOLDS
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

THRESHOLDS = [1.0, 0.25]
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.25, 0.2500001, 0.5, 0.75, 1.0])),
        st.sampled_from([0, 1, None]),
        st.sampled_from("abcdef"),
        st.sampled_from([0.0, 0.5, 2.0]),
    ),
    min_size=15,
    max_size=90,
)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    warehouse = DuckDBWarehouse(None, threads=1)
    ensure_tables(warehouse)
    yield warehouse
    warehouse.close()


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_rates_at_a_threshold_are_those_of_an_evaluation_with_that_threshold(warehouse, rows):
    warehouse.run("delete from wml.metrics")
    warehouse.run("delete from wml.evaluations")
    names = ["score", "label", "grp", "sample_weight"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    types = [pa.float64(), pa.int64(), pa.string(), pa.float64()]
    typed = {name: pa.array(columns[name], kind) for name, kind in zip(names, types, strict=True)}
    warehouse.load(Relation("joined_rows"), pa.table(with_requests(typed)))
    together = evaluated(warehouse, "together", thresholds=THRESHOLDS)
    for threshold in THRESHOLDS:
        for (key, value, name), wanted in evaluated(warehouse, f"at_{threshold}", threshold=threshold).items():
            if name in AT_THRESHOLDS:
                found = together[key, value, f"{name}@{float(threshold)}"]
                assert found == {column: near(wanted[column]) for column in found}


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-15) if isinstance(value, float) else value


def evaluated(warehouse: DuckDBWarehouse, name: str, **config: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the rows of an evaluation by slice and metric, without what names the evaluation."""
    spec = make_spec(name=name, slices=["grp"], min_slice_size=0, **config)
    evaluate(warehouse, spec, "select * from joined_rows", as_of=AS_OF)
    shown = ("value", "ci_lower", "ci_upper", "ci_method", "n", "denominator", "is_suppressed", "reason", "better")
    return {
        (row["slice_key"], row["slice_value"], row["metric"]): {column: row[column] for column in shown}
        for row in table(warehouse, "metrics")
        if row["evaluation"] == name
    }


@pytest.mark.parametrize("value", [0.5, "0.5", [0.5, 0.5], [2], [None], ["a"]])
def test_what_is_no_list_of_thresholds_is_refused(value):
    with pytest.raises(DefinitionError, match="threshold"):
        make_spec(thresholds=value)


def test_only_two_classes_have_thresholds():
    with pytest.raises(DefinitionError, match="a regression task has no thresholds"):
        make_spec(task="regression", thresholds=[0.5])
