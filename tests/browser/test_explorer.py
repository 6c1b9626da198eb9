"""The explorer as a reader uses it: from a study's table to a comparison, a file, a link, and a study that moves."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest
from explored import ORDINARY, RUNNING, Writer

from app.main import PAGES
from tuner.store import StudyStore

TITLES = [title for listed in PAGES.values() for _, title, *_ in listed]
CURVES = ".js-plotly-plot .legendtext:text-matches('^trial')"
X, Y = (f".js-plotly-plot .g-{axis}title text" for axis in "xy")


def test_from_the_table_to_a_comparison(opened, expect):
    page = opened(f"study?study={ORDINARY}")
    expect(page.get_by_text("24 of 24 trials.")).to_be_visible()
    search = page.get_by_placeholder("out of memory")
    search.fill("optimizer=sgd")
    search.press("Enter")
    expect(page.get_by_text("12 of 24 trials.")).to_be_visible()
    rows = page.get_by_test_id("stDataFrame").first.locator("canvas tbody tr")
    expect(rows).to_have_count(12)
    for place in range(3):
        tick(page, place)
        expect(rows.nth(place)).to_have_attribute("aria-selected", "true")
    chosen = [int(rows.nth(place).locator("td").first.text_content()) for place in range(3)]
    assert all(number % 2 == 0 for number in chosen)  # every second trial has sgd
    page.get_by_role("button", name="Compare 3 trials").click()
    expect(page.get_by_role("heading", name="Compare trials")).to_be_visible()
    expect(page.locator(CURVES)).to_have_text([f"trial {number}" for number in sorted(chosen)])
    assert numbers(page.get_by_label("Trials, 20 at most").input_value()) == sorted(chosen)


def test_a_figure_s_numbers_as_a_file(opened, expect):
    page = opened(f"compare?study={ORDINARY}&trials=0,2,5")
    expect(page.locator(CURVES)).to_have_text(["trial 0", "trial 2", "trial 5"])
    with page.expect_download() as started:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV").first.click()
    assert started.value.suggested_filename == f"{ORDINARY}-curves.csv"
    with started.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["trial"] for row in rows} == {"0", "2", "5"}
    assert len(rows) == 9 + 9 + 3  # trial 5 was pruned at its third epoch
    first = next(row for row in rows if row["trial"] == "2")
    assert float(first["value"]) == pytest.approx(1.52)  # studies.trained(2, 1)


def test_a_link_reopens_the_view(opened, expect):
    page = opened(f"compare?study={ORDINARY}")
    trials = page.get_by_label("Trials, 20 at most")
    trials.fill("1, 4, 6")
    trials.press("Enter")
    expect(page.locator(CURVES)).to_have_text(["trial 1", "trial 4", "trial 6"])
    page.get_by_text("Train and validation together").click()
    page.get_by_role("radio", name="samples").click()
    expect(page.locator(X, has_text="samples")).to_be_visible()
    expect(page.locator(Y, has_text="train_eval_loss")).to_have_count(1)  # two for as long as the old figure fades
    expect(page.locator(Y, has_text="train_eval_loss")).to_be_visible()
    page.get_by_role("button", name="Link to this view").click()
    link = page.get_by_test_id("stCode").filter(has_text="http://").text_content()
    again = opened(link)
    expect(again.locator(CURVES)).to_have_text(["trial 1", "trial 4", "trial 6"])
    expect(again.locator(X, has_text="samples")).to_be_visible()
    expect(again.locator(Y, has_text="train_eval_loss")).to_have_count(1)  # two for as long as the old figure fades
    expect(again.locator(Y, has_text="train_eval_loss")).to_be_visible()
    expect(again.get_by_role("radio", name="samples")).to_be_checked()
    assert numbers(again.get_by_label("Trials, 20 at most").input_value()) == [1, 4, 6]


def test_a_running_study_moves_and_the_reader_stays(opened, expect, writer):
    writer.trial()
    writer.trial()
    page = opened(f"study?study={RUNNING}")
    count = page.get_by_test_id("stMetric").filter(has_text="Trials")
    expect(count).to_contain_text("2 of 12")
    search = page.get_by_placeholder("out of memory")
    search.fill("optimizer=sgd")
    search.press("Enter")
    expect(page.get_by_text("1 of 2 trials.")).to_be_visible()
    page.evaluate("window.unchanged = true")  # a reload would forget it
    scrolled = page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    writer.trial()
    expect(count).to_contain_text("3 of 12")
    expect(page.get_by_text("2 of 3 trials.")).to_be_visible()
    expect(search).to_have_value("optimizer=sgd")
    assert page.evaluate("window.unchanged") is True
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == scrolled


def test_every_page_opens(opened, expect):
    page = opened(f"study?study={ORDINARY}")
    expect(page.get_by_role("heading", name=ORDINARY, level=1, exact=True)).to_be_visible()
    for title in [*TITLES[1:], TITLES[0]]:
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
        heading = ORDINARY if title == "Study" else title
        expect(page.get_by_role("heading", name=heading, level=1, exact=True)).to_be_visible()
        settled(page)
        sign = ".js-plotly-plot, [data-testid=stDataFrame]" if title != "Control" else "[data-testid=stAlert]"
        expect(page.get_by_test_id("stMain").locator(sign).first).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_text("could not be shown")).to_have_count(0)
        opened.keep(page, title)


@pytest.fixture
def writer(store: StudyStore) -> Iterator[Writer]:
    """The process that runs the study `running`."""
    held = Writer(store)
    yield held
    held.close()


def settled(page):
    """Wait until the script of the page has run to its end."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def tick(page, place):
    """Choose a row of the first table, which is drawn on a canvas: the box in its first column."""
    page.get_by_test_id("stDataFrame").first.locator(".dvn-scroller").click(position={"x": 15, "y": 35 * place + 52})


def numbers(text):
    return sorted(int(part) for part in text.split(","))
