"""A study whose files are in an object store, as a person meets it: mistakes, claims, logs, old checkpoints."""

from __future__ import annotations

from contextlib import closing

import pytest
from s3_server import CREDENTIALS, SECRET
from workplace import Workplace

import tuner
from tuner.errors import SpecError, UserMistake
from tuner.spec import StudySpec
from tuner.storage import check_url, open_storage
from tuner.store import open_store
from tuner.workflows.claims import claim, owns
from tuner.workflows.removal import Removal

MINIMAL = {"study": "demo", "objective": "a:b", "metric": {"name": "loss"}, "space": {"x": {"float": [0, 1]}}}


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def storage_option(url):
    return ["--set", f'storage="{url}"']


REFUSED = {
    "a password": ("s3://me:hunter2@bucket/x", "has credentials in it, got s3://...@bucket/x"),
    "a key alone": ("s3://hunter2@bucket/x", "has credentials in it, got s3://...@bucket/x"),
    "a key behind the question mark": (
        "s3://bucket/x?secret_key=hunter2",
        "'secret_key' cannot be set in s3://bucket/x",
    ),
    "a token": ("abfs://c@account.dfs.core.windows.net/x?sas_token=hunter2", "'sas_token' cannot be set"),
    "an azure key": ("abfs://c:hunter2@account.dfs.core.windows.net/x", "has credentials in it"),
    "no bucket": ("s3:///x", "names no bucket"),
    "no such scheme": ("s3n://bucket/x", "Did you mean 's3'?"),
    "a writing that can be seen half": ("hdfs://host/x", "hdfs:// is no object store that is known"),
    "a fragment": ("s3://bucket/x#1", "has a '#'"),
    "a file on a host": ("file://host/x", "must be an absolute folder of this machine"),
    "no url": ("s3://[bucket/x", "is no URL"),
}


@pytest.mark.parametrize(("url", "said"), REFUSED.values(), ids=REFUSED)
def test_a_url_that_cannot_be_is_refused_before_it_is_written_down(place, url, said):
    with pytest.raises(SpecError) as caught:
        StudySpec.from_dict(MINIMAL | {"storage": url})
    assert caught.value.path == "storage"
    assert said in str(caught.value)
    _, err = place.tune("run", "spec.yaml", *storage_option(url), code=2)
    assert "storage: " in err
    assert "hunter2" not in err + str(caught.value)
    assert not (place.folder / "runs").exists()


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/a/b/?region=eu-west-1&endpoint_override=localhost:9000&scheme=http",
        "gs://bucket/x?project_id=me",
        "gs://anonymous@bucket/x",
        "abfs://container@account.dfs.core.windows.net/x",
        "file:///data/runs",
    ],
)
def test_urls_that_can_be(url):
    check_url(url)
    assert StudySpec.from_dict(MINIMAL | {"storage": url}).storage == url


def test_a_file_url_is_a_folder(place):
    place.tune("run", "spec.yaml", "--trials", "2", *storage_option(f"file://{place.folder}/a%20b"))
    assert (place.folder / "a b" / "demo" / "0" / "log.txt").exists()


def test_a_store_that_cannot_be_used_is_one_message_and_nothing_is_written(place, s3, monkeypatch):
    away = "s3://bucket/x?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1"
    for url, said in {s3.url("x", bucket="other"): "there is no 'other'", away: "cannot be used"}.items():
        _, err = place.tune("run", "spec.yaml", *storage_option(url), code=2)
        assert f"storage {url.split('?')[0]}" in err
        assert said in err
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _, err = place.tune("run", "spec.yaml", *storage_option(s3.url("y")), code=2)
    assert "cannot be used" in err
    assert "AWS_ACCESS_KEY_ID" in err
    assert not (place.folder / "runs").exists()
    assert s3.objects == {}


def test_one_that_lets_nothing_be_written_leaves_no_study(place, s3):
    s3.refusing = 403
    _, err = place.tune("run", "spec.yaml", *storage_option(s3.url("x")), code=2)
    assert "cannot be used" in err
    assert place.json("list") == []


@pytest.fixture
def done(place, s3):
    place.tune("run", "spec.yaml", *storage_option(s3.url("some/where")))
    return place


def test_a_study_leaves_in_the_store_what_it_would_in_a_folder(done, s3, tmp_path_factory):
    beside = Workplace(tmp_path_factory.mktemp("beside"))
    beside.tune("run", "spec.yaml")
    folder = beside.folder / "runs" / "demo"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    there = {key.removeprefix("some/where/demo/") for key in s3.objects}
    assert {name for name in there if not name.startswith(".study/")} == files - {".study"}
    assert done.story("demo") == beside.story("demo")
    assert not (done.folder / "runs" / "demo").exists()


def test_no_secret_is_written_anywhere(done, s3):
    out, err = done.tune("show", "demo")
    written = b"".join(path.read_bytes() for path in (done.folder / "runs").rglob("*") if path.is_file())
    assert SECRET not in out + err
    assert SECRET.encode() not in written + b"".join(s3.objects.values())


def test_logs_and_checkpoints_are_read_from_where_they_are(done, s3, monkeypatch):
    out, _ = done.tune("trial", "demo", "0", "--log")
    assert out.count("epoch") == done.json("show", "demo")["trials"][0]["resource"]
    shown = done.json("trial", "demo", "0")
    assert shown["log"] == s3.url("some/where/demo/0/log.txt")
    monkeypatch.chdir(done.folder)
    study = tuner.study("demo")
    best = study.best
    assert study.load_checkpoint(best.number, "last")["sum"] == best.metrics["sum"]
    with pytest.raises(UserMistake, match="has no folder: its files are in s3://"):
        _ = study.folder
    s3.refusing = 403
    _, err = done.tune("trial", "demo", "0", "--log", code=1)
    assert "cannot be read" in err
    s3.refusing = 0
    study.storage.remove("0/log.txt")
    assert "has no log at s3://" in done.tune("trial", "demo", "0", "--log")[0]


