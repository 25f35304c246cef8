"""TRANSFORM as a whole: what it reads, what becomes a feature, and what only names the label, weight or split."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from warehouse_ml.errors import DefinitionError
from warehouse_ml.scalar_sql import columns_in, parse_scalar
from warehouse_ml.scoring.features import FittedFeature, InputColumn, input_kind
from warehouse_ml.scoring.parameters import TransformOutput
from warehouse_ml.training.preprocessing import Family, FeatureColumn, fit_preprocessing
from warehouse_ml.training.transform.freeze import Rows, expand_items, freeze
from warehouse_ml.training.transform.moving import Moved, mark_own, texts_of
from warehouse_ml.training.transform.outputs import features_of
from warehouse_ml.transform_clause import TransformItem

__all__ = ["FittedTransform", "derived_columns", "fit_transform", "inputs_of"]


@dataclass(frozen=True)
class FittedTransform:
    """A TRANSFORM with its statistics in it.

    Parameters
    ----------
    outputs : tuple of TransformOutput
    features : tuple of FittedFeature
        Of the model, automatic preprocessing included.
    inputs : tuple of InputColumn
        The columns that the outputs which are features read, in the order of the query.
    warnings : list of str
    """

    outputs: tuple[TransformOutput, ...]
    features: tuple[FittedFeature, ...]
    inputs: tuple[InputColumn, ...]
    warnings: list[str] = field(default_factory=list)


def fit_transform(
    rows: Rows,
    items: Sequence[TransformItem],
    roles: Collection[str],
    family: Family,
    derived: Mapping[str, Moved],
) -> FittedTransform:
    """Freeze the items of a TRANSFORM over the training rows and fit the features that they are.

    Parameters
    ----------
    rows : Rows
        The training rows, derived columns among them.
    items : sequence of TransformItem
        As ``expand_items`` gives them.
    roles : collection of str
        The label, the weight and the split's column: no features.
    family : str
        ``linear`` or ``trees``.
    derived : mapping of str to Moved
        As ``derived_columns`` gave them, which are frozen already.

    Raises
    ------
    DefinitionError
        If an expression or its type is wrong, or there are no features.
    DataError
        If the training rows have nothing to learn from, or too much.
    """
    taken = {name.casefold() for name in roles}
    frozen = freeze(rows, [item for item in items if item.name not in derived])
    own = [one for one in frozen if one.item.name.casefold() not in taken]
    unfitted = features_of(rows, own, family)
    if not unfitted:
        raise DefinitionError(
            "TRANSFORM leaves no features to train on",
            place=rows.place,
            hint="it names every feature: columns, expressions with a name, or *",
        )
    to_fit = [feature for feature in unfitted if isinstance(feature, FeatureColumn)]
    fitted = iter(
        fit_preprocessing(
            rows.warehouse, rows.relation, to_fit, family, split_column=rows.split_column, place=rows.place
        )
        if to_fit
        else ()
    )
    features = tuple(feature if isinstance(feature, FittedFeature) else next(fitted) for feature in unfitted)
    dialect = rows.warehouse.engine
    moved = {one.item.name: texts_of(mark_own(one.expression), one.item, rows.columns, dialect) for one in frozen}
    moved |= derived
    outputs = tuple(
        TransformOutput(
            item.name,
            item.text,
            moved[item.name].text,
            item.name.casefold() not in taken,
            dialect,
            moved[item.name].elsewhere,
        )
        for item in items
    )
    read = {
        name for output in outputs if output.is_feature for name in columns_in(parse_scalar(output.frozen, dialect))
    }
    read |= {
        name
        for feature in features
        if feature.expression
        for name in columns_in(parse_scalar(feature.expression, dialect))
    }
    inputs = tuple(InputColumn(name, input_kind(kind)) for name, kind in rows.columns.items() if name in read)
    return FittedTransform(outputs, features, inputs, [warning for one in frozen for warning in one.warnings])


def inputs_of(items: Sequence[TransformItem], roles: Collection[str], columns: Collection[str]) -> list[str]:
    """Return the columns that the features among expanded items read, in the order of the query."""
    taken = {name.casefold() for name in roles}
    read = {name for item in items if item.name.casefold() not in taken for name in columns_in(item.expression)}
    return [name for name in columns if name in read]


def derived_columns(rows: Rows, items: Sequence[TransformItem], roles: Mapping[str, str]) -> dict[str, Moved]:
    """Return the label, weight and split column that TRANSFORM makes itself, as expressions of one row by name.

    Parameters
    ----------
    rows : Rows
        What the query returned.
    items : sequence of TransformItem
        As written.
    roles : mapping of str to str
        What each such column is, by its name.

    Raises
    ------
    DefinitionError
        If one needs statistics of other rows, or has the name of a column that a feature reads.
    """
    names = {name.casefold(): name for name in roles}
    expanded = expand_items(items, rows.columns, rows.place)
    made = [item for item in expanded if item.name.casefold() in names and not _is_itself(item)]
    features_read = set(inputs_of(expanded, roles, rows.columns))
    for item in made:
        what = roles[names[item.name.casefold()]]
        place = item.place
        if item.expression.find(exp.Window):
            raise DefinitionError(
                f'the {what} "{item.name}" of TRANSFORM needs statistics of other rows',
                place=place,
                hint="compute it in the query, or from its own row alone",
            )
        replaced = next((name for name in rows.columns if name.casefold() == item.name.casefold()), None)
        if replaced in features_read:
            raise DefinitionError(
                f'the {what} "{item.name}" of TRANSFORM is called as a column that a feature reads',
                place=place,
                hint="give it another name",
            )
    engine = rows.warehouse.engine
    return {
        one.item.name: texts_of(mark_own(one.expression), one.item, rows.columns, engine) for one in freeze(rows, made)
    }


def _is_itself(item: TransformItem) -> bool:
    return isinstance(item.expression, exp.Column) and item.expression.name.casefold() == item.name.casefold()
