"""The documentation is true: its commands run, its outputs are what the tool prints, its tables are the code's.

``WML_WRITE_DOCS=1 pytest tests/test_docs.py`` writes outputs and generated parts anew. In a document:

- a block of ``sh`` is run (``wml`` and ``cd``), one of ``sql`` is given to ``wml query``; the ``text`` that follows is
  what comes out. Blocks run in the order of ``ORDER``, in one folder, beginning in the example project;
- ``<!-- test: ... -->`` before a block says otherwise: ``not run``, ``in FOLDER``, ``exits 2``, ``first 8`` (lines);
- ``<!-- test: writes PATH -->`` puts a block into a file of the project;
- ``<!-- generated: name -->`` up to ``<!-- end -->`` is written from the code.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import click
import pytest

from tests.googlesql.proofs import NOT_SENT, shipped_files
from warehouse_ml.cli import _run, cli
from warehouse_ml.evaluation.names import METRICS
from warehouse_ml.example import write_flights
from warehouse_ml.functions.signatures import SIGNATURES
from warehouse_ml.options import ESTIMATORS, MODEL_TYPES, OPTIONS, UNLABELLED, Option
from warehouse_ml.portability import RULES
from warehouse_ml.registry import Alias, Registry
from warehouse_ml.registry.aliases import LEDGER_SCHEMA
from warehouse_ml.registry.version import INDEX_SCHEMA
from warehouse_ml.scoring.kept import KEPT_TYPES
from warehouse_ml.tables import ensure_tables
from warehouse_ml.templates import environment
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

ROOT = Path(__file__).parent.parent
ORDER = (
    "README.md",
    "docs/templates.md",
    "docs/models.md",
    "docs/transform.md",
    "docs/versions.md",
    "docs/functions.md",
    "docs/evaluation.md",
    "docs/rules.md",
    "docs/decisions.md",
    "docs/replay.md",
    "docs/format.md",
    "docs/experiments.md",
    "docs/portability.md",
    "docs/bigquery.md",
    "docs/bigquery_ml.md",
    "docs/engines.md",
    "docs/cli.md",
    "docs/README.md",
)
CRASHED = -1
WRITES = os.environ.get("WML_WRITE_DOCS") == "1"

_GENERATED = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w])")
_RULE = re.compile(r"-+(  -+)*")
_EXACT = re.compile(r"n|n_\w+|version|champion|weeks|flights|requests")
_MASKED = re.compile(
    r"seconds|\w*_hash|git_commit|created_at|first_built_at|logged_at|fired_at|evaluation_id|environment: .*|folder"
)


@dataclass
class Block:
    """A fenced block of a document, with the output that follows it."""

    doc: str
    line: int
    language: str
    text: str
    directives: dict[str, str] = field(default_factory=dict)
    answer: str | None = None
    answer_lines: tuple[int, int] = (0, 0)

    @property
    def is_run(self) -> bool:
        return self.language in ("sh", "sql") and not self.directives.keys() & {"not", "writes"}

    def __str__(self) -> str:
        return f"{self.doc}:{self.line}"


@dataclass(frozen=True)
class Ran:
    """What a block came to."""

    code: int
    text: str


def read(doc: str) -> str:
    return (ROOT / doc).read_text(encoding="utf-8")


def blocks_of(doc: str) -> list[Block]:
    lines = read(doc).split("\n")
    blocks: list[Block] = []
    number = 0
    while number < len(lines):
        if not lines[number].startswith("```"):
            number += 1
            continue
        end = lines.index("```", number + 1)
        language, text = lines[number][3:], "\n".join(lines[number + 1 : end])
        before = [line for line in lines[max(0, number - 2) : number] if line]
        follows = not "".join(lines[blocks[-1].answer_lines[0] : number]).strip() if blocks else False
        if language == "text" and follows and blocks[-1].answer is None and blocks[-1].is_run:
            blocks[-1].answer, blocks[-1].answer_lines = text, (number + 1, end)
        else:
            said = re.fullmatch(r"<!-- test: (.*) -->", before[-1]) if before else None
            directives = dict([*part.split(" ", 1), ""][:2] for part in said[1].split(", ")) if said else {}
            blocks.append(Block(doc, number + 1, language, text, directives, answer_lines=(end + 1, end + 1)))
        number = end + 1
    return blocks


BLOCKS = [block for doc in ORDER for block in blocks_of(doc)]


def commands_of(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a block; a quoted argument may go over several lines."""
    if block.language == "sql":
        yield ["wml", "query", block.text]
        return
    waiting = ""
    for line in block.text.split("\n"):
        waiting += line + "\n"
        with contextlib.suppress(ValueError):
            words = shlex.split(waiting, comments=True)
            waiting = ""
            if words:
                yield words
    assert not waiting.strip(), f"{block}: {waiting}"


