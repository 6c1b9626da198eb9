"""One contract for every place where files can be: a folder, an object store."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tuner.errors import CheckpointError
from tuner.storage import LocalFolder, ObjectStore, open_storage
from tuner.training.checkpoint import get, put


@pytest.fixture(params=["folder", "s3_url", "given_s3_url"])
def storage(request, tmp_path):
    return open_storage(tmp_path / "a b" if request.param == "folder" else request.getfixturevalue(request.param))


def test_files_come_back_as_they_were_written(storage):
    assert storage.names() == []
    files = {"0/a.ckpt": b"one", "0/deep/er.txt": b"", "1/log.txt": "größer\n".encode(), "10/x": b"ten"}
    for name, data in files.items():
        storage.write(name, data)
    storage.write("0/a.ckpt", b"two")
    assert storage.names() == sorted(files)
    assert storage.names("0") == ["0/a.ckpt", "0/deep/er.txt"]
    assert storage.names("1") == ["1/log.txt"], "not what begins alike"
    assert storage.names("nothing") == []
    assert {name: storage.read(name) for name in files} == files | {"0/a.ckpt": b"two"}


def test_what_is_not_there(storage):
    with pytest.raises(FileNotFoundError):
        storage.read("0/none")
    storage.remove("0/none")
    storage.write("0/some", b"x")
    storage.remove("0/some")
    assert storage.names() == []
    with pytest.raises(FileNotFoundError):
        storage.read("0/some")


def test_all_is_removed_and_nothing_beside(storage):
    place, _, options = str(storage).partition("?")
    beside = ObjectStore(f"{place}-2?{options}") if options else LocalFolder(Path(f"{place}-2"))
    for place in (storage, beside):
        place.write("0/a", b"a")
    storage.clear()
    assert storage.names() == []
    assert beside.names() == ["0/a"]
    beside.clear()


def test_large_files_and_many(storage):
    data = np.random.default_rng(0).bytes(11 << 20)  # more than one part of an upload
    storage.write("0/large", data)
    assert storage.read("0/large") == data
    for n in range(30):
        storage.write(f"1/{n:02d}", b"%d" % n)
    assert storage.names("1") == [f"1/{n:02d}" for n in range(30)]


def test_a_reader_sees_the_old_or_the_new_never_a_part(storage):
    blocks = [bytes([n]) * 300_000 for n in range(6)]
    storage.write("0/state", blocks[0])
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            data = storage.read("0/state")
            seen.add((len(data), len(set(data))))

    reader = threading.Thread(target=read)
    reader.start()
    for block in blocks:
        storage.write("0/state", block)
    done.set()
    reader.join()
    assert seen == {(300_000, 1)}


def test_reading_is_one_request_and_so_is_writing_what_is_small(s3, s3_url):
    storage = open_storage(s3_url)
    storage.write("0/state", bytes(3_000_000))
    assert [request.partition(" ")[0] for request in s3.requests] == ["PUT"]
    s3.requests.clear()
    assert storage.read("0/state") == bytes(3_000_000)
    assert [request.partition(" ")[0] for request in s3.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize("part", [1, 2, 3])
def test_an_upload_that_is_cut_off_leaves_what_was_there(s3, s3_url, part):
    storage = open_storage(s3_url)
    storage.write("0/state", b"old")
    s3.refusing_part = part
    with pytest.raises(OSError, match="ACCESS_DENIED"):
        storage.write("0/state", bytes(25 << 20))
    assert storage.read("0/state") == b"old"
    assert storage.names() == ["0/state"]


def test_a_value_that_another_process_can_use(storage):
    assert pickle.loads(pickle.dumps(storage)) == storage
    program = "import pickle, sys; pickle.loads(sys.stdin.buffer.read()).write('from/there', b'hello')"
    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(storage), check=True, timeout=60)
    assert storage.read("from/there") == b"hello"


def test_checkpoints_are_whole_or_are_told(storage):
    size, sha256 = put({"w": np.arange(5), "epoch": 3}, storage, "3/state.ckpt")
    state = get(storage, "3/state.ckpt", sha256, size)
    assert state["epoch"] == 3
    assert state["w"].tolist() == [0, 1, 2, 3, 4]
    data = storage.read("3/state.ckpt")
    storage.write("3/state.ckpt", data[:-1])
    with pytest.raises(CheckpointError, match=f"3/state.ckpt.* is damaged: {size - 1} bytes instead of {size}"):
        get(storage, "3/state.ckpt", sha256, size)
    storage.write("3/state.ckpt", data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="its SHA-256 is not the recorded one"):
        get(storage, "3/state.ckpt", sha256, size)
    storage.remove("3/state.ckpt")
    with pytest.raises(CheckpointError, match=r"cannot read the checkpoint .*3/state.ckpt"):
        get(storage, "3/state.ckpt")
