"""Known traps of a training query: what trains without an error and is wrong all the same.

Each trap has a short name that stays. ``config(allow=['...'])`` in the model's file silences it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import build_scope
from sqlglot.tokenizer_core import Token, TokenType

from warehouse_ml.definition import ModelDefinition
from warehouse_ml.dialect import dialect_of, parse, start_of
from warehouse_ml.errors import DefinitionError, did_you_mean
from warehouse_ml.lineage import derived_from, window_of
from warehouse_ml.places import SourceText

__all__ = ["TRAPS", "Finding", "allowed", "lint", "lint_rows", "lint_tree"]

TRAPS = {
    "frequency-threshold": "an encoder drops rare categories without being told to",
    "identifier-feature": "a category that hardly ever repeats",
    "label-leak": "a feature is computed from the label",
    "not-replayable": "the wall clock or chance in the query",
    "random-sample": "a sample of the rows",
    "split-null": "rows without a value in the split column",
    "unordered-limit": "LIMIT without an order",
    "unordered-pick": "one row of many is kept, and any will do",
}
"""Every trap by name; two of them, identifier-feature and split-null, are seen on the rows alone."""

_ENCODERS = ("one_hot_encoder", "label_encoder", "multi_hot_encoder")
_NEED_NO_CALL = frozenset({"current_timestamp", "current_date", "current_time", "localtimestamp", "localtime"})
_CLOCKS = _NEED_NO_CALL | {"now", "today", "get_current_timestamp", "get_current_time", "transaction_timestamp"}
_CHANCE = frozenset({"random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval"})


@dataclass(frozen=True)
class Finding:
    """A trap that a model has walked into.

    Parameters
    ----------
    trap : str
        One of ``TRAPS``.
    place : str
        File, line and column.
    what, why, fix : str
        What is written, what comes of it, and what to write instead.
    """

    trap: str
    place: str
    what: str
    why: str
    fix: str

    def __str__(self) -> str:
        silence = f"config(allow=['{self.trap}']) silences this"
        return f"{self.place}: {self.what}: {self.why}\n  fix:  {self.fix}; {silence}"


def lint(definition: ModelDefinition, config: Mapping[str, Any]) -> list[Finding]:
    """Look for the traps that can be seen in a model's statement.

    Parameters
    ----------
    definition : ModelDefinition
    config : mapping
        What the model's file sets; ``allow`` names the traps that are meant.

    Returns
    -------
    list of Finding
        In the order of the file.

    Raises
    ------
    DefinitionError
        If ``allow`` names no trap.
    """
    silent = allowed(config, definition.place)
    tree = parse(definition.source.text, place=definition.place, at=definition.source.at, engine=definition.engine)
    not_features = {definition.split.column, definition.weight_column} - {None}
    found = lint_tree(
        tree,
        definition.source,
        label=definition.label,
        not_features=[str(name) for name in not_features],
        query_start=definition.query_start,
        engine=definition.engine,
    )
    return [finding for finding in found if finding.trap not in silent]


def allowed(config: Mapping[str, Any], place: str) -> frozenset[str]:
    """Return the traps that a model's file silences.

    Raises
    ------
    DefinitionError
        If ``allow`` is no list of names, or names no trap.
    """
    names = config.get("allow", ())
    if isinstance(names, str) or not isinstance(names, Collection):
        raise DefinitionError("allow is a list of names", place=place, has=sorted(TRAPS), hint=f"allow=['{names}']")
    for name in names:
        if name not in TRAPS:
            raise DefinitionError(
                f'allow: no trap is called "{name}"',
                place=place,
                has=sorted(TRAPS),
                hint=did_you_mean(str(name), list(TRAPS)),
            )
    return frozenset(str(name) for name in names)


def lint_tree(
    tree: exp.Expr,
    source: SourceText,
    *,
    label: str,
    not_features: Collection[str] = (),
    query_start: int = 0,
    engine: str = "duckdb",
) -> list[Finding]:
    """Look for traps in a parsed CREATE MODEL statement.

    Parameters
    ----------
    tree : Expr
        The statement, with TRANSFORM if it has one.
    source : SourceText
        The text it was parsed from.
    label : str
    not_features : collection of str
        Columns of the query that are not trained on: split and weight.
    query_start : int
        Where in the text the query starts.
    engine : str
        In whose SQL it is written.
    """
    tokens = dialect_of(engine).tokenize(source.text)
    query = tree.expression if isinstance(tree, exp.Create) else tree
    found: list[tuple[int, str, str, str, str]] = []
    found += _dropped_categories(tree)
    if isinstance(query, exp.Query):
        in_query = [token for token in tokens if token.start >= query_start]
        orders = {start_of(order) for order in query.find_all(exp.Ordered) if order.find(exp.Rand)}
        found += _unordered_limits(query, in_query)
        found += _samples(query, in_query)
        found += _unordered_picks(query)
        found += _clocks_and_chance(in_query, orders)
        found += _leaks(query, label, not_features)
    return [
        Finding(trap, source.at(start or query_start), what, why, fix)
        for start, trap, what, why, fix in sorted(set(found))
    ]


_Found = Iterator[tuple[int, str, str, str, str]]


def _dropped_categories(tree: exp.Expr) -> _Found:
    for transform in tree.find_all(exp.TransformModelProperty):
        for call in transform.find_all(exp.Anonymous):
            name = call.name.lower().removeprefix("ml.")
            if name not in _ENCODERS:
                continue
            # one_hot_encoder(column, drop, top_k, frequency_threshold); the others have no drop.
            n_before = 3 if name == "one_hot_encoder" else 2
            named = {part.name.lower() for part in call.expressions if isinstance(part, (exp.Kwarg, exp.PropertyEQ))}
            if len(call.expressions) > n_before or "frequency_threshold" in named:
                continue
            written = ", ".join(part.sql("duckdb") for part in call.expressions)
            defaults = ", 'none', 32000, 0" if name == "one_hot_encoder" else ", 32000, 0"
            first = call.expressions[0].sql("duckdb") if call.expressions else "column"
            yield (
                start_of(call) or 0,
                "frequency-threshold",
                f"ml.{name}({written}) has no frequency_threshold",
                "its default of 5 encodes a category of fewer than five rows as if it were unknown",
                f"say what is rare: ml.{name}({first}{defaults}) keeps every category",
            )


def _unordered_limits(query: exp.Expr, tokens: list[Token]) -> _Found:
    for limit in query.find_all(exp.Limit, exp.Fetch):
        owner = limit.parent
        if owner is None or isinstance(owner.parent, exp.Exists):
            continue
        order = owner.args.get("order")
        if order is not None and not order.find(exp.Rand):
            continue
        what = "LIMIT without ORDER BY" if order is None else "LIMIT in the order of random()"
        yield (
            _keyword_at(tokens, ("LIMIT", "FETCH"), start_of(limit)),
            "unordered-limit",
            what,
            "which rows are trained on changes from run to run",
            "order by a key, or filter on its hash: where {{ hash_fraction('request_id') }} < 0.1",
        )


def _samples(query: exp.Expr, tokens: list[Token]) -> _Found:
    for sample in query.find_all(exp.TableSample):
        yield (
            _keyword_at(tokens, ("TABLESAMPLE", "USING"), start_of(sample)),
            "random-sample",
            "a random sample",
            "which rows are trained on changes from run to run",
            "filter on a key's hash: where {{ hash_fraction('request_id') }} < 0.1",
        )


def _unordered_picks(query: exp.Expr) -> _Found:
    why = "which of the rows is kept changes from run to run"
    for window in query.find_all(exp.Window):
        if isinstance(window.this, exp.RowNumber) and not window_of(window).args.get("order"):
            what = "row_number() without an order"
            yield (
                start_of(window) or 0,
                "unordered-pick",
                what,
                why,
                "add an ORDER BY that leaves no ties to its window",
            )
    for select in query.find_all(exp.Select):
        distinct = select.args.get("distinct")
        if distinct is not None and distinct.args.get("on") is not None and select.args.get("order") is None:
            what = "DISTINCT ON without ORDER BY"
            yield start_of(distinct) or 0, "unordered-pick", what, why, "order by what says which row to keep"


def _clocks_and_chance(tokens: list[Token], covered: Collection[int | None]) -> _Found:
    for index, token in enumerate(tokens):
        name = token.text.lower()
        if name not in _CLOCKS | _CHANCE or token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            continue
        is_part = index > 0 and tokens[index - 1].token_type in (TokenType.DOT, TokenType.ALIAS)
        is_call = index + 1 < len(tokens) and tokens[index + 1].token_type == TokenType.L_PAREN
        # A LIMIT in random order is told once, as such.
        if is_part or not (is_call or name in _NEED_NO_CALL) or token.start in covered:
            continue
        shown = f"{name}()" if is_call else name
        if name in _CLOCKS:
            why, fix = "the same training at a clock of the past finds other rows", "write {{ as_of }}"
        else:
            why, fix = "no two trainings see the same rows", "use the hash of a key: {{ hash_fraction('request_id') }}"
        yield token.start, "not-replayable", f"{shown} in a training query", why, fix


def _leaks(query: exp.Query, label: str, not_features: Collection[str]) -> _Found:
    try:
        scope = build_scope(query)
        leaks = derived_from(scope, label, not_features) if scope is not None else []
    except SqlglotError:
        return
    for name, projection in leaks:
        yield (
            (start_of(projection) if projection is not None else None) or 0,
            "label-leak",
            f'the feature "{name}" is computed from the columns that make the label "{label}"',
            "what is not known when the model is asked cannot be trained on",
            "leave it out, or compute it from what was known at the time of the request",
        )


def _keyword_at(tokens: list[Token], words: tuple[str, ...], position: int | None) -> int:
    """Return where the last of the words stands before a position; expressions keep the place of their parts only."""
    starts: Callable[[Token], bool] = lambda token: token.text.upper() in words  # noqa: E731
    before = [token.start for token in tokens if starts(token) and (position is None or token.start <= position)]
    return before[-1] if before else position or 0


_ROWS_A_CATEGORY = 2
_FEWEST_ROWS = 20


def lint_rows(
    definition: ModelDefinition,
    config: Mapping[str, Any],
    *,
    n_rows: int,
    n_train: int,
    n_held_out_by_null: int,
    n_categories: Mapping[str, int],
) -> list[Finding]:
    """Look for the traps that only the training rows show.

    Parameters
    ----------
    definition : ModelDefinition
    config : mapping
        As for ``lint``.
    n_rows, n_train : int
    n_held_out_by_null : int
        Rows held out that have no value in the split column.
    n_categories : mapping of str to int
        Distinct values among the training rows of each feature that is a category.
    """
    found = []
    split = definition.split
    if n_held_out_by_null:
        reason = {
            "CUSTOM": "NULL holds a row out, as true does",
            "SEQ": "the latest rows are held out, and NULL counts as latest (BigQuery ML's pages disagree on the end)",
        }.get(split.method, "NULL holds a row out")
        found.append(
            Finding(
                "split-null",
                definition.query_place,
                f"{n_held_out_by_null:,} of {n_rows:,} rows are held out for having no {split.column}",
                reason,
                f"filter them, or say where they belong: coalesce({split.column}, ...)",
            )
        )
    for name, n_values in n_categories.items():
        if n_train >= _FEWEST_ROWS and n_values * _ROWS_A_CATEGORY > n_train:
            found.append(
                Finding(
                    "identifier-feature",
                    definition.query_place,
                    f'the feature "{name}" has {n_values:,} values in {n_train:,} training rows',
                    "a value that does not come again teaches nothing, and new ones are unknown to the model",
                    "leave it out, or cut it down to what repeats",
                )
            )
    silent = allowed(config, definition.place)
    return [finding for finding in found if finding.trap not in silent]
