"""What a training makes outside of the registry before its version is published, such as a model in BigQuery.

A file is written before it is made, and is gone when the version is there or nothing was made. The training holds a
lock on its file, which the system lets go of however the process ends: a file that nobody holds is of a training that
was killed, and what it names belongs to no version. An object store keeps a copy for other machines, which cannot see
the lock: to them a training has ended after ``LONGEST``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from warehouse_ml.errors import ArtifactError
from warehouse_ml.registry.folder import locked, replace_file
from warehouse_ml.registry.objects import ObjectStore

__all__ = ["LONGEST", "MAKING", "LeftOver", "Making"]

MAKING = ".making"
LONGEST = dt.timedelta(days=3)
"""Longer than a job may run that nobody waits for any more; until then it may still make what it was to make."""

_FORMAT = 1


@dataclass(frozen=True)
class LeftOver:
    """What a training named before it made it, and did not come to publish.

    Parameters
    ----------
    model : str
    name : tuple of str
        Its name where it was made.
    key : str
        Its file.
    is_final : bool
        Whether whatever was to make it has ended for sure, so that it need not be looked at again.
    """

    model: str
    name: tuple[str, ...]
    key: str
    is_final: bool


class Making:
    """The files of one registry.

    Parameters
    ----------
    root : Path
    store : ObjectStore, optional
    """

    def __init__(self, root: Path, store: ObjectStore | None) -> None:
        self._root, self._folder = root, root / MAKING
        self._store = store
        self._held: dict[str, IO[bytes]] = {}

    def begin(self, model: str, name: Sequence[str]) -> str:
        """Write down what is about to be made, hold its file, and return the file's name.

        Raises
        ------
        ArtifactError
            If it cannot be written: nothing may be made then.
        """
        key = f"{name[-1]}.json"
        told = {"format": _FORMAT, "model": model, "name": list(name), "at": dt.datetime.now(dt.UTC).isoformat()}
        content = json.dumps(told, indent=2).encode()
        with locked(self._root):
            if self._store is not None:
                self._store.put(f"{MAKING}/{key}", content)
            replace_file(self._folder / key, content)
            self._held[key] = (self._folder / key).open("rb")
            _hold(self._held[key])
        return key

    def let_go(self, key: str) -> None:
        """Hold a file no longer, and leave it: the next training looks at what it names."""
        if (handle := self._held.pop(key, None)) is not None:
            handle.close()

    def end(self, key: str) -> None:
        """Take a file away: what it names is a version's now, or is not there.

        A file that cannot be taken away is left for the next training, which finds the same.
        """
        with contextlib.suppress(ArtifactError, OSError), locked(self._root):
            (self._folder / key).unlink(missing_ok=True)
            if self._store is not None:
                self._store.take_away(f"{MAKING}/{key}")
        self.let_go(key)

    def left(self, model: str, now: dt.datetime) -> list[LeftOver]:
        """Return what trainings of a model named that have ended; a file that cannot be read is passed over.

        Raises
        ------
        ArtifactError
            If the object store does not answer.
        """
        found = []
        with locked(self._root):
            here = {path.name: path for path in self._folder.glob("*.json")}
            files = {key: (path.read_bytes(), _is_free(path)) for key, path in here.items() if key not in self._held}
            if self._store is not None:
                there = self._store.all_in(MAKING)
                files |= {key: (content, None) for key, content in there.items() if key not in here}
        for key, (content, is_free) in sorted(files.items()):
            try:
                told = json.loads(content)
                is_final = now - dt.datetime.fromisoformat(told["at"]) > LONGEST
                left = LeftOver(str(told["model"]), tuple(str(part) for part in told["name"]), key, is_final)
            except (KeyError, TypeError, ValueError):
                continue
            if left.model == model and (is_final if is_free is None else is_free):
                found.append(left)
        return found


def _is_free(path: Path) -> bool | None:
    """Return whether nobody holds a file; None where no lock tells."""
    with path.open("rb") as handle:
        return _hold(handle)


def _hold(handle: IO[bytes]) -> bool | None:
    """Lock a file until it is closed; return False if somebody else did, and None where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - on Windows
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
