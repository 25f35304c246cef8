"""CREATE MODEL, read: what is trained, on which rows, with which options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.constants import NotConstantError, constant
from warehouse_ml.dialect import dialect_of, parse, start_of
from warehouse_ml.errors import DefinitionError, Place
from warehouse_ml.hparams import HPARAM_FUNCTIONS, Tuning, read_hparam, resolve_tuned
from warehouse_ml.options import MODEL_TYPES, UNLABELLED
from warehouse_ml.places import SourceText
from warehouse_ml.transform_clause import TransformItem, read_transform

__all__ = ["ModelDefinition", "Split", "read_definition"]


@dataclass(frozen=True)
class Split:
    """How rows are held out of training.

    Parameters
    ----------
    method : str
        AUTO_SPLIT, RANDOM, CUSTOM, SEQ or NO_SPLIT.
    column : str or None
        DATA_SPLIT_COL; not a feature.
    eval_fraction, test_fraction : float
        In [0, 1).
    """

    method: str
    column: str | None
    eval_fraction: float
    test_fraction: float


@dataclass(frozen=True)
class ModelDefinition:
    """A CREATE MODEL statement.

    Parameters
    ----------
    name : str
    model_type : str
        Upper case, as BigQuery ML writes it.
    label : str
        The one column of INPUT_LABEL_COLS; empty for a model type without a label (KMEANS, PCA).
    weight_column : str or None
        INSTANCE_WEIGHT_COL; not a feature.
    split : Split
    options : mapping
        Every option of the model type with its value, defaults filled in; keys in upper case.
    query : str
        The SELECT after AS, as written.
    query_start : int
        Where in the rendered file the query starts.
    text : str
        The whole statement, rendered.
    place : str
        The file.
    source : SourceText
        The rendered file, which knows its places in the file.
    transform : tuple of TransformItem
        The items of TRANSFORM; empty without one.
    tuning : Tuning or None
        What is tuned, and how; an option that is tuned has its default above.
    engine : str
        In whose SQL the statement is written.
    """

    name: str
    model_type: str
    label: str
    weight_column: str | None
    split: Split
    options: Mapping[str, Any]
    query: str
    query_start: int
    text: str
    place: str
    source: SourceText = field(repr=False, compare=False)
    transform: tuple[TransformItem, ...] = ()
    tuning: Tuning | None = None
    engine: str = "duckdb"

    def query_at(self, position: int | None) -> str:
        """Return file, line and column of an offset of the query."""
        return self.source.at(None if position is None else self.query_start + position)

    @property
    def query_place(self) -> str:
        """File, line and column of the query's start; found when it is asked for."""
        return self.source.at(self.query_start)


def read_definition(
    text: str, *, name: str, place: str, source: SourceText | None = None, engine: str = "duckdb"
) -> ModelDefinition:
    """Read a rendered model file.

    Parameters
    ----------
    text : str
        One CREATE MODEL statement of the target's SQL.
    name : str
        The file's stem, which the model's name must be.
    place : str
        The file, for errors.
    source : SourceText, optional
        The same text with its places in the template; by default the text is taken for the file's own.
    engine : str
        In whose SQL it is written.

    Raises
    ------
    TemplateError
        If the SQL cannot be parsed.
    DefinitionError
        If it is not CREATE MODEL, or its options are wrong; with file, line and column.
    """
    source = source or SourceText(text, place)
    tree = parse(text, place=place, at=source.at, engine=engine)
    if not isinstance(tree, exp.Create) or tree.kind != "MODEL":
        raise DefinitionError(
            "a file in models/ holds one CREATE MODEL statement",
            place=place,
            hint="create or replace model name options (model_type = '...') as select ...",
        )
    tokens = dialect_of(engine).tokenize(text)
    found = tree.this.name
    if found.lower() != name.lower():
        raise DefinitionError(
            f'the model is called "{found}", the file "{name}"',
            place=source.at(start_of(tree.this)),
            hint="give both the same name",
        )

    def at(word: str) -> Place:
        return partial(source.at, _start_of(tokens, word))

    written, clause = _properties(tree, at)
    transform = () if clause is None else read_transform(clause.expressions, tokens, text, source, engine)
    if tree.expression is None:
        raise DefinitionError("no query: CREATE MODEL ... AS SELECT is missing its SELECT", place=place)
    model_type = written.get("MODEL_TYPE", "")
    if not isinstance(model_type, str):
        raise DefinitionError(
            f"model_type = {'null' if model_type is None else model_type} is not a string",
            place=at("MODEL_TYPE"),
            has=[name.lower() for name in MODEL_TYPES],
        )
    model_type = model_type.upper()
    options, tuning = resolve_tuned(model_type, written, place, places={key: at(key) for key in written})
    start = _query_start(tokens, source)
    start += len(text[start:]) - len(text[start:].lstrip())
    label = _label(options, at("INPUT_LABEL_COLS"))
    _check_projections(tree.expression, source, label.lower())
    return ModelDefinition(
        name=name,
        model_type=model_type,
        label=label,
        weight_column=_optional_name(options.get("INSTANCE_WEIGHT_COL")),
        split=_split(options, written, at("OPTIONS")),
        options=MappingProxyType(options),
        query=text[start:].strip().rstrip(";").rstrip(),
        query_start=start,
        text=text.strip(),
        place=place,
        source=source,
        transform=transform,
        tuning=tuning,
        engine=engine,
    )