def run_block(block: Block, folder: Path) -> tuple[Ran, Path]:
    if "write" in block.directives:
        (folder / block.directives["write"]).write_text(block.text + "\n", encoding="utf-8")
        return Ran(0, ""), folder
    out = io.StringIO()
    code = 0
    for words in commands_of(block):
        if words[0] == "cd":
            folder = (folder / words[1]).resolve()
            continue
        assert words[0] == "wml", f"{block}: the test cannot run {words[0]}; say <!-- test: not run -->"
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                code = _run(words[1:])
            except Exception as error:  # the block's own test tells of it, the others go on
                code = CRASHED
                print(f"{type(error).__name__}: {error}")
        if code:
            break
    text = out.getvalue().replace(f"{folder}/", "").rstrip()
    if limit := int(block.directives.get("first", 0)):
        text = "\n".join([*text.split("\n")[:limit], "..."])
    return Ran(code, "\n".join(line.rstrip() for line in text.split("\n"))), folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Every block, run in order."""
    base = tmp_path_factory.mktemp("docs").resolve()
    write_flights(base / "flights")
    found: dict[str, Ran] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        for doc in ORDER:
            folder = base / "flights"
            for block in blocks_of(doc):
                if "writes" in block.directives:
                    written = folder / block.directives["writes"]
                    written.parent.mkdir(parents=True, exist_ok=True)
                    written.write_text(block.text + "\n", encoding="utf-8")
                if not block.is_run:
                    continue
                if "in" in block.directives:
                    found[str(block)], _ = run_block(block, base / block.directives["in"])
                else:
                    found[str(block)], folder = run_block(block, folder)
    if WRITES:
        for doc in ORDER:
            write_answers(doc, found)
    return found


def write_answers(doc: str, found: dict[str, Ran]) -> None:
    lines = read(doc).split("\n")
    for block in reversed(blocks_of(doc)):
        if block.answer is not None:
            start, end = block.answer_lines
            lines[start:end] = found[str(block)].text.split("\n")
    (ROOT / doc).write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_run], ids=str)
def test_what_is_shown_is_what_comes_out(block: Block, ran: dict[str, Ran]) -> None:
    done = ran[str(block)]
    assert done.code == int(block.directives.get("exits", 0)), done.text
    if block.answer is not None and not WRITES:
        problem = difference(block.answer, done.text)
        assert not problem, f"{problem}\n\nWML_WRITE_DOCS=1 writes it anew. It printed:\n{done.text}"


def difference(shown: str, printed: str) -> str | None:
    """Return how two outputs differ: words must be the same, numbers close, timings and hashes may be anything."""
    before, after = shown.split("\n"), printed.split("\n")
    if len(before) != len(after):
        return f"{len(before)} lines are shown, {len(after)} are printed"
    names: list[str] = []
    for number, (left, right) in enumerate(zip(before, after, strict=True)):
        is_rule = bool(_RULE.fullmatch(left))
        if is_rule and number:
            names, other = cells(before[number - 1], left), cells(after[number - 1], right)
            if names != other:
                return f"the columns {names} are shown, {other} are printed"
            rules = left, right
        elif not left:
            names = []
        if is_rule or (number + 1 < len(before) and _RULE.fullmatch(before[number + 1])):
            continue
        if names:
            pairs = list(zip(names, cells(left, rules[0]), cells(right, rules[1]), strict=True))
            label = pairs[0][1]
            wrong = [pair for pair in pairs if not _MASKED.fullmatch(pair[0]) and not same(*pair)]
            if wrong and not (names == ["property", "value"] and _MASKED.fullmatch(label)):
                return "{}: {} is shown, {} is printed".format(*wrong[0])
        elif not same("", left, right):
            return f"{left!r} is shown, {right!r} is printed"
    return None


def cells(line: str, rule: str) -> list[str]:
    return [line[match.start() : match.end()].strip() for match in re.finditer("-+", rule)]


def same(name: str, shown: str, printed: str) -> bool:
    """Say whether two texts have the same words and close numbers; a whole number in a text must be the same."""
    left, right = (_NUMBER.split(re.sub(r"\d+\.\d s\b", "s", plain(text))) for text in (shown, printed))
    if left[::2] != right[::2]:
        return False
    is_cell = left[0] == left[-1] == "" and len(left) == 3
    for one, other in zip(left[1::2], right[1::2], strict=True):
        must_be_same = _EXACT.fullmatch(name) if is_cell else "." not in one
        gap = abs(float(one) - float(other))
        if gap > (0 if must_be_same else max(0.02, 0.05 * abs(float(one)))):
            return False
    return True


def plain(text: str) -> str:
    return " ".join(re.sub("[█▏▎▍▌▋▊▉]+", "", text).split())


def test_outputs_are_compared_as_they_should_be() -> None:
    shown = "slice  value  n\n-----  -----  -\nEWR     0.50  3"
    assert difference(shown, shown.replace("0.50", "0.51")) is None
    assert difference(shown, shown.replace("0.50", "0.60"))
    assert difference(shown, shown.replace("  3", "  4"))
    assert difference(shown, shown.replace("EWR", "JFK"))
    assert difference(shown, shown.replace("value", "other"))
    assert difference("done in 3.1 s: 5 rows", "done in 9.9 s: 5 rows") is None
    assert difference("done in 3.1 s: 5 rows", "done in 3.1 s: 6 rows")


# What is written from the code.


def help_text() -> str:
    def described(command: click.Command, words: tuple[str, ...]) -> Iterator[str]:
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setenv("COLUMNS", "100")
            _run([*words, "--help"])
        title = f"## `{' '.join(('wml', *words))}`\n\n" if words else ""
        yield f"{title}```text\n{out.getvalue().rstrip()}\n```\n"
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from described(inner, (*words, name))

    return "\n" + "\n".join(described(cli, ())) + "\n"


def options_table() -> str:
    """One row per option and meaning; a model type that means something else by it has a row of its own."""
    rows: list[tuple[str, Option, list[str]]] = []
    for name in dict.fromkeys(name for options in OPTIONS.values() for name in options):
        for model_type in MODEL_TYPES:
            option = OPTIONS[model_type].get(name)
            if option is None:
                continue
            known = next((row for row in rows if row[0] == name and row[1] == option), None)
            if known:
                known[2].append(model_type)
            else:
                rows.append((name, option, [model_type]))
    lines = ["| option | model types | default | values | note |", "|---|---|---|---|---|"]
    for name, option, model_types in rows:
        default = "" if option.default is None else f"`{shown(option.default)}`"
        lines.append(f"| `{name.lower()}` | {families(model_types)} | {default} | {values(option)} | {option.why} |")
    return "\n" + "\n".join(lines) + "\n\n"


def estimators_table(is_kept: bool = False) -> str:
    """The classes of a SKLEARN by module: told as parameters, or kept as they are."""
    by_module: dict[str, list[str]] = {}
    for name in (name for name, spec in ESTIMATORS.items() if (spec.form == "kept") == is_kept):
        module, _, short = name.rpartition(".")
        by_module.setdefault(module, []).append(f"`{short}`")
    lines = ["| module | classes |", "|---|---|"]
    lines += [f"| `{module}` | {', '.join(classes)} |" for module, classes in by_module.items()]
    return "\n" + "\n".join(lines) + "\n\n"


def kept_types_table() -> str:
    """The types that the file of a kept estimator may hold."""
    lines = ["| estimator | types |", "|---|---|"]
    lines += [f"| `{name}` | {', '.join(f'`{one}`' for one in types)} |" for name, types in KEPT_TYPES.items()]
    return "\n" + "\n".join(lines) + "\n\n"


def families(model_types: Sequence[str]) -> str:
    groups: dict[str, tuple[str, ...]] = {
        "all": MODEL_TYPES,
        "all with a label": tuple(name for name in MODEL_TYPES if name not in UNLABELLED),
        "classifiers": tuple(name for name in MODEL_TYPES if name == "LOGISTIC_REG" or name.endswith("CLASSIFIER")),
        "linear": ("LOGISTIC_REG", "LINEAR_REG"),
        "trees": tuple(name for name in MODEL_TYPES if "TREE" in name or "FOREST" in name),
        "boosted trees": ("BOOSTED_TREE_CLASSIFIER", "BOOSTED_TREE_REGRESSOR"),
        "forests": ("RANDOM_FOREST_CLASSIFIER", "RANDOM_FOREST_REGRESSOR"),
    }
    for name, members in groups.items():
        if set(members) == set(model_types):
            return name
    found = [
        name
        for name in ("all with a label", "linear", "boosted trees", "forests")
        if set(groups[name]) <= set(model_types)
    ]
    rest = set(model_types) - {member for name in found for member in groups[name]}
    return ", ".join([*found, *(f"`{name.lower()}`" for name in MODEL_TYPES if name in rest)])


def values(option: Option) -> str:
    if option.only:
        honoured = [f"`{shown(value)}`" for value in option.only if value is not None]
        return "only " + " or ".join(honoured) if honoured else "refused"
    if option.choices:
        return ", ".join(f"`{shown(choice)}`" for choice in option.choices)
    kind = {
        "bool": "`true`, `false`",
        "int": "whole number",
        "float": "number",
        "string": "text",
        "strings": "list of text",
        "weights": "list of (label, weight)",
        "pairs": "struct, list of (name, value), or JSON",
    }[option.type]
    if option.low is not None and option.high is not None:
        return f"{kind}, {option.low:g} to {option.high:g}"
    return kind if option.low is None else f"{kind}, at least {option.low:g}"


def shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(f"'{item}'" for item in value) + "]"
    return str(value).lower()


def tables_list() -> str:
    """Every table of the schema wml with its grain and columns, from the statements that make them."""
    own = (files("warehouse_ml.warehouses") / "tables.sql").read_text(encoding="utf-8")
    log = (files("warehouse_ml.requests") / "create_log.sql").read_text(encoding="utf-8")
    log_grain, log_columns = re.search(r"-- grain: (.*?)\n", log), re.findall(r"^    (\w+) \{\{", log, re.MULTILINE)
    assert log_grain
    tables: list[tuple[str, str, list[str]]] = [
        ("request_log_<model>", log_grain[1], [*log_columns, "and the features, each with its own type"]),
        ("request_log", "one row per request, model and version; the logs of every model", log_columns),
        ("model_versions", "one row per version", list(INDEX_SCHEMA.names)),
        ("model_aliases", "one row per line of the ledger, in the order written", list(LEDGER_SCHEMA.names)),
        *registry_views(),
    ]
    with contextlib.closing(DuckDBWarehouse()) as warehouse:
        ensure_tables(warehouse)
        views = {name: list(warehouse.columns(f"select * from wml.{name}")) for name in warehouse.kinds("wml")}
    made = r"-- grain: ([^\n]*)\n(?:-- [^\n]*\n)*"
    made += r"create (?:table if not exists|or replace view) \{\{ '(\w+)' \| wml \}\}(.*?);?\n\n"
    for grain, name, body in re.findall(made, own + "\n\n", re.DOTALL):
        # A name that is a word of SQL is written through `ident`.
        columns = re.findall(r"^    (?:\{\{ ')?(\w+)(?:' \| ident \}\})? \{\{ (?!')", body, re.MULTILINE)
        base = name.removeprefix("latest_")
        of_base = [f"those of `{base}`"] if base != name and views.get(base) == views[name] else views[name]
        tables.append((name, grain, columns or of_base))
    lines = ["| table | grain | columns |", "|---|---|---|"]
    lines += [f"| `{name}` | {grain} | {', '.join(columns)} |" for name, grain, columns in tables]
    return "\n" + "\n".join(lines) + "\n\n"


def registry_views() -> list[tuple[str, str, list[str]]]:
    """The views over the ledger, which are made where a registry is shown."""
    with contextlib.closing(DuckDBWarehouse()) as warehouse, tempfile.TemporaryDirectory() as folder:
        ensure_tables(warehouse)
        registry = Registry(Path(folder))
        registry.write_ledger([Alias("m", "canary", 1, dt.datetime.now(dt.UTC), "", 0.5)])
        registry.show_in(warehouse)
        found = []
        for name in ("alias_periods", "ab_results"):
            sql = (files("warehouse_ml.registry") / f"{name}.sql").read_text(encoding="utf-8")
            grain = sql.partition("-- grain: ")[2].partition("\n")[0]
            found.append((name, grain, list(warehouse.columns(f"select * from wml.{name}"))))
    return found


def macros_table() -> str:
    """The calls and their meanings as the document has them; what they are on DuckDB, rendered."""
    kept = re.search(_GENERATED.pattern.replace(r"(\w+)", "(macros)"), read("docs/templates.md"), re.DOTALL)
    assert kept
    env = environment("duckdb")
    lines = ["| call | is | on DuckDB |", "|---|---|---|"]
    for call, meaning in re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", kept[3], re.MULTILINE):
        sql = " ".join(env.from_string("{{ " + call + " }}").render().split())
        lines.append(f"| `{call}` | {meaning} | `{sql.replace('|', chr(92) + '|')}` |")
    return "\n" + "\n".join(lines) + "\n\n"


def portability_table() -> str:
    """What the user's own SQL is told about."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    lines = ["| code | construct | what comes of it | refused by | instead |", "|---|---|---|---|---|"]
    for rule in RULES.values():
        refused = ", ".join(sorted(rule.refused_by)) if len(rule.refused_by) < 2 else "the other one"
        lines.append(
            f"| `{rule.code}` | `` {cell(rule.construct)} `` | {cell(rule.why)} | {refused} | `` {cell(rule.fix)} `` |"
        )
    return "\n" + "\n".join(lines) + "\n\n"


