"""The page Control: who may steer, what is posted, what is refused, and that nothing of it can be got around."""

from __future__ import annotations

import pytest
import studies
from streamlit.testing.v1 import AppTest

from app import gate, steering
from tuner.errors import UserMistake
from tuner.records import Command, CommandKind, StudyEnded
from tuner.store import StudyState
from tuner.tokens import TOKEN

SECRET = "correct-horse-battery"


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv(TOKEN, SECRET)


@pytest.fixture
def name(store):
    """A study that somebody runs: 6 trials, two of them still going."""
    return running(store)


def running(store):
    spec = studies.spec_of("live")
    reports = {number: [studies.trained(number, epoch) for epoch in (1, 2, 3)] for number in range(6)}
    states = ["running", "running", "pruned", "pruned", "pruned", "paused"]
    trials = [
        studies.summary_of(spec, number, reports[number], state=studies.TrialState(states[number]))
        for number in range(6)
    ]
    return studies.write(store, spec, trials, reports, running=True)


@pytest.fixture
def entered(shown, token):
    """The page, of a session that has given the token."""

    def enter(study, **address):
        page = shown("control", study=study, **address)
        page.text_input[0].input(SECRET)
        page.button[0].click()
        page.run()
        assert not page.exception
        return page

    return enter


def press(page, key):
    page.button(key=key).click()
    page.run()
    assert not page.exception, page.exception[0].stack_trace
    return page


def posted(store, name):
    return [(each.command.kind.value, each.command.trial, each.command.author) for each in store.commands(name)]


