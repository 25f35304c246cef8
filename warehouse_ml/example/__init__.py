"""The example that ships with the package: the flights that left New York in 2013."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from warehouse_ml.errors import ProjectError

__all__ = ["write_flights", "write_starter"]

_HERE = Path(__file__).parent
_DATA_IN_CHECKOUT = "warehouse_ml/example/data/"
_IGNORED = "/artifacts/\n/warehouse.duckdb*\n"


def write_flights(folder: Path) -> list[Path]:
    """Write the example project, data and all, into a new folder.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ProjectError
        If the folder is there and is not empty, or cannot be written.
    """
    # In a checkout the project is the repository's own top level; in a wheel it lies beside this file.
    root = _HERE if (_HERE / "wml.toml").is_file() else _HERE.parent.parent
    settings = (root / "wml.toml").read_text(encoding="utf-8").replace(_DATA_IN_CHECKOUT, "data/")
    sql = [*(root / "sql").rglob("*.sql"), *(root / "models").rglob("*.sql")]
    return _write(folder, settings, root, sql, [*_HERE.glob("data/*.parquet"), _HERE / "data" / "LICENSE.md"])


def write_starter(folder: Path) -> list[Path]:
    """Write a minimal project over the same flights into a new folder.

    Returns and raises as ``write_flights``.
    """
    root = _HERE / "starter"
    settings = (root / "wml.toml").read_text(encoding="utf-8").replace("my_project", folder.resolve().name)
    data = [_HERE / "data" / "flights.parquet", _HERE / "data" / "LICENSE.md"]
    return _write(folder, settings, root, root.rglob("*.sql"), data)


def _write(folder: Path, settings: str, root: Path, sql: Iterable[Path], data: Iterable[Path]) -> list[Path]:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(
            "the folder is there already and is not empty",
            place=str(folder),
            hint="name a folder that is not there yet",
        )
    written = []
    try:
        for path in sorted(sql):
            written.append(_copy(path, folder / path.relative_to(root)))
        for path in sorted(data):
            written.append(_copy(path, folder / "data" / path.name))
        for name, text in (("wml.toml", settings), (".gitignore", _IGNORED)):
            (folder / name).write_text(text, encoding="utf-8")
            written.append(folder / name)
    except OSError as error:
        raise ProjectError(f"cannot be written: {error.strerror}", place=str(error.filename or folder)) from None
    return written


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, target))
