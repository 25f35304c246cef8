from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny import write, write_tiny
from tests.wml import ok
from warehouse_ml.functions import Context
from warehouse_ml.session import open_session

AS_OF = dt.datetime(2024, 3, 4, tzinfo=dt.UTC)

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
