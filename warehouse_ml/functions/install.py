"""Predictions for any client of the warehouse: ``select * from predict_late_arrival('some_table')``.

Each model's champion is a table function of the warehouse, in plain SQL, which needs nothing of the toolkit.
"""

from __future__ import annotations

import datetime as dt

from sqlglot import exp

from warehouse_ml.functions.predict import predicted
from warehouse_ml.functions.scored import threshold_of
from warehouse_ml.registry import CHAMPION, Registry, StoredVersion
from warehouse_ml.scoring import compile_scoring, nodes
from warehouse_ml.scoring.native import refuse_native
from warehouse_ml.tables import run_file
from warehouse_ml.templates import statement
from warehouse_ml.warehouses.base import Warehouse

__all__ = ["install_predictions"]

_MARK = "warehouse-ml: "
_ROW = "wml_row"


def install_predictions(warehouse: Warehouse, registry: Registry) -> None:
    """Make ``predict_<model>`` answer with each model's champion, where it does not yet; drop those without one."""
    found = warehouse.table_functions(_MARK)
    if found is None:
        return
    now = dt.datetime.now(dt.UTC)
    models = {version.model for version in registry.versions()}
    champions = {model: champion for model in models if (champion := registry.holder(model, CHAMPION, now))}
    wanted = {
        f"predict_{model}": f"{_MARK}{model}@{champion.version} {champion.artifact_hash}"
        for model, champion in champions.items()
    }
    for model, champion in sorted(champions.items()):
        name = f"predict_{model}"
        if found.get(name) != wanted[name]:
            body = prediction_of_rows(registry.load(champion), warehouse.engine)
            run_file(warehouse, __package__, "install.sql", name=name, body=body, told=wanted[name])
    for name in sorted(found.keys() - wanted.keys()):
        run_file(warehouse, __package__, "uninstall.sql", name=name)


def prediction_of_rows(stored: StoredVersion, engine: str) -> str:
    """Return the query of the columns of ``ml.predict`` over ``wml_input``, which has each row once more as a struct.

    A struct carries columns that nobody knows when the function is made.
    """
    parameters, version = stored.parameters, stored.version
    if stored.native is not None:
        why = f"{version.model}@{version.version}: {refuse_native(stored.native.native).what}"
        return statement(__package__, "too_large.sql", engine, why=why)
    if stored.path(is_stored=True) != "sql":
        name = f"{version.model}@{version.version}"
        why = f'{name} is not scored as SQL: ask wml query "select * from ml.predict(model {version.model}, table ...)"'
        return statement(__package__, "too_large.sql", engine, why=why)
    scored = compile_scoring(
        parameters, exp.to_table(nodes.INPUT), keep=[_ROW], threshold=threshold_of(stored), probabilities=True
    )
    row = exp.Column(this=exp.Star(), table=exp.to_identifier(_ROW, quoted=True))
    columns = [*predicted(parameters, engine=engine), row]
    return nodes.select_from(columns, scored, "wml_scored").sql(dialect=engine, copy=False)
