"""Which version serves: promoted, refused, rolled back, fallen back; each a line of the ledger, none lost."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.decisions import promote
from warehouse_ml.decisions.decide import promotions
from warehouse_ml.registry import Alias, Registry
from warehouse_ml.registry.aliases import holder_at, periods
from warehouse_ml.tables import ensure_tables
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

DAY = dt.timedelta(days=1)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SPLIT, LATER, END = "2024-02-05", "2024-02-12", "2024-03-04"
AT_END = dt.datetime(2024, 3, 4, tzinfo=dt.UTC)

NOT_WORSE = """\
{{ config(on='promote', model='churn') }}
-- grain: one row per week in which the candidate ranked worse than the champion
select
    compared.window_start,
    compared.metric,
    compared.difference,
    compared.ci_upper
from wml.latest_comparisons as compared
where
    compared.version = {{ candidate }}
    and compared.other_version = {{ champion }}
    and compared.metric = 'roc_auc'
    and compared.slice_key = 'overall'
    and compared.ci_upper < 0
order by compared.window_start
"""


@pytest.fixture(scope="module")
def two_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("two") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    edit(root, "models/churn.sql", "'logistic_reg',", "'logistic_reg', l1_reg = 1e9,")
    ok(root, "train", "churn", "--as-of", LATER, "--promote", "never")
    edit(root, "models/churn.sql", "l1_reg = 1e9", "l1_reg = 5")
    ok(root, "train", "churn", "--as-of", LATER, "--promote", "never")
    edit(root, "models/churn.sql", "l1_reg = 5", "l1_reg = 1e9")
    ok(root, "run", "--as-of", END)
    return root


@pytest.fixture
def two(two_once: Path, tmp_path: Path) -> Path:
    """A project whose version 1 has served for four weeks; 2, which knows nothing, and 3 have no alias."""
    return Path(shutil.copytree(two_once, tmp_path / "tiny"))


def ledger_of(root: Path) -> list[Alias]:
    return Registry(root / "artifacts").ledger()


def champion_of(root: Path, at: str = END) -> int | None:
    return holder_at(ledger_of(root), "churn", "champion", dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC))


# The ledger.


def line(version: int | None, day: int, share: float | None = None, alias: str = "champion", reason: str = "") -> Alias:
    return Alias("m", alias, version, START + day * DAY, reason, share)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    found = DuckDBWarehouse()
    ensure_tables(found)
    yield found
    found.close()


LINES = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(1, 3)),
        st.integers(0, 6),
        st.sampled_from([None, 0.1, 0.5]),
        st.sampled_from(["champion", "canary"]),
    ),
    max_size=10,
)


@given(LINES)
def test_the_view_of_periods_is_the_ledgers_own(
    warehouse: DuckDBWarehouse,
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[int | None, int, float | None, str]],
) -> None:
    ledger = [line(*told, reason=str(number)) for number, told in enumerate(lines)]
    registry = Registry(tmp_path_factory.mktemp("ledger"))
    registry.write_ledger(ledger)
    registry.show_in(warehouse)
    sql = "select version, since, until, share, reason from wml.alias_periods where alias = '{}' order by since"
    for alias in ("champion", "canary"):
        found = [tuple(row.values()) for row in warehouse.fetch(sql.format(alias)).to_pylist()]
        expected = [(p.version, p.since, p.until, p.share, p.reason) for p in periods(ledger, "m", alias)]
        assert found == expected
        # Who had it at T is one query; here of fifteen instants.
        who = (
            "select i, version from range(15) as instants (i) left join wml.alias_periods as periods"
            f" on alias = '{alias}' and since <= $start + i * interval 12 hour"
            " and (until is null or until > $start + i * interval 12 hour) order by i"
        )
        held = [holder_at(ledger, "m", alias, START + half_day * DAY / 2) for half_day in range(15)]
        assert warehouse.fetch(who, {"start": START})["version"].to_pylist() == held


def test_a_ledger_of_an_earlier_release_is_read_and_widened(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    columns = [("model", pa.string()), ("alias", pa.string()), ("version", pa.int64())]
    columns += [("since", pa.timestamp("us", tz="UTC")), ("reason", pa.string())]
    row = {"model": "m", "alias": "champion", "version": 3, "since": START, "reason": "the first version"}
    pq.write_table(pa.Table.from_pylist([row], schema=pa.schema(columns)), tmp_path / "aliases.parquet")
    registry = Registry(tmp_path)
    assert registry.ledger() == [Alias("m", "champion", 3, START, "the first version", None, None)]
    registry.show_in(warehouse)
    shown = warehouse.fetch("select version, share, action from wml.model_aliases").to_pylist()
    assert shown == [{"version": 3, "share": None, "action": None}]
    assert warehouse.fetch("select version from wml.alias_periods").to_pylist() == [{"version": 3}]
    assert registry.ledger() == [Alias("m", "champion", 3, START, "the first version", None, None)]


@given(st.lists(st.one_of(st.integers(1, 4), st.just("back")), max_size=12))
def test_a_rollback_takes_the_newest_standing_promotion_back(actions: list[int | str]) -> None:
    """Against a stack that promotions are laid on and rollbacks take from."""
    stack: list[int] = []
    ledger: list[Alias] = []
    for day, action in enumerate(actions):
        if action == "back":
            if len(stack) < 2:
                continue
            stack.pop()
            ledger.append(Alias("m", "champion", stack[-1], START + day * DAY, "", None, "rollback"))
        elif isinstance(action, int) and stack[-1:] != [action]:
            stack.append(action)
            ledger.append(Alias("m", "champion", action, START + day * DAY, "", None, "promote"))
        assert promotions(ledger, "m", START + day * DAY) == stack
    assert promotions(ledger, "m", START - DAY) == []


def test_a_fallback_takes_back_what_was_promoted_after_the_safe_version() -> None:
    ledger = [line(version, version) for version in (1, 2, 3)]
    safe = [Alias("m", "champion", 1, START + 9 * DAY, "", None, "fallback")]
    assert promotions(ledger + safe, "m", START + 9 * DAY) == [1]
    other = [Alias("m", "champion", 7, START + 9 * DAY, "", None, "fallback")]
    assert promotions(ledger + other, "m", START + 9 * DAY) == [1, 2, 7]
    first = [Alias("m", "champion", 7, START, "", None, "fallback")]
    assert promotions(first, "m", START) == [7]


def _promote_often(root: Path, number: int) -> None:
    registry = Registry(root)
    for turn in range(10):
        promote(registry, "churn", 1 + turn % 2, START + turn * DAY, "why", alias=f"own_{number}_{turn}")
        promote(registry, "churn", 2, START, "the same", alias="shared")


def test_promoters_at_once_lose_no_line_and_say_nothing_twice(two: Path) -> None:
    before = ledger_of(two)
    context = multiprocessing.get_context("spawn")
    promoters = [context.Process(target=_promote_often, args=(two / "artifacts", number)) for number in (1, 2)]
    for promoter in promoters:
        promoter.start()
    for promoter in promoters:
        promoter.join()
    added = ledger_of(two)[len(before) :]
    assert ledger_of(two)[: len(before)] == before
    own = sorted(found.alias for found in added if found.alias != "shared")
    assert own == sorted(f"own_{number}_{turn}" for number in (1, 2) for turn in range(10))
    assert [found.version for found in added if found.alias == "shared"] == [2]


# Promotions.


def test_a_candidate_answers_what_the_champion_was_asked_and_nothing_it_was_trained_on(two: Path) -> None:
    done = ok(two, "promote", "churn@2", "--reason", "to see", "--as-of", END, "--format", "json")
    (row,) = done.rows
    assert (row["version"], row["was"], row["outcome"], row["reason"]) == (2, 1, "done", "to see")
    assert "compared over 3 windows, 504 requests" in done.err
    log = rows(
        two,
        "select alias, version, count(*) as n, min(requested_at) as first"
        " from wml.request_log group by all order by all",
    )
    assert [(row["alias"], row["version"], row["n"]) for row in log] == [("candidate", 2, 504), ("champion", 1, 672)]
    # Version 2 was fitted to the rows up to this instant, and held the later ones out.
    snapshot = (two / "artifacts" / "churn" / "2" / "snapshot.parquet").as_posix()
    (fitted,) = rows(two, f"select max(requested_at) as last from '{snapshot}' where wml_split = 'train'")
    assert fitted["last"] < log[0]["first"]
    # The difference of the paired accuracies, by hand over the log.
    (compared,) = rows(
        two,
        "select difference, n_pairs from wml.latest_comparisons where metric = 'accuracy' and slice_key = 'overall'"
        " and window_start = timestamptz '2024-02-19 00:00:00+00' and version = 2 and other_version = 1",
    )
    (by_hand,) = rows(
        two,
        "select count(*) as n, avg("
        "((two.score >= 0.5) = l.has_churned)::int - ((one.score >= 0.5) = l.has_churned)::int) as difference"
        " from wml.request_log_churn as one inner join wml.request_log_churn as two"
        " on one.request_id = two.request_id and one.version = 1 and two.version = 2"
        " inner join churn_labels as l on l.request_id = one.request_id"
        " where one.requested_at >= '2024-02-19 00:00:00+00' and one.requested_at < '2024-02-26 00:00:00+00'",
    )
    assert compared["n_pairs"] == by_hand["n"] == 168
    assert compared["difference"] == pytest.approx(by_hand["difference"], abs=1e-12)
    counts = "select sum(n_requests)::bigint as n from wml.latest_evaluations"
    ok(two, "evaluate", "--as-of", END)
    assert rows(two, counts) == [{"n": 672 + 504}]
    # The former champion shadows from now on.
    shadow = "select version from wml.alias_periods where alias = 'challenger' and until is null"
    assert rows(two, shadow) == [{"version": 1}]


def test_rows_that_may_have_been_trained_on_are_not_compared(two: Path) -> None:
    edit(two, "models/churn.sql", "data_split_method = 'seq',", "data_split_method = 'random',")
    edit(two, "models/churn.sql", "    data_split_col = 'requested_at'\n", "    data_split_eval_fraction = 0.2\n")
    edit(two, "models/churn.sql", "    requests.requested_at,\n", "")
    ok(two, "train", "churn", "--as-of", "2024-02-20", "--promote", "never")
    done = ok(two, "promote", "churn@4", "--reason", "to see", "--as-of", END)
    assert "not compared: the champion has no mature window since 2024-02-20 00:00" in done.err
    assert rows(two, "select distinct version from wml.request_log") == [{"version": 1}]


def test_a_rule_refuses_a_promotion_and_force_overrules_it(two: Path) -> None:
    write(two, "sql/rules/not_worse.sql", NOT_WORSE)
    before = (two / "artifacts" / "aliases.parquet").read_bytes()
    refused = wml(two, "promote", "churn@2", "--reason", "I like it", "--as-of", END, "--format", "json")
    assert refused.code == 1
    assert (two / "artifacts" / "aliases.parquet").read_bytes() == before
    assert refused.rows[0]["outcome"] == "refused"
    told = rows(
        two,
        "select difference, ci_upper from wml.latest_comparisons where metric = 'roc_auc' and slice_key = 'overall'"
        " and ci_upper < 0 order by window_start",
    )
    said = [
        text for text in refused.err.splitlines() if text.startswith("refused by sql/rules/not_worse.sql:1: not_worse")
    ]
    assert len(said) == len(told) > 0
    for text, row in zip(said, told, strict=True):
        assert f"metric roc_auc, difference {row['difference']:.4g}, ci_upper {row['ci_upper']:.4g}" in text
    fired = rows(two, 'select rule, "on", model, count(*) as n from wml.rule_firings group by all')
    assert fired == [{"rule": "not_worse", "on": "promote", "model": "churn", "n": len(told)}]
    forced = ok(two, "promote", "churn@2", "--reason", "I like it", "--as-of", END, "--force", "--format", "json")
    assert forced.rows[0]["outcome"] == "done"
    last = ledger_of(two)[-2]
    assert (last.version, last.action) == (2, "promote")
    assert last.reason.startswith("I like it (forced, although sql/rules/not_worse.sql:1: not_worse returned ")
    again = ok(two, "promote", "churn@2", "--reason", "again", "--as-of", END, "--format", "json")
    assert again.rows[0]["outcome"] == "unchanged"
    assert "churn@2 is champion already" in again.err
    assert ledger_of(two)[-2] == last


def test_a_dry_run_says_what_would_be_decided_and_leaves_no_trace(two: Path) -> None:
    write(two, "sql/rules/not_worse.sql", NOT_WORSE)

    def state() -> list[object]:
        tables = ("request_log", "metrics", "evaluations", "comparisons", "rule_firings", "model_aliases")
        return [rows(two, f"select * from wml.{name} order by all") for name in tables]

    before = state()
    refused = wml(two, "promote", "churn@2", "--dry-run", "--as-of", END, "--format", "json")
    assert (refused.code, refused.rows[0]["outcome"]) == (1, "refused")
    would = ok(two, "promote", "churn@2", "--dry-run", "--force", "--as-of", END, "--format", "json")
    assert would.rows[0]["outcome"] == "would be done"
    assert state() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chrun@1", "--reason", "x"], 'did you mean "churn"?'),
        (["churn@7", "--reason", "x"], 'no version "7" of churn\n  has:  1, 2, 3, champion'),
        (["churn@chmpion", "--reason", "x"], 'did you mean "champion"?'),
        (["churn", "--reason", "x"], '"churn" does not say which version\n  has:  churn@1, churn@2, churn@3'),
        (["@2", "--reason", "x"], '"@2" names no model'),
        (["churn@2"], "a decision needs a reason"),
        (["churn@2", "--reason", " "], "a decision needs a reason"),
        (["churn@2", "--alias", "Safe", "--reason", "x"], 'did you mean "safe"?'),
        (["churn@2", "--alias", "3", "--reason", "x"], '"3" cannot be an alias'),
        (["churn@2", "--alias", "candidate", "--reason", "x"], '"candidate" cannot be an alias'),
        (["churn@2", "--alias", "canary", "--reason", "x"], "--share 0.1"),
        (["churn@2", "--alias", "canary", "--share", "1", "--reason", "x"], "--share 1 is not between 0 and 1"),
        (["churn@2", "--share", "0.5", "--reason", "x"], "champion is none"),
        (["churn@1", "--alias", "challenger", "--reason", "x"], "churn@1 is the champion"),
        (["churn", "--none", "--reason", "x"], "churn would have no champion"),
        (["churn", "--alias", "cnary", "--none", "--reason", "x"], 'no version of churn is called "cnary"'),
        (["churn@2", "--reason", "x", "--as-of", "2024-02-26"], "168 requests of churn made since 2024-02-26 00:00:00"),
    ],
)
def test_what_makes_no_sense_is_told(two_once: Path, arguments: list[str], message: str) -> None:
    before = ledger_of(two_once)
    clock = [] if "--as-of" in arguments else ["--as-of", END]
    done = wml(two_once, "promote", *arguments, *clock)
    assert done.code == 2, done.out + done.err
    assert message in done.err
    assert ledger_of(two_once) == before


def test_a_canary_needs_a_champion_beside_it(two: Path) -> None:
    (two / "artifacts" / "aliases.parquet").unlink()
    shutil.rmtree(two / "artifacts" / "ledger")
    done = wml(two, "promote", "churn@2", "--alias", "canary", "--share", "0.5", "--reason", "x", "--as-of", END)
    assert done.code == 2
    assert "churn has no champion to answer the other requests" in done.err


def test_aliases_of_ones_own_are_names_and_can_be_taken_away(two: Path) -> None:
    ok(two, "promote", "churn@2", "--alias", "best_of_may", "--reason", "a name", "--as-of", END)
    assert ok(two, "models", "show", "churn@best_of_may", "--format", "json").rows[1]["value"] == "2"
    words = ["promote", "churn", "--alias", "best_of_may", "--none", "--format", "json"]
    taken_away = [*words, "--reason", "no more", "--as-of", END]
    (row,) = ok(two, *taken_away).rows
    assert (row["version"], row["was"], row["outcome"]) == (None, 2, "done")
    assert ledger_of(two)[-1].version is None
    assert wml(two, "models", "show", "churn@best_of_may").code == 2
    (row,) = ok(two, *taken_away).rows
    assert row["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("sql/rules/old.sql", "{{ config(on='retrain', model='churn') }}\nselect {{ candidate }} as version"),
        ("sql/tests/bad.sql", "select 1 as bad where\n 1 = {{ champion + 1 }}"),
    ],
)
def test_the_two_versions_are_told_to_rules_about_promotions_alone(two: Path, place: str, text: str) -> None:
    write(two, place, text)
    done = wml(two, "build", "--as-of", END)
    assert done.code == 2
    assert f"{place}:2: undefined name: " in done.err
    assert 'is a version\'s number that only a rule with config(on="promote") is told' in done.err


def test_a_rule_about_promotions_is_shown_for_the_newest_version(two: Path) -> None:
    write(two, "sql/rules/not_worse.sql", NOT_WORSE)
    shown = ok(two, "compile", "not_worse", "--as-of", END).out
    assert "compared.version = 3" in shown
    assert "compared.other_version = 1" in shown


# Training promotes by itself.


def test_a_rule_about_promotions_guards_what_training_promotes(two: Path) -> None:
    ok(two, "promote", "churn@2", "--reason", "easily beaten", "--as-of", END)
    rule = NOT_WORSE.replace("and compared.ci_upper < 0", "and compared.ci_upper < 10")
    write(two, "sql/rules/not_worse.sql", rule)
    edit(two, "models/churn.sql", "l1_reg = 1e9", "l1_reg = 0")
    (row,) = ok(two, "train", "churn", "--as-of", END, "--format", "json").rows
    # The rows held out speak for it, or it would not have been asked.
    assert row["alias"] == "challenger"
    assert row["reason"].startswith("refused: sql/rules/not_worse.sql:1: not_worse returned window_start 2024-02-")
    assert "(no worse on the rows held out: roc_auc" in row["reason"]
    assert champion_of(two) == 2
    log = rows(two, "select count(*) > 0 as is_answered from wml.request_log where alias = 'candidate' and version = 4")
    assert log == [{"is_answered": True}]
    (two / "sql/rules/not_worse.sql").unlink()
    (row,) = ok(two, "train", "churn", "--as-of", END, "--force", "--format", "json").rows
    assert row["alias"] == "champion"


def test_a_rule_that_cannot_be_asked_leaves_the_new_version_as_challenger(two: Path) -> None:
    ok(two, "promote", "churn@2", "--reason", "easily beaten", "--as-of", END)
    write(two, "sql/rules/bad.sql", "{{ config(on='promote', model='churn') }}\nselect no_such from wml.metrics")
    edit(two, "models/churn.sql", "l1_reg = 1e9", "l1_reg = 0")
    done = wml(two, "train", "churn", "--as-of", END)
    assert done.code == 2
    assert "sql/rules/bad.sql:2" in done.err
    assert champion_of(two) == 2
    assert rows(two, "select version from wml.alias_periods where alias = 'challenger'") == [{"version": 4}]


# Rollback and fallback.


def test_rolling_back_goes_further_back_and_not_forth(two: Path) -> None:
    for version in (3, 2):
        promote(Registry(two / "artifacts"), "churn", version, AT_END, "x")
    assert [champion_of(two)] == [2]
    (row,) = ok(two, "rollback", "churn", "--reason", "it was slow", "--as-of", END, "--format", "json").rows
    assert (row["version"], row["was"], row["reason"]) == (3, 2, "rolled back from version 2: it was slow")
    (row,) = ok(two, "rollback", "churn", "--as-of", END, "--dry-run", "--format", "json").rows
    assert (row["version"], row["outcome"], champion_of(two)) == (1, "would be done", 3)
    ok(two, "rollback", "churn", "--as-of", END)
    assert champion_of(two) == 1
    done = wml(two, "rollback", "churn", "--as-of", END)
    assert (done.code, champion_of(two)) == (2, 1)
    assert "nobody served before version 1 of churn" in done.err
    done = wml(two, "rollback", "churn", "--to", "2", "--as-of", END)
    assert done.code == 2
    assert "version 2 of churn did not serve before version 1" in done.err
    # predict_churn answers with whoever serves now.
    comment = "select comment from duckdb_functions() where function_name = 'predict_churn'"
    assert "churn@1 " in rows(two, comment)[0]["comment"]


def test_rolling_back_to_a_version_takes_all_after_it_back(two: Path) -> None:
    for version in (3, 2):
        promote(Registry(two / "artifacts"), "churn", version, AT_END, "x")
    (row,) = ok(two, "rollback", "churn", "--to", "1", "--as-of", END, "--format", "json").rows
    assert (row["version"], row["was"], champion_of(two)) == (1, 2, 1)
    assert wml(two, "rollback", "churn", "--as-of", END).code == 2


def test_falling_back_needs_a_safe_version_and_is_done_once(two: Path) -> None:
    done = wml(two, "fallback", "churn", "--as-of", END)
    assert done.code == 2
    assert 'wml promote churn@1 --alias safe --reason "..."' in done.err
    ok(two, "promote", "churn@2", "--alias", "safe", "--reason", "it says the same to all", "--as-of", END)
    (row,) = ok(two, "fallback", "churn", "--reason", "outage", "--as-of", END, "--format", "json").rows
    assert (row["version"], row["was"], row["reason"]) == (2, 1, "fell back from version 1: outage")
    before = ledger_of(two)
    assert ok(two, "fallback", "churn", "--as-of", END, "--format", "json").rows[0]["outcome"] == "unchanged"
    assert ledger_of(two) == before


FALLBACK = """\
{{ config(on='fallback', model='churn') }}
-- grain: one row per mature week of the last two in which the model ranked no better than chance
select
    metrics.window_start,
    metrics.value
