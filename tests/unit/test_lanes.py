"""A slot of a lane is the trial that the trainer makes of the same configuration, whoever its neighbours are."""

from functools import partial

import pytest
import torch
from hand_trial import HandTrial
from training_runs import Blobs, assert_same_reports

from objectives.digits import Digits
from tuner.errors import SpecError, StopTrial, TrialFailed
from tuner.records import Decision, FailureKind
from tuner.training import train
from tuner.training.lanes import Lane, group, obstacles
from tuner.training.lanes.fusible import REFUSED
from tuner.training.lanes.slots import Slots
from tuner.training.settings import groups

assert_same = partial(assert_same_reports, absolute=2e-6)
CONFIGS = {
    "adamw": [
        {"lr": 1e-3, "weight_decay": 1e-2, "warmup": 0.1, "schedule": "cosine", "batch_size": 32},
        {"lr": 1e-2, "weight_decay": 0.5, "clip_norm": 0.2, "batch_size": 77, "beta1": 0.8, "beta2": 0.99},
        {"lr": 3e-3, "clip_norm": 1.0, "schedule": "one_cycle", "batch_size": 128, "eps": 1e-4},
    ],
    "adam": [
        {"lr": 1e-3, "weight_decay": 1e-2, "schedule": "step", "batch_size": 50, "label_smoothing": 0.1},
        {"lr": 1e-2, "beta2": 0.9, "batch_size": 128, "label_smoothing": 0.3, "clip_norm": 0.5},
    ],
    "sgd": [
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "schedule": "linear", "batch_size": 64},
        {"lr": 0.05, "momentum": 0.5, "warmup_steps": 5, "batch_size": 100, "clip_norm": 1.0},
    ],
    "rmsprop": [
        {"lr": 1e-3, "momentum": 0.5, "rms_decay": 0.9, "batch_size": 64},
        {"lr": 2e-4, "momentum": 0.9, "weight_decay": 1e-2, "batch_size": 64, "layer_decay": 1.0},
    ],
}
FAILING = {"lr": 1e30, "optimizer": "adamw"}


def fill(width, trials):
    """What becomes of (config, trial) pairs in a lane that is refilled: {id of the trial: error}."""
    lane, waiting, errors = Lane(Digits(), width), list(trials), {}
    while waiting or lane.n_aboard:
        while waiting and lane.n_free > 0:
            lane.place(*waiting.pop(0))
        errors |= {id(ended.trial): ended.error for ended in lane.run_to_boundary()}
    return errors


def alone(config, **segment):
    trial = HandTrial(**segment)
    train(Digits(), config, trial)
    return trial


@pytest.mark.parametrize("optimizer", CONFIGS)
def test_a_slot_is_the_trial_that_is_trained_alone(optimizer):
    """Batch sizes mixed, two slots for up to four trials, so that they are refilled while the other trains."""
    configs = [{**config, "optimizer": optimizer} for config in CONFIGS[optimizer]]
    trials = [(config, HandTrial(3 if k else 5, seed=k)) for k, config in enumerate([*configs, configs[0]])]
    errors = fill(2, trials)
    assert set(errors.values()) == {None}
    for config, trial in trials:
        assert_same(trial.reports, alone(config, until=trial.until, seed=trial.seed).reports)


def test_dropout_has_a_rate_and_a_stream_in_each_slot():
    configs = [{"dropout": rate, "lr": 3e-3, "batch_size": size} for rate, size in [(0.1, 64), (0.5, 50), (0.9, 64)]]
    trials = [(config, HandTrial(2, seed=k)) for k, config in enumerate([*configs, {"dropout": 0.3}])]
    lane = Lane(Digits(), 4)
    for config, trial in trials[:3]:
        lane.place(config, trial)
    lane.run_to_boundary()
    assert len(lane._seating.groups) == 1, "rates are no structure"
    assert set(fill(2, trials).values()) == {None}
    for config, trial in trials:
        assert_same(trial.reports, alone(config, until=2, seed=trial.seed).reports)


