"""Pretraining and its cache, the Fisher information in closed form, and what fine-tuning gains and forgets."""

import dataclasses

import pytest
import torch
from hand_trial import first_config, study_of, trained
from torch import nn

from objectives import fine_tune
from objectives.fine_tune import FineTune, Memory, Network, Recipe, first_of_each, fisher_diagonal, pretrained
from tuner.errors import DataError, SpecError
from tuner.training.layers import layers_of
from tuner.workflows.fit import check_fit

CONFIG = {"lr": 1e-3, "batch_size": 25, "schedule": "cosine", "report_every": 10}  # measured once, at the end
EPOCHS = 10


@pytest.fixture(scope="module")
def known():
    return pretrained()


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """A cache of its own, and a pretraining that takes a moment."""
    real = fine_tune.digits()
    monkeypatch.setattr(fine_tune, "digits", lambda: real)
    monkeypatch.setattr(fine_tune, "RECIPE", Recipe(epochs=0, fisher_images=5, pool_per_class=3))
    monkeypatch.setenv("TUNER_DATA", str(tmp_path))
    fine_tune._pretrained.cache_clear()
    yield tmp_path
    fine_tune._pretrained.cache_clear()


def test_splits():
    splits = FineTune(labels_per_class=20).data()
    assert torch.bincount(splits.train[1], minlength=10).tolist() == [0] * 5 + [20] * 5
    assert splits.train[0].shape == (100, 1, 28, 28)
    old = splits.also["old"]
    assert set(splits.validation[1].tolist()) == set(range(5, 10))
    assert set(old[1].tolist()) == set(range(5))
    assert len(old[1]) + len(splits.validation[1]) == 10_000
    images, labels = fine_tune.digits()
    assert torch.equal(splits.validation[0], images[50_000:][labels[50_000:] >= 5])
    with pytest.raises(DataError, match="class 5"):
        FineTune(labels_per_class=10_000).data()


def test_first_of_each():
    labels = torch.tensor([1, 0, 2, 1, 0, 1])
    assert first_of_each(labels, range(2), 2).tolist() == [0, 1, 3, 4]


def test_pretraining_is_kept_and_only_done_again_for_another_recipe(quick, monkeypatch):
    made = []
    really = fine_tune.pretrain
    monkeypatch.setattr(fine_tune, "pretrain", lambda recipe: made.append(recipe) or really(recipe))
    forget = fine_tune._pretrained.cache_clear
    FineTune().fetch()
    first = pretrained()
    forget()
    again = pretrained()
    (kept,) = quick.glob("fine-tune-*.safetensors")
    assert len(made) == 1
    for part in ("weights", "fisher"):
        assert all(torch.equal(value, getattr(again, part)[name]) for name, value in getattr(first, part).items())
    forget()
    kept.write_bytes(kept.read_bytes()[:1000])  # damaged
    assert torch.equal(pretrained().images, first.images)
    monkeypatch.setattr(fine_tune, "RECIPE", dataclasses.replace(fine_tune.RECIPE, seed=1))
    assert not torch.equal(pretrained().weights["layers.0.weight"], first.weights["layers.0.weight"])
    assert len(made) == 3
    assert len(list(quick.glob("fine-tune-*.safetensors"))) == 2


def test_pretraining_sees_old_training_images_alone(monkeypatch, known):
    assert torch.bincount(known.labels).tolist() == [fine_tune.POOL_PER_CLASS] * 5
    images, labels = (part[::40] for part in fine_tune.digits())
    spoilt = images.clone()
    spoilt[1250:] = 0
    spoilt[labels >= 5] = 0
    monkeypatch.setattr(fine_tune, "N_TRAIN", 1250)
    recipe = Recipe(epochs=1, fisher_images=5, pool_per_class=3)
    made = []
    for seen in (images, spoilt):
        monkeypatch.setattr(fine_tune, "digits", lambda seen=seen: (seen, labels))
        made.append(fine_tune.pretrain(recipe))
    for part in ("weights", "fisher"):
        assert all(torch.equal(value, getattr(made[1], part)[name]) for name, value in getattr(made[0], part).items())
    assert torch.equal(made[0].images, made[1].images)


def test_an_unusable_cache_is_a_data_error(quick, monkeypatch):
    (quick / "file").write_text("")
    monkeypatch.setenv("TUNER_DATA", str(quick / "file"))
    with pytest.raises(DataError, match="TUNER_DATA"):
        FineTune().fetch()


def test_the_fisher_information_of_softmax_regression_is_the_closed_form():
    """For logits W x + b: E[(∂ log p(y) / ∂W_kj)²] = p_k (1 - p_k) x_j², and the same with x_j = 1 for b_k."""
    torch.manual_seed(0)
    model, inputs = nn.Linear(4, 3), torch.randn(60, 4)
    p = model(inputs).softmax(1)
    variances = p * (1 - p)
    fisher = fisher_diagonal(model, inputs, 3)
    assert torch.allclose(fisher["weight"], variances.T @ inputs.square() / 60, atol=1e-6)
    assert torch.allclose(fisher["bias"], variances.mean(0), atol=1e-6)
    assert fisher_diagonal(model, inputs, 2)["bias"][2] == 0  # an output that is no class yet


