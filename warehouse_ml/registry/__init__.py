"""Versions of models: folders of data, an index, and the ledger of aliases."""

from warehouse_ml.registry.aliases import CANARY, CANDIDATE, CHALLENGER, CHAMPION, SAFE, SERVING, Alias
from warehouse_ml.registry.registry import Registry
from warehouse_ml.registry.version import StoredVersion, Version, VersionContent

__all__ = [
    "CANARY",
    "CANDIDATE",
    "CHALLENGER",
    "CHAMPION",
    "SAFE",
    "SERVING",
    "Alias",
    "Registry",
    "StoredVersion",
    "Version",
    "VersionContent",
]