def test_a_segment_moves_between_lane_and_trainer_by_its_checkpoint():
    config = {**CONFIGS["adamw"][1], "schedule": "cosine"}
    whole = alone(config, until=6, seed=3)
    first = alone(config, until=2, horizon=6, seed=3)
    second = HandTrial(4, start=2, horizon=6, seed=3, checkpoint=first.kept)
    fill(2, [(config, second), ({**config, "lr": 1e-3, "batch_size": 32}, HandTrial(3, seed=1))])
    third = alone(config, until=6, start=4, horizon=6, seed=3, checkpoint=second.kept)
    assert_same(first.reports | second.reports | third.reports, whole.reports)
    assert third.kept["model"].keys() == whole.kept["model"].keys()


def test_a_slot_that_fails_is_told_so_and_leaves_no_trace_in_its_neighbours():
    config = CONFIGS["adamw"][0]
    failing, fine = HandTrial(3, seed=1), HandTrial(3, seed=0)
    errors = fill(2, [({**FAILING, "batch_size": 50}, failing), (config, fine)])
    with pytest.raises(TrialFailed) as expected:
        alone({**FAILING, "batch_size": 50}, until=3, seed=1)
    assert str(errors[id(failing)]) == str(expected.value)
    assert not failing.reports
    assert_same(fine.reports, alone(config, until=3, seed=0).reports)


def test_a_trial_that_is_told_to_stop_leaves_its_slot():
    class Stopped(HandTrial):
        def report(self, resource, /, **told):
            super().report(resource, **told)
            raise StopTrial

    trial = Stopped(5)
    errors = fill(1, [({}, trial)])
    assert list(trial.reports) == [1]
    assert isinstance(errors[id(trial)], StopTrial)


@pytest.mark.parametrize(
    ("task", "config", "named"),
    [
        (Digits(), {"norm": "batch"}, "running statistics"),
        (Digits(), {"mixup": 0.2}, "mixup is not"),
        (Digits(), {"averaging": "ema"}, "averaging is not"),
        (Digits(), {"precision": "fp16"}, "precision is not"),
        (Digits(), {"ranks": 2}, "ranks"),
        (Blobs(), {}, "running statistics"),
    ],
)
def test_what_a_lane_does_not_have_is_refused_with_its_remedy(task, config, named):
    (obstacle,) = obstacles(task, config)
    assert named in obstacle.what
    assert obstacle.remedy
    if "ranks" not in config:
        with pytest.raises(SpecError, match="cannot be fused"):
            Lane(task, 2).place(config, HandTrial(1))


class Summed(Digits):
    """Its loss is a sum, so that rows cannot be weighed one by one."""

    def loss(self, outputs, targets):
        return torch.nn.functional.cross_entropy(outputs, targets, reduction="sum")


class Drawing(Digits):
    """It draws from a generator that all slots would share."""

    def forward(self, model, inputs, progress):
        return torch.nn.functional.dropout(model(inputs), 0.5, training=progress is not None)


class Branching(Digits):
    """A number decides what is computed."""

    def forward(self, model, inputs, progress):
        outputs = model(inputs)
        return outputs if outputs.sum() > 0 else -outputs


class Remembering(Digits):
    """Its model() leaves something in the task, which all trials share."""

    def model(self, config):
        self.rate = config["lr"]
        return super().model(config)


class Weighted(Digits):
    """Classes count differently, so the loss is no plain mean of the rows'; the rows are sorted by class."""

    def data(self):
        splits = super().data()
        order = splits.train[1].argsort(stable=True)
        return splits._replace(train=tuple(part[order] for part in splits.train))

    def loss(self, outputs, targets):
        weight = torch.arange(1, 11, device=outputs.device).float()
        return torch.nn.functional.cross_entropy(outputs, targets, weight=weight)


