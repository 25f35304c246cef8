"""What is moved of a TRANSFORM gives the other engine's value for every row, NaN, infinities and NULL among them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlglot import exp

from tests.googlesql.warehouse import GoogleSqlWarehouse
from warehouse_ml.errors import WmlError
from warehouse_ml.places import SourceText
from warehouse_ml.portability import RULES
from warehouse_ml.scalar_sql import Elsewhere
from warehouse_ml.training.transform.moving import Moved, mark_own, texts_of
from warehouse_ml.transform_clause import TransformItem
from warehouse_ml.warehouses.base import Relation, Warehouse
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

INF, NAN = math.inf, math.nan
DOUBLES = [0.0, -0.0, 0.1, 1.0, -2.5, 3.0, 1e-300, 5e-324, 1e308, -1.7e308, 709.9, INF, -INF, NAN, None]
WHOLE = [0, 1, -1, 7, -13, 2**31, 2**53 + 1, 2**62, -(2**62), None]
TEXTS = ["", "a", "b-a", "né😀", "it's", "A%", "a\nb", "back\\slash", "x" * 40, None]
DAYS = [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(2024, 2, 29), dt.date(9999, 12, 31), None]
INSTANTS = [
    dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC),
    dt.datetime(2024, 2, 29, 12, 30, 15, 1, dt.UTC),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC),
    None,
]
N_ROWS = 60


def _column(values: list[Any], step: int, kind: pa.DataType) -> pa.Array:
    # Each pair of values of two columns comes, as their numbers of values have no common factor with the steps.
    return pa.array([values[(row * step + row // len(values)) % len(values)] for row in range(N_ROWS)], kind)


TABLE = pa.table(
    {
        "x": _column(DOUBLES, 1, pa.float64()),
        "y": _column(DOUBLES, 7, pa.float64()),
        "n": _column(WHOLE, 1, pa.int64()),
        "m": _column(WHOLE, 3, pa.int64()),
        "yes": _column([True, False, None], 1, pa.bool_()),
        "no": _column([False, None, True, True], 3, pa.bool_()),
        "word": _column(TEXTS, 1, pa.string()),
        "name": _column(TEXTS, 3, pa.string()),
        "day": _column(DAYS, 1, pa.date32()),
        "seen": _column(INSTANTS, 1, pa.timestamp("us", "UTC")),
        "known": _column(INSTANTS, 2, pa.timestamp("us", "UTC")),
        "row": pa.array(range(N_ROWS)),
    }
)
ROWS = Relation("moved_rows")
TYPES: dict[str, dict[str, str]] = {
    "duckdb": {"double": "double", "int": "bigint", "text": "varchar"},
    "bigquery": {"double": "float64", "int": "int64", "text": "string"},
}


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Warehouse]]:
    found: dict[str, Warehouse] = {"duckdb": DuckDBWarehouse(threads=1), "bigquery": GoogleSqlWarehouse()}
    for warehouse in found.values():
        warehouse.load(ROWS, TABLE)
    yield found
    found["duckdb"].close()


def moved(warehouse: Warehouse, text: str) -> Moved:
    """Return a user's expression on both engines."""
    engine = warehouse.engine
    tree = sqlglot.parse_one(text, read=engine, into=exp.Expr)
    for column in tree.find_all(exp.Column):
        column.this.set("quoted", True)
    statement = f"create model m transform ({text} as made)"
    item = TransformItem("made", tree, text, statement.index(text), SourceText(statement, "m.sql"), (), engine)
    return texts_of(mark_own(tree.copy()), item, warehouse.columns(f"select * from {ROWS.name}"), engine)


def values(warehouse: Warehouse, text: str, rows: range | list[int] | None = None) -> list[Any]:
    """Return what an expression is for each row."""
    where = f" where row in ({', '.join(map(str, rows))})" if rows is not None else ""
    name = "`row`" if warehouse.engine == "bigquery" else '"row"'
    where = where.replace("row in", f"{name} in")
    found = warehouse.fetch(f"select {text} as made from {ROWS.name}{where} order by {name}")
    return found["made"].to_pylist()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        exact = isinstance(one, int) and isinstance(other, int)
        return one == other if exact else bool(one == pytest.approx(other, rel=1e-9, abs=1e-300, nan_ok=True))
    return type(one) is type(other) and bool(one == other)


# A grammar of what is moved, by what an expression is.

