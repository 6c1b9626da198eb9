"""Pictures of what `run.py` wrote: each method's mean incumbent against the full trainings spent, an SVG a benchmark.

    python benchmarks/search/picture.py FILE --methods auto,random,.. [--ours auto] [--out docs/images]

All methods are compared on the tasks that all of them have, with the seeds that all have of each of these tasks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from report import DIGITS, READ_AT, Studies, read
from scipy.optimize import isotonic_regression

FULL_TRAINING = 50
"""Units."""
FIRST = 4.0
SCORES = {
    "taskset": "TaskSet: normalised regret, 0 the table's best, 1 chance; lower is better",
    "lcbench": "LCBench: points of accuracy below the best of 2,000 random configurations; lower is better",
}

LEFT, TOP, WIDTH, HEIGHT = 48.0, 40.0, 520.0, 340.0
LABELS, LABEL_HEIGHT = LEFT + WIDTH + 24, 17.0
GREY, STRONG = "#777777", "#c9510c"
COLOURS = ("#2f74c0", "#0a8a63", "#b5609a", "#94701d", GREY)
"""Contrast of 3 and more on white and on GitHub's dark page; told apart by the colour-blind with the dashes."""
DASHES = ("none", "7 3", "2 3")


@dataclass(frozen=True)
class Scale:
    """Where trainings (a logarithmic axis from FIRST on) and scores are in the picture."""

    until: float
    ticks: NDArray[np.float64]

    def x(self, trainings: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return LEFT + WIDTH * np.log(np.asarray(trainings) / FIRST) / np.log(self.until / FIRST)

    def y(self, score: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return TOP + HEIGHT * (self.ticks[-1] - np.asarray(score)) / (self.ticks[-1] - self.ticks[0])


def shared(studies: Studies) -> tuple[list[str], list[int]]:
    """The tasks that all methods have, and the seeds that all have of each of these."""
    tasks = set.intersection(*({task for task, _ in own} for own in studies.values()))
    seeds = {seed for own in studies.values() for _, seed in own}
    whole = (seed for seed in seeds if all((task, seed) in own for own in studies.values() for task in tasks))
    return sorted(tasks), sorted(whole)


def course(line: Mapping[str, Sequence[tuple[int, float]]], trainings: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of a study's incumbent after so many full trainings; NaN before the first."""
    units, scores = np.array([(0, np.nan), *line["incumbents"]]).T
    return scores[np.searchsorted(units, trainings * FULL_TRAINING, side="right") - 1]


def ticks(low: float, high: float) -> NDArray[np.float64]:
    """Round values at equal distances, seven at most, from below `low` to above `high`."""
    steps = (factor * 10.0**power for power in range(-6, 7) for factor in (1, 2, 5))
    step = next(step for step in steps if np.ceil(high / step) - np.floor(low / step) <= 6)
    first = np.floor(low / step)
    return np.arange(first, max(np.ceil(high / step), first + 1) + 1) * step


def apart(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The heights nearest to the wanted ones (least squares) at which no label covers another."""
    order = np.argsort(wanted, kind="stable")
    room = np.arange(len(wanted)) * LABEL_HEIGHT
    free = isotonic_regression(wanted[order] - room).x
    heights = np.empty(len(wanted))
    heights[order] = np.clip(free, TOP, max(TOP, TOP + HEIGHT - room[-1])) + room
    return heights


def draw(benchmark: str, courses: Mapping[str, NDArray], trainings: NDArray, ours: str, caption: str) -> str:
    """The picture; its paths have the points of `courses`, its labels their last values."""
    everything = np.concatenate(list(courses.values()))
    scale = Scale(trainings[-1], ticks(np.nanmin(everything), np.nanmax(everything)))
    bottom = max(TOP + HEIGHT, TOP + LABEL_HEIGHT * len(courses))
    box = {"viewBox": f"0 0 800 {bottom + 64:g}", "role": "img", "font-family": "sans-serif", "font-size": "12"}
    picture = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **box})

    def text(x: float, y: float, words: str, colour: str = GREY, **style: str) -> None:
        ET.SubElement(picture, "text", {"x": f"{x:.2f}", "y": f"{y:.2f}", "fill": colour, **style}).text = words

    def path(points: Sequence[tuple[float, float]], colour: str, **style: str) -> None:
        d = "M" + " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
        ET.SubElement(picture, "path", {"d": d, "fill": "none", "stroke": colour, **style})

    text(LEFT, 18, SCORES[benchmark])
    for tick in scale.ticks:
        height = float(scale.y(tick))
        path([(LEFT, height), (LEFT + WIDTH, height)], GREY, opacity="0.3")
        text(LEFT - 6, height + 4, f"{tick:g}", **{"class": "y", "text-anchor": "end"})
    for at in (FIRST, *(float(at) for at in READ_AT[benchmark])):
        text(float(scale.x(at)), bottom + 18, f"{at:g}", **{"class": "x", "text-anchor": "middle"})
    text(LEFT, bottom + 36, "full trainings spent, logarithmic")
    text(LEFT, bottom + 54, caption)

    peers = [name for name in courses if name != ours]
    heights = dict(zip(courses, apart(scale.y([own[-1] for own in courses.values()])), strict=True))
    for place, name in enumerate([*peers, *(set(courses) - set(peers))]):  # ours last: over the others
        own, dash = courses[name], DASHES[place // len(COLOURS) % len(DASHES)]
        colour, style, weight = COLOURS[place % len(COLOURS)], {"stroke-width": "1.5", "stroke-dasharray": dash}, {}
        if name == ours:
            colour, style, weight = STRONG, {"stroke-width": "3.5"}, {"font-weight": "bold"}
        known = np.isfinite(own)
        points = list(zip(scale.x(trainings[known]), scale.y(own[known]), strict=True))
        path(points, colour, **{"class": "method", "data-method": name, "stroke-linejoin": "round"}, **style)
        path([points[-1], (LABELS - 4, heights[name])], colour, opacity="0.5")
        text(LABELS, heights[name] + 4, f"{name} {own[-1]:.{DIGITS[benchmark]}f}", colour, **weight)
    ET.indent(picture)
    return ET.tostring(picture, encoding="unicode") + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--methods", required=True, help="which, separated by commas")
    parser.add_argument("--ours", default="auto", help="the method that is drawn stronger (auto)")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder (docs/images)")
    options = parser.parse_args()
    for benchmark in READ_AT:
        there, wanted = read(options.file, benchmark), options.methods.split(",")
        studies = {name: there[name] for name in wanted if name in there}
        tasks, seeds = shared(studies) if studies else ([], [])
        if missing := [name for name in wanted if name not in there]:
            print(f"{benchmark}: no studies of {', '.join(missing)}", file=sys.stderr)
        if not tasks or not seeds:
            print(f"{benchmark}: nothing that all methods have, no picture", file=sys.stderr)
            continue
        trainings = np.geomspace(FIRST, float(READ_AT[benchmark][-1]), 101)
        cells = [(task, seed) for task in tasks for seed in seeds]
        courses = {name: np.mean([course(own[c], trainings) for c in cells], axis=0) for name, own in studies.items()}
        caption = f"mean over {len(cells)} studies of each; tasks: {len(tasks)}, seeds: {len(seeds)}"
        (options.out / f"{benchmark}.svg").write_text(draw(benchmark, courses, trainings, options.ours, caption))


if __name__ == "__main__":
    main()
