"""The resources at which trials are judged."""

from __future__ import annotations


def rung_resources(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
    """min_resource * reduction_factor^k (r·η^k) while below max_resource, and max_resource as the last.

    By integer multiplication: the logarithm of the papers loses a rung to rounding, as log(243, 3) = 4.999... does.
    """
    if not 1 <= min_resource <= max_resource:
        raise ValueError(f"1 <= min_resource <= max_resource is needed, got {min_resource} and {max_resource}")
    if reduction_factor < 2:
        raise ValueError(f"reduction_factor must be at least 2, got {reduction_factor}")
    rungs = []
    resource = min_resource
    while resource < max_resource:
        rungs.append(resource)
        resource *= reduction_factor
    return (*rungs, max_resource)