_COLUMNS = {
    "double": ["x", "y"],
    "int": ["n", "m"],
    "bool": ["yes", "no"],
    "text": ["word", "name"],
    "date": ["day"],
    "instant": ["seen", "known"],
}
_CONSTANTS = {
    "double": ["0e0", "1e0", "2.5e0", "-1e-3", "1e300", "0.5"],
    "int": ["0", "1", "3", "-7", "1000"],
    "bool": ["true", "false"],
    "text": ["'a'", "''", "'b-a'", "'%'"],
    "date": ["date '2024-01-31'"],
    "instant": [],
}
_DEPTH = 3
_COMPARED = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def expressions(draw: Draw, kind: str, depth: int, engine: str) -> str:
    """Return an expression of a kind, in an engine's SQL; every call is in parentheses."""
    if depth == 0 or (depth < _DEPTH and draw(st.integers(0, 5)) == 0):
        return str(draw(st.sampled_from(_COLUMNS[kind] + _CONSTANTS[kind])))

    def one(of: str) -> str:
        return str(draw(expressions(of, depth - 1, engine)))

    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(_OF_ANY))(draw, one, kind)
    way = draw(st.sampled_from(_WAYS[kind]))
    return f"({way(draw, one, engine)})"


def _choice(draw: Draw, one: Callable[[str], str], kind: str) -> str:
    otherwise = f" else {one(kind)}" if draw(st.booleans()) else ""
    return f"case when {one('bool')} then {one(kind)}{otherwise} end"


def _chosen(draw: Draw, one: Callable[[str], str], kind: str) -> str:
    return f"if({one('bool')}, {one(kind)}, {one(kind)})"


def _matched(draw: Draw, one: Callable[[str], str], kind: str) -> str:
    of = draw(st.sampled_from(["double", "int", "text"]))
    return f"case {one(of)} when {one(of)} then {one(kind)} when {one(of)} then {one(kind)} end"


def _filled(draw: Draw, one: Callable[[str], str], kind: str) -> str:
    return f"coalesce({one(kind)}, {one(kind)})"


_OF_ANY = (_choice, _chosen, _matched, _filled)


def _constant(draw: Draw, kind: str) -> str:
    return str(draw(st.sampled_from(_CONSTANTS[kind])))


def _compare(draw: Draw, one: Callable[[str], str], engine: str) -> str:
    left = draw(st.sampled_from(["double", "double", "int", "text", "date", "instant"]))
    right = draw(st.sampled_from(["double", "int"])) if left in ("double", "int") else left
    return f"{one(left)} {draw(_COMPARED)} {one(right)}"


def _between(draw: Draw, one: Callable[[str], str], engine: str) -> str:
    kind = draw(st.sampled_from(["double", "int", "text"]))
    return f"{one(kind)} {draw(st.sampled_from(['', 'not ']))}between {one(kind)} and {one(kind)}"


def _listed(draw: Draw, one: Callable[[str], str], engine: str) -> str:
    kind = draw(st.sampled_from(["double", "int", "text"]))
    return f"{one(kind)} {draw(st.sampled_from(['', 'not ']))}in ({_constant(draw, kind)}, {_constant(draw, kind)})"


def _is_null(draw: Draw, one: Callable[[str], str], engine: str) -> str:
    return f"{one(draw(st.sampled_from(list(_COLUMNS))))} is {draw(st.sampled_from(['', 'not ']))}null"


def _quotient(draw: Draw, one: Callable[[str], str], engine: str) -> str:
    kinds = st.sampled_from(["double", "int"])
    left, right = one(draw(kinds)), one(draw(kinds))
    if engine == "duckdb":
        return f"{left} / {right}"
    form = draw(st.sampled_from(["safe", "constant", "nullif", "guard"]))
    if form == "safe":
        return f"safe_divide({left}, {right})"
    if form == "guard":
        return f"case when {right} <> 0 then {left} / {right} end"
    return f"{left} / {'2.5' if form == 'constant' else f'nullif({right}, 0)'}"


def _partial(draw: Draw, one: Callable[[str], str], engine: str) -> str:
    name, of = draw(st.sampled_from(["ln", "sqrt", "exp"])), one(draw(st.sampled_from(["double", "int"])))
    guarded = f"case when {of} > 0 then {'ln' if name == 'exp' else name}({of}) end"
    return f"{name}({of})" if engine == "duckdb" else guarded


