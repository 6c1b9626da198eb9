"""Specs in files: what is read, where a mistake is said to be, and what is refused."""

import pytest

from tuner.errors import SpecError
from tuner.spec import apply_override, load_spec
from tuner.spec.yaml_nodes import read_yaml

GOOD = """\
objective: m:f
metric: {name: val_loss}
space:
  lr:
    float: [1e-5, 1]
    log: true
  kind: {choice: [on, off, yes, 1_000, 2024-01-01]}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(content, *overrides, name="mnist.yaml"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_spec(tmp_path / name, overrides)

    return write_and_load


def test_a_file_is_a_spec(load):
    spec = load(GOOD)
    assert spec.study == "mnist"
    assert spec.axes["lr"].low == 1e-5
    assert spec.axes["kind"].values == ("on", "off", "yes", "1_000", "2024-01-01")
    assert load("study: other\n" + GOOD).study == "other"
    assert load(b"\xef\xbb\xbf" + GOOD.encode()) == spec


def test_scalars_are_those_of_yaml_1_2():
    text = "[1e-3, 1E3, -.5, 2., .inf, 010, 0x1F, 0o17, true, No, ~, null, '', -, 12e, !!str 1, !!float 1]"
    assert read_yaml(text.replace(" -,", " '-',"), "x")[0] == [
        1e-3, 1e3, -0.5, 2.0, float("inf"), 10, 31, 15, True, "No", None, None, "", "-", "12e", "1", 1.0,
    ]  # fmt: skip


def test_anchors_and_merge_keys(load):
    spec = load(GOOD + "  a: &a {int: [1, 4], none: true}\n  b: {<<: *a, none: false, prior: 2}\n  c: *a\n")
    assert spec.axes["b"].prior == 2
    assert not spec.axes["b"].none
    assert spec.axes["c"] == spec.axes["a"]


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

FILES = [
    (GOOD + "metric: {name: x}\n", 8, "'metric' is there twice, first on line 2", "Keep one"),
    (GOOD + "  lr: {float: [0, 1]}\n", 8, "'lr' is there twice, first on line 4", "Keep one"),
    (GOOD.replace("[1e-5, 1]", "[1, 1e-5]"), 5, "space.lr.float: low must be below high, got [1.0, 1e-05]", "Write"),
    (GOOD.replace("log: true", "log: 1"), 6, "space.lr.log: must be true or false, got 1", ""),
    (GOOD.replace("    log", "\tlog"), 6, "a tab", "Indent with spaces"),
    (GOOD.replace("{name", "{nmae"), 2, "metric.nmae: unknown key, got 'nmae'", "Did you mean 'name'?"),
    (GOOD.encode() + b"study: caf\xe9\n", 8, "byte 0xe9 is not UTF-8", "Save it as UTF-8"),
    (GOOD + "seed: \0\n", 8, "U+0000", "Remove"),
    (GOOD + "fixed: {a: [1}\n", 8, "expected ',' or ']', but got '}' (column 14)", "Here"),
    (GOOD + "a: b: c\n", 8, "mapping values are not allowed here", "Here"),
    (GOOD + "---\nb: 1\n", 8, "expected a single document", "Here"),
    (GOOD + "fixed: {a: *nope}\n", 8, "undefined alias 'nope'", "Here"),
    (GOOD + "fixed: {1: 2}\n", 8, "fixed: a key must be text, got 1", 'Quote it: "1"'),
    (GOOD + "fixed: {[1]: 2}\n", 8, "fixed: a key must be text, got a list", "text"),
    (GOOD + "fixed: {a: !!python/object/apply:os.getcwd []}\n", 8, "fixed.a: the tag", "Remove it"),
    (GOOD + "fixed: {a: !!int x}\n", 8, "fixed.a: 'x' is no int", "Quote"),
    (GOOD + f"seed: {'1' * 5000}\n", 8, "seed: '111", "Quote"),
    (GOOD + f"seed: {10**30}\n", 8, "seed: must be a whole number", "below"),
    (GOOD + "fixed: &f {a: *f}\n", 8, "contains itself", "Write the values out"),
    ("a: " + "[" * 1000, 1, "nested deeper than 50", "Here"),
    (ALIASES, None, "aliases expand to more than 200,000 values", "Write out"),
    ("- 1\n- 2\n", 1, "must be a mapping, got [1, 2]", "tune schema"),
    ("just text", 1, "must be a mapping, got 'just text'", "tune schema"),
    ("", None, "the file is empty", "objective, metric and space"),
    ("# a comment\n", None, "the file is empty", "objective, metric and space"),
    ("a" * 10_000_000, None, "is too large: 10,000,000 bytes", "a page"),
    (GOOD.replace("metric: {name: val_loss}\n", ""), None, "metric: is missing, got", "What is optimised"),
]


@pytest.mark.parametrize(("content", "line", "message", "remedy"), FILES, ids=[message for _, _, message, _ in FILES])
def test_a_mistake_in_a_file_is_placed(load, tmp_path, content, line, message, remedy):
    with pytest.raises(SpecError) as caught:
        load(content)
    place = f"{tmp_path / 'mnist.yaml'}:{line}: " if line else f"{tmp_path / 'mnist.yaml'}: "
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)
    assert remedy in str(caught.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "mnist.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match=r"mnst.yaml: no such file\n  Did you mean 'mnist.yaml'"):
        load_spec(tmp_path / "mnst.yaml")
    with pytest.raises(SpecError, match="no such file\n  There is no YAML file in"):
        load_spec(tmp_path / "nowhere" / "a.yaml")
    with pytest.raises(SpecError, match="is a directory"):
        load_spec(tmp_path)
    with pytest.raises(SpecError, match="not a regular file"):
        load_spec("/dev/zero")


def test_overrides(load):
    spec = load(
        GOOD, "space.lr.log=false", "budget.trials=8", "scheduler.name=none", "space.n={int: [1, 4]}", "fixed.a="
    )
    assert not spec.axes["lr"].log
    assert spec.budget.trials == 8
    assert spec.scheduler.name == "none"
    assert spec.axes["n"].high == 4
    assert spec.fixed == {"a": None}


def test_an_override_leaves_its_data_alone_and_finds_dotted_names():
    data = {"space": {"a.b": {"int": [1, 2]}}}
    assert apply_override(data, "space.a.b.log=true") == {"space": {"a.b": {"int": [1, 2], "log": True}}}
    assert data == {"space": {"a.b": {"int": [1, 2]}}}
    assert apply_override({"budget": None}, "budget.trials=3") == {"budget": {"trials": 3}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "--set seed: must be path=value, got 'seed'\n  For example"),
        ("=3", "--set =3: must be path=value"),
        ("a..b=3", "--set a..b=3: must be path=value"),
        ("fixed.a=[1", "--set fixed.a=[1: fixed.a: the value is not YAML: expected ',' or ']'"),
        (
            "metric.name.x=3",
            "--set metric.name.x=3: metric.name: is not a mapping but 'val_loss'\n  Set metric.name as a",
        ),
        ("seed=-1", "--set seed=-1: seed: must be a whole number of at least 0, got -1"),
        (
            "space.lr.float=[2, 1]",
            "--set space.lr.float=[2, 1]: space.lr.float: low must be below high, got [2.0, 1.0]",
        ),
        ("sampler.nmae=grid", "--set sampler.nmae=grid: sampler.nmae: unknown key"),
    ],
)
def test_a_mistake_in_an_override_names_it(load, override, message):
    with pytest.raises(SpecError) as caught:
        load(GOOD, override)
    assert str(caught.value).startswith(message)
