"""Models made of a few made-up rows and calls upon them; and a project with models of every kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.tiny import write, write_tiny
from tests.wml import ok
from warehouse_ml.functions.call import Call, Context, Input, ModelName
from warehouse_ml.options import resolve_options
from warehouse_ml.registry import Alias, Registry, StoredVersion, Version, VersionContent
from warehouse_ml.session import open_session
from warehouse_ml.tables import ensure_tables
from warehouse_ml.training.fit import fit
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

AS_OF = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
PLACE = "q.sql:1"


@dataclass
class Lab:
    """An empty warehouse with models in a registry, and a way to call a function."""

    context: Context

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return self.context.warehouse

    def load(self, name: str, columns: dict[str, Any] | pa.Table) -> None:
        self.warehouse.load(Relation(name), columns if isinstance(columns, pa.Table) else pa.table(columns))

    def text(self, function: Callable, *inputs: str | Input, model: str | None = None, **settings: Any) -> str:
        name = ModelName(*model.split("@")) if model else None
        read = tuple(sql if isinstance(sql, Input) else Input(sql=sql, alone=sql) for sql in inputs)
        call = Call(function.__name__, PLACE, model=name, inputs=read, settings=settings)
        return function(call, self.context)

    def call(self, function: Callable, *inputs: str, model: str | None = None, **settings: Any) -> pa.Table:
        return self.warehouse.fetch(self.text(function, *inputs, model=model, **settings))

    def columns(self, function: Callable, *inputs: str, model: str | None = None, **settings: Any) -> dict[str, str]:
        return self.warehouse.columns(self.text(function, *inputs, model=model, **settings))

    def as_view(self) -> Lab:
        return Lab(replace(self.context, is_view=True))

    def train(
        self,
        name: str,
        rows: pa.Table,
        model_type: str,
        *,
        label: str = "y",
        split: list[str] | None = None,
        **options: Any,
    ) -> StoredVersion:
        """Fit a model on rows and publish it as the champion."""
        n = rows.num_rows
        parts = split or ["train"] * n
        snapshot = rows.append_column("wml_split", pa.array(parts)).append_column(
            "wml_row_hash", pa.array(np.arange(n))
        )
        relation = Relation("rows_of_" + name)
        self.warehouse.load(relation, snapshot)
        columns = self.warehouse.columns(f"select * from {relation}")
        features = infer_features(columns, exclude=[label, "z", "wml_split", "wml_row_hash"])
        fitted = fit_preprocessing(self.warehouse, relation, features, family_of(model_type), split_column="wml_split")
        result = fit(
            self.warehouse,
            relation,
            fitted,
            model_type=model_type,
            label=label,
            weight_column=None,
            options=resolve_options(model_type, options),
            split_column="wml_split",
            order_by="wml_row_hash",
            place="m.sql",
        )
        sides = {"n_train": "train", "n_eval": "eval", "n_test": "test"}
        facts = {"split": {name: parts.count(side) for name, side in sides.items()}, "threshold": 0.5, "options": {}}
        content = VersionContent(result.parameters, "-- made in a test\n", "-- none\n", snapshot.to_reader(), facts)
        version = self.context.registry.publish(
            lambda number: Version(name, number, AS_OF, AS_OF, "d", "r", "", "", None, model_type, n, {}, {}), content
        )
        self.context.registry.write_ledger([Alias(name, "champion", version.version, AS_OF, "test")])
        return self.context.registry.load(version)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    warehouse = DuckDBWarehouse(threads=2)
    ensure_tables(warehouse)
    yield Lab(Context(warehouse, Registry(tmp_path / "artifacts"), AS_OF))
    warehouse.close()


def people(n: int = 400, seed: int = 0) -> dict[str, Any]:
    """Return features of each kind, with NULLs, and ``z``, which is no feature and says what the label is."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return {
        "x": pa.array(x, mask=rng.random(n) < 0.05),
        "score": rng.integers(0, 9, n),
        "group": pa.array(np.array(["a", "b", "c"])[rng.integers(0, 3, n)], mask=rng.random(n) < 0.05),
        "z": x + rng.normal(size=n),
    }


TREES = """\
{{ config(requests='churn_requests', threshold=0.4) }}
create or replace model churn_trees
options (model_type = 'boosted_tree_classifier', input_label_cols = ['has_churned'], max_iterations = 5) as
select requests.amount, requests.visits, requests.region, labels.has_churned
from {{ ref('churn_requests') }} as requests
inner join {{ ref('churn_labels') }} as labels on requests.request_id = labels.request_id
"""
AMOUNTS = """\
{{ config(requests='churn_requests') }}
create or replace model amounts
options (model_type = 'linear_reg', input_label_cols = ['amount']) as
select visits, region, amount from {{ ref('churn_requests') }}
"""
REGIONS = """\
{{ config(requests='churn_requests') }}
create or replace model regions
options (model_type = 'random_forest_classifier', input_label_cols = ['region'], num_parallel_tree = 3,
         max_tree_depth = 4) as
select visits, amount, region from {{ ref('churn_requests') }} where region is not null
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a logistic regression, boosted trees, a linear regression and a multiclass forest, trained."""
    root = write_tiny(tmp_path_factory.mktemp("functions") / "tiny")
    write(root, "models/churn_trees.sql", TREES)
    write(root, "models/amounts.sql", AMOUNTS)
    write(root, "models/regions.sql", REGIONS)
    for model in ("churn", "churn_trees", "amounts", "regions"):
        ok(root, "train", model, "--as-of", "2024-02-05")
    ok(root, "build", "--as-of", "2024-03-04")
    return root


@pytest.fixture
def context(project: Path) -> Iterator[Context]:
    """What answers calls in the project."""
    with open_session(project) as session:
        yield Context(session.warehouse, session.registry, AS_OF)
