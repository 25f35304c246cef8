"""What was logged is replayed, for every kind of model and whatever the requests hold; explanations add up."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kinds import KINDS, write_kinds
from tests.tiny import END, SPLIT
from tests.wml import ok
from warehouse_ml.catalog import Catalog
from warehouse_ml.errors import DefinitionError
from warehouse_ml.project import load_project
from warehouse_ml.registry import Registry
from warehouse_ml.replay import Replayed, replay, replay_period
from warehouse_ml.replay.again import same_bits, ulps
from warehouse_ml.replay.paths import _told, largest_paths
from warehouse_ml.requests import predict
from warehouse_ml.scoring.arrays import matrix, raw_values
from warehouse_ml.scoring.features import FittedFeature, encode_select
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.tables import ensure_tables
from warehouse_ml.templates import environment
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

NO_STATEMENT = ("churn_wood", "churn_near")


@dataclass(frozen=True)
class Kinds:
    catalog: Catalog
    registry: Registry


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    """Models of every kind, trained once."""
    root = write_kinds(tmp_path_factory.mktemp("kinds") / "tiny")
    for name in KINDS:
        ok(root, "train", name, "--as-of", f"{SPLIT:%Y-%m-%d}")
    project = load_project(root)
    return Kinds(Catalog(project, project.target()), Registry(project.artifacts))


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse(threads=1)
    ensure_tables(opened)
    yield opened
    opened.close()


# Edges of bins and splits are among the values that occur; the rest is what must not occur but does.
AMOUNTS = st.one_of(st.none(), st.integers(0, 10_000).map(lambda n: n / 100), st.floats(width=64))
REGIONS = st.one_of(st.none(), st.sampled_from(["north", "south", "east", "", "west", "o'hara"]), st.text(max_size=3))
ROWS = st.lists(st.tuples(AMOUNTS, st.one_of(st.none(), st.integers(-1, 2**31 - 1)), REGIONS), min_size=1, max_size=12)


def asked(rows: list[tuple[Any, Any, Any]]) -> pa.Table:
    amounts, visits, regions = zip(*rows, strict=True)
    return pa.table(
        {
            "request_id": [f"q{index}" for index in range(len(rows))],
            "requested_at": pa.array([SPLIT + index * dt.timedelta(hours=7) for index in range(len(rows))]),
            "amount": pa.array(amounts, pa.float64()),
            "visits": pa.array(visits, pa.int32()),
            "region": pa.array(regions, pa.string()),
        }
    )


def log(warehouse: DuckDBWarehouse, kinds: Kinds, model: str, rows: list[tuple[Any, Any, Any]]) -> None:
    warehouse.load(Relation("churn_requests"), asked(rows))
    warehouse.run(f"drop table if exists wml.request_log_{model}")
    predict(warehouse, kinds.catalog, kinds.registry, kinds.catalog.node("model", model), END)


@pytest.mark.parametrize("model", KINDS)
@settings(max_examples=4)
@given(rows=ROWS)
def test_what_was_logged_is_replayed(
    warehouse: DuckDBWarehouse, kinds: Kinds, model: str, rows: list[tuple[Any, Any, Any]]
) -> None:
    log(warehouse, kinds, model, rows)
    different: list[dict[str, Any]] = []
    (done,) = replay_period(warehouse, kinds.registry, model, on_difference=different.append)
    assert not different
    assert (done.n_answers, done.n_different, done.n_flips) == (len(rows), 0, 0)
    found = replay(warehouse, kinds.registry, f"q{len(rows) - 1}", model=model, most_trees=10_000)
    assert [one.again.how for one in found.replays] == (["arrays"] if model in NO_STATEMENT else ["sql", "arrays"])
    assert all(one.is_same and one.ulps == 0 for one in found.replays)
    if model in NO_STATEMENT:
        with pytest.raises(DefinitionError, match=f"{model}@1 has no statement"):
            replay_period(warehouse, kinds.registry, model, by="sql")
    else:
        other_way = "arrays" if done.how == "sql" else "sql"
        (again,) = replay_period(warehouse, kinds.registry, model, by=other_way)
        assert (again.how, again.n_answers, again.n_different) == (other_way, len(rows), 0)
    parameters = kinds.registry.load(kinds.registry.get(model, "1")).parameters
    check_explanation(found, parameters)
    # A bit of any score is found among them.
    score = found.answer.score
    other = math.nextafter(score, -math.inf)
    warehouse.run(
        f"update wml.request_log_{model} set score = $other where request_id = $id",
        {"other": other, "id": found.answer.request_id},
    )
    replay_period(warehouse, kinds.registry, model, on_difference=different.append)
    assert [(row["request_id"], row["logged_score"], row["replayed_score"]) for row in different] == [
        (found.answer.request_id, other, score)
    ]


def check_explanation(found: Replayed, parameters: Parameters) -> None:
    """What an explanation says is made of adds up to the answer."""
    explanation, score = found.explanation, found.answer.score
    attributed = [term.attribution for term in explanation.terms if term.attribution is not None]
    if explanation.baseline is not None:
        assert len(attributed) == len(parameters.features)
        scale = max(1.0, *(abs(value) for value in attributed))
        assert explanation.baseline + math.fsum(attributed) == pytest.approx(explanation.total, abs=1e-9 * scale)
    if parameters.kept is not None:
        assert explanation.outputs["true"] == score == explanation.total
        assert [term.feature for term in explanation.terms] == ["amount", "visits", "region"]
        return
    if parameters.task == "clustering":
        check_distance(found)
        return
    if parameters.trees is not None:
        output = 0
        if parameters.task == "multiclass":
            output = parameters.classes.index(str(found.answer.prediction))
        start = parameters.trees.baselines[output] / (parameters.trees.n_trees if parameters.is_forest else 1)
        assert start + math.fsum(path.adds for path in explanation.trees) == pytest.approx(explanation.total, abs=1e-12)
        assert explanation.n_trees == parameters.trees.n_trees
    else:
        total = explanation.terms[0].adds
        assert total is not None
        for term in explanation.terms[1:]:
            assert term.adds is not None
            assert term.encoded is not None
            assert term.adds == term.encoded * (term.weight or 0.0)
            total += term.adds
        # In this order, every bit of it.
        assert same_bits(total, explanation.total)
    if parameters.task == "binary" and not parameters.is_forest:
        assert score == pytest.approx(1 / (1 + math.exp(-max(explanation.total, -709))), rel=1e-15)
    elif parameters.has_log_link:
        assert score == pytest.approx(math.exp(min(explanation.total, 709)), rel=1e-15)
    elif parameters.task != "multiclass":
        assert score == explanation.total


def check_distance(found: Replayed) -> None:
    score, prediction = found.answer.score, str(found.answer.prediction)
    assert found.explanation.of.endswith(f"centroid {prediction}")
    assert found.explanation.outputs[prediction] == score == min(found.explanation.outputs.values())
    total = found.explanation.total
    # The square of an amount beyond all others is infinite.
    if math.isfinite(score):
        is_cosine = "cosine" in found.explanation.of
        assert score**2 == pytest.approx(1 - total if is_cosine else total, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("model", ["churn_trees", "amount_trees", "region_trees"])
def test_a_path_holds_for_the_rows_of_its_leaf_and_no_others(kinds: Kinds, model: str) -> None:
    """The training rows walk down the stored nodes one by one, in plain Python."""
    version = kinds.registry.get(model, "1")
    parameters = kinds.registry.load(version).parameters
    warehouse = DuckDBWarehouse(threads=1)
    snapshot = f"select * from '{kinds.registry.snapshot_path(version)}' where wml_split = 'train'"
    query = encode_select(parameters.features, sqlglot.parse_one(snapshot, read="duckdb"))
    rows = matrix(warehouse.fetch(query.sql(dialect="duckdb")), len(parameters.features))
    nodes = {(node["tree"], node["node"]): node for node in parameters.to_tables()["nodes"].to_pylist()}
    names = [feature.name for feature in parameters.features]

    def leaf_of(tree: int, row: list[float]) -> int:
        at = 0
        while (node := nodes[tree, at])["feature"] is not None:
            value = row[node["feature"]]
            is_left = node["is_missing_left"] if math.isnan(value) else value <= node["threshold"]
            at = node["left"] if is_left else node["right"]
        return at

    leaves: dict[int, list[int]] = {}
    n_told = 0
    for row in rows[:20]:
        output = int(raw_values(parameters, row[None]).argmax()) if parameters.task == "multiclass" else 0
        for path in largest_paths(parameters, row, output, 100):
            tree = path.tree - 1
            leaves.setdefault(tree, [leaf_of(tree, other) for other in rows.tolist()])
            is_in_leaf = np.array(leaves[tree]) == leaf_of(tree, row.tolist())
            assert path.n_rows == is_in_leaf.sum()
            assert path.adds == nodes[tree, leaf_of(tree, row.tolist())]["values"][0]
            asked_for = rows[:, [names.index(condition.feature) for condition in path.conditions]]
            if any(condition.is_missing for condition in path.conditions):
                continue
            holds = np.ones(len(rows), dtype=bool)
            for condition, column in zip(path.conditions, asked_for.T, strict=True):
                holds &= column > (-math.inf if condition.above is None else condition.above)
                holds &= column <= (math.inf if condition.up_to is None else condition.up_to)
            is_known = ~np.isnan(asked_for).any(axis=1)
            assert (holds[is_known] == is_in_leaf[is_known]).all()
            n_told += 1
    assert n_told > 10


def test_conditions_in_words() -> None:
    region = FittedFeature("region", "category", "label", categories=("a", "b", "c"))
    cases = [
        (region, None, 0.5, "region is missing or was not seen in training"),
        (region, 0.5, None, "region was seen in training"),
        (region, None, 1.5, "region <= 'a' or unseen"),
        (region, 0.5, 1.5, "region = 'a'"),
        (region, 1.5, None, "region > 'a'"),
        (region, 2.5, None, "region = 'c'"),
        (region, 0.5, 2.5, "region <= 'b'"),
        (FittedFeature("flag", "boolean", "double"), None, 0.5, "flag is false"),
        (FittedFeature("flag", "boolean", "double"), 0.5, None, "flag is true"),
        (FittedFeature("x", "number", "double"), 1.25, 3.0, "1.25 < x <= 3"),
        (FittedFeature("x", "number", "standard", mean=10.0, stddev=2.0), 1.0, None, "x > 12"),
        (FittedFeature("day", "date", "double"), None, 19723.5, "day <= 2024-01-01"),
        (FittedFeature("at", "timestamp", "double"), 1704067200.0, None, "at > 2024-01-01 00:00:00"),
    ]
    for feature, above, up_to, text in cases:
        assert _told(feature, above, up_to) == text


@given(st.floats(), st.floats())
def test_doubles_are_compared_by_their_bits(one: float, other: float) -> None:
    assert same_bits(one, one)
    assert same_bits(one, other) == same_bits(other, one)
    found = ulps(one, other)
    if math.isnan(one) or math.isnan(other):
        assert found is None
        assert same_bits(one, other) == (math.isnan(one) and math.isnan(other))
    else:
        assert same_bits(one, other) == (found == 0)
        if math.isfinite(one):
            assert ulps(one, math.nextafter(one, math.inf)) == 1


NUMBERS = [0.0, -0.0, 1.0, math.nextafter(1.0, 2.0), math.nan, -math.nan, math.inf, -math.inf, 5e-324, None]


def test_the_warehouse_compares_doubles_as_we_do() -> None:
    macro = environment("duckdb").from_string("{{ same_double('l', 'r') }}").render()
    pairs = pa.table(
        {
            "l": pa.array([one for one in NUMBERS for _ in NUMBERS], pa.float64()),
            "r": pa.array([other for _ in NUMBERS for other in NUMBERS], pa.float64()),
        }
    )
    assert pairs.num_rows == len(NUMBERS) ** 2
    found = duckdb.sql(f"select l, r, {macro} as is_same from pairs").to_arrow_table().to_pylist()
    for row in found:
        left, right = row["l"], row["r"]
        expected = left is right if left is None or right is None else same_bits(left, right)
        assert row["is_same"] is expected, row
