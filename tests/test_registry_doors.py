"""Folders that a stranger made: their hashes are right, and still nothing in them runs or leads elsewhere."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tiny import write, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry import Registry
from warehouse_ml.registry.folder import hash_of

CLOCK = ("--as-of", "2024-02-05")
LATER = ("--as-of", "2024-02-12")
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("doors"))
    ok(root, "train", "churn", *CLOCK)
    ok(root, "build", *LATER)
    return root


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "tiny")


def forge(root: Path, change: Callable[[Path], None], manifest: Callable[[Manifest], None] = lambda _: None) -> None:
    """Change the only version's folder, and make all of its hashes right again."""
    folder = root / "artifacts" / "churn" / "1"
    change(folder)
    told = json.loads((folder / "manifest.json").read_text())
    for name in list(told["files"]):
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            told["files"][name] = {"sha256": hash_of(content), "bytes": len(content)}
    manifest(told)
    (folder / "manifest.json").write_text(json.dumps(told))
    (root / "artifacts" / "index.parquet").unlink()


def refused(root: Path, told: str) -> None:
    """Predict, and see the folder refused as an error with a place, before any request was answered."""
    done = wml(root, "predict", "churn", *LATER)
    assert done.code == 3, done.out + done.err
    assert told in done.err, done.err
    assert "Traceback" not in done.err
    assert not (root / "loot").exists()


SCORING = {
    "select 1 as request_id; create table loot as select 1": "is not one query",
    "create table loot as select 1": "is not one query",
    "copy (select 1) to 'loot'": "is not one query",
    "select request_id, 0.5 as score, 'true' as prediction from read_csv('/etc/passwd')": "not wml_input alone",
    "select request_id, 0.5 as score from '/etc/passwd'": "not wml_input alone",
    "select request_id, (select version from wml.model_versions) as score from wml_input": "not wml_input alone",
    "select request_id, getenv('HOME') as prediction from wml_input": "changes from one moment",
    "select request_id, current_setting('home_directory') as prediction from wml_input": "changes from one moment",
    "select request_id from wml_input union all select 'x'": "is not one query",
    "select request_id from other.wml_input": "not wml_input alone",
    "select request_id from wml_input, wml_input as other": "holds what it may not hold",
    "{{ env_var('HOME') }}": "is not one query",
    "": "is not one query",
    "select " + "(" * 5000 + "1" + ")" * 5000: "cannot be read as SQL",
}


@pytest.mark.parametrize("sql", SCORING, ids=lambda sql: sql[:40])
def test_scoring_sql_is_one_query_over_the_requests(project: Path, sql: str) -> None:
    forge(project, lambda folder: write(folder, "scoring.sql", sql))
    refused(project, SCORING[sql])
    assert rows(project, "select count(*) as n from information_schema.tables where table_name = 'loot'")[0]["n"] == 0


def test_scoring_sql_of_an_earlier_release_still_runs(project: Path) -> None:
    text = (project / "artifacts" / "churn" / "1" / "scoring.sql").read_text()
    forge(project, lambda folder: write(folder, "scoring.sql", text.replace("select", "SELECT").replace("\n", " \n")))
    forged = (project / "artifacts" / "churn" / "1" / "scoring.sql").read_text()
    assert forged != text
    ok(project, "predict", "churn", *LATER)
    assert rows(project, "select count(*) as n from wml.request_log_churn")[0]["n"] > 0


def test_jinja_in_a_stored_definition_is_text(project: Path) -> None:
    mark = "{{ cycler.__init__.__globals__.os.abort() }} {% for x in range(10 ** 9) %}{% endfor %}"
    forge(project, lambda folder: write(folder, "definition.sql", f"-- {mark}\nselect 1\n"))
    assert mark in Registry(project / "artifacts").load(Registry(project / "artifacts").versions()[0]).definition
    ok(project, "predict", "churn", *LATER)
    assert ok(project, "models", "show", "churn").code == 0


def _names(file: str, told: object = None) -> Callable[[Manifest], None]:
    entry = {"sha256": "0" * 64, "bytes": 1} if told is None else told
    return lambda manifest: manifest["files"].update({file: entry})


def _row(**values: object) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["version"].update(values)


