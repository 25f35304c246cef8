"""``wml compile MODEL@VERSION --target``: what is shown runs there, and gives the scores of the other engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.googlesql.both import Both, _plain, playing, same_rows
from tests.kinds import KINDS
from tests.tiny import edit, write
from tests.wml import ok
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

SHOWN = ("churn", "churn_trees", "amount_linear", "region_trees", "angles", "axes")
WITHOUT_A_STATEMENT = {"churn_wood": "leaves", "churn_near": "KNeighborsClassifier"}
AS_OF = "2024-01-07"
_TARGETS = "[targets.{first}]\n{first_says}\n[targets.{second}]\n{second_says}\n"
_SAYS = {"duckdb": 'path = "warehouse.duckdb"\nthreads = 2\n', "bigquery": ""}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The same models, trained on one engine in each folder; each folder knows both targets."""
    with playing(Both(tmp_path_factory.mktemp("compile"), 200)) as both:
        models = (*SHOWN[1:], *WITHOUT_A_STATEMENT)
        for folder, first, second in ((both.duckdb, "duckdb", "bigquery"), (both.bigquery, "bigquery", "duckdb")):
            told = _TARGETS.format(first=first, first_says=_SAYS[first], second=second, second_says=_SAYS[second])
            edit(folder, "wml.toml", f"[targets.{first}]\n{_SAYS[first]}", told)
            for name in models:
                config = "{{ config(requests='churn_requests') }}\n"
                write(folder, f"models/{name}.sql", config + KINDS[name].replace("{name}", name))
        for model in ("churn", *models):
            ok(both.duckdb, "train", model, "--as-of", AS_OF)
        for model in ("churn", "amount_linear"):
            ok(both.bigquery, "train", model, "--as-of", AS_OF)
        yield both


def scores(both: Both, ours: str, theirs: str) -> int:
    """Run what is shown for each engine over the same requests; return how many there are."""
    requests = both.warehouse.fetch("select request_id, requested_at, amount, visits, region from churn_requests")
    warehouse = DuckDBWarehouse(threads=1)
    try:
        for one in (warehouse, both.warehouse):
            one.load(Relation("wml_input"), requests)
        found = [_plain(warehouse.fetch(ours)), _plain(both.warehouse.fetch(theirs))]
    finally:
        warehouse.close()
    same_rows(*found)
    return len(found[0])


@pytest.mark.parametrize("model", SHOWN)
def test_a_version_of_duckdb_is_shown_as_bigquery_runs_it(both: Both, model: str) -> None:
    stored = (both.duckdb / "artifacts" / model / "1" / "scoring.sql").read_text(encoding="utf-8")
    ours, theirs = (ok(both.duckdb, "compile", f"{model}@1", "--target", name).out for name in ("duckdb", "bigquery"))
    assert ours == stored == ok(both.duckdb, "compile", f"{model}@champion").out
    assert ("`" in theirs, '"' in theirs) == (True, False)
    assert scores(both, ours, theirs) > 100


@pytest.mark.parametrize("model", ["churn", "amount_linear"])
def test_and_a_version_of_bigquery_as_duckdb_does(both: Both, model: str) -> None:
    theirs = ok(both.bigquery, "compile", f"{model}@1").out
    assert theirs == ok(both.bigquery, "compile", f"{model}@1", "--target", "bigquery").out
    ours = ok(both.bigquery, "compile", f"{model}@1", "--target", "duckdb").out
    assert "`" in theirs
    assert "`" not in ours
    assert scores(both, ours, theirs) > 100


@pytest.mark.parametrize("model", WITHOUT_A_STATEMENT)
def test_what_no_statement_scores_says_so_for_each(both: Both, model: str) -> None:
    for target in ("duckdb", "bigquery"):
        (line,) = ok(both.duckdb, "compile", f"{model}@1", "--target", target).out.splitlines()
        assert line.startswith("-- ")
        assert WITHOUT_A_STATEMENT[model] in line


def test_neither_needs_the_warehouse(both: Both, tmp_path: Path) -> None:
    (both.duckdb / "warehouse.duckdb").rename(tmp_path / "warehouse.duckdb")
    try:
        assert "`amount`" in ok(both.duckdb, "compile", "churn@1", "--target", "bigquery").out
    finally:
        (tmp_path / "warehouse.duckdb").rename(both.duckdb / "warehouse.duckdb")
