"""The JSON Schema of a study's YAML form, for editors: completion, descriptions, and mistakes as you type."""

from __future__ import annotations

from typing import Any

from tuner.spec.study_spec import NAME_PATTERN, StudySpec


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec file.

    What it cannot say (low < high, conditions, budgets of nothing) `load_spec` says. `study` may be left out of a file.
    """
    document = StudySpec.model_json_schema(by_alias=True)
    document["required"].remove("study")
    document["properties"]["study"]["pattern"] = f"^{NAME_PATTERN}$"
    for name in ("NoScheduler", "Median", "Hyperband"):
        # A scheduler without a name is ASHA: the others have to be named.
        document["$defs"][name]["required"] = ["name"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
