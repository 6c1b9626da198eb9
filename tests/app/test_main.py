"""The explorer as a whole: no page shows a traceback, and what comes from a store stays text."""

from __future__ import annotations

import pytest
import studies
from streamlit.testing.v1 import AppTest

from app import reading
from app.main import PAGES
from tuner.errors import StoreError
from tuner.records import Failure, FailureKind, Report, TrialState, TrialSummary

SCRIPT = "<script>alert(1)</script>"
LINK = "[x](javascript:alert(1))"


def test_every_page_is_listed_once():
    paths = [path for listed in PAGES.values() for path, *_ in listed]
    assert len(paths) == len(set(paths)) == 8


def test_a_page_that_raises_shows_one_message_and_no_traceback(caplog):
    def script():
        from app.guarding import guarded as guard

        def broken():
            raise ZeroDivisionError("secret path /home/anna")

        guard(broken)()

    page = AppTest.from_function(script).run()
    assert not page.exception
    assert len(page.error) == 1
    assert "could not be shown" in page.error[0].value
    assert "secret" not in page.error[0].value
    assert "secret" in caplog.text  # in the terminal it is told


def test_a_mistake_is_told_as_text():
    def script():
        from app.guarding import guarded as guard
        from tuner.errors import StoreError as Error

        def broken():
            raise Error("no [x](javascript:alert(1))", hint="try <b>")

        guard(broken)()

    page = AppTest.from_function(script).run()
    assert page.error[0].value == r"no \[x\]\(javascript\:alert\(1\)\)"
    assert "\\<b\\>" in page.caption[0].value


def test_a_mistake_in_a_part_that_moves_is_told_once():
    def script():
        from app import guarding
        from tuner.errors import StoreError

        def part():
            raise StoreError("the store is damaged there", hint="Bring back a copy.")

        guarding.guarded(lambda: guarding.moving(part, None)())()

    page = AppTest.from_function(script).run()
    assert not page.exception
    assert [error.value for error in page.error] == ["the store is damaged there"]
    assert [caption.value for caption in page.caption] == ["Bring back a copy\\."]


def test_what_streamlit_itself_raises_passes():
    def script():
        import streamlit as st

        from app import guarding

        guarding.guarded(st.stop)()
        st.text("after the end")

    page = AppTest.from_function(script).run()
    assert not page.error
    assert not page.text


@pytest.fixture
def planted(store):
    """A study that has markup wherever a store may have it: in its metric, axes, values, reasons, failures."""
    name, metric = "planted", f"loss {SCRIPT}"
    axis, choice = f"axis {LINK}", f"value {SCRIPT}{LINK}"
    spec = studies.spec_of(
        name,
        metric={"name": metric},
        space={axis: {"float": [0.0, 1.0]}, "kind": {"choice": [choice, "b"]}},
        fixed={f"fixed {LINK}": SCRIPT},
    )
    reports, trials = {}, []
    for number in range(24):
        config = {axis: (number + 0.5) / 24, "kind": choice if number % 2 else "b", f"fixed {LINK}": SCRIPT}
        reports[number] = [
            Report(number, 0, epoch, {metric: 1 - number / 24, f"other {LINK}": 1.0}, 0.1) for epoch in (1, 3, 9)
        ]
        trials.append(studies.summary_of(spec, number, reports[number], config=config))
    why = Failure(FailureKind.EXCEPTION, f"{SCRIPT} {LINK}", f"{SCRIPT}\n{LINK}")
    trials.append(TrialSummary(24, TrialState.FAILED, trials[0].config, 0, 9, segments=1, failure=why, reason=LINK))
    return studies.write(store, spec, trials, reports)


def texts(page):
    """All that a page hands to places that read Markdown."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success", "metric")
    for kind in kinds:
        for element in page.get(kind):
            yield from (str(part) for part in (getattr(element, "label", ""), getattr(element, "value", "")) if part)
    for kind in ("selectbox", "multiselect", "slider", "checkbox", "toggle", "text_input", "expander"):
        yield from (str(element.label) for element in page.get(kind))


@pytest.mark.parametrize("path", [path for listed in PAGES.values() for path, *_ in listed])
def test_markup_from_a_store_stays_text(planted, shown, path):
    page = shown(path, study=planted)
    for text in texts(page):
        assert SCRIPT not in text, text
        assert LINK not in text, text
    for element in page.get("markdown"):
        assert not element.allow_html


@pytest.mark.parametrize("look", ["Importances", "Slices", "Parallel coordinates", "Pairs", "Coverage"])
def test_markup_stays_text_in_every_view_of_hyperparameters(planted, shown, look):
    page = shown("hyperparameters", study=planted, look=look)
    for text in texts(page):
        assert SCRIPT not in text, text
        assert LINK not in text, text


def test_the_store_is_opened_for_reading_alone(store, planted):
    with pytest.raises(StoreError):
        reading.store().delete(planted)
