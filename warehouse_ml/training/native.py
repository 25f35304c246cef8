"""Training by BigQuery ML: the very statement is sent to the warehouse, and what comes of it stays there.

The model is made first, under a name of its own; the version that names it is published after.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.columns import named_rows
from warehouse_ml.definition import ModelDefinition
from warehouse_ml.dialect import dialect_of
from warehouse_ml.errors import DataError, DefinitionError, SqlError, did_you_mean
from warehouse_ml.functions import Context, expand, placing
from warehouse_ml.functions.text import Spliced
from warehouse_ml.options import CLASSIFIERS, OWN
from warehouse_ml.registry import VersionContent
from warehouse_ml.requests.native import asked_of_input
from warehouse_ml.scoring.features import InputColumn, input_kind, kind_of
from warehouse_ml.scoring.native import NativeParameters
from warehouse_ml.tables import one_row
from warehouse_ml.templates import statement
from warehouse_ml.training.names import check_names
from warehouse_ml.training.rows import RowSummary
from warehouse_ml.training.subject import Subject
from warehouse_ml.warehouses.base import Warehouse

__all__ = [
    "check_native",
    "evaluate_native",
    "fit_native",
    "is_native",
    "native_content",
    "native_statement",
    "read_native_rows",
    "refuse_native_training",
]

_MOST_CLASSES = 1_000
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET}
# BigQuery ML averages these over the classes, and our names say so.
_OF_CLASSES = {"precision": "precision_macro", "recall": "recall_macro", "f1_score": "f1_macro"}
_NOT_WEIGHTED = ("LINEAR_REG", "LOGISTIC_REG")


def is_native(definition: ModelDefinition) -> bool:
    """Whether BigQuery ML is to train a model."""
    return definition.options.get("TRAINER") == "BIGQUERY_ML"


def refuse_native_training(definition: ModelDefinition, what: str) -> None:
    """Refuse a command that fits a model here, and throws it away, where BigQuery ML is to train it.

    Raises
    ------
    DefinitionError
        Naming the option.
    """
    if is_native(definition):
        raise DefinitionError(
            f"{what} fits the model here, and trainer = 'bigquery_ml' has BigQuery train it",
            place=_place(definition),
            hint="train it: wml train; or leave trainer out",
        )


def check_native(definition: ModelDefinition, engine: str, target: str) -> None:
    """Refuse what BigQuery ML cannot be sent.

    Raises
    ------
    DefinitionError
        If the target is of another engine, or the statement holds what is not BigQuery ML's or is not read back.
    """
    if engine != "bigquery":
        raise DefinitionError(
            f"trainer = 'bigquery_ml' sends the statement to BigQuery, and the target \"{target}\" is {engine}",
            place=_place(definition),
            hint="name a target of BigQuery: wml train --target bigquery; or leave trainer out, to train it here",
        )
    if definition.tuning is not None:
        raise DefinitionError(
            "trainer = 'bigquery_ml' with num_trials: the trials of a tuning in BigQuery are not read back",
            place=_place(definition, "NUM_TRIALS"),
            hint="leave num_trials out, or trainer, to tune it here",
        )
    if definition.weight_column and definition.model_type in _NOT_WEIGHTED:
        raise DefinitionError(
            f"BigQuery ML has no instance_weight_col in a {definition.model_type.lower()}",
            place=_place(definition, "INSTANCE_WEIGHT_COL"),
            hint="take a boosted tree, leave it out, or leave trainer out, to train it here",
        )


def native_statement(definition: ModelDefinition, query: str, name: tuple[str, ...]) -> str:
    """Return the CREATE MODEL statement that BigQuery is sent: the user's own text but for name and own options.

    Nothing is generated from a tree: TRANSFORM, OPTIONS and comments stand as they are written.

    Parameters
    ----------
    definition : ModelDefinition
    query : str
        The training query; it is the written one unless that asks other models of ours.
    name : tuple of str
        What the model is to be called: project, dataset and model, as far as they are known.
    """
    return _sent(definition, query, name).text


def read_native_rows(context: Context, subject: Subject) -> tuple[RowSummary, NativeParameters]:
    """Count and hash the training rows where they are, and return what is known of the model before it is trained.

    One query reads them; none comes here.

    Raises
    ------
    SqlError
        If the warehouse refuses the query; placed at the model's file and line.
    DefinitionError
        If the label, split or weight column is not selected.
    DataError
        If there is no row to train on, a label is missing, or there are not at least two classes.
    """
    definition, warehouse = subject.definition, context.warehouse
    query = expand(definition.query, context, place=definition.place, at=definition.query_at)
    has_classes = definition.model_type in CLASSIFIERS
    with placing(query, warehouse):
        columns = warehouse.columns(query.sql)
        check_names(columns, definition.query_place)
        label = _selected(columns, definition.label, "label column", definition)
        for name, what in ((definition.split.column, "data_split_col"), (definition.weight_column, "weight column")):
            if name:
                _selected(columns, name, what, definition)
        sql = statement(
            __package__,
            "native_rows.sql",
            warehouse.engine,
            label=label,
            query=query.sql,
            has_classes=has_classes,
            most=_MOST_CLASSES + 2,
        )
        groups = named_rows(warehouse.fetch(sql))
    n_rows = sum(group["n_rows"] for group in groups)
    _check_rows(definition, groups, n_rows)
    classes = tuple(str(group["label"]) for group in groups) if has_classes else ()
    if has_classes and not 2 <= len(classes) <= _MOST_CLASSES:
        raise DataError(
            f'the label "{label}" has {f"more than {_MOST_CLASSES:,}" if classes[2:] else len(classes)} classes',
            place=definition.place,
            hint="a classifier needs from two to a thousand",
        )
    if not has_classes and kind_of(columns[label]) != "number":
        raise DataError(
            f'the label "{label}" is {columns[label]}, and a {definition.model_type.lower()} learns a number',
            place=definition.place,
        )
    data_hash = sum(int(group["data_hash"]) for group in groups)
    rows = RowSummary(
        columns=columns,
        n_rows=n_rows,
        n_train=n_rows,
        n_eval=0,
        n_test=0,
        data_hash=f"{n_rows:x}-{data_hash:x}",
        query=query.sql,
        n_asked=n_rows,
    )
    task = ("binary" if len(classes) == 2 else "multiclass") if has_classes else "regression"
    parameters = NativeParameters(
        name=(*subject.dataset, definition.name),
        model_type=definition.model_type,
        task=task,
        label=label,
        label_type=columns[label],
        classes=classes,
        input_columns=_inputs(definition, columns),
    )
    return rows, parameters


def fit_native(warehouse: Warehouse, definition: ModelDefinition, rows: RowSummary, name: tuple[str, ...]) -> None:
    """Let BigQuery ML train a model of a name that no version has.

    Raises
    ------
    SqlError, WarehouseError
        What BigQuery has against it, at its place in the definition's file.
    """
    sent = _sent(definition, rows.query, name)
    try:
        warehouse.run(sent.text)
    except SqlError as error:
        source, at = definition.source, error.position
        start = -1 if error.sql is None else error.sql.find(sent.text)
        if at is None or start < 0:
            raise error.placed(definition.place) from None
        position = sent.origin(at - start)
        raise SqlError(
            error.what,
            sql=source.text,
            line=source.text.count("\n", 0, position) + 1,
            position=position,
            place=source.at(position),
            has=error.has,
            hint=error.hint,
        ) from None


def evaluate_native(warehouse: Warehouse, parameters: NativeParameters, threshold: float) -> dict[str, float | None]:
    """Return the metrics that BigQuery ML gives of a model it trained, under the names that they have here."""
    sql = statement(__package__, "native_evaluate.sql", warehouse.engine, native=parameters.native, threshold=threshold)
    row = one_row(warehouse, sql)
    renamed = _OF_CLASSES if parameters.task == "multiclass" else {}
    return {
        renamed.get(name, name): None if value is None else float(value)
        for name, value in row.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def native_content(
    definition: ModelDefinition,
    rows: RowSummary,
    parameters: NativeParameters,
    threshold: float,
    files: Mapping[str, str],
    warnings: list[str],
) -> VersionContent:
    """Return the version's content: its definition and query, and of the model itself its name in BigQuery."""
    name, asking = ".".join(parameters.native), asked_of_input(parameters)
    facts: dict[str, Any] = {
        "native": parameters.told(),
        "options": dict(definition.options),
        "split": {
            "method": definition.split.method,
            "column": definition.split.column,
            # BigQuery ML holds rows out by itself, and does not say how many.
            "n_train": rows.n_train,
            "n_eval": 0,
            "n_test": 0,
        },
        "columns": rows.columns,
        "threshold": threshold,
        "files": dict(files),
        "scoring_path": "native",
        "training_info": [],
        "warnings": warnings,
    }
    return VersionContent(
        parameters=parameters,
        definition=definition.text + "\n",
        scoring_sql=f"-- The parameters are in BigQuery, as the model `{name}`, which is asked like this:\n{asking}\n",
        snapshot=None,
        facts=facts,
        training_query=rows.query.strip() + "\n",
    )


