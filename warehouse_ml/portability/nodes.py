"""Constructs that show in the tree of a statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlglot import exp

from warehouse_ml.portability.names import FUNCTIONS, SHARED_TYPES
from warehouse_ml.portability.tree import Reading

__all__ = ["in_tree"]

Found = Iterator[tuple[str, exp.Expr]]

_INTEGERS = exp.DataType.INTEGER_TYPES
_REALS = {*exp.DataType.FLOAT_TYPES, exp.DataType.Type.DECIMAL, exp.DataType.Type.BIGDECIMAL}
_ROUNDED = (exp.Round, exp.Floor, exp.Ceil, exp.Trunc)
_MONTHS = ("MONTH", "QUARTER", "YEAR", "DECADE", "CENTURY")
_DAYS_OF_WEEK = ("DOW", "DAYOFWEEK", "WEEKDAY")
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_NO_NUMBERS = ("nan", "inf", "infinity", "-inf", "-infinity", "+inf")
_PARTIAL = (exp.Ln, exp.Sqrt, exp.Exp)


def in_tree(reading: Reading) -> Iterator[tuple[str, int]]:
    """Yield the code and offset of each construct that a node tells."""
    for node in reading.nodes:
        for code, at in _of(node, reading):
            yield code, reading.place(at)


def _of(node: exp.Expr, reading: Reading) -> Found:
    for types, look in _LOOKS:
        if isinstance(node, types):
            yield from look(node, reading)
    name = _called(node, reading)
    code = FUNCTIONS[reading.engine].get(name) if name else None
    if code is not None and not (code == "concat" and _never_null(node.iter_expressions())):
        yield code, node
    if name.startswith("safe."):
        yield "google-function", node


def _called(node: exp.Expr, reading: Reading) -> str:
    """Return the name that a function is called by, as written; nothing for what is not called."""
    text = reading.text(node) if isinstance(node, (exp.Func, exp.Window, exp.Filter, exp.Struct, exp.Cast)) else ""
    name, opening, _ = text.partition("(")
    return name.strip().lower() if opening else ""


def _join(node: exp.Expr, reading: Reading) -> Found:
    if str(node.args.get("method") or "").upper() == "ASOF":
        yield "asof-join", node
    kind = f"{node.args.get('kind') or ''} {node.args.get('side') or ''} {node.args.get('method') or ''}".upper()
    if any(word in kind.split() for word in ("SEMI", "ANTI", "POSITIONAL")):
        yield "semi-join", node


def _filter(node: exp.Expr, reading: Reading) -> Found:
    yield "aggregate-filter", node


def _select(node: exp.Expr, reading: Reading) -> Found:
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        yield "distinct-on", distinct
    where = node.args.get("where")
    if where is not None and node.args.get("from_") is None:
        yield "where-without-from", where
    if str(node.args.get("kind") or "").upper() == "STRUCT":
        yield "array-query", node
    yield from _aliases(node, where)
    for projection in node.expressions:
        for part in projection.find_all(exp.Explode, exp.Unnest):
            # `x in unnest(list)` is a condition.
            if part.parent_select is node and not isinstance(part.parent, exp.In):
                yield "unnest-in-select", part


def _aliases(node: exp.Expr, where: exp.Expr | None) -> Found:
    """Find the aliases that are read where the query's own columns alone are known."""
    read_before: set[str] = set()
    made: set[str] = set()
    for projection in node.expressions:
        for column in _bare_columns(projection, node):
            if column.name.lower() in made:
                yield "lateral-alias", column
        read_before |= {column.name.lower() for column in projection.find_all(exp.Column)}
        if isinstance(projection, exp.Alias):
            name = projection.alias.lower()
            # A column of the name comes first on every engine.
            if name not in read_before:
                made.add(name)
    for column in _bare_columns(where, node) if where is not None else ():
        if column.name.lower() in made:
            yield "alias-in-where", column


def _bare_columns(part: exp.Expr, query: exp.Expr) -> Iterator[exp.Column]:
    for column in part.find_all(exp.Column):
        if not column.table and column.parent_select is query:
            yield column


