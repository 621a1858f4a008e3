"""Answers about skills and agents."""

from typing import Any, Literal

from pydantic import Field

from callboard.http.schemas.base import Answer
from callboard.http.schemas.spending import KeptBudget


class Skill(Answer):
    """Something that a task's code can call."""

    name: str
    description: str
    version: str = Field(description="Empty where it says none.")
    kind: str = Field(description="`python`, `folder` (Agent Skills), `mcp`, or `agent`.")
    origin: str = Field(description="`builtin`, or where it was found.")
    stub: str = Field(description="Its declaration in Python.")
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of its arguments.")
    replay: Literal["pure", "safe", "keyed", "never"] = Field(description="What may happen to a call after a crash.")
    permissions: list[str] = Field(description="What it reaches, such as `network` or `files`; for people.")
    approval: bool = Field(description="Whether a person must approve each call.")
    calls: int = Field(description="How often it was called, over the whole history.")
    failures: int = Field(description="How many of these calls failed.")


class ListedSkill(Skill):
    """A skill in a list; `/agent/skills/{name}` has it whole."""

    description_truncated: bool = Field(description="Whether `description` is only its beginning.")
    stub_truncated: bool = Field(description="Whether `stub` is only its beginning.")
    schema_truncated: bool = Field(description="Whether `schema` is left out.")


class SkillReply(Answer):
    success: Literal[True]
    skill: Skill


class SkillList(Answer):
    success: Literal[True]
    count: int
    skills: list[ListedSkill]
    problems: list[str] = Field(
        description="What could not be loaded, in sentences with what to do about it; on the first page."
    )
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class Agent(Answer):
    """Who a task can be addressed to."""

    name: str
    description: str
    skills: list[str] | None = Field(description="The only skills it may call; null: all there are.")
    model: str | None = Field(description="The model it asks; null: the server's own.")
    budget: KeptBudget | None = Field(description="What it may spend on one task, within the task's own budget.")
    origin: str = Field(description="`builtin`, or the file it was found in.")
    max_rounds: int = Field(description="How many times a model is asked at most in one task.")
    tasks: int = Field(description="How many tasks of it have ended, over the whole history.")
    failures: int = Field(description="How many of these failed.")


class AgentList(Answer):
    success: Literal[True]
    count: int
    agents: list[Agent]
    problems: list[str] = Field(description="What could not be loaded, in sentences with what to do about it.")
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")
