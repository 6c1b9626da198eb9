"""English text that comes with Python: the help topics of `pydoc`, as numbers of characters.

The topics quote one another: `compound` holds whole the texts of `while` and `with`. Cut by position, such a text would
have much of its validation part in its training part. So every paragraph is kept only where it stands first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from tuner.errors import DataError

Codes = np.ndarray[Any, np.dtype[np.uint8]]

TRAIN_SHARE = 0.9
N_SYMBOLS = 96
"""The commonest characters of the training part, and one symbol, the last, for all others. A fixed number, though the
text depends on Python's version: models keep their shape."""
UNKNOWN = N_SYMBOLS - 1


@cache
def help_text() -> str:
    """All help topics, one after another, each paragraph once. Raises DataError where Python came without them."""
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            f"this Python has no pydoc_data.topics: {error}",
            hint="It belongs to the standard library: install the whole of it (some systems package it apart).",
        ) from error
    return "\n\n".join(without_repeats(paragraph for topic in topics.values() for paragraph in topic.split("\n\n")))


def without_repeats(paragraphs: Iterable[str]) -> list[str]:
    """The paragraphs, each where it stands first; indentation and line breaks make no difference between two."""
    seen: dict[str, str] = {}
    for paragraph in paragraphs:
        words = " ".join(paragraph.split())
        if words:
            seen.setdefault(words, paragraph.strip("\n"))
    return list(seen.values())


def symbols(text: str) -> str:
    """The N_SYMBOLS - 1 commonest characters of `text` (or all, if there are fewer), commonest first."""
    counts = Counter(text)
    return "".join(sorted(counts, key=lambda character: (-counts[character], character))[:UNKNOWN])


def encode(text: str, known: str) -> Codes:
    """The place of each character of `text` in `known`; UNKNOWN for those that are not in it. Shape (characters,)."""
    places = {character: place for place, character in enumerate(known)}
    return np.fromiter((places.get(character, UNKNOWN) for character in text), np.uint8, len(text))


@cache
def training_and_validation() -> tuple[Codes, Codes]:
    """The first nine tenths of the text and the rest, encoded with the symbols of the first part alone."""
    text = help_text()
    cut = int(TRAIN_SHARE * len(text))
    known = symbols(text[:cut])
    parts = encode(text[:cut], known), encode(text[cut:], known)
    for part in parts:
        part.setflags(write=False)  # they are shared by everything in this process
    return parts
