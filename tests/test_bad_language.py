"""Bad input of the language: each mistake in a model's file, its rows or its versions has its place and its remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.test_bad_input import SPLIT, no_version, refused
from tests.tiny import edit, write, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.errors import SqlError
from warehouse_ml.registry.folder import hash_of
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

LATER = "2024-02-19"
MODEL = "models/churn.sql"
OPTIONS = """options (
    model_type = 'logistic_reg',
    input_label_cols = ['has_churned'],
    data_split_method = 'seq',
    data_split_col = 'requested_at'
) as"""
SPLIT_COL = "data_split_col = 'requested_at'"
LABEL = "input_label_cols = ['has_churned']"


def option(text: str, *says: str, name: str | None = None) -> object:
    return pytest.param(SPLIT_COL, f"{SPLIT_COL}, {text}", [f"{MODEL}:6:38: ", *says], id=name or text)


LANGUAGE = [
    pytest.param(OPTIONS, "options () as", ["the option model_type is missing", "logistic_reg"], id="no options in ()"),
    pytest.param(OPTIONS, "as", ["the option model_type is missing", "logistic_reg"], id="no options"),
    option("l2_reg = 1, L2_REG = 2", "the option l2_reg is given twice", name="twice"),
    option("l2_rge = 1", "no option l2_rge in a logistic_reg", 'did you mean "l2_reg"?'),
    option("learn_rate = 0.1", "learn_rate = 0.1 cannot be honoured", "leave learn_rate out"),
    option("max_tree_depth = 3", "no option max_tree_depth in a logistic_reg", "boosted_tree_classifier"),
    option("l2_reg = 'a'", "l2_reg = 'a' is not a number"),
    option("l2_reg = null", "l2_reg = null is not a number"),
    option("l2_reg = -1", "l2_reg = -1 is out of range", "at least 0"),
    option("max_iterations = 2.5", "max_iterations = 2.5 is not a whole number"),
    option("max_iterations = true", "max_iterations = true is not a whole number"),
    option("fit_intercept = 'yes'", "fit_intercept = 'yes' is not true or false"),
    option("class_weights = [1, 2]", "class_weights = [1, 2] is not a list of (label, weight) pairs"),
    option("category_encoding_method = 'one_hot'", "is not known", 'did you mean "one_hot_encoding"?'),
    option("l2_reg = (select 1)", "the option l2_reg needs a constant, not (SELECT 1)"),
    option("l2_reg 1", "SQL syntax: Expecting )"),
    pytest.param("'logistic_reg'", "3", [f"{MODEL}:3:5: model_type = 3 is not a string"], id="a number as a type"),
    pytest.param("'logistic_reg'", "null", [f"{MODEL}:3:5: model_type = null is not a string"], id="no type"),
    pytest.param(
        LABEL,
        "input_label_cols = 'has_churned'",
        [f"{MODEL}:4:5:", "list of strings", "= ['has_churned']"],
        id="no list",
    ),
    pytest.param(LABEL, "input_label_cols = []", [f"{MODEL}:4:5:", "is not a list of strings"], id="an empty list"),
    pytest.param(
        LABEL,
        "input_label_cols = ['a', 'b']",
        [f"{MODEL}:4:5: one label column is needed, 2 are given"],
        id="two labels",
    ),
    pytest.param(
        LABEL + ",", "", [f"{MODEL}:8:1", 'the label column "label" is not selected', "has_churned"], id="none"
    ),
    pytest.param(
        SPLIT_COL,
        "data_split_col = 'requested'",
        [f"{MODEL}:8:1", 'did you mean "requested_at"?'],
        id="no split column",
    ),
    pytest.param(
        "'seq'",
        "'custom'",
        [f"{MODEL}:8:1: data_split_col", "TIMESTAMP WITH TIME ZONE", "a boolean"],
        id="a custom split",
    ),
    pytest.param(
        SPLIT_COL,
        f"{SPLIT_COL}, instance_weight_col = 'region'",
        [f'{MODEL}:8:1: instance_weight_col "region" is VARCHAR, and a weight is a number'],
        id="a text as weight",
    ),
    pytest.param("\nselect", "\nselect 1 as x;\nselect", [f"{MODEL}:9:1: one statement expected, found 2"], id="two"),
    pytest.param("'seq'", "'seq", [f"{MODEL}:6:35: SQL syntax: this string is not closed"], id="an open string"),
    pytest.param("requests.visits", 'requests."visits', ["SQL syntax: this name is not closed"], id="an open name"),
    pytest.param(
        "requests.visits,", "/* requests.visits,", [f"{MODEL}:10:5:", "this comment is not closed"], id="comment"
    ),
    pytest.param(") as", ")", [f"{MODEL}:8:1: AS is missing before the query"], id="no as"),
    pytest.param(") as", ")) as", [f"{MODEL}:7:2: SQL syntax"], id="a bracket too many"),
    pytest.param(
        "requests.amount,", "[1, 2] as xs,", ['column "xs" is INTEGER[], which cannot be a feature'], id="a list"
    ),
    pytest.param(
        "    requests.amount,\n    requests.visits,\n    requests.region,\n",
        "",
        ["there are no features to train on"],
        id="no features",
    ),
    pytest.param("'logistic_reg'", "'linear_reg'", ['"has_churned" is BOOLEAN', "train a classifier"], id="regression"),
    pytest.param(
        "labels.has_churned\n",
        "requests.amount * 2 as has_churned\n",
        ['the label "has_churned" is DOUBLE, and a logistic_reg needs classes', "train a regression"],
        id="a number as a class",
    ),
]


@pytest.mark.parametrize(("old", "new", "says"), LANGUAGE)
def test_a_mistake_in_the_statement_has_its_place(tiny: Path, old: str, new: str, says: list[str]) -> None:
    edit(tiny, MODEL, old, new)
    refused(wml(tiny, "train", "churn", "--as-of", SPLIT), 2, MODEL, *says)
    no_version(tiny)


def test_a_label_of_too_many_classes(tiny: Path) -> None:
    edit(tiny, MODEL, "labels.has_churned\n", "requests.request_id as has_churned\n")
    edit(tiny, MODEL, "'seq',\n    data_split_col = 'requested_at'", "'no_split'")
    edit(tiny, MODEL, "    requests.requested_at,\n", "")
    refused(
        wml(tiny, "train", "churn", "--as-of", "2024-03-04"), 2, 'the label "has_churned" has more than 1,000 classes'
    )
    no_version(tiny)


def test_a_label_that_hardly_repeats_is_told(tiny: Path) -> None:
    edit(tiny, MODEL, "labels.has_churned\n", "left(requests.request_id, 3) || requests.region as has_churned\n")
    done = ok(tiny, "train", "churn", "--as-of", "2024-01-12")
    assert "classes in 154 training rows: not two rows for each" in done.err
    assert "sklearn" not in done.err


REQUESTS = "sql/requests/churn_requests.sql"


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("trained") / "tiny")
    ok(root, "train", "churn", "--as-of", SPLIT)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "tiny"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    events.amount,\n", "", 'no column "amount", which churn@1 was trained on'),
        ("events.amount,", "cast(events.amount as varchar) as amount,", 'column "amount" is VARCHAR'),
        ("events.amount,", "'x' as amount,", "the model was trained on a number"),
        ("events.amount,", "events.requested_at as amount,", 'column "amount" is TIMESTAMP WITH TIME ZONE'),
        ("events.region,", "length(events.region) as region,", 'column "region" is BIGINT'),
        ("events.region,", "[events.region] as region,", 'column "region" is VARCHAR[]'),
    ],
)
def test_requests_that_are_not_what_the_version_was_trained_on(trained: Path, old: str, new: str, says: str) -> None:
    edit(trained, REQUESTS, old, new)
    refused(wml(trained, "predict", "churn", "--as-of", LATER), 2, REQUESTS, says, "hint:")
    assert rows(trained, "select count(*) as n from wml.request_log_churn") == [{"n": 0}]


def test_a_number_of_another_type_is_a_number_still(trained: Path) -> None:
    edit(trained, REQUESTS, "events.amount,", "cast(events.amount as decimal(18, 3)) as amount,")
    assert ok(trained, "predict", "churn", "--as-of", LATER, "--format", "json").rows[0]["n_requests"] == 336


def test_a_model_that_is_not_there_or_was_never_trained(tiny: Path) -> None:
    refused(wml(tiny, "train", "churm", "--as-of", SPLIT), 2, 'no model "churm" in models/', 'did you mean "churn"?')
    refused(wml(tiny, "predict", "churm", "--as-of", SPLIT), 2, 'no model "churm" in models/', 'did you mean "churn"?')
    refused(
        wml(tiny, "predict", "churn", "--as-of", SPLIT), 2, 'the model "churn" has no version yet', "wml train churn"
    )
    refused(wml(tiny, "models", "show", "churn@champion"), 2, 'the model "churn" has no version')


def test_a_version_without_a_champion_answers_nothing_and_says_so(tiny: Path) -> None:
    ok(tiny, "train", "churn", "--as-of", SPLIT, "--promote", "never")
    refused(wml(tiny, "models", "show", "churn@champion"), 2, 'no version "champion" of churn', "has:  1")
    refused(wml(tiny, "predict", "churn", "--as-of", LATER), 2, "churn")


def test_parameters_of_a_later_format(trained: Path) -> None:
    folder = trained / "artifacts" / "churn" / "1"
    path = folder / "parameters" / "model.parquet"
    table = pq.read_table(path)
    index = table.column_names.index("format_version")
    pq.write_table(
        table.set_column(index, table.schema.field(index), pa.array([99], table.schema.field(index).type)), path
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    content = path.read_bytes()
    manifest["files"]["parameters/model.parquet"] = {"sha256": hash_of(content), "bytes": len(content)}
    write(folder, "manifest.json", json.dumps(manifest, indent=2, sort_keys=True))
    (trained / "artifacts" / "index.parquet").unlink()
    refused(wml(trained, "predict", "churn", "--as-of", LATER), 3, "format 99", "reads (2)")


def _made_up(root: Path, columns: str, n_rows: int) -> None:
    """Replace the project's data by a table of n rows, and its model by one over all of its columns."""
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select 'r' || n as request_id,"
            " timestamptz '2024-01-01 00:00:00+00' + interval (n) second as requested_at,"
            f" hash(n) % 2 = 0 as answer, {columns} from range({n_rows}) t(n)) to '{root}/data/events.parquet'"
        )
    for place in ("sql/evaluation/churn.sql", "sql/features/churn_labels.sql", "sql/tests/requests_have_a_region.sql"):
        (root / place).unlink()
    write(root, REQUESTS, "select * from {{ source('events') }}")
    write(
        root,
        MODEL,
        "create model churn options (model_type = 'logistic_reg', input_label_cols = ['answer']) as\n"
        "select * exclude (request_id, requested_at) from {{ ref('churn_requests') }}",
    )


