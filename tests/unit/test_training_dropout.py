"""Dropout by place: masks against whole numbers in plain Python, statistics, torch's semantics, slots, the trainer."""

import math
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint
from training_runs import Blobs, Trial, assert_same_state, run, untimed

from tuner.seeds import derive_seed
from tuner.training import dropout, train
from tuner.training.dropout import Streams, named_streams, placed_dropout, places, rates, restart, step_streams
from tuner.training.ranks import ALONE, Ranks
from tuner.training.run import open_run
from tuner.training.splitmix import GAMMA, number, numbers
from tuner.training.trainer import backward

CPU = torch.device("cpu")
COMPILED = [False, pytest.param(True, id="compiled")]


def splitmix(state):
    """The finaliser of a multiple of the golden gamma, as in the paper: unsigned numbers of 64 bits."""
    state = (state * 0x9E3779B97F4A7C15) & (2**64 - 1)
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return state ^ (state >> 31)


def kept_by_hand(seed, step, number, call, elements, p, rank=0):
    """Whether each of `elements` is kept: the highest 24 bits of its signed hash, from its least on, are at least p."""
    stream = splitmix(derive_seed(seed, "dropout", rank) + step)
    state = stream + splitmix((number << 32) + call)
    hashes = [splitmix(state + element) for element in elements]
    return [((z + 2**63) % 2**64) >> 40 >= round(p * 2**24) for z in hashes]


def placed(*modules, seed=0, rank=0):
    model = placed_dropout(nn.Sequential(*modules))
    return model, Streams(model, seed, rank, CPU)


def test_the_generator_is_the_published_one():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    state = 1234567 * pow(GAMMA, -1, 2**64)  # theirs, in units of the gamma
    assert [number(state, n) % 2**64 for n in range(1, 5)] == published
    states = torch.tensor([0, 1, -1, GAMMA, 2**63 - 1, -(2**63)])
    assert numbers(states, torch.tensor(5)).tolist() == [number(state, 5) for state in states.tolist()]


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize(
    ("seed", "step", "rank", "p"), [(0, 0, 0, 0.5), (2**63 - 1, 10**9, 3, 0.1), (7, 12, 0, 0.9999)]
)
def test_masks_are_those_of_plain_python(seed, step, rank, p, compiled):
    model, streams = placed(nn.Dropout(p), nn.Dropout(p), seed=seed, rank=rank)
    called = torch.compile(model[1], backend="aot_eager", fullgraph=True) if compiled else model[1]
    streams.at_step(step)
    for call in range(2):
        expected = kept_by_hand(seed, step, 1, call, range(600), p, rank)
        assert (called(torch.ones(20, 30)) != 0).flatten().tolist() == expected
    assert model(torch.ones(1)).shape == (1,)


def test_what_is_drawn_is_even_and_owes_nothing_to_its_neighbours():
    """Chi-square over 256 bins and over pairs of 16 x 16, each by its normal approximation; 5 standard deviations."""
    n = 1 << 18

    def hashes(seed=3, step=5, number=0, call=0):
        model, streams = placed(nn.Dropout(0.5), seed=seed)
        place = dropout.Place(number)
        place.stream = next(iter(places(model).values())).stream
        streams.at_step(step)
        return place._hashed(n, call, CPU) >> 33

    def even(bins, n_bins):
        counts = torch.bincount(bins, minlength=n_bins).double()
        chi = ((counts - counts.mean()) ** 2 / counts.mean()).sum().item()
        return abs(chi - (n_bins - 1)) / math.sqrt(2 * (n_bins - 1)) < 5

    own = hashes()
    assert abs((own.double() / 2**30).mean().item()) < 5 / math.sqrt(3 * n)
    for shift in (0, 8, 16, 22):
        assert even(((own + 2**30) >> shift) % 256, 256)
    others = {
        "step": hashes(step=6),
        "seed": hashes(seed=4),
        "module": hashes(number=1),
        "call": hashes(call=1),
        **{f"element + {lag}": own.roll(lag) for lag in (1, 2, 3, 28, 64, 128, 784, 1 << 16)},
    }
    for name, other in others.items():
        high = ((own + 2**30) >> 27) * 16 + ((other + 2**30) >> 27)
        assert even(high, 256), name
        correlation = (own.double() * other.double()).mean() / own.double().square().mean()
        assert abs(correlation.item()) < 5 / math.sqrt(n), name


