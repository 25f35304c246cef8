"""Trainings by BigQuery ML that meet, or are killed: no version is half there, no model is lost or written over.

What is killed here is killed by an exception that nothing cleans up after, at the places where it matters; the lock of
a process that ends is the system's own, see tests/test_making.py.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest

from tests.googlesql.both import Both
from tests.googlesql.native import AS_OF, made, native_project, train
from tests.tiny import edit
from tests.wml import wml
from warehouse_ml.errors import WarehouseError
from warehouse_ml.registry import Registry
from warehouse_ml.registry.objects import ObjectStore

PROVES = ("training/native_drop.sql",)


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Both]:
    with native_project(tmp_path, n_events=200) as both:
        yield both


def killed(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def failed(*_: Any, **__: Any) -> Any:
    raise WarehouseError("the service went away")


def left(native: Both) -> list[str]:
    """Return the models in BigQuery that a file tells of."""
    return [".".join(json.loads(path.read_text())["name"]) for path in _files(native)]


def _files(native: Both) -> list[Path]:
    return sorted((native.bigquery / "artifacts" / ".making").glob("*.json"))


def published(native: Both) -> dict[int, str]:
    """Return the model in BigQuery of each version."""
    registry = Registry(native.bigquery / "artifacts")
    found = {version.version: registry.load(version).native for version in registry.versions("churn")}
    return {number: ".".join(told.native) for number, told in found.items() if told is not None}


def interrupted(native: Both, owner: object, name: str, how: Callable[..., Any] = killed, *more: str) -> None:
    """Train until something is called that does not come back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, how)
        assert wml(native.bigquery, "train", "churn", "--as-of", AS_OF, *more).code != 0


def test_two_at_once_get_numbers_and_models_of_their_own(native: Both) -> None:
    """The second begins while BigQuery is at work for the first, and ends before it."""
    warehouse = made(native)
    inner: list[dict[str, Any]] = []
    warehouse.on_make = lambda: inner.append(train(native, "--force"))
    outer = train(native, "--force")
    assert [(row["version"], row["alias"]) for row in (*inner, outer)] == [(1, "champion"), (2, "challenger")]
    models = published(native)
    assert len(set(models.values())) == 2
    assert set(models.values()) == set(warehouse.models)
    # Made in the order in which they came back: the inner first.
    assert list(models.values()) == list(warehouse.models)
    assert warehouse.dropped == []
    assert left(native) == []
    runs = native.warehouse.fetch("select version, status from wml.training_runs order by version").to_pylist()
    assert runs == [{"version": 1, "status": "finished"}, {"version": 2, "status": "finished"}]


def test_two_projects_share_a_dataset(native: Both) -> None:
    """Another copy of the project, with versions of its own, writes over none of these."""
    train(native)
    first = published(native)[1]
    (native.bigquery / "artifacts").rename(native.bigquery / "elsewhere")
    assert train(native)["version"] == 1
    assert published(native)[1] != first
    assert set(made(native).models) == {first, published(native)[1]}


@pytest.mark.parametrize("step", ["MlWarehouse", "evaluate_native", "publish"])
def test_what_a_killed_training_left_is_dropped(native: Both, step: str) -> None:
    warehouse = made(native)
    if step == "MlWarehouse":
        # BigQuery makes the model though nobody waits for it any more.
        run = warehouse.run

        def made_and_killed(sql: str, parameters: Any = None) -> None:
            run(sql, parameters)
            if sql.startswith("create model"):
                raise KeyboardInterrupt

        interrupted(native, warehouse, "run", made_and_killed)
    elif step == "evaluate_native":
        interrupted(native, __import__("warehouse_ml.training.train", fromlist=["train"]), "evaluate_native")
    else:
        interrupted(native, Registry, "publish")
    (orphan,) = warehouse.models
    assert left(native) == [orphan]
    assert published(native) == {}
    done = wml(native.bigquery, "train", "churn", "--as-of", AS_OF)
    assert done.code == 0
    assert f"dropped `{orphan}`, if a training that was killed had left it" in done.err
    assert warehouse.dropped == [orphan]
    assert list(warehouse.models) == list(published(native).values())
    # Its job may have gone on: it is looked for until no job can be.
    assert left(native) == [orphan]
    (path,) = _files(native)
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=4)
    path.write_text(json.dumps({**json.loads(path.read_text()), "at": old.isoformat()}))
    train(native, "--force")
    assert left(native) == []
    assert len(warehouse.models) == len(published(native)) == 2


