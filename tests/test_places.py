"""Places: an offset of rendered SQL is told as line and column of the template, whatever Jinja made of the lines."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_bad_input import SPLIT, refused
from tests.tiny import edit, write
from tests.wml import wml
from warehouse_ml import templates
from warehouse_ml.errors import SqlError
from warehouse_ml.places import SourceText, trace

NAMES: dict[str, Any] = {"ref": lambda name: f'"{name}"', "names": ["a", "b", "c"]}
NAMES.update(
    templates.macros(
        "{% macro wrap(text) %}(\n{{ text }}\n){% endmacro %}\n{% macro around() %}<\n{{ caller() }}\n>{% endmacro %}",
        "duckdb",
        {},
        place="sql/macros/m.sql",
    )
)


def text_of(source: str) -> SourceText:
    rendered = templates.render(source, "duckdb", NAMES, place="x.sql")

    def origins() -> Any:
        return trace(
            source,
            rendered,
            templates.user_environment("duckdb"),
            lambda marked: templates.render(marked, "duckdb", NAMES, place="x.sql"),
        )

    return SourceText(rendered, "x.sql", origins)


def place_in(source: str, word: str) -> str:
    lines = source.splitlines()
    row = next(index for index, line in enumerate(lines) if word in line)
    return f"x.sql:{row + 1}:{lines[row].index(word) + 1}"


# A template, and the words whose place in the rendered text must be theirs in the template.
TEMPLATES = [
    pytest.param(
        "{% for name in names %}\n    {{ name }},\n{% endfor %}\n  NEEDLE from t\n", ["NEEDLE", "from t"], id="a loop"
    ),
    pytest.param("{% for name in names -%}\n    NEEDLE,\n{%- endfor %}", ["NEEDLE"], id="inside a loop"),
    pytest.param(
        "{% if false %}\nno\nno\n{% elif true %}\nNEEDLE\n{% else %}\n{% endif %} LAST", ["NEEDLE", "LAST"], id="if"
    ),
    pytest.param("{% set x = 1 %}\n{%- set y = [\n1,\n2] -%}\n\n\n  NEEDLE", ["NEEDLE"], id="set"),
    pytest.param("{% set x %}\nselect NEEDLE\n{% endset %}\n\n\n{{ x }} LAST", ["NEEDLE", "LAST"], id="set block"),
    pytest.param("{% set x %}\n NEEDLE\n{% endset %}\n{{ x | trim }} LAST", ["NEEDLE", "LAST"], id="trim"),
    pytest.param("{# one\ntwo\n#}\n{#- three\n-#}\n\n NEEDLE {# x #} LAST", ["NEEDLE", "LAST"], id="comments"),
    pytest.param(
        "{% macro m(a) %}\n  {{ a }} NEEDLE\n{% endmacro %}\n\n\n{{ m(\n1\n) }} LAST",
        ["NEEDLE", "LAST"],
        id="own macro",
    ),
    pytest.param(
        "{{ wrap(\n  'a\nb'\n) }} NEEDLE\n{{ wrap('c') }}LAST", ["NEEDLE", "LAST"], id="a macro of the project"
    ),
    pytest.param("{% call around() %}\n NEEDLE\n{% endcall %}\nLAST", ["NEEDLE", "LAST"], id="call"),
    pytest.param(
        "{% filter indent(8) %}\na\n  NEEDLE b\n{% endfilter %}\nLAST", ["NEEDLE", "b\n", "LAST"], id="indent"
    ),
    pytest.param("{% raw %}{{ a }}\n NEEDLE{% endraw %}\n LAST", ["NEEDLE", "LAST"], id="raw"),
    pytest.param("a\r\nb\r\n{% if true %}\r\n  NEEDLE\r\n{% endif %}\r\n LAST\r\n", ["NEEDLE", "LAST"], id="crlf"),
    pytest.param("-- größe 日本語 🜁\n'ü🜁' {{ ref('é') }} NEEDLE\nLAST", ["NEEDLE", "LAST"], id="unicode"),
    pytest.param("{% set x %}  a  {% endset %}{{ x | length }}\n\n NEEDLE", ["NEEDLE"], id="a text that is measured"),
]


@pytest.mark.parametrize(("source", "words"), TEMPLATES)
def test_literal_text_has_its_own_line_and_column(source: str, words: list[str]) -> None:
    text = text_of(source)
    for word in words:
        assert text.at(text.text.index(word)) == place_in(source.replace("\r\n", "\n"), word.strip())


def test_text_of_an_expression_is_at_the_expression() -> None:
    source = "select\n  a, {{ wrap('x\ny') }},\n\t{{\n  ref('t')\n  | upper }} as b"
    text = text_of(source)
    for word in ("x", "y", ")"):
        assert text.at(text.text.index(word)) == "x.sql:2:6"
    assert text.at(text.text.index('"T"') + 1) == "x.sql:4:2"
    assert text.at(text.text.index(", ")) == "x.sql:2:4"
    assert text.at(text.text.index(",\n")) == "x.sql:3:7"
    assert text.at(text.text.index("as b")) == place_in(source, "as b")


def test_text_of_a_called_macro_is_at_the_call() -> None:
    text = text_of("\n  {% call around() %}\nbody\n{% endcall %}\n")
    assert (text.at(text.text.index("<")), text.at(text.text.index(">"))) == ("x.sql:2:3", "x.sql:2:3")


def test_kept_text_that_is_measured_is_at_its_expression() -> None:
    source = "{% set x %}\n a\n{% endset %}\n\n{{ x | length }} | {{ x }} b"
    text = text_of(source)
    assert text.at(text.text.index("a")) == place_in(source, "{{ x }}")
    assert text.at(text.text.index("b")) == place_in(source, "b")


def test_the_ends_of_a_text_have_places() -> None:
    text = text_of("{% if true %}\nabc{% endif %}")
    assert text.at(len(text.text)) == text.at(10**6) == "x.sql:2:4"
    assert text.at(-5) == "x.sql:1:1"
    assert text.at(None) == "x.sql"
    assert text_of("").at(0) == "x.sql:1:1"


def test_what_cannot_be_traced_is_told_by_its_rendered_line() -> None:
    assert text_of("a\nb \U000f0000\nc").at(6) == "x.sql:3"


def test_origins_are_found_only_when_asked_for() -> None:
    calls = []
    text = SourceText("select 1", "x.sql", lambda: calls.append(1))
    assert (text.text, text.place, calls) == ("select 1", "x.sql", [])
    assert text.at(3) == "x.sql:1"
    assert calls == [1]


def test_the_position_of_an_error_in_a_statement_that_holds_the_text() -> None:
    text = SourceText("\n\nselect a\nfrom b;\n", "x.sql")
    sql = "create view v as\nselect a\nfrom b"
    error = SqlError("no", sql=sql, position=sql.index("b", 20))
    assert text.at(text.position_of(error)) == "x.sql:4:6"
    assert text.position_of(SqlError("no", sql=sql, position=3)) is None
    assert text.position_of(SqlError("no", sql="select 2", position=3)) is None
    assert text.position_of(SqlError("no")) is None
    assert text.at(text.position_of(error, "from b", start=11)) == "x.sql:4:6"


_WORDS = st.text(alphabet="ab é日🜁'(),", max_size=6)
_LEFT, _RIGHT = st.sampled_from(["{%", "{%-"]), st.sampled_from(["%}", "-%}"])


def _blocks(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def tagged(start: str, middle: str, end: str) -> st.SearchStrategy[str]:
        return st.builds(
            lambda a, b, body, c, d, other: (
                f"{a} {start} {b}{body}" + (f"{c} {middle} {d}{other}" if middle else "") + f"{c} {end} {d}"
            ),
            _LEFT,
            _RIGHT,
            children,
            _LEFT,
            _RIGHT,
            children,
        )

    return st.one_of(
        tagged("for i in range(2)", "", "endfor"),
        tagged("if true", "else", "endif"),
        tagged("if false", "else", "endif"),
        tagged("call around()", "", "endcall"),
        tagged("filter indent(3)", "", "endfilter"),
        tagged("set kept", "", "endset").map(lambda block: block + "{{ kept }}"),
        tagged("set kept", "", "endset").map(lambda block: block + "{{- kept | trim -}}"),
        tagged("set kept", "", "endset").map(lambda block: block + "{% if kept | length > 20 %}long{% endif %}"),
        tagged("macro m(x)", "", "endmacro").map(lambda block: block + "\n{{ m(1) }}|{{- wrap(m(2)) -}}"),
        st.lists(children, min_size=1, max_size=3).map("".join),
    )


_LEAVES = st.one_of(
    st.tuples(_WORDS, _WORDS, st.sampled_from(["", "\n", "\n\n", "\r\n"])).map(lambda t: f"{t[0]}§{t[1]}{t[2]}"),
    st.sampled_from(
        [
            "{# a\ncomment #}",
            "{#- a comment -#}\n",
            "{% set a = {'b': (1, 2)} %}\n",
            "{{ 'x\\n\\ny' }}",
            "{{- names | join(',\\n') -}}",
            "{{ ref('t') }}\n",
            "{{ wrap('z') }}",
            "{% raw %}{{ x }}\n{% endraw %}",
        ]
    ),
)


@given(st.lists(st.recursive(_LEAVES, _blocks, max_leaves=12), min_size=1, max_size=4).map("".join))
def test_every_word_of_a_template_is_traced_to_itself(source: str) -> None:
    # Each word of the template's own text is made the only one of its kind.
    numbers = itertools.count(1)
    source = "".join(f"word{next(numbers):04d}" if sign == "§" else sign for sign in source)
    text = text_of(source)
    lines = source.replace("\r\n", "\n").split("\n")
    start = text.text.find("word")
    while start >= 0:
        word = text.text[start : start + 8]
        line, column = text.line_and_column(start)
        assert column is not None
        found = lines[line - 1][column - 1 :]
        if not found.startswith(word):
            # Kept text whose length decides something is told by the expression that writes it.
            assert "kept |" in source
            assert found.startswith(("{{", "{% call", "{%- call", "{% filter", "{%- filter"))
        start = text.text.find("word", start + 1)


def test_an_error_in_a_model_is_at_its_line_and_column(tiny: Path) -> None:
    edit(
        tiny,
        "models/churn.sql",
        "    requests.amount,\n",
        "{% for n in [1, 2, 3] %}\n    requests.amount + {{ n }} as a{{ n }},\n{% endfor %}\n    requests.amuont,\n",
    )
    refused(wml(tiny, "train", "churn", "--as-of", SPLIT), 2, 'models/churn.sql:12:5: no column "amuont"')


def test_an_option_after_a_loop_is_at_its_line_and_column(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "options (", "options (\n{% for n in [1, 2] %}\n    -- {{ n }}\n{% endfor %}\n")
    edit(tiny, "models/churn.sql", "'seq'", "'sequential'")
    refused(wml(tiny, "train", "churn", "--as-of", SPLIT), 2, "models/churn.sql:9:5: data_split_method = 'sequential'")


def test_a_model_that_cannot_be_parsed_says_where(tiny: Path) -> None:
    edit(tiny, "models/churn.sql", "create or", "{#\n\n#}{% if true %}\n{% endif %}create or")
    edit(tiny, "models/churn.sql", "requests.visits,", "requests.visits + * 2,")
    refused(
        wml(tiny, "train", "churn", "--as-of", SPLIT),
        2,
        "models/churn.sql:13:25: SQL syntax: Invalid expression / Unexpected token near",
        'visits + * 2"',
    )


def test_a_relation_is_told_at_its_line_and_column(tiny: Path) -> None:
    edit(
        tiny,
        "sql/requests/churn_requests.sql",
        "    events.amount,\n",
        "{% set x %}\n\n{% endset %}\n   events.amuont,\n",
    )
    refused(
        wml(tiny, "build", "--as-of", SPLIT), 2, 'sql/requests/churn_requests.sql:9:4: no column "amuont"', '"amount"'
    )


def test_an_error_in_a_macro_of_the_project_is_at_its_call(tiny: Path) -> None:
    write(tiny, "sql/macros/m.sql", "{% macro doubled(name) %}\n\n2 * events.{{ name }}{% endmacro %}")
    edit(tiny, "sql/requests/churn_requests.sql", "events.amount,", "{{ doubled('amuont') }} as amount,")
    refused(wml(tiny, "build", "--as-of", SPLIT), 2, 'sql/requests/churn_requests.sql:6:5: no column "amuont"')


def test_tests_and_rules_and_evaluations_are_told_at_line_and_column(tiny: Path) -> None:
    lines = "{% for n in [1, 2] %}\n{% endfor %}\n"
    write(tiny, "sql/tests/t.sql", lines + "select 1\nfrom {{ ref('churn_requests') }} where regoin = ''")
    refused(wml(tiny, "test", "t", "--as-of", SPLIT), 2, 'sql/tests/t.sql:4:40: no column "regoin"')
    edit(tiny, "sql/evaluation/churn.sql", "\nselect", f"\n{lines}select")
    edit(tiny, "sql/evaluation/churn.sql", "labels.known_at", "labels.known")
    write(tiny, "sql/rules/r.sql", "{{ config(on='alert') }}\n\n" + lines + "select 'x' as reason where nowhere = 1")
    (tiny / "sql/tests/t.sql").unlink()
    refused(wml(tiny, "run", "--as-of", SPLIT), 2, 'sql/evaluation/churn.sql:10:5: no column "known"')
    edit(tiny, "sql/evaluation/churn.sql", "labels.known", "labels.known_at")
    refused(wml(tiny, "run", "--as-of", SPLIT), 2, "sql/rules/r.sql:5:", "nowhere")


def test_a_query_is_told_at_its_line_and_column(tiny: Path) -> None:
    wml(tiny, "build", "--as-of", SPLIT)
    refused(wml(tiny, "query", "\n\nselect\n  metrc from wml.metrics"), 2, 'query:4:3: no column "metrc"')
