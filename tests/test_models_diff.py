"""``wml models diff``: its output, its numbers against pandas, and that nothing of it is kept."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.diff.definition import file_changes
from warehouse_ml.registry import CHALLENGER, Alias, Registry
from warehouse_ml.session import open_session

GOLDEN = Path(__file__).parent / "golden" / "models_diff.txt"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
FIRST, SECOND, END = "2024-02-05", "2024-02-12", "2024-02-26"
WINDOW = ("2024-02-12", "2024-02-19")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 has answered since 5 February; version 2, with another feature, was never asked."""
    root = write_tiny(tmp_path_factory.mktemp("diff") / "tiny")
    ok(root, "train", "churn", "--as-of", FIRST)
    ok(root, "evaluate", "--as-of", END)
    request = "sql/requests/churn_requests.sql"
    edit(root, request, "events.visits,\n", "events.visits,\n    events.amount * events.visits as product,\n")
    edit(root, "models/churn.sql", "requests.visits,\n", "requests.visits,\n    requests.product,\n")
    edit(root, "models/churn.sql", "'logistic_reg',", "'logistic_reg',\n    l2_reg = 2.5,")
    ok(root, "train", "churn", "--as-of", SECOND, "--promote", "never")
    # The relations are at another clock now, as after any training at an earlier date.
    ok(root, "build", "--as-of", SECOND)
    return root


@pytest.fixture(scope="module")
def found(two: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ok(two, "models", "diff", "churn@1", "churn@2", "--format", "json").out)
    return told


@pytest.fixture(scope="module")
def scored(two: Path) -> pd.DataFrame:
    """The requests of the window with what each version says of them, and the answers as known at the end."""
    path = (two / "data" / "events.parquet").as_posix()
    query = (
        "select request_id, region, has_churned, requested_at + interval 3 day <= timestamptz '2024-02-26 00:00:00+00'"
        " as is_known, predicted_has_churned_probs[1] as first from ml.predict(model churn@{version}, (select *,"
        f" amount * visits as product from read_parquet('{path}') where requested_at >= '{WINDOW[0]} 00:00:00+00'"
        f" and requested_at < '{WINDOW[1]} 00:00:00+00')) order by request_id"
    )
    frames = [pd.DataFrame(rows(two, query.replace("{version}", str(version)))) for version in (1, 2)]
    for frame in frames:
        probability = frame["first"].map(lambda cell: cell["prob"])
        is_positive = frame["first"].map(lambda cell: str(cell["label"]).lower() == "true")
        frame["score"] = probability.where(is_positive, 1 - probability)
    both = frames[0].merge(frames[1][["request_id", "score"]], on="request_id", suffixes=("_1", "_2"))
    assert len(both) == 7 * 24
    return both


def test_the_output_is_the_one_that_was_read_by_a_person(two: Path) -> None:
    shown = ok(two, "models", "diff", "churn@1", "churn@2").out
    if os.environ.get("WML_WRITE_DOCS") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(shown, encoding="utf-8")
    golden = GOLDEN.read_text(encoding="utf-8")
    # Word for word, and every number to the digits that are shown, but for the last ones.
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", golden).split()
    for one, other in zip(NUMBER.findall(shown), NUMBER.findall(golden), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-2, abs=1.5e-4)


def test_flips_are_those_of_pandas(found: dict[str, Any], scored: pd.DataFrame) -> None:
    was, became = scored.score_1 >= 0.5, scored.score_2 >= 0.5
    (window,) = found["windows"]
    assert (window["window_start"][:10], window["window_end"][:10]) == WINDOW
    groups = {("overall", "all"): scored.index == scored.index}
    groups |= {("region", name): scored.region == name for name in ("east", "north", "south")}
    assert [(row["slice_key"], row["slice_value"]) for row in window["flips"]] == list(groups)
    assert window["flips"][0]["n_flips"] > 0
    for row in window["flips"]:
        chosen = groups[row["slice_key"], row["slice_value"]]
        assert row["n"] == chosen.sum()
        assert row["n_to_positive"] == (~was & became & chosen).sum()
        assert row["n_to_negative"] == (was & ~became & chosen).sum()
        assert row["n_flips"] == row["n_to_positive"] + row["n_to_negative"]
        assert row["share"] == pytest.approx(row["n_flips"] / row["n"])


