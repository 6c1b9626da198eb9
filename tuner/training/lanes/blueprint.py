"""A model's blueprint: what it computes, apart from its tensors and the rates of its placed dropouts, as a value.

A slot has tensors and rates of its own; two models of one blueprint are one program.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from types import FunctionType

import torch
from torch import nn

from tuner.training.dropout import KINDS, Place

ATOMS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
STATE = frozenset(nn.Module().__dict__)
"""What every module has: tensors, children, hooks and its mode. Lanes look at them by themselves."""

Blueprint = tuple[Hashable, ...]


def blueprint(model: nn.Module) -> Blueprint | None:
    """The model's modules by name, each with its class and its attributes; None where an attribute or a class cannot be
    compared by value: a tensor, a lambda, an object, a class made in a function.
    """
    parts: list[Hashable] = []
    for name, module in model.named_modules(remove_duplicate=False):
        if _importable(type(module)) is None:
            return None
        own = {key: value for key, value in vars(module).items() if key not in STATE}
        if type(module) in KINDS.values():
            del own["p"]
        elif isinstance(module, Place):
            own = {"number": module.number}  # what it draws from at present is the slot's
        found = tuple((key, _value(value)) for key, value in sorted(own.items()))
        if any(value is None for _, value in found):
            return None
        parts.append((name, type(module), found))
    return tuple(parts)


def _value(value: object) -> Hashable | None:
    """`value` with its type, as what can be compared; None if it cannot be."""
    if isinstance(value, ATOMS):
        return type(value), repr(value)
    if isinstance(value, tuple | list | set | frozenset | dict):
        items = value.items() if isinstance(value, dict) else value
        parts = [_value(item) for item in items]
        if isinstance(value, set | frozenset):
            parts.sort(key=repr)
        return None if any(part is None for part in parts) else (type(value), tuple(parts))
    return _importable(value)


def _importable(value: object) -> Hashable | None:
    """A class or function that is the one of its name in its module: then there is one of it."""
    if not isinstance(value, type | FunctionType):
        return None
    found: object = sys.modules.get(value.__module__ or "")
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return value if found is value else None
