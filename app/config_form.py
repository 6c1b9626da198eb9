"""A form for a configuration: a field for each axis that exists in it, and what is wrong beside the field."""

from __future__ import annotations

import math

import streamlit as st

from app import showing
from tuner.analysis import StudyView, best_trial
from tuner.errors import SpecError
from tuner.records import Config, Value
from tuner.space import Axis, Choice, Float, Int, describe

COLUMNS = 3


def config_form(study: StudyView) -> Config | None:
    """What the fields say by now; None while one of them is wrong.

    They begin with the best trial's values. An axis under a condition has a field as long as the fields before it say
    so.
    """
    space = study.spec.space
    start = _start(study)
    columns = st.columns(COLUMNS)
    known: dict[str, Value] = dict(space.fixed)
    config: dict[str, Value] = {}
    right, place = True, 0
    for name, axis in space.items():
        if not space.is_active(name, known):
            continue
        with columns[place % COLUMNS]:
            try:
                config[name] = known[name] = _field(f"enqueue {study.name} {name}", name, axis, start.get(name))
            except SpecError as error:
                st.error(showing.plain(f"{error.message}. {error.hint}"))
                right = False
        place += 1
    return config if right else None


def _start(study: StudyView) -> dict[str, Value]:
    """The values that the fields begin with: of axes that the best trial does not have, the prior or the middle."""
    best = best_trial(study.trials, study.spec.metric)
    middle = {
        name: axis.from_unit(0.5) if axis.prior is None else axis.prior for name, axis in study.spec.space.items()
    }
    return middle | dict(best.config if best is not None else {})


def _field(key: str, name: str, axis: Axis, start: Value) -> Value:
    """What the field says. Raises SpecError if that is not a value of the axis."""
    # Kept, so that it does not change with the best trial under the reader's hands.
    start = st.session_state.setdefault(f"{key}, to begin with", start)
    label = showing.plain(name)
    if isinstance(axis, Choice):
        first = axis.index(start) if axis.contains(start) else 0
        # By place: 1 and true are equal, and both may be there.
        places = range(len(axis.values))
        chosen: int = st.selectbox(label, places, first, key=key, format_func=lambda place: _word(axis.values[place]))
        return axis.values[chosen]
    if axis.none and st.checkbox(f"{label} off", start is None, key=f"{key}: off"):
        return None
    text = str(st.text_input(label, _begun(axis, start), key=key, help=showing.plain(describe(axis))))
    value = _number(text, axis)
    if not axis.contains(value):
        raise SpecError(f"{text.strip()[:40]} is not a value of the axis", hint=describe(axis))
    return value


def _begun(axis: Float | Int, start: Value) -> str:
    """The text that a field begins with: few digits, where they still are a value of the axis."""
    if start is None:
        return f"{axis.low}"
    short = f"{start:.6g}" if isinstance(start, float) else str(start)
    return short if axis.contains(_number(short, axis)) else repr(start)


def _number(text: str, axis: Float | Int) -> float | int:
    try:
        number = float(text)
        if isinstance(axis, Int):
            return int(text) if number != int(number) or abs(number) >= 2**53 else int(number)
    except (ValueError, OverflowError):
        raise SpecError(f"a number is needed, got {text[:40]!r}", hint=describe(axis)) from None
    if not math.isfinite(number):
        raise SpecError(f"a finite number is needed, got {text[:40]!r}", hint=describe(axis))
    return number


def _word(value: Value) -> str:
    return "off" if value is None else str(value)
