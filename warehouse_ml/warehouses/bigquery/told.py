"""Google's errors in our words: what it is, what to do about it, and whether to try again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import DataCorruption, InvalidResponse

from warehouse_ml.errors import SqlError, TooManyBytesError, WarehouseError, WmlError

__all__ = ["NEEDS_FILTER", "NETWORK", "driver_errors", "is_passing", "reason_of", "told"]

PLACE = "bigquery"

NETWORK = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    auth.TransportError,
    ConnectionError,
    api.ServiceUnavailable,
    api.BadGateway,
    api.GatewayTimeout,
)
"""What a cut of the network looks like."""

# Reasons of jobs that failed on the service's side: nothing was done, and the same job may well succeed.
_PASSING = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
        "tableUnavailable",
    }
)
_AT = re.compile(r"\s*\bat \[(\d+):(\d+)\]")
_MEANT = re.compile(r"[;,.]?\s*Did you mean ([^?]+)\?")
_TRAILER = re.compile(r"; reason: \w+, message: .*", re.DOTALL)
_NO_TABLE = re.compile(r"Not found: Table (?:[^\s:.]+[:.])?(\S+)(?: was not found(?: in location (\S+))?)?")
_NO_DATASET = re.compile(r"Not found: [Dd]ataset:? ?([^\s:.]+)[:.](\S+)(?: was not found(?: in location (\S+))?)?")
_NO_MODEL = re.compile(r"Not found: Model ([^\s:]+)[:.]([^\s;,]+)")
_NO_COLUMN = re.compile(r"Unrecognized name: (\S+)")
_MISFIT = re.compile(r"Value has type (\S+) which cannot be inserted into column (\S+), which has type (\S+)")
_BYTES = re.compile(r"limit for bytes billed: (\d+)\b.*?(\d+) or higher", re.DOTALL)
NEEDS_FILTER = "used for partition elimination"
"""In the words of the service where a table is read with a filter on its partitions alone."""

_PARTITIONS = re.compile(r"[Tt]oo many partitions produced by query")
_CONFLICT = "aborted due to concurrent update"
_ENDPOINT = "is the endpoint in wml.toml right?"
_LOGIN = "gcloud auth application-default login    or set GOOGLE_APPLICATION_CREDENTIALS"


@contextmanager
def driver_errors(sql: str | None = None) -> Iterator[None]:
    """Raise ours in place of Google's."""
    try:
        yield
    except (api.GoogleAPIError, auth.GoogleAuthError, InvalidResponse, DataCorruption, FutureTimeoutError) as error:
        raise told(error, sql) from None
    except (*NETWORK, requests.exceptions.RequestException) as error:
        raise told(error, sql) from None


def reason_of(error: BaseException) -> str:
    """Return the service's own word for an error, such as ``notFound``, or an empty text."""
    errors = getattr(error, "errors", None)
    first = errors[0] if errors and isinstance(errors[0], dict) else {}
    return str(first.get("reason", ""))


def is_passing(error: BaseException) -> bool:
    """Whether a job failed for a reason of the service's own, so that nothing was done and it may be run again."""
    return isinstance(error, api.GoogleAPICallError) and reason_of(error) in _PASSING


def told(error: BaseException, sql: str | None) -> WmlError:
    """Return our error for one of Google's libraries."""
    if isinstance(error, api.RetryError) and error.cause is not None:
        # What was tried again until patience ran out is told as what it was.
        return told(error.cause, sql)
    if isinstance(error, auth.DefaultCredentialsError):
        return WarehouseError("there are no credentials for Google Cloud", place=PLACE, hint=_LOGIN)
    if isinstance(error, auth.RefreshError):
        return WarehouseError("the credentials for Google Cloud have expired or were revoked", place=PLACE, hint=_LOGIN)
    if isinstance(error, NETWORK) and not isinstance(error, api.GoogleAPICallError):
        return WarehouseError(
            f"the service cannot be reached: {_first(error)}",
            sql=sql,
            place=PLACE,
            hint="nothing was left half-written: run it again",
            is_retryable=True,
        )
    if isinstance(error, requests.exceptions.RequestException):
        return WarehouseError(f"the service cannot be asked: {_first(error)}", sql=sql, place=PLACE, hint=_ENDPOINT)
    if isinstance(error, (FutureTimeoutError, api.RetryError, api.DeadlineExceeded)):
        return WarehouseError(
            "the job took longer than it may, and was cancelled",
            sql=sql,
            place=PLACE,
            hint="set timeout_seconds in wml.toml higher, or read less",
            is_retryable=True,
        )
    message = _message(error)
    if isinstance(error, api.Unauthorized):
        return WarehouseError("the credentials were refused", sql=sql, place=PLACE, hint=_LOGIN)
    if isinstance(error, api.Forbidden):
        return _refused(message, reason_of(error), sql)
    if isinstance(error, api.NotFound):
        return _missing(message, sql)
    if isinstance(error, api.BadRequest):
        return _bad_request(message, reason_of(error), sql)
    return WarehouseError(message, sql=sql, place=PLACE, is_retryable=is_passing(error))