def _order(node: exp.Expr, reading: Reading) -> Found:
    if any(isinstance(item.this, exp.Var) and item.this.name.upper() == "ALL" for item in node.expressions):
        yield "order-by-all", node


def _ordered(node: exp.Expr, reading: Reading) -> Found:
    if not node.args.get("desc") and not node.meta.get("wml_says_nulls") and not isinstance(node.this, exp.Var):
        yield "null-order", node


def _values(node: exp.Expr, reading: Reading) -> Found:
    if not isinstance(node.parent, exp.Insert):
        yield "values-list", node


def _columns(node: exp.Expr, reading: Reading) -> Found:
    yield "columns-star", node


def _lambda(node: exp.Expr, reading: Reading) -> Found:
    yield "lambda", node


def _unnest(node: exp.Expr, reading: Reading) -> Found:
    if reading.engine == "bigquery" and node.args.get("offset"):
        yield "array-query", node
    elif reading.engine == "duckdb" and isinstance(node.parent, (exp.From, exp.Join)):
        yield "unnest-alias", node


def _type(node: exp.Expr, reading: Reading) -> Found:
    written = reading.text(node).lower()
    name = written.partition("(")[0].partition("<")[0].strip()
    if name == "timestamp":
        yield "timestamp-type", node
    elif name and name not in SHARED_TYPES and name.replace(" ", "").isalnum() and not _is_of_call(node):
        yield "type-name", node


def _is_of_call(node: exp.Expr) -> bool:
    # A type is also what the parser makes of a unit or a constructor.
    return not isinstance(node.parent, (exp.Cast, exp.TryCast, exp.DataType, exp.ColumnDef))


def _cast(node: exp.Expr, reading: Reading) -> Found:
    if isinstance(node, exp.TryCast) and "cast" in reading.text(node).lower()[:9]:
        yield "try-cast", node
    value, to = node.this, node.args["to"]
    if isinstance(value, exp.Literal) and value.is_string and value.name.lower() in _NO_NUMBERS:
        yield "not-a-number", node
    bare = value.unnest()
    if to.this in _INTEGERS and not isinstance(bare, (_ROUNDED, exp.Sum)) and _is_real(bare):
        yield "round-to-int", node


def _is_real(node: exp.Expr) -> bool:
    if isinstance(node, exp.Literal):
        return not node.is_string and any(sign in node.name for sign in ".eE")
    return isinstance(node, exp.Div) or (node.type is not None and node.type.this in _REALS)


def _arithmetic(node: exp.Expr, reading: Reading) -> Found:
    if reading.engine == "duckdb" and all(_is_decimal(side) for side in _sides(node)):
        yield "decimal-literals", node


