"""Score the requests that are due, each by the version that had the alias when it was made, and log them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warehouse_ml.catalog import Catalog, Node
from warehouse_ml.columns import named_rows
from warehouse_ml.errors import DataError, did_you_mean
from warehouse_ml.registry import CANDIDATE, CHALLENGER, CHAMPION, Registry, StoredVersion, Version
from warehouse_ml.requests.native import asked_there
from warehouse_ml.requests.stretches import Stretch, stretches_of
from warehouse_ml.requests.widen import widen
from warehouse_ml.scoring import check_columns, score_arrow
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.scoring.stored_sql import REQUEST_COLUMNS
from warehouse_ml.tables import add_columns, all_of, defining, own_layouts, run_file, spooled
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Relation, Warehouse, wml_table

__all__ = [
    "LOG_COLUMNS",
    "REQUEST_COLUMNS",
    "Predicted",
    "ensure_log",
    "log_of",
    "open_log",
    "predict",
    "predict_again",
    "prepare",
]

LOG_COLUMNS = (
    "request_id",
    "model",
    "version",
    "alias",
    "requested_at",
    "logged_at",
    "score",
    "prediction",
    "sample_weight",
    "threshold",
    "definition_hash",
)

_DAY = dt.timedelta(days=1)
_Span = tuple[dt.datetime, dt.datetime]

_DECIDED = LOG_COLUMNS[-2:]
"""What came to the log later: a log of an earlier release may lack them, or have a feature of that name."""

_PENDING = Relation("_wml_pending_requests")
_SCORED = Relation("_wml_scored_rows")


@dataclass(frozen=True)
class Predicted:
    """What one version answered.

    Parameters
    ----------
    model, alias : str
    version : int
    since, until : datetime
        The requests made from ``since`` up to ``until`` were looked at.
    n_requests : int
        Those that were scored now; answered ones are left alone.
    """

    model: str
    alias: str
    version: int
    since: dt.datetime
    until: dt.datetime
    n_requests: int


def log_of(model: str) -> Relation:
    """Return the request log of a model."""
    return wml_table(f"request_log_{model}")


def predict(
    warehouse: Warehouse,
    catalog: Catalog,
    registry: Registry,
    node: Node,
    as_of: dt.datetime,
    *,
    aliases: Sequence[str] = (CHAMPION, CHALLENGER),
) -> list[Predicted]:
    """Score what is due for a model and log it, all or nothing.

    A request is due for the version that was champion, or challenger, when it was made. While there is a canary, its
    share of the requests is its own and not the champion's. Running it again scores nothing again.

    Parameters
    ----------
    warehouse : Warehouse
    catalog : Catalog
    registry : Registry
    node : Node
        The model; its requests must be built.
    as_of : datetime
        Requests made before it are due.
    aliases : sequence of str
        Whose versions answer; one that is left out now answers the same requests later.

    Returns
    -------
    list of Predicted
        One per alias and stretch of time, oldest first; empty when no version has ever served.

    Raises
    ------
    DataError
        If the requests lack a feature of a version, or have one of another type.
    ArtifactError
        If a stored version is not what was published.
    """
    return _answer(warehouse, catalog, registry, node, as_of, stretches_of(registry, node.name, as_of, aliases))


def predict_again(
    warehouse: Warehouse,
    catalog: Catalog,
    registry: Registry,
    node: Node,
    as_of: dt.datetime,
    *,
    version: int,
    among: int,
    spans: Sequence[tuple[dt.datetime, dt.datetime]],
) -> Predicted:
    """Let a version answer past requests that another one answered, so that the two can be compared.

    Logged as a candidate's answers, which nobody was given; requests that it has answered already are left alone.

    Parameters
    ----------
    warehouse, catalog, registry, node, as_of
        As in ``predict``.
    version, among : int
        Who answers, and whose logged requests.
    spans : sequence of (datetime, datetime)
        The requests made from the first up to the second of each; at least one.

    Raises
    ------
    DataError, ArtifactError
        As ``predict``.
    """
    stretches = [Stretch(CANDIDATE, version, since, min(until, as_of), among=among) for since, until in spans]
    done = _answer(warehouse, catalog, registry, node, as_of, stretches)
    since, until = min(span[0] for span in spans), max(span[1] for span in spans)
    return Predicted(node.name, CANDIDATE, version, since, until, sum(row.n_requests for row in done))


def prepare(
    warehouse: Warehouse, catalog: Catalog, registry: Registry, node: Node, as_of: dt.datetime, *, also: Version
) -> None:
    """Make a model's log fit for all that is due and for the answers of one more version, and answer nothing.

    So that ``predict`` and ``predict_again`` may stand in a transaction of an engine that defines nothing in one.
    """
    _opened(warehouse, catalog, registry, node, stretches_of(registry, node.name, as_of, (CHAMPION, CHALLENGER)))
    open_log(warehouse, catalog, registry, node, [also])


def _opened(
    warehouse: Warehouse, catalog: Catalog, registry: Registry, node: Node, stretches: list[Stretch]
) -> tuple[list[Stretch], dict[Stretch, _Span], dict[int, list[str]]]:
    """Return the stretches that have begun, the days of them on which anything is due, and the features asked for."""
    ensure_log(warehouse, catalog, node.name)
    begun = [stretch for stretch in stretches if stretch.since < stretch.until]
    open_days, answered = _open_days(warehouse, requests_of(catalog, node), node.name, begun)
    # A version that answered all it was asked has its columns in the log, and is not read again. Others get theirs
    # also where nothing is due yet: who joins the log may name its columns from the first version on.
    settled = {stretch.version for stretch in answered} - {stretch.version for stretch in open_days}
    asking = {stretch.version for stretch in stretches} - settled
    versions = [version for version in registry.versions(node.name) if version.version in asking]
    return begun, open_days, open_log(warehouse, catalog, registry, node, versions)


def _answer(
    warehouse: Warehouse,
    catalog: Catalog,
    registry: Registry,
    node: Node,
    as_of: dt.datetime,
    stretches: list[Stretch],
) -> list[Predicted]:
    requests = requests_of(catalog, node)
    threshold = float(node.config.get("threshold", 0.5))
    versions = {version.version: version for version in registry.versions(node.name)}
    done = []
    with defining(warehouse):
        begun, open_days, features = _opened(warehouse, catalog, registry, node, stretches)
        with warehouse.transaction():
            for stretch in begun:
                n_requests = 0
                if stretch in open_days:
                    since, until = open_days[stretch]
                    sql = statement(
                        __package__,
                        "pending.sql",
                        warehouse.engine,
                        target=_PENDING,
                        relation=Relation(requests.name),
                        model=node.name,
                        features=features[stretch.version],
                        log=log_of(node.name),
                        stretch=stretch,
                        since=since,
                        until=until,
                    )
                    warehouse.run(sql)
                    n_requests = _count_pending(warehouse)
                if n_requests:
                    stored = registry.load(versions[stretch.version])
                    names = features[stretch.version]
                    _log(warehouse, stored, names, threshold, stretch.alias, as_of, n_requests, requests)
                told = (stretch.alias, stretch.version, stretch.since, stretch.until)
                done.append(Predicted(node.name, *told, n_requests))
    return done


def _open_days(
    warehouse: Warehouse, requests: Node, model: str, stretches: list[Stretch]
) -> tuple[dict[Stretch, _Span], set[Stretch]]:
    """Return the stretches in which not as many requests were answered as asked, and those in which any was.

    The first are cut to the days on which that is so: of a champion of many months, a week's job reads the week.
    """
    found = {stretch: (stretch.since, stretch.until) for stretch in stretches if stretch.among is not None}
    answered: set[Stretch] = set()
    counted = [stretch for stretch in stretches if stretch.among is None]
    if not counted:
        return found, answered
    sql = statement(
        __package__,
        "open_periods.sql",
        warehouse.engine,
        relation=Relation(requests.name),
        log=log_of(model),
        model=model,
        periods=counted,
    )
    for row in named_rows(warehouse.fetch(sql)):
        stretch = counted[row["period"]]
        if row["first_day"] is not None:
            since, until = row["first_day"], row["last_day"] + _DAY
            found[stretch] = (max(stretch.since, since), min(stretch.until, until))
        if row["n_answered"]:
            answered.add(stretch)
    return found, answered


def requests_of(catalog: Catalog, node: Node) -> Node:
    """Return the relation that holds a model's requests."""
    return catalog.node("relation", str(node.config.get("requests", f"{node.name}_requests")))


