"""What a comparison has shown, in words that claim no more than its tests allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from tuner.analysis.comparison.bootstrap import expanded_interval, resamples
from tuner.analysis.comparison.incumbent import Rule, incumbents
from tuner.analysis.comparison.power import fewest_repeats, repeats_needed
from tuner.analysis.comparison.ranks import average_ranks, blocks, paired_differences
from tuner.analysis.comparison.regret import regret_frame, scales
from tuner.analysis.comparison.signed_rank import pairwise_table
from tuner.analysis.comparison.target import savings
from tuner.analysis.comparison.trace import Axis, Run


@dataclass(frozen=True)
class Verdict:
    """Who is ahead, and how sure that is. `str(verdict)` is its sentences."""

    sentences: tuple[str, ...]
    leader: str | None = None
    """The method of the lowest average rank; None where none can be named."""
    ahead_of: tuple[str, ...] = ()
    """The methods that the leader is significantly better than (Holm over all pairs)."""
    level_with: tuple[str, ...] = ()
    """The others, best first."""
    repeats_needed: int | None = None
    """About how many repeats would tell the leader from the best of `level_with`; None where that cannot be said."""

    def __str__(self) -> str:
        """The sentences, as one paragraph."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class _Seen:
    """The blocks of a comparison at one budget, and the words for them."""

    table: pd.DataFrame
    at: float
    unit: str
    """Of the budget: trials, seconds, or the resource's own."""
    metric: str
    alpha: float
    sign: float
    """From the table's numbers to the metric's: -1 where more is better."""

    @property
    def budget(self) -> str:
        return f"{self.at:g} {self.unit}"

    @property
    def better(self) -> str:
        return "lower" if self.sign > 0 else "higher"

    @property
    def problems(self) -> list[str]:
        return [str(problem) for problem in self.table.index.get_level_values("problem")]

    @property
    def n_problems(self) -> int:
        return len(set(self.problems))

    @property
    def n_repeats(self) -> int:
        return min(self.problems.count(problem) for problem in set(self.problems))

    @property
    def n_pairs(self) -> int:
        return self.table.shape[1] * (self.table.shape[1] - 1) // 2

    @property
    def repeats(self) -> str:
        of = f" of each of {self.n_problems} problems" if self.n_problems > 1 else ""
        return f"{_counted(self.n_repeats, 'repeat')}{of}"


def verdict(
    runs: Sequence[Run],
    at: float,
    by: Axis = "units",
    rule: Rule = "full",
    *,
    metric: str = "loss",
    maximised: bool = False,
    unit: str = "units",
    baseline: str = "random",
    alpha: float = 0.05,
) -> Verdict:
    """One to four sentences on the runs at the budget `at`: who is ahead, by how much, how sure, of what it holds.

    A method is ahead of another where Wilcoxon's signed-rank test over the repeats, Holm-corrected over all pairs of
    methods, says so at level `alpha`; so the chance to call any method ahead when all are alike is at most `alpha`.
    Differences are of `metric` with one problem, of normalised regret with several; `maximised` says that the losses
    are the metric with its sign turned. `unit` is the resource's name.
    """
    problems = {run.problem for run in runs}
    frame = incumbents(runs, [at], by, rule)
    if len(problems) > 1:
        frame = regret_frame(frame, scales(runs, baseline=baseline))
        metric, maximised = "normalised regret", False
    table = blocks(frame, at, "regret" if len(problems) > 1 else "loss")
    seen = _Seen(table, at, unit if by == "units" else by, metric, alpha, -1.0 if maximised else 1.0)
    if (nothing := _nothing_to_tell(seen, frame)) is not None:
        return nothing
    medians = table.quantile(0.5, interpolation="lower")
    ranks = average_ranks(table[medians.sort_values(kind="stable").index])
    leader, *others = [str(name) for name in ranks.index]
    pairs = pairwise_table(table[[leader, *others]])
    of_leader = pairs[pairs["one"] == leader].set_index("other")
    sure = (of_leader["p_holm"] <= alpha) & (of_leader["wins"] > of_leader["losses"])
    ahead = tuple(other for other in others if sure[other])
    level = tuple(other for other in others if not sure[other])
    sentences = []
    if ahead:
        sentences.append(_who_is_ahead(seen, leader, ahead, of_leader))
        against = baseline if baseline in ahead else ahead[0]
        sentences += _what_is_saved(seen, savings(runs, against, at, by, rule, 1 - alpha), leader, against)
    needed = None
    if level:
        needed = _needed(seen, leader, level[0])
        sentences.append(_what_cannot_be_told(seen, leader, level, needed))
    if not ahead and seen.n_repeats >= fewest_repeats(alpha, seen.n_pairs):
        sentences.append(_largest_difference(seen))
    sentences.append(_scope(seen))
    return Verdict(tuple(sentences), leader, ahead, level, needed)