def proved_table() -> str:
    """How many of the toolkit's .sql files GoogleSQL's reference implementation has run, by folder."""
    shipped = shipped_files()
    lines = [
        "| statements of | files | run on GoogleSQL, equal to DuckDB's | not sent to BigQuery |",
        "|---|---|---|---|",
    ]
    for folder in sorted({file.rpartition("/")[0] for file in shipped}):
        files_of = {file for file in shipped if file.rpartition("/")[0] == folder}
        left_out = sorted(files_of & NOT_SENT.keys())
        reasons: dict[str, list[str]] = {}
        for file in left_out:
            reasons.setdefault(NOT_SENT[file], []).append(f"`{file.rpartition('/')[2]}`")
        why = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
        lines.append(f"| `{folder}/` | {len(files_of)} | {len(files_of) - len(left_out)} | {why} |")
    return "\n" + "\n".join(lines) + "\n\n"


GENERATORS: dict[str, Callable[[], str]] = {
    "help": help_text,
    "options": options_table,
    "estimators": estimators_table,
    "kept_types": kept_types_table,
    "kept_estimators": lambda: estimators_table(is_kept=True),
    "tables": tables_list,
    "macros": macros_table,
    "portability": portability_table,
    "proved": proved_table,
}


@pytest.mark.parametrize("name", GENERATORS)
def test_what_is_generated_is_up_to_date(name: str) -> None:
    doc = next(doc for doc in ORDER if f"<!-- generated: {name} -->" in read(doc))
    text = read(doc)
    (part,) = (match for match in _GENERATED.finditer(text) if match[2] == name)
    wanted = GENERATORS[name]()
    if WRITES:
        (ROOT / doc).write_text(text[: part.start(3)] + wanted + text[part.end(3) :], encoding="utf-8")
        return
    assert part[3] == wanted, f"write it anew: WML_WRITE_DOCS=1 pytest {Path(__file__).name}"