def test_delete_removes_the_studys_own_files_alone(done, s3):
    beside = open_storage(s3.url("some/where/demo-2"))
    beside.write("0/mine", b"x")
    out, _ = done.tune("delete", "demo", "--yes")
    assert "deleted demo" in out
    assert list(s3.objects) == ["some/where/demo-2/0/mine"]


def test_two_stores_never_mix_their_files(done, s3):
    before = dict(s3.objects)
    url = s3.url("some/where")
    _, err = done.tune("run", "spec.yaml", "--store", "other.db", *storage_option(url), code=2)
    assert "holds the files of a study 'demo' of another store" in err
    with closing(open_store(done.folder / "other.db")) as other:
        assert "demo" not in other.names()
        other.create(StudySpec.from_dict(MINIMAL | {"storage": url}))
    out, _ = done.tune("delete", "demo", "--yes", "--store", "other.db")
    assert "stays, as it is not marked as this study's" in out
    assert s3.objects == before


def test_of_two_that_claim_at_once_not_both_win(tmp_path, s3, monkeypatch):
    records = []
    for name in ("one", "two"):
        with closing(open_store(tmp_path / f"{name}.db")) as store:
            records.append(store.create(StudySpec.from_dict(MINIMAL)))
    place = s3.url("x/demo")
    write, first = type(open_storage(place)).write, []

    def write_after_the_other(storage, name, data):
        if not first:
            first.append(name)
            claim(records[1], place)  # between the first one's look and its claim
        write(storage, name, data)

    monkeypatch.setattr(type(open_storage(place)), "write", write_after_the_other)
    with pytest.raises(UserMistake, match="was just taken by a study 'demo' of another store"):
        claim(records[0], place)
    assert [owns(record, place) for record in records] == [False, True]
    claim(records[1], place)


def test_a_place_with_something_else_is_not_taken(tmp_path, s3):
    with closing(open_store(tmp_path / "one.db")) as store:
        record = store.create(StudySpec.from_dict(MINIMAL))
    open_storage(s3.url("x/demo")).write("thesis.pdf", b"x")
    with pytest.raises(UserMistake, match="holds files of something else"):
        claim(record, s3.url("x/demo"))
    assert list(s3.objects) == ["x/demo/thesis.pdf"]


def test_old_checkpoints_that_cannot_be_removed_are_told_at_the_end(s3):
    storage = open_storage(s3.url("x"))
    for name in ("a", "b"):
        storage.write(name, b"")
    removal = Removal(storage)
    removal.remove(["a"])
    removal.finish()
    assert storage.names() == ["b"]
    s3.refusing = 403
    removal = Removal(storage)
    removal.remove(["b"])
    with pytest.warns(RuntimeWarning, match="1 old checkpoints are still there, such as s3://bucket/x/b"):
        removal.finish()


FILES = '''
def curve(config, trial):
    """Keeps a line for every segment in a file, hands a second one from segment to segment, and may lose the store."""
    steps, baton = trial.folder / "sub" / "steps", trial.folder / f"baton-{trial.start}"
    steps.parent.mkdir(exist_ok=True)
    assert baton.exists() == (trial.start > 0)
    baton.unlink(missing_ok=True)
    for epoch in range(trial.start + 1, trial.until + 1):
        print("epoch", epoch)
        with steps.open("a") as file:
            file.write(f"{epoch}\\n")
        if epoch == trial.until:
            (trial.folder / f"baton-{epoch}").touch()
        trial.report(epoch, checkpoint={}, loss=config["x"])
'''


def test_what_a_trial_writes_is_there_in_its_next_segment(place, s3):
    (place.folder / "thing.py").write_text(FILES)
    place.tune("run", "spec.yaml", *storage_option(s3.url("x")))
    storage = open_storage(s3.url("x/demo"))
    trials = place.json("show", "demo")["trials"]
    assert max(trial["segments"] for trial in trials) > 2
    for trial in trials:
        number, resource = trial["number"], trial["resource"]
        assert storage.read(f"{number}/sub/steps").split() == [b"%d" % epoch for epoch in range(1, resource + 1)]
        log = storage.read(f"{number}/log.txt").decode()
        assert (log.count("--- "), log.count("epoch")) == (trial["segments"], resource)
        assert [name for name in storage.names(str(number)) if "baton" in name] == [f"{number}/baton-{resource}"]


def test_a_trial_that_cannot_keep_its_checkpoint_has_failed_and_says_why(tmp_path, s3, monkeypatch):
    def objective(config, trial):
        for epoch in range(trial.start + 1, trial.until + 1):
            s3.refusing = 403 if trial.number == 1 else 0
            try:
                trial.report(epoch, checkpoint={"epoch": epoch}, loss=config["x"])
            finally:
                s3.refusing = 0

    monkeypatch.chdir(tmp_path)
    study = tuner.run(
        objective,
        study="demo",
        space={"x": tuner.Float(0, 1)},
        metric="loss",
        budget=tuner.Budget(trials=3),
        executor="local",
        storage=s3.url("x"),
    )
    states = [(trial.number, trial.state.value) for trial in study.trials if trial.state.value == "failed"]
    assert states == [(1, "failed")]
    failure = study.trial(1).failure
    assert failure is not None
    assert "cannot write the checkpoint" in failure.message
    assert "s3://bucket/x/demo/1/" in failure.message
    assert "cannot write the checkpoint" in study.storage.read("1/log.txt").decode()