from wml.latest_metrics as metrics
where
    metrics.metric = 'roc_auc'
    and metrics.slice_key = 'overall'
    and metrics.value < 0.99
    and metrics.window_start >= {{ add_interval(as_of, -14, 'day') }}
order by metrics.window_start
"""


def test_a_rule_falls_back_in_the_weekly_job_and_training_does_not_promote_over_it(two: Path) -> None:
    ok(two, "promote", "churn@2", "--alias", "safe", "--reason", "x", "--as-of", LATER)
    write(two, "sql/rules/no_use.sql", FALLBACK)
    retrain = "{{ config(on='retrain', model='churn') }}\nselect 'always' as reason"
    write(two, "sql/rules/always.sql", retrain)
    edit(two, "models/churn.sql", "l1_reg = 1e9", "l1_reg = 0")
    done = wml(two, "run", "--as-of", END)
    assert done.code == 1
    assert "churn fell back from version 1 to the safe version 2" in done.err
    fallen = [entry for entry in ledger_of(two) if entry.action == "fallback" and entry.alias == "champion"]
    assert [entry.version for entry in fallen] == [2]
    assert fallen[0].reason.startswith(
        "fell back from version 1: sql/rules/no_use.sql:1: no_use returned window_start 2024-02-"
    )
    # Version 4 was trained, and waits for a person.
    assert champion_of(two) == 2
    assert [version.version for version in Registry(two / "artifacts").versions("churn")] == [1, 2, 3, 4]
    before = ledger_of(two)
    assert wml(two, "run", "--as-of", END).code == 1
    assert ledger_of(two) == before
    runs = rows(two, "select \"on\", count(*) as n from wml.rule_firings where rule = 'no_use' group by all")
    assert runs[0]["on"] == "fallback"


def test_a_rule_without_a_safe_version_stops_nothing(two: Path) -> None:
    write(two, "sql/rules/no_use.sql", FALLBACK)
    before = ledger_of(two)
    done = wml(two, "run", "--as-of", END)
    assert done.code == 1
    assert "warning: churn has no safe version to fall back to" in done.err
    assert ledger_of(two) == before
