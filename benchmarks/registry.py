"""A registry of ten thousand versions: ours, a folder of files, against MLflow's, a table of SQLite.

Both have one model of so many versions, each with five metrics, and an alias that every tenth version had once. What is
asked of both: the list of all versions, the version that has the alias, one version by its number, and to add one.
Loading reads and checks the files of one version; MLflow's registry holds no model, so there is nothing to compare it
with. First with the process new to the registry (its libraries imported), then again in the same process.

The versions are made cheaply: ours by copies of one folder, MLflow's by rows into its tables. MLflow runs in the Python
that is named, which must have mlflow-skinny, sqlalchemy and alembic; without a name ours is measured alone.

    python benchmarks/registry.py [versions] [python-with-mlflow]
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse_ml.registry import Alias, Registry, Version, VersionContent
from warehouse_ml.registry.folder import hash_of
from warehouse_ml.scoring import FittedFeature, Linear, Parameters

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
METRICS = {"roc_auc": 0.81, "accuracy": 0.77, "log_loss": 0.48, "precision": 0.7, "recall": 0.6}
ROUNDS = 5

MLFLOW = """
import json, sys, time, statistics, logging
logging.disable(logging.INFO)
from mlflow import MlflowClient
from sqlalchemy import create_engine, text
folder, n_versions, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
address = f"sqlite:///{folder}/registry.db"
client = MlflowClient(registry_uri=address, tracking_uri=address)
client.create_registered_model("m")
metrics = json.loads(sys.argv[4])
client.create_model_version("m", source="file:///m/1", tags={name: str(value) for name, value in metrics.items()})
engine = create_engine(address)
with engine.begin() as connection:
    row = dict(connection.execute(text("select * from model_versions")).mappings().one())
    tags = [dict(tag) for tag in connection.execute(text("select * from model_version_tags")).mappings()]
    names, tag_names = ", ".join(row), ", ".join(tags[0])
    values, tag_values = (", ".join(f":{name}" for name in found) for found in (row, tags[0]))
    numbers = range(2, n_versions + 1)
    connection.execute(text(f"insert into model_versions ({names}) values ({values})"),
                       [{**row, "version": n, "source": f"file:///m/{n}"} for n in numbers])
    connection.execute(text(f"insert into model_version_tags ({tag_names}) values ({tag_values})"),
                       [{**tag, "version": n} for n in numbers for tag in tags])
client.set_registered_model_alias("m", "champion", str(n_versions))

