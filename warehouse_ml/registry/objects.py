"""Versions in an object store, such as ``s3://bucket/prefix``, with a copy of them in a folder of this machine.

An object store has no rename and no lock, so the order of writing takes their place. A number is claimed first; the
files follow under their own names; the manifest comes last, and without it there is no version. Nothing is ever written
twice. All that is asked of the store is that what was written is listed at once, which S3, Google Cloud Storage and
Azure's blobs promise:

- Two that claim one number at once both see each other's claim, or one sees the other's: at most one goes on.
- A publication that is killed leaves its number taken and no version.
- Lines of the ledger are files of their own, so that two writers lose none; of two written at once, the order is that
  of their names, the same for everybody. Decisions taken at once, each without the other, are not kept apart.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.checked import MANIFEST, SNAPSHOT, changed, read_manifest
from warehouse_ml.registry.folder import hash_of, publishing, replace_file, staged_file
from warehouse_ml.registry.index import as_number, numbers_in
from warehouse_ml.registry.ledger import LINES, is_ledger_file

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

__all__ = ["ObjectStore"]

_CLAIM = ".claim-"
_MARK = ".store"
_MOST_TRIES = 50
_CHUNK = 2**22


class ObjectStore:
    """The versions under one address.

    Parameters
    ----------
    address : str
        As ``pyarrow.fs.FileSystem.from_uri`` reads it; credentials are the environment's.
    place : tuple of pyarrow.fs.FileSystem and str, optional
        The file system and the path in it, in place of what the address says.
    """

    def __init__(self, address: str, place: tuple[FileSystem, str] | None = None) -> None:
        self._address = address
        self._place = place

    def pull(self, root: Path) -> None:
        """Copy the versions and lines of the ledger that a folder does not have yet; snapshots are left where they are.

        Raises
        ------
        ArtifactError
            If the store cannot be reached, a copy is not what was published, or the folder is of another store.
        """
        self._mark(root)
        for model in self._names(""):
            if model.startswith("."):
                continue
            known = numbers_in(root / model)
            names = self._names(model)
            for number in sorted(found for name in names if (found := as_number(name)) is not None):
                if number not in known and MANIFEST in self._names(f"{model}/{number}"):
                    self._copy(f"{model}/{number}", root)
            for name in names if model == LINES else ():
                if is_ledger_file(name) and not (root / LINES / name).exists():
                    replace_file(root / LINES / name, self._read(f"{LINES}/{name}"))

    def pull_snapshot(self, uri: str, root: Path) -> None:
        """Copy the training rows of a version; they are looked at as they are read."""
        path = root / uri / SNAPSHOT
        with staged_file(root / uri) as staged, self._told(uri), staged.open("wb") as file:
            filesystem, prefix = self._where()
            with filesystem.open_input_stream(f"{prefix}/{uri}/{SNAPSHOT}") as stream:
                while chunk := stream.read(_CHUNK):
                    file.write(chunk)
            staged.replace(path)

    def claim(self, model: str, above: int) -> int:
        """Return a number that nobody else has, higher than one that is known to be taken.

        Raises
        ------
        ArtifactError
            If the store cannot be written to, or others take every number first.
        """
        for turn in range(_MOST_TRIES):
            taken = [found for name in self._names(model) if (found := as_number(name)) is not None]
            number = max([above, *taken]) + 1
            mine = f"{_CLAIM}{uuid.uuid4().hex}"
            self._write(f"{model}/{number}/{mine}", b"")
            if self._names(f"{model}/{number}") == [mine]:
                return number
            self._delete(f"{model}/{number}/{mine}")
            time.sleep(random.random() * 0.05 * (turn + 1))  # noqa: S311 - no secret: to come at another time
        raise ArtifactError(f"no number for a version of {model} could be taken", place=self._address)

    def push(self, folder: Path, uri: str) -> None:
        """Write the files of a complete folder, the manifest last.

        Raises
        ------
        ArtifactError
            If the store cannot be written to; there is no version then.
        """
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        for name in [*(name for name in names if name != MANIFEST), MANIFEST]:
            with self._told(uri):
                filesystem, prefix = self._where()
                with (folder / name).open("rb") as file, self._open(filesystem, f"{prefix}/{uri}/{name}") as stream:
                    while chunk := file.read(_CHUNK):
                        stream.write(chunk)

    def push_lines(self, name: str, content: bytes) -> None:
        """Write a file of the ledger."""
        self._write(f"{LINES}/{name}", content)

    def put(self, path: str, content: bytes) -> None:
        """Write a small file that is no version's."""
        self._write(path, content)

    def take_away(self, path: str) -> None:
        """Delete a small file that is no version's, if it is there."""
        folder, _, name = path.rpartition("/")
        if name in self._names(folder):
            self._delete(path)

    def all_in(self, folder: str) -> dict[str, bytes]:
        """Return the small files of a folder, by name."""
        return {name: self._read(f"{folder}/{name}") for name in self._names(folder)}

    def _copy(self, uri: str, root: Path) -> None:
        with publishing(root / uri) as staged:
            (staged / MANIFEST).write_bytes(self._read(f"{uri}/{MANIFEST}"))
            manifest, _ = read_manifest(staged)
            for name, expected in manifest["files"].items():
                if name == SNAPSHOT:
                    continue
                content = self._read(f"{uri}/{name}")
                if hash_of(content) != expected["sha256"]:
                    raise changed(Path(f"{self._address}/{uri}/{name}"), hash_of(content), expected["sha256"])
                (staged / name).parent.mkdir(exist_ok=True)
                (staged / name).write_bytes(content)

    def _mark(self, root: Path) -> None:
        mark = root / _MARK
        if not mark.exists():
            if any(root.glob(f"*/*/{MANIFEST}")):
                raise ArtifactError(
                    f"holds versions that were never in {self._address}",
                    place=str(root),
                    hint='name a folder for the copies: cache = "..." under [artifacts] in wml.toml',
                )
            replace_file(mark, self._address.encode())
        elif mark.read_text(encoding="utf-8") != self._address:
            raise ArtifactError(
                f"holds copies of {mark.read_text(encoding='utf-8')}, not of {self._address}",
                place=str(root),
                hint="delete the folder, or name another one as cache under [artifacts] in wml.toml",
            )

    def _where(self) -> tuple[FileSystem, str]:
        if self._place is None:
            from pyarrow.fs import FileSystem

            with self._told(""):
                self._place = FileSystem.from_uri(self._address)
        return self._place

    def _names(self, path: str) -> list[str]:
        from pyarrow.fs import FileSelector

        filesystem, prefix = self._where()
        with self._told(path):
            found = filesystem.get_file_info(FileSelector(f"{prefix}/{path}".rstrip("/"), allow_not_found=True))
            return sorted(one.base_name for one in found)

    def _read(self, path: str) -> bytes:
        filesystem, prefix = self._where()
        with self._told(path), filesystem.open_input_stream(f"{prefix}/{path}") as stream:
            content: bytes = stream.read()
            return content

    def _write(self, path: str, content: bytes) -> None:
        filesystem, prefix = self._where()
        with self._told(path), self._open(filesystem, f"{prefix}/{path}") as stream:
            stream.write(content)

    def _delete(self, path: str) -> None:
        filesystem, prefix = self._where()
        with self._told(path):
            filesystem.delete_file(f"{prefix}/{path}")

    @staticmethod
    def _open(filesystem: FileSystem, path: str):  # type: ignore[no-untyped-def]
        try:
            return filesystem.open_output_stream(path)
        except FileNotFoundError:
            # Only file systems have folders to make.
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            return filesystem.open_output_stream(path)

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, NotImplementedError) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise ArtifactError(
                f"the object store does not answer: {told}",
                place=f"{self._address}/{path}".rstrip("/"),
                hint="is the address right, and are there credentials for it in the environment?",
            ) from None