def open_log(
    warehouse: Warehouse, catalog: Catalog, registry: Registry, node: Node, versions: Sequence[Version]
) -> dict[int, list[str]]:
    """Make a model's request log fit for the answers of versions, and return the features of each.

    Parameters
    ----------
    warehouse, catalog, registry, node
        As in ``predict``.
    versions : sequence of Version

    Raises
    ------
    DataError
        If the requests lack a feature of a version, or have one of another type.
    """
    requests = requests_of(catalog, node)
    features: dict[int, list[str]] = {}
    if not versions:
        return features
    with defining(warehouse):
        ensure_log(warehouse, catalog, node.name)
        columns = warehouse.columns(all_of(warehouse, Relation(requests.name)))
        for version in versions:
            names = features[version.version] = _features(registry.load(version).parameters, columns, requests, version)
            # Also where nothing is due yet: who joins the log may name its columns from the first version on.
            _add_columns(warehouse, node.name, requests, {name: columns[name] for name in names})
    return features


def ensure_log(warehouse: Warehouse, catalog: Catalog, model: str) -> None:
    """Make the model's request log, and the view over all logs, where they are missing or of an earlier release."""
    log = log_of(model)
    is_there = warehouse.exists(log)
    if is_there and {name.lower() for name in warehouse.columns(all_of(warehouse, log))}.issuperset(_DECIDED):
        return
    with defining(warehouse):
        if not is_there:
            warehouse.run(_made_log(warehouse, model))
        _share_logs(warehouse, catalog)


