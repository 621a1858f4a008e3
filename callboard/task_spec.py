"""The one model of a task as its caller writes it.

HTTP validates a body with it, the OpenAPI document is made from it, `messages.SubmitTask` is it plus who asks, and a
`Task` holds it. A field that is added here is stored, comes back in the task's view and is taken by the client; no other
file names it. Imported wherever a task is made or described.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictFloat,
    StrictInt,
    StrictStr,
)
from pydantic.alias_generators import to_camel

from callboard import media_types
from callboard.addresses import IPV6
from callboard.budget import Budget
from callboard.errors import InvalidRequest
from callboard.file_names import SCHEMA, fault_of, one_form
from callboard.limits import ATTACHMENTS, LABEL_CHARS, LABELS, MAX_PRIORITY, PROMPT_CHARS, TASK_CHARS
from callboard.values import INT64_MAX, INT64_MIN, TEXT_PATTERN, check_text, unmarked

_PRINTABLE = r"[!-~]*"
_PORT = r"0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HTTP_URL = rf"^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9.-]+|\[{IPV6}\])(:({_PORT})?)?([/?#][!-~]*)?$"
SESSION_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
SESSION_ID_RULE = "must be 1 to 128 letters, digits and . _ : - of ASCII, the first a letter or a digit"


# What is blank differs between dialects of regular expressions, so that it is spelled out, NUL among it: it is never stored.
_SIGN = r"[^\s\u0000\u001c-\u001f\u0085\ufeff]"
_NOT_BLANK = re.compile(_SIGN)


def _not_blank(text: str) -> str:
    text = _clean(text)
    if not _NOT_BLANK.search(text):
        raise ValueError("is blank; say what is to be done")
    return text


def _clean(text: str) -> str:
    try:
        return unmarked(check_text(text, "the text"))
    except InvalidRequest as error:
        raise ValueError(error.message.removeprefix("the text ").removesuffix(".")) from error


def _name(text: str) -> str:
    if not (name := _clean(text)):
        raise ValueError("is empty but for byte-order marks; give a name")
    return name


def _names_differ(labels: Any) -> Any:
    names = [unmarked(name) for name in labels if isinstance(name, str)] if isinstance(labels, dict) else []
    if len(set(names)) < len(names):
        raise ValueError("has two names that differ in byte-order marks alone; send each once")
    return labels


def _http_url(text: str) -> str:
    if not re.fullmatch(_PRINTABLE, text):
        raise ValueError(
            "has characters beyond printable ASCII, or spaces; write names in punycode (xn--…) and the rest "
            "percent-encoded"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("must be an http:// or https:// address without a user name")
    if port == 0:
        raise ValueError("names the port 0, where nobody listens")
    if not re.match(_HTTP_URL, text):
        raise ValueError(
            "names a host that is neither a name of letters, digits, dots and hyphens nor an IPv6 address in brackets"
        )
    return text


# the limits come first, so that a long text is refused before it is searched
_TEXT: dict[str, JsonValue] = {"pattern": TEXT_PATTERN}
Name = Annotated[
    StrictStr,
    Field(min_length=1, max_length=64, json_schema_extra={"pattern": r"^[^\u0000]*[^\u0000\ufeff][^\u0000]*$"}),
    AfterValidator(_name),
]
LabelName = Name
LabelText = Annotated[StrictStr, Field(max_length=LABEL_CHARS, json_schema_extra=_TEXT), AfterValidator(_clean)]
Prompt = Annotated[StrictStr, Field(max_length=PROMPT_CHARS, json_schema_extra=_TEXT), AfterValidator(_clean)]
TaskText = Annotated[
    StrictStr,
    Field(
        min_length=1,
        max_length=TASK_CHARS,
        json_schema_extra={"pattern": rf"^[^\u0000]*{_SIGN}[^\u0000]*$"},
    ),
    AfterValidator(_not_blank),
]
CallbackUrl = Annotated[
    StrictStr, Field(max_length=2000, json_schema_extra={"pattern": _HTTP_URL}), AfterValidator(_http_url)
]
LabelNumber = Annotated[StrictInt, Field(ge=INT64_MIN, le=INT64_MAX)]
LabelValue = LabelText | LabelNumber | Annotated[StrictFloat, Field(allow_inf_nan=False)]


class RetryPolicy(BaseModel):
    """How often a task is tried when it fails with an error that is marked retryable, and how long it waits between.

    The wait doubles with each failure, from `backoff_ms` up to `max_backoff_ms`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    max_attempts: StrictInt = Field(
        default=3, ge=1, le=20, description="Tries in all, the first one included; 3 when absent."
    )
    backoff_ms: StrictInt = Field(
        default=1000, ge=0, le=3_600_000, description="Wait before the second try; 1000 when absent."
    )
    max_backoff_ms: StrictInt = Field(
        default=60_000, ge=0, le=86_400_000, description="The longest wait; 60000 when absent."
    )


def _file_name(text: str) -> str:
    fault = fault_of(text)
    if fault is not None:
        raise ValueError(fault)
    return one_form(text)


