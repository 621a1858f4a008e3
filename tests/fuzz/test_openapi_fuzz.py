"""Schemathesis reads the OpenAPI document and sends what fits it and what does not, over a real port.

Every answer must be a documented one in its documented shape, and none a 500. The same requests every time, but for
the nightly run, which sends twenty times as many and others each time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import hypothesis
import msgpack  # type: ignore[import-untyped]
import pytest
import schemathesis
from schemathesis.checks import CHECKS

from callboard import AgentSystem, Settings, __version__
from callboard.http.openapi import openapi_document
from callboard.http.server import Server
from tests.profiles import is_nightly, times

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(300 * times())]

MSGPACK = "application/msgpack"
EXAMPLES_EACH = 250


@schemathesis.serializer(MSGPACK)
def _packed(_context: Any, value: Any) -> bytes | None:
    try:
        packed: bytes = msgpack.packb(value)
    except (OverflowError, TypeError, ValueError):  # JSON has numbers and texts that msgpack has not
        packed = b"\xc1"
    return packed


@schemathesis.deserializer(MSGPACK)
def _unpacked(_context: Any, response: Any) -> Any:
    return msgpack.unpackb(response.content)


def _document() -> dict[str, Any]:
    """Return the document, narrowed to what this installation knows, which a document for all of them cannot say."""
    document = openapi_document(__version__)
    fields = document["components"]["schemas"]["TaskSpec"]["properties"]
    fields["agent"] = {"enum": ["master", None]}
    fields["availableSkills"] = {
        "type": ["array", "null"],
        "items": {"enum": ["calculate", "summarize"]},
        "maxItems": 200,
    }
    # an address that may be called: no document can say which, no test call it
    fields["callbackUrl"] = {"type": "null"}
    attachment = document["components"]["schemas"]["Attachment"]
    attachment["properties"]["url"] = {"type": "null"}
    attachment["oneOf"] = [{"required": ["data"], "properties": {"data": {"type": "string"}}}]
    # bytes that are what the type says
    attachment["properties"]["mediaType"] = {"enum": ["", "text/plain", "text/csv"]}
    attachment["properties"]["data"] = {"enum": ["", "YQ==", "YSxiCjEsMgozLDQK"]}
    execute = document["paths"]["/agent/execute"]["post"]
    execute["parameters"] = [p for p in execute["parameters"] if p["name"] != "Idempotency-Key"]  # 422 if used again
    return document


schema = schemathesis.openapi.from_dict(
    _document(),
    config=schemathesis.Config.from_dict({"generation": {"allow-x00": False, "deterministic": not is_nightly()}}),
)

UNSAYABLE = {
    # taskId stands alone, and a cursor is one of ours: OpenAPI has no words for either.
    "GET /agent/results": ["positive_data_acceptance"],
    "GET /agent/dead-letters": ["positive_data_acceptance"],
    "GET /agent/sessions": ["positive_data_acceptance"],
    "GET /agent/deliveries": ["positive_data_acceptance"],
    # only topics that there are
    "GET /agent/events": ["positive_data_acceptance"],
    # `result` goes with one decision only, and is any JSON that every database holds.
    "POST /agent/tasks/{taskId}/decide": ["positive_data_acceptance"],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("fuzz"), port=0, rate_limit_max_requests=0, max_wait_s=1, log_level="warning"
    )
    with AgentSystem.start(settings) as system:
        server = Server(system)
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.url
        server.close()
        thread.join(30)


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES_EACH * times(),
    deadline=None,
    derandomize=not is_nightly(),
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_every_answer_is_a_documented_one(case: Any, url: str) -> None:
    excluded = [CHECKS.get_one(name) for name in UNSAYABLE.get(case.operation.label, [])]
    case.call_and_validate(base_url=url, excluded_checks=excluded)
