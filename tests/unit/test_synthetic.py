"""The closed-form curves: their optimum is one, their noise is a function of its place, a study finds what is good."""

import math
import statistics

import pytest
from hand_trial import HandTrial, study_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import tuner
from objectives import synthetic
from objectives.synthetic import curves, expected_loss, optimum
from tuner.errors import CheckpointError, SpecError
from tuner.objective import load_objective
from tuner.workflows.fit import check_fit

CONFIG = {"lr": 0.003, "weight_decay": 1e-3, "speed": 0.7}
CONFIGS = st.fixed_dictionaries(
    {"lr": st.floats(1e-6, 10), "weight_decay": st.floats(1e-8, 1), "speed": st.floats(0.01, 10)}
)


@given(CONFIGS, st.integers(2, 1000))
def test_no_curve_is_lower_than_the_optimums(config, epoch):
    assert expected_loss(config, epoch) >= expected_loss(optimum(epoch), epoch)


@pytest.mark.parametrize("epoch", [2, 9, 81])
def test_the_optimum_is_where_a_minimiser_ends(epoch):
    def loss(point):
        return expected_loss({"lr": 10 ** point[0], "weight_decay": 10 ** point[1], "speed": point[2]}, epoch)

    found = minimize(loss, [-3, -3, 1], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12}).x
    best = optimum(epoch)
    assert found == pytest.approx([math.log10(best["lr"]), math.log10(best["weight_decay"]), best["speed"]], abs=1e-4)


def test_a_curve_by_hand():
    assert expected_loss({"lr": 0.1, "weight_decay": 1e-4, "speed": 0.5}, 4) == pytest.approx(
        0.1 + 0.05 * 1 + 0.1 * 0.5 + 1 / math.sqrt(4)
    )
    assert expected_loss(optimum(81), 81) == pytest.approx(0.2088, abs=5e-5)  # as the YAML file says


@given(CONFIGS)
def test_a_curve_descends_to_its_floor(config):
    losses = [expected_loss(config, epoch) for epoch in (1, 3, 9, 27, 81)]
    assert losses == sorted(losses, reverse=True)
    floor = losses[0] - 1
    assert losses[-1] == pytest.approx(floor + 81 ** -config["speed"], abs=1e-9)


def test_quick_curves_lead_early_and_end_higher():
    quick, slow = CONFIG | {"speed": 2.0}, CONFIG | {"speed": 0.8}
    assert expected_loss(quick, 3) < expected_loss(slow, 3)
    assert expected_loss(quick, 81) > expected_loss(slow, 81)


def test_noise_is_a_function_of_seed_and_epoch_and_standard_normal():
    def noises(seed, n):
        trial = HandTrial(n, seed=seed)
        curves(CONFIG | {"noise": 0.1}, trial)
        return [(metrics["val_loss"] - metrics["train_loss"]) / 0.1 for metrics in trial.reports.values()]

    first = noises(0, 2000)
    assert first[:10] == noises(0, 10)
    assert not set(first) & set(noises(1, 2000))
    assert statistics.fmean(first) == pytest.approx(0, abs=4 / math.sqrt(2000))
    assert statistics.pstdev(first) == pytest.approx(1, abs=4 / math.sqrt(2 * 2000))


def test_segments_make_the_whole_curve():
    whole, first = HandTrial(9), HandTrial(4)
    curves(CONFIG | {"noise": 0.1}, whole)
    curves(CONFIG | {"noise": 0.1}, first)
    second = HandTrial(9, start=4, checkpoint=first.kept)
    curves(CONFIG | {"noise": 0.1}, second)
    assert first.reports | second.reports == whole.reports
    for wrong in (None, {"epoch": 3}):
        with pytest.raises(CheckpointError, match="after epoch 4"):
            curves(CONFIG, HandTrial(9, start=4, checkpoint=wrong))


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"lr": 0.0}, "lr"),
        ({"lr": "fast"}, "lr"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"noise": math.inf}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"speed": True}, "speed"),
    ],
)
def test_a_wrong_value_is_named(wrong, key):
    with pytest.raises(SpecError) as error:
        curves(CONFIG | wrong, HandTrial(1))
    assert error.value.path == key


def test_what_is_missing_is_named_and_there_is_no_optimum_at_the_first_epoch():
    with pytest.raises(SpecError, match="weight_decay: is missing"):
        curves({"lr": 0.1}, HandTrial(1))
    with pytest.raises(ValueError, match="epoch 2"):
        optimum(1)


def test_a_study_of_the_file_finds_what_is_good(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_HOME", str(tmp_path))
    spec = study_of("synthetic")
    assert load_objective(spec.objective) is synthetic.curves
    check_fit(spec, synthetic.curves)
    study = tuner.run(
        synthetic.curves,
        study="synthetic",
        space=spec.axes,
        fixed=spec.fixed,
        metric=spec.metric,
        scheduler=spec.scheduler,
        checkpoint=spec.checkpoint,
        budget=tuner.Budget(trials=40),
        executor="local",
    )
    assert study.best.resource == 81
    regret = expected_loss(study.best.config, 81) - expected_loss(optimum(81), 81)
    assert 0 <= regret < 0.15  # a configuration at random is at 0.6 in the median
