"""The pages tell the truth: their code runs, their links lead somewhere, their commands and files exist."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from training_runs import Blobs, run

from tuner.spec.load import load_spec

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^ {4}.*$", re.MULTILINE)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    return [code for found, code in BLOCK.findall(page.read_text()) if found == language]


PYTHON = [page for page in PAGES if blocks(page, "python")]
YAML = [(name(page), text) for page in PAGES for text in blocks(page, "yaml")]


@pytest.mark.parametrize("page", PYTHON, ids=name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """All blocks of a page, in order, as one module, and then its tests. A module, because contract suites send what it
    defines to other processes.
    """
    module = f"blocks_of_{page.stem.lower()}"
    (tmp_path / f"{module}.py").write_text("\n\n".join(blocks(page, "python")))
    monkeypatch.setenv("TUNER_HOME", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    for folder in (ROOT / "tests", ROOT / "tests" / "contracts", tmp_path):
        monkeypatch.syspath_prepend(folder)
    try:
        for key, value in vars(importlib.import_module(module)).items():
            if key.startswith("test_"):
                value(**{"tmp_path": tmp_path / key} if inspect.signature(value).parameters else {})
    finally:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("text", [text for _, text in YAML], ids=[place for place, _ in YAML])
def test_yaml_blocks_are_specs(text, tmp_path):
    page = tmp_path / "page.yaml"
    page.write_text(text)
    load_spec(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), target
            assert there.is_relative_to(ROOT), target
            assert not anchor or anchor in _anchors(there), target


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_files_that_are_named_exist(page):
    for path in re.findall(r"`((?:tuner|tests|docs|objectives|examples|search_spaces)/[\w./-]*)`", page.read_text()):
        assert (ROOT / path).exists(), path


@pytest.fixture(scope="module")
def commands():
    """Each command of `tune`, and the options that its help names."""
    found = re.findall(r"^  (\w+)  ", _help().partition("Commands:")[2], re.MULTILINE)
    return {command: set(re.findall(r"--[\w-]+", _help(command))) for command in found}


def test_commands_that_are_named_exist(commands):
    for page in (
        ROOT / "README.md",
        *(ROOT / "docs" / f"{page}.md" for page in ("extending", "architecture", "replay", "search", "trainer")),
    ):
        text = page.read_text()
        for command, rest in re.findall(r"\btune (\w+)([^`#\n]*)", "\n".join([*CODE.findall(text), *_inline(text)])):
            assert command in commands, f"{name(page)}: tune {command}"
            assert set(re.findall(r"--[\w-]+", rest)) <= commands[command], f"{name(page)}: tune {command}{rest}"


def test_the_make_targets_that_are_named_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"\bmake ([\w-]+)", "\n".join([*CODE.findall(text), *_inline(text)]))
    assert named
    assert set(named) <= targets


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert [page.name for page in sorted(folder.glob("0*.md")) if f"({page.name})" not in index] == []


def test_the_trainers_settings_are_those_of_the_page():
    place = importlib.util.spec_from_file_location("settings_table", ROOT / "docs" / "settings_table.py")
    program = importlib.util.module_from_spec(place)
    place.loader.exec_module(program)
    page = (ROOT / "docs" / "trainer.md").read_text()
    assert page.count("| `clip_norm` |") == 1
    assert page == program.with_tables(page), "python docs/settings_table.py --write"


class Measured(Blobs):
    """With a metric and further examples, so that every kind of name is reported."""

    def data(self):
        splits = super().data()
        return splits._replace(also={"other": splits.validation})


def test_every_metric_of_a_report_is_in_the_page():
    page = (ROOT / "docs" / "trainer.md").read_text()
    table = page.partition("## What a report carries")[2].partition("Besides numbers")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    told = {metric for cell in cells for metric in re.findall(r"`([^`]+)`", cell)}
    settings = {"noise_scale": True, "sharpness": 0.05, "hessian": True, "clip_norm": 1.0}
    (reported,) = run(settings, until=1, task=Measured()).metrics
    generic = {"val_accuracy": "val_<name>", "other_loss": "<split>_loss", "other_accuracy": "<split>_<name>"}
    names = {generic.get(metric, metric) for metric in reported}
    assert names <= told
    assert told - names == {"memory_peak_mib", "overfitting_from"}, "a GPU's, and a trial's that overfits"


def _inline(text):
    return re.findall(r"`([^`\n]+)`", text)


def _anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _help(*command):
    asked = [sys.executable, "-m", "tuner.cli", *command, "--help"]
    return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