def _sides(node: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    return node.this, node.expression


def _is_decimal(node: exp.Expr) -> bool:
    bare = node.unnest()
    if isinstance(bare, (exp.Add, exp.Sub, exp.Mul)):
        return all(_is_decimal(side) for side in _sides(bare))
    return isinstance(bare, exp.Literal) and not bare.is_string and "." in bare.name and "e" not in bare.name.lower()


def _division(node: exp.Expr, reading: Reading) -> Found:
    divisor = node.expression.unnest()
    if isinstance(divisor, exp.Cast):
        divisor = divisor.this.unnest()
    is_safe = isinstance(divisor, exp.Nullif) or (isinstance(divisor, exp.Literal) and float(divisor.name) != 0)
    if not is_safe:
        yield "division", node


def _partial(node: exp.Expr, reading: Reading) -> Found:
    if not isinstance(node.this, exp.Literal):
        yield "math-domain", node


def _extreme(node: exp.Expr, reading: Reading) -> Found:
    if not _never_null([node.this, *node.expressions]):
        yield "least-greatest", node


def _never_null(values: Iterable[exp.Expr]) -> bool:
    def sure(node: exp.Expr) -> bool:
        bare = node.unnest()
        if isinstance(bare, exp.Neg):
            bare = bare.this
        if isinstance(bare, exp.Coalesce):
            return sure((bare.expressions or [bare.this])[-1])
        return isinstance(bare, (exp.Literal, exp.Boolean))

    return all(sure(node) for node in values)


def _window(node: exp.Expr, reading: Reading) -> Found:
    for part in node.args.get("partition_by") or []:
        if isinstance(part, exp.Div) or (part.type is not None and part.type.this in exp.DataType.FLOAT_TYPES):
            yield "partition-by-double", part
    spec = node.args.get("spec")
    if spec is None or str(spec.args.get("kind")).upper() != "RANGE":
        return
    if any(isinstance(spec.args.get(side), exp.Interval) for side in ("start", "end")):
        yield "range-interval", node


def _interval(node: exp.Expr, reading: Reading) -> Found:
    unit = node.args.get("unit")
    # BigQuery adds months to a date, and says itself that it adds none to an instant.
    if reading.engine == "bigquery":
        return
    if unit is not None and unit.name.upper().rstrip("S") in _MONTHS and isinstance(node.parent, (exp.Add, exp.Sub)):
        yield "interval-month", node.parent


def _extract(node: exp.Expr, reading: Reading) -> Found:
    part = node.this.name.upper()
    if part in _DAYS_OF_WEEK:
        yield "day-of-week", node
    elif part == "WEEK":
        yield "week-number", node
    elif part == "EPOCH":
        yield "epoch", node


def _substring(node: exp.Expr, reading: Reading) -> Found:
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.name == "0":
        yield "substring-zero", node


def _joined(node: exp.Expr, reading: Reading) -> Found:
    for side in _sides(node):
        bare = side.unnest()
        is_number = isinstance(bare, exp.Literal) and not bare.is_string
        if is_number or (bare.type is not None and bare.type.this in exp.DataType.NUMERIC_TYPES):
            yield "implicit-cast", side


def _compared(node: exp.Expr, reading: Reading) -> Found:
    left, right = _sides(node)
    for one, other in ((left, right), (right, left)):
        is_text = isinstance(one, exp.Literal) and one.is_string
        if is_text and other.type is not None and other.type.this in exp.DataType.NUMERIC_TYPES:
            yield "implicit-cast", node


def _bracket(node: exp.Expr, reading: Reading) -> Found:
    indexes = node.expressions
    if reading.engine == "duckdb" and len(indexes) == 1 and not (indexes[0].is_string):
        yield "list-index", node


def _dot(node: exp.Expr, reading: Reading) -> Found:
    is_call = isinstance(node.expression, exp.Func) and isinstance(node.this, (exp.Column, exp.Identifier, exp.Func))
    if is_call and node.this.name.lower() not in ("ml", "safe"):
        yield "method-call", node
    elif is_call and node.this.name.lower() == "safe":
        yield "google-function", node


_LOOKS: tuple[tuple[tuple[type[exp.Expr], ...], Callable[[exp.Expr, Reading], Found]], ...] = (
    ((exp.Join,), _join),
    ((exp.Filter,), _filter),
    ((exp.Select,), _select),
    ((exp.Order,), _order),
    ((exp.Ordered,), _ordered),
    ((exp.Values,), _values),
    ((exp.Columns,), _columns),
    ((exp.Lambda,), _lambda),
    ((exp.Unnest,), _unnest),
    ((exp.DataType,), _type),
    ((exp.Cast,), _cast),
    ((exp.Add, exp.Sub, exp.Mul), _arithmetic),
    ((exp.Div,), _division),
    (_PARTIAL, _partial),
    ((exp.Least, exp.Greatest), _extreme),
    ((exp.Window,), _window),
    ((exp.Interval,), _interval),
    ((exp.Extract,), _extract),
    ((exp.Substring,), _substring),
    ((exp.DPipe,), _joined),
    (_COMPARED, _compared),
    ((exp.Bracket,), _bracket),
    ((exp.Dot,), _dot),
)
