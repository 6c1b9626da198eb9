"""The disk is full in the middle of a study: trials wait for room, and go on as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest
from workplace import OBJECTIVE, Workplace

PAUSE = ["--set", "fixed.pause=0.05"]

FULL = '''
import errno
import os
from pathlib import Path

_fsync = os.fsync

def fsync(descriptor):
    """What a disk says that has no room: while there is no file `room`, of every checkpoint from the third trial on."""
    if "/2/" in os.readlink(f"/proc/self/fd/{descriptor}") and not Path(HERE, "room").exists():
        Path(HERE, "full").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _fsync(descriptor)

os.fsync = fsync
'''


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    place.tune("run", "spec.yaml", *PAUSE)
    return place.story("demo")


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_checkpoint_waits_for_room(tmp_path, undisturbed, executor):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(f"HERE = {str(tmp_path)!r}\n{FULL}\n{OBJECTIVE}")
    more = ["--set", f"executor={executor}", "--set", "timeouts.report=3"]
    process = place.start("run", "spec.yaml", *PAUSE, *more)
    wait_for(lambda: (tmp_path / "full").exists())
    time.sleep(8.0)  # longer than a report may take
    assert process.poll() is None
    (tmp_path / "room").touch()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    assert "trial 2 waits: " in err
    assert "No space left on device" in err
    assert place.story("demo") == undisturbed
    assert "s for room on the disk" in place.tune("trial", "demo", "2")[0]


def test_checkpoints_leave_the_share_of_the_disk_that_is_not_theirs(tmp_path):
    """More than a billionth of any disk is in use."""
    place = Workplace(tmp_path)
    process = place.start("run", "spec.yaml", "--set", "checkpoint.disk_share=1.0e-9")
    time.sleep(6.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "% of the disk is in use (checkpoint.disk_share: 1e-09)" in err
    assert not list(tmp_path.rglob("*.ckpt"))
    place.tune("resume", "demo", "--set", "checkpoint.disk_share=0.9999")
    assert place.json("show", "demo")["state"] == "finished"


def test_a_disk_that_is_really_full(tmp_path, undisturbed):
    """A small one of its own, for the study's files and its logs; the store is elsewhere."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a disk of one's own takes a user who may mount one")
    try:
        place = Workplace(tmp_path)
        process = place.start("run", "spec.yaml", *PAUSE, "--set", f"storage={disk}")
        wait_for(lambda: (disk / "demo" / "1").exists())
        with suppress(OSError):  # what fitted is there
            (disk / "ballast").write_bytes(bytes(2**20))
        time.sleep(4.0)
        assert process.poll() is None
        (disk / "ballast").unlink()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (out, err)
        assert "waits: " in err
        assert place.story("demo") == undisturbed
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
