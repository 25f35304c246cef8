"""``[targets.bigquery]`` in wml.toml, and what a statement becomes on its way out."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from warehouse_ml.errors import ProjectError
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.bigquery.rewrite import kind_of, rewritten
from warehouse_ml.warehouses.bigquery.settings import bigquery_settings, bytes_of

PLACE = "wml.toml: [targets.bigquery]"
GOOD = {"project": "my-project-123", "dataset": "ml"}


def test_two_settings_are_enough() -> None:
    found = bigquery_settings(GOOD, PLACE)
    assert (found.project, found.dataset, found.wml_dataset) == ("my-project-123", "ml", "wml")
    assert found.maximum_bytes_billed is None


def test_all_of_them() -> None:
    found = bigquery_settings(
        GOOD
        | {
            "type": "bigquery",
            "wml_dataset": "wml_dev",
            "location": "europe-west1",
            "maximum_bytes_billed": "10GB",
            "timeout_seconds": 600,
            "labels": {"team": "pricing"},
            "endpoint": "https://bigquery.example.p.googleapis.com",
        },
        PLACE,
    )
    assert found.maximum_bytes_billed == 10**10
    assert found.timeout_seconds == 600
    assert found.labels == {"team": "pricing"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"datset": "ml"}, 'hint: did you mean "dataset"?'),
        ({"credentials": "key.json"}, "gcloud auth application-default login"),
        ({"project": None}, "project is not set"),
        ({"dataset": None}, "dataset is not set"),
        ({"dataset": "my-project.ml"}, "letters, digits and underscores"),
        ({"project": "My Project"}, "the id of a Google Cloud project"),
        ({"wml_dataset": "ml"}, "need a dataset of their own"),
        ({"maximum_bytes_billed": "lots"}, 'maximum_bytes_billed = "10GB"'),
        ({"maximum_bytes_billed": 0}, "is not a number of bytes"),
        ({"maximum_bytes_billed": True}, "is not a number of bytes"),
        ({"timeout_seconds": -1}, "is not a time"),
        ({"labels": {"Team": "x"}}, "label Team"),
        ({"labels": "x"}, "must be a table"),
        ({"location": 3}, "must be text"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(change: dict[str, Any], says: str) -> None:
    settings = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ProjectError) as caught:
        bigquery_settings(settings, PLACE)
    assert str(caught.value).startswith(PLACE)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("5000000", 5_000_000),
        ("10GB", 10**10),
        ("1.5 TiB", round(1.5 * 1024**4)),
        ("2_000", 2000),
        ("10 G", None),
        ("", None),
        ("-1", None),
    ],
)
def test_bytes_are_written_as_people_write_them(text: str, n: int | None) -> None:
    assert bytes_of(text) == n


@pytest.mark.parametrize(
    ("sql", "verb", "is_temporary", "relation"),
    [
        ("-- a comment\nselect 1", "read", False, None),
        ("with x as (select 1) select * from x", "read", False, None),
        ("(select 1) union all (select 2)", "read", False, None),
        ("insert into `wml`.`metrics` (a) values (1)", "change", False, None),
        ("merge into a using b on a.x = b.x when matched then delete", "change", False, None),
        ("create or replace temp table `_x` as select 1", "define", True, Relation("_x")),
        ("create table if not exists `wml`.`m` (a string)", "define", False, Relation("m", "wml")),
        ("create or replace view `ml.v` as select 1", "define", False, Relation("v", "ml")),
        ("create or replace table function `wml`.`f`(x string) as (select x)", "define", False, None),
        ("drop table if exists `_old`", "define", True, Relation("_old")),
        ("drop table if exists `kept`", "define", False, Relation("kept")),
        ("alter table `wml`.`m` add column if not exists `b` string", "define", False, Relation("m", "wml")),
        ("begin transaction", "other", False, None),
    ],
)
def test_what_a_statement_does(sql: str, verb: str, is_temporary: bool, relation: Relation | None) -> None:
    found = kind_of(sql, {"_old"})
    assert (found.verb, found.is_temporary, found.relation) == (verb, is_temporary, relation)
    assert not found.is_several
    assert kind_of(sql + ";\nselect 1").is_several


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select @a, @b", "select null, @b"),
        ("select '@a', @ab, @A -- @a\n, `@a`", "select '@a', @ab, null -- @a\n, `@a`"),
        ("select r'@a', '''@a'''", "select r'@a', '''@a'''"),
        ("select * from `wml`.`metrics`", "select * from `wml_dev`.`metrics`"),
        ("select * from wml.metrics as wml_x", "select * from `wml_dev`.metrics as wml_x"),
        ("select 'wml.x', x.wml.y, wml from wml", "select 'wml.x', x.wml.y, wml from wml"),
        ("select * from `file:/a b/c%2Eparquet`", "select * from `wml_dev`.`file_c`"),
        ("select '`file:/a`'", "select '`file:/a`'"),
    ],
)
def test_words_are_put_in_their_places_and_no_others(sql: str, expected: str) -> None:
    asked: list[str] = []

    def table(name: str) -> Relation:
        asked.append(name)
        return Relation("file_c", "wml")

    assert rewritten(sql, {"a": None, "b": 1}, wml_dataset="wml_dev", file_table=table) == expected
    assert asked in ([], ["file:/a b/c%2Eparquet"])


def test_parameters_have_the_types_of_their_values() -> None:
    pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')
    from warehouse_ml.errors import WarehouseError
    from warehouse_ml.warehouses.bigquery.values import query_parameters

    zone = dt.timezone(dt.timedelta(hours=2))
    values = {
        "text": "x",
        "n": 1,
        "is": True,
        "x": 1.5,
        "at": dt.datetime(2024, 1, 1, 2, tzinfo=zone),
        "day": dt.date(2024, 1, 1),
        "names": ["a", "b"],
        "none": None,
        "mixed": [1, 2.5],
        "empty": [],
    }
    found = {item.name: item.to_api_repr() for item in query_parameters(values)}
    types = {name: item["parameterType"]["type"] for name, item in found.items()}
    assert types == {
        "text": "STRING",
        "n": "INT64",
        "is": "BOOL",
        "x": "FLOAT64",
        "at": "TIMESTAMP",
        "day": "DATE",
        "names": "ARRAY",
        "mixed": "ARRAY",
        "empty": "ARRAY",
    }
    assert found["at"]["parameterValue"]["value"].startswith("2024-01-01 00:00:00")
    assert found["mixed"]["parameterType"]["arrayType"]["type"] == "FLOAT64"
    with pytest.raises(WarehouseError, match="several types"):
        query_parameters({"a": [1, "x"]})
    with pytest.raises(WarehouseError, match="object"):
        query_parameters({"a": object()})
