"""Seeds as functions of where they are used: no generator is shared, none is global."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *path: int | str) -> int:
    """A seed in [0, 2**63) for the place `path` under `seed`; the same on every machine and in every process.

    Distinct paths give independent seeds (BLAKE2b), so that `derive_seed(0, "ask", 7)` owes nothing to the seventh
    draw of anything.
    """
    text = "/".join([str(seed), *(f"{type(part).__name__}:{part}" for part in path)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
