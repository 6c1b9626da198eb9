"""Torch's process-wide switches, set for as long as a trial trains, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def cpu_threads(n: int) -> Iterator[None]:
    """Inside, torch computes with `n` CPU threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def gpu_arithmetic(device: torch.device, *, tf32: bool, constant_shapes: bool) -> Iterator[None]:
    """Inside, on a GPU, float32 products use the matrix units' 19-bit format only if `tf32` (torch's own default
    differs between linear layers and convolutions), cudnn measures its algorithms where shapes do not change, and
    products go through cublasLt, whose choice of kernels is the better one for small layers: on an H200 a recorded
    step of the MNIST MLP took 0.18 ms by it, and 0.25 ms by torch's default.
    """
    if device.type != "cuda":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    library = torch.backends.cuda.preferred_blas_library()
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = tf32, tf32, constant_shapes
    torch.backends.cuda.preferred_blas_library("cublaslt")
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
        torch.backends.cuda.preferred_blas_library(library)
