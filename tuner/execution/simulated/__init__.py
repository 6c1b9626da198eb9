"""Workers on a virtual clock, and the curves that they play."""

from tuner.execution.simulated.costs import Costs
from tuner.execution.simulated.curves import Curve, Curves, CurvesSession, curve_of_units
from tuner.execution.simulated.executor import SimulatedExecutor
from tuner.execution.simulated.table import CurveTable, TableInfo, TableSession

__all__ = [
    "Costs",
    "Curve",
    "CurveTable",
    "Curves",
    "CurvesSession",
    "SimulatedExecutor",
    "TableInfo",
    "TableSession",
    "curve_of_units",
]
