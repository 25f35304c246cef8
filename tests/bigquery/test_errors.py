"""Google's errors as a person reads them. The messages are those that BigQuery's documentation and users report."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest

pytest.importorskip("google.cloud.bigquery", reason='not installed: pip install "warehouse-ml[bigquery]"')

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from warehouse_ml.errors import SqlError, TooManyBytesError, WarehouseError, WmlError
from warehouse_ml.warehouses.bigquery.told import told

SQL = "select\n    carrier,\n    delya\nfrom `ml`.`flights`"


def error(kind: type[api.GoogleAPICallError], reason: str, message: str) -> api.GoogleAPICallError:
    return kind(message, errors=[{"reason": reason, "message": message}])


@pytest.mark.parametrize(
    ("raised", "expected", "exit_code", "says"),
    [
        (
            error(api.BadRequest, "invalidQuery", "Unrecognized name: delya; Did you mean delay? at [3:5]"),
            SqlError,
            2,
            ['no column "delya"', 'hint: did you mean "delay"?'],
        ),
        (
            error(
                api.BadRequest, "invalidQuery", "Syntax error: Expected end of input but got keyword SELECT at [1:1]"
            ),
            SqlError,
            2,
            ["Syntax error: Expected end of input but got keyword SELECT"],
        ),
        (
            error(
                api.BadRequest,
                "invalidQuery",
                "Query column 2 has type STRING which cannot be inserted into column n, which has type INT64 at [1:1]",
            ),
            SqlError,
            2,
            ["cannot be inserted into column n"],
        ),
        (
            error(
                api.BadRequest,
                "invalidQuery",
                "Value has type STRING which cannot be inserted into column n, which has type INT64 at [3:5]",
            ),
            SqlError,
            2,
            ['column "n" is INT64 and cannot hold a STRING'],
        ),
        (error(api.BadRequest, "invalidQuery", "Bad int64 value: twelve"), SqlError, 2, ["Bad int64 value: twelve"]),
        (
            error(api.NotFound, "notFound", "Not found: Table my-project:ml.flights was not found in location EU"),
            SqlError,
            2,
            ['no table "ml.flights"', "location EU", "set location in wml.toml"],
        ),
        (
            error(api.NotFound, "notFound", "Not found: Dataset my-project:ml was not found in location US"),
            WarehouseError,
            3,
            ['no dataset "ml" in project my-project in location US', "bq mk --dataset my-project:ml"],
        ),
        (
            error(
                api.Forbidden,
                "accessDenied",
                "Access Denied: Project my-project: User does not have bigquery.jobs.create permission in project.",
            ),
            WarehouseError,
            3,
            ["bigquery.jobs.create", "BigQuery Job User", "wml doctor"],
        ),
        (
            error(api.Forbidden, "quotaExceeded", "Quota exceeded: Your project exceeded quota for free query bytes"),
            WarehouseError,
            3,
            ["Quota exceeded", "quota of the project is used up"],
        ),
        (
            error(api.Forbidden, "rateLimitExceeded", "Exceeded rate limits: too many table update operations"),
            WarehouseError,
            3,
            ["run it again in a moment"],
        ),
        (
            error(api.Forbidden, "billingNotEnabled", "Billing has not been enabled for this project."),
            WarehouseError,
            3,
            ["turn billing on"],
        ),
        (
            error(
                api.BadRequest,
                "bytesBilledLimitExceeded",
                "Query exceeded limit for bytes billed: 10485760. 20971520 or higher required.",
            ),
            TooManyBytesError,
            1,
            ["needs 20,971,520 bytes, and may be billed for 10,485,760", "--max-bytes"],
        ),
        (
            error(
                api.BadRequest,
                "resourcesExceeded",
                "Resources exceeded during query execution: The query could not be executed in the allotted memory.",
            ),
            WarehouseError,
            3,
            ["read less at a time"],
        ),
        (
            error(
                api.BadRequest,
                "invalidQuery",
                "Transaction is aborted due to concurrent update against table my-project:wml.metrics.",
            ),
            WarehouseError,
            3,
            ["another writer", "run it again"],
        ),
        (error(api.InternalServerError, "backendError", "Error encountered. Try again later."), WarehouseError, 3, []),
        (auth.DefaultCredentialsError("no"), WarehouseError, 3, ["gcloud auth application-default login"]),
        (auth.RefreshError("invalid_grant: expired"), WarehouseError, 3, ["have expired", "gcloud auth"]),
        (api.Unauthorized("bad token"), WarehouseError, 3, ["credentials were refused"]),
        (requests.exceptions.ConnectionError("refused"), WarehouseError, 3, ["cannot be reached", "run it again"]),
        (FutureTimeoutError(), WarehouseError, 3, ["took longer than it may", "timeout_seconds"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_error_says_what_to_do(
    raised: Exception, expected: type[WmlError], exit_code: int, says: list[str]
) -> None:
    found = told(raised, SQL)
    assert type(found) is expected
    assert found.exit_code == exit_code
    for text in says:
        assert text in str(found)
    assert "reason:" not in str(found)
    assert "Traceback" not in str(found)


def test_the_place_is_a_line_and_a_character_of_the_statement() -> None:
    found = told(error(api.BadRequest, "invalidQuery", "Unrecognized name: delya; Did you mean delay? at [3:5]"), SQL)
    assert isinstance(found, SqlError)
    assert found.line == 3
    assert found.position is not None
    assert SQL[found.position :].startswith("delya")


@pytest.mark.parametrize(
    ("raised", "is_retryable"),
    [
        (error(api.InternalServerError, "backendError", "Try again later."), True),
        (error(api.Forbidden, "rateLimitExceeded", "Exceeded rate limits"), True),
        (error(api.Forbidden, "quotaExceeded", "Quota exceeded"), False),
        (error(api.Forbidden, "accessDenied", "Access Denied"), False),
        (error(api.BadRequest, "invalidQuery", "Transaction is aborted due to concurrent update against"), True),
        (requests.exceptions.ConnectionError("refused"), True),
        (auth.RefreshError("expired"), False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_may_pass_by_itself_is_told_apart(raised: Exception, is_retryable: bool) -> None:
    found = told(raised, SQL)
    assert isinstance(found, WarehouseError)
    assert found.is_retryable is is_retryable
