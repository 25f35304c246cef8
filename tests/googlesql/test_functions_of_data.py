"""``ml.describe_data`` and ``ml.validate_data_*`` on both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from tests.googlesql.asking import Asking, asking

PROVES = ("functions/describe_data.sql", "functions/validate_data.sql", "functions/snapshot_rows.sql")

DAY_0 = dt.date(2024, 1, 1)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("functions") / "tiny", (), n_events=150) as project:
        project.load("things", things())
        yield project


def things(n: int = 60) -> pa.Table:
    rng = np.random.default_rng(5)
    number = rng.normal(size=n)
    number[:3] = [np.nan, np.inf, -np.inf]
    word = np.array(["a", "b", "", "été"])[rng.integers(0, 4, n)]
    pair = pa.struct([("width", pa.float64()), ("colour", pa.string())])
    slot = pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float64())]))
    return pa.table(
        {
            "number": pa.array(number, mask=rng.random(n) < 0.1),
            "whole": pa.array(rng.integers(-3, 4, n), mask=rng.random(n) < 0.1),
            "word": pa.array(word.tolist(), mask=rng.random(n) < 0.1),
            "flag": pa.array(rng.random(n) < 0.3),
            "day": pa.array([DAY_0 + dt.timedelta(days=int(days)) for days in rng.integers(0, 50, n)]),
            "empty": pa.nulls(n, pa.float64()),
            "thing": pa.array([{"width": float(x), "colour": "red" if x < 2 else None} for x in rng.random(n)], pair),
            "words": pa.array([list(word[: index % 3]) for index in range(n)], pa.list_(pa.string())),
            "slots": pa.array([[{"index": index % 4, "value": 0.5}] * (index % 2) for index in range(n)], slot),
        }
    )


def test_descriptions(ask: Asking) -> None:
    # A double's text is as each engine writes it, to the last digit or the one before.
    ends = (
        "{cast}({end} as {double}) as {name}, "
        "case when name in ('word', 'flag', 'day', 'words') then {end} end as {name}_text"
    )
    ours, theirs = (
        ", ".join(
            ends.format(cast=cast, double=double, end=f"{quote}{end}{quote}", name=f"{end}_value")
            for end in ("min", "max")
        )
        for cast, double, quote in (("try_cast", "double", '"'), ("safe_cast", "float64", "`"))
    )
    described = (
        "from ml.describe_data(table things, struct(4 as num_quantiles, 3 as top_k, 2 as num_array_length_quantiles))"
    )
    found = ask.agree(
        f"select * exclude (min, max), {ours} {described}", f"select * except (`min`, `max`), {theirs} {described}"
    )
    assert {row["name"] for row in found} == {*things().column_names, "thing.width", "thing.colour"} - {"thing"}
    of = {row["name"]: row for row in found}
    assert (of["empty"]["num_nulls"], of["day"]["min_value_text"][:7], of["words"]["top_values[]"]) == (
        60,
        "2024-01",
        3,
    )


def test_a_description_of_rows_that_are_not_there(ask: Asking) -> None:
    found = ask.agree("select * from ml.describe_data((select number, word from things where false))")
    assert [row["num_rows"] for row in found] == [0, 0]


SETTINGS = {
    "as they are": "struct(0.1 as numerical_default_threshold)",
    "one bucket": "struct(1 as num_histogram_buckets, 'jensen_shannon_divergence' as categorical_metric_type)",
    "own thresholds": "struct([('word', 0.2), ('number', 0.01)] as thresholds, 7 as num_histogram_buckets)",
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_drift(ask: Asking, settings: str) -> None:
    columns = "number, whole, word, flag, day"
    found = ask.agree(
        f"select * from ml.validate_data_drift((select {columns} from things where whole < 2), "
        f"(select {columns} from things where whole > -2), {settings})"
    )
    assert len(found) == 5
    assert all(row["value"] is not None for row in found)


def test_drift_against_nothing(ask: Asking) -> None:
    found = ask.agree(
        "select * from ml.validate_data_drift((select number, word from things), "
        "(select number, word from things where false))"
    )
    assert [row["value"] for row in found] == [None, None]


def test_skew(ask: Asking) -> None:
    found = ask.agree(
        "select * from ml.validate_data_skew(model churn, (select * from churn_requests where amount < 50))"
    )
    assert {row["input"] for row in found} >= {"amount", "visits", "region"}
