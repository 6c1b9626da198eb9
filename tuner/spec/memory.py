"""What a study remembers of others."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tuner.errors import SpecError
from tuner.spec.base import Count, Part
from tuner.spec.fields import Configs


class Memory(Part):
    """What is taken from a study of `warm_start`: the best of its configurations, as far as both spaces have the axes.

    It is taken once, when the study is created, and kept with its spec: the other study may change, or go.
    """

    study: str = Field(description="The study that is remembered.")
    trials: Count = Field(description="Of how many trials the configurations are the best.")
    configs: Configs = Field(description="The best configurations, best first: values of common axes.")

    @model_validator(mode="after")
    def _something(self) -> Memory:
        if not self.configs:
            raise SpecError("nothing is remembered: got []", path="configs", hint="Leave the study out.")
        return self


def _parse_memories(data: Any) -> Any:
    if not isinstance(data, list | tuple):
        return data
    memories = []
    for index, memory in enumerate(data):
        try:
            memories.append(Memory.model_validate(memory))
        except SpecError as error:
            raise error.at(f"[{index}]") from None
    return tuple(memories)


Memories = Annotated[tuple[Memory, ...], BeforeValidator(_parse_memories)]
