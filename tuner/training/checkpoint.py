"""Checkpoints: nested JSON values, arrays, tensors and bytes in one safetensors file, written atomically.

What is kept, exactly: None, bool, int, float (NaN and infinities too), str, bytes, lists, tuples, dicts whose keys are
strings or integers (a torch optimizer's state_dict has such), NumPy arrays of numbers or booleans, and dense torch
tensors of every dtype. NumPy scalars become Python numbers, tensors come back on the CPU, tensors that share memory
come back as separate copies, dict subclasses as dicts. Everything else is refused: an objective that needs a pickle
keeps it as bytes, opens it itself, and knows what that means.

Layout: every array is one entry of the file; the structure around them is JSON in its metadata, where an object always
has a single key that says what it is. Loading parses JSON and copies bytes: nothing in a file is ever executed.
torch is imported only for states that hold tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as read_arrays
from safetensors.numpy import save as write_arrays

from tuner.errors import CheckpointError, UserMistake

if TYPE_CHECKING:
    import torch

Arrays = dict[str, np.ndarray[Any, Any]]

FORMAT = "tuner-checkpoint-1"
PLAIN_DTYPES = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"})
"""What every version of safetensors stores under its own name; arrays of other dtypes are stored as their bytes."""


def save(state: Mapping[str, Any], path: Path) -> tuple[int, str]:
    """Write `state` to `path` at once or not at all; returns the file's size in bytes and its SHA-256.

    Raises UserMistake, with the place in `state`, for a value that cannot be kept, and OSError when the disk refuses:
    in both cases what stood at `path` still does. CheckpointError is left to `load`.
    """
    data = pack(state)
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OSError(error.errno, f"cannot write the checkpoint: {error.strerror or error}", str(path)) from error
    return len(data), hashlib.sha256(data).hexdigest()


def load(path: Path, sha256: str | None = None, size: int | None = None) -> dict[str, Any]:
    """The state that `save` wrote. Raises CheckpointError if the file is missing, cut short or not what it was.

    A cut is always noticed; a changed byte inside an array only where `sha256` is given.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    if size is not None and len(data) != size:
        raise CheckpointError(f"the checkpoint {path} is damaged: {len(data)} bytes instead of {size}")
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"the checkpoint {path} is damaged: its SHA-256 is not the recorded one")
    return unpack(data, f"the checkpoint {path}")


def pack(state: Mapping[str, Any]) -> bytes:
    """`state` as the bytes of a checkpoint. Raises UserMistake, with the place in `state`, for what cannot be kept."""
    arrays: Arrays = {}
    try:
        structure = json.dumps(_encode(state, "state", arrays), allow_nan=False)
    except RecursionError:
        raise _refused("state", "a structure that is nested this deeply, or holds itself") from None
    data: bytes = write_arrays(arrays, metadata={"format": FORMAT, "structure": structure})
    return data


def unpack(data: bytes, what: str = "the checkpoint") -> dict[str, Any]:
    """The state that `pack` was given. Raises CheckpointError, which calls the data `what`."""
    try:
        arrays = read_arrays(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        if metadata["format"] != FORMAT:
            raise CheckpointError(f"{what} has the format {metadata['format']!r}, not {FORMAT!r}")
        state = _decode(json.loads(metadata["structure"]), arrays)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{what} is damaged, or none of ours: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{what} is none of ours: it holds a {type(state).__name__}")
    return state


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that any crash leaves the old file or the new one, whole. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and a rename needs no sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(value: Any, place: str, arrays: Arrays) -> Any:
    if isinstance(value, np.generic) and value.dtype.name in PLAIN_DTYPES:
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": _keep(np.frombuffer(value, np.uint8), arrays)}
    if isinstance(value, Mapping):
        pairs = [(_key(key, place), _encode(item, f"{place}[{key!r}]", arrays)) for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{place}[{index}]", arrays) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, np.ndarray):
        return {"array": _encode_array(value, place, arrays)}
    if "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
        return {"tensor": _encode_tensor(value, place, arrays)}
    raise _refused(place, f"a {type(value).__module__}.{type(value).__qualname__}")


def _refused(place: str, what: str) -> UserMistake:
    return UserMistake(
        f"a checkpoint cannot keep {what} ({place})",
        hint="It keeps JSON values, NumPy arrays, torch tensors and bytes, in dicts, lists and tuples.",
    )


def _key(key: Any, place: str) -> str | int:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise _refused(place, f"a dict with the key {key!r}: keys must be strings or integers, and this")
    return str(key) if isinstance(key, str) else int(key)


def _keep(array: np.ndarray[Any, Any], arrays: Arrays) -> str:
    name = str(len(arrays))
    arrays[name] = array
    return name


def _encode_array(array: np.ndarray[Any, Any], place: str, arrays: Arrays) -> dict[str, Any]:
    if array.dtype.kind not in "biufc" or array.dtype.char in "gG":  # long doubles differ between machines
        raise _refused(place, f"a NumPy array of {array.dtype}")
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)
    stored = array if array.dtype.name in PLAIN_DTYPES else array.reshape(-1).view(np.uint8)
    return {"name": _keep(stored, arrays), "dtype": array.dtype.name, "shape": list(array.shape)}


def _encode_tensor(tensor: torch.Tensor, place: str, arrays: Arrays) -> dict[str, Any]:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        raise _refused(place, f"a torch tensor that is not dense ({tensor.layout}, {tensor.dtype}, {tensor.device})")
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    dtype = str(tensor.dtype).removeprefix("torch.")
    # Bytes by way of uint8: NumPy has no bfloat16, nor the 8-bit floats.
    stored = tensor.numpy() if dtype in PLAIN_DTYPES else tensor.reshape(-1).view(torch.uint8).numpy()
    return {"name": _keep(stored, arrays), "dtype": dtype, "shape": list(tensor.shape)}


def _decode(node: Any, arrays: Arrays) -> Any:
    if isinstance(node, list):
        return [_decode(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, body),) = node.items()
    match kind:
        case "dict":
            return {key: _decode(item, arrays) for key, item in body}
        case "tuple":
            return tuple(_decode(item, arrays) for item in body)
        case "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[body]
        case "bytes":
            return arrays[body].tobytes()
        case "array":
            return _decode_array(body, arrays)
        case "tensor":
            return _decode_tensor(body, arrays)
    raise ValueError(f"unknown kind {kind!r}")


def _decode_array(body: dict[str, Any], arrays: Arrays) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = arrays[body["name"]].copy().reshape(-1).view(np.dtype(body["dtype"]))
    return array.reshape(body["shape"])


def _decode_tensor(body: dict[str, Any], arrays: Arrays) -> torch.Tensor:
    import torch

    dtype = getattr(torch, body["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"unknown dtype {body['dtype']!r}")
    flat = torch.from_numpy(arrays[body["name"]].copy().reshape(-1))
    return (flat if flat.dtype == dtype else flat.view(dtype)).reshape(body["shape"])