_MEDIA_TYPE = rf"^[ \t]*({media_types.PATTERN.removeprefix('^').removesuffix('$')})?[ \t]*$"


def _media_type(text: str) -> str:
    if not re.fullmatch(_MEDIA_TYPE.removeprefix("^").removesuffix("$"), text):
        raise ValueError(
            "is not a media type, such as text/csv; leave it out to have it told from the name and the bytes"
        )
    return media_types.joined(*media_types.split(text.strip()))


FileName = Annotated[StrictStr, Field(json_schema_extra=dict(SCHEMA)), AfterValidator(_file_name)]
MediaType = Annotated[
    StrictStr,
    Field(max_length=255, json_schema_extra={"pattern": _MEDIA_TYPE}),
    AfterValidator(_media_type),
]


# RFC 4648, section 4, as it is written there: padded, and with no bit set after the end
_BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?$"
Base64 = Annotated[StrictStr, Field(json_schema_extra={"contentEncoding": "base64", "pattern": _BASE64})]


class Attachment(BaseModel):
    """A file that comes with a task: its bytes as base64 in `data`, or the address to get it from in `url`.

    What can be done with it is checked when the task is admitted, not here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    name: FileName = Field(description="What it is called in the session's workspace.")
    media_type: MediaType = Field(
        default="",
        description="Such as `text/csv`, `application/pdf` or `image/png`; absent: told from the name and the bytes.",
    )
    data: Base64 | None = Field(default=None, repr=False, description="The file, base64.")
    url: CallbackUrl | None = Field(default=None, description="Where the file is got from when the task begins.")


class KeptSpec(BaseModel):
    """What a caller writes of a task, but for the bytes of its files: what is kept with the task, as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    task: TaskText = Field(description="What is to be done, with the text or data it is about.")
    session_id: StrictStr | None = Field(
        default=None,
        pattern=SESSION_ID_PATTERN,
        description="Tasks of one session run in order and share a conversation; made up when absent.",
    )
    system_prompt: Prompt | None = Field(default=None, description="Instructions for a model, kept with the task.")
    available_skills: Annotated[tuple[Name, ...], Field(max_length=200)] | None = Field(
        default=None, description="The only skills the task may call; all when absent."
    )
    agent: Name | None = Field(default=None, description="The agent to address.")
    labels: Annotated[dict[LabelName, LabelValue], Field(max_length=LABELS), BeforeValidator(_names_differ)] = Field(
        default_factory=dict, description="The caller's own flat map of strings and numbers, kept with the task."
    )
    timeout_ms: StrictInt | None = Field(
        default=None, ge=1, le=86_400_000, description="The task ends within this time of its acceptance."
    )
    priority: StrictInt = Field(
        default=0,
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="Higher starts first among waiting tasks; 0 when absent. The server may take less than the highest (CALLBOARD_MAX_PRIORITY).",
    )
    retry: RetryPolicy | None = Field(
        default=None, description="What to do about errors that may go away by themselves; absent: fail at the first."
    )
    callback_url: CallbackUrl | None = Field(default=None, description="Where a webhook tells of the task's end.")
    budget: Budget | None = Field(
        default=None,
        description="What the task may spend, with all that it delegates; the server's own limits hold too.",
    )


def kept_spec(values: dict[str, Any]) -> KeptSpec:
    """Return a spec of values that were validated before: all fields, by their names in Python.

    PERF: 1 µs where `model_construct` takes 8, once for each task that is accepted or read.
    """
    made, put = KeptSpec.__new__(KeptSpec), object.__setattr__
    put(made, "__dict__", values)
    put(made, "__pydantic_fields_set__", set())
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made


class TaskSpec(KeptSpec):
    """A task as its caller writes it, in Python (snake_case) or on the wire (camelCase)."""

    attachments: Annotated[tuple[Attachment, ...], Field(max_length=ATTACHMENTS)] = Field(
        default=(), description="Files: images for the model, others for skills to read."
    )

    def kept(self) -> KeptSpec:
        """Return what is kept with the task."""
        written = self.__dict__
        return kept_spec({name: written[name] for name in _KEPT})


_KEPT = tuple(KeptSpec.model_fields)


AttachmentLike = Attachment | tuple[str, bytes] | str | os.PathLike[str]
"""An attachment, a name with what the file holds, or the path of a file to attach."""


class TaskFields(TypedDict, total=False):
    """What `Client` takes of a task beside its text, for type checkers; a test holds it against `TaskSpec`.

    docs/api.md says what each means. None is the same as absent.
    """

    session_id: str | None
    system_prompt: str | None
    available_skills: Sequence[str] | None
    agent: str | None
    labels: Mapping[str, str | int | float] | None
    timeout_ms: int | None
    priority: int | None
    budget: Budget | Mapping[str, Any] | None
    retry: RetryPolicy | Mapping[str, Any] | None
    callback_url: str | None
    attachments: Sequence[AttachmentLike] | None
