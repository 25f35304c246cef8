"""What a decision may name: a model, a version of it, an alias."""

from __future__ import annotations

import re

from warehouse_ml.errors import WmlError
from warehouse_ml.registry import CANARY, CANDIDATE, Registry, Version

__all__ = ["check_alias", "check_share", "known_model", "version_named"]

_ALIAS = re.compile(r"[a-z][a-z0-9_]{0,62}")


def check_alias(alias: str) -> str:
    """Return an alias that a version may be given.

    Raises
    ------
    WmlError
        If it is no name, or one that the log uses for something else.
    """
    if not _ALIAS.fullmatch(alias):
        lower = alias.lower()
        raise WmlError(
            f'"{alias}" cannot be an alias',
            hint=f'did you mean "{lower}"?'
            if _ALIAS.fullmatch(lower)
            else "small letters, digits and _, a letter first, at most 63 of them",
        )
    if alias == CANDIDATE:
        raise WmlError(
            f'"{alias}" cannot be an alias: the log marks answers with it that nobody was given',
            hint="to let a version shadow: --alias challenger",
        )
    return alias


def check_share(alias: str, share: float | None) -> None:
    """Say whether an alias and a share of the requests go together.

    Raises
    ------
    WmlError
        If a canary has no share in (0, 1), or anything else has one.
    """
    if alias != CANARY and share is not None:
        raise WmlError(f"--share is of a canary, and {alias} is none", hint="--alias canary --share 0.1")
    if alias == CANARY and share is None:
        raise WmlError("a canary answers a share of the requests; which?", hint="--share 0.1")
    if share is not None and not 0 < share < 1:
        raise WmlError(
            f"--share {share:g} is not between 0 and 1",
            hint="--none takes the canary away; to serve every request, promote it to champion",
        )


def known_model(registry: Registry, name: str) -> str:
    """Return a model's name as its versions write it; what follows an @ is left out.

    Raises
    ------
    WmlError
        If there is no name.
    VersionNotFoundError
        If the model has no version.
    """
    model = registry.name_of(name.partition("@")[0])
    if not model:
        raise WmlError(f'"{name}" names no model', hint="write MODEL@3")
    versions = registry.versions(model)
    if not versions:
        registry.get(model)
    return model


def version_named(registry: Registry, name: str) -> Version:
    """Return the version that ``MODEL@3`` or ``MODEL@challenger`` names.

    Raises
    ------
    WmlError
        If the name says no version.
    VersionNotFoundError
        If there is none.
    """
    model, wanted = known_model(registry, name), name.partition("@")[2]
    if wanted:
        return registry.get(model, wanted)
    versions = [f"{model}@{version.version}" for version in registry.versions(model)]
    raise WmlError(f'"{name}" does not say which version', has=versions, hint=f"write {versions[-1]}")
