"""SplitMix64: random numbers as a pure function of a state and an index, the same on every device.

The n-th number of the state s is mix((s + n) · GAMMA) in 64 bits that wrap (Steele, Lea & Flood 2014, "Fast splittable
pseudorandom number generators"; the finaliser mix is Stafford's Mix13). Whole numbers alone: no device, compiler or
batching rounds them, and no generator has to be seeded or kept. In the paper the state is s · GAMMA. Here index and
state are added first: torch.compile would take the product of an index and a constant for an address, in 32 bits.
"""

from __future__ import annotations

from torch import Tensor

GAMMA = 0x9E3779B97F4A7C15 - 2**64
"""The paper's golden gamma, 2**64 / golden ratio made odd, as a signed 64-bit number."""
FIRST, SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
"""The finaliser's factors, as signed 64-bit numbers."""


def number(state: int, n: int) -> int:
    """The `n`-th number of `state` (any two whole numbers): signed, as torch's int64 has it."""
    z = (state + n) * GAMMA % 2**64
    z = (z ^ (z >> 30)) * FIRST % 2**64
    z = (z ^ (z >> 27)) * SECOND % 2**64
    z ^= z >> 31
    return z - 2**64 if z >= 2**63 else z


def numbers(state: Tensor, n: Tensor) -> Tensor:
    """The same of int64 tensors, broadcast against each other."""
    z = high_numbers(state, n)
    return z ^ ((z >> 31) & (2**33 - 1))


def high_numbers(state: Tensor, n: Tensor) -> Tensor:
    """`numbers` without the finaliser's last xor, which leaves the 31 highest bits as they are."""
    z = (state + n).mul_(GAMMA)
    high = z >> 30
    z.bitwise_xor_(high.bitwise_and_(2**34 - 1)).mul_(FIRST)  # >> repeats the sign: the mask makes it a zero
    high = z >> 27
    return z.bitwise_xor_(high.bitwise_and_(2**37 - 1)).mul_(SECOND)