def _properties(
    tree: exp.Create, at: Callable[[str], Place]
) -> tuple[dict[str, Any], exp.TransformModelProperty | None]:
    written: dict[str, Any] = {}
    transform = None
    properties = tree.args.get("properties")
    for node in properties.expressions if properties else []:
        if isinstance(node, exp.TransformModelProperty):
            transform = node
            continue
        key = node.name.upper()
        if key in written:
            raise DefinitionError(f"the option {key.lower()} is given twice", place=at(key))
        value = node.args["value"]
        is_named = key == "PARAMS" and isinstance(value, exp.Struct)
        written[key] = _named_values(value, key, at(key)) if is_named else _value(value, key, at(key))
    return written, transform


def _value(node: exp.Expr, key: str, place: Place) -> Any:
    if isinstance(node, exp.Anonymous) and node.name.upper() in HPARAM_FUNCTIONS:
        return read_hparam(node.name, [_value(item, key, place) for item in node.expressions], key, place)
    try:
        return constant(node)
    except NotConstantError as error:
        what = f"the option {key.lower()} needs a constant, not {error.written}"
        raise DefinitionError(what, place=place, hint=error.hint) from None


def _named_values(node: exp.Struct, key: str, place: Place) -> dict[str, Any]:
    """Return the values of a struct by name: ``struct(1.0 as alpha)``."""
    unnamed = [item for item in node.expressions if not isinstance(item, exp.PropertyEQ)]
    if unnamed:
        raise DefinitionError(
            f"{key.lower()} has a value without a name: {unnamed[0].sql('duckdb')}",
            place=place,
            hint=f"{key.lower()} = struct(1.0 as alpha)",
        )
    return {item.this.name: _value(item.expression, key, place) for item in node.expressions}


def _label(options: Mapping[str, Any], place: Place) -> str:
    if options["MODEL_TYPE"] in UNLABELLED:
        return ""
    columns = options.get("INPUT_LABEL_COLS") or ["label"]
    if len(columns) != 1:
        raise DefinitionError(
            f"one label column is needed, {len(columns)} are given",
            place=place,
            has=[str(column) for column in columns],
            hint="input_label_cols = ['...'] with one name; train one model a label",
        )
    return str(columns[0])


def _split(options: Mapping[str, Any], written: Mapping[str, Any], place: Place) -> Split:
    if options["MODEL_TYPE"] in UNLABELLED:
        return Split("NO_SPLIT", None, 0.0, 0.0)
    method = str(options.get("DATA_SPLIT_METHOD") or "AUTO_SPLIT").upper()
    column = _optional_name(options.get("DATA_SPLIT_COL"))
    if method in ("SEQ", "CUSTOM") and column is None:
        raise DefinitionError(
            f"data_split_method = '{method.lower()}' needs data_split_col",
            place=place,
            hint="name the timestamp that orders the rows" if method == "SEQ" else "name a boolean: true is held out",
        )
    if method not in ("SEQ", "CUSTOM") and column is not None and "DATA_SPLIT_METHOD" in written:
        raise DefinitionError(f"data_split_col has no meaning with data_split_method = '{method.lower()}'", place=place)
    evaluation = float(options.get("DATA_SPLIT_EVAL_FRACTION") or 0.0)
    test = float(options.get("DATA_SPLIT_TEST_FRACTION") or 0.0)
    return Split(method, column, evaluation, test)


def _check_projections(query: exp.Expr, source: SourceText, label: str) -> None:
    """Refuse a column selected twice, or the label's own expression under another name."""
    if not isinstance(query, exp.Select):
        return
    seen: dict[str, exp.Expr] = {}
    starts: dict[str, int | None] = {}
    for projection in query.expressions:
        name = projection.alias_or_name.lower()
        if not name or name == "*":
            continue
        if name in seen:
            what = "the label is also a feature" if name == label else "a column is selected twice"
            raise DefinitionError(
                f'{what}: "{projection.alias_or_name}"',
                place=source.at(start_of(projection)),
                hint="select it once, or name the other one",
            )
        seen[name], starts[name] = projection.unalias(), start_of(projection)
    answer = seen.get(label)
    for name, expression in seen.items():
        if name != label and answer is not None and expression == answer:
            raise DefinitionError(
                f'the feature "{name}" is the label "{label}" under another name',
                place=source.at(starts[name]),
                hint="leave it out",
            )


def _optional_name(value: object) -> str | None:
    if isinstance(value, list):
        return str(value[0]) if value else None
    return str(value) if value else None


def _query_start(tokens: list[Token], source: SourceText) -> int:
    """Return where the text after the statement's own AS begins."""
    depth = 0
    for token in tokens:
        if token.token_type == TokenType.L_PAREN:
            depth += 1
        elif token.token_type == TokenType.R_PAREN:
            depth -= 1
        elif depth == 0 and token.token_type == TokenType.ALIAS:
            return token.end + 1
        elif depth == 0 and token.token_type in (TokenType.SELECT, TokenType.WITH, TokenType.FROM):
            break
    raise DefinitionError(
        "AS is missing before the query", place=source.at(token.start), hint="create model ... options (...) as select"
    )


def _start_of(tokens: list[Token], word: str) -> int | None:
    return next((token.start for token in tokens if token.text.upper() == word.upper()), None)
