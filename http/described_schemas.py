"""The schemas of the OpenAPI document: what pydantic makes of the models, and what it has no words for.

Pure functions; imported by http/openapi.py only.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from callboard.http.decision import DecisionSpec
from callboard.messages.pauses import BELONGS_TO, Decision
from callboard.task_spec import Attachment, TaskSpec

REF = "#/components/schemas/{model}"
NOTHING = "Nothing"

Schemas = dict[str, JsonSchemaValue]

_NULL = {"type": ["string", "null"], "not": {"type": "string"}}
"""Null, of a field that its neighbour keeps empty; openapi-fetch takes a field which can be nothing but null for one of answers only."""


class _Generator(GenerateJsonSchema):
    """pydantic's generator without titles, which would repeat the names, and without defaults.

    A default makes a field one that is always there to makers of clients, and `null`, where it stands for "absent", is not
    always taken. What holds when a field is absent is in its description.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        """Return a map's schema with the rule of its keys where makers of clients do not stumble over it."""
        made = super().dict_schema(schema)
        for pattern, values in made.pop("patternProperties", {}).items():
            made["additionalProperties"] = values
            made["propertyNames"]["pattern"] = pattern
        return made


def described_schemas(models: Iterable[type[BaseModel]], max_priority: int) -> Schemas:
    """Return the schemas of models and of all that they hold, by name; `max_priority` is a setting of the server."""
    in_order = sorted(models, key=lambda model: model.__name__)
    _, made = models_json_schema(
        [(model, "validation") for model in in_order], ref_template=REF, schema_generator=_Generator
    )
    found: Schemas = made["$defs"]
    for schema in found.values():
        schema.pop("title", None)
    found[TaskSpec.__name__]["properties"]["priority"]["maximum"] = max_priority
    found[TaskSpec.__name__]["description"] = "A task as its caller writes it."
    found[NOTHING] = {"type": "object", "additionalProperties": False, "description": "A body that says nothing."}
    _split(found, Attachment.__name__, _attachments(found[Attachment.__name__]))
    _split(found, DecisionSpec.__name__, _decisions(found[DecisionSpec.__name__]))
    del found[Decision.__name__]  # each kind names its own
    return found


def _split(found: Schemas, name: str, kinds: Schemas) -> None:
    """Put kinds that exclude each other in place of an object of which some fields go with others only."""
    found |= kinds
    one_of = [{"$ref": REF.format(model=kind)} for kind in kinds]
    found[name] = {"description": found[name]["description"], "oneOf": one_of}


def _attachments(whole: JsonSchemaValue) -> Schemas:
    """Return a file that comes with its bytes, and one that is got: of both fields one, the other null or absent."""

    def of(field: str, other: str, description: str) -> JsonSchemaValue:
        properties = {**whole["properties"], field: _not_null(whole["properties"][field]), other: _NULL}
        required = [*whole["required"], field]
        return {**whole, "description": description, "properties": properties, "required": required}

    return {
        "AttachedBytes": of("data", "url", "A file with its bytes."),
        "AttachedAddress": of("url", "data", "A file that is got from its address when the task begins."),
    }


def _decisions(whole: JsonSchemaValue) -> Schemas:
    """Return a decision that needs no more words, and each of those that a field belongs to.

    With others it is absent; or null, where null is none of its values.
    """

    def of(decisions: JsonSchemaValue, own: str | None, description: str) -> JsonSchemaValue:
        fields = {**whole["properties"], "decision": {"type": "string", **decisions, "description": description}}
        for name in BELONGS_TO.keys() - {own}:
            if "anyOf" in fields[name]:
                fields[name] = _NULL
            else:
                del fields[name]
        return {**whole, "description": description, "properties": fields}

    edit = of({"const": str(Decision.EDIT)}, "arguments", "Of a call that needs approval: make it with `arguments`.")
    edit["properties"]["arguments"] = _not_null(edit["properties"]["arguments"])
    edit["required"] = [*whole["required"], "arguments"]
    return {
        "PlainDecision": of(
            {"enum": [str(decision) for decision in Decision if decision not in BELONGS_TO.values()]},
            None,
            "Of a call whose outcome is unknown: `retry`: make it again; `fail`: end the task as failed. Of one that needs "
            "approval: `approve`: make it; `reject`: do not, and have the code go on with an error.",
        ),
        "AssumedResult": of(
            {"const": str(Decision.ASSUME_DONE)},
            "result",
            "Of a call whose outcome is unknown: go on as if it had returned `result`, null when absent.",
        ),
        "EditedCall": edit,
    }


def _not_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a field's schema without null."""
    outer = {name: value for name, value in schema.items() if name != "anyOf"}
    (kind,) = (branch for branch in schema["anyOf"] if branch != {"type": "null"})
    return {**kind, **outer}