def test_metrics_are_those_of_scikit_learn_on_the_same_requests(found: dict[str, Any], scored: pd.DataFrame) -> None:
    (window,) = found["windows"]
    assert window["n_asked"] == [0, len(scored)]
    assert window["may_have_learned"] == [False, False]
    by_slice = {(row["slice_value"], row["metric"]): row for row in window["metrics"]}
    for name in ("all", "east", "north", "south"):
        part = scored[scored.is_known & ((scored.region == name) | (name == "all"))]
        for metric, of in (("roc_auc", roc_auc_score), ("log_loss", log_loss)):
            row = by_slice[name, metric]
            assert row["n"] == len(part)
            assert row["before"] == pytest.approx(of(part.has_churned, part.score_1), abs=1e-9)
            assert row["now"] == pytest.approx(of(part.has_churned, part.score_2), abs=1e-9)
            assert row["difference"] == pytest.approx(row["now"] - row["before"], abs=1e-9)
            assert row["before_lower"] < row["before"] < row["before_upper"]
    part = scored[scored.is_known]
    answers = part.has_churned.astype(bool)
    right = [(part[score] >= 0.5) == answers for score in ("score_1", "score_2")]
    row = by_slice["all", "accuracy"]
    assert row["now"] == pytest.approx(accuracy_score(answers, part.score_2 >= 0.5))
    assert (row["n_gained"], row["n_lost"]) == ((right[1] & ~right[0]).sum(), (right[0] & ~right[1]).sum())
    # The mean paired difference of the log loss, with its normal interval.
    losses = [-np.log(np.where(answers, part[score], 1 - part[score])) for score in ("score_1", "score_2")]
    gap = losses[1] - losses[0]
    half = 1.959963984540054 * gap.std(ddof=1) / np.sqrt(len(gap))
    row = by_slice["all", "log_loss"]
    assert (row["ci_lower"], row["ci_upper"]) == pytest.approx((gap.mean() - half, gap.mean() + half), abs=1e-9)