def test_an_elements_masks_over_steps_and_seeds_are_even():
    """What is drawn along the other axes: one element in many steps, and in many trials."""
    n = 1 << 16
    for streams in (
        step_streams(torch.full((n,), dropout.stream_key(0)), torch.arange(n)),
        step_streams(torch.tensor([dropout.stream_key(seed) for seed in range(n)]), torch.zeros(n, dtype=torch.int64)),
    ):
        model = placed_dropout(nn.Sequential(nn.Dropout(0.25)))
        tensors = named_streams(model, streams, {"0.place": torch.full((n,), 0.25)})
        kept = vmap(lambda own, model=model: functional_call(model, own, torch.ones(4)))(tensors) != 0
        assert (kept.double().mean(0) - 0.75).abs().max() < 5 * math.sqrt(0.25 * 0.75 / n)
        together = torch.cov(kept.T.double()) / (0.25 * 0.75)
        assert (together - torch.eye(4)).abs().max() < 5 / math.sqrt(n)
        lagged = [(a - 0.75) * (b - 0.75) for a, b in pairwise(kept[:, 0].double())]
        assert abs(torch.stack(lagged).mean() / (0.25 * 0.75)) < 5 / math.sqrt(n)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_left_is_scaled_as_torch_scales_it(p, dtype):
    model, _ = placed(nn.Dropout(p))
    inputs = (torch.rand(100, 50, dtype=dtype) + 0.5).requires_grad_()
    outputs = model(inputs)
    (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
    kept, rate = outputs != 0, dropout.rounded(p)
    assert abs(rate - p) <= 2**-25
    assert outputs.dtype == dtype
    assert abs(kept.double().mean().item() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / 5000)
    torch.testing.assert_close(outputs, torch.where(kept, inputs / (1 - rate), 0.0))
    torch.testing.assert_close(gradient, torch.where(kept, torch.ones_like(inputs) / (1 - rate), 0.0))


def test_off_is_the_identity_and_one_drops_all():
    inputs = torch.randn(4, 5)
    for module in (nn.Dropout(0.0), nn.Dropout(0.5).eval()):
        assert placed(module)[0][0](inputs) is inputs
    one = placed(nn.Dropout(1.0))[0]
    assert not one(inputs).any()
    tensors = named_streams(one, torch.tensor(3), {"0.place": torch.tensor(1.0)})
    assert not functional_call(one, tensors, inputs).any()
    tensors = named_streams(one, torch.tensor(3), {"0.place": torch.tensor(0.0)})
    assert torch.equal(functional_call(one, tensors, inputs), inputs)


def test_in_place_is_in_place():
    by_itself, in_place = (placed(nn.Dropout(0.4, inplace))[0] for inplace in (False, True))
    inputs = torch.randn(6, 7)
    expected = by_itself(inputs.clone())
    assert in_place(inputs) is inputs
    assert torch.equal(inputs, expected)


CHANNELS = [
    (nn.Dropout1d, (8, 16, 5), 2),
    (nn.Dropout1d, (64, 5), 1),
    (nn.Dropout2d, (8, 16, 3, 4), 2),
    (nn.Dropout2d, (8, 16, 5), 2),
    (nn.Dropout3d, (8, 16, 2, 3, 4), 2),
    (nn.Dropout3d, (64, 2, 3, 4), 1),
]


@pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D input:UserWarning")  # torch's own, of its own dropout
@pytest.mark.parametrize(("kind", "shape", "n_leading"), CHANNELS)
def test_whole_channels_are_dropped_where_torch_drops_them(kind, shape, n_leading):
    for module in (kind(0.5), placed(kind(0.5))[0]):
        kept = module(torch.ones(shape)).flatten(n_leading) != 0
        assert torch.equal(kept.all(-1), kept.any(-1))
        assert 0.2 < kept.double().mean() < 0.8
    with pytest.raises(ValueError, match="at least two dimensions"):
        placed(kind(0.5))[0](torch.ones(3))


def test_a_model_is_what_it_was_but_for_its_masks():
    shared = nn.Dropout(0.5)
    model = nn.Sequential(nn.Linear(3, 3), shared, nn.AlphaDropout(0.5), shared, nn.Dropout2d(0.1))
    names, before = list(model.state_dict()), deepcopy(model)
    assert placed_dropout(model) is model
    assert model[1] is shared
    assert isinstance(shared, nn.Dropout)
    assert list(model.state_dict()) == names
    assert not list(model.buffers())
    assert "p=0.5, inplace=False" in str(model)
    model.load_state_dict(before.state_dict())
    assert rates(model) == {"1.place": 0.5, "4.place": pytest.approx(0.1)}
    assert type(model[2]) is nn.AlphaDropout
    assert [place.number for place in places(placed_dropout(model)).values()] == [0, 1]
    shared.p = 0.0
    inputs = torch.randn(2, 3)
    assert shared(inputs) is inputs


def test_a_call_without_a_stream_is_told():
    with pytest.raises(RuntimeError, match="no stream"):
        placed_dropout(nn.Dropout(0.5))(torch.ones(3))


class Shared(nn.Module):
    """One dropout behind each of two layers, and one for channels."""

    def __init__(self, p, q):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(5, 12), nn.Linear(12, 12), nn.Linear(12, 2)
        self.dropout, self.channels = nn.Dropout(p), nn.Dropout1d(q)

    def forward(self, inputs):
        hidden = self.dropout(self.second(self.dropout(self.first(inputs)).tanh()).tanh())
        return self.last(self.channels(hidden.view(-1, 4, 3)).flatten(1))


SLOTS = [(11, 0, 0.5, 0.2), (12, 40, 0.1, 0.0), (13, 2**40, 0.0, 0.7)]
"""The seed, the step and the rates of three trials."""


@pytest.mark.parametrize("compiled", COMPILED)
def test_a_slot_is_the_model_alone_whatever_its_rate_its_stream_and_its_padding(compiled):
    sizes, inputs, targets = [9, 7, 4], torch.randn(3, 9, 5), torch.randn(3, 9, 2)
    models = [placed_dropout(Shared(p, q)) for _, _, p, q in SLOTS]
    expected = []
    for (seed, step, *_), model, x, y, n in zip(SLOTS, models, inputs, targets, sizes, strict=True):
        Streams(model, seed, 0, CPU).at_step(step)
        outputs = model(x[:n])
        gradients = torch.autograd.grad((outputs - y[:n]).square().sum(), list(model.parameters()))
        expected.append([outputs.detach(), *gradients])

    template = placed_dropout(Shared(0.9, 0.9))
    parameters = {name: torch.stack([dict(m.named_parameters())[name].detach() for m in models]) for name, _ in
                  template.named_parameters()}  # fmt: skip
    keys = torch.tensor([dropout.stream_key(seed) for seed, *_ in SLOTS])
    steps = torch.tensor([step for _, step, *_ in SLOTS])
    slot_rates = {name: torch.tensor([rates(m)[name] for m in models]) for name in rates(template)}
    counted = torch.arange(9) < torch.tensor(sizes)[:, None]

    def loss(own, streams, x, y, counted):
        restart(template)
        outputs = functional_call(template, {**own, **streams}, x)
        return torch.where(counted[:, None], (outputs - y).square(), 0.0).sum(), outputs

    def of_slots(parameters, keys, steps, slot_rates):
        streams = named_streams(template, step_streams(keys, steps), slot_rates)
        return vmap(grad(loss, has_aux=True))(parameters, streams, inputs, targets, counted)

    if compiled:
        torch._dynamo.reset()
        of_slots = torch.compile(of_slots, backend="aot_eager")
    for _ in range(2):
        gradients, outputs = of_slots(parameters, keys, steps, slot_rates)
        for slot, (n, (own, *own_gradients)) in enumerate(zip(sizes, expected, strict=True)):
            assert torch.equal(outputs[slot, :n] == 0, own == 0)
            torch.testing.assert_close(outputs[slot, :n], own, rtol=1e-5, atol=1e-6)
            for name, gradient in zip(parameters, own_gradients, strict=True):
                torch.testing.assert_close(gradients[name][slot], gradient, rtol=1e-4, atol=1e-5)


def test_compiled_and_eager_are_one_training():
    torch._dynamo.reset()
    one, two = (placed_dropout(Shared(0.5, 0.3)) for _ in range(2))
    two.load_state_dict(one.state_dict())
    compiled = torch.compile(two, backend="aot_eager", fullgraph=True)
    streams = [Streams(model, 5, 0, CPU) for model in (one, two)]
    inputs = torch.randn(10, 5)
    for step in range(3):
        for own in streams:
            own.at_step(step)
        for first, n in ((0, 10), (0, 6), (6, 4)):
            for own in streams:
                own.at_rows(first, n, 10)
            torch.testing.assert_close(compiled(inputs[first : first + n]), one(inputs[first : first + n]))


def test_what_is_recomputed_in_the_backward_pass_has_its_masks_again():
    model, _ = placed(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 6))
    inputs = torch.randn(8, 6)
    plain = torch.autograd.grad(model(inputs).square().sum(), list(model.parameters()))
    for reentrant in (False, True):
        restart(model)
        own = inputs.clone().requires_grad_()
        model.zero_grad()
        checkpoint(model, own, use_reentrant=reentrant).square().sum().backward()
        for parameter, expected in zip(model.parameters(), plain, strict=True):
            assert torch.equal(parameter.grad, expected)
    twice = checkpoint(model, inputs.clone().requires_grad_(), use_reentrant=False).square().sum()
    with pytest.raises(RuntimeError, match="called 2 times"):
        twice.backward()


