"""scikit-learn's digits: how they are split, and that the study's first configuration learns them."""

import numpy as np
import pytest
import torch
from hand_trial import first_config, study_of, trained
from sklearn.datasets import load_digits

from objectives.data import digits as source
from objectives.difficulty import distance_to_class_mean
from objectives.digits import MEAN, STD, Digits
from tuner.errors import SpecError
from tuner.objective import load_objective
from tuner.workflows.fit import check_fit


@pytest.fixture(scope="module")
def splits():
    return Digits().data()


def rows_of(images):
    return {image.tobytes() for image in np.asarray(images, np.uint8).reshape(-1, 64)}


def test_every_image_is_in_one_part_and_every_digit_in_the_same_proportion():
    parts = [source.training_digits(), source.validation_digits(), source.test_digits()]
    together = [image.tobytes() for images, _ in parts for image in images]
    original = load_digits()
    assert sorted(together) == sorted(image.astype(np.uint8).tobytes() for image in original.images)
    for (_, labels), share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert np.bincount(labels) == pytest.approx(share * np.bincount(original.target), abs=2)


def test_the_split_is_for_ever():
    parts = [source.training_digits(), source.validation_digits(), source.test_digits()]
    assert [labels[:10].tolist() for _, labels in parts] == [
        [1, 3, 4, 5, 6, 3, 4, 5, 6, 8],
        [0, 7, 0, 7, 8, 6, 5, 1, 3, 1],
        [0, 2, 7, 8, 9, 1, 2, 6, 9, 0],
    ]


def test_images_and_labels_belong_together(splits):
    original = {
        image.astype(np.uint8).tobytes(): label for image, label in zip(*load_digits(return_X_y=True), strict=True)
    }
    for inputs, targets in (splits.train, splits.validation):
        assert (inputs.dtype, inputs.shape[1:]) == (torch.uint8, (1, 8, 8))
        assert all(
            original[image.numpy().tobytes()] == target for image, target in zip(inputs, targets.tolist(), strict=True)
        )


def test_the_test_images_are_in_neither_split(splits):
    held_out = rows_of(source.test_digits()[0])
    assert len(held_out) == len(source.test_digits()[0]) > 350
    assert not held_out & rows_of(splits.train[0])
    assert not held_out & rows_of(splits.validation[0])


def test_statistics_are_the_training_splits_alone(splits):
    pixels = splits.train[0].double()
    assert (pixels.mean().item(), pixels.std(correction=0).item()) == pytest.approx((MEAN, STD), abs=1e-5)
    prepared = Digits().prepare(splits.train[0])
    assert prepared.mean().item() == pytest.approx(0, abs=1e-5)
    assert prepared.std().item() == pytest.approx(1, abs=1e-3)


def test_difficulty_is_the_distance_to_the_mean_of_the_class(splits):
    inputs, targets = splits.train
    found = Digits().difficulty(inputs, targets)
    assert found.shape == (len(inputs),)
    images, labels = inputs.numpy().reshape(-1, 64).astype(float), targets.numpy()
    for row in (0, 17, len(images) - 1):
        mean = images[labels == labels[row]].mean(0)
        assert found[row].item() == pytest.approx(np.linalg.norm(images[row] - mean), rel=1e-5)


def test_a_class_without_rows_disturbs_nobody():
    inputs, targets = torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 2])
    assert distance_to_class_mean(inputs, targets, 4).tolist() == [1.0, 1.0, 0.0]


def test_a_wrong_value_is_named():
    with pytest.raises(SpecError, match=r"norm: must be one of batch, layer, none, got 'bach'") as error:
        Digits().model({"norm": "bach"})
    assert "Did you mean 'batch'" in str(error.value)


def test_the_studys_first_configuration_reaches_97_percent():
    spec = study_of("digits")
    task = load_objective(spec.objective)
    assert isinstance(task, Digits)
    check_fit(spec, task)
    config, epochs = first_config(spec), spec.scheduler.max_resource
    accuracies = [trained(task, config, epochs, seed)["val_accuracy"] for seed in range(3)]
    assert sorted(accuracies)[1] >= 0.97
