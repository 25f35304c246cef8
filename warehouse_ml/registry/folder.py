"""Files that are there whole or not at all, and stay there when the power fails.

What is written is flushed, then renamed into its place, then the folder that now lists it is flushed. A rename is the
only step that anybody can see.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from warehouse_ml.errors import ArtifactError

__all__ = [
    "Busy",
    "Listing",
    "hash_of",
    "hash_of_file",
    "hash_of_stream",
    "locked",
    "publishing",
    "replace_file",
    "staged_file",
    "sweep",
]

STAGING_PREFIX = ".staging-"
_COARSEST_CLOCK = 2_000_000_000


def hash_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal, without holding it in memory."""
    with path.open("rb") as file:
        return hash_of_stream(file)


def hash_of_stream(file: BufferedReader) -> str:
    """Return the SHA-256 of what is left to read, in hexadecimal, without holding it in memory."""
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def staged_file(folder: Path) -> Iterator[Path]:
    """Yield the path of a file to write and to rename; it is gone when the block ends, unless it was renamed.

    Raises
    ------
    ArtifactError
        If it cannot be written.
    """
    staged = folder / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield staged
    except OSError as error:
        raise _cannot_write(folder, error) from None
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place in one step: readers see the old one or the new one.

    Raises
    ------
    ArtifactError
        If it cannot be written; what was there before is still there.
    """
    staged = path.with_name(f"{STAGING_PREFIX}{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(staged, content)
        staged.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


@contextlib.contextmanager
def publishing(target: Path) -> Iterator[Path]:
    """Yield a folder to write into; it is in its place when the block ends, and gone when the block fails.

    Parameters
    ----------
    target : Path
        Its place; must not be taken.

    Raises
    ------
    ArtifactError
        If the place is taken or the files cannot be written; nothing is left behind.
    """
    staged = target.with_name(f"{STAGING_PREFIX}{uuid.uuid4().hex}")
    try:
        is_first = not target.parent.exists()
        staged.mkdir(parents=True)
        if is_first:
            _flush_folder(target.parent.parent)
        yield staged
        for path in staged.rglob("*"):
            if path.is_file():
                _flush(path)
            else:
                _flush_folder(path)
        _flush_folder(staged)
        if target.exists():
            raise ArtifactError("this version is there already", place=str(target))
        staged.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


class Listing:
    """The names in a folder, read again only when the folder says that it has changed.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: tuple[int, int] | None = None
        self._names: list[str] = []
        self.n_changes = 0

    def names(self) -> list[str]:
        """Return the names, in no order; none if there is no such folder."""
        now = time.time_ns()
        try:
            found = os.stat(self._folder)  # noqa: PTH116 - asked for often
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._names = os.listdir(self._folder)  # noqa: PTH208
                self.n_changes += 1
        except OSError:
            self._names, stamp = [], (now, 0)
        # The clock of a file system is coarse: a folder that has just changed may change again and not show it.
        self._stamp = stamp if now - stamp[0] > _COARSEST_CLOCK else None
        return self._names


def sweep(parent: Path) -> None:
    """Remove what a killed process left staged."""
    for path in parent.glob(f"{STAGING_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


class Busy(Exception):  # noqa: N818 - no error: somebody else is at work
    """The lock is held by somebody else."""


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    wait : bool
        Whether to wait for whoever holds it.

    Raises
    ------
    ArtifactError
        If the folder cannot be written to.
    Busy
        If somebody holds it and we are not to wait.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("a")
    except OSError as error:
        raise _cannot_write(folder, error) from None
    with handle:
        try:
            import fcntl
        except ImportError:  # pragma: no cover - not on Windows, where rename alone keeps versions apart
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy from None
        yield


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """Make what a folder lists outlive a power cut, on file systems that know how."""
    if os.name == "nt":  # pragma: no cover - where a folder cannot be opened
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EROFS):
            raise
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"cannot be written: {error.strerror or error}",
        place=str(path),
        hint="is the folder writable and the disk not full? [artifacts] path in wml.toml says where it is",
    )
