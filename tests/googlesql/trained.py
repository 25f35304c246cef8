"""A small project with two trained versions, on both engines: the second answers from its parameters, not by SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.googlesql.both import Both, playing
from tests.tiny import edit
from tests.wml import ok

FIRST, SECOND = "2024-01-05", "2024-01-07"
_AS_SQL, _AS_ARROW = (
    "model_type = 'logistic_reg',",
    "model_type = 'logistic_reg', scoring_path = 'arrow', l2_reg = 1.0,",
)


@contextmanager
def trained(root: Path, n_events: int = 300) -> Iterator[Both]:
    """Train on DuckDB, and share the versions: what is asked is what the engines do with them."""
    with playing(Both(root, n_events)) as both:
        ok(both.duckdb, "train", "churn", "--as-of", FIRST)
        both.write(lambda folder: edit(folder, "models/churn.sql", _AS_SQL, _AS_ARROW))
        ok(both.duckdb, "train", "churn", "--as-of", SECOND, "--promote", "never")
        both.write(lambda folder: edit(folder, "models/churn.sql", _AS_ARROW, _AS_SQL))
        shutil.copytree(both.duckdb / "artifacts", both.bigquery / "artifacts", dirs_exist_ok=True)
        yield both
