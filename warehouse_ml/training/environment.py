"""Where a version was trained: packages, platform, commit."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["describe_environment", "git_state"]

_PACKAGES = ("warehouse-ml", "scikit-learn", "numpy", "scipy", "duckdb", "pyarrow", "sqlglot")


def describe_environment(seed: int) -> dict[str, str]:
    """Return versions of Python and of the packages that a fit depends on, the platform and the seed."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True), "seed": str(seed)}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> tuple[str | None, bool]:
    """Return the commit that a folder stands at and whether its files differ from it; (None, False) without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    return (commit, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))) if commit else (None, False)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
