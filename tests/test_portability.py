"""``wml lint``: what is told, where, how seriously, and what is not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import edit, write, write_tiny
from tests.wml import ok, wml
from warehouse_ml.catalog import Catalog
from warehouse_ml.portability import RULES, check_file, check_project
from warehouse_ml.project import load_project
from warehouse_ml.templates import environment

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "warehouse_ml" / "example"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("portability") / "tiny")


def codes(sql: str, engine: str = "duckdb") -> list[str]:
    return [finding.rule.code for finding in check_file(sql, place="q.sql", engine=engine)]


def test_a_project_in_words_that_all_read_alike_is_clean(tiny: Path) -> None:
    assert ok(tiny, "lint", "--level", "note").err == "nothing found\n"
    assert ok(tiny, "lint", "--level", "note", "--target", "bigquery", "--format", "json").rows == []


def test_the_example_project_is_clean() -> None:
    project = load_project(ROOT)
    target = project.target(None)
    found = list(check_project(Catalog(project, target), written_for="duckdb", refusing=frozenset({"bigquery"})))
    assert [(finding.place, finding.rule.code) for finding in found] == []


def test_the_project_that_init_writes_is_clean(tmp_path: Path) -> None:
    ok(tmp_path, "init", "my_project")
    assert ok(tmp_path / "my_project", "lint", "--level", "note", "--target", "bigquery").err == "nothing found\n"


# The demo asks DuckDB, in DuckDB's words.
QUESTIONS = {
    "missed": {"asof-join", "type-name"},
    "over_time": {"asof-join", "date-trunc", "text-function", "time-text"},
    "retrained": {"aggregate-filter"},
}


@pytest.mark.parametrize("file", sorted((EXAMPLE / "questions").glob("*.sql")), ids=lambda file: file.stem)
def test_the_demos_questions_are_told_for_what_they_are(file: Path) -> None:
    found = {code for code in codes(file.read_text(encoding="utf-8")) if RULES[code].level != "note"}
    assert found == QUESTIONS[file.stem]


QUERY = """\
{{ config(materialized='table') }}
-- grain: one row per region: x::int is no cast here
select
    region,
    {{ count_where("region = 'north'") }} as n_north,
    {% for name in ['amount', 'visits'] %}
    sum({{ name }}) filter (where {{ name }} > 0) as {{ name }},
    {% endfor %}
    date_trunc('week', requested_at) as week
