"""The tables of settings in docs/trainer.md, from tuner/training/settings.py.

python docs/settings_table.py            # prints them; --write puts them into the page
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tuner.training.settings import groups

PAGE = Path(__file__).with_name("trainer.md")
BEGIN, END = "<!-- settings: python docs/settings_table.py --write -->\n", "<!-- end of settings -->\n"
HUGE = 10**12
"""A bound that is there only to keep numbers sane, and tells a reader nothing."""


def tables() -> str:
    """One Markdown table for each group of settings, under its name and its docstring."""
    return "\n".join(_table(name, group.model_json_schema(), group.__doc__ or "") for name, group in groups().items())


def _table(name: str, schema: dict[str, Any], doc: str) -> str:
    head = [
        f"### {name.capitalize()}",
        "",
        doc.splitlines()[0],
        "",
        "| setting | kind | default | |",
        "|---|---|---|---|",
    ]
    rows = [
        f"| `{setting}` | {_kind(field)} | {_default(field)} | {field.get('description', '')} |"
        for setting, field in schema["properties"].items()
    ]
    return "\n".join([*head, *rows, ""])


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(field["enum"])
    word = {"integer": "whole", "number": "number", "boolean": "true, false", "string": "text", "null": "null"}
    bounds = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    told = [f"{sign} {field[key]:g}" for key, sign in bounds.items() if key in field and field[key] < HUGE]
    return ", ".join([" ".join([word[field["type"]], *told[:1]]), *told[1:]])


def _default(field: dict[str, Any]) -> str:
    default = field["default"]
    return default if isinstance(default, str) else json.dumps(default)


def with_tables(page: str) -> str:
    """`page` with its settings replaced by what they are now."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(with_tables(PAGE.read_text()))
    else:
        print(tables())