def _numbers(operators: str) -> Callable[..., str]:
    def written(draw: Draw, one: Callable[[str], str], engine: str) -> str:
        left, right = draw(st.sampled_from([("double", "double"), ("double", "int"), ("int", "double")]))
        return f"{one(left)} {draw(st.sampled_from(operators.split()))} {one(right)}"

    return written


def _called(template: str, *kinds: str) -> Callable[..., str]:
    def written(draw: Draw, one: Callable[[str], str], engine: str) -> str:
        return template.format(*[one(kind) for kind in kinds], **TYPES[engine])

    return written


def _only(engine: str, way: Callable[..., str], otherwise: Callable[..., str]) -> Callable[..., str]:
    return lambda draw, one, of: (way if of == engine else otherwise)(draw, one, of)


_PARTS = ("year", "quarter", "month", "day", "dayofweek")
_WAYS: dict[str, list[Callable[..., str]]] = {
    "bool": [
        _compare,
        _compare,
        _between,
        _listed,
        _is_null,
        _called("{} and {}", "bool", "bool"),
        _called("{} or {}", "bool", "bool"),
        _called("not {}", "bool"),
        _called("{} like 'a%'", "text"),
        _called("{} not like '%a'", "text"),
        _called("starts_with({}, 'b')", "text"),
        _only("duckdb", _called("isnan({})", "double"), _called("is_nan({})", "double")),
    ],
    "double": [
        _numbers("+ - *"),
        _numbers("+ - *"),
        _numbers("+ - *"),
        _quotient,
        _quotient,
        _partial,
        _called("least({}, {})", "double", "double"),
        _called("greatest({}, {})", "double", "int"),
        _called("nullif({}, 0)", "double"),
        _called("abs({})", "double"),
        _called("-({})", "double"),
        *[_called(f"{name}({{}})", "double") for name in ("floor", "ceil", "round", "trunc")],
        _called("cast({} as {double})", "int"),
        _only("duckdb", _called("cast({} as {double})", "bool"), _called("abs({})", "double")),
    ],
    "int": [
        _called("{} + {}", "int", "int"),
        _called("{} - {}", "int", "int"),
        _called("{} * 3", "int"),
        _called("mod({}, 7)", "int"),
        _only("duckdb", _called("{} // -3", "int"), _called("div({}, -3)", "int")),
        _called("abs({})", "int"),
        _called("-({})", "int"),
        _called("nullif({}, 7)", "int"),
        _called("length({})", "text"),
        _called("strpos({}, 'a')", "text"),
        _called("cast({} as {int})", "bool"),
        _called("cast(round({}) as {int})", "double"),
        *[_called(f"extract({part} from {{}})", "date") for part in _PARTS],
        *[_called(f"extract({part} from {{}})", "instant") for part in (*_PARTS, "hour", "minute", "second")],
        _only("duckdb", _called("isodow({})", "instant"), _called("mod(extract(dayofweek from {}) + 5, 7)", "date")),
        _only(
            "duckdb",
            _called("epoch_us({}) - epoch_us({})", "instant", "instant"),
            _called("timestamp_diff({}, {}, microsecond)", "instant", "instant"),
        ),
    ],
    "text": [
        _called("{} || {}", "text", "text"),
        _called("substr({}, 2, 3)", "text"),
        _called("substr({}, 3)", "text"),
        _called("left({}, 2)", "text"),
        _called("replace({}, 'a', '')", "text"),
        _called("replace({}, '-', 'é')", "text"),
        _called("nullif({}, 'a')", "text"),
        _called("cast({} as {text})", "int"),
        _called("cast({} as {text})", "bool"),
        _called("cast({} as {text})", "date"),
    ],
    "date": [_called("cast({} as date)", "instant")],
    "instant": [_called("coalesce({}, {})", "instant", "instant")],
}
_MOVED: dict[str, list[bool]] = {"duckdb": [], "bigquery": []}


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_random_expressions(engines: dict[str, Warehouse], engine: str) -> None:
    source, target = engines[engine], engines["bigquery" if engine == "duckdb" else "duckdb"]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def agree(data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(["double", "double", "int", "bool", "text"]))
        text = data.draw(expressions(kind, _DEPTH, engine))
        both = moved(source, text)
        _MOVED[engine].append(both.elsewhere.expression is not None)
        if both.elsewhere.expression is None:
            return
        note(f"{text}\n{both.elsewhere.expression}")
        rows = _answered(source, both.text)
        if rows is None:
            return
        ours, theirs = values(source, both.text, rows), values(target, both.elsewhere.expression, rows)
        for row, one, other in zip(rows, ours, theirs, strict=True):
            assert same(one, other), (TABLE.slice(row, 1).to_pylist(), one, other)

    agree()
    # What is refused would agree as well.
    assert sum(_MOVED[engine]) > 0.6 * len(_MOVED[engine])


