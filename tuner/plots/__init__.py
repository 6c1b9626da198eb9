"""Figures of a study, for a notebook and for the explorer: a table of tuner.analysis, drawn.

The functions of tuner.plots.notebook are here too, and are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.plots.notebook import (
        plot_best_so_far,
        plot_curves,
        plot_dynamics,
        plot_gaps,
        plot_importances,
        plot_parallel_coordinates,
        plot_rungs,
        plot_slices,
        plot_timeline,
    )

__all__ = [
    "plot_best_so_far",
    "plot_curves",
    "plot_dynamics",
    "plot_gaps",
    "plot_importances",
    "plot_parallel_coordinates",
    "plot_rungs",
    "plot_slices",
    "plot_timeline",
]


def __getattr__(name: str) -> Any:
    """Load a function when it is first used (PEP 562): the explorer's pages need one figure each."""
    if name not in __all__:
        raise AttributeError(f"module 'tuner.plots' has no attribute {name!r}")
    from tuner.plots import notebook

    return getattr(notebook, name)


def __dir__() -> list[str]:
    return list(__all__)
