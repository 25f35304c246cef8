"""The house itself: style, types, layers, module sizes, start-up, and what must not stand in the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "warehouse_ml").rglob("*.py"))


def _run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_python_is_formatted() -> None:
    _run("ruff", "format", "--check", ".")


def test_python_is_linted() -> None:
    _run("ruff", "check", ".")


def test_types_are_strict() -> None:
    _run("mypy")


def test_a_step_imports_only_what_stands_below_it() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sql_is_linted() -> None:
    _run("sqlfluff", "lint", "--disable-progress-bar", "sql", "models")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom warehouse_ml.cli import cli\n"
        "try:\n    cli.main(['--help'], standalone_mode=False)\nexcept SystemExit:\n    pass\n"
        "heavy = {'duckdb', 'sqlglot', 'pandas', 'numpy', 'sklearn', 'pyarrow', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_sql_file_says_its_grain_unit_and_null_rule() -> None:
    missing = []
    for path in [*(ROOT / "sql").rglob("*.sql"), *(ROOT / "models").rglob("*.sql")]:
        text = path.read_text(encoding="utf-8")
        missing += [
            f"{path.relative_to(ROOT)}: {word}" for word in ("-- grain:", "-- unit:", "-- null:") if word not in text
        ]
    assert not missing


def test_no_sql_is_written_in_python_strings() -> None:
    """SQL lives in .sql files; the adapter's own few statements and the parser's placeholders are not the rule."""
    verbs = ("select ", "insert into ", "create or replace ", "delete from ", "update ")
    allowed = {"warehouse_ml/warehouses/duckdb.py"}
    found = []
    for path in MODULES:
        place = path.relative_to(ROOT).as_posix()
        if place in allowed:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            stripped = line.strip().lower()
            if stripped.startswith(tuple(f"{quote}{verb}" for quote in ('"', 'f"', '"""') for verb in verbs)):
                found.append(f"{place}:{number}")
    assert not found