def _answered(warehouse: Warehouse, text: str) -> list[int] | None:
    """Return the rows for which the expression has a value; where there are too many to ask for each, none."""
    try:
        values(warehouse, text)
        return list(range(N_ROWS))
    except WmlError:
        if warehouse.engine == "bigquery":
            return None
    found = []
    for row in range(N_ROWS):
        try:
            values(warehouse, text, [row])
            found.append(row)
        except WmlError:
            pass
    return found or None


# What is not moved, and the rule of portability that says why, if there is one.
REFUSED: dict[str, list[tuple[str, str | None]]] = {
    "duckdb": [
        ("concat(word, name)", "concat"),
        ("m + 0.5", "decimal-literals"),
        ("0.1 + 0.2 = 0.3", "decimal-literals"),
        ("0.1234567890123456789 < x", "decimal-literals"),
        ("upper(word)", None),
        ("lower(word)", None),
        ("trim(word)", None),
        ("reverse(word)", None),
        ("word like 'a_'", None),
        ("cast(x as bigint)", "round-to-int"),
        ("cast(word as double)", None),
        ("try_cast(word as double)", "try-cast"),
        ("cast(x as varchar)", None),
        ("cast(x as float)", None),
        ("cast(seen as varchar)", None),
        ("round(x, 2)", None),
        ("round(n)", None),
        ("n % m", "modulo"),
        ("n // m", "whole-division"),
        ("log(x)", "log"),
        ("power(x, 2)", None),
        ("least(x, y, n)", "least-greatest"),
        ("least(word, name)", "least-greatest"),
        ("substr(word, 0, 2)", "substring-zero"),
        ("strftime(seen, '%H')", "time-text"),
        ("date_trunc('week', seen)", "date-trunc"),
        ("date_diff('day', seen, known)", "date-diff"),
        ("extract(week from seen)", "week-number"),
        ("epoch(seen)", "epoch"),
        ("extract(hour from day)", None),
        ("seen + interval 1 day", None),
        ("day - date '2024-01-01'", None),
        ("regexp_extract(word, 'a')", "regexp-extract"),
        ("regexp_matches(word, 'a')", "regexp-match"),
        ("word || n", "implicit-cast"),
        ("word = n", "implicit-cast"),
        ("word ilike 'a%'", "ilike"),
        ("hash(word)", "hash"),
        ("md5(word)", "digest"),
        ("list_transform([x], lambda i: i)", "list-function"),
        ("string_split(word, '')", "split-part"),
        ("timestamp '2024-01-01 00:00:00' < seen", "timestamp-type"),
        ("timestamptz '2024-01-01 00:00:00 Europe/Paris' < seen", None),
        ("[x, null]", None),
    ],
    "bigquery": [
        ("concat(word, name)", "concat"),
        ("upper(word)", None),
        ("x / y", "division"),
        ("case when x > 0 then x / y end", "division"),
        ("x / nullif(y, 1)", "division"),
        ("ln(x)", "math-domain"),
        ("case when x >= 0 then ln(x) end", "math-domain"),
        ("exp(x)", "math-domain"),
        ("safe_cast(word as float64)", "try-cast"),
        ("cast(x as int64)", "round-to-int"),
        ("timestamp_diff(seen, known, day)", "date-diff"),
        ("timestamp_trunc(seen, week)", "date-trunc"),
        ("extract(week from seen)", "week-number"),
        ("farm_fingerprint(word)", "hash"),
        ("array_length(split(word, 'a'))", "google-function"),
        ("word in unnest(['a'])", None),
        ("regexp_contains(word, 'a')", "regexp-match"),
        (r"word like r'a\\%'", None),
        ("(select max(one) from unnest([1, n]) as one)", None),
    ],
}


