"""The garbage collector waits while a CUDA graph is recorded, and no longer."""

import gc
from contextlib import contextmanager

import pytest
import torch

from tuner.training.recording import recorded_into


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_waits_and_is_as_it_was(monkeypatch, collects):
    @contextmanager
    def recording(graph, stream):
        assert (graph, stream) == ("graph", "stream")
        yield

    monkeypatch.setattr(torch.cuda, "graph", recording)
    if not collects:
        gc.disable()
    try:
        with recorded_into("graph", "stream"):
            assert not gc.isenabled()
        assert gc.isenabled() == collects
        with pytest.raises(ZeroDivisionError), recorded_into("graph", "stream"):
            1 / 0  # noqa: B018  (a step that fails)
        assert gc.isenabled() == collects
    finally:
        gc.enable()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_older_graph_that_is_garbage_does_not_break_a_recording():
    values, stream = torch.zeros(8, device="cuda"), torch.cuda.Stream()
    cycle = {}
    cycle["itself"], cycle["graph"] = cycle, torch.cuda.CUDAGraph()
    with recorded_into(cycle["graph"], stream):
        values.add_(1)
    del cycle
    graph = torch.cuda.CUDAGraph()
    with recorded_into(graph, stream):
        values.add_(1)
        made = [[] for _ in range(100_000)]  # enough for the collector to look
        for one in made:
            one.append(one)
    graph.replay()
    torch.cuda.synchronize()
    assert values.tolist() == [1.0] * 8
