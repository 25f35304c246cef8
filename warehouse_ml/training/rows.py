"""The training rows: read by the model's own query, marked train or held out, and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.errors import DataError, DefinitionError, SqlError, did_you_mean
from warehouse_ml.functions import Context, expand, placing
from warehouse_ml.scoring.features import kind_of
from warehouse_ml.tables import all_of, one_row, run_file
from warehouse_ml.templates import statement
from warehouse_ml.training.names import check_names
from warehouse_ml.training.transform import Moved, Rows, derived_columns
from warehouse_ml.warehouses.base import Relation, Warehouse

__all__ = ["ROW_HASH", "SPLIT", "TRAINING_ROWS", "RowSummary", "read_training_rows", "refuse_disguised_labels"]

TRAINING_ROWS = Relation("_wml_training_rows")
ROW_HASH = "wml_row_hash"
SPLIT = "wml_split"

_READ = Relation("_wml_read_rows")
_DERIVED = Relation("_wml_derived_rows")
_SAMPLED = Relation("_wml_sampled_rows")
_HASHES = 2**60

# A value that is nearly unique tells every label apart without knowing anything of it.
_ROWS_A_VALUE = 10
_SAMPLE_ROWS = 20_000
_FEWEST_ROWS_SPLIT = 500
_MOST_HELD_OUT = 10_000
# The engine keeps a table of its own for each distinct count of a statement: 300 features at once took a minute.
_BATCH = 8
_EXACT_CORRELATION = 1 - 1e-9


@dataclass(frozen=True)
class RowSummary:
    """What the training rows are.

    Parameters
    ----------
    columns : mapping of name to the warehouse's type
        As the model's query yields them.
    n_rows, n_train, n_eval, n_test : int
    data_hash : str
        Of the rows, whatever their order.
    n_held_out_by_null : int
        Rows held out of training that have no value in DATA_SPLIT_COL.
    derived : mapping of str to Moved
        The label, weight and split column that TRANSFORM makes: expressions by name. The rows have them besides.
    query : str
        What read them: plain SQL of the warehouse.
    n_asked : int
        How many rows the query gave.
    most : int or None
        Of more rows than this a sample is taken.
    """

    columns: dict[str, str]
    n_rows: int
    n_train: int
    n_eval: int
    n_test: int
    data_hash: str
    n_held_out_by_null: int = 0
    derived: Mapping[str, Moved] = field(default_factory=dict)
    query: str = ""
    n_asked: int = 0
    most: int | None = None

    @property
    def is_sample(self) -> bool:
        """Whether the query gave more rows than were taken."""
        return self.most is not None and self.n_asked > self.n_rows

    def told(self) -> str:
        """Return what the user should know of a sample."""
        return (
            f"trained on a sample of {self.n_rows:,} of {self.n_asked:,} rows, chosen by their hash: "
            f"max_training_rows is {self.most:,}"
        )


def read_training_rows(context: Context, definition: ModelDefinition, most: int | None = None) -> RowSummary:
    """Read the rows of a model's query into ``TRAINING_ROWS``, with ``wml_row_hash`` and ``wml_split``.

    The query may ask other models, with ``ml.*`` calls; the context answers them.

    Parameters
    ----------
    context : Context
    definition : ModelDefinition
    most : int, optional
        Of more rows than this a sample is taken, by their hash, before they are split: the same rows give the same
        sample. It has a little less than so many rows, as nobody looks at how many have which hash.

    Raises
    ------
    SqlError
        If the warehouse refuses the query; placed at the model's file and line.
    DefinitionError
        If the label, split or weight column is not selected.
    DataError
        If there is no row to train on, or a label is missing.
    """
    warehouse = context.warehouse
    query = expand(definition.query, context, place=definition.place, at=definition.query_at)
    sql = statement(__package__, "read_rows.sql", warehouse.engine, relation=_READ, query=query.sql)
    with placing(query, warehouse):
        if warehouse.engine == "bigquery":
            check_names(warehouse.columns(query.sql), definition.query_place)
        warehouse.run(sql)
    selected = warehouse.columns(all_of(warehouse, _READ))
    del selected[ROW_HASH]
    n_asked = n_read = _count(warehouse, _READ)
    source = _READ
    if most is not None and n_asked > most:
        source, n_read = _sampled(warehouse, n_asked, most)
    read, derived = _derive(warehouse, definition, selected, source) if definition.transform else (source, {})
    columns = warehouse.columns(all_of(warehouse, read))
    split = definition.split
    label = _named(columns, definition.label, "label column", definition) if definition.label else ""
    split_column = _named(columns, split.column, "data_split_col", definition) if split.column else None
    if split.method == "CUSTOM" and kind_of(columns[str(split_column)]) not in ("boolean", "category"):
        raise DefinitionError(
            f'data_split_col "{split_column}" is {columns[str(split_column)]}, and a custom split needs a boolean',
            place=definition.query_place,
            hint="true holds a row out; a text that says TRAIN, EVAL or TEST will do as well",
        )
    if definition.weight_column:
        weight = _named(columns, definition.weight_column, "instance_weight_col", definition)
        if not _is_number(columns[weight]):
            raise DefinitionError(
                f'instance_weight_col "{weight}" is {columns[weight]}, and a weight is a number',
                place=definition.query_place,
            )
    held_out = split.eval_fraction + split.test_fraction
    run_file(
        warehouse,
        __package__,
        "split.sql",
        {
            "eval_fraction": split.eval_fraction,
            "test_fraction": split.test_fraction,
            "held_out": held_out,
            "n_held_out": _n_held_out(n_read),
        },
        target=TRAINING_ROWS,
        relation=read,
        columns=list(columns),
        method=split.method,
        is_tuned=definition.tuning is not None,
        column_name=split_column,
        is_boolean=kind_of(columns.get(split_column or "", "")) == "boolean",
    )
    for relation in dict.fromkeys((_READ, source, read)):
        warehouse.run(
            statement("warehouse_ml.building", "drop_relation.sql", warehouse.engine, kind="table", relation=relation)
        )
    row = one_row(
        warehouse,
        statement(
            __package__,
            "describe_rows.sql",
            warehouse.engine,
            relation=TRAINING_ROWS,
            label=label,
            split_column=split_column,
        ),
    )
    _check_counts(row, definition, label)
    return RowSummary(
        columns=selected,
        n_rows=row["n_rows"],
        n_train=row["n_train"],
        n_eval=row["n_eval"],
        n_test=row["n_test"],
        data_hash=f"{row['n_rows']:x}-{int(row['data_hash']):x}",
        n_held_out_by_null=row.get("n_held_out_by_null", 0),
        derived=derived,
        query=query.sql,
        n_asked=n_asked,
        most=most,
    )


def _count(warehouse: Warehouse, relation: Relation) -> int:
    sql = statement(__package__, "count_rows.sql", warehouse.engine, relation=relation)
    n_rows: int = one_row(warehouse, sql)["n_rows"]
    return n_rows


def _sampled(warehouse: Warehouse, n_rows: int, most: int) -> tuple[Relation, int]:
    """Take a sample of the rows that were read, by their hash; return where it is, and how many rows it has."""
    # How many have a hash below a bound is chance: four standard deviations less are asked for.
    wanted = max(1.0, most - 4.0 * most**0.5)
    bound = int(wanted / n_rows * _HASHES)
    run_file(warehouse, __package__, "sample.sql", {"bound": bound}, target=_SAMPLED, relation=_READ)
    return _SAMPLED, _count(warehouse, _SAMPLED)


def _n_held_out(n_rows: int) -> int:
    """Return how many rows AUTO_SPLIT holds out."""
    if n_rows < _FEWEST_ROWS_SPLIT:
        return 0
    return n_rows // 5 if n_rows <= 5 * _MOST_HELD_OUT else _MOST_HELD_OUT


def _derive(
    warehouse: Warehouse, definition: ModelDefinition, columns: dict[str, str], source: Relation
) -> tuple[Relation, dict[str, Moved]]:
    """Add the label, weight and split column that TRANSFORM makes; return where they are, and their expressions."""
    roles = {definition.label: "label", definition.weight_column: "weight", definition.split.column: "split column"}
    rows = Rows(warehouse, source, columns, next(iter(columns)), SPLIT, definition.place)
    derived = derived_columns(rows, definition.transform, {name: told for name, told in roles.items() if name})
    if not derived:
        return source, derived
    kept = [name for name in (*columns, ROW_HASH) if name.lower() not in {made.lower() for made in derived}]
    sql = statement(
        "warehouse_ml.training.transform",
        "derived_columns.sql",
        warehouse.engine,
        target=_DERIVED,
        relation=source,
        kept=kept,
        derived={name: made.text for name, made in derived.items()},
    )
    try:
        warehouse.run(sql)
    except SqlError as error:
        told = ", ".join(f'"{name}"' for name in derived)
        raise DataError(f"{told} of TRANSFORM fails on a row: {error.what}", place=definition.place) from None
    return _DERIVED, derived


def refuse_disguised_labels(
    warehouse: Warehouse, definition: ModelDefinition, features: Iterable[str], rows: RowSummary, task: str
) -> None:
    """Refuse a feature that tells the label by itself.

    Raises
    ------
    DataError
        If on the training rows one value of a feature never goes with two labels (and its values repeat), one
        threshold of it parts the labels, or, in a regression, it is the label on another scale.
    """
    listed = [{"name": name, "is_number": _is_number(rows.columns[name])} for name in features]
    if task == "regression":
        listed = [feature for feature in listed if feature["is_number"]]
        file = "disguised_number.sql"
    else:
        file = "disguised_label.sql"
    if not listed:
        return
    # Of a sample by hash no row has a higher one.
    highest = _HASHES * (rows.n_rows / rows.n_asked if rows.is_sample else 1.0)
    # A sample shows what cannot be a disguise; what still may be is looked at on every row.
    for share in (min(1.0, _SAMPLE_ROWS / rows.n_train), 1.0):
        told = []
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            sql = statement(
                __package__, file, warehouse.engine, relation=TRAINING_ROWS, features=batch, label=definition.label
            )
            row = one_row(warehouse, sql, {"most_hash": int(highest * share) if share < 1 else _HASHES})
            told += [
                _is_number_again(row, index) if task == "regression" else _tells_label(row, index, feature, share < 1)
                for index, feature in enumerate(batch)
            ]
        listed = [feature for feature, reason in zip(listed, told, strict=True) if reason]
        if not listed:
            return
    reason = next(reason for reason in told if reason)
    raise DataError(
        f'the feature "{listed[0]["name"]}" gives the label "{definition.label}" away: {reason}',
        place=definition.place,
        hint="leave it out; if it was known at the time of the request, the label needs no model",
    )


def _tells_label(row: dict[str, Any], index: int, feature: dict[str, Any], is_sample: bool) -> str | None:
    values = row[f"n_values_{index}"]
    if row["n_answers"] < 2 or values < 2:
        return None
    if values == row[f"n_pairs_{index}"] and (is_sample or values * _ROWS_A_VALUE <= row["n_rows"]):
        return f"each of its {values:,} values goes with one label only, on {row['n_rows']:,} rows"
    if feature["is_number"] and row["n_answers"] == 2 and row["n_rows"] >= _ROWS_A_VALUE * 2:
        lower_max, upper_min = row[f"lower_max_{index}"], row[f"upper_min_{index}"]
        lower_min, upper_max = row[f"lower_min_{index}"], row[f"upper_max_{index}"]
        if None not in (lower_max, upper_min) and (lower_max < upper_min or lower_min > upper_max):
            return "one threshold of it parts the two labels without an error"
    return None


def _is_number_again(row: dict[str, Any], index: int) -> str | None:
    correlation = row[f"correlation_{index}"]
    if correlation is None or row[f"n_values_{index}"] < _ROWS_A_VALUE or not correlation >= _EXACT_CORRELATION:
        return None
    return f"its correlation with the label is {correlation:.12g}"


def _check_counts(row: dict[str, Any], definition: ModelDefinition, label: str) -> None:
    place = partial(definition.source.at, definition.query_start)
    if not row["n_rows"]:
        raise DataError(
            "the training query returns no rows",
            place=place,
            hint="is --as-of after the first rows? wml query shows what a relation holds",
        )
    if row["n_without_label"]:
        raise DataError(
            f'the label "{label}" is null in {row["n_without_label"]:,} of {row["n_rows"]:,} rows',
            place=place,
            hint=f"train on answers that are known: where {label} is not null",
        )
    if row["n_unknown"]:
        raise DataError(
            f"{row['n_unknown']:,} rows have a {definition.split.column} that is neither TRAIN, EVAL nor TEST",
            place=place,
            hint="give data_split_col one of these, or a boolean",
        )
    if not row["n_train"]:
        raise DataError(
            f"all {row['n_rows']:,} rows are held out, none is left to train on",
            place=place,
            hint="lower data_split_eval_fraction, or use data_split_method = 'no_split'",
        )


def _named(columns: Sequence[str] | dict[str, str], name: str, what: str, definition: ModelDefinition) -> str:
    for column in columns:
        if column.lower() == name.lower():
            return column
    raise DefinitionError(
        f'the {what} "{name}" is not selected',
        place=definition.query_place,
        has=list(columns),
        hint=did_you_mean(name, list(columns)),
    )


def _is_number(type_name: str) -> bool:
    return kind_of(type_name) == "number"
