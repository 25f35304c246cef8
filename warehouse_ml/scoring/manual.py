"""BigQuery ML's manual preprocessing functions as expressions of one row, statistics given.

A number that is NaN or infinite is missing, as everywhere; what is missing stays NULL but for ``imputer``, and for the
encoders, where it is 0.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

from warehouse_ml.scoring import elements, nodes
from warehouse_ml.scoring.spelled import Product, Quotient, Spelled, Square

__all__ = [
    "as_number",
    "as_text",
    "as_texts",
    "bucketize",
    "centred",
    "feature_cross",
    "hash_bucketize",
    "imputer",
    "label_encoder",
    "max_abs_scaler",
    "min_max_scaler",
    "multi_hot_encoder",
    "ngrams",
    "normalizer",
    "one_hot_encoder",
    "polynomial_expand",
]

_FINITE = "wml_finite"
# A sum of this many squares, or powers, is not larger than a double holds, or one of them is infinite.
_MANY = 100_000
_TEXTS = exp.DataType.build("varchar[]", dialect="duckdb")
_NUMBERS = exp.DataType.build("double[]", dialect="duckdb")


def as_number(operand: exp.Expr) -> exp.Expr:
    """Return a number as a double, NULL where it is not finite."""
    if operand.meta.get(_FINITE):
        # Made by one of these functions: a double already.
        return exp.Paren(this=operand.copy()) if isinstance(operand, exp.Binary) else operand.copy()
    value = nodes.double(operand.copy())
    is_finite = exp.LTE(this=exp.Abs(this=value), expression=nodes.number(nodes.LARGEST))
    return nodes.case([(is_finite, value.copy())])


def as_text(operand: exp.Expr) -> exp.Expr:
    """Return a text, an enum among them, as a text."""
    return exp.cast(operand.copy(), exp.DataType.Type.TEXT)


def as_texts(operand: exp.Expr) -> exp.Expr:
    """Return a list of texts."""
    return exp.cast(operand.copy(), _TEXTS)


def centred(operand: exp.Expr, centre: float, scale: float) -> exp.Expr:
    """Return (x - centre) / scale, which is ``standard_scaler`` and ``robust_scaler``; 0 divided by nothing is 0.

    Parameters
    ----------
    operand : exp.Expr
    centre : float
    scale : float
        A scale of 0 makes every number 0.
    """
    number = as_number(operand)
    if scale == 0:
        return _zero(number)
    difference = exp.Paren(this=exp.Sub(this=number, expression=nodes.number(centre))) if centre else number
    return _is_finite(difference if scale == 1 else Quotient(this=difference, expression=nodes.number(scale)))


def min_max_scaler(operand: exp.Expr, low: float, high: float) -> exp.Expr:
    """Return (x - low) / (high - low), held inside [0, 1]; 0 where all training rows have one value."""
    number = as_number(operand)
    if not low < high:
        return _zero(number)
    share = exp.Div(
        this=exp.Paren(this=exp.Sub(this=number, expression=nodes.number(low))), expression=nodes.number(high - low)
    )
    below = exp.LTE(this=number.copy(), expression=nodes.number(low))
    above = exp.GTE(this=number.copy(), expression=nodes.number(high))
    return _is_finite(nodes.case([(below, nodes.number(0.0)), (above, nodes.number(1.0))], share))


def max_abs_scaler(operand: exp.Expr, largest: float) -> exp.Expr:
    """Return x / largest; 0 where all training rows are 0."""
    return centred(operand, 0.0, largest)


def imputer(operand: exp.Expr, filling: float | str) -> exp.Expr:
    """Return the value, or the filling where it is missing."""
    if isinstance(filling, str):
        return exp.Coalesce(this=as_text(operand), expressions=[nodes.text(filling)])
    return _is_finite(exp.Coalesce(this=as_number(operand), expressions=[nodes.number(filling)]))


def bucketize(operand: exp.Expr, points: Sequence[float], output_format: str = "bucket_names") -> exp.Expr:
    """Return the name of the bucket that a number falls into; a bucket is closed below and open above.

    Parameters
    ----------
    operand : exp.Expr
    points : sequence of float
        Ascending; n points part n + 1 buckets.
    output_format : str
        One of ``BUCKET_FORMATS``.
    """
    number = as_number(operand)
    names = [nodes.text(name) for name in _bucket_names(points, output_format)]
    if not points:
        return nodes.case([(_is_there(number), names[0])])
    branches: list[tuple[exp.Expr, exp.Expr]] = [
        (exp.LT(this=number.copy(), expression=nodes.number(point)), name)
        for point, name in zip(points, names, strict=False)
    ]
    branches.append((exp.GTE(this=number.copy(), expression=nodes.number(points[-1])), names[-1]))
    return nodes.case(branches)


def hash_bucketize(operand: exp.Expr, n_buckets: int) -> exp.Expr:
    """Return a bucket in [0, n) that depends on the text alone; without buckets, the hash itself, in [0, 2^60)."""
    digits = exp.Left(this=exp.MD5(this=as_text(operand)), expression=exp.Literal.number(15))
    hexadecimal = exp.DPipe(this=nodes.text("0x"), expression=digits)
    hashed = exp.cast(hexadecimal, exp.DataType.Type.BIGINT)
    return exp.Mod(this=hashed, expression=exp.Literal.number(n_buckets)) if n_buckets else hashed


def label_encoder(operand: exp.Expr, vocabulary: Sequence[str]) -> exp.Expr:
    """Return 1..k in the order of the vocabulary, which ascends by code point; 0 for NULL and what is not in it."""
    return _code(as_text(operand), vocabulary)


def one_hot_encoder(operand: exp.Expr, vocabulary: Sequence[str], dropped: str | None = None) -> exp.Expr:
    """Return a list of one struct(index, value): as ``label_encoder``, and 1, or 0 for the dropped category."""
    value: exp.Expr = nodes.number(1.0)
    if dropped is not None:
        is_dropped = exp.EQ(this=as_text(operand), expression=nodes.text(dropped))
        value = nodes.case([(is_dropped, nodes.number(0.0))], value)
    return exp.Array(expressions=[_struct([("index", _code(as_text(operand), vocabulary)), ("value", value)])])


def multi_hot_encoder(operand: exp.Expr, vocabulary: Sequence[str]) -> exp.Expr:
    """Return a list of struct(index, value), one for each index among the elements, ascending; empty for NULL."""
    element, index = exp.to_identifier("wml_element"), exp.to_identifier("wml_index")
    code, pair = _code(element, vocabulary), _struct([("index", index.copy()), ("value", nodes.number(1.0))])
    codes = _transformed(_or_empty(as_texts(operand)), element, code)
    indexes = exp.Anonymous(this="LIST_SORT", expressions=[exp.Anonymous(this="LIST_DISTINCT", expressions=[codes])])
    known = elements.select([nodes.projection(code.copy(), "wml_index")], elements.of(as_texts(operand), element))
    known.set("distinct", exp.Distinct())
    return Spelled(
        this=_transformed(indexes, index, pair),
        bigquery=elements.listed(elements.select([pair.copy()], exp.Subquery(this=known)), [index]),
    )


def feature_cross(fields: Sequence[tuple[str, exp.Expr]], degree: int) -> exp.Expr:
    """Return a struct of the crossed texts, joined by ``_``; NULL where one of them is.

    Raises
    ------
    ValueError
        If two crosses would have the same name.
    """
    crossed = []
    for picked in _picked(len(fields), range(2, degree + 1), itertools.combinations):
        joined = as_text(fields[picked[0]][1])
        for index in picked[1:]:
            joined = exp.DPipe(this=joined, expression=nodes.text("_"))
            joined = exp.DPipe(this=joined, expression=as_text(fields[index][1]))
        crossed.append(("_".join(fields[index][0] for index in picked), joined))
    return _struct(crossed)


def polynomial_expand(fields: Sequence[tuple[str, exp.Expr]], degree: int) -> exp.Expr:
    """Return a struct of the features and of their products up to a degree, as doubles.

    Raises
    ------
    ValueError
        If two products would have the same name.
    """
    products = []
    for picked in _picked(len(fields), range(1, degree + 1), itertools.combinations_with_replacement):
        product: exp.Expr = as_number(fields[picked[0]][1])
        for index in picked[1:]:
            product = Product(this=product, expression=as_number(fields[index][1]))
        products.append(("_".join(fields[index][0] for index in picked), product))
    return _struct(products)


def ngrams(operand: exp.Expr, sizes: tuple[int, int], separator: str) -> exp.Expr:
    """Return the runs of neighbouring elements, by their start and then by their length; NULL elements are left out."""
    token, start, length = (exp.to_identifier(name) for name in ("wml_token", "wml_start", "wml_length"))
    is_there = exp.Not(this=exp.Is(this=token, expression=exp.Null()))
    tokens = exp.Anonymous(
        this="LIST_FILTER",
        expressions=[as_texts(operand), exp.Lambda(this=is_there, expressions=[token.copy()], colon=True)],
    )
    n_tokens = exp.Anonymous(this="LENGTH", expressions=[tokens])
    last = exp.Sub(this=exp.Add(this=start.copy(), expression=length.copy()), expression=exp.Literal.number(1))
    run = exp.Anonymous(this="LIST_SLICE", expressions=[tokens.copy(), start.copy(), last])
    joined = exp.Anonymous(this="ARRAY_TO_STRING", expressions=[run, nodes.text(separator)])
    left = exp.Add(this=exp.Sub(this=n_tokens.copy(), expression=start.copy()), expression=exp.Literal.number(1))
    lengths = _range(
        exp.Literal.number(sizes[0]), exp.Anonymous(this="LEAST", expressions=[exp.Literal.number(sizes[1]), left])
    )
    runs = _transformed(_range(exp.Literal.number(1), n_tokens), start, _transformed(lengths, length, joined))
    flat = exp.Anonymous(this="FLATTEN", expressions=[runs])
    return Spelled(this=flat, bigquery=elements.ngrams(as_texts(operand), sizes, separator))


def normalizer(operand: exp.Expr, p: float) -> exp.Expr:
    """Return the list divided by its p-norm; a list of zeros stays one, a missing element stays NULL.

    Parameters
    ----------
    operand : exp.Expr
        A list of numbers.
    p : float
        0 (the number of elements that are not 0), 1 and above, or infinity (the largest absolute value).
    """
    element = exp.to_identifier("wml_element")
    numbers = _each(exp.cast(operand.copy(), _NUMBERS), element, as_number(element))
    size: exp.Expr = exp.Abs(this=element.copy())
    if p == 2:
        size = Square(this=element.copy(), n_terms=_MANY)
    elif p == 0:
        size = nodes.case([(exp.NEQ(this=element.copy(), expression=nodes.number(0.0)), nodes.number(1.0))])
    elif p not in (1, float("inf")):
        power = exp.Pow(this=size, expression=nodes.number(p))
        bound = nodes.number((nodes.LARGEST / _MANY) ** (1 / p))
        fits = exp.LTE(this=size.copy(), expression=bound)
        size = Spelled(this=power, bigquery=nodes.case([(fits, power.copy())], nodes.infinity()))
    fold = "MAX" if p == float("inf") else "SUM"
    norm: exp.Expr = Spelled(
        this=exp.Anonymous(this=f"LIST_{fold}", expressions=[_transformed(numbers.copy(), element, size)]),
        bigquery=elements.folded(fold, numbers.copy(), element, size.copy()),
    )
    if p == 2:
        norm = exp.Sqrt(this=norm)
    elif p not in (0, 1, float("inf")):
        norm = exp.Pow(this=norm, expression=nodes.number(1 / p))
    # Division by NULL is NULL, so a list without a size is told apart first.
    divisor = exp.Coalesce(this=exp.Nullif(this=norm, expression=nodes.number(0.0)), expressions=[nodes.number(1.0)])
    return _each(numbers, element, exp.Div(this=element.copy(), expression=divisor))


def _is_finite(node: exp.Expr) -> exp.Expr:
    node.meta[_FINITE] = True
    return node


def _is_there(node: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Is(this=node.copy(), expression=exp.Null()))


def _zero(number: exp.Expr) -> exp.Expr:
    return _is_finite(nodes.case([(_is_there(number), nodes.number(0.0))]))


def _code(text: exp.Expr, vocabulary: Sequence[str]) -> exp.Expr:
    codes = [float(code) for code in range(1, len(vocabulary) + 1)]
    return exp.cast(nodes.lookup(text, list(vocabulary), codes, 0.0), exp.DataType.Type.BIGINT)


def _picked(
    n_fields: int, sizes: range, choose: Callable[[range, int], Iterable[tuple[int, ...]]]
) -> list[tuple[int, ...]]:
    """Return the combinations of every size: by the first field, then by the second, and so on."""
    return sorted(picked for size in sizes for picked in choose(range(n_fields), size))


def _struct(fields: Sequence[tuple[str, exp.Expr]]) -> exp.Struct:
    names = [name.casefold() for name, _ in fields]
    again = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if again is not None:
        raise ValueError(f'two outputs would be called "{again}"')
    pairs = [exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value) for name, value in fields]
    return exp.Struct(expressions=pairs)


def _or_empty(items: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=items, expressions=[exp.Array(expressions=[])])


def _each(items: exp.Expr, element: exp.Identifier, result: exp.Expr) -> exp.Expr:
    """Return the list of what each element becomes."""
    by_query = elements.each(items.copy(), element, result.copy())
    return Spelled(this=_transformed(items, element, result), bigquery=by_query)


def _transformed(items: exp.Expr, element: exp.Expr, result: exp.Expr) -> exp.Expr:
    return exp.Transform(this=items, expression=exp.Lambda(this=result, expressions=[element.copy()], colon=True))


def _range(first: exp.Expr, last: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="GENERATE_SERIES", expressions=[first, last])


def _bucket_names(points: Sequence[float], output_format: str) -> list[str]:
    if output_format == "bucket_names":
        return [f"bin_{index}" for index in range(1, len(points) + 2)]
    told = [_told(point) for point in points]
    if output_format == "bucket_ranges_json":
        bounds = itertools.pairwise(["-Infinity", *told, "Infinity"])
        return [json.dumps({"start": start, "end": end}) for start, end in bounds]
    bounds = itertools.pairwise(["-inf", *told, "+inf"])
    return [f"{'[' if index else '('}{start}, {end})" for index, (start, end) in enumerate(bounds)]


def _told(point: float) -> str:
    return repr(point).removesuffix(".0")