from {{ ref('churn_requests') }}
group by region, date_trunc('week', requested_at)
order by region
"""


def test_file_line_and_column_are_those_of_the_template(tiny: Path, tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    write(root, "sql/features/regions.sql", QUERY)
    done = wml(root, "lint", "--format", "json", "--level", "note")
    assert done.code == 1
    assert [(row["code"], row["place"], row["level"]) for row in done.rows] == [
        ("aggregate-filter", "sql/features/regions.sql:7:5", "warning"),
        ("aggregate-filter", "sql/features/regions.sql:7:5", "warning"),
        ("date-trunc", "sql/features/regions.sql:9:5", "warning"),
        ("date-trunc", "sql/features/regions.sql:11:18", "warning"),
        ("null-order", "sql/features/regions.sql:12:10", "note"),
    ]
    assert done.rows[0]["fix"] == RULES["aggregate-filter"].fix


def test_levels_and_exit_codes(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    write(root, "sql/features/regions.sql", "select region from {{ ref('churn_requests') }} order by region")
    assert wml(root, "lint").code == 0
    assert wml(root, "lint", "--level", "note").code == 1
    edit(root, "sql/features/regions.sql", "order by region", "where region ilike 'n%'")
    assert wml(root, "lint").code == 1
    assert wml(root, "lint", "--level", "error").code == 0
    refused = wml(root, "lint", "--level", "error", "--target", "bigquery")
    assert refused.code == 1
    assert "1 found in 1 file" in refused.err
    # It is DuckDB's, so DuckDB does not refuse it.
    assert wml(root, "lint", "--level", "error", "--target", "duckdb").code == 0


def test_models_and_files_given(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    edit(root, "models/churn.sql", "requests.visits,", "requests.visits % 7 as visits,")
    write(
        root, "more/question.sql", "select *\nfrom ml.predict(model churn, table churn_requests)\nwhere amount::int > 1"
    )
    assert [row["place"] for row in wml(root, "lint", "--format", "json").rows] == ["models/churn.sql:10:21"]
    assert [row["place"] for row in wml(root, "lint", "models/churn.sql", "--format", "json").rows] == [
        "models/churn.sql:10:21"
    ]
    done = wml(root, "lint", "more/question.sql", "--format", "json")
    assert [(row["code"], row["place"]) for row in done.rows] == [
        ("cast-operator", "more/question.sql:3:13"),
        ("type-name", "more/question.sql:3:15"),
    ]


def test_traps_of_models_are_told_too(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    edit(root, "models/churn.sql", "labels.has_churned\n", "labels.has_churned,\n    random() as luck\n")
    found = wml(root, "lint", "--format", "json").rows
    assert [(row["level"], row["code"], row["place"]) for row in found] == [
        ("warning", "not-replayable", "models/churn.sql:14:5")
    ]
    assert wml(root, "lint", "sql/requests/churn_requests.sql").code == 0


def test_mistakes(tiny: Path) -> None:
    done = wml(tiny, "lint", "sql/nothing.sql")
    assert done.code == 2
    assert "sql/nothing.sql: cannot be read" in done.err
    done = wml(tiny, "lint", "--target", "snowflake")
    assert done.code == 2
    assert "snowflake" in done.err


ALIKE = {
    "casts": "select cast(a as string) as a, cast(b as int64) as b, cast(round(c) as int64) as c from t",
    "a date": "select date '2024-01-01' as a from t where day >= date '2024-01-01'",
    "interval of days": "select seen + interval 1 day as a from t",
    "extract": "select extract(year from seen) as a, extract(hour from seen) as b from t",
    "a text with numbers": "select n from t where word = '2' and count_of > 2",
    "an alias of the column's own name": "select lower(word) as word, length(word) as n from t where word <> ''",
    "an alias in group and order": "select lower(word) as w, count(*) as n from t group by w order by n desc",
    "safe division": "select a / nullif(b, 0) as a, a / 2 as b, a / cast(7 as int64) as c from t",
    "coalesced": "select greatest(coalesce(a, 0), 1) as a, least(coalesce(a, b, 0), -1) as b from t",
    "in a list": "select n from t where n in (1, 2) and word not in ('a', 'b')",
    "one decimal": "select x * 0.5 as a from t where x > 0.25",
    "windows": (
        "select sum(n) over (partition by id order by seen desc rows between 3 preceding and current row) as a, "
        "row_number() over w as b from t where true qualify row_number() over w = 1 window w as (order by n desc)"
    ),
    "joins": "select t.id from t left join u using (id) cross join v where exists (select 1 from u where u.id = t.id)",
    "unions": "select id from t union all select id from u union distinct select id from v",
    "a pair of texts": "select word || '-' || lower(word) as a, substr(word, 2, 3) as b from t",
    "grouping sets": "select a, b, count(*) as n from t group by grouping sets ((a), (b), ())",
    "case": "select case when n > 0 then 'a' else 'b' end as a, if(n > 0, 1, 0) as b from t",
    "except": "select * except (a) from t except distinct select * from u",
}


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
@pytest.mark.parametrize("sql", ALIKE.values(), ids=ALIKE)
def test_what_both_read_alike_is_not_told(sql: str, engine: str) -> None:
    assert codes(sql, engine) == []


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_what_the_portable_macros_write_is_not_told(engine: str) -> None:
    for call in ("median('x')", "quantiles('x', 4)", "row_hash('t')", "hash_fraction('word')", "weekday('seen')"):
        assert codes("select {{ " + call + " }} as a from t", engine) == [], call


def test_text_that_is_no_sql_is_left_to_the_warehouse() -> None:
    assert codes("this is not sql at all ((") == []


def test_each_fix_names_macros_that_are_there() -> None:
    env = environment("duckdb")
    for rule in RULES.values():
        assert rule.why
        for expression in rule.fix.split("{{")[1:]:
            name = expression.strip().partition("(")[0]
            if name.isidentifier():
                assert name in env.globals, (rule.code, name)


@pytest.mark.parametrize("written", ["x::int64", "x % 2", "count_if(x > 1)", "median(x)"])
def test_what_the_engine_it_is_written_for_refuses_is_an_error_at_once(written: str) -> None:
    (found,) = check_file(f"select {written} as a from t", place="q.sql", engine="bigquery")
    assert found.level == "error"


def test_of_two_engines_the_one_it_shall_run_on_decides() -> None:
    (google,) = check_file("select farm_fingerprint(word) as a from t", place="q.sql", engine="bigquery")
    assert google.level == "warning"
    at_home = check_file(
        "select farm_fingerprint(word) as a from t", place="q.sql", engine="bigquery", refusing=frozenset({"duckdb"})
    )
    assert [finding.level for finding in at_home] == ["error"]