@pytest.mark.parametrize(
    ("engine", "text", "code"), [(engine, *case) for engine in REFUSED for case in REFUSED[engine]]
)
def test_what_is_not_known_to_be_the_same_is_refused(
    engines: dict[str, Warehouse], engine: str, text: str, code: str | None
) -> None:
    found = moved(engines[engine], text).elsewhere
    assert found.expression is None
    assert found.place is not None
    assert found.reason is not None
    assert found.place.startswith("m.sql:1:")
    rule = RULES.get(code or "")
    if rule is None:
        assert found == Elsewhere(None, "m.sql:1:27", found.reason)
        assert found.reason.endswith("it is not known to be the same there")
    else:
        assert found.fix == rule.fix
        assert found.reason.endswith(rule.why)


def test_a_refusal_names_the_part_and_where_it_stands(engines: dict[str, Warehouse]) -> None:
    found = moved(engines["duckdb"], "coalesce(concat(word, 'a'), name)").elsewhere
    assert (found.place, found.reason) == (
        "m.sql:1:36",
        "concat(x, y): NULL is passed over on DuckDB, and makes all NULL on BigQuery",
    )


WHOLE_OUTPUTS = {
    "duckdb": ["{'a': x, 'b': word || 'c'}", "[x, y, n]", "string_split(word, '-')", "[word, name]"],
    "bigquery": ["struct(x as a, word || 'c' as b)", "[x, y, n]", "split(word, '-')"],
}


@pytest.mark.parametrize(
    ("engine", "text"), [(engine, text) for engine in WHOLE_OUTPUTS for text in WHOLE_OUTPUTS[engine]]
)
def test_lists_and_structs(engines: dict[str, Warehouse], engine: str, text: str) -> None:
    source, target = engines[engine], engines["bigquery" if engine == "duckdb" else "duckdb"]
    both = moved(source, text)
    assert both.elsewhere.expression is not None
    # BigQuery returns no list with a NULL in it.
    known = [
        row
        for row in range(N_ROWS)
        if all(TABLE[name][row].as_py() is not None for name in ("x", "y", "n", "word", "name"))
    ]
    ours, theirs = values(source, both.text, known), values(target, both.elsewhere.expression, known)
    for one, other in zip(ours, theirs, strict=True):
        parts = [list(found.values()) if isinstance(found, dict) else found for found in (one, other)]
        assert all(same(left, right) for left, right in zip(*parts, strict=True))


_SIDES = [("x", "y"), ("x", "1e0"), ("1e0", "x"), ("x", "n"), ("n", "0.5")]
ALWAYS = [
    *[f"{left} {operator} {right}" for operator in ("=", "<>", "<", "<=", ">", ">=") for left, right in _SIDES],
    *[f"{name}({left}, {right})" for name in ("least", "greatest") for left, right in _SIDES[:3]],
    *[f"x {operator} y" for operator in "+-*"],
    "x between y and 1e0",
    "x not between -2.5e0 and y",
    "x in (1e0, 3)",
    "case x when y then 1 when 1 then 2 else 3 end",
    "nullif(x, 1)",
    "case when x > 0 then ln(x) end",
]
ONLY = {
    "duckdb": [
        "x / y",
        "n / m",
        "x / 2.5",
        "ln(x)",
        "sqrt(x)",
        "exp(x)",
        "ln(n)",
        "n / 0.5",
        "coalesce(x, y) * 1e308 - y",
    ],
    "bigquery": ["safe_divide(x, y)", "safe_divide(n, m)", "x / nullif(y, 0)", "case when y <> 0 then x / y end"],
}


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_nan_and_infinity_beside_every_operator(engines: dict[str, Warehouse], engine: str) -> None:
    source, target = engines[engine], engines["bigquery" if engine == "duckdb" else "duckdb"]
    n_rows = 0
    for text in [*ALWAYS, *ONLY[engine]]:
        both = moved(source, text)
        assert both.elsewhere.expression is not None, text
        # BigQuery stops where a number overflows.
        rows = _answered(source, both.text) or [row for row in range(N_ROWS) if _is_small(row)]
        ours, theirs = values(source, both.text, rows), values(target, both.elsewhere.expression, rows)
        differ = [(row, one, other) for row, one, other in zip(rows, ours, theirs, strict=True) if not same(one, other)]
        assert not differ, (text, both.elsewhere.expression, differ)
        n_rows += len(rows)
    assert n_rows > 30 * len(ALWAYS)


def _is_small(row: int) -> bool:
    """Whether no sum, product or quotient of the row's numbers overflows."""
    sizes = [abs(TABLE[name][row].as_py() or 0.0) for name in ("x", "y")]
    return not any(0 < size < 1e-100 or 1e100 < size < INF for size in sizes)
