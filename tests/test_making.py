"""What is made outside of the registry: who holds its file, and who may look at what it names."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs

from warehouse_ml.registry.making import LONGEST, MAKING, LeftOver, Making
from warehouse_ml.registry.objects import ObjectStore

NAME = ("p", "d", "churn_20240112_0123abcd")
KEY = "churn_20240112_0123abcd.json"
NOW = dt.datetime.now(dt.UTC)
# A training that another process is at, until it is killed.
PROGRAM = """
import sys, time
from pathlib import Path
from warehouse_ml.registry.making import Making
making = Making(Path(sys.argv[1]), None)
making.begin("churn", ("p", "d", "churn_20240112_0123abcd"))
print("begun", flush=True)
time.sleep(600)
"""


def aged(path: Path, by: dt.timedelta) -> None:
    told = json.loads(path.read_text())
    told["at"] = (dt.datetime.fromisoformat(told["at"]) - by).isoformat()
    path.write_text(json.dumps(told))


def stored(folder: Path, filesystem: pafs.FileSystem) -> Making:
    return Making(folder, ObjectStore("test://bucket", (filesystem, "bucket")))


def memory() -> pafs.FileSystem:
    filesystem = pafs._MockFileSystem()
    filesystem.create_dir("bucket")
    return filesystem


def test_the_file_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        making = Making(tmp_path, None)
        # However long it takes.
        assert making.left("churn", NOW + 10 * LONGEST) == []
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert making.left("churn", NOW) == [LeftOver("churn", NAME, KEY, is_final=False)]
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_what_has_ended_is_told_until_it_is_done_with(tmp_path: Path) -> None:
    making = Making(tmp_path, None)
    key = making.begin("churn", NAME)
    assert key == KEY
    other = Making(tmp_path, None)
    # Neither by who holds it, nor by anybody else in this process.
    assert making.left("churn", NOW) == other.left("churn", NOW) == []
    making.let_go(key)
    assert [found.key for found in making.left("churn", NOW)] == [key]
    assert other.left("late", NOW) == []
    assert [found.is_final for found in other.left("churn", NOW + 2 * LONGEST)] == [True]
    other.end(key)
    other.end(key)
    assert making.left("churn", NOW) == []
    assert list((tmp_path / MAKING).iterdir()) == []


def test_a_file_that_is_none_of_ours_is_passed_over(tmp_path: Path) -> None:
    making = Making(tmp_path, None)
    making.let_go(making.begin("churn", NAME))
    for number, text in enumerate(("", "[]", "{}", '{"model": "churn", "name": 3, "at": "x"}', '{"at": "2024-01-01"}')):
        (tmp_path / MAKING / f"{number}.json").write_text(text)
    assert [found.key for found in making.left("churn", NOW)] == [KEY]


def test_another_machine_waits_until_it_must_have_ended(tmp_path: Path) -> None:
    filesystem = memory()
    here, there = stored(tmp_path / "here", filesystem), stored(tmp_path / "there", filesystem)
    key = here.begin("churn", NAME)
    assert there.left("churn", NOW) == []
    here.let_go(key)
    assert [found.is_final for found in here.left("churn", NOW)] == [False]
    assert there.left("churn", NOW) == []
    found = there.left("churn", NOW + 2 * LONGEST)
    assert found == [LeftOver("churn", NAME, KEY, is_final=True)]
    there.end(key)
    assert there.left("churn", NOW + 2 * LONGEST) == []
    assert filesystem.get_file_info(f"bucket/{MAKING}/{KEY}").type == pafs.FileType.NotFound


def test_it_is_in_the_store_before_it_is_made(tmp_path: Path) -> None:
    filesystem = memory()
    making = stored(tmp_path, filesystem)
    making.let_go(making.begin("churn", NAME))
    told = json.loads(filesystem.open_input_stream(f"bucket/{MAKING}/{KEY}").read())
    assert (told["format"], told["model"], told["name"]) == (1, "churn", list(NAME))
