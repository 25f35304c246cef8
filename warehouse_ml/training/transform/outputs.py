"""From TRANSFORM's outputs to the features of a model, each of them one number or one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from warehouse_ml.errors import DataError, DefinitionError
from warehouse_ml.scoring import manual, nodes
from warehouse_ml.scoring.features import FittedFeature, Kind, input_kind, kind_of
from warehouse_ml.scoring.spelled import Spelled
from warehouse_ml.training.preprocessing import MAX_CATEGORIES, Family, FeatureColumn
from warehouse_ml.training.transform.freeze import Frozen, Rows, types_of
from warehouse_ml.training.transform.moving import Moved, is_own, mark_own, texts_of
from warehouse_ml.training.transform.statistics import Statistics
from warehouse_ml.transform_clause import TransformItem

__all__ = ["MAX_COLUMNS", "features_of"]

MAX_COLUMNS = 1_000
"""How many features one output may become."""


@dataclass(frozen=True, eq=False)
class _Value:
    """A feature to be: a name and an expression of one row."""

    name: str
    expression: exp.Expr
    item: TransformItem


def features_of(rows: Rows, frozen: Sequence[Frozen], family: Family) -> list[FeatureColumn | FittedFeature]:
    """Return the features of a model.

    Parameters
    ----------
    rows : Rows
    frozen : sequence of Frozen
        The outputs that are features.
    family : str
        ``linear`` or ``trees``.

    Returns
    -------
    list
        In the order of the outputs: what automatic preprocessing is still to fit, and what is fitted already.

        =====================================  =============================================================
        output                                 features
        =====================================  =============================================================
        a number, text, boolean, date...       one
        ``one_hot_encoder``                    linear: one with a column for each category; trees: as below
        ``multi_hot_encoder``, list of texts   ``name[category]``, 0 or 1, for each
        list of numbers                        ``name[1]``, ``name[2]``..., as many as a training row has
        struct                                 ``name.field`` for each, as above
        =====================================  =============================================================

    Raises
    ------
    DefinitionError
        If an output's type cannot be a feature, or two features have one name.
    DataError
        If an output becomes too many features.
    """
    features: list[FeatureColumn | FittedFeature] = []
    plain = [_Value(one.item.name, mark_own(one.expression), one.item) for one in frozen if one.encoded is None]
    made = _from_values(rows, plain, family)
    for one in frozen:
        encoded = one.encoded
        if encoded is None:
            features += made[one.item.name]
        elif encoded.name == "one_hot_encoder" and family == "linear":
            reference = 0 if encoded.dropped is None else encoded.vocabulary.index(encoded.dropped) + 1
            moved = _moved(rows, one.item, encoded.operand)
            features.append(
                FittedFeature(
                    one.item.name,
                    "category",
                    "one_hot",
                    categories=encoded.vocabulary,
                    reference=reference,
                    expression=moved.text,
                    dialect=rows.warehouse.engine,
                    elsewhere=moved.elsewhere,
                )
            )
        else:
            test = _equals if encoded.name == "one_hot_encoder" else _contains
            categories = [category for category in encoded.vocabulary if category != encoded.dropped]
            features += _indicators(rows, one.item, encoded.operand, categories, test, family)
    _check_names(features, rows.place)
    return features


def _from_values(
    rows: Rows, values: Sequence[_Value], family: Family
) -> dict[str, list[FeatureColumn | FittedFeature]]:
    """Return the features of outputs by their names; structs and lists are taken apart first."""
    found: dict[str, list[FeatureColumn | FittedFeature]] = {value.item.name: [] for value in values}
    types = dict(zip(values, _types(rows, values), strict=True))
    values = [part for value in values for part in _fields(value, types[value], rows.warehouse.engine)]
    types = dict(zip(values, _types(rows, values), strict=True))
    statistics = Statistics(rows.warehouse, rows.relation, rows.split_column)
    for value in values:
        if input_kind(types[value]) == "category[]":
            statistics.ask_frequencies(manual.as_texts(value.expression), MAX_CATEGORIES, 0, is_list=True)
        elif input_kind(types[value]) == "number[]":
            statistics.ask_aggregate(_longest(value.expression))
    statistics.run()
    for value in values:
        kind = kind_of(types[value])
        own = found[value.item.name]
        if kind is not None:
            own.append(_column(rows, value, value.name, kind, value.expression))
        elif input_kind(types[value]) == "category[]":
            texts = manual.as_texts(value.expression)
            categories = sorted(statistics.frequencies(texts, MAX_CATEGORIES, 0, is_list=True).categories)
            own += _indicators(rows, value.item, texts, categories, _contains, family, value.name)
        elif input_kind(types[value]) == "number[]":
            longest = statistics.aggregate(_longest(value.expression)).this
            length = 0 if isinstance(longest, exp.Null) else int(longest.name)
            _check_count(rows, value.item, length, value.name, "write out the elements that matter")
            own += [_element(rows, value, position) for position in range(1, length + 1)]
        else:
            raise DefinitionError(
                f'"{value.name}" of TRANSFORM is {types[value]}, which cannot be a feature',
                place=value.item.place,
                has=[
                    "numbers",
                    "booleans",
                    "texts",
                    "DATE",
                    "TIMESTAMP",
                    "lists of numbers or texts",
                    "structs of such",
                ],
                hint="cast it, or leave it out",
            )
    return found


def _types(rows: Rows, values: Sequence[_Value]) -> list[str]:
    return types_of(rows, [(value.expression, value.item) for value in values]) if values else []


def _fields(value: _Value, type_name: str, engine: str) -> list[_Value]:
    """Return the fields of a struct, taken from where it is written out if it is, or else the value itself."""
    struct = value.expression.unnest()
    if isinstance(struct, exp.Struct):
        return [
            _Value(f"{value.name}.{field.this.name}", _of_struct(value.expression, field.expression), value.item)
            for field in struct.expressions
            if isinstance(field, exp.PropertyEQ)
        ]
    if not type_name.upper().startswith(("STRUCT(", "STRUCT<")) or type_name.endswith("]"):
        return [value]
    fields = exp.DataType.build(type_name, dialect=engine).expressions
    return [
        _Value(f"{value.name}.{field.this.name}", _field(value.expression, field.this.name), value.item)
        for field in fields
    ]


def _of_struct(struct: exp.Expr, value: exp.Expr) -> exp.Expr:
    """Return what a field is; of a struct that a user has written, it is the user's as well."""
    return mark_own(value) if is_own(struct) else value


