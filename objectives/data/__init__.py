"""Data sets for the objectives: fetched, checked, and kept in a cache."""