def _refused(message: str, reason: str, sql: str | None) -> WmlError:
    is_passing = reason in _PASSING
    if reason in {"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded"}:
        hint = (
            "too many requests at once: run it again in a moment"
            if is_passing
            else "a quota of the project is used up: see Quotas in the Cloud console, or try again when it is renewed"
        )
        return WarehouseError(message, sql=sql, place=PLACE, hint=hint, is_retryable=is_passing)
    if reason == "billingNotEnabled":
        return WarehouseError(message, sql=sql, place=PLACE, hint="turn billing on for the project")
    if reason == "responseTooLarge":
        return WarehouseError(message, sql=sql, place=PLACE, hint="read fewer rows or columns at a time")
    return WarehouseError(
        message,
        sql=sql,
        place=PLACE,
        hint="the account needs the roles BigQuery Job User on the project, and BigQuery Data Editor on its datasets:"
        " wml doctor says which is missing",
    )


def _missing(message: str, sql: str | None) -> WmlError:
    if match := _NO_DATASET.search(message):
        where = f" in location {match[3]}" if match[3] else ""
        return WarehouseError(
            f'no dataset "{match[2]}" in project {match[1]}{where}',
            sql=sql,
            place=PLACE,
            hint=f"make it: bq mk --dataset {match[1]}:{match[2]}    or, if it is elsewhere, set location in wml.toml",
        )
    if match := _NO_MODEL.search(message):
        return WarehouseError(
            f'no model "{match[2]}" in project {match[1]}',
            sql=sql,
            place=PLACE,
            hint="somebody dropped it, or the target names another project: wml train --force trains a new version",
        )
    if match := _NO_TABLE.search(message):
        name = match[1].rstrip(".;,")
        position = sql.find(name.rpartition(".")[2]) if sql else -1
        return SqlError(
            f'no table "{name}"',
            sql=sql,
            line=sql.count("\n", 0, position) + 1 if sql and position >= 0 else None,
            position=position if position >= 0 else None,
            hint=f"in location {match[2]}; if its dataset is elsewhere, set location in wml.toml" if match[2] else None,
        )
    return WarehouseError(message, sql=sql, place=PLACE)


def _bad_request(message: str, reason: str, sql: str | None) -> WmlError:
    if reason == "bytesBilledLimitExceeded" or "bytes billed" in message:
        found = _BYTES.search(message)
        needs = f": it needs {int(found[2]):,} bytes, and may be billed for {int(found[1]):,}" if found else ""
        return TooManyBytesError(
            f"the job was refused before it ran{needs}",
            sql=sql,
            place=PLACE,
            hint="read less, or raise maximum_bytes_billed in wml.toml or --max-bytes",
        )
    if _CONFLICT in message:
        return WarehouseError(
            "another writer changed the same table at the same time; all of this step was taken back",
            sql=sql,
            place=PLACE,
            hint="run it again, and let one job at a time write",
            is_retryable=True,
        )
    if reason in {"resourcesExceeded", "responseTooLarge", "stopped", "resourceInUse"}:
        hint = "read less at a time, or in smaller windows" if reason == "resourcesExceeded" else None
        return WarehouseError(message, sql=sql, place=PLACE, hint=hint)
    hint = None
    if NEEDS_FILTER in message:
        hint = "say when: a condition on the column of its partitions; or build it without require_partition_filter"
    elif _PARTITIONS.search(message):
        hint = "part the table by longer times: partition_by={'field': '...', 'granularity': 'month'}"
    elif meant := _MEANT.search(message):
        hint = f'did you mean "{meant[1].strip("`")}"?'
        message = message[: meant.start()] + message[meant.end() :]
    line, position = None, None
    if at := _AT.search(message):
        line = int(at[1])
        position = _offset(sql, line, int(at[2]))
        message = message[: at.start()] + message[at.end() :]
    if found := _NO_COLUMN.search(message):
        message = f'no column "{found[1].rstrip(";.,").strip("`")}"'
    elif found := _MISFIT.search(message):
        message = f'column "{found[2].rstrip(",")}" is {found[3]} and cannot hold a {found[1]}'
    return SqlError(message.strip(), sql=sql, line=line, position=position, hint=hint)


def _offset(sql: str | None, line: int, column: int) -> int | None:
    if sql is None:
        return None
    lines = sql.splitlines(keepends=True)
    if line > len(lines):
        return None
    return sum(len(before) for before in lines[: line - 1]) + column - 1


def _message(error: BaseException) -> str:
    errors = getattr(error, "errors", None)
    first = errors[0] if errors and isinstance(errors[0], dict) else {}
    text = str(first.get("message") or getattr(error, "message", "") or error)
    return _first(_TRAILER.sub("", text).removeprefix("Query execution failed: "))


def _first(text: object) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[0] if lines else type(text).__name__
