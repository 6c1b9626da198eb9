"""A spec as YAML text, which `load_spec` reads back as the same spec."""

from __future__ import annotations

from typing import Any

import yaml

from tuner.spec.study_spec import StudySpec
from tuner.spec.yaml_nodes import add_resolvers


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as something else, "on" as well as "1e5", and what ends a line."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML folds the line ends of Unicode into spaces, unless they are escaped, as they are between double quotes.
    style = '"' if any(end in text for end in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)
add_resolvers(_Dumper)


def dump_spec(spec: StudySpec) -> str:
    """The spec as YAML, defaults included."""
    return dump_yaml(spec.to_dict())


def dump_yaml(data: Any) -> str:
    """Plain data as YAML, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
