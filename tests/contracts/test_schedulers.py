"""Every scheduler that a spec can name keeps the contract."""

import pytest
from schedulers import check_scheduler

from tuner.schedule import make_scheduler
from tuner.spec import ASHA, Hyperband, Median, NoScheduler

SPECS = [
    NoScheduler(max_resource=5),
    Median(max_resource=6, min_trials=2),
    Median(min_resource=3, max_resource=9),
    ASHA(max_resource=9),
    ASHA(max_resource=7, reduction_factor=2),
    ASHA(type="stop", max_resource=9),
    ASHA(min_resource=4, max_resource=4),
    Hyperband(max_resource=9),
    Hyperband(max_resource=10, reduction_factor=2, type="stop"),
]


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_contract(spec):
    check_scheduler(lambda: make_scheduler(spec))


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_an_unknown_trial_is_an_error(spec):
    scheduler = make_scheduler(spec)
    for call in (
        lambda: scheduler.on_report(3, 1, 0.0),
        lambda: scheduler.on_failure(3),
        lambda: scheduler.on_finish(3),
        lambda: scheduler.rungs(3),
    ):
        with pytest.raises(KeyError):
            call()
    scheduler.start(3)
    with pytest.raises(ValueError, match="started before"):
        scheduler.start(3)
    with pytest.raises(ValueError, match="not paused"):
        scheduler.promote(3)