def test_the_fisher_information_is_the_mean_square_of_single_gradients():
    torch.manual_seed(0)
    model, inputs = Network(), torch.randn(3, 1, 28, 28)
    expected = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for row in inputs:
        for label in range(10):
            model.zero_grad()
            log_probability = model(row[None]).log_softmax(1)[0, label]
            log_probability.backward()
            for name, weight in model.named_parameters():
                expected[name] += log_probability.detach().exp() * weight.grad.square() / 3
    for name, found in fisher_diagonal(model, inputs, 10, rows_at_a_time=2).items():
        assert torch.allclose(found, expected[name], rtol=1e-3, atol=1e-7), name


def test_the_elastic_penalty_is_kirkpatricks(known):
    task = FineTune()
    model = task.model({"ewc": 30.0})
    assert task.penalty(model).item() == 0
    moved = 0.0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            step = torch.randn_like(weight)
            weight += step
            moved += (known.fisher[name] * (weight - known.weights[name]).square()).sum().item()
    penalty = task.penalty(model)
    assert penalty.item() == pytest.approx(30 / 2 * moved, rel=1e-4)
    penalty.backward()
    name, weight = next(iter(model.named_parameters()))
    assert torch.allclose(weight.grad, 30 * known.fisher[name] * (weight - known.weights[name]), rtol=1e-4)


def test_rehearsal_is_the_loss_on_kept_old_images(known):
    task = FineTune()
    model = task.model({"rehearsal": 0.5})
    torch.manual_seed(3)
    penalty = task.penalty(model)
    torch.manual_seed(3)
    rows = torch.randint(len(known.labels), (fine_tune.REHEARSED,))
    expected = task.loss(model(task.prepare(known.images[rows])), known.labels[rows])
    assert penalty.item() == pytest.approx(0.5 * expected.item(), rel=1e-5)
    assert penalty.requires_grad
    assert task.penalty(task.model({})) is None


def test_the_memory_goes_with_the_model_and_stays_out_of_checkpoints(known):
    model = FineTune().model({"rehearsal": 1.0, "ewc": 1.0})
    assert set(model.state_dict()) == set(known.weights) == dict(model.named_parameters()).keys()
    assert {name for name, _ in model.named_buffers()} >= {"memory.images", "memory.fisher_layers_0_weight"}
    assert not list(Memory(known, 0.0, 0.0).buffers())


def test_a_training_step_asks_the_device_for_no_value():
    task = FineTune()
    model = task.model({"rehearsal": 1.0, "ewc": 1.0, "dropout": 0.1}).to("meta")  # tensors without values
    inputs = torch.empty(7, 1, 28, 28, dtype=torch.uint8, device="meta")
    outputs = task.forward(model, task.prepare(inputs), torch.empty((), device="meta"))
    (task.loss(outputs, torch.empty(7, dtype=torch.int64, device="meta")) + task.penalty(model)).backward()


def test_start_and_layers(known):
    torch.manual_seed(0)
    scratch = FineTune().model({"start": "scratch"})
    weights = FineTune().model({}).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in known.weights.items())
    assert not torch.equal(scratch.state_dict()["layers.0.weight"], weights["layers.0.weight"])
    assert len(layers_of(scratch)) == 4


@pytest.mark.parametrize("wrong", [{"start": "warm"}, {"rehearsal": -1}, {"ewc": True}, {"dropout": 1}])
def test_mistakes_name_their_key(wrong):
    with pytest.raises(SpecError) as error:
        FineTune().model(wrong)
    assert error.value.path == next(iter(wrong))


def test_elastic_weights_need_the_pretrained_start():
    with pytest.raises(SpecError, match="when") as error:
        FineTune().model({"start": "scratch", "ewc": 10.0})
    assert error.value.path == "ewc"


def test_the_search_space_is_a_study():
    spec = study_of("fine_tune")
    check_fit(spec, FineTune())
    assert {"lr", "freeze", "unfreeze_at", "layer_decay", "rehearsal", "ewc"} <= {*spec.space, *spec.fixed}


def test_pretraining_helps_where_labels_are_few():
    starts = {
        start: [trained(FineTune(), {**CONFIG, "start": start}, EPOCHS, seed)["val_accuracy"] for seed in range(3)]
        for start in ("pretrained", "scratch")
    }
    assert min(starts["pretrained"]) > max(starts["scratch"]) + 0.01
    assert min(starts["pretrained"]) > 0.93


def test_plain_fine_tuning_forgets_and_both_remedies_keep():
    plain, rehearsed, elastic = (
        trained(FineTune(), {**CONFIG, **remedy}, EPOCHS) for remedy in ({}, {"rehearsal": 0.3}, {"ewc": 1e4})
    )
    assert plain["old_accuracy"] < 0.05  # of 0.99
    assert rehearsed["old_accuracy"] > 0.8
    assert elastic["old_accuracy"] > 0.5
    for kept in (rehearsed, elastic):
        assert kept["val_accuracy"] > plain["val_accuracy"] - 0.04


def test_the_prior_of_the_search_space_does_both():
    last = trained(FineTune(), first_config(study_of("fine_tune")), 9)
    assert last["val_accuracy"] > 0.92
    assert last["old_accuracy"] > 0.85
