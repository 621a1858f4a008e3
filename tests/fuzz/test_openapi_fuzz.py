"""Schemathesis reads the OpenAPI document and sends what fits it and what does not, over a real port.

Every answer must be a documented one in its documented shape, and none a 500. The same requests every time, but for
the nightly run, which sends twenty times as many and others each time.
"""

from __future__ import annotations

import re
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

    from schemathesis.specs.openapi.schemas import OpenApiSchema

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(300 * times())]

MSGPACK = "application/msgpack"
EXAMPLES_EACH = 120
CHAINS = 40


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


def _local() -> dict[str, Any]:
    """Return the document without addresses that the server would call: tests/http/test_openapi.py holds those to the model."""
    document = openapi_document(__version__)
    schemas = document["components"]["schemas"]
    schemas["TaskSpec"]["properties"]["callbackUrl"] = {"type": "null"}
    schemas["Attachment"]["oneOf"] = [{"$ref": "#/components/schemas/AttachedBytes"}]
    return document


def _narrowed() -> dict[str, Any]:
    """Return the document, narrowed to what this installation knows, so that most tasks are accepted."""
    document = _local()
    schemas = document["components"]["schemas"]
    fields = schemas["TaskSpec"]["properties"]
    fields["agent"] = {"enum": ["master", None]}
    fields["availableSkills"] = {
        "type": ["array", "null"],
        "items": {"enum": ["calculate", "summarize"]},
        "maxItems": 200,
    }
    schemas["AttachedBytes"]["properties"]["mediaType"] = {"enum": ["", "text/plain", "text/csv"]}
    schemas["AttachedBytes"]["properties"]["data"] = {"enum": ["", "YQ==", "YSxiCjEsMgozLDQK"]}
    return document


def _load(document: dict[str, Any]) -> OpenApiSchema:
    return schemathesis.openapi.from_dict(
        document,
        config=schemathesis.Config.from_dict({"generation": {"allow-x00": True, "deterministic": not is_nightly()}}),
    )


narrowed, whole = _load(_narrowed()), _load(_local())

STATES = {
    404: "names nothing that there is",
    409: "does not go with how the task or the session stands",
    422: "the key was used before, with another request",
}
"""Refusals that are about what there is, and not about how it is asked for."""

UNSAYABLE = [
    (
        "unknown_agent|unknown_skill",
        "",
        "the names are the installation's, which the document, open to all, tells nobody",
    ),
    ("attachment_refused", "", "what is in the bytes, and whether that is what the name and the type say"),
    ("invalid_request", "^taskId names one task, so ", "OpenAPI has no words for parameters that exclude each other"),
    (
        "invalid_request",
        "^(a key of )?(result|arguments)[^ ]* (holds the NUL|is an integer beyond 64 bits|is nested deeper)",
        "any JSON: only a schema that refers to itself could say it, which makers of clients cannot read, and none says a depth",
    ),
    (
        "invalid_request",
        "^labels.* is an integer beyond 64 bits",
        "1e30 is taken and 10 to the 30th, written out, is not: the same number to JSON Schema",
    ),
    ("invalid_request", "^attachments.* in UTF-8", "how many bytes a name has: JSON Schema counts characters"),
    (
        "invalid_request",
        "^attachments.* cannot be seen, U\\+E0",
        "signs beyond U+FFFF, of which many tools read no class",
    ),
    ("malformed_body", "", "JSON has numbers and texts that msgpack has not: `_packed` sends a body that is none"),
]
"""Codes, what messages hold, and why no schema can say it: all else that fits the document must be taken."""


@schemathesis.check
def fits_or_cannot_be_said(_context: Any, response: Any, case: Any) -> None:
    """Fail where what fits the document is refused for a reason that a schema could have told."""
    status = response.status_code
    if not case.meta.generation.mode.is_positive or not 400 <= status < 500 or status in STATES:
        return
    problem = response.json() if "json" in response.headers["content-type"][0] else msgpack.unpackb(response.content)
    told = problem["message"]
    if not any(re.fullmatch(code, problem["code"]) and re.search(text, told) for code, text, _why in UNSAYABLE):
        raise AssertionError(f"The document admits what is refused: {problem}")


CHECKS_HERE = {
    "excluded_checks": [CHECKS.get_one("positive_data_acceptance")],
    "additional_checks": [fits_or_cannot_be_said],
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


def examples(usual: int, **more: Any) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=usual * times(),
        deadline=None,
        derandomize=not is_nightly(),
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        **more,
    )


@narrowed.parametrize()
@examples(EXAMPLES_EACH)
def test_every_answer_is_a_documented_one(case: Any, url: str) -> None:
    case.call_and_validate(base_url=url, **CHECKS_HERE)


@whole.include(path_regex="/(execute|decide)$").parametrize()
@examples(EXAMPLES_EACH)
def test_what_fits_the_whole_document_is_taken_or_cannot_be_said(case: Any, url: str) -> None:
    case.call_and_validate(base_url=url, **CHECKS_HERE)


def test_links_lead_on(url: str) -> None:
    class Machine(narrowed.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {**super().get_call_kwargs(case), "base_url": url}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, **CHECKS_HERE)

    Machine.run(settings=examples(CHAINS, stateful_step_count=8))
