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

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as read_arrays

from tuner.errors import CheckpointError, UserMistake
from tuner.storage import LocalFolder, Storage

if TYPE_CHECKING:
    import torch

Arrays = dict[str, np.ndarray[Any, Any]]

FORMAT = "tuner-checkpoint-1"
PLAIN_DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
"""What every version of safetensors stores under its own name; arrays of other dtypes are stored as their bytes."""


def save(state: Mapping[str, Any], path: Path) -> tuple[int, str]:
    """`put`, for a file."""
    return put(state, LocalFolder(path.parent), path.name)


def load(path: Path, sha256: str | None = None, size: int | None = None) -> dict[str, Any]:
    """`get`, for a file."""
    return get(LocalFolder(path.parent), path.name, sha256, size)


def put(state: Mapping[str, Any], storage: Storage, name: str) -> tuple[int, str]:
    """Write `state` as the file `name` at once or not at all; returns the file's size in bytes and its SHA-256.

    Raises UserMistake, with the place in `state`, for a value that cannot be kept, and OSError when the disk or the
    network refuses: in both cases what stood there still does. CheckpointError is left to `get`.
    """
    parts = _parts(state)
    try:
        storage.write(name, parts)
    except OSError as error:
        why = f"cannot write the checkpoint: {error.strerror or error}"
        raise OSError(error.errno, why, storage.path(name)) from error
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return sum(len(part) for part in parts), digest.hexdigest()


def get(storage: Storage, name: str, sha256: str | None = None, size: int | None = None) -> dict[str, Any]:
    """The state that `put` wrote. Raises CheckpointError if the file is missing, cut short or not what it was.

    A cut is always noticed; a changed byte inside an array only where `sha256` is given.
    """
    what = f"the checkpoint {storage.path(name)}"
    try:
        data = storage.read(name)
    except OSError as error:
        raise CheckpointError(f"cannot read {what}: {error.strerror or error}") from error
    if size is not None and len(data) != size:
        raise CheckpointError(f"{what} is damaged: {len(data)} bytes instead of {size}")
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"{what} is damaged: its SHA-256 is not the recorded one")
    return unpack(data, what)


def pack(state: Mapping[str, Any]) -> bytes:
    """`state` as the bytes of a checkpoint. Raises UserMistake, with the place in `state`, for what cannot be kept."""
    return b"".join(_parts(state))


def _parts(state: Mapping[str, Any]) -> list[memoryview]:
    """The same in pieces: a header, then each array where it is in memory.

    safetensors' own `save` would copy the arrays, and hold Python's lock for it while a lane trains beside its writers.
    """
    arrays: Arrays = {}
    try:
        structure = json.dumps(_encode(state, "state", arrays), allow_nan=False)
    except RecursionError:
        raise _refused("state", "a structure that is nested this deeply, or holds itself") from None
    entries: dict[str, Any] = {"__metadata__": {"format": FORMAT, "structure": structure}}
    first = 0
    stored = sorted(arrays.items(), key=lambda item: -item[1].itemsize)  # so that each is aligned
    for name, array in stored:
        offsets = [first, first + array.nbytes]
        entries[name] = {"dtype": PLAIN_DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": offsets}
        first += array.nbytes
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    contents = [array.reshape(-1).view(np.uint8).data for _, array in stored if array.nbytes]
    return [memoryview(len(header).to_bytes(8, "little") + header), *contents]


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
    if tensor.device.type != "cpu" or not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    tensor = tensor.detach()
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
