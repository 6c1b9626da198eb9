"""The text, the two networks against torch's own, scheduled sampling, free running, and a 5-gram to beat."""

import math
from collections import Counter, defaultdict

import pytest
import torch
from hand_trial import first_config, study_of, trained
from torch import nn
from torch.nn import functional

from objectives import char_lm
from objectives.char_lm import CharLM, free_running, mixed_in, sampled, windows
from objectives.data import text
from tuner.errors import DataError, SpecError
from tuner.workflows.fit import check_fit

KINDS = ({"model": "lstm", "width": 16, "layers": 2}, {"model": "transformer", "width": 16, "layers": 2, "heads": 2})
both = pytest.mark.parametrize("config", KINDS, ids=["lstm", "transformer"])


def model_of(config, context=12, **more):
    torch.manual_seed(0)
    return CharLM(context).model({**config, **more})


def tokens(rows=3, characters=12):
    return torch.randint(text.N_SYMBOLS, (rows, characters), generator=torch.Generator().manual_seed(1))


def test_no_paragraph_of_the_text_stands_twice():
    assert text.without_repeats(["a  b\n c", "", " \n", "\n  a b c\n", "d"]) == ["a  b\n c", "d"]
    whole = text.help_text()
    cut = int(text.TRAIN_SHARE * len(whole))
    seen = {" ".join(part.split()) for part in whole[:cut].split("\n\n")}
    later = [" ".join(part.split()) for part in whole[cut:].split("\n\n")]
    assert len(later) > 50
    assert not seen.intersection(later)


def test_the_vocabulary_is_the_training_parts():
    assert text.symbols("aabbbc") == "bac"
    assert text.encode("cab?", "bac").tolist() == [2, 1, 0, text.UNKNOWN]
    assert len(text.symbols("".join(map(chr, range(200))))) == text.UNKNOWN
    whole = text.help_text()
    train_codes, validation_codes = text.training_and_validation()
    known = text.symbols(whole[: len(train_codes)])
    assert len(train_codes) + len(validation_codes) == len(whole) > 200_000
    assert text.encode(whole[len(train_codes) :], known).tolist() == validation_codes.tolist()


def test_a_python_without_its_help_topics_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    text.help_text.cache_clear()
    with pytest.raises(DataError, match="pydoc_data"):
        CharLM().fetch()


def test_windows_and_their_targets():
    inputs, targets = windows(text.training_and_validation()[1][:100], 10, 5)
    assert (inputs.shape, inputs.dtype, targets.shape, targets.dtype) == ((18, 10), torch.uint8, (18, 10), torch.int64)
    assert torch.equal(inputs[:, 1:].long(), targets[:, :-1])
    assert torch.equal(inputs[1:, 0].long(), inputs[:-1, 5].long())
    splits = CharLM(context=64).data()
    assert splits.train[0].shape[1] == splits.validation[0].shape[1] == 64
    assert len(splits.train[0]) > 15 * len(splits.validation[0])  # 9 : 1, and windows that overlap by half


def test_the_lstm_is_torchs():
    model = model_of(KINDS[0])
    torchs = nn.LSTM(16, 16, num_layers=2, batch_first=True)
    for depth, layer in enumerate(model.layers):
        for name, weight in layer.named_parameters():
            torchs.get_parameter(name.replace("l0", f"l{depth}")).data = weight.data
    hidden, _ = torchs(model.embedding(tokens()))
    assert torch.allclose(model(tokens())[0], model.output(hidden), atol=1e-6)


def test_a_block_is_torchs_encoder_layer():
    block = model_of(KINDS[1]).blocks[0]
    torchs = nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True)
    pairs = {
        "self_attn.in_proj_": block.to_heads,
        "self_attn.out_proj.": block.from_heads,
        "linear1.": block.perceptron[0],
        "linear2.": block.perceptron[2],
        "norm1.": block.attention_norm,
        "norm2.": block.norm,
    }
    for name, module in pairs.items():
        torchs.get_parameter(f"{name}weight").data = module.weight.data
        torchs.get_parameter(f"{name}bias").data = module.bias.data
    hidden = torch.randn(3, 12, 16)
    mask = nn.Transformer.generate_square_subsequent_mask(12)
    assert torch.allclose(block(hidden, None)[0], torchs(hidden, mask, is_causal=True), atol=1e-5)


