"""Definitions that a block made which then failed: BigQuery keeps them out of transactions, so they are put back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from warehouse_ml.errors import WmlError
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.bigquery.rewrite import Kind

if TYPE_CHECKING:
    from warehouse_ml.warehouses.bigquery.warehouse import BigQueryWarehouse

__all__ = ["Undo"]


class Undo:
    """How each table and view was before a block defined it.

    A table is copied aside, which moves no bytes and costs nothing; the copy is gone by itself in a day if nobody is
    left to drop it.
    """

    def __init__(self, warehouse: BigQueryWarehouse) -> None:
        self._warehouse = warehouse
        self._steps: dict[Relation, Callable[[], None]] = {}
        self._copies: list[Relation] = []
        self.scratch: set[str] = set()

    def keep(self, kind: Kind) -> None:
        """Remember what a definition is about to replace."""
        relation = kind.relation
        if relation is None or relation in self._steps or kind.action == "ALTER":
            # A column that is added or widened loses nothing.
            return
        there = self._warehouse.table(relation)
        if there is None:
            self._steps[relation] = lambda: self._drop(kind.what, relation)
        elif not kind.replaces:
            return
        elif there.table_type == "VIEW":
            self._steps[relation] = lambda: self._make_view(relation, there.view_query)
        else:
            aside = Relation(f"_wml_before_{uuid.uuid4().hex[:16]}", relation.schema)
            self._warehouse.copy(relation, aside)
            self._copies.append(aside)
            self._warehouse.make_temporary(aside)
            self._steps[relation] = lambda: self._put_back(aside, relation)

    def forget(self) -> None:
        """Keep what was defined."""
        self._steps.clear()
        self.scratch.clear()
        for copy in self._copies:
            with suppress(WmlError):
                self._warehouse.drop(copy)
        self._copies.clear()

    def take_back(self) -> None:
        """Put everything back, the last first.

        Raises
        ------
        WarehouseError
            If something cannot be put back; the rest is, and copies that are still needed are kept for a day.
        """
        scratch, self.scratch = sorted(self.scratch), set()
        for name in scratch:
            with suppress(WmlError):
                self._warehouse.run(f"drop table if exists `{name}`")
        failed: WmlError | None = None
        for step in reversed(list(self._steps.values())):
            try:
                step()
            except WmlError as error:
                failed = failed or error
        if failed is None:
            self.forget()
            return
        self._steps.clear()
        self._copies.clear()
        raise failed

    def _drop(self, what: str, relation: Relation) -> None:
        schema = self._warehouse.dataset(relation.schema)
        self._warehouse.run(f"drop {what.lower()} if exists `{schema}`.`{relation.name}`")

    def _put_back(self, aside: Relation, relation: Relation) -> None:
        there = self._warehouse.table(relation)
        if there is not None and there.table_type == "VIEW":
            self._drop("view", relation)
        self._warehouse.copy(aside, relation)

    def _make_view(self, relation: Relation, query: str | None) -> None:
        schema, there = self._warehouse.dataset(relation.schema), self._warehouse.table(relation)
        if there is not None and there.table_type != "VIEW":
            self._drop("table", relation)
        self._warehouse.run(f"create or replace view `{schema}`.`{relation.name}` as\n{query}")
