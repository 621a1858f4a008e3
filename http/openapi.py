"""The OpenAPI 3.1 document, made of the models that validate and the table of operations.

Pure functions, called at start and by `callboard openapi`. Imported by http/about.py and the command line.
"""

from typing import Any

from pydantic import BaseModel

from callboard.http.codec import JSON, MSGPACK
from callboard.http.decision import DecisionSpec
from callboard.http.described_answers import answers, content, headers, refusals
from callboard.http.described_schemas import NOTHING, described_schemas
from callboard.http.operations import OPERATIONS, TAGS, Operation
from callboard.http.parameters import REQUEST_ID
from callboard.http.schemas.base import Problem
from callboard.limits import MAX_PRIORITY
from callboard.task_spec import TaskSpec

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
_DESCRIPTION = """\
A self-hosted, durable agent task server. A task that was accepted is never lost and always ends.

Bodies are JSON, or msgpack where `Content-Type` and `Accept` say `application/msgpack`. The other
names of msgpack, `application/x-msgpack` and `application/vnd.msgpack`, are taken too. JSON is read strictly: UTF-8,
no NaN, no name twice in an object, integers within 64 bits; unknown fields and query parameters are refused by name.
A byte-order mark in front of a body or a text is no part of it. HEAD is answered wherever GET is, OPTIONS at every path.
Times are ISO 8601 in UTC, durations milliseconds unless the name says otherwise. Every answer has `X-Request-Id`:
the one that was sent if it is 1 to 128 letters, digits, dots, underscores and hyphens, else a fresh one.
"""


def openapi_document(version: str, max_priority: int = MAX_PRIORITY) -> dict[str, Any]:
    """Return the document as JSON-ready data; `max_priority` is the highest that the server takes."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Callboard",
            "version": version,
            "summary": "Durable agent tasks",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": described_schemas(_models(), max_priority),
            "parameters": {REQUEST_ID["name"]: REQUEST_ID},
            "responses": refusals(),
            "headers": headers(),
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "Needed where the server has keys (`API_KEY`).",
                },
                "Bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The same key as `Authorization: Bearer KEY`.",
                },
            },
        },
    }


def _models() -> set[type[BaseModel]]:
    models = {model for operation in OPERATIONS for model in (operation.body, operation.reply) if model is not None}
    return {Problem, *models}


def _operation(operation: Operation) -> dict[str, Any]:
    document: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*operation.parameters, {"$ref": f"#/components/parameters/{REQUEST_ID['name']}"}],
        "responses": answers(operation),
        "security": [] if operation.public else [{}, {"ApiKey": []}, {"Bearer": []}],
    }
    if operation.takes_body:
        document["requestBody"] = _body(operation)
    return document


def _body(operation: Operation) -> dict[str, Any]:
    # JSON comes last: of two forms of one model, makers of clients that know one only send what they read last
    if operation.body is None:
        return {"required": False, "content": content(NOTHING, MSGPACK, JSON)}
    found = content(operation.body.__name__, MSGPACK, JSON)
    for kind in found.values():
        kind["examples"] = _EXAMPLES[operation.body]
    return {"required": True, "content": found}
