"""A replayed decision, as text for a person and as one document."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from warehouse_ml.cli.output import format_table
from warehouse_ml.replay.explanation import Explanation, Term
from warehouse_ml.replay.one import Other, Replayed

__all__ = ["document", "told"]

_MOST_TERMS = 25


def told(replayed: Replayed, *, has_sql: bool) -> list[str]:
    """Return the parts of a decision as text."""
    parts = [_head(replayed), _answers(replayed)]
    if replayed.other is not None:
        parts.append(_other_told(replayed, replayed.other))
    elif replayed.others:
        also = ", ".join(f"{one.version} ({one.alias}: {_said(one.prediction, one.score)})" for one in replayed.others)
        parts.append(f"answered too by version {also}; compare with --version {replayed.others[0].version}")
    parts += _explained(replayed.explanation)
    parts += _definition(replayed, has_sql=has_sql)
    return parts


def document(replayed: Replayed, *, has_sql: bool) -> dict[str, Any]:
    """Return the decision as one nested row."""
    answer, provenance = replayed.answer, replayed.provenance
    definition = None if provenance is None else dataclasses.asdict(provenance)
    if definition is not None and not has_sql:
        del definition["sql"]
    return {
        "request_id": answer.request_id,
        "model": answer.model,
        "version": answer.version,
        "alias": answer.alias,
        "requested_at": answer.requested_at,
        "logged_at": answer.logged_at,
        "score": answer.score,
        "prediction": answer.prediction,
        "threshold": replayed.threshold,
        "is_threshold_logged": replayed.is_threshold_logged,
        "is_same": replayed.is_same,
        "replays": [
            {
                "how": one.again.how,
                "score": one.again.score,
                "prediction": one.again.prediction,
                "is_same": one.is_same,
                "difference": one.difference,
                "ulps": one.ulps,
            }
            for one in replayed.replays
        ],
        "others": [
            {"version": one.version, "alias": one.alias, "score": one.score, "prediction": one.prediction}
            for one in replayed.others
        ],
        "compared": None if replayed.other is None else _other_document(replayed.other),
        "features": replayed.features,
        "explanation": _explanation_document(replayed.explanation),
        "definition": definition,
        "model_definition": replayed.definition,
    }


def _other_document(other: Other) -> dict[str, Any]:
    return {
        "version": other.version,
        "logged_score": None if other.logged is None else other.logged.score,
        "logged_prediction": None if other.logged is None else other.logged.prediction,
        "replays": [{"how": one.how, "score": one.score, "prediction": one.prediction} for one in other.again],
        "difference": other.difference,
        "is_flip": other.is_flip,
    }


def _explanation_document(explanation: Explanation) -> dict[str, Any]:
    whole = dataclasses.asdict(explanation)
    for path, tree in zip(explanation.trees, whole["trees"], strict=True):
        tree["path"] = path.text
    return whole


def _head(replayed: Replayed) -> str:
    answer = replayed.answer
    threshold = ""
    if replayed.threshold is not None:
        whose = "" if replayed.is_threshold_logged else ", that of its training (the log has none)"
        threshold = f"; threshold {replayed.threshold!r}{whose}"
    return (
        f"request {answer.request_id}, asked {answer.requested_at:%Y-%m-%d %H:%M:%S}\n"
        f"answered by {answer.model}@{answer.version} as {answer.alias}, logged "
        f"{answer.logged_at:%Y-%m-%d %H:%M:%S}{threshold}"
    )


def _answers(replayed: Replayed) -> str:
    answer = replayed.answer
    logged = {"answer": "logged", "score": repr(answer.score), "prediction": answer.prediction, "same": None}
    rows = [{**logged, "difference": None}]
    rows += [
        {
            "answer": one.again.how,
            "score": repr(one.again.score),
            "prediction": one.again.prediction,
            "same": "yes, every bit" if one.is_same else "no",
            "difference": None if one.is_same else _distance(one.difference, one.ulps),
        }
        for one in replayed.replays
    ]
    return _table(rows)


def _distance(difference: float, ulps: int | None) -> str:
    steps = "" if ulps is None or ulps > 1000 else f" ({ulps} in the last place)"
    return f"{difference!r}{steps}"


def _other_told(replayed: Replayed, other: Other) -> str:
    answer = replayed.answer
    rows = [
        {"version": answer.version, "answer": "logged", "score": repr(answer.score), "prediction": answer.prediction}
    ]
    if other.logged is not None:
        logged = other.logged
        rows.append(
            {"version": other.version, "answer": "logged", "score": repr(logged.score), "prediction": logged.prediction}
        )
    rows += [
        {"version": other.version, "answer": one.how, "score": repr(one.score), "prediction": one.prediction}
        for one in other.again
    ]
    verdict = "another prediction" if other.is_flip else "the same prediction"
    if answer.prediction is None and other.again[0].prediction is None:
        verdict = "no prediction but the score"
    return f"{_table(rows)}\n\nversion {other.version}: {verdict}, score {other.difference:+.6g}"


def _said(prediction: str | None, score: float) -> str:
    return f"{score:.4f}" if prediction is None else f"{prediction}, {score:.4f}"


def _explained(explanation: Explanation) -> list[str]:
    baseline = "" if explanation.baseline is None else f", from a mean of {explanation.baseline:.6g}"
    title = f"{explanation.of}: {explanation.total!r}{baseline}"
    parts = [f"{title}\n\n{_terms(explanation)}"]
    if len(explanation.outputs) > 2 or (explanation.outputs and explanation.baseline is None):
        rows = [{"output": name, "value": value} for name, value in explanation.outputs.items()]
        parts.append(format_table(rows[:_MOST_TERMS], ["output", "value"]))
    if explanation.trees:
        rows = [
            {"tree": path.tree, "adds": path.adds, "rows": path.n_rows, "path": path.text} for path in explanation.trees
        ]
        shown = f"the {len(rows)} of {explanation.n_trees} trees that count most:"
        if len(rows) == explanation.n_trees:
            shown = "its trees:" if len(rows) > 1 else "its tree:"
        parts.append(f"{shown}\n\n{_table(rows)}")
    return parts


def _terms(explanation: Explanation) -> str:
    """Return the terms as a table: sums in the order of the model, attributions the largest first."""
    is_sum = any(term.adds is not None for term in explanation.terms)
    terms = list(explanation.terms)
    if not is_sum or len(terms) > _MOST_TERMS:
        terms.sort(key=lambda term: (term.feature != "(intercept)", -abs(_weight(term))))
    shown, rest = terms[:_MOST_TERMS], terms[_MOST_TERMS:]
    rows = [dataclasses.asdict(term) for term in shown]
    names = [name for name in rows[0] if name == "feature" or any(row[name] is not None for row in rows)]
    text = format_table([{**row, "value": _value(row["value"])} for row in rows], names)
    if rest:
        added = math.fsum(_weight(term) for term in rest)
        text += f"\n({len(rest)} more features: {added:+.6g} together)"
    return text


def _weight(term: Term) -> float:
    return next((value for value in (term.attribution, term.adds) if value is not None), 0.0)


def _value(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _definition(replayed: Replayed, *, has_sql: bool) -> list[str]:
    provenance = replayed.provenance
    if provenance is None:
        kept = "the SQL that made the features was not kept: an earlier release logged the answer"
        return [f"{kept}\nthe model's definition: {replayed.definition}"]
    commit = provenance.git_commit
    if commit is not None and provenance.git_is_dirty:
        commit += ", with changes that were not committed"
    now = {True: "says the same", False: "says something else", None: None}[provenance.is_current]
    told = {
        "features_by": provenance.relation,
        "definition_hash": provenance.definition_hash,
        "known_from": "the answer itself" if provenance.is_logged else "the last build before the answer",
        "first_built_at": f"{provenance.first_built_at:%Y-%m-%d %H:%M:%S}",
        "git_commit": commit or "not in a repository",
        "window_start": None if provenance.window_start is None else provenance.window_start.isoformat(),
        "as_of": None if provenance.as_of is None else provenance.as_of.isoformat(),
        "reads": ", ".join(provenance.upstream) or None,
        "the file now": now,
        "model_definition": replayed.definition,
    }
    rows = [{"property": name, "value": value} for name, value in told.items() if value is not None]
    parts = [_table(rows)]
    if has_sql:
        parts.append(provenance.sql.rstrip())
    return parts


def _table(rows: list[dict[str, Any]]) -> str:
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    return format_table(rows, names)
