"""Comparing methods: the same study at an equal budget, repeated, live or replayed."""