def test_the_data_is_compared_as_by_hand(two: Path, found: dict[str, Any]) -> None:
    one, other = (pd.read_parquet(two / "artifacts/churn" / str(n) / "snapshot.parquet") for n in (1, 2))
    assert (found["rows"]["n_before"], found["rows"]["n_now"]) == (len(one), len(other))
    # Rows with another column are other rows, so that none of them is counted as kept.
    assert found["rows"]["n_added"] is None
    assert found["rows"]["last_now"] == other.requested_at.max().isoformat()
    assert found["label_now"] == pytest.approx(other.has_churned.mean())
    distances = {row["column"]: row for row in found["distances"]}
    assert set(distances) == {"amount", "visits", "region", "has_churned"}
    shares = [frame.region.value_counts(normalize=True).sort_index() for frame in (one, other)]
    assert distances["region"]["psi"] == pytest.approx(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    edges = np.quantile(one.amount, np.arange(1, 10) / 10, method="inverted_cdf")
    cut = [np.bincount(np.searchsorted(edges, frame.amount), minlength=10) / len(frame) for frame in (one, other)]
    assert distances["amount"]["psi"] == pytest.approx(((cut[1] - cut[0]) * np.log(cut[1] / cut[0])).sum())
    middle = (cut[0] + cut[1]) / 2
    divergence = sum((part * np.log2(part / middle)).sum() for part in cut) / 2
    assert distances["amount"]["jensen_shannon_divergence"] == pytest.approx(divergence)


def test_definition_options_and_features_are_told(found: dict[str, Any]) -> None:
    assert [change["place"] for change in found["files"]] == ["models/churn.sql", "sql/requests/churn_requests.sql"]
    assert "+    l2_reg = 2.5," in found["files"][0]["diff"]
    assert found["files"][1]["n_added"] == 1
    assert found["options"] == [{"option": "l2_reg", "before": 0.0, "now": 2.5}]
    assert found["features"] == [{"feature": "product", "change": "added", "before": None, "now": "number, standard"}]
    assert (found["is_definition_equal"], found["is_data_equal"]) == (False, False)


def kept(root: Path) -> dict[str, Any]:
    tables = [
        row["name"]
        for row in rows(
            root, "select table_schema || '.' || table_name as name from information_schema.tables order by 1"
        )
    ]
    found: dict[str, Any] = {
        name: rows(root, f"select count(*) as n, sum(hash(t)) as h from {name} as t") for name in tables
    }
    found["types"] = rows(root, "select column_name, column_type from (describe wml.request_log_churn)")
    return found


def test_nothing_of_it_is_kept(two: Path) -> None:
    before = kept(two)
    ok(two, "models", "diff", "churn@1", "churn@2")
    assert kept(two) == before


def test_the_other_way_round_is_the_mirror_image(two: Path, found: dict[str, Any]) -> None:
    other = json.loads(ok(two, "models", "diff", "churn@2", "churn@1", "--format", "json").out)
    assert other["features"][0]["change"] == "removed"
    for row, mirrored in zip(found["windows"][0]["metrics"], other["windows"][0]["metrics"], strict=True):
        for value, other_value in ((row["before"], mirrored["now"]), (row["now"], mirrored["before"])):
            assert value == other_value or value == pytest.approx(other_value, rel=1e-12)
        if row["difference"] is not None:
            assert mirrored["difference"] == pytest.approx(-row["difference"], abs=1e-12)
            assert mirrored["ci_lower"] == pytest.approx(-row["ci_upper"], abs=1e-12)
            assert mirrored["n_gained"] == row["n_lost"]
    for row, mirrored in zip(found["windows"][0]["flips"], other["windows"][0]["flips"], strict=True):
        assert (row["n_to_positive"], row["n_to_negative"]) == (mirrored["n_to_negative"], mirrored["n_to_positive"])


def test_versions_that_answered_are_not_asked_again_and_agree_with_the_tables(two: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(two, tmp_path / "tiny"))
    # As challenger since the start, version 2 answers the same requests, and both are compared in the tables.
    at = dt.datetime(2024, 2, 12, tzinfo=dt.UTC)
    Registry(root / "artifacts").write_ledger([Alias("churn", CHALLENGER, 2, at, "by hand")])
    ok(root, "evaluate", "--as-of", END)
    told = json.loads(ok(root, "models", "diff", "churn@1", "churn@2", "--format", "json").out)
    (window,) = told["windows"]
    assert window["n_asked"] == [0, 0]
    compared = rows(
        root,
        "select slice_key, slice_value, metric, difference, ci_lower, ci_upper, p_value from wml.latest_comparisons"
        f" where window_start = timestamptz '{WINDOW[0]} 00:00:00+00'",
    )
    mine = {(row["slice_key"], row["slice_value"], row["metric"]): row for row in window["metrics"]}
    assert len(compared) > 20
    for row in compared:
        there = mine[row["slice_key"], row["slice_value"], row["metric"]]
        for name in ("difference", "ci_lower", "ci_upper", "p_value"):
            assert there[name] == (None if row[name] is None else pytest.approx(row[name], abs=1e-12))


def test_a_version_that_may_know_the_answers_is_named(two: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(two, tmp_path / "tiny"))
    ok(root, "train", "churn", "--as-of", END, "--promote", "never")
    shown = ok(root, "models", "diff", "churn@2", "churn@3").out
    assert "churn@3 was trained when answers of it may have been known: what it shows here flatters it" in shown
    assert "churn@2 was trained when" not in shown
    # The same definition on later rows: the rows of the first are among those of the second.
    assert "definition\n==========\nthe same\n" in shown
    told = json.loads(ok(root, "models", "diff", "churn@2", "churn@3", "--format", "json").out)
    assert (told["rows"]["n_added"], told["rows"]["n_removed"]) == (14 * 24, 0)


def test_small_groups_are_hidden(two: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(two, tmp_path / "tiny"))
    edit(root, "sql/evaluation/churn.sql", "min_slice_size=10", "min_slice_size=55")
    (window,) = json.loads(ok(root, "models", "diff", "churn@1", "churn@2", "--format", "json").out)["windows"]
    hidden = [row for row in window["flips"] if row["is_suppressed"]]
    assert [(row["slice_value"], row["n_flips"], row["share"]) for row in hidden] == [("north", None, None)]
    assert "groups of fewer than 55 requests, left out: 1" in ok(root, "models", "diff", "churn@1", "churn@2").out


def test_what_cannot_be_compared_is_told(tiny: Path) -> None:
    done = wml(tiny, "models", "diff", "churn@1", "churn@2")
    assert done.code == 2
    assert 'the model "churn" has no version yet' in done.err
    ok(tiny, "train", "churn", "--as-of", FIRST)
    ok(tiny, "train", "churn", "--as-of", FIRST, "--force", "--promote", "never")
    shown = ok(tiny, "models", "diff", "churn@1", "churn@2").out
    assert "the same 769 rows" in shown
    assert "no window of it with answers was evaluated yet" in shown
    assert wml(tiny, "models", "diff", "churn@1", "churn@champion").code == 2
    assert "churn and late are two models" in wml(tiny, "models", "diff", "churn@1", "late@2").err
    (tiny / "sql/evaluation/churn.sql").unlink()
    assert "none has model='churn' in its config(...)" in ok(tiny, "models", "diff", "churn@1", "churn@2").out


def test_a_version_whose_feature_is_gone_cannot_answer(two: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(two, tmp_path / "tiny"))
    edit(root, "sql/requests/churn_requests.sql", "    events.amount * events.visits as product,\n", "")
    edit(root, "models/churn.sql", "    requests.product,\n", "")
    shown = ok(root, "models", "diff", "churn@1", "churn@2").out
    assert "churn@2 cannot answer: neither the log nor the requests have product" in shown
    assert "features\n========\nfeature  change" in shown


def test_versions_of_an_earlier_release_are_told_apart_by_their_statements(two: Path) -> None:
    with open_session(two) as session:
        stored = [session.registry.load(session.registry.get("churn", name)) for name in ("1", "2")]
        folders = (two / "artifacts/churn/1", two / "artifacts/churn/2")
    (now,) = [change for change in file_changes(stored[0], stored[1], folders) if change.place == "models/churn.sql"]
    old = [replace(one, facts={key: fact for key, fact in one.facts.items() if key != "files"}) for one in stored]
    (change,) = file_changes(old[0], old[1], folders)
    assert (change.place, change.what, change.n_added) == ("definition.sql", "changed", now.n_added)
    assert change.diff[2:] == now.diff[2:]


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_are_compared_too(tiny: Path, task: str) -> None:
    label, model_type = ("amount", "linear_reg") if task == "regression" else ("region", "logistic_reg")
    text = (tiny / "models/churn.sql").read_text(encoding="utf-8")
    text = text.replace("'logistic_reg'", f"'{model_type}'").replace(
        "    labels.has_churned", "    requests.has_churned"
    )
    text = text.replace("input_label_cols = ['has_churned']", f"input_label_cols = ['{label}']")
    write(tiny, "models/churn.sql", text)
    answered = "score" if task == "regression" else "prediction"
    write(
        tiny,
        "sql/evaluation/churn.sql",
        f"{{{{ config(model='churn', task='{task}', slices=['region'], window='week', maturity='1 day') }}}}\n"
        f"select answers.request_id, answers.requested_at, answers.version as model_version, answers.{answered},"
        f" requests.{label} as label, requests.region from {{{{ request_log('churn') }}}} as answers"
        " inner join {{ ref('churn_requests') }} as requests using (request_id)",
    )
    edit(tiny, "sql/requests/churn_requests.sql", "events.visits,", "events.visits, events.has_churned,")
    ok(tiny, "train", "churn", "--as-of", FIRST)
    ok(tiny, "evaluate", "--as-of", END)
    edit(tiny, "models/churn.sql", "    requests.visits,\n", "")
    ok(tiny, "train", "churn", "--as-of", FIRST, "--promote", "never")
    told = json.loads(ok(tiny, "models", "diff", "churn@1", "churn@2", "--format", "json").out)
    (window,) = told["windows"]
    assert window["n_asked"] == [0, 168]
    named = {row["metric"]: row for row in window["metrics"] if row["slice_key"] == "overall"}
    if task == "regression":
        assert window["flips"] == []
        assert named["mean_squared_error"]["difference"] == pytest.approx(
            named["mean_squared_error"]["now"] - named["mean_squared_error"]["before"]
        )
    else:
        assert window["flips"][0]["n"] == 168
        assert window["flips"][0]["n_to_positive"] is None
        assert 0 <= window["flips"][0]["n_flips"] <= 168
        assert named["accuracy"]["difference"] is not None
    assert ok(tiny, "models", "diff", "churn@1", "churn@2").out