def test_micro_batches_have_their_part_of_the_batchs_masks():
    class Normless(Blobs):
        def model(self, config):
            return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 2))

    def gradient(config):
        opened = open_run(Normless(), {"batch_size": 64, **config}, Trial(1), ALONE, measure=False)
        opened.streams.at_step(3)
        batch = opened.data.train.take(torch.arange(64))
        loss, _ = backward(opened, batch, 64)
        return [loss, *opened.optimizer.gradients()]

    whole = gradient({})
    for size in (32, 24, 1):
        for ours, theirs in zip(gradient({"micro_batch": size}), whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_no_two_micro_batches_share_a_mask_whatever_the_layout():
    """Time before rows: no part of the whole batch's masks, but never those of another micro-batch."""
    model, streams = placed(nn.Dropout(0.5))
    seen = []
    for first, n in ((0, 5), (5, 5), (10, 2)):
        streams.at_rows(first, n, 12)
        seen.append(places(model)["0.place"]._hashed(3 * n * 4, 0, CPU))
    assert len(set(torch.cat(seen).tolist())) == 3 * 12 * 4


def test_what_a_trial_drops_hangs_on_its_seed_alone():
    class Spending(Blobs):
        """Draws from torch's generator as well, which moves no mask."""

        def prepare(self, inputs):
            torch.rand(3)
            return inputs

    config = {"batch_size": 40}
    one, other = run(config), run(config, task=Spending())
    assert_same_state(one.states[-1]["model"], other.states[-1]["model"])
    assert untimed(one.metrics) == untimed(other.metrics)
    assert untimed(one.metrics) != untimed(run({**config, "dropout": 0.0}).metrics)


class Unwrapped(Ranks):
    """A rank that talks to nobody."""

    def wrap(self, model, device, *, freezes):
        return model


def test_ranks_drop_differently():
    masks = []
    for rank in range(2):
        opened = open_run(Blobs(), {"dropout": 0.5}, Trial(1), Unwrapped(rank, 2), measure=False)
        masks.append(opened.model[3](torch.ones(50, 20)) != 0)
    assert abs((masks[0] ^ masks[1]).double().mean().item() - 0.5) < 5 * math.sqrt(0.25 / 1000)


def test_what_an_evaluation_drops_is_a_function_of_its_place():
    class Sampling(Blobs):
        """Monte Carlo dropout: measures in training mode."""

        def measures(self, model, inputs, targets):
            model[3].train()
            outputs = model(inputs)
            model[3].eval()
            return {"loss": self.loss(outputs, targets), "sampled": outputs.sum()}

    whole = run({"dropout": 0.5}, until=3, task=Sampling())
    half = run({"dropout": 0.5}, until=2, task=Sampling(), horizon=3)
    rest = run({"dropout": 0.5}, until=3, task=Sampling(), horizon=3, start=2, checkpoint=half.kept)
    assert untimed(whole.metrics) == untimed([*half.metrics, *rest.metrics])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="takes a GPU")
