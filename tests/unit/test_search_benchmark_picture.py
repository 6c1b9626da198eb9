"""The search benchmark's pictures: what is read back from an SVG is what the studies were."""

import json
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

SEARCH = Path(__file__).resolve().parents[2] / "benchmarks" / "search"
sys.path.append(str(SEARCH))

import picture  # noqa: E402 (a program, no package: its folder is its path)

SVG = "{http://www.w3.org/2000/svg}"
AT = np.geomspace(4, 80, 101)


def line(method, task, seed, incumbents):
    return {"method": method, "benchmark": "lcbench", "task": task, "seed": seed, "incumbents": incumbents}


STUDIES = [
    line("auto", "a", 0, [[1, 9.0], [400, 3.0]]),
    line("auto", "a", 1, [[1, 7.0], [2000, -4.0]]),
    line("auto", "b", 0, [[1, 5.0]]),
    line("auto", "b", 1, [[1, 3.0]]),
    line("auto", "c", 0, [[1, 1000.0]]),  # a task that random lacks
    line("auto", "a", 2, [[1, 1000.0]]),  # a seed that random has of one task only
    line("random", "a", 0, [[1, 10.0], [1000, 8.0]]),
    line("random", "a", 1, [[1, 10.0]]),
    line("random", "b", 0, [[1, 6.0]]),
    line("random", "b", 1, [[1, 2.0]]),
    line("random", "b", 2, [[1, 1000.0]]),
    line("unasked", "z", 0, [[1, 0.0]]),
]


def drawn(tmp_path, monkeypatch, *, studies=STUDIES, methods="auto,random,absent"):
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(study) + "\n" for study in studies))
    arguments = ["picture.py", str(file), "--methods", methods, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    picture.main()
    return tmp_path / "lcbench.svg"


def courses(root):
    """Each method's path in trainings and scores, going by the labels at the axes."""
    texts = {axis: [one for one in root.iter(f"{SVG}text") if one.get("class") == axis] for axis in "xy"}
    # Words of the y axis stand 4 below their line.
    trainings, across = np.array([(float(one.text), float(one.get("x"))) for one in texts["x"]]).T
    scores, down = np.array([(float(one.text), float(one.get("y")) - 4) for one in texts["y"]]).T
    found = {}
    for path in root.iter(f"{SVG}path"):
        if path.get("class") == "method":
            points = np.array([point.split(",") for point in path.get("d")[1:].split()], dtype=float)
            slope, start = np.polyfit(across, np.log(trainings), 1)
            rate, top = np.polyfit(down, scores, 1)
            found[path.get("data-method")] = np.exp(start + slope * points[:, 0]), top + rate * points[:, 1]
    return found


def test_the_paths_are_the_means_over_the_tasks_and_seeds_that_all_have(tmp_path, monkeypatch):
    found = courses(ET.parse(drawn(tmp_path, monkeypatch)).getroot())
    assert set(found) == {"auto", "random"}
    for at, _ in found.values():
        assert at == pytest.approx(AT, rel=1e-3)
    expected = np.where(AT < 8, 9, 3) + np.where(AT < 40, 7, -4) + 5 + 3
    # Where the incumbent changes between two samples, either side of it will do.
    clear = ~np.isclose(AT, 8) & ~np.isclose(AT, 40) & ~np.isclose(AT, 20)
    assert found["auto"][1][clear] == pytest.approx(expected[clear] / 4, abs=0.02)
    assert found["random"][1][clear] == pytest.approx(np.where(AT < 20, 7, 6.5)[clear], abs=0.02)


def test_it_says_what_it_shows_and_what_is_missing(tmp_path, monkeypatch, capsys):
    text = drawn(tmp_path, monkeypatch).read_text()
    assert "mean over 4 studies of each; tasks: 2, seeds: 2" in text
    assert "lcbench: no studies of absent" in capsys.readouterr().err
    assert ">auto 1.75<" in text
    assert ">random 6.50<" in text
    assert not (tmp_path / "taskset.svg").exists()


def test_without_a_common_task_there_is_no_picture(tmp_path, monkeypatch, capsys):
    assert not drawn(tmp_path, monkeypatch, methods="auto,unasked").exists()
    assert "nothing that all methods have" in capsys.readouterr().err


def test_ours_is_drawn_stronger_and_last(tmp_path, monkeypatch):
    paths = [one for one in ET.parse(drawn(tmp_path, monkeypatch)).iter(f"{SVG}path") if one.get("class") == "method"]
    assert [one.get("data-method") for one in paths] == ["random", "auto"]
    other, ours = (float(one.get("stroke-width")) for one in paths)
    assert ours > 2 * other


@given(st.lists(st.floats(40, 380), min_size=1, max_size=20))
def test_labels_do_not_overlap_and_stay_in_order_and_inside(wanted):
    heights = picture.apart(np.array(wanted))
    placed = sorted(heights)
    assert all(after - before >= picture.LABEL_HEIGHT - 1e-6 for before, after in pairwise(placed))
    assert [wanted[place] for place in np.argsort(heights)] == sorted(wanted)
    assert placed[0] >= picture.TOP - 1e-6
    assert placed[-1] <= picture.TOP + picture.HEIGHT + 1e-6


@given(st.floats(-20, 20), st.floats(0, 30))
def test_the_axis_holds_every_score(low, width):
    ticks = picture.ticks(low, low + width)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= low + width - 1e-9
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
@pytest.mark.parametrize("colour", [*picture.COLOURS, picture.STRONG, picture.GREY])
def test_colours_are_read_on_white_and_on_dark(colour, page):
    """The contrast that WCAG 2.1 asks of graphics (1.4.11)."""
    darker, lighter = sorted([luminance(colour), luminance(page)])
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def luminance(colour):
    """Relative luminance of sRGB, as WCAG 2.1 defines it."""
    shares = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
