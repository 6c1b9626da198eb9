"""Recording a CUDA graph in a process that has recorded others before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def recorded_into(graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream) -> Iterator[None]:
    """What is launched meanwhile is recorded, not run.

    Freeing an older graph is no operation that a stream may be asked for while it records: it breaks the recording. A
    trainer's graphs are in cycles with their run, so the garbage collector has to wait.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with torch.cuda.graph(graph, stream=stream):
            yield
    finally:
        if collects:
            gc.enable()
