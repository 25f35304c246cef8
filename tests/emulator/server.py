"""Starts bqemulator; runs in its environment, not in ours.

The emulator speaks the protocols of BigQuery and is DuckDB inside: what goes through it proves the plumbing, never
what BigQuery makes of a statement. What BigQuery's documentation promises and it lacks is added here:

- temporary tables of a session, which it looks for in the default dataset, and does not find by _session;
- a job id is taken once: a second job of that id is refused with 409;
- a copy or a load over a table takes the place of its columns, too;
- a view that a statement made tells its query;
- table functions whose body is a query with WITH are taken, and not made: it calls them a syntax error;
- a description set by ALTER TABLE is told by tables.get;
- a job counts bytes: a million for each word FROM, where it says 0;
- the rows of a large result are a table that the Storage Read API reads;
- BIGNUMERIC keeps its whole digits: as text, a whole number has no decimal point;
- WEEK(MONDAY), which it does not know, is cut by a function of DuckDB's;
- comments are left out: it reads an apostrophe in them as the beginning of a text;
- NULLS LAST in a window stays, which it drops, or fails over where the window has a name;
- two parameters of a statement, $a and $b there, are never the marks around a text;
- the spatial extension, which it loads from the network, is left out.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from typing import Any

os.environ.setdefault("BQEMU_ENABLE_FORMAT_EXTENSIONS", "false")

import sqlglot
from bqemulator.api.routes import jobs, tables, upload
from bqemulator.cli import main
from bqemulator.domain.errors import AlreadyExistsError
from bqemulator.jobs import executor
from bqemulator.sql.rewriter import default_dataset
from bqemulator.sql.translator import SQLTranslator
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.storage.sql_identifiers import quoted_table_ref
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.generators.bigquery import BigQueryGenerator
from sqlglot.generators.duckdb import DuckDBGenerator

_TEMPORARY = re.compile(r"^\s*create\s+(?:or\s+replace\s+)?temp(?:orary)?\s+table\s+`?(\w+)`?", re.IGNORECASE | re.M)
_TABLE_FUNCTION = re.compile(r"^(?:\s|--.*\n)*create\s+or\s+replace\s+table\s+function\b", re.IGNORECASE)
_DROPPED = re.compile(r"drop table if exists _session\.`?(\w+)`?", re.IGNORECASE)
_DESCRIBED = re.compile(r"alter table `(\w+)`\.`(\w+)` set options \(description = '([^']*)'\)", re.IGNORECASE)
_FROM = re.compile(r"\bfrom\b", re.IGNORECASE)
_FEW_ROWS = 10_000
_COMMENT = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_MONDAY = ", week(monday))"
_named: dict[str, set[str]] = {}
_current: set[str] = set()
_taken: set[str] = set()
_qualified: dict[tuple[Any, ...], str] = {}
_translated: dict[tuple[str, ...], Any] = {}


def _cut_weeks(sql: str) -> str:
    while (end := sql.find(_MONDAY)) >= 0:
        depth, start = 0, end
        while depth >= 0:
            start -= 1
            depth += {")": 1, "(": -1}.get(sql[start], 0)
        name = start - len("timestamp_trunc")
        sql = f"{sql[:name]}wml_week({sql[start + 1 : end]}){sql[end + len(_MONDAY) :]}"
    return sql


def _session_of(config: dict[str, Any]) -> str:
    for entry in config.get("connectionProperties") or []:
        if entry.get("key") == "session_id":
            return str(entry["value"])
    return str(config.get("wmlSession", ""))


_mint, _apply, _ctes = jobs._maybe_mint_session, jobs._apply_default_dataset, default_dataset._collect_cte_names


def _minted(config: dict[str, Any]) -> str | None:
    session: str | None = _mint(config)
    if session is not None:
        config["wmlSession"] = session
    return session


def _applied(sql: str, config: dict[str, Any], **names: Any) -> str:
    global _current  # noqa: PLW0603
    _current = _named.setdefault(_session_of(config), set())
    _current.update(_TEMPORARY.findall(sql))
    key = (sql, repr(config.get("defaultDataset")), frozenset(_current))
    if key not in _qualified:
        _qualified[key] = _apply(sql, config, **names)
    return _qualified[key]


def _shadowing(root: Any) -> set[str]:
    return set(_ctes(root)) | _current


_insert = jobs.insert_job


async def _inserted(project_id: str, request: Any, ctx: Any, caller: Any) -> Any:
    body = await request.json()
    query = body.get("configuration", {}).get("query", {})
    if _TABLE_FUNCTION.match(query.get("query", "")):
        query["query"] = "select 1 as not_made"
    for name in _DROPPED.findall(query.get("query", "")):
        ctx.engine.execute(f'drop table if exists temp."{name}"')
        _named.setdefault(_session_of(query), set()).discard(name)
    if "query" in query:
        query["query"] = _cut_weeks(_COMMENT.sub(lambda found: found[1] or " ", query["query"]).strip())
        ctx.engine.execute("create macro if not exists wml_week(x) as date_trunc('week', x)")
    job_id = body.get("jobReference", {}).get("jobId")
    if job_id and not body.get("configuration", {}).get("dryRun"):
        if job_id in _taken:
            raise AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
        _taken.add(job_id)
    answer = await _insert(project_id, request, ctx, caller)
    if (counted := answer.get("statistics", {}).get("query")) is not None:
        counted["totalBytesProcessed"] = str(len(_FROM.findall(query.get("query", ""))) * 1_000_000)
    place = answer.get("configuration", {}).get("query", {}).get("destinationTable")
    rows = jobs.JOB_RESULTS.get(job_id)
    if place is not None and rows is not None and rows.num_rows > _FEW_ROWS:
        schema, name = f'"{place["projectId"]}__{place["datasetId"]}"', f'"{place["tableId"]}"'
        ctx.engine._connection.register("wml_result", rows)
        ctx.engine.execute(f"create schema if not exists {schema}")
        ctx.engine.execute(f"create table if not exists {schema}.{name} as select * from wml_result")
        ctx.engine._connection.unregister("wml_result")
    if described := _DESCRIBED.match(query.get("query", "")):
        table = ctx.catalog.get_table(project_id, described[1], described[2])
        ctx.catalog.update_table(table.model_copy(update={"description": described[3]}))
    return answer


_inserted.__annotations__ = _insert.__annotations__
_inserted.__globals__.update({name: getattr(jobs, name) for name in ("_Ctx", "_Caller", "Request")})
jobs._maybe_mint_session = _minted
jobs._apply_default_dataset = _applied
default_dataset._collect_cte_names = _shadowing
for _route in jobs.router.routes:
    if _route.endpoint is _insert:
        index = jobs.router.routes.index(_route)
        jobs.router.routes.pop(index)
        jobs.router.post("/projects/{project_id}/jobs")(_inserted)
        jobs.router.routes.insert(index, jobs.router.routes.pop())
        break
else:
    raise SystemExit("this bqemulator has no route that starts jobs")


_configured, _loaded = upload._load_configuration_from_envelope, upload._run_load


def _with_job(envelope: dict[str, Any]) -> dict[str, Any]:
    return {**_configured(envelope), "wmlJob": envelope.get("jobReference", {}).get("jobId")}


async def _run_load(*, project_id: str, configuration: dict[str, Any], **names: Any) -> Any:
    job_id = configuration.pop("wmlJob", None) or f"upload_{len(_taken)}"
    if job_id in _taken:
        raise AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
    _taken.add(job_id)
    upload._new_job_id = lambda: job_id
    return await _loaded(project_id=project_id, configuration=configuration, **names)


upload._load_configuration_from_envelope = _with_job
upload._run_load = _run_load

_copied = executor._copy_table_into_destination


async def _replaced(*, write_disposition: str, ctx: Any, **names: Any) -> None:
    place = (names["dst_proj"], names["dst_ds"], names["dst_table_id"])
    if write_disposition == "WRITE_TRUNCATE" and ctx.catalog.get_table(*place) is not None:
        ctx.engine.execute(f"drop table {quoted_table_ref(*place)}")
        ctx.catalog.delete_table(*place)
    await _copied(write_disposition=write_disposition, ctx=ctx, **names)


_disposed = executor._apply_load_write_disposition


def _emptied(job: Any, ctx: Any) -> None:
    place = (job.project_id, job.dataset_id, job.table_id)
    if job.write_disposition != "WRITE_TRUNCATE" or not job.raw_config.get("schema"):
        _disposed(job, ctx)
        return
    ctx.engine.execute(f"drop table {quoted_table_ref(*place)}")
    ctx.catalog.delete_table(*place)
    executor._maybe_create_load_destination(
        dest_project=place[0],
        dest_dataset=place[1],
        dest_table_id=place[2],
        load_config=job.raw_config,
        now=ctx.clock.now(),
        ctx=ctx,
    )


_shown = tables._table_to_rest


def _told(meta: Any, *others: Any, **names: Any) -> dict[str, Any]:
    found: dict[str, Any] = _shown(meta, *others, **names)
    if meta.view_query:
        found["view"] = {"query": meta.view_query, "useLegacySql": False}
    return found


executor._copy_table_into_destination = _replaced
executor._apply_load_write_disposition = _emptied
tables._table_to_rest = _told


class _Tokenizer(DuckDB.Tokenizer):
    HEREDOC_STRINGS = ()


# A statement is read some twenty times over on its way, mostly by modules that only look at it.
_LOOKING = ("bqemulator.catalog.ddl_sync", "bqemulator.jobs.", "bqemulator.sql.catalog_schema")
_parse_one = sqlglot.parse_one


@functools.lru_cache(4096)
def _read(sql: str, dialect: str) -> Any:
    return _parse_one(sql, read=dialect)


def _read_once(sql: str, read: Any = None, **options: Any) -> Any:
    if options or not isinstance(read, str):
        return _parse_one(sql, read=read, **options)
    tree = _read(sql, read)
    is_looking = sys._getframe(1).f_globals["__name__"].startswith(_LOOKING)
    return tree if is_looking else tree.copy()


_translate = SQLTranslator.translate


def _translate_once(self: Any, sql: str, **names: Any) -> Any:
    key = (sql, repr(names))
    if key not in _translated:
        _translated[key] = _translate(self, sql, **names)
    return _translated[key]


sqlglot.parse_one = _read_once
SQLTranslator.translate = _translate_once
executor.rewrite_table_refs = functools.lru_cache(4096)(executor.rewrite_table_refs)
DuckDB.tokenizer_class = _Tokenizer
BigQueryGenerator.NULL_ORDERING_SUPPORTED = True
DuckDBGenerator.TYPE_PARAM_SETTINGS = {
    **DuckDBGenerator.TYPE_PARAM_SETTINGS,
    exp.DataType.Type.BIGDECIMAL: ((38, 0), (38, 38)),
}
DuckDBEngine._load_spatial = lambda *_, **__: None

if __name__ == "__main__":
    main()
