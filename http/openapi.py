"""The OpenAPI 3.1 document, made of the models that validate and the table of operations.

Pure functions, called at start and by `callboard openapi`. Imported by http/about.py and the command line.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema

from callboard.http.codec import JSON, MSGPACK
from callboard.http.decision import DecisionSpec
from callboard.http.errors import SERVER_STATUSES, STATUSES
from callboard.http.operations import OPERATIONS, Operation
from callboard.http.schemas import Problem
from callboard.http.sse import EVENT_STREAM
from callboard.task_spec import TaskSpec

_REF = "#/components/schemas/{model}"
_EVERYWHERE = (405, 406, 431, 500)
_KEYED = (401, 403, 429, 503)
_EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    TaskSpec: {
        "sum": {"value": {"task": "What is 12 times 7?", "sessionId": "alice"}},
        "file": {
            "value": {
                "task": "What is the mean of b in numbers.csv?",
                "attachments": [{"name": "numbers.csv", "mediaType": "text/csv", "data": "YSxiCjEsMgozLDQK"}],
                "budget": {"modelCalls": 5, "costUsd": 0.25},
            }
        },
    },
    DecisionSpec: {
        "retry": {"value": {"decision": "retry"}},
        "edit": {"value": {"decision": "edit", "arguments": {"amount": 12.5}, "reason": "The order is smaller."}},
    },
}
_LIMIT_HEADERS = {
    "X-RateLimit-Limit": "Requests a window.",
    "X-RateLimit-Remaining": "Requests left in the window.",
    "X-RateLimit-Reset": "When the window has room again: unix time in seconds.",
}
_DESCRIPTION = """\
A self-hosted, durable agent task server. A task that was accepted is never lost and always ends.

Bodies are JSON, or msgpack where `Content-Type` and `Accept` say `application/msgpack`. JSON is read strictly: UTF-8,
no NaN, no name twice in an object, integers within 64 bits; unknown fields and query parameters are refused by name.
Times are ISO 8601 in UTC, durations milliseconds unless the name says otherwise. Every answer has `X-Request-Id`:
the one that was sent if it is 1 to 128 letters, digits, dots, underscores and hyphens, else a fresh one.
"""


class _Schemas(GenerateJsonSchema):
    """pydantic's generator without a title for each field, which would repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def openapi_document(version: str) -> dict[str, Any]:
    """Return the document as JSON-ready data."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Callboard",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {str(status): _refusal(status) for status in sorted(_titles())},
            "headers": {
                name: {"description": text, "schema": {"type": "integer"}} for name, text in _LIMIT_HEADERS.items()
            },
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "Needed where the server has keys (`API_KEY`).",
                }
            },
        },
    }


def _schemas() -> dict[str, JsonSchemaValue]:
    models: set[type[BaseModel]] = {Problem}
    models |= {model for operation in OPERATIONS for model in (operation.body, operation.reply) if model is not None}
    mode: JsonSchemaMode = "validation"
    inputs = [(model, mode) for model in sorted(models, key=lambda model: model.__name__)]
    _, schema = models_json_schema(inputs, ref_template=_REF, schema_generator=_Schemas)
    found: dict[str, JsonSchemaValue] = schema["$defs"]
    found[TaskSpec.__name__]["properties"]["task"]["pattern"] = r"\S"  # what "not blank" is in JSON Schema
    found[TaskSpec.__name__]["description"] = "A task as its caller writes it."
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    statuses = {*_EVERYWHERE, *operation.refusals, *(() if operation.public else _KEYED)}
    if not operation.path.startswith("/health"):
        statuses.add(421)
    responses: dict[str, Any] = {"200": _reply(operation)}
    if operation.nothing_left:
        responses["204"] = {"description": operation.nothing_left}
    if operation.elsewhere:
        responses["302"] = {"description": operation.elsewhere}
    if operation.busy_reply:
        responses["503"] = {**_reply(operation), "description": "Not now; the body says why."}
    responses |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
    document: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": responses,
        "security": [] if operation.public else [{}, {"ApiKey": []}],
    }
    if operation.description:
        document["description"] = operation.description
    if operation.parameters:
        document["parameters"] = list(operation.parameters)
    if operation.body is not None:
        content = _content(operation.body.__name__)
        content[JSON]["examples"] = _EXAMPLES[operation.body]
        document["requestBody"] = {"required": True, "content": content}
    return document


def _reply(operation: Operation) -> dict[str, Any]:
    if operation.reply is None:
        return {"description": operation.summary, "content": {JSON: {"schema": {"type": "object"}}}}
    content = _content(operation.reply.__name__)
    if operation.stream:
        content[EVENT_STREAM] = {"schema": {"type": "string", "description": operation.stream}}
    reply: dict[str, Any] = {"description": operation.summary, "content": content}
    if not operation.public:
        reply["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
    return reply


def _content(model: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model)}
    return {JSON: {"schema": schema}, MSGPACK: {"schema": schema}}


def _titles() -> dict[int, str]:
    known = {status: title for status, title in STATUSES.values() if status != 400}
    several = {
        400: "Invalid request",
        403: "Forbidden",
        409: "Conflict",
        415: "Unsupported media type",
    }  # statuses of more than one kind of error
    return {**{status: title for status, (title, _code) in SERVER_STATUSES.items()}, **known, **several}


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {"description": _titles()[status], "content": _content(Problem.__name__)}
    if status in (429, 503, 507):
        refusal["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    if status == 415:
        codings = {"description": "`identity`, where the body was encoded.", "schema": {"type": "string"}}
        refusal["headers"] = {"Accept-Encoding": codings}
    if status == 405:
        refusal["headers"] = {"Allow": {"description": "What the path takes.", "schema": {"type": "string"}}}
    return refusal