def _field(struct: exp.Expr, name: str) -> exp.Expr:
    dotted = exp.Dot(this=exp.Paren(this=struct.copy()), expression=exp.to_identifier(name, quoted=True))
    return Spelled(this=exp.StructExtract(this=struct.copy(), expression=nodes.text(name)), bigquery=dotted)


def _longest(expression: exp.Expr) -> exp.Expr:
    return exp.Max(
        this=Spelled(
            this=exp.Anonymous(this="LENGTH", expressions=[expression.copy()]),
            bigquery=exp.Anonymous(this="ARRAY_LENGTH", expressions=[expression.copy()]),
        )
    )


def _column(rows: Rows, value: _Value, name: str, kind: Kind, expression: exp.Expr) -> FeatureColumn:
    moved = _moved(rows, value.item, expression)
    return FeatureColumn(name, kind, moved.text, rows.warehouse.engine, moved.elsewhere)


def _moved(rows: Rows, item: TransformItem, expression: exp.Expr, *, is_new: bool = True) -> Moved:
    return texts_of(expression, item, rows.columns, rows.warehouse.engine, is_new=is_new)


def _element(rows: Rows, value: _Value, position: int) -> FeatureColumn:
    listed, place = exp.Paren(this=value.expression.copy()), exp.Literal.number(position)
    element = Spelled(
        this=exp.Anonymous(this="LIST_EXTRACT", expressions=[listed, place]),
        bigquery=exp.Bracket(this=listed.copy(), expressions=[place.copy()], offset=1, safe=True),
    )
    return _column(rows, value, f"{value.name}[{position}]", "number", element)


def _indicators(
    rows: Rows,
    item: TransformItem,
    operand: exp.Expr,
    categories: Sequence[str],
    test: Callable[[exp.Expr, str], exp.Expr],
    family: Family,
    name: str | None = None,
) -> Iterable[FittedFeature]:
    """Return a feature for each category: 1 where a row has it, else 0, and nothing more is done to it."""
    name = name or item.name
    _check_count(rows, item, len(categories), name, "lower top_k, or raise frequency_threshold, of its encoder")
    for category in categories:
        has_it = nodes.case([(test(operand, category), nodes.number(1.0))], nodes.number(0.0))
        moved = _moved(rows, item, has_it, is_new=category == categories[0])
        is_linear = family == "linear"
        yield FittedFeature(
            f"{name}[{category}]",
            "number",
            "standard" if is_linear else "double",
            mean=0.0,
            stddev=1.0 if is_linear else 0.0,
            expression=moved.text,
            dialect=rows.warehouse.engine,
            elsewhere=moved.elsewhere,
        )


def _equals(operand: exp.Expr, category: str) -> exp.Expr:
    return exp.EQ(this=manual.as_text(operand), expression=nodes.text(category))


def _contains(operand: exp.Expr, category: str) -> exp.Expr:
    texts = manual.as_texts(operand)
    return Spelled(
        this=exp.ArrayContains(this=texts, expression=nodes.text(category)),
        bigquery=exp.In(this=nodes.text(category), unnest=exp.Unnest(expressions=[texts.copy()])),
    )


def _check_count(rows: Rows, item: TransformItem, n_columns: int, name: str, hint: str) -> None:
    if n_columns > MAX_COLUMNS:
        raise DataError(
            f'"{name}" of TRANSFORM would become {n_columns:,} columns, more than {MAX_COLUMNS:,}',
            place=item.place,
            hint=hint,
        )


def _check_names(features: Sequence[FeatureColumn | FittedFeature], place: str) -> None:
    seen: set[str] = set()
    for feature in features:
        if feature.name.casefold() in seen:
            raise DefinitionError(
                f'two features would be called "{feature.name}"', place=place, hint="rename an output of TRANSFORM"
            )
        seen.add(feature.name.casefold())