def _nothing_to_tell(seen: _Seen, frame: pd.DataFrame) -> Verdict | None:
    """The verdict where there is nothing to test; None where there is."""
    table = seen.table
    if frame.empty:
        return Verdict(("Nothing was run.",))
    if table.empty:
        return Verdict(("No repeat has been run with every method yet, so nothing can be compared.",))
    if not np.isfinite(table.to_numpy()).any() or not np.isfinite(frame["loss"].to_numpy(dtype=np.float64)).any():
        return Verdict((f"No run has a result after {seen.budget}: every trial failed, or none had reported yet.",))
    if table.shape[1] == 1:
        only, value = str(table.columns[0]), seen.sign * float(np.median(table.to_numpy()))
        alone = f"Only {only} was run (median {seen.metric} {value:.4g} after {seen.budget}, {seen.repeats})."
        return Verdict((alone, "There is nothing to compare it with."))
    if bool(table.eq(table.iloc[:, 0], axis=0).all(axis=None)):
        same = f"All methods have the same {seen.metric} after {seen.budget} in every one of {seen.repeats}."
        return Verdict((same,), level_with=tuple(str(name) for name in table.columns))
    return None


def _who_is_ahead(seen: _Seen, leader: str, ahead: Sequence[str], of_leader: pd.DataFrame) -> str:
    nearest = ahead[0]
    low, high = _interval(seen, leader, nearest, seen.alpha)
    between = "" if np.isnan(low) else f", {100 * (1 - seen.alpha):g} % interval {low:.3g} to {high:.3g}"
    p = float(of_leader.loc[list(ahead), "p_holm"].max())
    difference = float(of_leader["difference"].to_numpy()[list(of_leader.index).index(nearest)])
    than = f" than {nearest}" if len(ahead) > 1 else ""
    return (
        f"{leader} is ahead of {_listed(ahead)} after {seen.budget}: its {seen.metric} is {seen.better}{than} by "
        f"{difference:.3g} in the median pair{between} "
        f"({seen.repeats}, p ≤ {p:.2g} after Holm's correction)."
    )


def _what_is_saved(seen: _Seen, saved: pd.DataFrame, leader: str, against: str) -> list[str]:
    rows = saved[saved["method"] == leader]
    if len(rows) > 1:
        share = float(rows["ratio"].quantile(0.5, interpolation="higher"))
        if share <= 1:
            return [
                f"In half of the problems it reaches what {against} has then with at most {share:.0%} of the budget."
            ]
        return []
    row = rows.iloc[0]
    if not row["ratio"] <= 1:
        return []
    at = row["budget"] / row["ratio"]
    ends = [f"{at * row[end]:.3g}" if np.isfinite(row[end]) else "never" for end in ("ratio_low", "ratio_high")]
    between = "" if np.isnan(row["ratio_low"]) else f" ({100 * (1 - seen.alpha):g} % interval {ends[0]} to {ends[1]})"
    return [f"It reaches after {row['budget']:.3g} {seen.unit}{between} what {against} has after {seen.budget}."]


def _what_cannot_be_told(seen: _Seen, leader: str, level: Sequence[str], needed: int | None) -> str:
    least = fewest_repeats(seen.alpha, seen.n_pairs)
    start = f"Cannot tell {leader} from {_listed(level)} after {seen.budget} with {seen.repeats}"
    if needed is None and seen.n_repeats < least:
        return f"{start}, too few to say how many it would take: at least {least}."
    if needed is None:
        return f"{start}, and nothing points either way between {leader} and {level[0]}."
    if needed <= seen.n_repeats:
        return f"{start}; what was seen is at the edge of what so many can show."
    pair = f"{leader} and {level[0]}"
    return f"{start}; about {_rounded(needed)} would be needed for {pair}, if they differ as they seem to."


def _largest_difference(seen: _Seen) -> str:
    pairs = combinations([str(name) for name in seen.table.columns], 2)
    bounds = [abs(end) for one, other in pairs for end in _interval(seen, one, other, seen.alpha / seen.n_pairs)]
    return (
        f"No two methods differ by more than {max(bounds):.3g} of {seen.metric} in the median pair "
        f"(at {100 * (1 - seen.alpha):g} %, all pairs together)."
    )


def _scope(seen: _Seen) -> str:
    if seen.n_repeats == 1 and seen.n_problems == 1:
        return "Which one came out best in a single repeat may be luck."
    if seen.n_problems == 1:
        return "This holds for this problem and this budget; the repeats speak for other seeds, not for other problems."
    return "This holds for these problems and this budget; the repeats speak for other seeds, not for other problems."


def _needed(seen: _Seen, leader: str, other: str) -> int | None:
    n_blocks = repeats_needed(paired_differences(seen.table, leader, other), seen.alpha, n_tests=seen.n_pairs)
    return None if n_blocks is None else -(-n_blocks // seen.n_problems)


def _interval(seen: _Seen, one: str, other: str, alpha: float) -> tuple[float, float]:
    """Of the median paired difference; a failed run counts as bad as the worst finite one."""
    values = seen.table.to_numpy()
    worst = float(values[np.isfinite(values)].max())
    found = paired_differences(seen.table.clip(upper=worst), one, other)
    drawn = np.median(found[resamples(seen.problems, seed=0)], axis=1)
    return expanded_interval(drawn, seen.n_repeats, 1 - alpha, seen.n_problems)


def _rounded(n: int) -> str:
    """To two digits: it is a guess."""
    return f"{int(float(f'{n:.2g}')):,}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
