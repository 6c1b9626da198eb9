"""`tune export`: one file that needs nothing else, and tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import studies

from tuner.analysis import StudyView
from tuner.cli.main import main
from tuner.export import html_report

CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_every_study_can_be_written(store, make):
    page = html_report(StudyView(store, make(store)), "now")
    for title in ("Best configuration", "Best so far", "Leaderboard", "Rungs", "Hyperparameters", "Failures"):
        assert f"<h2>{title}</h2>" in page
    assert "<!--" not in own(page)


def own(page):
    """The page without Plotly."""
    start = page.index("<script>") + len("<script>")
    return page[:start] + page[page.index("</script>", start) :]


def test_nothing_is_loaded_from_elsewhere(store):
    page = html_report(StudyView(store, studies.ordinary(store, n=30)), "now")
    assert page.count("<script>") >= 2
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", own(page))
    assert "default-src 'none'" in page
    assert len(page) > 1_000_000  # Plotly is inside
    assert own(page).count("Plotly.newPlot") >= 3


def test_what_comes_from_the_store_is_text(store):
    page = own(html_report(StudyView(store, studies.failures(store)), "now"))
    assert "<b>no</b>" not in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "<i>" not in own(html_report(StudyView(store, studies.custom(store)), "now"))


def test_it_opens_in_a_browser_without_an_error(store, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium, which is not installed")
    path = tmp_path / "report.html"
    path.write_text(html_report(StudyView(store, studies.ordinary(store, n=30)), "now"), encoding="utf-8")
    wrong, asked = [], []
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        page = browser.new_page(color_scheme="dark")
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri(), timeout=120_000)
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
        drawn = page.locator(".js-plotly-plot").count()
        browser.close()
    assert wrong == []
    assert drawn >= 3
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_command_writes_a_new_file_and_tables(store, tmp_path, capsys):
    studies.ordinary(store)
    where = ["--store", str(tmp_path / "tuner.db")]
    main_ok("export", "ordinary", str(tmp_path / "report.html"), *where)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    for form, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        main_ok("export", "ordinary", str(tmp_path / form), "--format", form, *where)
        assert len(read(tmp_path / form / f"trials.{form}")) == 6
        assert {"trial", "resource", "val_loss"} <= set(read(tmp_path / form / f"reports.{form}"))
    capsys.readouterr()
    for arguments, said in (
        (["ordinary", str(tmp_path / "report.html")], "is there already"),
        (["ordinary", str(tmp_path / "x"), "--format", "tensorboard"], "Allowed: html, csv, parquet"),
        (["nobody", str(tmp_path / "x")], "nobody"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["export", *arguments, *where])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "x").exists()


def main_ok(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code in (0, None)