@both
def test_nothing_looks_ahead_and_a_state_stands_for_what_was_read(config):
    model = model_of(config).eval()
    whole, _ = model(tokens())
    changed = tokens()
    changed[:, 7:] = (changed[:, 7:] + 1) % text.N_SYMBOLS
    assert torch.allclose(model(changed)[0][:, :7], whole[:, :7], atol=1e-6)
    assert not torch.allclose(model(changed)[0][:, 7:], whole[:, 7:], atol=1e-3)
    logits, state = model(tokens()[:, :5], [])
    steps = [logits]
    for position in range(5, 12):
        logits, state = model(tokens()[:, position : position + 1], state)
        steps.append(logits)
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-5)


@both
def test_free_running_reads_its_own_guesses(config):
    model, inputs = model_of(config).eval(), tokens()
    targets = torch.randint(text.N_SYMBOLS, (3, 12))
    read = inputs[:, :6]
    for _ in range(6):
        read = torch.cat([read, model(read)[0][:, -1:].argmax(2)], 1)
    expected = functional.cross_entropy(model(read[:, :12])[0][:, 6:].transpose(1, 2), targets[:, 6:])
    assert free_running(model, inputs, targets).item() == pytest.approx(expected.item(), rel=1e-5)


@both
def test_measures(config):
    task, model, inputs = CharLM(12), model_of(config).eval(), tokens(20)
    measures = task.measures(model, inputs, inputs)
    expected = functional.cross_entropy(model(inputs)[0].flatten(0, 1), inputs.flatten()).item()
    assert measures["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert measures["bits"].item() == pytest.approx(expected / math.log(2), rel=1e-5)
    assert expected == pytest.approx(math.log(task.n_classes), rel=0.1)  # an untrained model knows nothing
    some = slice(None, None, char_lm.FREE_EVERY)
    assert measures["free_loss"] == free_running(model, inputs[some], inputs[some])


def test_draws_follow_the_probabilities_and_the_generator():
    logits = torch.tensor([2.0, 0.0, -1.0, -30.0]).expand(40_000, 4)
    torch.manual_seed(0)
    draws = sampled(logits)
    shares = torch.bincount(draws, minlength=4) / len(draws)
    assert shares.tolist() == pytest.approx(logits[0].softmax(0).tolist(), abs=0.01)
    torch.manual_seed(0)
    assert torch.equal(draws, sampled(logits))
    replaced = mixed_in(torch.zeros(40_000, dtype=torch.long), torch.ones(40_000, dtype=torch.long), torch.tensor(0.3))
    assert replaced.float().mean().item() == pytest.approx(0.3, abs=0.01)


@both
def test_sampling_begins_as_teacher_forcing_and_is_off_in_evaluation(config):
    task, model = CharLM(12), model_of(config, sampling=0.9)
    forced = model_of(config)(tokens())[0].transpose(1, 2)
    assert torch.allclose(task.forward(model, tokens(), torch.tensor(0.0)), forced, atol=1e-5)
    assert torch.allclose(task.forward(model, tokens(), None), forced, atol=1e-6)
    assert not torch.allclose(task.forward(model, tokens(), torch.tensor(1.0)), forced, atol=1e-3)


@both
def test_sampling_all_of_the_time_reads_nothing_but_guesses(config):
    model = model_of(config)
    model.sampling = 1.0
    model.output.weight.data *= 1e6  # so sure of itself that a draw is its greedy guess
    seen = model(tokens(), None, torch.tensor(1.0))[0]
    if config["model"] == "lstm":  # one by one, each after the guesses before it
        read = tokens()[:, :1]
        for _ in range(11):
            read = torch.cat([read, model.read(read, [])[0][:, -1:].argmax(2)], 1)
    else:  # all at once, each after the text before it
        read = torch.cat([tokens()[:, :1], model.read(tokens(), [])[0][:, :-1].argmax(2)], 1)
    assert torch.allclose(seen, model.read(read, [])[0], rtol=1e-3)


@both
def test_a_training_step_asks_the_device_for_no_value(config):
    task, model = CharLM(12), model_of(config, sampling=0.5, dropout=0.1).to("meta")  # tensors without values
    inputs = torch.empty(3, 12, dtype=torch.uint8, device="meta")
    outputs = task.forward(model, task.prepare(inputs), torch.empty((), device="meta"))
    assert outputs.shape == (3, task.n_classes, 12)
    task.loss(outputs, inputs.long()).backward()


def test_mistakes_name_their_key():
    for wrong in (
        {"model": "gru"},
        {"width": 0},
        {"layers": 1.5},
        {"dropout": 1.0},
        {"sampling": -0.1},
        {"heads": 3, "model": "transformer"},
    ):
        with pytest.raises(SpecError) as error:
            CharLM().model(wrong)
        assert error.value.path == next(iter(wrong))
    with pytest.raises(SpecError, match="context"):
        CharLM(context=1)


def test_the_search_space_is_a_study():
    spec = study_of("char_lm")
    check_fit(spec, CharLM())
    assert {"lr", "model", "width", "dropout", "sampling", "clip_norm"} <= {*spec.space, *spec.fixed}
    for kind in ("lstm", "transformer"):
        CharLM().model({**first_config(spec), "model": kind})


def kneser_ney(train_text, order, discount):
    """Interpolated Kneser-Ney (Kneser & Ney 1995; Chen & Goodman 1999): probability(history, symbol)."""
    counts = [defaultdict(Counter) for _ in range(order)]
    for place in range(order - 1, len(train_text)):
        counts[order - 1][train_text[place - order + 1 : place]][train_text[place]] += 1
    for length in range(order - 1, 0, -1):  # a shorter history counts in how many longer ones it was seen
        for history, following in counts[length].items():
            counts[length - 1][history[1:]].update(following.keys())
    totals = [{history: following.total() for history, following in table.items()} for table in counts]

    def probability(history, symbol):
        result = 1 / text.N_SYMBOLS
        for length in range(order):
            seen = history[len(history) - length :]
            if seen not in totals[length]:
                break
            following, total = counts[length][seen], totals[length][seen]
            kept = max(following[symbol] - discount, 0) if symbol in following else 0
            result = (kept + discount * len(following) * result) / total
        return result

    return probability


def five_gram_bits():
    """Bits a character of the validation text, its whole past known; the discount is the best of some for it."""
    first, last = map(bytes, text.training_and_validation())
    whole = first[-4:] + last

    def bits(discount):
        probability = kneser_ney(first, 5, discount)
        return -sum(math.log2(probability(whole[i - 4 : i], whole[i])) for i in range(4, len(whole))) / len(last)

    return min(bits(discount) for discount in (0.6, 0.75, 0.9))


def test_the_five_gram_is_a_distribution():
    probability = kneser_ney(bytes(text.training_and_validation()[0][:20_000]), 5, 0.75)
    for history in (bytes([1, 2, 3, 4]), bytes(text.training_and_validation()[0][100:104])):
        assert sum(probability(history, symbol) for symbol in range(text.N_SYMBOLS)) == pytest.approx(1)
    assert probability(bytes([1, 2, 3, 4]), 0) > 0


@pytest.mark.slow  # two minutes
def test_the_lstm_of_the_search_space_beats_the_five_gram():
    reached = trained(CharLM(), first_config(study_of("char_lm")), 4)["val_bits"]
    assert reached < five_gram_bits()


@pytest.mark.slow  # a minute each
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_sampling_makes_free_running_better_and_reading_the_text_worse(kind):
    config = {"model": kind, "width": 64, "lr": 1e-2, "batch_size": 128, "schedule": "cosine", "warmup": 0.1}
    forced, mixed = (trained(CharLM(context=32), {**config, "sampling": sampling}, 2) for sampling in (0.0, 0.5))
    assert mixed["val_free_loss"] < forced["val_free_loss"] - 0.3
    assert mixed["val_loss"] > forced["val_loss"]
