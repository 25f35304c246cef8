"""Where a version was trained: packages, platform, commit."""

from __future__ import annotations

import platform
from importlib import metadata

__all__ = ["describe_environment"]

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
