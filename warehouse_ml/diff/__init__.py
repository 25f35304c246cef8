"""Two versions of a model beside each other: what was asked for, what it was trained on, and what that changed."""

from warehouse_ml.diff.versions import VersionDiff, diff_versions

__all__ = ["VersionDiff", "diff_versions"]
