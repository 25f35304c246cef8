"""The cache of compiled templates: the same text with it, without it, and after it was spoilt."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse_ml import template_cache
from warehouse_ml.template_cache import compiled
from warehouse_ml.templates import environment

SOURCE = "select {{ 'a b' | ident }}{% if names %}, {{ names | join(', ') }}{% endif %}"
TEXT = 'select "a b", x, y'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    environment("duckdb")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    template_cache._folder.cache_clear()
    yield tmp_path
    template_cache._folder.cache_clear()


def rendered(source: str = SOURCE) -> str:
    return compiled(environment("duckdb"), source, "duckdb").render(names=["x", "y"])


def test_a_template_renders_alike_from_the_cache(folder: Path) -> None:
    assert rendered() == TEXT
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    assert rendered() == TEXT
    assert kept[0].stat().st_mtime_ns == before


def test_another_source_of_the_same_name_is_compiled_anew(folder: Path) -> None:
    assert rendered() == TEXT
    assert rendered(SOURCE.replace("a b", "c")) == 'select "c", x, y'
    assert rendered() == TEXT


def test_a_spoilt_entry_is_compiled_anew(folder: Path) -> None:
    rendered()
    (kept,) = (path for path in folder.rglob("*") if path.is_file())
    for content in (b"", b"nonsense", kept.read_bytes()[:40]):
        kept.write_bytes(content)
        assert rendered() == TEXT


def test_without_a_folder_to_write_to_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    template_cache._folder.cache_clear()
    assert rendered() == TEXT
    template_cache._folder.cache_clear()
