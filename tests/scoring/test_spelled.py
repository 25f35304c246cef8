"""Nodes of our own are written by every generator of sqlglot, whatever it has written before they were known."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlglot
from sqlglot import exp, generator

from warehouse_ml.scoring.spelled import Difference, Product, Quotient, Same, Scaled, Spelled, Square, Sum, Unscaled

MOVED = """
sqlglot %s keeps what a generator writes elsewhere than in generator._DISPATCH_CACHE, which scoring/spelled.py empties.
Find where a Generator looks a node up (Generator.__init__, Generator.sql), and let _teach() of scoring/spelled.py reach
it; without that, a project that has printed any SQL before it scores fails with an unknown node.
"""
_EARLY = """
import sqlglot
for dialect in (None, "duckdb", "bigquery"):
    sqlglot.parse_one("a / b", read=dialect).sql(dialect=dialect)
from sqlglot import exp
from warehouse_ml.scoring.spelled import Quotient
quotient = Quotient(this=exp.column("a"), expression=exp.column("b"))
print([quotient.sql(dialect=dialect) for dialect in (None, "duckdb", "bigquery")])
"""


def test_a_generator_that_has_written_before_learns_them() -> None:
    done = subprocess.run([sys.executable, "-c", _EARLY], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['a / b', 'a / b', 'IEEE_DIVIDE(a, b)']", MOVED % sqlglot.__version__ + done.stderr


def test_the_cache_is_where_it_is_looked_for() -> None:
    exp.column("a").sql(dialect="bigquery")
    cache = getattr(generator, "_DISPATCH_CACHE", None)
    is_there = isinstance(cache, dict) and any(kind.__module__.endswith(".bigquery") for kind in cache)
    assert is_there, MOVED % sqlglot.__version__


A, B = exp.column("a"), exp.column("b")


@pytest.mark.parametrize(
    ("node", "duckdb", "bigquery"),
    [
        (Spelled(this=A, bigquery=B), "a", "b"),
        (Quotient(this=A, expression=B), "a / b", "IEEE_DIVIDE(a, b)"),
        (
            Product(this=A, expression=B),
            "a * b",
            "COALESCE(SAFE_MULTIPLY(a, b), SIGN(a) * SIGN(b) * CAST('inf' AS FLOAT64))",
        ),
        (
            Sum(this=A, expression=B),
            "a + b",
            "COALESCE(SAFE_ADD(a, b), SIGN(a) * ABS(SIGN(b)) * CAST('inf' AS FLOAT64))",
        ),
        (
            Difference(this=A, expression=B),
            "a - b",
            "COALESCE(SAFE_SUBTRACT(a, b), SIGN(a) * ABS(SIGN(b)) * CAST('inf' AS FLOAT64))",
        ),
        (Same(this=A, expression=B), "a = b", "a IS NOT DISTINCT FROM b"),
        (Scaled(this=A), "a", "(a * 7.458340731200207e-155)"),
        (Unscaled(this=A), "a", "IEEE_DIVIDE(a, 7.458340731200207e-155)"),
        (
            Square(this=A, n_terms=1),
            "a * a",
            "CASE WHEN ABS(a) <= 1.304e+154 THEN a * a ELSE CAST('inf' AS FLOAT64) END",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, exp.Expr) else "",
)
def test_each_engine_has_its_words(node: exp.Expr, duckdb: str, bigquery: str) -> None:
    assert (node.sql(dialect="duckdb"), node.sql(dialect="bigquery")) == (duckdb, bigquery)
