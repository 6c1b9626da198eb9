"""Checkpoint files that nothing refers to any more."""

from __future__ import annotations

from tuner.workflows.sweeping import left_over

NAMES = [
    ".study",
    "0/000000001-000.ckpt",
    "0/000000002-000.ckpt",
    "0/.000000003-001.ckpt.12.0aff.tmp",
    "0/log.txt",
    "0/best.ckpt",
    "0/mine/000000001-000.ckpt",
    "notes/000000001-000.ckpt",
    "17/1000000001-1000.ckpt",
]


def test_what_is_kept_and_what_is_not_ours_stays():
    assert left_over(NAMES, {"0/000000002-000.ckpt"}) == ["0/000000001-000.ckpt", "0/.000000003-001.ckpt.12.0aff.tmp"]


def test_of_a_long_trial_with_many_segments_too():
    assert left_over(["17/000000001-1000.ckpt"], set()) == ["17/000000001-1000.ckpt"]
