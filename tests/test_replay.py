"""Old decisions: the same bits again, whatever was edited since; what was tampered with is found."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows, wml

SPLIT, LATER, LAST, END = "2024-02-05", "2024-02-19", "2024-02-26", "2024-03-04"
# Asked before and after the second version came.
OLD, NEW = "r900", "r1300"


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose second version serves since 19 February, the first in its shadow."""
    root = write_tiny(tmp_path_factory.mktemp("served") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    ok(root, "predict", "--as-of", LATER)
    edit(root, "models/churn.sql", "model_type = 'logistic_reg'", "model_type = 'logistic_reg', l2_reg = 2.0")
    ok(root, "train", "churn", "--as-of", LATER, "--promote", "always")
    ok(root, "predict", "--as-of", LAST)
    return root


@pytest.fixture
def served(served_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(served_once, tmp_path / "tiny"))


def replayed(root: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = wml(root, "replay", *arguments, "--format", "json")
    assert done.code == code, done.out + done.err
    (document,) = done.rows
    return document


def change(root: Path, sql: str) -> None:
    """Change the warehouse behind the toolkit's back."""
    with duckdb.connect(str(root / "warehouse.duckdb")) as connection:
        connection.execute(sql)


def read(sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query over files."""
    found: list[dict[str, Any]] = duckdb.sql(sql).to_arrow_table().to_pylist()
    return found


def test_a_decision_is_the_same_again(served: Path) -> None:
    found = replayed(served, OLD)
    assert (found["version"], found["alias"], found["threshold"], found["is_threshold_logged"]) == (
        1,
        "champion",
        0.5,
        True,
    )
    assert found["is_same"]
    assert [(one["how"], one["is_same"], one["ulps"]) for one in found["replays"]] == [
        ("sql", True, 0),
        ("arrays", True, 0),
    ]
    (logged,) = rows(served, f"select amount, visits, region from wml.request_log_churn where request_id = '{OLD}'")
    assert found["features"] == logged
    assert found["others"] == []
    assert found["model_definition"].endswith("artifacts/churn/1/definition.sql")


def test_the_terms_add_up_to_the_log_odds_exactly(served: Path) -> None:
    found = replayed(served, OLD)
    explanation = found["explanation"]
    stored = read(f"select * from '{served}/artifacts/churn/1/parameters/coefficients.parquet'")
    weights = {(row["feature"], row["slot"]): row["weight"] for row in stored}
    total = weights[-1, 0]
    for term in explanation["terms"][1:]:
        assert term["adds"] == term["encoded"] * term["weight"]
        assert term["weight"] in weights.values()
        total += term["adds"]
    assert total == explanation["total"]
    assert 1 / (1 + math.exp(-total)) == found["score"]
    attributions = [term["attribution"] for term in explanation["terms"][1:]]
    assert explanation["baseline"] + sum(attributions) == pytest.approx(total, abs=1e-12)
    # The standardised value, worked out anew from the training rows.
    snapshot = f"'{served}/artifacts/churn/1/snapshot.parquet'"
    moments = f"select avg(amount) as mean, stddev_pop(amount) as spread from {snapshot} where wml_split = 'train'"
    (own,) = read(moments)
    encoded = (found["features"]["amount"] - own["mean"]) / own["spread"]
    assert explanation["terms"][1]["encoded"] == pytest.approx(encoded, rel=1e-9)


def test_the_answer_that_counted_comes_first(served: Path) -> None:
    found = replayed(served, NEW)
    assert (found["version"], found["alias"]) == (2, "champion")
    (other,) = found["others"]
    assert (other["version"], other["alias"]) == (1, "challenger")
    text = ok(served, "replay", NEW).out
    assert "answered too by version 1 (challenger:" in text
    assert "compare with --version 1" in text


def test_another_version_beside_it(served: Path) -> None:
    compared = replayed(served, NEW, "--version", "challenger")["compared"]
    (logged,) = rows(
        served, f"select score, prediction from wml.request_log_churn where request_id = '{NEW}' and version = 1"
    )
    assert compared["version"] == 1
    assert (compared["logged_score"], compared["logged_prediction"]) == (logged["score"], logged["prediction"])
    assert {one["score"] for one in compared["replays"]} == {logged["score"]}
    # Version 2 was never asked; what it says is what ml.predict says.
    compared = replayed(served, OLD, "--version", "2")["compared"]
    assert compared["logged_score"] is None
    asked = f"(select * from churn_requests where request_id = '{OLD}')"
    (said,) = rows(served, f"select * from ml.predict(model churn@2, {asked})")
    probability = next(one["prob"] for one in said["predicted_has_churned_probs"] if one["label"])
    assert [one["score"] for one in compared["replays"]] == [probability, probability]


def test_a_flip_is_told(served: Path) -> None:
    flips = rows(
        served,
        "select one.request_id from wml.request_log_churn as one inner join wml.request_log_churn as two "
        "using (request_id) where one.version = 1 and two.version = 2 and one.prediction <> two.prediction",
    )
    assert flips, "the two versions never differ: the test proves nothing"
    name = flips[0]["request_id"]
    assert replayed(served, name, "--version", "1")["compared"]["is_flip"]
    assert "version 1: another prediction" in ok(served, "replay", name, "--version", "1").out
    assert not replayed(served, name, "--version", "2")["compared"]["is_flip"]


def test_every_answer_is_the_same_again(served: Path) -> None:
    done = ok(served, "replay", "--model", "churn", "--all")
    assert done.err == "672 answers of 2 versions replayed: 0 differences\n"
    assert [line.split()[:6] for line in done.out.splitlines()[2:]] == [
        ["churn", "1", "sql", "504", "0", "0"],
        ["churn", "2", "sql", "168", "0", "0"],
    ]
    done = ok(served, "replay", "--model", "churn", "--all", "--version", "champion", "--format", "csv")
    assert done.err.startswith("168 answers of 1 version replayed")
    assert done.out.splitlines() == [
        "model,version,alias,request_id,requested_at,logged_score,replayed_score,difference,logged_prediction,"
        "replayed_prediction"
    ]


def test_names_are_asked_for_in_any_case(served: Path) -> None:
    assert ok(served, "replay", "--model", "Churn", "--all", "--version", "2").err.startswith("168 answers")
    assert replayed(served, OLD, "--model", "CHURN", "--version", "2")["model"] == "churn"


def test_a_feature_called_as_a_later_column_is(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier release let a feature be called threshold: its log line has the feature there."""
    for file in ("sql/requests/churn_requests.sql", "models/churn.sql"):
        edit(
            tiny,
            file,
            ".visits,",
            ".visits,\n    events.amount / 1000 as threshold," if "sql/" in file else ".threshold,",
        )
    from warehouse_ml.training import learn

    monkeypatch.setattr(learn, "LOG_COLUMNS", learn.LOG_COLUMNS[:9])
    ok(tiny, "train", "churn", "--as-of", SPLIT)
    monkeypatch.undo()
    ok(tiny, "predict", "--as-of", LATER)
    (row,) = rows(tiny, "select count(*) as n from wml.request_log_churn where abs(threshold - amount / 1000) < 1e-12")
    assert row == {"n": 336}
    assert ok(tiny, "replay", "--model", "churn", "--all").err == "336 answers of 1 version replayed: 0 differences\n"
    found = replayed(tiny, OLD)
    assert found["is_same"]
    assert (found["threshold"], found["is_threshold_logged"]) == (0.5, False)
    assert found["features"]["threshold"] == found["features"]["amount"] / 1000
    # Nobody can start that now.
    done = wml(tiny, "train", "churn", "--as-of", LATER)
    assert done.code == 2
    assert 'a feature cannot be called "threshold"' in done.err


def test_a_period_by_either_way(served: Path) -> None:
    for way in ("sql", "arrays"):
        done = ok(served, "replay", "--model", "churn", "--all", "--by", way)
        assert done.err == "672 answers of 2 versions replayed: 0 differences\n"
        assert [line.split()[2] for line in done.out.splitlines()[2:]] == [way, way]
    change(served, f"update wml.request_log_churn set score = score + 1e-15 where request_id = '{OLD}'")
    for way in ("sql", "arrays"):
        done = wml(served, "replay", "--model", "churn", "--all", "--by", way, "--format", "json")
        assert [row["request_id"] for row in done.rows] == [OLD]


def test_a_window_is_that_of_the_evaluation(served: Path) -> None:
    # 7 February is a Wednesday; the evaluation has weeks.
    assert ok(served, "replay", "--model", "churn", "--window", "2024-02-07").err.startswith("168 answers")
    done = ok(served, "replay", "--model", "churn", "--since", "2024-02-07", "--until", "2024-02-08")
    assert done.err.startswith("24 answers")
    edit(served, "sql/evaluation/churn.sql", "window='week'", "window='all'")
    done = wml(served, "replay", "--model", "churn", "--window", "2024-02-07")
    assert done.code == 2
    assert "churn has no evaluation with windows" in done.err
    assert "--since 2013-06-03" in done.err


def test_one_bit_is_found(served: Path) -> None:
    (before,) = rows(served, f"select score from wml.request_log_churn where request_id = '{OLD}'")
    tampered = math.nextafter(before["score"], 1.0)
    change(served, f"update wml.request_log_churn set score = {tampered!r}::double where request_id = '{OLD}'")
    found = replayed(served, OLD, code=1)
    assert not found["is_same"]
    assert [(one["is_same"], one["ulps"]) for one in found["replays"]] == [(False, 1), (False, 1)]
    assert found["replays"][0]["difference"] == before["score"] - tampered
    done = wml(served, "replay", OLD)
    assert "(1 in the last place)" in done.out
    assert f"churn@1 does not give the logged answer to {OLD} again" in done.err
    done = wml(served, "replay", "--model", "churn", "--all", "--format", "json")
    assert done.code == 1
    (row,) = done.rows
    assert (row["request_id"], row["version"], row["logged_score"], row["replayed_score"]) == (
        OLD,
        1,
        tampered,
        before["score"],
    )
    assert done.err == "672 answers of 2 versions replayed: 1 differences, 0 of them another prediction\n"


@pytest.mark.parametrize(
    ("sql", "n", "n_flips"),
    [
        ("update wml.request_log_churn set prediction = 'maybe' where request_id = '{}'", 1, 1),
        ("update wml.request_log_churn set score = 'nan' where request_id = '{}'", 1, 0),
        ("update wml.request_log_churn set score = null where request_id = '{}'", 1, 0),
        ("update wml.request_log_churn set amount = amount + 1e-9 where request_id = '{}'", 1, 0),
        ("update wml.request_log_churn set visits = null where request_id = '{}'", 1, None),
        ("update wml.request_log_churn set threshold = 0 where request_id = '{}'", 1, 1),
        ("update wml.request_log_churn set alias = 'other' where request_id = '{}'", 0, 0),
    ],
)
def test_what_was_changed_is_found(served: Path, sql: str, n: int, n_flips: int | None) -> None:
    change(served, sql.format(OLD))
    done = wml(served, "replay", "--model", "churn", "--all", "--format", "json")
    assert (done.code, len(done.rows)) == (int(n > 0), n), done.err
    if n_flips is not None and n:
        assert f"{n_flips} of them another prediction" in done.err


def test_a_tampered_version_is_refused(served: Path) -> None:
    path = served / "artifacts" / "churn" / "1" / "parameters" / "coefficients.parquet"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    for arguments in ([OLD], ["--model", "churn", "--all"]):
        done = wml(served, "replay", *arguments)
        assert done.code == 3
        assert "was changed after it was published" in done.err
    # What version 2 answered does not depend on it.
    ok(served, "replay", NEW)


def test_a_version_that_is_gone(served: Path) -> None:
    shutil.rmtree(served / "artifacts" / "churn" / "1")
    done = wml(served, "replay", OLD)
    assert done.code == 2
    assert "version 1 of churn answered, and its folder is gone" in done.err


def test_a_threshold_that_changes_later_changes_no_old_decision(served: Path) -> None:
    write(
        served,
        "models/churn.sql",
        "{{ config(threshold=0.1) }}\n" + (served / "models" / "churn.sql").read_text(encoding="utf-8"),
    )
    ok(served, "predict", "--as-of", END)
    assert ok(served, "replay", "--model", "churn", "--all").err.endswith(": 0 differences\n")
    thresholds = rows(
        served,
        "select version, threshold, count(*) as n from wml.request_log_churn group by all order by version, threshold",
    )
    assert [(row["version"], row["threshold"], row["n"]) for row in thresholds] == [
        (1, 0.1, 7 * 24),
        (1, 0.5, 21 * 24),
        (2, 0.1, 7 * 24),
        (2, 0.5, 7 * 24),
    ]
    assert replayed(served, NEW)["threshold"] == 0.5
    assert replayed(served, "r1500")["threshold"] == 0.1


def test_the_sql_is_that_of_then(served: Path) -> None:
    before = replayed(served, OLD)["definition"]
    assert "events.amount," in before["sql"]
    assert "events.requested_at >= $window_start and events.requested_at < $as_of" in before["sql"]
    assert (before["is_logged"], before["is_current"]) == (True, True)
    assert before["window_start"] == "2024-02-05T00:00:00+00:00"
    assert before["as_of"] == "2024-02-19T00:00:00+00:00"
    edit(served, "sql/requests/churn_requests.sql", "events.amount,", "events.amount + 0.25 as amount,")
    ok(served, "predict", "--as-of", END)
    # The relation was built whole again; the old answer was made by the old text.
    assert replayed(served, OLD)["definition"] == {**before, "is_current": False}
    after = replayed(served, "r1500")["definition"]
    assert "events.amount + 0.25 as amount" in after["sql"]
    assert after["definition_hash"] != before["definition_hash"]
    assert after["is_current"]
    assert ok(served, "replay", "--model", "churn", "--all").err.endswith(": 0 differences\n")
    assert re.search("the file now +says something else", ok(served, "replay", OLD).out)
    assert "events.amount" not in ok(served, "replay", OLD, "--no-sql").out


def test_what_is_above_the_requests_is_kept_too(tiny: Path) -> None:
    write(tiny, "sql/features/seen.sql", "select request_id, seen_at from {{ source('events') }}\n")
    edit(tiny, "sql/requests/churn_requests.sql", "events.seen_at as", "seen.seen_at as")
    edit(
        tiny,
        "sql/requests/churn_requests.sql",
        "as events\n",
        "as events\ninner join {{ ref('seen') }} as seen on events.request_id = seen.request_id\n",
    )
    ok(tiny, "train", "churn", "--as-of", SPLIT)
    ok(tiny, "predict", "--as-of", LATER)
    upstream = replayed(tiny, OLD)["definition"]["upstream"]
    assert list(upstream) == ["seen"]
    (kept,) = rows(tiny, f"select relation, sql from wml.definitions where definition_hash = '{upstream['seen']}'")
    assert kept == {"relation": "seen", "sql": "select request_id, seen_at from read_parquet('data/events.parquet')\n"}


def test_a_definition_is_written_once(served: Path) -> None:
    count = "select count(*) as n, count(distinct definition_hash) as n_hashes from wml.definitions"
    before = rows(served, count)
    assert before == [{"n": 2, "n_hashes": 2}]
    ok(served, "predict", "--as-of", END)
    ok(served, "build", "--as-of", END)
    assert rows(served, count) == before
    history = rows(served, "select as_of from wml.build_history where relation = 'churn_requests' order by built_at")
    assert [row["as_of"][:10] for row in history] == [SPLIT, LATER, LAST, END]


def test_a_definition_that_was_refused_is_not_kept(served: Path) -> None:
    before = rows(served, "select definition_hash from wml.definitions order by all")
    edit(served, "sql/requests/churn_requests.sql", "events.request_id,", "'same' as request_id,")
    assert wml(served, "predict", "--as-of", END).code == 2
    assert rows(served, "select definition_hash from wml.definitions order by all") == before


def test_what_an_earlier_release_built_is_kept_with_the_next_build(served: Path) -> None:
    before = rows(served, "select definition_hash, relation, sql, upstream from wml.definitions order by all")
    change(served, "delete from wml.definitions")
    assert replayed(served, OLD)["definition"] is None
    done = ok(served, "build", "--as-of", LAST, "--format", "json")
    assert {row["action"] for row in done.rows} == {"up to date"}
    after = rows(served, "select definition_hash, relation, sql, upstream from wml.definitions order by all")
    assert after == before
    assert replayed(served, OLD)["definition"]["is_logged"]


def test_the_commit_is_kept(tiny: Path) -> None:
    def git(*arguments: str) -> str:
        settings = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        done = subprocess.run(["git", *settings, *arguments], cwd=tiny, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("add", "sql", "models", "wml.toml")
    git("commit", "-qm", "one")
    first = git("rev-parse", "HEAD")
    ok(tiny, "train", "churn", "--as-of", SPLIT)
    ok(tiny, "predict", "--as-of", LATER)
    git("commit", "-qm", "two", "--allow-empty")
    ok(tiny, "predict", "--as-of", LAST)
    for name in (OLD, NEW):
        found = replayed(tiny, name)["definition"]
        assert (found["git_commit"], found["git_is_dirty"]) == (first, False)
    assert re.search(f"git_commit +{first}\n", ok(tiny, "replay", OLD).out)
    edit(tiny, "sql/requests/churn_requests.sql", "events.amount,", "events.amount + 1 as amount,")
    ok(tiny, "predict", "--as-of", END)
    assert replayed(tiny, "r1500")["definition"]["git_is_dirty"]
    assert f"{first}, with changes that were not committed" not in ok(tiny, "replay", OLD).out
    assert "with changes that were not committed" in ok(tiny, "replay", "r1500").out


def test_a_log_of_an_earlier_release(served: Path) -> None:
    """Columns and tables that came later are missing: it replays by what is known, and is completed by the next run."""
    change(
        served,
        "drop view wml.request_log; drop table wml.definitions; drop table wml.build_history; "
        "alter table wml.request_log_churn drop column threshold; "
        "alter table wml.request_log_churn drop column definition_hash",
    )
    assert ok(served, "replay", "--model", "churn", "--all").err.endswith(": 0 differences\n")
    found = replayed(served, OLD)
    assert (found["threshold"], found["is_threshold_logged"], found["definition"]) == (0.5, False, None)
    text = ok(served, "replay", OLD).out
    assert "threshold 0.5, that of its training (the log has none)" in text
    assert "was not kept: an earlier release logged the answer" in text
    ok(served, "predict", "--as-of", END)
    assert ok(served, "replay", "--model", "churn", "--all").err.endswith(": 0 differences\n")
    counts = "count(*) as n, count(threshold) as n_thresholds, count(definition_hash) as n_definitions"
    (shared,) = rows(served, f"select {counts} from wml.request_log")
    assert shared == {"n": 2 * 14 * 24 + 14 * 24, "n_thresholds": 2 * 7 * 24, "n_definitions": 2 * 7 * 24}
    assert replayed(served, "r1500")["definition"]["is_logged"]
    # Of an answer that names none it is the definition that was there before it, if one was kept by then.
    assert replayed(served, OLD)["definition"] is None


def test_files_that_cannot_be_read_now(served: Path) -> None:
    write(served, "sql/requests/churn_requests.sql", "{{ no_such_name }}")
    done = ok(served, "replay", OLD)
    assert "note: the project's files cannot be read now" in done.err
    assert "yes, every bit" in done.out
    assert "events.amount" in done.out
    shutil.rmtree(served / "sql")
    shutil.rmtree(served / "models")
    ok(served, "replay", OLD)
    ok(served, "replay", "--model", "churn", "--all")


def test_nothing_is_changed(served: Path) -> None:
    def content() -> dict[str, str]:
        return {
            path.relative_to(served).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(served.rglob("*"))
            if path.is_file()
        }

    before = content()
    ok(served, "replay", OLD, "--version", "2")
    ok(served, "replay", "--model", "churn", "--all")
    assert content() == before


def test_what_another_version_reads_must_have_been_logged(served: Path) -> None:
    edit(
        served, "sql/requests/churn_requests.sql", "events.region,", "events.region,\n    events.amount * 2 as doubled,"
    )
    edit(served, "models/churn.sql", "requests.region,", "requests.region,\n    requests.doubled,")
    ok(served, "train", "churn", "--as-of", LAST, "--promote", "never")
    done = wml(served, "replay", OLD, "--version", "3")
    assert done.code == 2
    assert "churn@3 reads what was not logged with the answer: doubled" in done.err
    # When the log has the column, the line of an older version still has no value in it.
    ok(served, "train", "churn", "--as-of", LAST, "--promote", "always", "--force")
    ok(served, "predict", "--as-of", END)
    assert "doubled" in rows(served, "select * from wml.request_log_churn limit 1")[0]
    done = wml(served, "replay", OLD, "--version", "3")
    assert done.code == 2
    assert "churn@3 reads what was not logged with the answer: doubled" in done.err
    # What version 4 was asked, version 3 can be asked too, and so can version 1, which reads less.
    assert replayed(served, "r1500", "--version", "3")["compared"]["difference"] == 0.0
    assert replayed(served, "r1500", "--version", "1")["compared"]["logged_score"] is None


def says(*parts: str) -> Callable[[str], bool]:
    return lambda text: all(part in text for part in parts)


@pytest.mark.parametrize(
    ("arguments", "is_told"),
    [
        (["r90000"], says('no request "r90000" in wml.request_log_churn', "r901", "hint: did you mean")),
        (["zzz"], says('no request "zzz"', "has it been scored?")),
        (["r9' or 'a' = 'a"], says("""no request "r9' or 'a' = 'a\" in""")),
        ([OLD, "--model", "chrun"], says('"chrun" has no request log', 'did you mean "churn"')),
        ([OLD, "--version", "9"], says('no version "9" of churn', "1, 2")),
        ([], says("give a request's id, or a period")),
        ([OLD, "--all"], says("give a request's id, or a period")),
        (["--all"], says("a period needs a model")),
        (["--model", "churn", "--all", "--since", "2024-02-05"], says("three ways to name a period")),
        (["--model", "churn", "--since", "2024-02-06", "--until", "2024-02-06"], says("the period is empty")),
        (["--model", "churn", "--until", "2024-02-05"], says("no request of churn was answered up to 2024-02-05")),
        (["--model", "churn", "--window", "soon"], says('"soon" is not a date')),
    ],
)
def test_mistakes_are_told(served_once: Path, arguments: list[str], is_told: Callable[[str], bool]) -> None:
    done = wml(served_once, "replay", *arguments)
    assert done.code == 2, done.out
    assert is_told(done.err), done.err


def test_nothing_was_logged_yet(tiny: Path) -> None:
    assert wml(tiny, "replay", "r1").code == 3
    ok(tiny, "build", "--as-of", SPLIT)
    done = wml(tiny, "replay", "r1")
    assert done.code == 2
    assert "no request" in done.err


def test_two_models_with_one_id(served: Path) -> None:
    text = (served / "models" / "churn.sql").read_text(encoding="utf-8").replace("model churn\n", "model leaving\n")
    write(served, "models/leaving.sql", "{{ config(requests='churn_requests') }}\n" + text)
    ok(served, "train", "leaving", "--as-of", SPLIT)
    ok(served, "predict", "leaving", "--as-of", LAST)
    done = wml(served, "replay", OLD)
    assert done.code == 2
    assert says(f'requests of 2 models are called "{OLD}"', "churn, leaving", "--model churn")(done.err)
    assert replayed(served, OLD, "--model", "leaving")["model"] == "leaving"


def test_a_regression_has_no_threshold(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "logistic_reg", "linear_reg")
    edit(tiny, "models/churn.sql", "['has_churned']", "['amount']")
    edit(tiny, "models/churn.sql", "    requests.requested_at,\n    labels.has_churned", "    requests.requested_at")
    (tiny / "sql" / "evaluation" / "churn.sql").unlink()
    ok(tiny, "train", "churn", "--as-of", SPLIT)
    ok(tiny, "predict", "--as-of", LATER)
    assert rows(tiny, "select count(*) as n, count(threshold) as n_at from wml.request_log_churn") == [
        {"n": 336, "n_at": 0}
    ]
    found = replayed(tiny, OLD, "--version", "1")
    assert (found["threshold"], found["prediction"], found["compared"]["is_flip"]) == (None, None, False)
    assert "no prediction but the score" in ok(tiny, "replay", OLD, "--version", "1").out


@pytest.mark.parametrize(
    ("wider", "column_type"),
    [
        ("events.visits + 0.25", "DECIMAL(13,2)"),
        ("events.visits + 0.25e0", "DOUBLE"),
        ("cast(events.visits + 16777217 as float)", "DOUBLE"),
        ("cast(events.visits as bigint) + 3000000000", "BIGINT"),
        ("cast(events.visits as tinyint)", "INTEGER"),
    ],
)
def test_a_column_whose_type_grew(served: Path, wider: str, column_type: str) -> None:
    """The log holds what was scored: whole numbers until now, fractions or larger ones from now on."""
    edit(served, "sql/requests/churn_requests.sql", "events.visits,", f"{wider} as visits,")
    ok(served, "predict", "--as-of", END)
    done = ok(served, "replay", "--model", "churn", "--all")
    assert done.err == "1,008 answers of 2 versions replayed: 0 differences\n"
    compared = "wml.request_log_churn as l inner join churn_requests as r using (request_id)"
    new = "l.requested_at >= '2024-02-26'"
    counts = "count(*) as n, count(l.visits) > 300 as has_values"
    assert rows(served, f"select {counts} from {compared} where {new} and l.visits is not distinct from r.visits") == [
        {"n": 2 * 7 * 24, "has_values": True}
    ]
    assert rows(served, "select distinct typeof(visits) as t from wml.request_log_churn") == [{"t": column_type}]
