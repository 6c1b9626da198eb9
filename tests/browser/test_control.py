"""The page Control before a study that really runs: paused, unpaused, and given a configuration to try next."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import served
from workplace import SPEC, Workplace

from tuner.records import Commanded, SegmentIssued
from tuner.store import StudyState, StudyStore, open_store

SECRET = "correct-horse-battery-staple"
SLOW = SPEC.replace("pause: 0.0", "pause: 0.3").replace("trials: 12", "trials: 1000")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Where `tune run` runs a study of two minutes and more."""
    place = Workplace(tmp_path_factory.mktemp("steered"))
    (place.folder / "spec.yaml").write_text(SLOW)
    process = place.start("run", "spec.yaml")
    yield place
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def path(place: Workplace) -> Path:
    path = place.folder / "runs" / "tuner.db"
    wait(path.exists)
    return path


@pytest.fixture(scope="module")
def store(browser: object, path: Path) -> Iterator[StudyStore]:
    opened = open_store(path, read_only=True)
    wait(lambda: "demo" in opened.names() and opened.trials("demo"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "stderr"


@pytest.fixture(scope="module")
def explorer(store: StudyStore, path: Path, log: Path) -> Iterator[str]:
    token = log.with_name("token")
    token.write_text(SECRET)
    token.chmod(0o600)
    with served(path, log, "--token-file", str(token)) as address:
        yield address
    assert SECRET not in log.read_text()


@pytest.fixture
def control(opened, expect):
    """The page, once it has been given the token."""
    page = opened("control?study=demo")
    page.get_by_role("textbox", name="Token").fill(SECRET)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
    return page


def test_a_study_is_paused_and_unpaused(control, expect, store, opened):
    name = control.get_by_role("textbox", name="Your name")
    name.fill("anna")
    name.press("Enter")
    state = control.get_by_test_id("stMetric").filter(has_text="State")
    expect(state).to_contain_text("running")
    pause, unpause = (control.get_by_role("button", name=f"{word} the study") for word in ("Pause", "Unpause"))
    pause.click()
    expect(state).to_contain_text("paused")
    expect(unpause).to_be_visible()
    wait(lambda: all(trial.state != "running" for trial in store.trials("demo")))
    assert store.study("demo").state is StudyState.PAUSED
    expect(control.get_by_text("paused by anna (explorer)").first).to_be_visible()
    opened.keep(control, "control")
    unpause.click()
    expect(state).to_contain_text("running")
    wait(lambda: any(trial.state == "running" for trial in store.trials("demo")))
    asked = [(each.command.kind.value, each.command.author) for each in store.commands("demo")]
    assert asked == [("pause", "anna (explorer)"), ("unpause", "anna (explorer)")]
    assert SECRET not in control.url


def test_a_configuration_is_the_next_trial(control, expect, store):
    field = control.get_by_role("textbox", name="x", exact=True)
    field.fill("7")
    field.press("Enter")
    expect(control.get_by_text("7 is not a value of the axis")).to_be_visible()
    enqueue = control.get_by_role("button", name="Enqueue")
    expect(enqueue).to_be_disabled()
    field.fill("0.125")
    field.press("Enter")
    expect(enqueue).to_be_enabled()
    enqueue.click()
    expect(control.get_by_text("Posted, number")).to_be_visible()
    wait(lambda: any(trial.config["x"] == 0.125 for trial in store.trials("demo")))
    events = [entry.event for entry in store.journal("demo")]
    heard = next(place for place, event in enumerate(events) if isinstance(event, Commanded) and event.command.config)
    begun = [event.segment for event in events[heard:] if isinstance(event, SegmentIssued) and not event.segment.index]
    assert begun[0].config["x"] == 0.125, "the first trial to begin from then on"


def test_stopping_asks_once_more(control, expect, store):
    control.get_by_role("button", name="Stop the study").click()
    expect(control.get_by_role("button", name="Yes, stop it")).to_be_visible()
    assert all(each.command.kind.value != "stop" for each in store.commands("demo")), "the first click asks"
    control.get_by_role("button", name="Yes, stop it").click()
    expect(control.get_by_text("The study has ended")).to_be_visible()
    assert store.study("demo").state is StudyState.FINISHED


def test_another_browser_is_asked_for_the_token(opened, expect):
    page = opened("control?study=demo")
    expect(page.get_by_role("textbox", name="Token")).to_have_attribute("type", "password")
    page.get_by_role("textbox", name="Token").fill("wrong-horse-battery-staple")
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_text("that is not the token of this server")).to_be_visible()
    expect(page.get_by_role("button", name="Leave")).to_have_count(0)


def wait(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)