class StillDropping(Digits):
    """It draws in evaluation, too."""

    def measures(self, model, inputs, targets):
        for module in model.modules():
            module.training = True
        return super().measures(model, inputs, targets)


def test_what_would_train_something_else_is_found():
    assert "Task.model sets rate" in obstacles(Remembering(), {"lr": 0.1})[0].what
    with pytest.raises(SpecError, match="sets rate"):
        Lane(Remembering(), 2).place({"lr": 0.1}, HandTrial(1))
    assert "mean of its rows" in obstacles(Weighted(), {})[0].what
    assert obstacles(StillDropping(), {"dropout": 0.5})
    assert not obstacles(StillDropping(), {})


def test_the_trial_run_finds_what_settings_do_not_say():
    assert "mean of its rows" in obstacles(Summed(), {})[0].what
    assert "vmap" in obstacles(Branching(), {})[0].what
    assert "nn.Dropout" in obstacles(Drawing(), {})[0].remedy
    assert obstacles(Digits(), {"layers": 2, "norm": "layer", "label_smoothing": 0.1}) == []


def test_structures_and_batch_sizes_share_a_lane_in_groups_and_take_turns():
    configs = [{"width": 16, "batch_size": 32}, {"width": 32, "batch_size": 32}, {"width": 16, "batch_size": 128}]
    trials = [(configs[k % 3], HandTrial(1 + k % 2, seed=k)) for k in range(7)]
    assert set(fill(3, trials).values()) == {None}
    for config, trial in trials:
        assert_same(trial.reports, alone(config, until=trial.until, seed=trial.seed).reports)


def test_a_narrow_lane_takes_structures_one_after_the_other():
    trials = [({"width": 16 * (1 + k % 2)}, HandTrial(1, seed=k)) for k in range(4)]
    assert set(fill(1, trials).values()) == {None}
    assert all(trial.reports for _, trial in trials)


def test_a_lane_is_not_idle_while_one_waits_whose_kind_takes_the_place_of_a_group_that_nobody_is_in():
    lane, (first, second) = Lane(Digits(), 1), (HandTrial(1), HandTrial(1))
    lane.place({"batch_size": 32}, first)
    while lane.n_aboard:
        lane.run_to_boundary()
    assert lane.idle
    lane.place({"batch_size": 64}, second)
    while not lane.idle:
        lane.run_to_boundary()
    assert list(second.reports) == [1]


def test_where_groups_are_compiled_all_have_one_width():
    lane = Lane(Digits(), 512)
    for size in (32, 32, 64):
        lane.place({"batch_size": size}, HandTrial(1))
    seating = lane._seating
    assert [seating._wanted(kind, len(waiting)) for kind, waiting in seating._waiting.items()] == [2, 1]
    seating._compiles = True
    assert [seating._wanted(kind, len(waiting)) for kind, waiting in seating._waiting.items()] == [128, 128]
    for size in (8, 16, 128):
        lane.place({"batch_size": size}, HandTrial(1))
    assert {seating._wanted(kind, len(waiting)) for kind, waiting in seating._waiting.items()} == {64}, (
        "a share for each"
    )


def test_each_trial_is_looked_at_not_only_the_first_of_its_structure():
    lane = Lane(Digits(), 2)
    lane.place({}, HandTrial(1))
    with pytest.raises(SpecError, match="mixup is not fused"):
        lane.place({"mixup": 0.2}, HandTrial(1))


def test_what_is_refused_are_settings_with_their_values_when_off():
    defaults = {name: value for group in groups().values() for name, value in dict(group()).items()}
    assert {name: defaults[name] for name in REFUSED} == REFUSED


