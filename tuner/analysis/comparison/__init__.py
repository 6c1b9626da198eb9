"""What a comparison of search methods shows: typed tables, tests over paired repeats, and a verdict in words.

Pure functions of `Run`s. A table is a pandas DataFrame whose columns its function documents.
"""

from tuner.analysis.comparison.trace import Axis, Run, Trace

__all__ = ["Axis", "Run", "Trace"]
