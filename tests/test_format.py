"""Versions of earlier releases answer as they did, later ones are refused, and the format's page names all of it."""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.format_fixture import FIXTURES, MODELS, answers, write
from tests.kinds import write_kinds
from tests.tiny import edit
from tests.wml import ok, wml
from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry import Registry
from warehouse_ml.registry.aliases import LEDGER_SCHEMA
from warehouse_ml.registry.folder import hash_of
from warehouse_ml.registry.version import FORMAT, INDEX_SCHEMA, MANIFEST
from warehouse_ml.scoring import storage

PAGE = (Path(__file__).parent.parent / "docs" / "format.md").read_text(encoding="utf-8")
WRITTEN = sorted(FIXTURES.glob("version_format_*"))


def bits(row: dict[str, object]) -> tuple[object, ...]:
    score = row["score"]
    assert isinstance(score, float)
    return row["model"], row["request_id"], struct.pack("<d", score), row["prediction"]


def test_every_format_has_its_fixture() -> None:
    assert [path.name for path in WRITTEN] == [f"version_format_{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("way", ["sql", "arrays"])
@pytest.mark.parametrize("folder", WRITTEN, ids=lambda path: path.name)
def test_a_version_of_an_older_release_answers_as_it_did(folder: Path, way: str) -> None:
    expected = pq.read_table(folder / "expected.parquet").to_pylist()
    asked = pq.read_table(folder / "requests.parquet")
    assert len(expected) == len(MODELS) * asked.num_rows
    found = answers(Registry(folder / "artifacts"), asked, way)
    assert [bits(row) for row in found] == [bits(row) for row in expected]
    # It would be no proof if all were alike.
    assert len({row["score"] for row in expected}) > asked.num_rows


def test_the_index_of_an_older_release_is_what_its_folders_say(tmp_path: Path) -> None:
    for folder in WRITTEN:
        root = Path(shutil.copytree(folder / "artifacts", tmp_path / folder.name))
        before = Registry(root).versions()
        (root / "index.parquet").unlink()
        assert Registry(root).versions() == before
        assert [line.alias for line in Registry(root).ledger()] == ["champion"] * len(MODELS)


def test_a_fixture_is_written_once() -> None:
    with pytest.raises(FileExistsError, match="stays as it is"):
        write(WRITTEN[0])


def test_a_later_folder_format_is_refused(tmp_path: Path) -> None:
    root = Path(shutil.copytree(WRITTEN[0] / "artifacts", tmp_path / "artifacts"))
    path = root / "churn_trees" / "1" / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "format": FORMAT + 1, "sealed_by": "someone"}), encoding="utf-8")
    registry = Registry(root)
    with pytest.raises(ArtifactError) as caught:
        registry.load(registry.get("churn_trees", "1"))
    assert f"format {FORMAT + 1} is newer than this release reads ({FORMAT})" in caught.value.what
    assert caught.value.hint == "upgrade: pip install --upgrade warehouse-ml"
    assert caught.value.exit_code == 3
    # The other versions are not held up by it.
    assert registry.load(registry.get("amount_linear", "1")).version.version == 1


def test_later_parameters_are_refused(tmp_path: Path) -> None:
    root = Path(shutil.copytree(WRITTEN[0] / "artifacts", tmp_path / "artifacts"))
    folder = root / "amount_linear" / "1"
    path = folder / "parameters" / "model.parquet"
    table = pq.read_table(path)
    later = storage.FORMAT_VERSION + 1
    table = table.set_column(0, table.schema.field("format_version"), pa.array([later], pa.int32()))
    pq.write_table(table, path)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"]["parameters/model.parquet"]["sha256"] = hash_of(path.read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    (root / "index.parquet").unlink()
    registry = Registry(root)
    with pytest.raises(ArtifactError, match=f"have the format {later}, which is newer than this release reads"):
        registry.load(registry.get("amount_linear", "1"))


# The page


def section(title: str) -> str:
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/format.md has no section {title}"
    return found[1]


