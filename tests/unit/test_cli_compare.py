"""`tune compare` as a person meets it: from the first run to the verdict, killed, gone on with, listed, deleted."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import sqlite3
import time

import pytest
from synthetic_table import save_table, synthetic_spec
from workplace import Workplace

from tuner.cli.comparison_tables import outline
from tuner.spec.dump import dump_spec
from tuner.spec.load import with_overrides
from tuner.store import ComparisonPlan

REPLAY = ("compare", "synthetic.yaml", "--replay", "curves.parquet", "--workers", "2")


def workplace(folder):
    place = Workplace(folder)
    save_table(folder / "curves.parquet")
    (folder / "synthetic.yaml").write_text(dump_spec(synthetic_spec()))
    return place


@pytest.fixture
def place(tmp_path):
    return workplace(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which methods were compared, six times each."""
    place = workplace(tmp_path_factory.mktemp("done"))
    place.out, _ = place.tune(*REPLAY, "--methods", "grid,random,tpe", "--repeats", "6")
    return place


def test_it_says_what_it_does_what_it_found_and_what_is_next(done):
    assert "synthetic-compare: grid, random, tpe; 6 repeats of 12 trials; replayed from curves.parquet with 2 si" in (
        done.out
    )
    assert "grid: lr 3 x weight_decay 2 x speed 2 (12 points), in random order" in done.out
    said = " ".join(done.out.split())  # lines are wrapped where the terminal ends
    assert re.search(r"at a distance of 0\.\d+ from what was asked for in the median, 0\.\d+ at worst", said)
    assert "synthetic-compare: finished; 18 of 18 runs" in done.out
    assert "after 12 trials: medians over repeats, with 95 % intervals" in done.out
    assert "tune show synthetic-compare" in done.out
    assert re.search(r"^random - tpe +\d +\d +\d +\S+$", done.out, re.MULTILINE)
    assert re.search(r"ranks differ with p = \S+ \(Friedman\); closer than 1.35 they may be equal", done.out)
    assert not [path for path in (done.folder / "runs").iterdir() if path.is_dir()], "replays have no files"


def test_show_prints_the_analysis_again(done):
    out, _ = done.tune("show", "synthetic-compare")
    assert out.strip() in done.out
    shown = done.json("show", "synthetic-compare")
    assert (shown["comparison"], shown["state"], shown["done"], shown["runs"]) == (
        "synthetic-compare",
        "finished",
        18,
        18,
    )
    assert shown["budget"] == {"by": "trials", "each": 12}
    assert {row["method"]: row["runs"] for row in shown["table"]} == {"grid": 6, "random": 6, "tpe": 6}
    assert [row["rank"] for row in shown["table"]] == sorted(row["rank"] for row in shown["table"])
    assert len(shown["pairs"]) == 3
    assert shown["friedman"]["blocks"] == 6
    assert shown["critical_difference"] == pytest.approx(2.343 * math.sqrt(3 * 4 / (6 * 6)), abs=1e-3), "Demšar's q"
    assert shown["verdict"] in " ".join(out.split())


def test_a_second_time_there_is_nothing_to_do(done):
    before = done.json("list", "--all")
    again, _ = done.tune(*REPLAY, "--methods", "grid,random,tpe", "--repeats", "6")
    assert "going on with synthetic-compare: 18 of 18 runs so far" in again
    assert done.json("list", "--all") == before


def test_runs_are_hidden_from_the_list_and_can_be_looked_at(done):
    (row,) = done.json("list")
    assert (row["study"], row["state"]) == ("synthetic-compare", "finished")
    assert row["comparison"] == {"methods": ["grid", "random", "tpe"], "repeats": 6, "done": 18, "runs": 18}
    assert "18 of 18  grid, random, tpe" in done.tune("list")[0]
    runs = [row for row in done.json("list", "--all") if "comparison" not in row]
    assert len(runs) == 18
    assert {(run["state"], run["trials"]) for run in runs} == {("finished", 12)}
    assert len(done.json("show", "synthetic-compare.tpe.5")["trials"]) == 12
    assert [report["resource"] for report in done.json("trial", "synthetic-compare.tpe.5", "0")["reports"]] == list(
        range(1, 10)
    )


def test_json_is_one_object(place):
    out, err = place.tune(*REPLAY, "--methods", "random,asha+tpe", "--repeats", "1", "--json")
    compared = json.loads(out)
    assert compared["budget"] == {"by": "units", "each": 108}
    assert (compared["methods"], compared["repeats"]) == (["random", "asha+tpe"], 1)
    assert compared["verdict"]
    assert {row["value_low"] for row in compared["table"]} == {None}, "one repeat has no interval"
    assert "108 epochs (12 full trainings)" in err


def test_a_seed_a_name_and_a_budget(place):
    arguments = (*REPLAY, "--methods", "random", "--repeats", "1", "--budget", "units=45")
    place.tune(*arguments, "--name", "one", "--seed", "1")
    place.tune(*arguments, "--name", "two", "--seed", "2")
    place.tune(*arguments, "--name", "again", "--seed", "1")
    values = {name: place.json("show", name)["table"][0]["value"] for name in ("one", "two", "again")}
    assert values["one"] == values["again"] != values["two"]
    assert len(place.json("list")) == 3


def n_studies(database):
    """So far: read from the file, as a command would take longer than the runs."""
    if not database.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = connection.execute("select count(*) from sqlite_master where name = 'studies'").fetchone()[0]
        return connection.execute("select count(*) from studies").fetchone()[0] if tables else 0


