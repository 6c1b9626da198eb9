"""What every `trial` says of its segment: see tuner.objective.TrialHandle."""

from __future__ import annotations

import math

from tuner.execution._base import Job
from tuner.execution.devices import device_of
from tuner.records import Segment


class OfSegment:
    """The plain facts, for one that trains alone and for one in a lane."""

    def __init__(self, job: Job, segment: Segment, gpus: float) -> None:
        self.number = segment.trial
        self.seed = segment.seed
        self.start = segment.start
        self.until = segment.until
        self.horizon = segment.horizon
        self.unit = job.unit
        self.threads = max(1, int(job.resources.cpus))
        self.device = device_of(gpus)
        self.gpus = math.ceil(gpus)