class Told(HandTrial):
    """Rests at each report until it is told to go on; `after` says what it is told, and how many rounds later."""

    def __init__(self, until, told, after, **segment):
        super().__init__(until, **segment)
        self.told, self.pending, self.answer, self.after, self.asked = Decision.CONTINUE, False, told, after, 0

    def report(self, resource, /, **told):
        super().report(resource, **told)
        self.pending, self.asked = resource < self.until, self.after

    def round(self):
        self.asked -= 1
        if self.pending and self.asked <= 0:
            self.pending, self.told = False, self.answer


def test_a_slot_rests_until_its_decision_has_come_and_its_neighbours_train_on():
    config = CONFIGS["adamw"][0]
    trials = [Told(3, Decision.CONTINUE, 20, seed=0), Told(3, Decision.STOP, 3, seed=1), HandTrial(4, seed=2)]
    lane, ended = Lane(Digits(), 3), {}
    for trial in trials:
        lane.place(config, trial)
    while lane.n_aboard:
        for one in lane.run_to_boundary():
            ended[one.trial.seed] = one.error, len(ended)
        assert lane.idle is (ended.keys() >= {1, 2} and (trials[0].pending or not lane.n_aboard))
        for trial in trials[:2]:
            trial.round()
    assert [list(trial.reports) for trial in trials] == [[1, 2, 3], [1], [1, 2, 3, 4]]
    assert isinstance(ended[1][0], StopTrial)
    assert ended[0] == (None, 2), "the last to end: it has waited"
    assert_same(trials[0].reports, alone(config, until=3, seed=0).reports)


def test_one_that_waits_for_a_slot_hears_that_it_is_to_stop():
    lane = Lane(Digits(), 8)
    for seed in range(8):
        lane.place({}, HandTrial(1, seed=seed))
    late = Told(1, Decision.STOP, 1)
    lane.place({}, late)
    late.told = Decision.STOP
    (ended,) = [ended for ended in lane.run_to_boundary() if ended.trial is late]
    assert isinstance(ended.error, StopTrial)
    assert not late.reports


def narrow(monkeypatch, most):
    """Memory for groups of at most `most` slots."""
    real = Slots.__init__

    def init(self, run, width, device):
        if width > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(self, run, width, device)

    monkeypatch.setattr(Slots, "__init__", init)


def test_without_memory_a_lane_is_narrower_and_goes_on(monkeypatch):
    narrow(monkeypatch, 3)
    lane, trials = Lane(Digits(), 16), [HandTrial(1, seed=seed) for seed in range(16)]
    for trial in trials:
        lane.place({"batch_size": 64}, trial)
    widths = set()
    while lane.n_aboard:
        lane.run_to_boundary()
        widths |= {each.slots.width for each in lane._seating.groups}
    assert widths == {2}, "16, then halved until a group was to be had"
    assert all(trial.reports for trial in trials)


def test_a_trial_for_which_there_is_no_memory_alone_has_failed(monkeypatch):
    narrow(monkeypatch, 0)
    lane, trial = Lane(Digits(), 4), HandTrial(1)
    lane.place({}, trial)
    (ended,) = lane.run_to_boundary()
    assert ended.error.kind == FailureKind.OUT_OF_MEMORY
    assert lane.n_aboard == 0


def test_without_memory_fewer_rows_are_evaluated_at_a_time(monkeypatch):
    real, tried = group.measures, []

    def measures(module, tensors, inputs, targets):
        tried.append(len(inputs))
        if len(inputs) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(module, tensors, inputs, targets)

    monkeypatch.setattr(group, "measures", measures)
    config, trial = CONFIGS["adamw"][0], HandTrial(2)
    assert set(fill(1, [(config, trial)]).values()) == {None}
    assert max(tried) > 100 >= tried[-1]
    assert_same(trial.reports, alone(config, until=2, seed=0).reports)


