"""Checkpoints: what goes in comes out; what is damaged or cannot be kept is told."""

import contextlib
import enum
import json
import math
import os
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tuner.errors import CheckpointError, UserMistake
from tuner.training import checkpoint
from tuner.training.checkpoint import load, save


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.Tensor):
        bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b)]
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*bits)
    return repr(a) == repr(b)


def back(state, tmp_path, **how):
    size, sha256 = save(state, tmp_path / "state")
    return load(tmp_path / "state", sha256, size)


dtypes = st.sampled_from(["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"])
torch_dtypes = st.sampled_from(
    [
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.uint8,
        torch.bool,
        torch.complex64,
        torch.float8_e4m3fn,
    ]
)
shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
tensors = st.builds(lambda dtype, shape: (torch.rand(shape) * 4).to(dtype), torch_dtypes, shapes)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
leaves = scalars | arrays.arrays(dtypes, shapes) | tensors
keys = st.text() | st.integers()
states = st.dictionaries(
    st.text(),
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | st.tuples(inner, inner),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(states)
def test_round_trip(tmp_path_factory, state):
    assert same(back(state, tmp_path_factory.getbasetemp()), state)


def test_shared_strided_and_attached_tensors(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    parameter = torch.nn.Parameter(base)
    state = back(
        {"a": base, "b": base, "t": base.t(), "row": base[1], "p": parameter, "c": torch.tensor([1 + 2j]).conj()},
        tmp_path,
    )
    assert torch.equal(state["t"], base.t())
    assert torch.equal(state["row"], base[1])
    assert type(state["p"]) is torch.Tensor
    assert not state["p"].requires_grad
    assert state["c"].tolist() == [1 - 2j]
    state["a"].zero_()  # copies, and writable
    assert torch.equal(state["b"], base)


def test_a_torch_optimizers_state_survives(tmp_path):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    other = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    other.load_state_dict(back({"optimizer": optimizer.state_dict()}, tmp_path)["optimizer"])
    assert same(other.state_dict(), optimizer.state_dict())


def test_subclasses_become_what_they_are_subclasses_of(tmp_path):
    class Colour(enum.IntEnum):
        RED = 1

    state = back(
        {"a": np.float64(0.5), "b": np.int32(3), "c": np.bool_(True), "d": Colour.RED, "e": np.float32("nan")}, tmp_path
    )
    assert [type(value) for value in state.values()] == [float, int, bool, int, float]
    assert math.isnan(state["e"])
    assert back({"x": np.arange(3, dtype=">i4")}, tmp_path)["x"].tolist() == [0, 1, 2]
    assert same(back({"view": np.arange(10)[::-2]}, tmp_path)["view"], np.array([9, 7, 5, 3, 1]))


def cyclic():
    items = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        {(1, 2): 3},
        {1.5: 3},
        {True: 3},
        np.array(["text"]),
        np.array([object()]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        torch.empty(2, device="meta"),
        torch.eye(2).to_sparse(),
        cyclic(),
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_kept_is_refused_with_its_place_and_writes_nothing(value, tmp_path):
    with pytest.raises(UserMistake, match="state") as error:
        save({"model": [0, {"part": value}]}, tmp_path / "state")
    assert "bytes" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_every_cut_is_noticed(tmp_path):
    path = tmp_path / "state"
    size, sha256 = save({"a": torch.arange(3.0), "b": [1, b"xyz", math.inf]}, path)
    whole = path.read_bytes()
    assert len(whole) == size
    for length in range(size):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load(path)
        with pytest.raises(CheckpointError, match="damaged"):
            load(path, sha256, size)


def test_every_changed_byte_is_noticed_by_the_sum_and_none_crashes_without_it(tmp_path):
    path = tmp_path / "state"
    size, sha256 = save({"a": np.arange(2), "b": [1, "text", {"c": math.nan}]}, path)
    whole = path.read_bytes()
    generator = random.Random(0)
    for position in range(size):
        path.write_bytes(
            whole[:position] + bytes([whole[position] ^ generator.randrange(1, 256)]) + whole[position + 1 :]
        )
        with pytest.raises(CheckpointError, match="SHA-256"):
            load(path, sha256, size)
        with contextlib.suppress(CheckpointError):
            assert isinstance(load(path), dict)


def test_missing_foreign_and_hostile_files(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(CheckpointError, match="No such file"):
        load(path)
    for content in (b"", b"\x80\x04K\x01.", b"\xff" * 100, (2**40).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load(path)
    from safetensors.numpy import save as write

    for structure in (
        "[]",
        "1",
        '{"dict": [["a", {"tensor": {"name": "0", "dtype": "load", "shape": [1]}}]]}',
        "[" * 100_000,
        '{"eval": "1"}',
    ):
        path.write_bytes(write({"0": np.zeros(1)}, {"format": checkpoint.FORMAT, "structure": structure}))
        with pytest.raises(CheckpointError):
            load(path)
    path.write_bytes(write({"0": np.zeros(1)}, {"format": "another", "structure": "[]"}))
    with pytest.raises(CheckpointError, match="another"):
        load(path)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "state"
    save({"a": 1}, path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write the checkpoint: No space left on device: '.*state'"):
        save({"a": 2}, path)
    monkeypatch.undo()
    assert load(path) == {"a": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["state"]


def test_a_disk_that_ends_in_the_middle_of_a_file_is_told_and_leaves_no_litter(tmp_path):
    resource = pytest.importorskip("resource", reason="POSIX only")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="cannot write the checkpoint: File too large"):
            save({"a": np.zeros(10_000)}, tmp_path / "state")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_made_again_and_one_that_cannot_be_is_told(tmp_path):
    save({"a": 1}, tmp_path / "gone" / "deep" / "state")
    assert load(tmp_path / "gone" / "deep" / "state") == {"a": 1}
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "state", tmp_path / "file" / "deep" / "state"):
        with pytest.raises(OSError, match=f"cannot write the checkpoint: .*{path}"):
            save({"a": 1}, path)


def test_the_error_of_a_folder_lost_while_writing_is_the_one_told(tmp_path, monkeypatch):
    def lose(path, missing_ok=False):
        raise OSError(5, "Input/output error")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(type(tmp_path), "unlink", lose)
    with pytest.raises(OSError, match="No space left"):
        save({"a": 1}, tmp_path / "state")


def test_the_file_is_plain_safetensors_with_a_json_structure(tmp_path):
    from safetensors import safe_open

    save({"weight": torch.ones(2, 3), "epoch": 4}, tmp_path / "state")
    with safe_open(tmp_path / "state", framework="np") as file:
        assert file.get_tensor("0").shape == (2, 3)
        assert json.loads(file.metadata()["structure"])["dict"][1] == ["epoch", 4]