def _share_logs(warehouse: Warehouse, catalog: Catalog) -> None:
    """Make the view over all logs, each of which gets the columns that came with a release."""
    names = [node.name for node in catalog.of_kind("model") if warehouse.exists(log_of(node.name))]
    for name in names:
        add_columns(warehouse, log_of(name), _made_log(warehouse, name))
    logs = [log_of(name) for name in names]
    warehouse.run(statement(__package__, "shared_log.sql", warehouse.engine, logs=logs))


def _made_log(warehouse: Warehouse, model: str) -> str:
    names = {"log": log_of(model), "layout": own_layouts(warehouse)["logs"]}
    return statement(__package__, "create_log.sql", warehouse.engine, **names)


def _log(
    warehouse: Warehouse,
    stored: StoredVersion,
    features: list[str],
    threshold: float,
    alias: str,
    as_of: dt.datetime,
    n_requests: int,
    requests: Node,
) -> None:
    parameters, version = stored.parameters, stored.version
    is_binary = parameters.task == "binary"
    classes = {"negative": parameters.classes[0], "positive": parameters.classes[-1]} if is_binary else {}
    run_file(
        warehouse,
        __package__,
        "append_log.sql",
        {
            "model": version.model,
            "version": version.version,
            "alias": alias,
            "logged_at": as_of,
            "threshold": threshold if is_binary else None,
            "requests": requests.name,
            **classes,
        },
        log=log_of(version.model),
        features=features,
        is_binary=is_binary,
        decided=[name for name in _DECIDED if name not in {feature.lower() for feature in features}],
        scored=_scored(warehouse, stored, n_requests, features),
    )


def _scored(warehouse: Warehouse, stored: StoredVersion, n_requests: int, features: list[str]) -> str:
    """Return a query of the scored rows: the version's own SQL, or the rows beside what the arrays made of them."""
    pending = all_of(warehouse, _PENDING)
    if stored.native is not None:
        return asked_there(warehouse, stored.version, stored.native, features, pending)
    if stored.path(n_requests, engine=warehouse.engine) == "sql":
        scoring = stored.scoring_on(warehouse.engine)
        return statement(__package__, "score.sql", warehouse.engine, source=pending, scoring=scoring)
    with spooled(score_arrow(warehouse, stored.parameters, pending, keep=REQUEST_COLUMNS[:1])) as scores:
        warehouse.load(_SCORED, scores, temporary=True)
    return statement(__package__, "scored_rows.sql", warehouse.engine, pending=_PENDING, scored=_SCORED)


def _features(parameters: Parameters, columns: Mapping[str, str], requests: Node, version: Version) -> list[str]:
    found = {name.lower(): name for name in columns}
    asked = [column for column in parameters.inputs if column.name.lower() not in REQUEST_COLUMNS]
    for feature in asked:
        if feature.name.lower() not in found:
            raise DataError(
                f'no column "{feature.name}", which {version.model}@{version.version} was trained on',
                place=requests.place,
                has=list(columns),
                hint=did_you_mean(feature.name, list(columns)) or "the requests must hold every feature of the model",
            )
    # A text that is a number now, or the other way round, would be scored as something that was never seen.
    check_columns(asked, columns, place=requests.place)
    return [found[feature.name.lower()] for feature in asked]


def _add_columns(warehouse: Warehouse, model: str, requests: Node, columns: Mapping[str, str]) -> None:
    log = log_of(model)
    there = warehouse.columns(all_of(warehouse, log))
    known = {name.lower() for name in there}
    # A later version may ask for a feature that earlier ones did not.
    for name, column_type in columns.items():
        if name.lower() not in known:
            names = {"relation": log, "column": name, "column_type": column_type}
            warehouse.run(statement("warehouse_ml.warehouses", "add_column.sql", warehouse.engine, **names))
    widen(warehouse, log, Relation(requests.name), columns, there)


def _count_pending(warehouse: Warehouse) -> int:
    sql = statement("warehouse_ml.building", "count_rows.sql", warehouse.engine, relation=_PENDING)
    return int(warehouse.fetch(sql)["n_rows"][0].as_py())