def test_those_who_are_left_go_on_in_a_narrower_group_as_if_they_were_still_in_the_wide_one():
    configs = [
        {"lr": 1e-3 * (1 + k % 3), "batch_size": 64, "dropout": 0.1 + 0.1 * (k % 2), "clip_norm": 1.0} for k in range(8)
    ]
    trials = [(config, HandTrial(5 if k in (2, 5) else 1, seed=k)) for k, config in enumerate(configs)]
    lane, widths = Lane(Digits(), 8), []
    for config, trial in trials:
        lane.place(config, trial)
    while lane.n_aboard:
        lane.run_to_boundary()
        widths.append([each.slots.width for each in lane._seating.groups])
    assert [8] in widths
    assert widths[-2] == [2]
    for config, trial in trials:
        assert_same(trial.reports, alone(config, until=trial.until, seed=trial.seed).reports)


class Particular(Digits):
    """With 48 hidden units, a batch of more than twenty rows is too much for it; nobody knows beforehand."""

    def forward(self, model, inputs, progress):
        if progress is not None and model[1].out_features == 48 and len(inputs) > 20:
            raise ValueError("a wrong model")
        return model(inputs)


def test_what_fails_in_a_program_fails_those_who_share_it_and_nobody_else():
    lane, trials = Lane(Particular(), 8), [HandTrial(2, seed=seed) for seed in range(6)]
    for k, trial in enumerate(trials):
        lane.place({"width": 48 if k % 2 else 32, "batch_size": 64}, trial)
    errors = {}
    while lane.n_aboard:
        errors |= {ended.trial.seed: ended.error for ended in lane.run_to_boundary()}
    assert [str(errors[seed]) for seed in range(6)] == ["None", "a wrong model"] * 3
    assert all(len(trial.reports) == 2 for trial in trials[::2])


class Once(torch.autograd.Function):
    @staticmethod
    def forward(inputs):
        return inputs.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient

    @staticmethod
    def vmap(info, in_dims, inputs):
        return Once.apply(inputs), in_dims[0]


class OnceOnly(Digits):
    """Its loss has no second derivative."""

    def forward(self, model, inputs, progress):
        return Once.apply(model(inputs)) if progress is None else model(inputs)


def test_what_cannot_be_measured_of_one_trial_is_its_failure_alone():
    config = {"width": 16, "batch_size": 64}
    failing, fine = HandTrial(1, seed=0), HandTrial(1, seed=1)
    lane = Lane(OnceOnly(), 2)
    lane.place({**config, "hessian": True}, failing)
    lane.place(config, fine)
    errors = {}
    while lane.n_aboard:
        errors |= {ended.trial.seed: ended.error for ended in lane.run_to_boundary()}
    assert isinstance(errors[0], Exception)
    assert errors[1] is None
    assert fine.reports


def test_a_buffer_that_has_two_names_has_both_in_a_checkpoint():
    class Shared(Digits):
        def model(self, config):
            model = super().model(config)
            scale = torch.ones(1)
            model.register_buffer("scale", scale)
            model[1].register_buffer("scale", scale)
            return model

    trial = HandTrial(1, seed=0)
    lane = Lane(Shared(), 1)
    lane.place({}, trial)
    while lane.n_aboard:
        lane.run_to_boundary()
    assert {"scale", "1.scale"} <= trial.kept["model"].keys()
    assert trial.kept["model"].keys() == Shared().model({}).state_dict().keys()


def test_update_ratios_of_the_longest_leg_are_all_kept():
    """As many samples as there can be, and steps beyond them in the same chunk."""
    config = {"batch_size": 10, "optimizer": "sgd", "lr": 0.01}
    trials = [HandTrial(140, seed=0), HandTrial(127, seed=1)]
    for trial in trials:
        trial.unit = "step"
    config["report_every"] = 140
    assert set(fill(2, [(config, trial) for trial in trials]).values()) == {None}
    for trial in trials:
        twin = HandTrial(trial.until, seed=trial.seed)
        twin.unit = "step"
        train(Digits(), config, twin)
        assert_same(trial.reports, twin.reports)
