"""Which commit a project stands at."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["git_state"]


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