@pytest.mark.parametrize("backend", [None, "inductor"])
def test_a_gpu_has_the_masks_of_the_cpu(backend):
    """Eager and compiled, replayed as a CUDA graph, and as slots."""
    torch._dynamo.reset()
    n, shape = 3, (64, 1000)
    model, streams = placed(nn.Dropout(0.3))
    expected = []
    for step in range(n):
        streams.at_step(step)
        expected.append(model(torch.ones(shape)))
    there = placed_dropout(nn.Sequential(nn.Dropout(0.3)))
    own = Streams(there, 0, 0, torch.device("cuda"))
    called = torch.compile(there, backend=backend) if backend else there
    inputs, graph, side = torch.ones(shape, device="cuda"), torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(2):
            own.at_step(0)
            called(inputs)
    torch.cuda.synchronize()
    own.at_step(0)
    with torch.cuda.graph(graph, stream=side):
        replayed = called(inputs)
    for step in range(n):
        own.at_step(step)
        graph.replay()
        assert torch.equal(replayed.cpu(), expected[step])
        assert torch.equal(called(inputs).cpu(), expected[step])

    keys = torch.full((n,), dropout.stream_key(0), device="cuda")
    of_steps = step_streams(keys, torch.arange(n, device="cuda"))
    given = named_streams(there, of_steps, {"0.place": torch.full((n,), rates(there)["0.place"], device="cuda")})

    def of_slot(tensors):
        restart(there)
        return functional_call(there, tensors, inputs)

    slots = vmap(of_slot)
    assert torch.equal(
        (torch.compile(slots, backend=backend) if backend else slots)(given).cpu(), torch.stack(expected)
    )


class OnGpu(Trial):
    device = "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="takes a GPU")
def test_a_recorded_step_drops_as_the_eager_one():
    config = {"batch_size": 40, "dropout": 0.5, "micro_batch": 30}
    eager, recorded = OnGpu(6), OnGpu(6)
    train(Blobs(), config, eager)
    train(Blobs(), {**config, "cuda_graph": True}, recorded)
    for ours, theirs in zip(untimed(recorded.metrics), untimed(eager.metrics), strict=True):
        assert {k: v for k, v in ours.items() if "memory" not in k} == pytest.approx(
            {k: v for k, v in theirs.items() if "memory" not in k}, rel=1e-4
        )
