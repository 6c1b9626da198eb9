"""A trial that is stuck in the process that runs the study: that process ends, and no report is lost."""

from __future__ import annotations

from workplace import SPEC, Workplace

OBJECTIVE = """
import threading, time

def stuck_once(config, trial):
    marker = trial.folder / "stuck"
    for epoch in range(trial.start + 1, trial.until + 1):
        if (trial.number, epoch) == (1, 3) and not marker.exists():
            marker.touch()
            threading.Timer(0.2, trial.abandon, ["step 3 took more than 0.2 s"]).start()
            time.sleep(600)
        trial.report(epoch, checkpoint={"epoch": epoch}, loss=config["x"] / epoch)
"""


def test_a_stuck_trial_ends_the_process_and_resume_goes_on_from_its_checkpoint(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(OBJECTIVE)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("thing:curve", "thing:stuck_once"))
    scheduler = ["--set", "scheduler={name: none, max_resource: 4}", "--trials", "3"]
    process = place.start("run", "spec.yaml", *scheduler)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: trial 1 is stuck: step 3 took more than 0.2 s" in err
    assert "Nothing that was reported is lost. Go on with: tune resume demo" in err
    assert "abandoned: step 3 took more than 0.2 s" in (place.folder / "runs" / "demo" / "1" / "log.txt").read_text()

    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["running"], shown["counts"]["waiting"]) == ("unfinished", 0, 1)
    assert shown["trials"][1]["resource"] == 2, "also what was reported a moment before, and awaited by nobody"
    assert shown["trials"][1]["failure"] == "step 3 took more than 0.2 s"

    place.tune("resume", "demo")
    shown = place.json("show", "demo")
    assert [trial["state"] for trial in shown["trials"]] == ["complete"] * 3
    reports = place.json("trial", "demo", "1")["reports"]
    assert [(report["segment"], report["resource"]) for report in reports] == [(0, 1), (0, 2), (1, 3), (1, 4)]


def test_without_retries_a_stuck_trial_has_failed_and_the_others_go_on(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(OBJECTIVE)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("thing:curve", "thing:stuck_once"))
    arguments = ["--set", "scheduler={name: none, max_resource: 4}", "--set", "failures.retries=0", "--trials", "3"]
    process = place.start("run", "spec.yaml", *arguments)
    process.communicate(timeout=60)
    assert process.returncode == 1
    place.tune("resume", "demo")
    assert [trial["state"] for trial in place.json("show", "demo")["trials"]] == ["complete", "failed", "complete"]
