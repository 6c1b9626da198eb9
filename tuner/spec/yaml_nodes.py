"""YAML text as plain data, with the line of every value: safe, YAML 1.2, and one clear SpecError for whatever is wrong.

The scalars are those of YAML 1.2's core schema: only true and false are booleans (on, off, yes and no are text, so that
`{choice: [on, off]}` means what it says), and 1e-3 is a number. Nothing in a file is ever executed: tags other than the
standard scalars, lists and mappings are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tuner.errors import SpecError, shown

MAX_DEPTH = 50
MAX_VALUES = 200_000
"""More values than a file of the allowed size has are values repeated by aliases."""

_TAG = "tag:yaml.org,2002:"

_SCALARS = (
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), "-+0123456789"),
    (
        "float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        "-+.0123456789",
    ),
    ("null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"<<"), "<"),
)


class _Composer(yaml.SafeLoader):
    """PyYAML up to its nodes, which carry lines; what they mean is said below."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  (PyYAML's own attribute)
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def add_resolvers(cls: Any) -> None:
    """Teach a PyYAML loader or dumper which plain scalars are not text."""
    for name, pattern, first in _SCALARS:
        cls.add_implicit_resolver(_TAG + name, re.compile(f"(?:{pattern.pattern})\\Z"), list(first))


add_resolvers(_Composer)


def read_yaml(text: str, source: str) -> tuple[Any, dict[str, str]]:
    """The data of a YAML text, and for every path in it (`space.lr.float[0]`) its place (`source:line`)."""
    reader = _Reader(source)
    try:
        loader = _Composer(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, source) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = error.character if isinstance(error.character, int) else ord(error.character[:1] or "?")
        raise SpecError(
            f"character U+{character:04X} is not allowed in YAML", where=f"{source}:{line}", hint="Remove it."
        ) from None
    return (None if node is None else reader.value(node, "")), reader.places


def _syntax_error(error: yaml.MarkedYAMLError, text: str, source: str) -> SpecError:
    mark = error.problem_mark or error.context_mark
    problem = (error.problem or "not YAML").replace("'<stream end>'", "the end of the text")
    if problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    if mark is None:
        return SpecError(problem, where=source, hint="Check the file's syntax.")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = f"Here: {shown(line.strip())}" if line.strip() else "Check the lines above."
    if "\t" in line[: mark.column + 1]:
        problem, hint = "a tab where YAML wants spaces", f"Indent with spaces: {shown(line)}"
    return SpecError(f"{problem} (column {mark.column + 1})", where=f"{source}:{mark.line + 1}", hint=hint)


class _Reader:
    """Turns nodes into data, and notes where each value stands."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[str, str] = {}
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, path: str) -> Any:
        place = self.places[path] = self._place(node)
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._bomb()
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise SpecError("an alias that contains itself", path=path, where=place, hint="Write the values out.")
        self._open.add(id(node))
        kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != _TAG + kind:
            raise self._foreign(node, path)
        value = (
            {key: self.value(child, f"{path}.{key}" if path else key) for key, child in self._items(node, path)}
            if isinstance(node, yaml.MappingNode)
            else [self.value(child, f"{path}[{index}]") for index, child in enumerate(node.value)]
        )
        self._open.discard(id(node))
        return value

    def _items(self, node: yaml.MappingNode, path: str) -> Iterator[tuple[str, yaml.Node]]:
        """The mapping's keys and values; merged ones (`<<: *defaults`) first, where the mapping has no such key."""
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, yaml.Node] = {}
        for key_node, child in node.value:
            if key_node.tag == _TAG + "merge":
                for source in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                    for key, value in self._merged(source, path):
                        merged.setdefault(key, value)
                continue
            key = self._key(key_node, path)
            if key in own:
                first = own[key][0].start_mark.line + 1
                raise SpecError(
                    f"{key!r} is there twice, first on line {first}",
                    path=f"{path}.{key}" if path else key,
                    where=self._place(key_node),
                    hint="Keep one of the two.",
                )
            own[key] = (key_node, child)
        yield from ((key, child) for key, child in merged.items() if key not in own)
        yield from ((key, child) for key, (_, child) in own.items())

    def _merged(self, source: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(source, yaml.MappingNode) or id(source) in self._open:
            raise SpecError("<< takes a mapping", path=path, where=self._place(source), hint="Such as <<: *defaults.")
        self._count += len(source.value)
        self._open.add(id(source))
        if self._count > MAX_VALUES:
            raise self._bomb()
        yield from self._items(source, path)
        self._open.discard(id(source))

    def _key(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise SpecError("a key must be text, got a list or mapping", path=path, where=self._place(node), hint=_KEY)
        key = self._scalar(node, path)
        if not isinstance(key, str):
            hint = f'{_KEY} Quote it: "{node.value}".'
            raise SpecError(f"a key must be text, got {shown(key)}", path=path, where=self._place(node), hint=hint)
        return key

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        text: str = node.value
        tag = node.tag.removeprefix(_TAG)
        try:
            if tag in ("str", "merge"):
                return text
            if tag == "null":
                return None
            if tag == "bool":
                return {"true": True, "false": False}[text.lower()]
            if tag == "int":
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) <= 100 else _too_long(text)
            if tag == "float":
                return float(text.replace(".inf", "inf").replace(".Inf", "inf").lower().replace(".nan", "nan"))
        except (ValueError, KeyError):
            raise SpecError(
                f"{shown(text)} is no {tag} that can be read", path=path, where=self._place(node), hint="Quote it."
            ) from None
        raise self._foreign(node, path)

    def _foreign(self, node: yaml.Node, path: str) -> SpecError:
        return SpecError(
            f"the tag {node.tag.replace(_TAG, '!!')!r} is not allowed",
            path=path,
            where=self._place(node),
            hint="Remove it: a spec is made of text, numbers, true, false, null, lists and mappings.",
        )

    def _bomb(self) -> SpecError:
        message = f"aliases expand to more than {MAX_VALUES:,} values"
        return SpecError(message, where=self.source, hint="Write out what you need of them.")

    def _place(self, node: yaml.Node) -> str:
        return f"{self.source}:{node.start_mark.line + 1}"


_KEY = "A name is text."


def _too_long(text: str) -> int:
    raise ValueError(text)