def listed():
    found, token = [], None
    while True:
        page = client.search_model_versions("name = 'm'", max_results=10000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found

asked = {
    "list": lambda: len(listed()) == n_versions or sys.exit("list"),
    "alias": lambda: client.get_model_version_by_alias("m", "champion"),
    "number": lambda: client.get_model_version("m", str(n_versions // 2)),
    "publish": lambda: client.create_model_version("m", source="file:///m/x"),
}
seconds = {}
for name, ask in asked.items():
    took = []
    for _ in range(rounds):
        if name == "list" and took:
            n_versions = len(listed())
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    seconds[name] = [took[0], statistics.median(took[1:])]
print(json.dumps(seconds))
"""


def content() -> VersionContent:
    """Return a small logistic regression with a hundred training rows."""
    parameters = Parameters(
        "LOGISTIC_REG",
        "binary",
        "y",
        "BOOLEAN",
        ("false", "true"),
        (FittedFeature("x", "number", "standard", 0.0, 1.0),),
        linear=Linear((0.5,), (((1.5,),),), ((0.0,),)),
    )
    rows = pa.table({"x": pa.array(range(100), pa.float64()), "wml_split": ["train"] * 100})
    split = {"method": "NO_SPLIT", "column": None, "n_train": 100, "n_eval": 0, "n_test": 0}
    facts = {"options": {}, "split": split, "threshold": 0.5}
    return VersionContent(parameters, "create model m as select 1\n", "", rows.to_reader(), facts)


def version(number: int) -> Version:
    environment = {"python": "3.13.1", "scikit-learn": "1.9.1", "seed": "0"}
    hashes = (f"{number:064x}", f"{number:x}-0")
    return Version("m", number, NOW, NOW, *hashes, "", "", None, "LOGISTIC_REG", 100, METRICS, environment)


def fill(root: Path, n_versions: int) -> None:
    """Publish one version, and copy its folder and its line of the ledger."""
    Registry(root).publish(version, content())
    manifest = json.loads((root / "m" / "1" / "manifest.json").read_text())
    (root / "ledger").mkdir()
    for number in range(1, n_versions + 1):
        folder = root / "m" / str(number)
        if number > 1:
            shutil.copytree(root / "m" / "1", folder, copy_function=os.link)
            (folder / "manifest.json").unlink()
            metrics = {**METRICS, "roc_auc": 0.6 + number / 1e5}
            manifest["version"] |= {"version": number, "definition_hash": f"{number:064x}", "metrics": metrics}
            (folder / "manifest.json").write_text(json.dumps(manifest))
        if number % 10:
            continue
        since = (NOW + dt.timedelta(hours=number)).isoformat()
        line = {"model": "m", "alias": "champion", "version": number, "since": since, "reason": "no worse"}
        name = f"{number:08d}-{hash_of(str(number).encode())[:8]}.json"
        (root / "ledger" / name).write_text(json.dumps({"format": 1, "lines": [line]}))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ours(root: Path, n_versions: int) -> dict[str, list[float]]:
    """Return seconds, first and median of the others, by what is asked."""

    def first(ask: Callable[[Registry], object]) -> float:
        registry = Registry(root)
        return timed(lambda: ask(registry))

    def check(registry: Registry) -> None:
        assert len(registry.versions()) >= n_versions

    asked: dict[str, Callable[[Registry], object]] = {
        "list": check,
        "alias": lambda registry: registry.get("m"),
        "number": lambda registry: registry.get("m", str(n_versions // 2)),
        "load": lambda registry: registry.load(registry.get("m", str(n_versions // 3))),
    }
    seconds = {}
    for name, ask in asked.items():
        registry = Registry(root)
        ask(registry)
        seconds[name] = [
            statistics.median(first(ask) for _ in range(ROUNDS)),
            statistics.median(timed(lambda: ask(registry)) for _ in range(ROUNDS)),  # noqa: B023 - used in this turn
        ]
    registry = Registry(root)
    cold = timed(lambda: registry.publish(version, content()))
    warm = statistics.median(timed(lambda: registry.publish(version, content())) for _ in range(ROUNDS))
    seconds["publish"] = [cold, warm]
    lines = [Alias("m", "champion", 1, NOW + dt.timedelta(days=9999), "asked")]
    seconds["name"] = [timed(lambda: Registry(root).write_ledger(lines)), timed(lambda: registry.write_ledger(lines))]
    return seconds


def theirs(python: str, folder: Path, n_versions: int) -> dict[str, list[float]]:
    arguments = [python, "-c", MLFLOW, str(folder), str(n_versions), str(ROUNDS), json.dumps(METRICS)]
    found: dict[str, list[float]] = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
    return found


def main() -> None:
    n_versions = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "artifacts"
        print(f"{n_versions:,} versions; made in {timed(lambda: fill(root, n_versions)):.1f} s")
        print(
            f"index and ledger made again: {timed(lambda: (Registry(root).versions(), Registry(root).ledger())):.1f} s"
        )
        mine = ours(root, n_versions)
        other: dict[str, Any] = theirs(sys.argv[2], Path(name), n_versions) if len(sys.argv) > 2 else {}
        print(f"{'':10}{'ours, first':>14}{'again':>12}{'MLflow, first':>16}{'again':>12}{'ratio':>8}")
        for asked, (cold, warm) in mine.items():
            told = f"{asked:10}{1000 * cold:11.1f} ms{1000 * warm:9.1f} ms"
            if asked in other:
                their_cold, their_warm = other[asked]
                told += f"{1000 * their_cold:13.1f} ms{1000 * their_warm:9.1f} ms{their_warm / warm:8.1f}"
            print(told)


if __name__ == "__main__":
    main()