def test_what_fails_behind_the_model_takes_it_back(native: Both) -> None:
    warehouse = made(native)
    interrupted(native, __import__("warehouse_ml.training.train", fromlist=["train"]), "evaluate_native", failed)
    assert warehouse.models == {}
    assert len(warehouse.dropped) == 1
    assert left(native) == []
    runs = native.warehouse.fetch("select status, error from wml.training_runs").to_pylist()
    assert runs == [{"status": "failed", "error": "the service went away"}]
    assert train(native)["version"] == 1


def test_a_statement_that_is_refused_leaves_nothing(native: Both) -> None:
    edit(native.bigquery, "models/churn.sql", "    labels.has_churned\n", "    labels.has_churned, 1 as x, 1 as x\n")
    assert wml(native.bigquery, "train", "churn", "--as-of", AS_OF).code == 2
    assert left(native) == []
    assert made(native).dropped == []


def test_what_was_published_is_never_dropped(native: Both) -> None:
    """Killed between the version and the end of its file: the next training sees that a version names the model."""
    publish = Registry.publish

    def published_and_killed(*arguments: Any) -> Any:
        publish(*arguments)
        raise KeyboardInterrupt

    interrupted(native, Registry, "publish", published_and_killed)
    name = published(native)[1]
    assert left(native) == [name]
    row = train(native)
    # Nothing is trained again, and who serves is decided now.
    assert (row["version"], row["is_new"], row["alias"]) == (1, False, "champion")
    train(native, "--force")
    assert left(native) == []
    assert made(native).dropped == []
    assert set(published(native).values()) == set(made(native).models)


def test_a_drop_that_is_refused_is_told(native: Both) -> None:
    interrupted(native, Registry, "publish")
    (orphan,) = made(native).models
    run = made(native).run

    def refusing(sql: str, parameters: Any = None) -> None:
        if sql.startswith("-- grain: none; takes one model"):
            raise WarehouseError("Access Denied: bigquery.models.delete")
        run(sql, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made(native), "run", refusing)
        done = wml(native.bigquery, "train", "churn", "--as-of", AS_OF)
    assert done.code == 0
    assert f"`{orphan}`, which a training that was killed may have left, cannot be dropped: Access Denied" in done.err


@pytest.fixture
def store(native: Both, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The object store of the project, which is a folder that is used as one: without renames and locks."""
    folder = native.bigquery.parent / "store"
    folder.mkdir()
    monkeypatch.setattr(ObjectStore, "_where", lambda _: (pafs.LocalFileSystem(), folder.as_posix()))
    on_machine(native, "one")
    return folder


def on_machine(native: Both, name: str) -> None:
    """Let the versions be in the store, with copies in a folder of the machine's own."""
    text = (native.bigquery / "wml.toml").read_text().partition("\n[artifacts]")[0]
    (native.bigquery / "wml.toml").write_text(f'{text}\n[artifacts]\npath = "s3://bucket/x"\ncache = "{name}"\n')


def test_a_number_that_a_killed_publication_took_does_not_stop_the_next(native: Both, store: Path) -> None:
    """In an object store a claimed number stays taken; a training takes what it gets, and not what it hoped for."""
    interrupted(native, ObjectStore, "push")
    (claim,) = (store / "churn" / "1").iterdir()
    assert claim.name.startswith(".claim-")
    assert len(list((store / ".making").iterdir())) == 1
    (orphan,) = made(native).models
    assert train(native)["version"] == 2
    assert made(native).dropped == [orphan]
    # And once more, where the files are there and only the manifest is not.
    push = ObjectStore.push

    def without_manifest(self: ObjectStore, folder: Path, uri: str) -> None:
        (folder / "manifest.json").rename(folder.parent / "away")
        push(self, folder, uri)

    interrupted(native, ObjectStore, "push", without_manifest, "--force")
    assert (store / "churn" / "3" / "facts.json").exists()
    assert train(native, "--force")["version"] == 4
    assert wml(native.bigquery, "models", "list").code == 0


def test_another_machine_cleans_up_when_it_can_be_sure(native: Both, store: Path) -> None:
    interrupted(native, Registry, "publish")
    (orphan,) = made(native).models
    on_machine(native, "other")
    assert train(native)["version"] == 1
    # The first machine may still be at work.
    assert made(native).dropped == []
    (told,) = (store / ".making").iterdir()
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=4)
    told.write_text(json.dumps({**json.loads(told.read_text()), "at": old.isoformat()}))
    train(native, "--force")
    assert made(native).dropped == [orphan]
    assert list((store / ".making").iterdir()) == []
