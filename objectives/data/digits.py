"""The digits that come with scikit-learn (Alpaydin & Kaynak 1998, UCI): 1,797 images of 8 x 8 pixels from 0 to 16.

They are split once and for all, each digit in the same proportion: 60 % train, 20 % choose, 20 % are the test.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from tuner.training.splits import stratified

Images = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.int64]]

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def training_digits() -> tuple[Images, Labels]:
    """The images that train (uint8, n x 8 x 8) and their labels (int64, n)."""
    return _parts()["train"]


def validation_digits() -> tuple[Images, Labels]:
    """The images that choose, and their labels."""
    return _parts()["validation"]


def test_digits() -> tuple[Images, Labels]:
    """The test images and labels. For a final evaluation, once; nothing that chooses may call this."""
    return _parts()["test"]


@cache
def _parts() -> dict[str, tuple[Images, Labels]]:
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    parts = zip(SHARES, stratified(torch.from_numpy(labels), tuple(SHARES.values()), seed=0), strict=True)
    return {name: (images[rows.numpy()], labels[rows.numpy()]) for name, rows in parts}
