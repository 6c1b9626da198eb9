"""Control: a study that runs is paused, stopped and given configurations; for those who know the server's token."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import choosing, reading, showing, steering
from app.config_form import config_form
from app.guarding import moving
from tuner.analysis import StudyView, counts
from tuner.analysis.commands import commands_table
from tuner.analysis.picking import FORMS, picked
from tuner.errors import TunerError
from tuner.home import author
from tuner.records import Command, CommandKind, TrialState
from tuner.store import StudyState
from tuner.tokens import FRESH, SHORTEST, TOKEN

LIVE = {StudyState.RUNNING: 2.0, StudyState.PAUSED: 2.0, StudyState.UNFINISHED: 10.0}
"""Seconds between two looks at a study that may go on."""

OPEN = (TrialState.RUNNING, TrialState.WAITING, TrialState.PAUSED)
SHOWN = 20
"""So many trials are named in a sentence."""

ICONS = {
    CommandKind.PAUSE: ":material/pause:",
    CommandKind.UNPAUSE: ":material/play_arrow:",
    CommandKind.STOP: ":material/stop:",
}


def page() -> None:
    """The page."""
    st.title("Control")
    if steering.gate() is None:
        _how_to_start()
        return
    study = choosing.study()
    if study is None:
        return
    if not steering.let_in():
        _ask_for_the_token()
        return
    who = _who()
    moving(_live, LIVE.get(study.record.state))(study.name, study.record.state, who)
    if not study.record.state.ended:
        moving(_enqueue, None)(study.name, who)
    moving(_asked, LIVE.get(study.record.state))(study.name)


def _how_to_start() -> None:
    showing.nothing(
        "This explorer was started without a token: it can read, and steer nothing.",
        f"Put a token of at least {SHORTEST} characters into a file that only you can read, and start it with "
        f"`tune app --token-file FILE`, or with the token in the environment variable `{TOKEN}`. This makes a good one:"
        f"\n\n    {FRESH}\n\nFrom a terminal it goes without: `tune pause STUDY`, `stop`, `unpause`, `enqueue`.",
    )


def _ask_for_the_token() -> None:
    st.caption("Whoever steers a study from here gives the token with which this explorer was started, once a session.")
    with st.form("token", clear_on_submit=True, width=500):
        given = st.text_input("Token", type="password", autocomplete="off")
        sent = st.form_submit_button("Enter")
    if sent:
        try:
            steering.enter(given)
        except TunerError as error:
            st.error(showing.plain(error.message))
        else:
            st.rerun()


def _who() -> str:
    """Who is recorded as the author."""
    left, right, _ = st.columns([2, 1, 3], vertical_alignment="bottom")
    who = left.text_input(
        "Your name", author(), key="who", max_chars=steering.LONGEST_NAME, help="Recorded with what you ask."
    )
    right.button("Leave", icon=":material/logout:", on_click=steering.leave, help="The token has to be given again.")
    return str(who)


def _live(name: str, state: StudyState, who: str) -> None:
    study = reading.view(name)
    if study.record.state is not state:
        st.rerun()  # so that it is looked at as often as it now needs, and the page has what fits
    _standing(study)
    if study.record.state.ended:
        showing.nothing(
            "The study has ended: there is nothing to steer.",
            f"`tune resume {name} --trials N` extends it, from a terminal.",
        )
    else:
        _steer_study(study, who)
        _steer_trials(study, who)
    _answer("study", name)


def _standing(study: StudyView) -> None:
    record = study.record
    state, running, waiting, tried = st.columns(4)
    state.metric("State", record.state.value)
    n = counts(study.trials)
    running.metric("Running", f"{n.get(TrialState.RUNNING, 0):,}")
    waiting.metric("Waiting, or paused", f"{n.get(TrialState.WAITING, 0) + n.get(TrialState.PAUSED, 0):,}")
    tried.metric("Trials", f"{len(study.trials):,}" + (f" of {study.budget.trials:,}" if study.budget.trials else ""))
    where = f"process {record.holder.pid} on {record.holder.host} runs it" if record.holder else "nobody runs it"
    st.caption(showing.plain(where + (f" · {record.reason}" if record.reason else "")))


def _steer_study(study: StudyView, who: str) -> None:
    st.subheader(f"Study {showing.plain(study.name)}")
    paused = study.record.state is StudyState.PAUSED
    kind = CommandKind.UNPAUSE if paused else CommandKind.PAUSE
    rest, stop, _ = st.columns([1, 1, 3])
    if rest.button(f"{kind.capitalize()} the study", icon=ICONS[kind], key=f"{kind} study"):
        _do(study.name, who, [Command(kind, who)])
    with stop.popover("Stop the study", icon=ICONS[CommandKind.STOP]):
        st.write(
            f"{showing.plain(study.name)} ends at the next reports of its trials. `tune resume` with a larger budget "
            "extends it later."
        )
        if st.button("Yes, stop it", type="primary", key="stop study"):
            _do(study.name, who, [Command(CommandKind.STOP, who)])


def _steer_trials(study: StudyView, who: str) -> None:
    st.subheader("Some of its trials")
    picks = picked(choosing.trials("Trials", FORMS), study.trials, study.spec.metric)
    if picks.unknown:
        st.error(showing.plain(f"There is no trial {', '.join(picks.unknown)}. What may be written: {FORMS}"))
    if not picks.numbers:
        running = [str(trial.number) for trial in study.trials if trial.state is TrialState.RUNNING]
        if running:
            st.caption(f"Running: {_some(running)}")
        return
    st.caption(_some([f"{number} is {_how(study, number)}" for number in picks.numbers]))
    columns = st.columns([1, 1, 1, 2])
    for column, kind in zip(columns, (CommandKind.PAUSE, CommandKind.UNPAUSE), strict=False):
        if column.button(f"{kind.capitalize()} them", icon=ICONS[kind], key=f"{kind} trials"):
            _do(study.name, who, [Command(kind, who, trial=number) for number in picks.numbers])
    with columns[2].popover("Stop them", icon=ICONS[CommandKind.STOP]):
        st.write("Each ends at its next report, for good: that cannot be taken back.")
        st.write(f"Trials: {_some([str(number) for number in picks.numbers])}")
        if st.button("Yes, stop them", type="primary", key="stop trials"):
            _do(study.name, who, [Command(CommandKind.STOP, who, trial=number) for number in picks.numbers])


def _how(study: StudyView, number: int) -> str:
    trial = study.trials[number]
    held = trial.reason if trial.state in OPEN else ""
    return showing.plain(f"{trial.state.value}, {held}" if held else trial.state.value)


def _some(words: Sequence[str]) -> str:
    more = f", and {len(words) - SHOWN:,} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def _enqueue(name: str, who: str) -> None:
    study = reading.view(name)
    st.subheader("Try a configuration next")
    st.caption("The fields begin with the best trial's values.")
    config = config_form(study)
    if st.button("Enqueue", icon=":material/playlist_add:", disabled=config is None) and config is not None:
        _do(name, who, [Command(CommandKind.ENQUEUE, who, config=config)], part="configuration")
    _answer("configuration", name)


def _do(name: str, who: str, commands: Sequence[Command], *, part: str = "study") -> None:
    """Ask it, and keep what came of it, to be shown until something else is asked."""
    try:
        numbers = steering.ask(name, who, commands)
    except TunerError as error:
        said = (False, f"{error.message}. {error.hint or ''}")
    else:
        which = f"number {numbers[0]}" if len(numbers) == 1 else f"numbers {numbers[0]} to {numbers[-1]}"
        said = (True, f"Posted, {which}. The list below says when it is taken up.")
    st.session_state[f"answer about the {part} of {name}"] = said


def _answer(part: str, name: str) -> None:
    """What came of what was asked last."""
    fine, text = st.session_state.get(f"answer about the {part} of {name}", (True, ""))
    if text:
        (st.success if fine else st.error)(showing.plain(text))


def _asked(name: str) -> None:
    study = reading.view(name)
    st.subheader("What was asked")
    table = reading.worked_out(commands_table, study)
    if table.empty:
        showing.nothing("Nothing has been asked of this study yet, from here or from a terminal.")
        return
    legible = table.assign(waited=["not yet" if s != s else f"after {showing.duration(s)}" for s in table["waited"]])
    showing.table(
        legible,
        f"{name}-commands",
        hide_index=True,
        column_config={
            "number": st.column_config.NumberColumn("number", width="small"),
            "time": st.column_config.DatetimeColumn("time (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "what": st.column_config.TextColumn("what", width="large"),
            "waited": st.column_config.TextColumn("taken up"),
        },
    )
