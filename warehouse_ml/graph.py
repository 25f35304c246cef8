"""The order of things: which file needs which, which come first, and which a selection names."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from warehouse_ml.errors import GraphError, ProjectError, did_you_mean

__all__ = ["Graph", "NodeId"]


@dataclass(frozen=True, order=True)
class NodeId:
    """A node's kind (``relation``, ``model``, ``evaluation``, ``rule``, ``test``) and name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "relation" else f"{self.kind} {self.name}"


class Graph:
    """What needs what.

    Parameters
    ----------
    needs : mapping of node to the nodes it reads
    places : mapping of node to its file, for errors

    Raises
    ------
    GraphError
        If the needs form a cycle; the message walks it, file by file.
    """

    def __init__(self, needs: Mapping[NodeId, Iterable[NodeId]], places: Mapping[NodeId, str]) -> None:
        self._needs = {node: frozenset(read) for node, read in needs.items()}
        self._places = places
        sorter = graphlib.TopologicalSorter({node: sorted(read) for node, read in sorted(self._needs.items())})
        try:
            self._order = tuple(sorter.static_order())
        except graphlib.CycleError as error:
            cycle: list[NodeId] = error.args[1]
            steps = " -> ".join(str(node) for node in reversed(cycle))
            raise GraphError(
                f"a cycle: {steps}",
                place=places.get(cycle[-1]),
                has=[places[node] for node in dict.fromkeys(cycle) if node in places],
                hint="take one of these refs out",
            ) from None
        self._needed_by: dict[NodeId, set[NodeId]] = {node: set() for node in self._needs}
        for node, read in self._needs.items():
            for other in read:
                self._needed_by[other].add(node)

    @property
    def order(self) -> tuple[NodeId, ...]:
        """Every node, each after all that it needs."""
        return self._order

    def needs(self, node: NodeId) -> frozenset[NodeId]:
        """Return what a node reads directly."""
        return self._needs[node]

    def above(self, nodes: Iterable[NodeId]) -> set[NodeId]:
        """Return the nodes and everything they need."""
        return _reach(nodes, self._needs)

    def below(self, nodes: Iterable[NodeId]) -> set[NodeId]:
        """Return the nodes and everything that needs them."""
        return _reach(nodes, self._needed_by)

    def select(self, words: Iterable[str]) -> list[NodeId]:
        """Return the nodes that a selection names, in order.

        Parameters
        ----------
        words : iterable of str
            ``name``, ``+name`` (with all it needs), ``name+`` (with all that needs it) or ``+name+``; several are
            added up. Nothing at all selects everything.

        Raises
        ------
        ProjectError
            If a name is unknown.
        """
        words = list(words)
        if not words:
            return list(self._order)
        chosen: set[NodeId] = set()
        for word in words:
            name = word.strip("+")
            nodes = [node for node in self._order if node.name.lower() == name.lower()]
            if not nodes:
                known = sorted({node.name for node in self._order})
                raise ProjectError(f'nothing is called "{name}"', has=known, hint=did_you_mean(name, known))
            chosen.update(nodes)
            if word.startswith("+"):
                chosen |= self.above(nodes)
            if word.endswith("+"):
                chosen |= self.below(nodes)
        return [node for node in self._order if node in chosen]


def _reach(start: Iterable[NodeId], edges: Mapping[NodeId, Iterable[NodeId]]) -> set[NodeId]:
    reached: set[NodeId] = set()
    waiting = list(start)
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(edges[node])
    return reached
