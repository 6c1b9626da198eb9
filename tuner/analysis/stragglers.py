"""Workers that take much longer than their peers for the same work.

Configurations differ in cost, so a worker is compared by what remains of its times when the configurations have been
accounted for: the logarithm of the seconds per unit of resource, less a ridge regression on the axes of the space (the
cost of a step goes as a power of the batch size, say, which is a line in logarithms). What a worker is given is what
was next when it was idle, so that without a slow worker what remains is as good as shuffled over the workers, however
badly the regression fits: a rank test (Mann and Whitney 1947) is then honest, with Holm's correction for asking it of
every worker. By how much a worker is slower is told from a regression within the workers, which no slow one bends. One
trial counts once on a worker, however many segments it had there.

Nothing here decides anything: ASHA never waits for a slow worker, as its trials are judged when they report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tuner.analysis.comparison import holm
from tuner.analysis.positions import OFF, positions
from tuner.analysis.tracing import begins_session
from tuner.analysis.view import StudyView
from tuner.records import SegmentIssued, TrialSummary
from tuner.space import Choice, SearchSpace

FACTOR: Final = 1.5
"""A worker is slow if it takes so many times as long as the others, or longer."""
CHANCE: Final = 0.01
"""And if one of equal workers would look as slow with at most this probability, in any study."""
FEWEST: Final = 3
"""Of a worker with fewer trials nothing is said."""
_RIDGE: Final = 1.0

COLUMNS: Final = ("worker", "n_trials", "factor", "chance", "slow")


def stragglers(study: StudyView) -> pd.DataFrame:
    """Whether any worker is slow: `compare_workers`, of a study."""
    return compare_workers(paces(study), study.trials, study.spec.space)


def with_paces(workers: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The table of `timeline.workers` with the columns factor, chance and slow of `found`, a table of this file."""
    joined = workers.merge(found.drop(columns="n_trials"), how="left", on="worker")
    return joined.assign(slow=joined["slow"].eq(True))  # a worker that has reported nothing yet is not there


def slow_words(workers: pd.DataFrame) -> list[str]:
    """A sentence for each slow worker of what `compare_workers` gives."""
    told = workers[workers["slow"]].sort_values("factor", ascending=False)
    return [
        f"Worker {worker} takes {factor:.1f} times as long as the others for comparable trials (p = {chance:.2g})."
        for worker, factor, chance in zip(told["worker"], told["factor"], told["chance"], strict=True)
    ]


def paces(study: StudyView) -> pd.DataFrame:
    """One row per (worker, trial) that has reported there: worker, trial, pace (seconds of running per unit of
    resource, from the start of a segment to its last report).

    What a worker does first in a session, when it starts up and makes its data, does not count, if it did more.
    """
    starts: dict[tuple[int, int], tuple[str, float, int, bool]] = {}
    begun: set[str] = set()
    for entry in study.happenings:
        if begins_session(entry.event):
            begun.clear()
        if isinstance(entry.event, SegmentIssued):
            segment, worker = entry.event.segment, entry.event.worker or "worker"
            starts[segment.key] = (worker, entry.time, segment.start, worker not in begun)
            begun.add(worker)
    last = {key: index for index, key in enumerate(zip(study.values.trial, study.values.segment, strict=True))}
    found = [(*starts[key], key[0], index) for key, index in last.items() if key in starts]
    table = pd.DataFrame(found, columns=["worker", "since", "from", "first", "trial", "index"])
    reached = table["index"].to_numpy(dtype=np.int64)
    clock = study.clock
    table["seconds"] = clock.at(study.values.time[reached]) - clock.at(table["since"].to_numpy(dtype=np.float64))
    table["units"] = study.values.resource[reached] - table["from"].to_numpy(dtype=np.int64)
    table = table[(table["seconds"] > 0) & (table["units"] > 0)]
    others = ~table["first"].astype(bool)
    table = table[others | ~table["worker"].isin(table["worker"][others])]
    summed = table.groupby(["worker", "trial"], sort=False)[["seconds", "units"]].sum().reset_index()
    return summed.assign(pace=summed["seconds"] / summed["units"])[["worker", "trial", "pace"]]


def compare_workers(paces: pd.DataFrame, trials: Sequence[TrialSummary], space: SearchSpace) -> pd.DataFrame:
    """One row per worker, in the order of `paces`, which is what `paces` gives.

    Columns: worker, n_trials, factor (how many times as long as the others it takes for comparable trials: a ratio of
    medians), chance (the probability of looking as slow without being so, corrected for the number of workers), slow.
    Both numbers are NaN where nothing can be said.
    """
    by_number = {trial.number: trial for trial in trials}
    features = _features([by_number[number] for number in paces["trial"]], space)
    pace = np.log(paces["pace"].to_numpy(dtype=np.float64))
    remains = _unexplained(pace, features, np.zeros(len(pace), dtype=np.int64))
    within = _unexplained(pace, features, pd.factorize(paces["worker"])[0].astype(np.int64))
    rows = []
    for worker in paces["worker"].drop_duplicates():
        own = (paces["worker"] == worker).to_numpy()
        factor, chance = np.nan, np.nan
        if own.sum() >= FEWEST and (~own).sum() >= FEWEST:
            factor = float(np.exp(np.median(within[own]) - np.median(within[~own])))
            chance = float(stats.mannwhitneyu(remains[own], remains[~own], alternative="greater").pvalue)
        rows.append((worker, int(own.sum()), factor, chance))
    table = pd.DataFrame(rows, columns=list(COLUMNS[:-1])).astype({"factor": "float64", "chance": "float64"})
    asked = table["chance"].notna()
    table.loc[asked, "chance"] = holm(table["chance"][asked].tolist())
    return table.assign(slow=(table["factor"] >= FACTOR) & (table["chance"] <= CHANCE))


def _unexplained(
    pace: NDArray[np.float64], features: NDArray[np.float64], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """`pace` less what the features explain of it, by a ridge regression with a mean of its own for each group."""
    inside, target = _centred(features, groups), _centred(pace[:, None], groups)[:, 0]
    weights = np.linalg.solve(inside.T @ inside + _RIDGE * np.eye(inside.shape[1]), inside.T @ target)
    remains: NDArray[np.float64] = pace - features @ weights
    return remains


def _centred(columns: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    sizes = np.bincount(groups)
    sums = np.zeros((len(sizes), columns.shape[1]))
    np.add.at(sums, groups, columns)
    centred: NDArray[np.float64] = columns - (sums / sizes[:, None])[groups]
    return centred


def _features(trials: Sequence[TrialSummary], space: SearchSpace) -> NDArray[np.float64]:
    """One row per trial: of an axis of numbers the place on it, and whether it is off or absent; a column for each
    value of a choice. Columns have mean 0, and those that vary a standard deviation of 1.
    """
    where, columns = positions(trials, space), []
    for name, axis in space.items():
        place = where[name].to_numpy()
        if isinstance(axis, Choice):
            columns += [place == index for index in range(len(axis.values))]
        else:
            inside = (place != OFF) & ~np.isnan(place)
            columns += [np.where(inside, place, 0.5), place == OFF, np.isnan(place)]
    features = np.array(columns, dtype=np.float64).T.reshape(len(trials), len(columns))
    if len(trials):
        features = features - features.mean(axis=0)
        spread = features.std(axis=0)
        features = features / np.where(spread > 0, spread, 1.0)
    return features
