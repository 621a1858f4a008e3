"""The file that names the MCP servers: read once at start, `${NAME}` filled in, each entry checked by itself.

It has the form that MCP clients share, `{"mcpServers": {"files": {"command": …}}}`; docs/mcp.md lists the fields.
A broken entry is reported and left out. SECURITY: what an entry holds may be secret, so no message repeats a value,
and `ServerConfig.hide` takes those values out of whatever the server or the SDK says.
Pure functions, one read of a file; any thread. Imported by the wiring and by `servers.py`.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from callboard.agent.mcp.naming import hyphenated
from callboard.errors import ConfigurationError
from callboard.paths import written_path
from callboard.values import decoded

MAX_FILE_BYTES = 1_000_000
DEFAULT_TIMEOUT_S = 60.0
DEFAULT_START_TIMEOUT_S = 60.0
"""What `npx` and `uvx` may need to fetch a server for the first time."""

MAX_NAME_CHARS = 32

_LEAST_SECRET_CHARS = 6
"""Shorter values (`true`, `8080`) are no secrets, and hiding them would garble every message."""

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")

Text = Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")]


class ServerConfig(BaseModel):
    """One server: a command that speaks over its standard input and output, or the address of one that speaks HTTP."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    name: str
    type: Literal["stdio", "http", "streamable-http"] | None = None
    command: Text | None = Field(default=None, min_length=1, repr=False)
    args: list[Text] = Field(default=[], repr=False)
    env: dict[Text, Text] = Field(default={}, repr=False)
    cwd: Text | None = None
    url: Text | None = Field(default=None, repr=False)
    headers: dict[str, str] = Field(default={}, repr=False)
    protocolVersion: Literal["auto", "2025-11-25"] = "auto"  # noqa: N815  # as the file spells it
    replay: dict[str, Literal["safe", "keyed", "never"]] = {}
    approval: list[str] = []
    timeoutS: float = Field(default=DEFAULT_TIMEOUT_S, gt=0, le=3600)  # noqa: N815
    startTimeoutS: float = Field(default=DEFAULT_START_TIMEOUT_S, gt=0, le=3600)  # noqa: N815
    disabled: bool = False
    secrets: tuple[str, ...] = Field(default=(), repr=False)

    @field_validator("timeoutS", "startTimeoutS", mode="before")
    @classmethod
    def _whole_seconds(cls, value: Any) -> Any:
        return float(value) if type(value) is int else value

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value is not None and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("is not an address; write one such as http://127.0.0.1:8000/mcp")
        return value

    @field_validator("headers")
    @classmethod
    def _plain_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
                raise ValueError("has a header that HTTP cannot carry; use printable ASCII on one line")
        return value

    @model_validator(mode="after")
    def _one_transport(self) -> "ServerConfig":
        if (self.command is None) == (self.url is None):
            raise ValueError("give either command (a program) or url (an address)")
        kinds = ("stdio",) if self.command else ("http", "streamable-http")
        if self.type is not None and self.type not in kinds:
            raise ValueError(
                f"type {self.type} does not go with {'command' if self.command else 'url'}; leave type out"
            )
        foreign = ("headers",) if self.command else ("args", "env", "cwd")
        for field in foreign:
            if getattr(self, field):
                raise ValueError(f"{field} does not go with {'command' if self.command else 'url'}; leave it out")
        return self

    @cached_property
    def prefix(self) -> str:
        """What its tools' names begin with."""
        return hyphenated(self.name)

    @property
    def remembers_as(self) -> str:
        """Names what the server is, so that the tools of one are never taken for those of another."""
        what = json.dumps([self.command, self.args, self.cwd, self.url])
        return hashlib.sha256(what.encode()).hexdigest()

    @cached_property
    def starts_in(self) -> tuple[str | None, dict[str, str]]:
        """The folder and the variables that its process starts in each time: those of when the file was read.

        A skill may change this process's later. Of its variables there are those that the SDK calls safe (PATH, HOME, …).
        """
        from mcp.client.stdio import get_default_environment

        with contextlib.suppress(OSError):  # the working directory is gone
            return self.cwd or str(Path.cwd()), get_default_environment() | self.env
        return None, get_default_environment() | self.env

    @cached_property
    def _hidden(self) -> tuple[str, ...]:
        values = [*self.env.values(), *self.headers.values(), *self.secrets]
        values += [word for value in self.headers.values() for word in value.split()]
        if self.url is not None:
            parts = urlsplit(self.url)
            values += [parts.password or "", parts.query]
        return tuple(sorted({v for v in values if len(v) >= _LEAST_SECRET_CHARS}, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """Return the text without the values of the entry's variables and headers."""
        for secret in self._hidden:
            text = text.replace(secret, "[hidden]")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class McpConfig:
    """The servers that can be used, and in sentences what is wrong with the others."""

    servers: tuple[ServerConfig, ...] = ()
    problems: tuple[str, ...] = ()


def load_config(path: Path, environment: Mapping[str, str]) -> McpConfig:
    """Read the file, `${NAME}` and `${NAME:-otherwise}` filled in from `environment`.

    Raises `ConfigurationError` if it cannot be read or is no such file; broken entries end up in `problems`.
    """
    servers: dict[str, ServerConfig] = {}
    problems: list[str] = []
    for name, entry in _entries(path).items():
        try:
            server = _server(name, entry, path, environment)
            taken = servers.get(server.prefix)
            if taken is not None:
                raise _Broken("", f"its tools would have the names of those of {taken.name!r}; rename one of them")
        except _Broken as broken:
            where = f", {broken.field}" if broken.field else ""
            problems.append(f"{path}: the MCP server {name[:64]!r} is left out{where}: {broken.what}.")
            continue
        if not server.disabled:
            if server.command is not None:
                server.starts_in  # noqa: B018  # now, before any skill has been loaded
            servers[server.prefix] = server
    return McpConfig(servers=tuple(servers.values()), problems=tuple(problems))


class _Broken(Exception):  # carries a finding to `load_config`
    def __init__(self, field: str, what: str) -> None:
        self.field = field
        self.what = what


def _entries(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"CALLBOARD_MCP_CONFIG names {path}, which cannot be read ({error.strerror}); make it readable or unset it."
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; it should only name MCP servers.")
    try:
        content = json.loads(decoded(raw))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(f"{path} is not JSON{where}; mend it or unset CALLBOARD_MCP_CONFIG.") from None
    if not isinstance(content, dict) or not isinstance(content.get("mcpServers"), dict):
        raise ConfigurationError(f'{path} has no object "mcpServers" in it; write {{"mcpServers": {{"name": {{…}}}}}}.')
    return dict(content["mcpServers"])


def _server(name: str, entry: Any, path: Path, environment: Mapping[str, str]) -> ServerConfig:
    prefix = hyphenated(name)
    if not prefix[:1].isalpha() or len(prefix) > MAX_NAME_CHARS:
        raise _Broken(
            "", f"its name must begin with a letter and have at most {MAX_NAME_CHARS} of a-z, 0-9 and hyphens"
        )
    if not isinstance(entry, dict):
        raise _Broken("", "it is not an object; write its fields in braces")
    for reserved in {"name", "secrets"} & entry.keys():
        raise _Broken(reserved, "there is no such field; take it out")
    if entry.get("type") == "sse":
        raise _Broken("type", "the transport sse is not supported; use the server's streamable HTTP address")
    taken_in: set[str] = set()
    filled = {field: _filled(value, field, environment, taken_in) for field, value in entry.items()}
    if isinstance(cwd := filled.get("cwd"), str):
        filled["cwd"] = _folder(cwd, path, environment)
    try:
        return ServerConfig(name=name, secrets=tuple(taken_in), **filled)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        known = first["type"] != "extra_forbidden"
        what = first["msg"].removeprefix("Value error, ") if known else "there is no such field; mend it or take it out"
        raise _Broken(".".join(str(part)[:64] for part in first["loc"]), what) from None


def _folder(written: str, path: Path, environment: Mapping[str, str]) -> str:
    """Return the full path of a folder; a relative one is taken from the folder of the file."""
    try:
        return str(written_path(written if written.startswith("~") else str(path.parent / written), environment))
    except ValueError as error:
        raise _Broken("cwd", str(error)) from None


def _filled(value: Any, field: str, environment: Mapping[str, str], taken_in: set[str]) -> Any:
    """Return the value with the variables in its strings filled in; what was filled in counts as secret."""
    match value:
        case dict():
            return {key: _filled(inner, f"{field}.{key}", environment, taken_in) for key, inner in value.items()}
        case list():
            return [_filled(inner, f"{field}.{i}", environment, taken_in) for i, inner in enumerate(value)]
        case str():

            def found(match: re.Match[str]) -> str:
                text = environment.get(match[1]) or match[2]
                if text is None:
                    raise _Broken(
                        field, f"the variable {match[1]} is not set or empty; set it, or write ${{{match[1]}:-value}}"
                    )
                taken_in.add(text)
                return text

            return _REFERENCE.sub(found, value)
        case _:
            return value
