"""What a report says: norms, rates and ratios against their definitions."""

import statistics

import pytest
import torch
from training_runs import ADAMW, SGD, Blobs, Trial, assert_same_state, run

from tuner.training import train

NORMS = ("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max")


def test_dynamics_count_what_they_say():
    free, tight = run({"lr": 0.01}), run({"lr": 0.01, "clip_norm": 1e-4})
    assert {row["clip_rate"] for row in free.metrics} == {0.0}
    assert {row["clip_rate"] for row in tight.metrics} == {1.0}
    for row in free.metrics:
        assert row["grad_norm_p50"] <= row["grad_norm_p90"] <= row["grad_norm_p99"] <= row["grad_norm_max"]
    assert free.metrics[0]["grad_norm_max"] == pytest.approx(tight.metrics[0]["grad_norm_max"], rel=0.5)
    state = free.states[-1]["model"]
    trained = [state[name] for name in ("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias")]
    assert free.metrics[-1]["weight_norm"] == pytest.approx(sum((t.double() ** 2).sum() for t in trained).sqrt().item())


def test_the_update_ratio_is_the_measured_one():
    trial = run({"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "batch_size": 1000}, until=2)
    trained = ("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias")
    first, second = (torch.cat([state["model"][name].flatten() for name in trained]) for state in trial.states)
    expected = ((second - first).norm() / first.norm()).item()
    assert trial.metrics[1]["update_ratio"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("config", "only_measured"),
    [
        (ADAMW, {"update_ratio"}),
        (SGD, {"update_ratio", "clip_rate", "clip_norm_recommended", *NORMS}),
    ],
    ids=["clipped", "unclipped"],
)
def test_measuring_changes_nothing_but_the_report(config, only_measured):
    measured, bare = Trial(2), Trial(2)
    train(Blobs(), config, measured)
    train(Blobs(), config, bare, measure=False)
    for state in (measured.states[-1], bare.states[-1]):
        del state["usual_norms"]
    assert_same_state(measured.states[-1], bare.states[-1])
    assert set(measured.metrics[0]) - set(bare.metrics[0]) == only_measured


def test_a_report_of_a_single_step_has_its_norm():
    trial = run({"batch_size": 8}, until=3, unit="step")
    for metrics in trial.metrics:
        assert metrics["grad_norm_p50"] == metrics["grad_norm_max"] > 0


def test_the_recommended_clip_norm_is_the_geometric_mean_of_the_90th_percentiles():
    reports = run({"batch_size": 32}, until=4).metrics
    for n, report in enumerate(reports, 1):
        expected = statistics.geometric_mean(row["grad_norm_p90"] for row in reports[:n])
        assert report["clip_norm_recommended"] == pytest.approx(expected, rel=1e-12)


def test_the_gap_is_measured_with_dropout_off_on_as_many_rows():
    class Counting(Blobs):
        def __init__(self):
            super().__init__()
            self.seen = []

        def prepare(self, inputs):
            if torch.is_inference_mode_enabled():
                self.seen.append(len(inputs))
            return inputs

    task = Counting()
    trial = run({"lr": 1e-9, "dropout": 0.9}, task=task)
    assert task.seen == [60, 60] * 3
    evaluated = [row["train_eval_loss"] for row in trial.metrics]
    assert max(evaluated) - min(evaluated) < max(r["train_loss"] for r in trial.metrics) - min(evaluated)
