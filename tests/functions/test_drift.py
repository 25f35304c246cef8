"""Drift and skew against scipy and a plain count."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from tests.tiny import SPLIT
from tests.wml import ok, rows
from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.functions.call import Call, Context, Input, ModelName
from warehouse_ml.functions.drift import validate_data_drift, validate_data_skew
from warehouse_ml.registry import Registry
from warehouse_ml.session import open_session
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

from .conftest import AS_OF, people


def bucket(value, ordered: list[float], n_buckets: int) -> int | None:
    """Return 1 to n for a number, by the ranks i * n / n_buckets of the sorted base."""
    if value is None or not np.isfinite(value):
        return None
    n = len(ordered)
    edges = [ordered[-(-i * n // n_buckets) - 1] for i in range(1, n_buckets)] if n else []
    return 1 + sum(value > edge for edge in edges)


def shares(base: list, study: list) -> tuple[list[float], list[float]]:
    left, right = Counter(base), Counter(study)
    keys = sorted({*left, *right}, key=str)
    return [left[key] / len(base) for key in keys], [right[key] / len(study) for key in keys]


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    yield warehouse
    warehouse.close()


number = st.sampled_from([0.0, 1.0, 1.5, 2.0, -3.0, float("nan"), float("inf"), None])
text = st.sampled_from(["a", "b", "1", "", None])


@given(
    st.lists(st.tuples(number, text), min_size=1, max_size=30),
    st.lists(st.tuples(number, text), min_size=1, max_size=30),
    st.sampled_from([1, 2, 3, 10]),
)
def test_values_by_a_plain_count(warehouse, tmp_path_factory, base, study, n_buckets):
    schema = pa.schema([("n", pa.float64()), ("t", pa.string())])
    for name, values in (("base", base), ("study", study)):
        table = pa.Table.from_pylist([{"n": n, "t": t} for n, t in values], schema=schema)
        warehouse.load(Relation(name), table)
    call = Call(
        "validate_data_drift",
        "q.sql:1",
        inputs=tuple(Input(f"from {name}", f"from {name}") for name in ("base", "study")),
        settings={"num_histogram_buckets": n_buckets},
    )
    context = Context(warehouse, Registry(tmp_path_factory.getbasetemp()), AS_OF)
    found = {row["input"]: row["value"] for row in warehouse.fetch(validate_data_drift(call, context)).to_pylist()}
    ordered = sorted(n for n, _ in base if n is not None and np.isfinite(n))
    p, q = shares(*([bucket(n, ordered, n_buckets) for n, _ in side] for side in (base, study)))
    if ordered:
        assert found["n"] == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-12)
    p, q = shares(*([t for _, t in side] for side in (base, study)))
    assert found["t"] == pytest.approx(max(abs(a - b) for a, b in zip(p, q, strict=True)), abs=1e-12)


def test_settings_choose_metrics_and_thresholds(lab):
    lab.load("base", {"x": [1.0, 2.0, 3.0, 4.0], "c": ["a", "a", "b", "c"], "b": [True, True, True, False]})
    lab.load("study", {"C": ["a", "d", "b", "c"], "B": [True, False, None, False], "x": [9, 9, 9, 9], "more": [1] * 4})
    sides = ("select * from base", "select * from study")
    assert lab.call(validate_data_drift, *sides).to_pylist() == [
        {"input": "x", "metric": "JENSEN_SHANNON_DIVERGENCE", "threshold": 0.3, "value": 1.0, "is_anomaly": True},
        {"input": "c", "metric": "L_INFTY", "threshold": 0.3, "value": 0.25, "is_anomaly": False},
        {"input": "b", "metric": "L_INFTY", "threshold": 0.3, "value": 0.5, "is_anomaly": True},
    ]
    chosen = {
        "categorical_metric_type": "jensen_shannon_divergence",
        "categorical_default_threshold": 0.2,
        "numerical_default_threshold": 0.6,
        "thresholds": [("C", 0.25), {"name": "b", "at": 0.5}],
    }
    found = lab.call(validate_data_drift, *sides, **chosen).to_pylist()
    assert [(row["threshold"], row["is_anomaly"]) for row in found] == [(0.6, True), (0.25, False), (0.5, False)]
    p, q = [0.5, 0.25, 0.25, 0], [0.25, 0.25, 0.25, 0.25]
    assert found[1]["value"] == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert lab.columns(validate_data_drift, *sides) == {
        "input": "VARCHAR",
        "metric": "VARCHAR",
        "threshold": "DOUBLE",
        "value": "DOUBLE",
        "is_anomaly": "BOOLEAN",
    }


def test_scalars_of_every_kind(lab):
    values = (
        "select 1::tinyint as i, 1.5::decimal(4, 1) as d, date '2024-01-01' as day, timestamp '2024-01-01' as at, "
        "timestamptz '2024-01-01 10:00:00+00' as tz, time '10:00' as t, true as b, 'x'::blob as bytes, "
        "'a'::enum('a', 'b') as e, uuid() as u, 5::hugeint as h, interval 1 day as iv"
    )
    found = lab.call(validate_data_drift, values, values.replace("2024-01-01", "2024-06-01")).to_pylist()
    by_input = {row["input"]: (row["metric"], row["value"]) for row in found}
    assert {name for name, (metric, _) in by_input.items() if metric != "L_INFTY"} == {"i", "d", "day", "at", "tz", "h"}
    assert by_input["day"][1] == by_input["at"][1] == by_input["tz"][1] == by_input["u"][1] == 1
    assert by_input["i"][1] == by_input["b"][1] == by_input["iv"][1] == 0


def test_no_rows_on_one_side_say_nothing(lab):
    some, none = "select 1 as x, 'a' as c", "select 1 as x, 'a' as c where false"
    for sides in ((some, none), (none, some), (none, none)):
        found = lab.call(validate_data_drift, *sides).to_pylist()
        assert [(row["input"], row["value"], row["is_anomaly"]) for row in found] == [
            ("x", None, None),
            ("c", None, None),
        ]


def test_skew_is_drift_from_the_rows_trained_on(lab):
    data = people()
    data["y"] = data["z"] > 0
    split = ["train"] * 300 + ["eval"] * 100
    lab.train("late", pa.table(data), "LOGISTIC_REG", split=split)
    lab.load("asked", people(seed=3))
    skew = lab.call(validate_data_skew, "select * from asked", model="late", thresholds=[["x", 0.001]])
    trained = "select x, score, \"group\" from rows_of_late where wml_split = 'train'"
    asked = 'select x, score, "group" from asked'
    drift = lab.call(validate_data_drift, trained, asked, thresholds=[["x", 0.001]])
    assert skew.drop_columns("value") == drift.drop_columns("value")
    assert skew["value"].to_pylist() == pytest.approx(drift["value"].to_pylist(), abs=1e-12)
    assert skew["input"].to_pylist() == ["x", "score", "group"]
    assert skew["is_anomaly"].to_pylist() == [True, False, False]


def test_skew_gives_the_numbers_of_the_drift_table(tiny):
    ok(tiny, "run", "--since", SPLIT.isoformat(), "--as-of", "2024-02-19")
    written = rows(
        tiny,
        "select input, value, window_start from wml.drift where kind = 'input' and version = 1 "
        "and metric = case when input = 'region' then 'l_infinity' else 'jensen_shannon_divergence' end "
        "qualify window_start = max(window_start) over () order by input",
    )
    start = dt.datetime.fromisoformat(written[0]["window_start"])
    with open_session(tiny) as session:
        sql = (
            f"select * from wml.request_log_churn where alias = 'champion' "
            f"and requested_at >= '{start}' and requested_at < '{start + dt.timedelta(days=7)}'"
        )
        context = Context(session.warehouse, session.registry, dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
        call = Call("validate_data_skew", "q", model=ModelName("churn", "1"), inputs=(Input(sql, sql),))
        found = session.warehouse.fetch(validate_data_skew(call, context)).to_pylist()
    assert len(found) == len(written) == 3
    assert {row["input"]: row["value"] for row in found} == pytest.approx(
        {row["input"]: row["value"] for row in written}, abs=1e-12
    )


@pytest.mark.parametrize(
    ("base", "study", "chosen", "message"),
    [
        ("select 1 as x", "select 1 as y", {}, 'q.sql:1: no column "x" in the rows to validate'),
        ("select 1 as x", "select 'a' as x", {}, 'q.sql:1: "x" is INTEGER on one side and VARCHAR on the other'),
        ("select [1] as x", "select [1] as x", {}, 'q.sql:1: "x" is INTEGER[], and nested values are not compared'),
        ("select 1 as x", "select 1 as x", {"thresholds": [("y", 0.1)]}, 'q.sql:1: thresholds names "y"'),
        ("select 1 as x", "select 1 as x", {"thresholds": [("x", 1)]}, "q.sql:1: thresholds = 1 in"),
        ("select 1 as x", "select 1 as x", {"thresholds": [("x",)]}, "q.sql:1: thresholds = [('x',)] in"),
        (
            "select 1 as x",
            "select 1 as x",
            {"categorical_metric_type": "L2"},
            "q.sql:1: categorical_metric_type = 'L2'",
        ),
        ("select 1 as x", "select 1 as x", {"numerical_metric_type": "L_INFTY"}, "q.sql:1: numerical_metric_type ="),
        ("select 1 as x", "select 1 as x", {"num_histogram_buckets": 1001}, "q.sql:1: num_histogram_buckets = 1001 in"),
        (
            "select 1 as x",
            "select 1 as x",
            {"num_rank_histogram_buckets": 9},
            "q.sql:1: ml.validate_data_drift does not",
        ),
    ],
)
def test_mistakes_are_named(lab, base, study, chosen, message):
    with pytest.raises((DataError, DefinitionError)) as error:
        lab.text(validate_data_drift, base, study, **chosen)
    assert str(error.value).startswith(message)
    assert "hint:" in str(error.value) or "has:" in str(error.value)