def named(title: str) -> list[list[str]]:
    """The cells of each row of a section's tables whose first cell is a name."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", section(title), re.MULTILINE)
    return [[name, *(cell.strip() for cell in rest.split(" | "))] for name, rest in rows]


def test_the_page_has_the_numbers() -> None:
    assert f"## Folder format {FORMAT}\n" in PAGE
    assert f"## Parameters format {storage.FORMAT_VERSION}\n" in PAGE
    now = re.findall(r"\| (\d+) \|$", PAGE, re.MULTILINE)[:2]
    assert now == [str(FORMAT), str(storage.FORMAT_VERSION)]


@pytest.mark.parametrize("table", storage._schemas())
def test_every_column_of_the_parameters_is_on_the_page(table: str) -> None:
    types = {"list<element: string>": "list of string", "list<element: double>": "list of double"}
    types |= {"list<item: string>": "list of string", "list<item: double>": "list of double"}
    schema = storage._schemas()[table]
    wanted = [[field.name, types.get(str(field.type), str(field.type))] for field in schema]
    assert [row[:2] for row in named(f"`{table}`")] == wanted


def test_the_page_names_no_table_that_is_not_there() -> None:
    after = PAGE.split("## Parameters format")[1]
    assert re.findall(r"^### `(\w+)`", after, re.MULTILINE) == [
        name for name in re.findall(r"^### `(\w+)`", after, re.MULTILINE) if name in storage._schemas()
    ]


def test_every_key_of_the_manifest_is_on_the_page() -> None:
    wanted = {f"version.{name}" for name in INDEX_SCHEMA.names if name != "artifact_hash"} | {"format", "files"}
    assert {row[0] for row in named("`manifest.json`")} == wanted
    for path in FIXTURES.glob(f"version_format_{FORMAT}/artifacts/*/1/{MANIFEST}"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        keys = (set(manifest) - {"version"}) | {f"version.{name}" for name in manifest["version"]}
        assert keys == wanted
        assert {key for file in manifest["files"].values() for key in file} == {"sha256", "bytes"}
    assert all(f"`{name}`" in section(f"Folder format {FORMAT}") for name in LEDGER_SCHEMA.names)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a project with the kinds of models that write files and facts of their own."""
    names = ("churn_transform", "groups")
    root = write_kinds(tmp_path_factory.mktemp("format") / "tiny", names)
    tuned = "category_encoding_method = 'dummy_encoding', num_trials = 2, l2_reg = hparam_range(0, 1)"
    edit(root, "models/churn.sql", "model_type = 'logistic_reg'", f"model_type = 'logistic_reg', {tuned}")
    for name in ("churn", *names):
        ok(root, "train", name, "--as-of", "2024-02-05")
    return root / "artifacts"


def test_every_file_that_is_written_is_on_the_page(store: Path) -> None:
    page = {row[0] for row in named(f"Folder format {FORMAT}")}
    page |= {f"parameters/{name}.parquet" for name in storage._schemas()}
    found = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    in_version = {name.split("/", 2)[2] if re.match(r"\w+/\d+/", name) else name for name in found}
    in_version = {re.sub(r"^ledger/\d{8}-[0-9a-f]{8}\.json$", "ledger/*.json", name) for name in in_version}
    assert in_version <= page, f"docs/format.md does not name {in_version - page}"
    assert {"index.parquet", "aliases.parquet", "manifest.json", "parameters/transform.parquet"} <= in_version


def test_every_fact_that_is_written_is_on_the_page(store: Path) -> None:
    known = {row[0]: row[1] for row in named("`facts.json`")}
    for path in store.glob("*/1/facts.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        assert set(facts) <= set(known), f"{path.parent.parent.name}: {set(facts) - set(known)}"
        for key in ("split", "parity", "tuning"):
            assert all(f"`{inner}`" in known[key] for inner in facts.get(key, {}))
    assert "tuning" in json.loads((store / "churn" / "1" / "facts.json").read_text(encoding="utf-8"))


def test_a_refusal_reads_as_the_page_shows_it(store: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(store.parent, tmp_path / "tiny"))
    path = root / "artifacts" / "churn" / "1" / MANIFEST
    text = path.read_text(encoding="utf-8").replace('"format": 1', '"format": 2')
    path.write_text(text, encoding="utf-8")
    done = wml(root, "models", "show", "churn")
    assert done.code == 3
    shown = re.search(r"```text\n(error: .*?)```", PAGE, re.DOTALL)
    assert shown
    assert done.err.replace(f"{root}/", "").replace("/churn/", "/late/") == shown[1]