def test_a_category_of_a_hundred_thousand_values(tiny: Path) -> None:
    _made_up(tiny, "'c' || n as who, n % 7 as x", 100_000)
    refused(wml(tiny, "train", "churn"), 2, 'column "who" has 90,000 categories, more than 10,000', "hash them")
    no_version(tiny)


def test_a_statement_of_thousands_of_columns_is_planned() -> None:
    warehouse = DuckDBWarehouse(None, threads=1)
    names = [f"a_rather_long_name_of_a_column_{index}" for index in range(2500)]
    query = "select " + ", ".join(f"{index} + n as {name}" for index, name in enumerate(names)) + " from range(3) t(n)"
    assert len(query) > 100_000
    expected = [{name: index + n for index, name in enumerate(names)} for n in range(3)]
    assert warehouse.fetch(query).to_pylist() == expected
    assert warehouse.stream(query).read_all().to_pylist() == expected
    assert list(warehouse.columns(query)) == names
    with warehouse.transaction():
        warehouse.run(f"create temp table long as {query}")
        with pytest.raises(SqlError):
            warehouse.fetch(query + " where nothing = 1")
    warehouse.close()


def test_a_linear_model_of_more_columns_than_an_expression_can_add(tiny: Path) -> None:
    n_columns = 510
    _made_up(tiny, ", ".join(f"(hash(n, {index}) % 1000) / 8 as x{index}" for index in range(n_columns)), 600)
    ok(tiny, "train", "churn")
    shown = {row["property"]: row["value"] for row in ok(tiny, "models", "show", "churn", "--format", "json").rows}
    assert shown["scoring_path"] == "sql", "the sum is made in layers"
