"""Scored rows: the same whichever way they are scored, and other columns pass through as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from warehouse_ml.errors import DataError
from warehouse_ml.functions.call import Call, Input
from warehouse_ml.functions.scored import scored_rows

from .conftest import PLACE, people

INPUT = "select * from people -- and not a row less"


@pytest.fixture
def model(lab):
    rows = people()
    rows["y"] = np.array(["no", "yes", "maybe"])[(np.digitize(rows["z"], [-0.5, 0.5]))]
    lab.load("people", {**rows, "prediction": np.arange(400), "id": [f"p{i}" for i in range(400)]})
    return lab.train("m", pa.table(rows), "BOOSTED_TREE_CLASSIFIER", MAX_ITERATIONS=80, EARLY_STOP=False)


def scored(lab, model, sql: str = INPUT, keep=(), **named: Any) -> str:
    return scored_rows(Call("predict", PLACE), lab.context, model, Input(sql, sql), keep, **named)


def test_sql_and_arrays_score_alike_and_keep_every_column(lab, model):
    keep = ["id", "prediction", "score"]
    asked = {"keep": keep, "probabilities": True}
    as_sql = scored(lab.as_view(), model, **asked)
    assert "_wml_" not in as_sql
    as_arrays = scored(lab, model, **asked)
    assert "_wml_predict_" in as_arrays
    types = lab.warehouse.columns(as_sql)
    assert types == lab.warehouse.columns(as_arrays)
    assert types == {
        "id": "VARCHAR",
        "prediction": "BIGINT",
        "score": "BIGINT",
        "wml_score": "DOUBLE",
        "wml_prediction": "VARCHAR",
        "wml_probabilities": "DOUBLE[]",
    }
    left, right = (lab.warehouse.fetch(sql).sort_by("prediction").to_pylist() for sql in (as_sql, as_arrays))
    assert len(left) == 400
    assert left[7]["id"] == "p7"
    for row, other in zip(left, right, strict=True):
        assert row["wml_score"] == pytest.approx(other["wml_score"], rel=1e-12)
        assert row["wml_probabilities"] == pytest.approx(other["wml_probabilities"], rel=1e-12)
        assert {**row, "wml_score": 0, "wml_probabilities": 0} == {**other, "wml_score": 0, "wml_probabilities": 0}


def test_types_that_arrays_lack_come_back_as_they_were(lab, model):
    lab.warehouse.run("create type mood as enum ('sad', 'happy')")
    sql = "select *, 'happy'::mood as m, 5::hugeint as h, interval 3 month as i, {'a': 1} as s from people limit 3"
    assert lab.warehouse.columns(scored(lab, model, sql, keep=["m", "h", "i", "s"], n_rows=3)) == {
        "m": "ENUM('sad', 'happy')",
        "h": "HUGEINT",
        "i": "INTERVAL",
        "s": "STRUCT(a INTEGER)",
        "wml_score": "DOUBLE",
        "wml_prediction": "VARCHAR",
    }
    assert lab.warehouse.fetch(scored(lab, model, "select * from people limit 0", keep=["id"], n_rows=0)).num_rows == 0


def test_an_input_may_hold_scored_rows_itself(lab, model):
    inner = scored(lab, model, keep=["x", "score", "group", "z"])
    outer = scored(lab, model, f"select * exclude (wml_score) from ({inner})", keep=["z"])
    assert lab.warehouse.fetch(outer).num_rows == 400


def test_a_view_is_scored_as_sql(lab, model, monkeypatch):
    view = lab.as_view()
    sql = scored(view, model, keep=["id"], n_rows=1)
    lab.warehouse.run(f"create view w as {sql}")
    assert lab.warehouse.fetch("select * from w").num_rows == 400
    monkeypatch.setattr("warehouse_ml.scoring.compile._MOST_LEAVES", 10)
    with pytest.raises(DataError, match="a view holds no rows"):
        scored(view, model)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select x, score, z from people", 'q.sql:1: no column "group"'),
        ("select * replace ('a' as x) from people", 'q.sql:1: column "x" is VARCHAR'),
    ],
)
def test_an_input_must_have_what_the_model_reads(lab, model, sql, message):
    with pytest.raises(DataError) as error:
        scored(lab, model, sql)
    assert str(error.value).startswith(message)