def _check_rows(definition: ModelDefinition, groups: list[dict[str, Any]], n_rows: int) -> None:
    place = partial(definition.source.at, definition.query_start)
    if not n_rows:
        raise DataError(
            "the training query returns no rows",
            place=place,
            hint="is --as-of after the first rows? wml query shows what a relation holds",
        )
    n_without_label = sum(group["n_without_label"] for group in groups)
    if n_without_label:
        raise DataError(
            f'the label "{definition.label}" is null in {n_without_label:,} of {n_rows:,} rows',
            place=place,
            hint=f"train on answers that are known: where {definition.label} is not null",
        )


def _inputs(definition: ModelDefinition, columns: Mapping[str, str]) -> tuple[InputColumn, ...]:
    """Return the columns that ML.PREDICT must be given: those that are trained on, or that TRANSFORM reads."""
    roles = {name.lower() for name in (definition.label, definition.split.column, definition.weight_column) if name}
    items = [item for item in definition.transform if item.name.lower() not in roles]
    read = {column.name.lower() for item in items for column in item.expression.find_all(exp.Column)}
    label = definition.label.lower()
    has_star = any(isinstance(item.expression, exp.Star) for item in items)
    reads_all = not definition.transform or has_star
    return tuple(
        InputColumn(name, input_kind(type_name))
        for name, type_name in columns.items()
        if (reads_all and name.lower() not in roles) or (name.lower() in read and name.lower() != label)
    )