MANIFESTS: dict[str, tuple[Callable[[Manifest], None], str]] = {
    "path": (_names("../../../../etc/passwd"), "names a file that no version has"),
    "absolute": (_names("/etc/passwd"), "names a file that no version has"),
    "inside": (_names("parameters/../../../x.parquet"), "names a file that no version has"),
    "other": (_names("run.py"), "names a file that no version has"),
    "no hash": (_names("scoring.sql", "x"), 'has no hash of "scoring.sql"'),
    "another model": (_row(model="other"), "the manifest is of other@1"),
    "another number": (_row(version=2), "the manifest is of churn@2"),
    "text for number": (_row(n_rows="many"), "does not tell of a version"),
    "no time": (_row(created_at="yesterday"), "does not tell of a version"),
    "metrics": (_row(metrics=[1]), "does not tell of a version"),
    "deep": (_row(metrics="[" * 100_000), "does not tell of a version"),
    "nan": (_row(metrics={"roc_auc": float("nan")}), "cannot be read as JSON: it holds NaN"),
    "format": (lambda manifest: manifest.update(format="1; drop"), "has no format number"),
    "no files": (lambda manifest: manifest.pop("files"), "lacks the version or its files"),
    "missing": (lambda manifest: manifest["files"].pop("scoring.sql"), "does not name scoring.sql"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_read_with_suspicion(project: Path, name: str) -> None:
    change, told = MANIFESTS[name]
    forge(project, lambda _: None, change)
    refused(project, told)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"[" * 200_000, "nested too deeply"), (b"[]", "not an object"), (b"\xff\xfe", "cannot be read as JSON")],
)
def test_a_manifest_that_is_no_object(project: Path, content: bytes, told: str) -> None:
    (project / "artifacts" / "churn" / "1" / "manifest.json").write_bytes(content)
    (project / "artifacts" / "index.parquet").unlink()
    refused(project, told)


def test_a_huge_file_is_not_read(project: Path) -> None:
    with (project / "artifacts" / "churn" / "1" / "manifest.json").open("wb") as file:
        file.truncate(2**34)
    (project / "artifacts" / "index.parquet").unlink()
    refused(project, "larger than such a file can be")


@pytest.mark.parametrize("name", ["scoring.sql", "parameters/model.parquet", "manifest.json", "snapshot.parquet"])
def test_a_link_in_the_folder_is_not_followed(project: Path, tmp_path: Path, name: str) -> None:
    folder = project / "artifacts" / "churn" / "1"
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    (project / "artifacts" / "index.parquet").unlink()
    registry = Registry(project / "artifacts")
    with pytest.raises(ArtifactError, match="is a link"):
        registry.snapshot_path(registry.versions()[0]) if name == "snapshot.parquet" else registry.load(
            registry.versions()[0]
        )


def test_a_folder_that_is_a_link_is_no_version(project: Path, tmp_path: Path) -> None:
    shutil.move(project / "artifacts" / "churn" / "1", tmp_path / "1")
    (project / "artifacts" / "churn" / "1").symlink_to(tmp_path / "1")
    known = Registry(project / "artifacts")
    with pytest.raises(ArtifactError, match="is a link"):
        known.load(known.versions()[0])
    (project / "artifacts" / "index.parquet").unlink()
    assert Registry(project / "artifacts").versions() == []
    folder = project / "artifacts" / "churn"
    (folder / "1").unlink()
    shutil.move(tmp_path / "1", folder / "1")
    shutil.move(folder / "1" / "parameters", tmp_path / "parameters")
    (folder / "1" / "parameters").symlink_to(tmp_path / "parameters")
    with pytest.raises(ArtifactError, match="is a link"):
        Registry(project / "artifacts").load(Registry(project / "artifacts").versions()[0])


def test_a_pipe_is_not_waited_for(project: Path) -> None:
    path = project / "artifacts" / "churn" / "1" / "scoring.sql"
    path.unlink()
    os.mkfifo(path)
    refused(project, "is not a regular file")


@pytest.mark.parametrize("name", ["parameters/model.parquet", "facts.json", "scoring.sql"])
def test_a_pickle_in_place_of_a_file(project: Path, name: str) -> None:
    class Loot:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {project / 'loot'}",)

    forge(project, lambda folder: (folder / name).write_bytes(pickle.dumps(Loot())) and None)
    refused(project, "")


