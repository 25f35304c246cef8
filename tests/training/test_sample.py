"""max_training_rows: of more rows a sample is trained on, the same one each time, and the version says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny import edit, write_tiny
from tests.wml import ok, rows, wml

AS_OF = "2024-02-20"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    root = write_tiny(tmp_path / "tiny")
    edit(root, "wml.toml", "threads = 2", "threads = 2\nmax_training_rows = 400")
    return root


def test_a_version_says_of_how_many_rows_it_saw_a_sample(tiny: Path) -> None:
    done = ok(tiny, "train", "churn", "--as-of", AS_OF)
    facts = json.loads((tiny / "artifacts/churn/1/facts.json").read_text())
    n_rows = sum(facts["split"][side] for side in ("n_train", "n_eval", "n_test"))
    n_asked = facts["sample"]["n_asked"]
    told = f"trained on a sample of {n_rows:,} of {n_asked:,} rows, chosen by their hash: max_training_rows is 400"
    assert 250 < n_rows <= 400 < n_asked
    assert facts["sample"] == {"max_training_rows": 400, "n_asked": n_asked}
    assert told in facts["warnings"]
    assert told in " ".join((done.out + done.err).split())
    (run,) = rows(tiny, "select n_rows, options from wml.training_runs")
    assert run["n_rows"] == n_rows
    assert json.loads(run["options"])["MAX_TRAINING_ROWS"] == 400
    # The same rows, so the same version; another bound, another sample.
    assert "already" in ok(tiny, "train", "churn", "--as-of", AS_OF).out
    edit(tiny, "wml.toml", "max_training_rows = 400", "max_training_rows = 500")
    ok(tiny, "train", "churn", "--as-of", AS_OF)
    assert len(rows(tiny, "select version from wml.model_versions")) == 2


def test_rows_that_are_not_kept_are_the_same_sample_when_they_are_read_again(tiny: Path) -> None:
    edit(tiny, "wml.toml", "[sources]", "[artifacts]\nmax_snapshot_rows = 0\n\n[sources]")
    ok(tiny, "train", "churn", "--as-of", AS_OF)
    # The bound of now does not matter.
    edit(tiny, "wml.toml", "max_training_rows = 400", "max_training_rows = 100")
    assert ok(tiny, "models", "rows", "churn@1").code == 0


@pytest.mark.parametrize("written", ["0", "99", "true", "1.5", "'many'"])
def test_a_bound_is_a_number_of_rows(tiny: Path, written: str) -> None:
    edit(tiny, "wml.toml", "max_training_rows = 400", f"max_training_rows = {written}")
    done = wml(tiny, "train", "churn", "--as-of", AS_OF)
    assert done.code == 2
    assert "is not a number of rows of at least 100" in done.err


def test_fewer_rows_are_all_trained_on(tmp_path: Path) -> None:
    roots = [write_tiny(tmp_path / name) for name in ("bounded", "free")]
    edit(roots[0], "wml.toml", "threads = 2", "threads = 2\nmax_training_rows = 100000")
    for root in roots:
        ok(root, "train", "churn", "--as-of", AS_OF)
    facts = [json.loads((root / "artifacts/churn/1/facts.json").read_text()) for root in roots]
    assert facts[0] == facts[1]
    assert "sample" not in facts[0]
