"""Figures of a study, for a notebook and for the explorer: a table of tuner.analysis, drawn."""
