"""``[targets.bigquery]`` of wml.toml, checked when the file is read; nothing here imports Google's libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from warehouse_ml.errors import ProjectError, TemplateError, did_you_mean
from warehouse_ml.warehouses.base import WML
from warehouse_ml.warehouses.layout import LOGS, METRICS, Layout, columns_of, granularity_of

__all__ = ["BigQuerySettings", "bigquery_settings", "bytes_of"]

_KNOWN = (
    "type",
    "project",
    "dataset",
    "wml_dataset",
    "location",
    "maximum_bytes_billed",
    "timeout_seconds",
    "labels",
    "endpoint",
    "max_training_rows",
    "logs",
    "metrics",
)
_LOG_KEYS = ("granularity", "cluster_by")
_LOG_COLUMNS = ("request_id", "model", "version", "alias", "requested_at", "logged_at", "prediction", "definition_hash")
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{1,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_MAX_LABELS = 60
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15}
_UNITS |= {f"{unit}ib": 1024**power for power, unit in enumerate("kmgtp", start=1)}


@dataclass(frozen=True)
class BigQuerySettings:
    """Where a target's tables are, and what a job may cost.

    Parameters
    ----------
    project : str
        The project that holds the datasets and pays for the jobs.
    dataset : str
        Where the project's own relations are built.
    wml_dataset : str
        Where the toolkit's tables are; templates and queries call it ``wml`` all the same.
    location : str or None
        Where the jobs run, such as EU or europe-west1; None: where the dataset is.
    maximum_bytes_billed : int or None
        A job that would be billed for more bytes is not run.
    timeout_seconds : float or None
        How long one job may take; None: as long as the service lets it.
    labels : mapping of str to str
        On every job, beside ``tool = warehouse-ml``.
    endpoint : str or None
        Another address of the service, for private access.
    log_layout, metrics_layout : Layout
        How request logs, and the tables of evaluations, are made.
    """

    project: str
    dataset: str
    wml_dataset: str = WML
    location: str | None = None
    maximum_bytes_billed: int | None = None
    timeout_seconds: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None
    log_layout: Layout = LOGS
    metrics_layout: Layout = METRICS


def bigquery_settings(settings: Mapping[str, Any], place: str) -> BigQuerySettings:
    """Return the settings of a target, every one of them checked.

    Raises
    ------
    ProjectError
        If one is unknown, missing, or not what it must be.
    """
    for key in settings:
        if key not in _KNOWN:
            raise ProjectError(
                f'unknown setting "{key}"',
                place=place,
                has=_KNOWN,
                hint=_instead(key) or did_you_mean(key, _KNOWN),
            )
    project = _name(settings, "project", _PROJECT, place, "the id of a Google Cloud project, such as my-project-123")
    dataset = _name(settings, "dataset", _DATASET, place, "letters, digits and underscores")
    wml_dataset = _name({"wml_dataset": WML, **settings}, "wml_dataset", _DATASET, place, "as dataset")
    if wml_dataset.lower() == dataset.lower():
        raise ProjectError(
            f'dataset and wml_dataset are both "{dataset}"',
            place=place,
            hint="the toolkit's tables need a dataset of their own",
        )
    return BigQuerySettings(
        project=project,
        dataset=dataset,
        wml_dataset=wml_dataset,
        location=_text(settings, "location", place, "EU"),
        maximum_bytes_billed=_bytes(settings, place),
        timeout_seconds=_seconds(settings, place),
        labels=_labels(settings.get("labels", {}), place),
        endpoint=_text(settings, "endpoint", place, "https://bigquery.example.p.googleapis.com"),
        log_layout=_own_layout(settings, "logs", LOGS, place),
        metrics_layout=_own_layout(settings, "metrics", METRICS, place),
    )


def bytes_of(text: str) -> int | None:
    """Return a number of bytes written as ``5000000``, ``10GB`` or ``1.5 TiB``, or None if it is none."""
    match = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS:
        return None
    return round(float(match[1].replace("_", "")) * _UNITS[match[2].lower()])


def _instead(key: str) -> str | None:
    if key in {"credentials", "keyfile", "key", "service_account", "token", "password"}:
        return "no credentials in wml.toml: gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS"
    return None


def _name(settings: Mapping[str, Any], key: str, pattern: re.Pattern[str], place: str, what: str) -> str:
    value = settings.get(key)
    if value is None:
        raise ProjectError(f"{key} is not set", place=place, hint=f'write {key} = "...": {what}')
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ProjectError(f"{key} = {value!r} cannot be", place=place, hint=what)
    return value


def _text(settings: Mapping[str, Any], key: str, place: str, example: str) -> str | None:
    value = settings.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ProjectError(f"{key} = {value!r} must be text", place=place, hint=f'such as {key} = "{example}"')
    return value


def _bytes(settings: Mapping[str, Any], place: str) -> int | None:
    value = settings.get("maximum_bytes_billed")
    if value is None:
        return None
    number = value if type(value) is int else bytes_of(value) if isinstance(value, str) else None
    if number is None or number <= 0:
        raise ProjectError(
            f"maximum_bytes_billed = {value!r} is not a number of bytes",
            place=place,
            hint='such as maximum_bytes_billed = "10GB"',
        )
    return number


def _seconds(settings: Mapping[str, Any], place: str) -> float | None:
    value = settings.get("timeout_seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ProjectError(f"timeout_seconds = {value!r} is not a time", place=place, hint="such as 3600")
    return float(value)


def _own_layout(settings: Mapping[str, Any], name: str, default: Layout, place: str) -> Layout:
    table, known = settings.get(name, {}), _LOG_KEYS if name == "logs" else _LOG_KEYS[:1]
    if not isinstance(table, Mapping):
        raise ProjectError(
            f"{name} = {table!r} must be a table", place=place, hint=f'such as {name} = {{ granularity = "month" }}'
        )
    for key in table:
        if key not in known:
            raise ProjectError(
                f'{name} has no setting "{key}"', place=place, has=known, hint=did_you_mean(key, list(known))
            )
    try:
        granularity = granularity_of(table.get("granularity", default.granularity), place)
        clustered = columns_of(table["cluster_by"], place) if "cluster_by" in table else default.cluster_by
    except TemplateError as error:
        raise ProjectError(f"{name}: {error.what}", place=place, has=error.has, hint=error.hint) from None
    for column in clustered if "cluster_by" in table else ():
        if column not in _LOG_COLUMNS:
            raise ProjectError(
                f'{name}: cluster_by: no column "{column}" that a log is sorted by',
                place=place,
                has=_LOG_COLUMNS,
                hint=did_you_mean(column, list(_LOG_COLUMNS)),
            )
    return replace(default, granularity=granularity, cluster_by=clustered)


def _labels(labels: Any, place: str) -> Mapping[str, str]:
    hint = 'labels are lower-case letters, digits, - and _, at most 63 of them: labels = { team = "pricing" }'
    if not isinstance(labels, Mapping) or len(labels) > _MAX_LABELS:
        raise ProjectError(f"labels = {labels!r} must be a table", place=place, hint=hint)
    for key, value in labels.items():
        is_key = isinstance(key, str) and key and key[0].isalpha() and _LABEL.fullmatch(key)
        if not is_key or not isinstance(value, str) or _LABEL.fullmatch(value) is None:
            raise ProjectError(f"label {key} = {value!r} cannot be", place=place, hint=hint)
    return dict(labels)
