"""What a comparison of search methods shows: typed tables, tests over paired repeats, and a verdict in words.

Pure functions of `Run`s. A table is a pandas DataFrame whose columns its function documents.
"""

from tuner.analysis.comparison.incumbent import Rule, incumbent, incumbent_curve, incumbents
from tuner.analysis.comparison.power import fewest_repeats, repeats_needed
from tuner.analysis.comparison.ranks import (
    Friedman,
    average_ranks,
    blocks,
    critical_difference,
    friedman,
    indistinguishable,
)
from tuner.analysis.comparison.regret import Scale, regret_frame, regret_table, scales
from tuner.analysis.comparison.signed_rank import holm, pairwise_table, signed_rank_p
from tuner.analysis.comparison.target import first_reach, reach_frame, reach_table, savings
from tuner.analysis.comparison.trace import Axis, Run, Trace
from tuner.analysis.comparison.verdict import Verdict, verdict

__all__ = [
    "Axis",
    "Friedman",
    "Rule",
    "Run",
    "Scale",
    "Trace",
    "Verdict",
    "average_ranks",
    "blocks",
    "critical_difference",
    "fewest_repeats",
    "first_reach",
    "friedman",
    "holm",
    "incumbent",
    "incumbent_curve",
    "incumbents",
    "indistinguishable",
    "pairwise_table",
    "reach_frame",
    "reach_table",
    "regret_frame",
    "regret_table",
    "repeats_needed",
    "savings",
    "scales",
    "signed_rank_p",
    "verdict",
]