# What holds of every document.


def test_every_document_is_tested() -> None:
    assert set(ORDER) == {"README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))}


@pytest.mark.parametrize("doc", ORDER)
def test_links_lead_somewhere(doc: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", read(doc), flags=re.DOTALL)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / doc).parent / path if path else ROOT / doc
        assert file.exists(), f"{doc}: {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{doc}: {target}"


@pytest.mark.parametrize("doc", ORDER)
def test_no_machine_is_named(doc: str) -> None:
    assert not re.findall(r"/work\b|/tmp\b|/root\b|/home/|localhost", read(doc))


def test_every_command_is_described() -> None:
    text = read("docs/cli.md")
    missing = [name for name in cli.list_commands(click.Context(cli)) if f"## `wml {name}`" not in text]
    assert not missing


def test_the_readmes_model_is_the_examples() -> None:
    (block,) = [block for block in blocks_of("README.md") if block.text.startswith("create or replace model")]
    remaining = iter((ROOT / "models" / "late_arrival.sql").read_text(encoding="utf-8").splitlines())
    for line in block.text.splitlines():
        if not line.strip().startswith("-- ..."):
            assert any(line == other for other in remaining), f"not in models/late_arrival.sql, or not in order: {line}"


def test_every_function_is_described() -> None:
    text = read("docs/functions.md")
    assert [name for name in SIGNATURES if f"| `ml.{name}(" not in text] == []


def test_every_metric_is_defined() -> None:
    text = read("docs/evaluation.md")
    names = {name for of_task in METRICS.values() for name in of_task}
    missing = sorted(name for name in names if f"`{name}`" not in text)
    assert not missing