def _sent(definition: ModelDefinition, query: str, name: tuple[str, ...]) -> Spliced:
    """Return the statement that is sent, which knows where in the file each character of it stands."""
    text, end = definition.source.text, definition.query_start
    tokens = [token for token in dialect_of("bigquery").tokenize(text) if token.start < end]
    start = _after_name(tokens)
    at = tokens[start].start
    parts = [Spliced.generated(f"create model {_quoted(name)}\n", at)]
    for first, last in _own_options(tokens, start):
        parts.append(Spliced.copied(text[at:first], at))
        at = last
    parts.append(Spliced.copied(text[at:end], at))
    is_written = text.startswith(query, end)
    parts.append(Spliced.copied(query, end) if is_written else Spliced.generated(query, end))
    return Spliced.joined(parts)


def _after_name(tokens: list[Token]) -> int:
    """Return the place, among the tokens of a statement, of the first one behind the model's name."""
    place = next(place for place, token in enumerate(tokens) if token.text.upper() == "MODEL") + 1
    if [token.text.upper() for token in tokens[place : place + 3]] == ["IF", "NOT", "EXISTS"]:
        place += 3
    while tokens[place + 1].token_type == TokenType.DOT:
        place += 2
    return place + 1


def _own_options(tokens: list[Token], start: int) -> list[tuple[int, int]]:
    """Return where the options of ours stand in the text, each with a comma beside it; from offset to offset."""
    depth, begins, opened = 0, [], None
    for place in range(start, len(tokens)):
        token = tokens[place]
        if opened is None:
            is_options = depth == 0 and token.token_type == TokenType.L_PAREN
            if is_options and tokens[place - 1].text.upper() == "OPTIONS":
                opened, begins = place, [place]
        elif depth == 1 and token.token_type in (TokenType.COMMA, TokenType.R_PAREN):
            begins.append(place)
            if token.token_type == TokenType.R_PAREN:
                break
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
    is_own = [tokens[place + 1].text.upper() in OWN for place in begins[:-1]]
    cut = []
    # Before the first option that stays, the comma behind goes as well; else the one in front.
    stays = is_own.index(False) if False in is_own else len(is_own)
    for number, own in enumerate(is_own):
        if own and number < stays:
            cut.append((tokens[begins[number]].end + 1, tokens[begins[number + 1]].end + 1))
        elif own:
            cut.append((tokens[begins[number]].start, tokens[begins[number + 1]].start))
    return cut


def _quoted(name: tuple[str, ...]) -> str:
    return ".".join(exp.to_identifier(part, quoted=True).sql(dialect="bigquery") for part in name)


def _place(definition: ModelDefinition, option: str = "TRAINER") -> str:
    tokens = dialect_of(definition.engine).tokenize(definition.source.text)
    start = next((token.start for token in tokens if token.text.upper() == option), None)
    return definition.source.at(start)


def _selected(columns: Mapping[str, str], name: str, what: str, definition: ModelDefinition) -> str:
    found = {column.lower(): column for column in columns}.get(name.lower())
    if found is None:
        made = any(item.name.lower() == name.lower() for item in definition.transform)
        raise DefinitionError(
            f'the {what} "{name}" is not selected{", it is made by TRANSFORM" if made else ""}',
            place=definition.query_place,
            has=list(columns),
            hint="with trainer = 'bigquery_ml' the query itself selects it"
            if made
            else did_you_mean(name, list(columns)),
        )
    return found