def test_without_a_token_the_page_says_how_to_start_it_with_one(shown, store, name, monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    page = shown("control", study=name)
    assert "--token-file" in page.info[0].value
    assert TOKEN in page.info[0].value
    assert not page.button
    assert not page.text_input


def test_a_token_that_will_not_do_is_no_token(shown, store, name, monkeypatch):
    monkeypatch.setenv(TOKEN, "short")
    with pytest.raises(UserMistake, match="at least 16"):
        steering.gate()


def test_nobody_steers_without_the_token(shown, token, store, name):
    page = shown("control", study=name)
    assert [button.label for button in page.button] == ["Enter"]
    assert page.text_input[0].proto.type == page.text_input[0].proto.PASSWORD
    page.text_input[0].input("wrong-horse-battery")
    page.button[0].click()
    page.run()
    assert "not the token" in page.error[0].value
    assert [button.label for button in page.button] == ["Enter"]
    assert posted(store, name) == []


def test_wrong_tokens_make_all_wait(shown, token, name, monkeypatch):
    # A second would be over on a busy machine before the next token is typed.
    monkeypatch.setattr(gate.Gate, "_wait", lambda self: 0.0 if self._n_wrong < gate.FREE else gate.LONGEST)
    page = shown("control", study=name)
    for _ in range(gate.FREE + 1):
        page.text_input[0].input("wrong-horse-battery")
        page.button[0].click()
        page.run()
    assert "not looked at" in page.error[0].value
    page = shown("control", study=name)
    page.text_input[0].input(SECRET)
    page.button[0].click()
    page.run()
    assert "not looked at" in page.error[0].value, "nor is the right one, of another session"


def test_the_token_stays_in_the_session_and_out_of_everything_else(entered, store, name, capfd, caplog, tmp_path):
    page = press(entered(name), "pause study")
    assert SECRET not in str(page.query_params)
    assert SECRET not in repr(page.session_state), "what is kept is a pass, not the token"
    assert SECRET not in str(page.main) + caplog.text + "".join(capfd.readouterr())
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


def test_another_session_does_not_come_in_with_the_first(entered, shown, store, name):
    entered(name)
    other = shown("control", study=name)
    assert [button.label for button in other.button] == ["Enter"]


def test_asking_is_refused_to_a_session_without_the_token(entered, store, name):
    """Whatever it is that calls: the check is where the store is opened for writing."""
    entered(name)

    def script():
        import streamlit as st

        from app import steering
        from tuner.errors import UserMistake
        from tuner.records import Command, CommandKind

        st.session_state["pass of the page Control"] = True  # a guess
        try:
            steering.ask("live", "eve", [Command(CommandKind.STOP, "eve")])
        except UserMistake as error:
            st.text(error.message)

    page = AppTest.from_function(script).run()
    assert [text.value for text in page.text] == ["this session may only read"]
    assert posted(store, name) == []


def test_who_leaves_has_to_come_in_again(entered, store, name):
    page = entered(name)
    next(button for button in page.button if button.label == "Leave").click()
    page.run()
    assert [button.label for button in page.button] == ["Enter"]


def test_a_study_is_paused_and_goes_on_and_is_stopped(entered, store, name):
    page = entered(name)
    page.text_input(key="who").input("anna")
    page.run()
    press(page, "pause study")
    assert "Posted, number 1" in page.success[0].value
    press(page, "stop study")
    assert posted(store, name) == [("pause", None, "anna (explorer)"), ("stop", None, "anna (explorer)")]
    table = page.dataframe[-1].value
    assert table["what"].tolist() == ["stop the study", "pause the study"]
    assert table["waited"].tolist() == ["not yet", "not yet"]


def test_a_paused_study_can_be_unpaused_alone(entered, store):
    spec = studies.spec_of("rests")
    store.create(spec)
    writer = store.write("rests")
    number = store.post("rests", Command(CommandKind.PAUSE, "bo"))
    writer.append([studies.commanded(CommandKind.PAUSE, "bo", number)])
    page = entered("rests")
    assert store.study("rests").state is StudyState.PAUSED
    assert "pause study" not in [button.key for button in page.button]
    press(page, "unpause study")
    assert posted(store, "rests")[-1][:2] == ("unpause", None)
    assert page.dataframe[-1].value["waited"].tolist()[0] == "not yet"
    assert page.dataframe[-1].value["waited"].tolist()[1].startswith("after ")


def test_trials_are_steered_by_number(entered, store, name):
    page = entered(name, trials="0, 5")
    assert any("0 is running, 5 is paused" in caption.value for caption in page.caption)
    for kind in ("pause", "unpause", "stop"):
        press(page, f"{kind} trials")
    assert [each[:2] for each in posted(store, name)] == [
        (kind, trial) for kind in ("pause", "unpause", "stop") for trial in (0, 5)
    ]


def test_what_is_in_vain_is_one_message_and_nothing_is_posted(entered, store, name):
    page = entered(name, trials="0, 2")
    press(page, "stop trials")
    assert "trial 2 of study" in page.error[0].value
    assert "pruned already" in page.error[0].value
    assert posted(store, name) == [], "of trial 0 neither"
    page = entered(name, trials="77")
    assert "no trial 77" in page.error[0].value
    assert "stop trials" not in [button.key for button in page.button]


@pytest.mark.parametrize("key", ["pause study", "stop study"])
def test_a_study_that_nobody_runs_is_not_steered(entered, store, key):
    name = studies.no_trials(store)
    page = press(entered(name), key)
    assert "nobody runs study" in page.error[0].value
    assert posted(store, name) == []


def test_a_study_that_has_ended_says_so(entered, store):
    name = studies.ordinary(store)
    page = entered(name)
    assert "has ended" in page.info[0].value
    assert [button.label for button in page.button] == ["Leave"]


def test_a_study_that_ended_a_moment_ago_is_refused(entered, store):
    name = "ends"
    store.create(studies.spec_of(name))
    writer = store.write(name)
    page = entered(name)
    writer.append([StudyEnded("all is done")])
    writer.release()
    press(page, "stop study")
    assert "has ended" in " ".join(element.value for element in [*page.error, *page.info])
    assert posted(store, name) == []


@pytest.mark.parametrize("who", ["", "   ", "anna\u202eeve", "a\x00b"])
def test_a_name_that_is_none_is_refused(entered, store, name, who):
    page = entered(name)
    page.text_input(key="who").set_value(who)
    page.run()
    press(page, "pause study")
    assert "a name is 1 to 60 characters" in page.error[0].value
    assert posted(store, name) == []


def test_markup_in_a_name_stays_text(entered, shown, store, name):
    planted = "<img src=x onerror=alert(1)> [x](javascript:alert(1))"
    page = entered(name)
    page.text_input(key="who").input(planted)
    page.run()
    press(page, "pause study")
    assert posted(store, name) == [("pause", None, f"{planted} (explorer)")]
    assert page.dataframe[-1].value["author"].tolist() == [f"{planted} (explorer)"]  # a table knows no markup
    for shown_page in (page, shown("study", study=name, section="Events")):
        for kind in ("markdown", "caption", "info", "error", "success", "title"):
            for element in shown_page.get(kind):
                assert "<img" not in element.value
                assert "[x](" not in element.value


def test_markup_in_a_space_stays_text(entered, store):
    script, link = "<script>alert(1)</script>", "[x](javascript:alert(1))"
    space = {f"a {link}": {"float": [0.0, 1.0]}, "kind": {"choice": [script, link]}}
    store.create(studies.spec_of("planted", space=space, fixed={}))
    page = entered("planted")
    page.text_input(key=f"enqueue planted a {link}").input(f"{script}{link}")
    page.run()
    labels = [element.label for element in [*page.text_input, *page.selectbox]]
    told = [element.value for kind in ("error", "caption", "markdown") for element in page.get(kind)]
    helps = [element.help for element in page.text_input]
    for text in [*labels, *told, *helps]:
        assert script not in text
        assert link not in text
    assert len(page.error) == 1


def test_a_link_to_a_study_leads_to_it_by_way_of_the_token(entered, store, name):
    studies.ordinary(store)  # the last one is the one that pages open on
    page = entered(name)
    assert page.sidebar.selectbox[0].value == name
    assert "pause study" in [button.key for button in page.button]


# The form.


def field(page, axis):
    return next(
        (
            element
            for element in [*page.text_input, *page.selectbox, *page.checkbox]
            if element.key == f"enqueue live {axis}"
        ),
        None,
    )


def test_a_configuration_is_enqueued(entered, store, name):
    page = entered(name)
    field(page, "lr").input("3e-3")
    field(page, "optimizer").set_value(0)
    page.run()
    field(page, "momentum").input("0.5")
    field(page, "layers").input("2")
    page.run()
    next(button for button in page.button if button.label == "Enqueue").click()
    page.run()
    assert not page.error, page.error[0].value
    (command,) = store.commands(name)
    expected = {"lr": 3e-3, "optimizer": "sgd", "momentum": 0.5, "layers": 2, "batch_size": 32}
    assert {axis: command.command.config[axis] for axis in expected} == expected
    assert list(command.command.config) == ["batch_size", "lr", "clip_norm", "optimizer", "momentum", "layers"]


def test_fields_begin_with_the_best_trial(entered, store, name):
    page = entered(name)
    best = min(store.trials(name), key=lambda trial: (-trial.resource, trial.value))
    assert float(field(page, "lr").value) == pytest.approx(best.config["lr"])
    assert field(page, "layers").value == str(best.config["layers"])


def test_a_field_begins_with_a_value_of_its_axis_however_narrow_that_is(entered, store):
    store.create(studies.spec_of("live", space={"lr": {"float": [1 / 3, 1 / 3 + 1e-9]}}, fixed={}))
    page = entered("live")
    assert not page.error
    assert 1 / 3 <= float(field(page, "lr").value) <= 1 / 3 + 1e-9


def test_fields_stay_when_another_trial_becomes_the_best(entered, store):
    spec = studies.spec_of("live")
    store.create(spec)
    writer = store.write("live")
    page = entered("live")
    before = field(page, "lr").value
    report = studies.trained(0, 1)
    writer.append([], [studies.summary_of(spec, 0, [report])])
    page.run()
    assert field(page, "lr").value == before


def test_an_axis_under_a_condition_comes_and_goes(entered, name):
    page = entered(name)
    field(page, "optimizer").set_value(1)  # adamw
    page.run()
    assert field(page, "momentum") is None
    field(page, "optimizer").set_value(0)
    page.run()
    assert field(page, "momentum") is not None


def test_an_axis_that_may_be_off(entered, store, name):
    page = entered(name)
    page.checkbox(key="enqueue live clip_norm: off").check()
    page.run()
    assert field(page, "clip_norm") is None
    next(button for button in page.button if button.label == "Enqueue").click()
    page.run()
    assert store.commands(name)[0].command.config["clip_norm"] is None


@pytest.mark.parametrize(
    ("axis", "text", "said"),
    [
        ("lr", "fast", "a number is needed"),
        ("lr", "7", "not a value of the axis"),
        ("lr", "nan", "a finite number"),
        ("lr", "", "a number is needed"),
        ("layers", "2.5", "a number is needed"),
        ("layers", "inf", "a number is needed"),
        ("layers", "9", "A whole number from 1 to 4"),
    ],
)
def test_a_mistake_is_told_at_its_field_and_nothing_can_be_posted(entered, name, axis, text, said):
    page = entered(name)
    field(page, axis).input(text)
    page.run()
    assert len(page.error) == 1
    assert said in page.error[0].value.replace("\\", "")
    assert next(button for button in page.button if button.label == "Enqueue").disabled


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(entered, store, make):
    entered(make(store))


def test_a_table_of_what_was_asked_before_there_was_anybody(entered, store):
    name = studies.no_trials(store)
    store.post(name, Command(CommandKind.ENQUEUE, "", config=dict(studies.config_of(0))))
    assert entered(name).dataframe[-1].value["author"].tolist() == ["somebody"]