def test_killed_in_the_middle_it_goes_on_to_the_same_result(place, tmp_path_factory):
    arguments = (*REPLAY, "--methods", "random,tpe", "--repeats", "20")
    process = place.start(*arguments)
    deadline = time.monotonic() + 60
    while n_studies(place.folder / "runs" / "tuner.db") < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (before,) = place.json("list")
    assert before["state"] == "unfinished"
    assert 3 <= before["comparison"]["done"] < 40
    out, _ = place.tune(*arguments)
    assert f"going on with synthetic-compare: {before['comparison']['done']} of 40" in out
    whole = workplace(tmp_path_factory.mktemp("whole"))
    whole.tune(*arguments)
    assert place.json("show", "synthetic-compare") == whole.json("show", "synthetic-compare")


def test_live_on_the_local_executor(place):
    out, _ = place.tune(
        "compare", "spec.yaml", "--methods", "random,asha+random", "--repeats", "2", "--budget", "units=45"
    )
    assert "demo-compare: random, asha+random; 2 repeats of 45 epochs (5 full trainings); live, 1 worker" in out
    assert "run 4 of 4: asha+random, repeat 1" in out
    shown = place.json("show", "demo-compare")
    assert (shown["state"], shown["done"], shown["replay"]) == ("finished", 4, None)
    assert (place.folder / "runs" / "demo-compare.asha-random.1" / "0" / "log.txt").exists()
    assert place.json("show", "demo-compare.random.0")["state"] == "finished"
    place.tune("delete", "demo-compare", "--yes")
    assert place.json("list", "--all") == []
    assert [path.name for path in (place.folder / "runs").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("executor", "asked", "where"),
    [
        ("local", None, "live, 1 worker"),
        ("ray", "local", "live, 1 worker"),
        ("local", "ray", "live, as many workers as there is room for"),
        ("auto", None, "live, as many workers as there is room for"),
    ],
)
def test_the_workers_it_names_are_those_of_the_executor(executor, asked, where):
    spec = with_overrides(synthetic_spec(), [f"executor={executor}", "parallel=auto"])
    assert outline(ComparisonPlan(spec, ("random",), 2), asked).endswith(where)


def test_a_live_comparison_is_killed_and_goes_on(place):
    arguments = ("compare", "spec.yaml", "--methods", "random,tpe", "--repeats", "2", "--set", "fixed.pause=0.02")
    process = place.start(*arguments, "--budget", "trials=5")
    trials = place.folder / "runs" / "demo-compare.tpe.0" / "2"
    deadline = time.monotonic() + 60
    while not trials.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    first = place.story("demo-compare.random.0")
    assert place.json("show", "demo-compare")["state"] == "unfinished"
    place.tune(*arguments)
    assert place.json("show", "demo-compare")["state"] == "finished"
    assert place.story("demo-compare.random.0") == first
    assert {run["trials"] for run in place.json("list", "--all") if "comparison" not in run} == {5}


MISTAKES = {
    "method": (("--methods", "tpee"), "no such sampler: 'tpee'"),
    "repeats": (("--methods", "tpe", "--repeats", "0"), "--repeats"),
    "budget": (("--methods", "tpe", "--budget", "64"), "--budget: must be trials=N"),
    "metric": (("--methods", "tpe", "--set", "metric.name=val_accuracy"), "has no metric 'val_accuracy'"),
    "space": (("--methods", "tpe", "--set", "space.lr.float=[1e-9, 1]"), "space.lr"),
    "axis": (("--methods", "tpe", "--set", "space.x={float: [0, 1]}"), "space.x: is searched, and in"),
    "table": (("--methods", "tpe", "--replay", "nowhere.parquet"), "there is no table at nowhere.parquet"),
    "no table": (("--methods", "tpe", "--replay", "synthetic.yaml"), "is not a table of curves"),
    "name": (("--methods", "tpe", "--name", "a/b"), "--name: 'a/b' cannot be"),
    "spec": (("--methods", "tpe", "--set", "seed=x"), "seed: must be a whole number"),
}


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_write_nothing(place, arguments, said):
    _, err = place.tune(*REPLAY, *arguments, code=2)
    assert said in err
    assert not (place.folder / "runs").exists()


def test_live_mistakes_write_nothing(place):
    _, err = place.tune("compare", "spec.yaml", "--methods", "tpe", "--set", "objective=thing:nothing", code=2)
    assert "nothing" in err
    assert not (place.folder / "runs").exists()


def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(place):
    process = place.start(*REPLAY, "--methods", "random,tpe", "--repeats", "30")
    database = place.folder / "runs" / "tuner.db"
    deadline = time.monotonic() + 60
    while len(place.json("list", "--all") if database.exists() else []) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with the same command" in out
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert place.json("list")[0]["comparison"]["done"] >= 2


def test_a_replay_is_not_trained(done):
    before = done.json("list", "--all")
    _, err = done.tune("resume", "synthetic-compare.tpe.0", "--executor", "local", "--parallel", "1", code=2)
    assert "was replayed for the comparison 'synthetic-compare'" in err
    assert done.json("list", "--all") == before


def test_another_comparison_of_the_name_is_a_mistake(done):
    _, err = done.tune(*REPLAY, "--methods", "random", "--set", "seed=3", code=2)
    assert "comparison 'synthetic-compare' exists and is another one: seed: 0 -> 3" in err
    _, err = done.tune("run", "spec.yaml", "--name", "synthetic-compare", code=2)
    assert "a comparison 'synthetic-compare' already" in err