def _facts(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        facts = json.loads((folder / "facts.json").read_text())
        (folder / "facts.json").write_text(json.dumps({**facts, **values}))

    return change


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"threshold": "0.5 or 1"}, '"threshold" is missing'),
        ({"threshold": 7}, '"threshold" is missing'),
        ({"threshold": float("inf")}, "it holds Infinity"),
        ({"split": {"n_train": "1; drop table x"}}, '"split" is missing'),
        ({"options": {"SCORING_PATH": "SHELL"}}, '"options" is missing'),
    ],
)
def test_facts_are_of_the_types_that_are_asked_for(project: Path, values: dict[str, object], told: str) -> None:
    forge(project, _facts(**values))
    refused(project, told)


def test_a_table_larger_than_a_model_is_not_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse_ml.registry.checked._MOST_TABLE_ROWS", 2_000_000)
    sink = io.BytesIO()
    pq.write_table(pa.table({"category": pa.array([0] * 3_000_000).cast(pa.int32())}), sink)
    assert len(sink.getvalue()) < 100_000
    forge(project, lambda folder: (folder / "parameters" / "categories.parquet").write_bytes(sink.getvalue()) and None)
    refused(project, "larger than a model's: 3,000,000 rows")


EVIL = "x'); drop table loot; -- \"); {{ 7 * 7 }} é\N{RIGHT-TO-LEFT OVERRIDE}"


def test_names_and_classes_that_look_like_sql_are_names(tmp_path: Path) -> None:
    root = write_tiny(tmp_path)
    column = EVIL.replace('"', '""').replace("{{", "{{ '{{' }}").replace("7 * 7 }}", "7 * 7 }}")
    name = f'"{column}"'
    text = (root / "sql/requests/churn_requests.sql").read_text()
    write(root, "sql/requests/churn_requests.sql", text.replace("events.amount,", f"events.amount as {name},"))
    text = (root / "models/churn.sql").read_text().replace("requests.amount,", f"requests.{name},")
    label = EVIL.replace("'", "''").replace("{{", "{{ '{{' }}")
    text = text.replace(
        "labels.has_churned\n", f"case when labels.has_churned then '{label}' else 'no' end as has_churned\n"
    )
    write(root, "models/churn.sql", text)
    ok(root, "train", "churn", *CLOCK)
    ok(root, "build", *LATER)
    ok(root, "predict", "churn", *LATER)
    found = rows(root, "select distinct prediction from wml.request_log_churn order by 1")
    assert {row["prediction"] for row in found} <= {"no", EVIL}
    assert len(found) == 2
    stored = Registry(root / "artifacts").load(Registry(root / "artifacts").versions()[0])
    assert stored.parameters.features[0].name == EVIL


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", ".hidden", "a/b", "x" * 300, "a\nb", ""])  # noqa: S108
def test_a_model_that_is_called_like_a_path(tmp_path: Path, name: str) -> None:
    registry = Registry(tmp_path / "artifacts")
    version = type("Draft", (), {"model": name})()
    with pytest.raises(ArtifactError, match="a model cannot be called"):
        registry.publish(lambda _: version, None)  # type: ignore[arg-type, return-value]
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["artifacts", ".lock"])


def test_an_index_that_points_elsewhere_is_made_again(project: Path) -> None:
    path = project / "artifacts" / "index.parquet"
    table = pq.read_table(path)
    at = table.schema.get_field_index("artifact_uri")
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(["../../elsewhere/1"])), path)
    assert [version.artifact_uri for version in Registry(project / "artifacts").versions()] == ["churn/1"]


@pytest.mark.parametrize(
    "content", [b"{}", b'{"format": 1, "lines": [{"model": 1}]}', b'{"format": 1, "lines": 3}', b"torn", b"[" * 100_000]
)
def test_a_file_of_the_ledger_that_is_no_ledger(project: Path, content: bytes) -> None:
    (project / "artifacts" / "ledger" / "00000009-00000000.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"00000009|lines of the ledger|JSON"):
        Registry(project / "artifacts").ledger()
    done = wml(project, "models", "list")
    assert (done.code, "Traceback" in done.err) == (3, False)


def test_a_ledger_of_a_later_format_is_refused(project: Path) -> None:
    later = {"format": 2, "lines": []}
    (project / "artifacts" / "ledger" / "00000009-00000000.json").write_text(json.dumps(later))
    with pytest.raises(ArtifactError, match="format 2 is newer"):
        Registry(project / "artifacts").ledger()
