"""Being built."""


def page() -> None:
    """The page."""
