"""Compiled templates of the toolkit's own statements, kept between commands.

To compile sixty templates takes a third of a short command. Only the toolkit's own are kept, in the user's cache
folder, as Python keeps its modules; without a folder to write to they are compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import uuid
from functools import lru_cache
from pathlib import Path
from types import CodeType

import jinja2
from sqlglot._version import __version__ as sqlglot_version

__all__ = ["compiled"]

_DIGEST = 32


def compiled(env: jinja2.Environment, source: str, name: str, file: str | None = None) -> jinja2.Template:
    """Return the template of a source, from the cache where it is there.

    Parameters
    ----------
    env : jinja2.Environment
    source : str
    name : str
        Names the environment: what it works out while it compiles may differ between engines.
    file : str, optional
        Where errors say that they are.
    """
    folder = _folder()
    code = None
    if folder is not None:
        path = folder / hashlib.sha256(f"{name}\0{file}\0{source}".encode()).hexdigest()[:32]
        code = _read(path)
        if code is None:
            code = env.compile(source, filename=file)
            _write(path, marshal.dumps(code))
    return jinja2.Template.from_code(env, code or env.compile(source, filename=file), env.make_globals(None))


def _read(path: Path) -> CodeType | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, payload = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    code: CodeType = marshal.loads(payload)  # noqa: S302 - our own, in a folder that is the user's own
    return code


def _write(path: Path, payload: bytes) -> None:
    staged = path.with_name(uuid.uuid4().hex)
    with contextlib.suppress(OSError):
        staged.write_bytes(hashlib.sha256(payload).digest() + payload)
        staged.replace(path)


@lru_cache(maxsize=1)
def _folder() -> Path | None:
    # Constants are worked out when a template is compiled: by the filters of this release, and by sqlglot.
    filters = (Path(__file__).parent / "templates.py").read_bytes()
    versions = f"{sys.implementation.cache_tag} {jinja2.__version__} {sqlglot_version} "
    written_by = hashlib.sha256(versions.encode() + filters).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        folder = (Path(home) if home else Path.home() / ".cache") / "warehouse-ml" / f"templates-{written_by}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder
