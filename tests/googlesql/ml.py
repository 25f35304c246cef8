"""GoogleSQL's reference implementation with a catalog of BigQuery ML beside it, and models that are played.

`create model`, `ml.evaluate` and `ml.predict` are analysed as they are sent: names, arguments, TRANSFORM, OPTIONS and
the columns that come out. What a model answers is an expression that the test gives, evaluated by the reference
implementation in place of the call. Of Google's training nothing is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlglot.tokenizer_core import Token, TokenType
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.public import type_pb2

from tests.googlesql.engine import Content, GoogleSqlError, Name, googlesql
from tests.googlesql.values import type_of_arrow
from tests.googlesql.warehouse import GoogleSqlWarehouse, _Statement
from warehouse_ml.dialect import WmlBigQuery
from warehouse_ml.errors import WarehouseError

_RELATION, _MODEL, _ARBITRARY, _FIXED = 9, 11, 8, 0
_OPTIONAL = 2
_FIXED_OUTPUT = 1
_ANALYTIC = 3
DATASET = "shop"
"""The target's own dataset."""

_SCALERS = ("standard_scaler", "min_max_scaler", "max_abs_scaler")

BINARY = ("precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc")
REGRESSION = (
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance",
)
"""What ML.EVALUATE returns, in the order of Google's page."""

_LEARNED = {
    "weights": "select 'amount' as processed_input, 2.5e0 as weight,"
    " cast(null as array<struct<category string, weight float64>>) as category_weights",
    "global_explain": "select 'amount' as feature, 0.75e0 as attribution union all select 'visits', 0.25e0",
    "training_info": "select 0 as training_run, 0 as iteration, 0.5e0 as loss, 0.6e0 as eval_loss,"
    " cast(null as float64) as learning_rate, 1200 as duration_ms",
}
"""What the functions return that only a model is given to."""


@dataclass
class Played:
    """A model that was made.

    Parameters
    ----------
    label : str
    query : str
        Its training query.
    answer : str or dict of str to str
        Expressions over the columns that are asked with: the probability of the higher label, or the value. Of several
        classes, the probability of each, by the label as it is written in SQL.
    is_classifier : bool
    """

    label: str
    query: str
    answer: str | dict[str, str]
    is_classifier: bool


class MlWarehouse(GoogleSqlWarehouse):
    """The warehouse of the other tests, with models.

    Parameters
    ----------
    answers : mapping of str to str or dict
        What the models of a label answer, by label: see ``Played``.

    Attributes
    ----------
    models : dict of str to Played
        Those that are there, by name.
    sent : list of str
        The CREATE MODEL statements.
    dropped, exported : list of str
        What was taken away, and what was exported where.
    on_make : callable or None
        Called once, when a model has been asked for and is not there yet.
    """

    def __init__(self, answers: Mapping[str, str | dict[str, str]], **named: Any) -> None:
        super().__init__(**named)
        self.models: dict[str, Played] = {}
        self.sent: list[str] = []
        self.dropped: list[str] = []
        self.exported: list[str] = []
        self.on_make: Callable[[], object] | None = None
        self._answers = answers

    def _find(self, name: Name) -> Content:
        # What a statement does not say a dataset of is in the target's own, which others may name.
        return super()._find(name[1:] if name[0] == DATASET else name)

    def _run(self, statement: _Statement, parameters: dict[str, Any]) -> None:
        words = [token.text.lower() for token in statement.tokens[:4]]
        if words[:2] == ["create", "model"]:
            self._make(statement)
            return
        if words == ["drop", "model", "if", "exists"]:
            googlesql().analyze(statement.sql, {}, None)
            name = _name_at(statement.tokens, 4)
            self.dropped += [name] if self.models.pop(name, None) is not None else []
            return
        if words[:2] == ["export", "model"]:
            googlesql().analyze(statement.sql, {}, None)
            name = _name_at(statement.tokens, 2)
            if name not in self.models:
                raise WarehouseError(f"Not found: Model {name}")
            self.exported.append(f"{name} {statement.sql.partition('uri')[2]}")
            return
        played = self._played(statement.sql, parameters)
        super()._run(_Statement(played), parameters)

    def _evaluate(self, query: str, parameters: Mapping[str, Any] | None) -> Content:
        return super()._evaluate(self._played(query, parameters), parameters)

    def _make(self, statement: _Statement) -> None:
        self.sent.append(statement.sql)
        tokens = WmlBigQuery().tokenize(statement.sql)
        if self._depth:
            raise GoogleSqlError("create model: no permanent definition inside of a transaction")
        self._analyze(statement.sql, None)
        if (asked := self.on_make) is not None:
            self.on_make = None
            asked()
        name = _name_at(tokens, 2)
        if name in self.models:
            raise WarehouseError(f"Already Exists: Model {name}")
        depth, query = 0, ""
        for token in tokens:
            depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
            if depth == 0 and token.token_type == TokenType.ALIAS:
                query = statement.sql[token.end + 1 :]
                break
        texts = [token.text for token in tokens]
        label = texts[texts.index("input_label_cols") + 3]
        assert super()._evaluate(query, None).rows, "nothing to train on"
        model_type = texts[texts.index("model_type") + 2]
        is_classifier = not model_type.endswith(("linear_reg", "regressor"))
        self.models[name] = Played(label, query, self._answers[label], is_classifier)

    def _analyze(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None,
        model: str | None = None,
        asked: Content | None = None,
        explained: Sequence[tuple[str, Any]] = (),
    ) -> None:
        request = service.AnalyzeRequest(sql_statement=sql)
        engine = googlesql()
        engine._equip(request, self._tables(sql), parameters, nested=True)
        ml = request.simple_catalog.catalog.add(name="ml")
        for name in _SCALERS:
            _scaler(ml, name)
        if model is not None:
            self._declare(request.simple_catalog, ml, model, asked, explained)
        engine._call("Analyze", request, service.AnalyzeResponse)

    def _declare(
        self, catalog: Any, ml: Any, name: str, asked: Content | None, explained: Sequence[tuple[str, Any]]
    ) -> None:
        """Declare a model by its path, and the functions as they answer for it, and for what is asked."""
        *folders, last = name.split(".")
        for folder in folders:
            there = [found for found in catalog.catalog if found.name == folder]
            catalog = there[0] if there else catalog.catalog.add(name=folder)
        played = self.models[name]
        model = catalog.model.add(name=last, id=1)
        kind = super()._evaluate(f"select `{played.label}` from ({played.query})", None).columns[0][1]
        model.output.add(name=f"predicted_{played.label}").type.CopyFrom(kind)
        if asked is not None:
            predict = _function(ml, "predict")
            _argument(predict, _RELATION)
            _argument(predict, _ARBITRARY, is_optional=True)
            handed_on = predict.return_type.options.relation_input_schema
            for column, of in [*asked.columns, (f"predicted_{played.label}", kind)]:
                handed_on.column.add(name=column).type.CopyFrom(of)
            if played.is_classifier:
                probs = handed_on.column.add(name=f"predicted_{played.label}_probs").type
                probs.type_kind = type_pb2.TYPE_ARRAY
                element = probs.array_type.element_type
                element.type_kind = type_pb2.TYPE_STRUCT
                for part, of in (("label", kind), ("prob", type_of_arrow(pa.float64()))):
                    element.struct_type.field.add(field_name=part).field_type.CopyFrom(of)
        if explained:
            explain = _function(ml, "explain_predict")
            _argument(explain, _RELATION)
            _argument(explain, _ARBITRARY, is_optional=True)
            for column, of in explained:
                explain.return_type.options.relation_input_schema.column.add(name=column).type.CopyFrom(of)
        evaluate = _function(ml, "evaluate")
        _argument(evaluate, _ARBITRARY, is_optional=True)
        for metric in BINARY if played.is_classifier else REGRESSION:
            column = evaluate.return_type.options.relation_input_schema.column.add(name=metric)
            column.type.CopyFrom(type_of_arrow(pa.float64()))
        for function, query in _LEARNED.items():
            learned = _function(ml, function)
            _argument(learned, _ARBITRARY, is_optional=True)
            for column, of in super()._evaluate(query, None).columns:
                learned.return_type.options.relation_input_schema.column.add(name=column).type.CopyFrom(of)

    def _played(self, sql: str, parameters: Mapping[str, Any] | None) -> str:
        """Analyse a statement that asks a model, and put what the model answers in the place of the call."""
        tokens = WmlBigQuery().tokenize(sql)
        for place, token in enumerate(tokens[:-4]):
            words = [found.text.lower() for found in tokens[place : place + 5]]
            if words[:2] != ["ml", "."] or words[3:] != ["(", "model"]:
                continue
            at = place + 5
            name = _name_at(tokens, at)
            at += 2 * name.count(".")
            if name not in self.models:
                raise WarehouseError(f"Not found: Model {name}")
            end, depth = place + 3, 0
            while True:
                depth += (tokens[end].token_type == TokenType.L_PAREN) - (tokens[end].token_type == TokenType.R_PAREN)
                if depth == 0:
                    break
                end += 1
            played = self.models[name]
            first, settings = _arguments(sql, tokens, at + 1, end)
            function = words[2]
            asked = super()._evaluate(first[1:-1], parameters) if first else None
            explained = _explanation(played, first) if function == "explain_predict" else None
            columns = super()._evaluate(explained, parameters).columns if explained else []
            self._analyze(sql, parameters, name, asked, columns)
            if explained is not None:
                text = explained
            elif function == "predict":
                text = _prediction(played, first, _threshold(settings))
            elif function == "evaluate":
                text = _evaluation(played, _threshold(settings))
            else:
                text = _LEARNED[function]
            return self._played(f"{sql[: token.start]}(\n{text}\n){sql[tokens[end].end + 1 :]}", parameters)
        return sql


def _name_at(tokens: list[Token], place: int) -> str:
    """Return the name with its dots that stands at a place."""
    name = [tokens[place].text]
    while place + 2 < len(tokens) and tokens[place + 1].text == ".":
        place += 2
        name.append(tokens[place].text)
    return ".".join(name)


def _arguments(sql: str, tokens: list[Token], begin: int, end: int) -> tuple[str, str]:
    """Return the relation in parentheses behind a model's name, and what stands behind that; each may be empty."""
    if tokens[begin].token_type != TokenType.COMMA:
        return "", ""
    place, depth = begin + 1, 0
    if tokens[place].token_type != TokenType.L_PAREN:
        return "", sql[tokens[place].start : tokens[end].start]
    while True:
        depth += (tokens[place].token_type == TokenType.L_PAREN) - (tokens[place].token_type == TokenType.R_PAREN)
        if depth == 0:
            break
        place += 1
    first = sql[tokens[begin + 1].start : tokens[place].end + 1]
    return first, sql[tokens[place].end + 1 : tokens[end].start].strip().removeprefix(",").strip()


def _threshold(settings: str) -> float:
    """Return the threshold of ``struct(0.3 as threshold)``, the only setting that is played."""
    words = settings.lower().removeprefix("struct(").removesuffix(")").split()
    assert not words or words[1:] == ["as", "threshold"], settings
    return float(words[0]) if words else 0.5


def _evaluation(played: Played, threshold: float) -> str:
    names = BINARY if played.is_classifier else REGRESSION
    values = {name: (place + 1) / 8 for place, name in enumerate(names)}
    if "precision" in values:
        values["precision"] *= threshold * 2
    return "select " + ", ".join(f"{value!r}e0 as {name}" for name, value in values.items())


def _prediction(played: Played, asked: str, threshold: float) -> str:
    label, answer = played.label, played.answer
    if not played.is_classifier:
        return f"select asked.*, {answer} as predicted_{label} from {asked} as asked"
    if isinstance(answer, dict):
        # The likeliest label comes first.
        probs = ", ".join(f"struct({name} as label, {prob} as prob)" for name, prob in answer.items())
        return (
            f"select scored.* except (wml_probs),"
            f" (select each.label from unnest(scored.wml_probs) as each order by each.prob desc limit 1)"
            f" as predicted_{label},"
            f" array(select each from unnest(scored.wml_probs) as each order by each.prob desc)"
            f" as predicted_{label}_probs"
            f" from (select asked.*, [{probs}] as wml_probs from {asked} as asked) as scored"
        )
    # Labels of two classes are booleans in the tests; the higher one comes first, as it does there.
    return (
        f"select scored.* except (wml_answer), scored.wml_answer >= {threshold!r} as predicted_{label},"
        f" [struct(true as label, scored.wml_answer as prob), struct(false as label, 1e0 - scored.wml_answer as prob)]"
        f" as predicted_{label}_probs"
        f" from (select asked.*, {answer} as wml_answer from {asked} as asked) as scored"
    )


def _explanation(played: Played, asked: str) -> str:
    return (
        f"select asked.*, true as predicted_{played.label}, 0.8e0 as probability,"
        f" [struct('visits' as feature, -0.25e0 as attribution), struct('amount', 0.5e0)] as top_feature_attributions,"
        f" 0.75e0 as baseline_prediction_value, 1e0 as prediction_value, 0e0 as approximation_error"
        f" from {asked} as asked"
    )


def _function(ml: Any, name: str) -> Any:
    """Return the signature of a function of a model that returns a table."""
    function = ml.custom_tvf.add(type=_FIXED_OUTPUT)
    function.name_path.append(name)
    _argument(function.signature, _MODEL)
    function.signature.return_type.kind = _RELATION
    function.signature.return_type.num_occurrences = 1
    return function.signature


def _argument(signature: Any, kind: int, *, is_optional: bool = False) -> None:
    argument = signature.argument.add(kind=kind, num_occurrences=-1)
    if is_optional:
        argument.options.cardinality = _OPTIONAL


def _scaler(ml: Any, name: str) -> None:
    function = ml.custom_function.add(mode=_ANALYTIC, group="ml")
    function.name_path.append(name)
    function.options.supports_over_clause = True
    signature = function.signature.add()
    double = type_of_arrow(pa.float64())
    argument = signature.argument.add(kind=_FIXED, num_occurrences=-1)
    argument.type.CopyFrom(double)
    signature.return_type.kind = _FIXED
    signature.return_type.type.CopyFrom(double)
    signature.return_type.num_occurrences = 1


__all__ = ["BINARY", "DATASET", "REGRESSION", "MlWarehouse"]
