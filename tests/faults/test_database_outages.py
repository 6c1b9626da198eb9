"""The database goes away in the middle of a study, and comes back; or its disk is full, and then is not."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text
from store_samples import spec
from workplace import Workplace

from tuner.errors import StoreAway, StoreError
from tuner.records import Ticked
from tuner.store import open_store

PAUSE = ["--set", "fixed.pause=0.1"]


@pytest.fixture(scope="module")
def server():
    place = Path(__file__).resolve().parents[2] / "benchmarks" / "postgres_server.py"
    found = importlib.util.spec_from_file_location("postgres_server", place)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    try:
        started = module.PostgresServer()
    except module.NoServer as why:
        pytest.skip(f"no PostgreSQL server can be started here: {why}")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    place.tune("run", "spec.yaml", *PAUSE)
    return place.story("demo")


def test_a_study_outlives_its_server(tmp_path, server, undisturbed):
    place = Workplace(tmp_path)
    process = place.start("run", "spec.yaml", *PAUSE, "--store", server.url, "--name", "outlives")
    wait_for_trials(place, server.url, 3)
    for seconds in (0.5, 3.0):
        server.crash()
        time.sleep(seconds)
        server.start()
        time.sleep(1.0)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    assert "waiting for the store since" in err
    assert ": the store postgresql" in err
    assert "s for the store" in err
    assert "Traceback" not in err
    assert story(place, server.url, "outlives") == undisturbed


def test_ctrl_c_while_the_server_is_away_ends_the_study_and_it_goes_on_later(tmp_path, server, undisturbed):
    place = Workplace(tmp_path)
    process = place.start("run", "spec.yaml", *PAUSE, "--store", server.url, "--name", "interrupted")
    wait_for_trials(place, server.url, 3)
    server.crash()
    time.sleep(1.5)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    server.start()
    assert process.returncode == 130, (out, err)
    assert "Go on with: tune resume interrupted" in out
    assert "Traceback" not in err
    place.tune("resume", "interrupted", "--store", server.url)
    assert story(place, server.url, "interrupted") == undisturbed


def test_workers_on_ray_wait_for_the_server(tmp_path, server):
    place = Workplace(tmp_path)
    arguments = ["--set", "executor=ray", "--set", "parallel=2", "--set", "fixed.pause=0.2"]
    process = place.start("run", "spec.yaml", *arguments, "--store", server.url, "--name", "onray")
    wait_for_trials(place, server.url, 3, seconds=90)
    server.crash()
    time.sleep(4.0)
    server.start()
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, (out, err)
    shown = place.json("show", "onray", "--store", server.url)
    assert (shown["state"], shown["counts"]["failed"], len(shown["trials"])) == ("finished", 0, 12)
    for trial in shown["trials"]:
        assert trial["segments"] <= 3, "no worker was lost by it"


def test_a_commit_whose_answer_was_lost_is_not_made_twice(tmp_path, server):
    """The server dies between its commit and its answer: here, the client's connection does."""
    with closing(open_store(server.url)) as store:
        store.create(spec("unanswered"))
        writer = store.write("unanswered")
        writer.append([Ticked(1.0)])
        engine = writer._database._engine
        cut = []

        @event.listens_for(engine, "commit")
        def commit_and_vanish(connection):
            if not cut:
                cut.append(True)
                connection.connection.dbapi_connection.commit()
                connection.connection.dbapi_connection.close()

        events = [Ticked(2.0), Ticked(3.0)]
        with pytest.raises(StoreAway):
            writer.append(events)
        writer.append(events)
        writer.append([Ticked(4.0)])
        entries = list(store.journal("unanswered"))
        assert [entry.event.seconds for entry in entries] == [1.0, 2.0, 3.0, 4.0]
        assert [entry.number for entry in entries] == [1, 2, 3, 4]


def test_a_full_disk_is_waited_for(tmp_path, undisturbed):
    """SQLite itself says that the disk is full: the file may have no more pages, until it may."""
    place = Workplace(tmp_path)
    (place.folder / "thing.py").write_text((place.folder / "thing.py").read_text() + FULL)
    process = place.start("run", "spec.yaml", *PAUSE)
    wait_for(lambda: (place.folder / "full").exists())
    time.sleep(2.0)
    assert process.poll() is None
    (place.folder / "room").touch()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    assert "disk is full" in err
    assert "s for the store" in err
    assert place.story("demo") == undisturbed


FULL = '''

from pathlib import Path
from sqlalchemy import Engine, event


@event.listens_for(Engine, "begin")
def limit(connection):
    """No more pages than there are, from the third trial on, while there is no file `room`."""
    full = Path("runs/demo/2").exists() and not Path("room").exists()
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages if full else 1_000_000}")
    if full:
        Path("full").touch()
'''


def test_other_errors_are_not_waited_for(tmp_path):
    with closing(open_store(tmp_path / "tuner.db")) as store:
        store.create(spec("demo"))
        writer = store.write("demo")
        engine = create_engine(f"sqlite:///{tmp_path / 'tuner.db'}")
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE journal"))
        engine.dispose()
        with pytest.raises(StoreError) as refused:
            writer.append([Ticked(1.0)])
        assert not isinstance(refused.value, StoreAway)


def story(place, url, name):
    """As Workplace.story of a study called demo."""
    return place.story(name, "--store", url)


def wait_for_trials(place, url, n, seconds=30):
    def there():
        studies = [study for study in place.json("list", "--store", url) if study["state"] == "running"]
        return bool(studies) and studies[0]["trials"] >= n

    wait_for(there, seconds)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)
