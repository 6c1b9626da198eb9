"""Each question about a task's data, on data where the answer was put."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from tuner.errors import DataError
from tuner.training import Splits, Task
from tuner.training.findings import Verdict
from tuner.training.leakage import SAMPLE, find_leaks

SHARED = "rows of validation that are in train, too"
REPEATED = "rows that train has more than once"
LABELS, CLASSES, BALANCE = "labels", "classes in both splits", "balance of the classes"
FINITE, CONSTANT = "NaN and infinite numbers", "inputs that are the same in all rows of train"
SCALE, ALIKE = "scale of the prepared inputs", "train and validation are prepared alike"


class Kinds(Task):
    n_classes = 4

    def data(self):
        raise NotImplementedError

    def model(self, config):
        return nn.Linear(6, 4)

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)


class Numbers(Kinds):
    n_classes = None


def rows(n, seed):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)), torch.arange(n) % 4


def found(train, validation, task=None, also=None):
    return {finding.check: finding for finding in find_leaks(Splits(train, validation, also or {}), task or Kinds())}


def test_sound_data_is_fine():
    findings = found(rows(400, 1), rows(100, 2))
    assert list(findings) == [SHARED, REPEATED, LABELS, CLASSES, BALANCE, FINITE, CONSTANT, SCALE, ALIKE]
    assert {finding.verdict for finding in findings.values()} == {Verdict.FINE}
    assert all(finding.evidence and not finding.remedy for finding in findings.values())


@pytest.mark.parametrize(("n", "verdict"), [(1, Verdict.WARNING), (30, Verdict.WRONG)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_on_both_sides(n, verdict, dtype):
    (inputs, targets), (others, other_targets) = rows(400, 1), rows(200, 2)
    others[50 : 50 + n] = inputs[-n:]
    finding = found((inputs.to(dtype), targets), (others.to(dtype), other_targets))[SHARED]
    assert finding.verdict is verdict
    assert finding.evidence.startswith(f"{n} of 200 ({n / 200:.2%})")
    assert finding.remedy


def test_rows_of_bytes_that_differ_in_one_bit_are_no_duplicates():
    inputs = torch.randint(256, (50, 784), dtype=torch.uint8)
    others = inputs.clone()
    others[:, -1] ^= 128
    others[7] = inputs[3]
    finding = found((inputs, torch.arange(50) % 4), (others, torch.arange(50) % 4))[SHARED]
    assert finding.evidence.startswith("1 of 50")


def test_a_further_split_is_compared_with_train_as_well():
    train = rows(300, 1)
    findings = found(train, rows(100, 2), also={"night": (train[0][:10], train[1][:10])})
    assert findings["rows of night that are in train, too"].evidence.startswith("10 of 10 (100.00%)")
    assert findings[SHARED].verdict is Verdict.FINE


def test_rows_that_train_repeats():
    inputs, targets = rows(200, 1)
    inputs[100:110] = inputs[0]
    finding = found((inputs, targets), rows(50, 2))[REPEATED]
    assert finding.verdict is Verdict.WARNING
    assert finding.evidence.startswith("10 of 200")
    inputs, _ = rows(200, 1)
    inputs[1] = inputs[0]
    assert found((inputs, targets), rows(50, 2))[REPEATED].verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda targets: targets.float(), "train has targets of torch.float32"),
        (lambda targets: targets + 1, "100 of train are outside 0..3, such as 4"),
        (lambda targets: targets - 1, "100 of train are outside 0..3, such as -1"),
    ],
)
def test_wrong_labels(change, says):
    inputs, targets = rows(400, 1)
    findings = found((inputs, change(targets)), rows(100, 2))
    assert findings[LABELS].verdict is Verdict.WRONG
    assert findings[LABELS].evidence == says
    assert findings[CLASSES].verdict is findings[BALANCE].verdict is Verdict.SKIPPED
    assert found(rows(100, 2), (inputs, change(targets)))[LABELS].evidence == says.replace("train", "validation")


def test_labels_of_every_place_are_looked_at_and_ignored_ones_are_not():
    targets = torch.arange(4).repeat(100, 2)
    targets[:, 3] = -100
    findings = found((rows(100, 1)[0], targets), (rows(100, 2)[0], targets))
    assert findings[LABELS].verdict is Verdict.FINE
    assert "200 ignored" in findings[LABELS].evidence
    assert findings[BALANCE].evidence.startswith("100 of the rarest in train, 200 of")


def test_classes_that_are_missing():
    (inputs, targets), (others, other_targets) = rows(400, 1), rows(100, 2)
    finding = found((inputs, targets % 3), (others, other_targets))[CLASSES]
    assert (finding.verdict, finding.evidence) == (
        Verdict.WRONG,
        "train has no row of class 3, but validation has",
    )
    finding = found((inputs, targets), (others, other_targets % 2))[CLASSES]
    assert (finding.verdict, finding.evidence) == (
        Verdict.WARNING,
        "validation has no row of 2 classes (2, 3)",
    )
    finding = found((inputs, targets % 3), (others, other_targets % 3))[CLASSES]
    assert (finding.verdict, finding.evidence) == (Verdict.WARNING, "neither split has a row of class 3")


@pytest.mark.parametrize(("rare", "verdict"), [(9, Verdict.WARNING), (10, Verdict.FINE)])
def test_the_balance_of_the_classes(rare, verdict):
    targets = torch.cat([torch.arange(3).repeat(100), torch.full((rare,), 3)])
    finding = found((rows(300 + rare, 1)[0], targets), rows(100, 2))[BALANCE]
    assert finding.verdict is verdict
    assert finding.evidence == f"{rare} of the rarest in train, 100 of the commonest"


def test_numbers_that_are_not_finite():
    (inputs, _), (others, _) = rows(200, 1), rows(100, 2)
    inputs[3, 1] = math.nan
    targets, other_targets = inputs[:, 0].clone(), others[:, 0].clone()
    other_targets[:2] = math.inf
    findings = found((inputs, targets), (others, other_targets), Numbers())
    assert findings[FINITE].verdict is Verdict.WRONG
    assert findings[FINITE].evidence == "1 rows of train's inputs, 2 rows of validation's targets"
    assert findings[SCALE].verdict is findings[ALIKE].verdict is findings[LABELS].verdict is Verdict.SKIPPED


@pytest.mark.parametrize(("n", "verdict"), [(3, Verdict.FINE), (4, Verdict.WARNING), (6, Verdict.WRONG)])
def test_inputs_that_do_not_vary(n, verdict):
    inputs, targets = rows(200, 1)
    inputs[:, :n] = 0.5
    finding = found((inputs, targets), rows(100, 2))[CONSTANT]
    assert (finding.verdict, finding.evidence) == (verdict, f"{n} of 6")


@pytest.mark.parametrize(("scale", "offset"), [(255.0, 0.0), (0.01, 0.0), (1.0, 3.0)])
def test_inputs_that_are_not_normalised(scale, offset):
    (inputs, targets), (others, other_targets) = rows(400, 1), rows(100, 2)
    findings = found((inputs * scale + offset, targets), (others * scale + offset, other_targets))
    assert findings[SCALE].verdict is Verdict.WARNING
    assert "not normalised" in findings[SCALE].remedy
    assert findings[ALIKE].verdict is Verdict.FINE

    class Preparing(Kinds):
        def prepare(self, inputs):
            return (inputs - offset) / scale

    findings = found((inputs * scale + offset, targets), (others * scale + offset, other_targets), Preparing())
    assert findings[SCALE].verdict is Verdict.FINE


@pytest.mark.parametrize(("scale", "offset"), [(1.6, 0.0), (1.0, 0.5)])
def test_splits_that_are_prepared_differently(scale, offset):
    others, targets = rows(300, 2)
    finding = found(rows(1000, 1), (others * scale + offset, targets))[ALIKE]
    assert finding.verdict is Verdict.WARNING
    assert "standard deviation" in finding.evidence


@pytest.mark.parametrize("seed", range(20))
def test_small_splits_of_the_same_data_are_alike(seed):
    assert found(rows(60, 2 * seed + 100), rows(8, 2 * seed + 101))[ALIKE].verdict is Verdict.FINE


def test_tokens_have_no_scale():
    tokens = torch.randint(50, (90, 12))
    findings = found((tokens[:60], tokens[:60] % 4), (tokens[60:], tokens[60:] % 4))
    assert findings[SCALE].verdict is findings[ALIKE].verdict is Verdict.SKIPPED
    assert findings[FINITE].verdict is Verdict.FINE


def test_a_dataset_is_sampled_and_the_evidence_says_so():
    inputs, targets = rows(SAMPLE + 500, 1)
    validation = TensorDataset(inputs[:100], targets[:100])
    findings = found(TensorDataset(inputs, targets), validation)
    assert findings[SHARED].verdict is Verdict.WRONG
    note = f"({SAMPLE:,} of {SAMPLE + 500:,} rows of train looked at)"
    assert all(note in findings[check].evidence for check in (SHARED, REPEATED, LABELS, FINITE, CONSTANT, SCALE))
    assert "of validation looked at" not in findings[SHARED].evidence


class Ragged(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, row):
        return torch.zeros(row + 1), row


def test_rows_of_a_dataset_that_make_no_batch():
    with pytest.raises(DataError, match="train Dataset do not make a batch"):
        found(Ragged(), rows(10, 1))


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ((torch.zeros(0, 6), torch.zeros(0)), "0 inputs and 0 targets"),
        ((torch.zeros(5, 6), torch.zeros(4)), "5 inputs and 4 targets"),
        (TensorDataset(torch.zeros(0, 6)), "train"),
    ],
)
def test_splits_without_rows(train, says):
    with pytest.raises(DataError, match=says):
        found(train, rows(10, 1))


def test_a_few_rows_are_not_told_apart():
    others, targets = rows(3, 2)
    assert found(rows(1000, 1), (others + 5, targets))[ALIKE].verdict is Verdict.FINE
