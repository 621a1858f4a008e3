"""Every setting, read from the environment once at start.

Names, defaults and meanings stand here only; docs/configuration.md lists them and a test compares.
Nothing else in the project reads the environment. Immutable, so any thread may read it.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from callboard.addresses import check_hosts, check_networks, check_origins, check_server_url
from callboard.budget import Budget
from callboard.errors import ConfigurationError
from callboard.limits import MAX_PRIORITY
from callboard.paths import NOWHERE, default_data_dir, is_utf8, written_path
from callboard.providers import spoken, spoken_second
from callboard.secret_files import check_webhook_secret
from callboard.values import BYTE_ORDER_MARK, unmarked
from callboard.variables import SKILL_PREFIX, check_worker_bytes, refused_names, value_fault

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
WrittenPath = Annotated[Path, BeforeValidator(lambda value: written_path(str(value), os.environ))]
NOT_UTF8 = "holds bytes that are not UTF-8"
_MODES = ("development", "production")
_LEAST_KEY_CHARS = 16


def _setting(default: Any, description: str, *names: str, **limits: Any) -> Any:
    """Declare a field; `names` are environment variables outside the CALLBOARD_ prefix, first one first."""
    alias = AliasChoices(*names) if names else None
    kept = {"default_factory" if callable(default) else "default": default}
    return Field(**kept, description=description, validation_alias=alias, **limits)


class Settings(BaseSettings):
    """The settings of one server, validated as a whole.

    Build with `Settings.load()` (from the environment) or `Settings(port=0, ...)` in tests.
    """

    model_config = SettingsConfigDict(
        env_prefix="CALLBOARD_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    # Names that need no prefix.
    api_key: CommaSeparated = _setting(
        (),
        "Keys that callers must send as X-API-Key, comma-separated; none: no key asked.",
        "API_KEY",
        "CALLBOARD_API_KEY",
        repr=False,
    )
    rate_limit_window_ms: int = _setting(
        60_000,
        "Length of the sliding window of the rate limiter, in milliseconds.",
        "RATE_LIMIT_WINDOW_MS",
        "CALLBOARD_RATE_LIMIT_WINDOW_MS",
        ge=1000,
        le=86_400_000,
    )
    rate_limit_max_requests: int = _setting(
        100,
        "Requests one caller may make in a window; 0 turns the limiter off.",
        "RATE_LIMIT_MAX_REQUESTS",
        "CALLBOARD_RATE_LIMIT_MAX_REQUESTS",
        ge=0,
        le=1_000_000,
    )
    allowed_origins: Annotated[CommaSeparated, AfterValidator(check_origins)] = _setting(
        ("*",),
        "Origins whose pages may call from a browser (CORS), comma-separated; * for all, where there are keys.",
        "ALLOWED_ORIGINS",
        "CALLBOARD_ALLOWED_ORIGINS",
    )
    env: Literal["development", "production"] = _setting(
        "development",
        "`production` hides internals in errors and sends HSTS; NODE_ENV is read too.",
        "CALLBOARD_ENV",
        "NODE_ENV",
    )

    # The server.
    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(3000, "Port to listen on; 0 takes a free one.", ge=0, le=65_535)
    http_threads: int = _setting(16, "Threads that answer requests.", ge=2, le=256)
    http_greenlets: bool = _setting(
        False,
        "Whether posted tasks are answered in the loop's thread, as greenlets, instead of in a thread each; whoever reads the log must then keep up, since that thread writes it.",
    )
    max_waiting: int = _setting(
        64,
        "Requests that may be held at once by `Prefer: wait` or `?wait=`; beyond it they are answered at once.",
        ge=0,
        le=1000,
    )
    max_streams: int = _setting(
        500, "Event streams that may be open at once, each with a thread; beyond it new ones get 503.", ge=0, le=1000
    )
    max_connections: int = _setting(
        2000, "Connections that may be open at once, idle ones too; beyond it old ones are closed.", ge=64, le=50_000
    )
    max_buffered_bytes: int = _setting(
        256_000_000,
        "Memory for requests that are not whole or not answered, and answers that are not taken, all together, in bytes.",
        ge=4_000_000,
    )
    max_wait_s: int = _setting(60, "Longest time one request is held, in seconds.", ge=0, le=600)
    max_body_bytes: int = _setting(2_000_000, "Largest request body, in bytes.", ge=1024, le=100_000_000)
    allowed_hosts: Annotated[CommaSeparated, AfterValidator(check_hosts)] = _setting(
        (),
        "Names, beside those of this machine's loopback, that a server without keys answers to, comma-separated; "
        "`*.example.com` are all below that one.",
    )
    allow_keyless: bool = _setting(
        False, "Whether a server without keys may listen on an address that other machines reach."
    )
    trusted_proxies: Annotated[CommaSeparated, AfterValidator(check_networks)] = _setting(
        (), "Addresses or networks of proxies whose X-Forwarded-For is believed, comma-separated."
    )
    console: Literal["auto", "on", "off"] = _setting(
        "auto", "Whether /console is served; `auto` serves it in development and not in production."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "Least severe line that is logged.")
    log_format: Literal["auto", "json", "console"] = _setting(
        "auto", "`auto` is `console` on a terminal and `json` elsewhere."
    )

    # Who asks.
    url: Annotated[str, AfterValidator(check_server_url)] = _setting(
        "", "Address of the server that the command line asks, such as 127.0.0.1:3000; empty: it is found."
    )

    # Where things are kept.
    data_dir: WrittenPath = _setting(
        default_data_dir,
        "Folder for the SQLite file, the signing key and the sessions' workspaces.",
    )
    database_url: str = _setting(
        "", "SQLAlchemy address of the history; empty: callboard.db in the data folder.", repr=False
    )
    secret_key: str = _setting(
        "",
        "Key that signs interpreter snapshots, at least 16 characters; empty: one is made and kept in the data folder.",
        repr=False,
    )
    retention_days: float = _setting(
        0, "Ended tasks older than this many days are pruned; 0 keeps all.", ge=0, le=36_500
    )
    retention_tasks: int = _setting(0, "Ended tasks beyond this many are pruned, oldest first; 0 keeps all.", ge=0)

    # Tasks.
    workers: int = _setting(8, "Tasks worked on at once.", ge=1, le=256)
    worker_processes: int | None = _setting(
        None,
        "Processes that work on tasks, each on several at once; 0: threads of the server's own process. Unset: one for each "
        "core but one, at least 1 and at most 4, for `callboard serve`; 0 for a system in a program.",
        ge=0,
        le=64,
    )
    worker_memory_bytes: Annotated[int, AfterValidator(check_worker_bytes)] = _setting(
        4 * 1024**3, "Most memory that one such process may take, in bytes, 268435456 or more; 0: no limit.", ge=0
    )
    one_core: bool = _setting(
        True, "Whether the server's busy threads share one core, where processes work on its tasks (Linux)."
    )
    max_backlog: int = _setting(10_000, "Accepted tasks that have not ended; beyond it new ones get 503.", ge=1)
    max_priority: int = _setting(MAX_PRIORITY, "Highest priority that a task may ask for.", ge=0, le=MAX_PRIORITY)
    inbox_limit: int = _setting(1000, "Messages that may wait in one actor's inbox.", ge=10)
    ask_timeout_s: float = _setting(10.0, "Longest wait for an actor's reply, in seconds.", gt=0, le=600)
    run_timeout_s: float = _setting(
        300.0, "Longest time one task may run, in seconds, whatever its timeoutMs.", gt=0, le=86_400
    )
    session_idle_s: float = _setting(300.0, "Sessions unused this long leave memory; the store keeps them.", gt=0)
    conversation_turns: int = _setting(100, "Turns of a session's conversation that are kept.", ge=2, le=10_000)
    drain_s: float = _setting(
        10.0,
        "Longest time a shutdown takes, in seconds: running tasks end within it or are handed back to the next start.",
        gt=0,
        le=3600,
    )
    max_crashes: int = _setting(
        3,
        "A task under which the server has died this many times in a row, getting no further, is a dead letter.",
        ge=1,
        le=100,
    )
    decision_timeout_s: float = _setting(
        604_800.0, "Longest time a paused task waits for a decision, in seconds.", gt=0, le=31_536_000
    )
    idempotency_hours: float = _setting(24.0, "How long an Idempotency-Key is remembered, in hours.", ge=24, le=8760)
    health_interval_s: float = _setting(5.0, "Time between two health probes, in seconds.", gt=0, le=300)

    # The sandbox.
    sandbox_time_s: float = _setting(
        10.0, "Longest time a task's code may compute, in seconds; skill calls do not count.", gt=0, le=3600
    )
    sandbox_memory_bytes: int = _setting(
        128 * 1024 * 1024, "Most memory a task's code may use, in bytes.", ge=1024 * 1024
    )
    sandbox_recursion: int = _setting(400, "Deepest call stack of a task's code.", ge=20, le=1000)
    sandbox_output_bytes: int = _setting(
        1_000_000, "Most text a task's code may print or return, in bytes.", ge=1000, le=16_000_000
    )
    sandbox_skill_calls: int = _setting(1000, "Most skill calls of one attempt at a task.", ge=1, le=1_000_000)

    # The model.
    llm_provider: Annotated[Literal["offline", "openai", "anthropic"], BeforeValidator(spoken)] = _setting(
        "offline",
        "Who writes the code: `offline` is the built-in planner, `openai` any endpoint that speaks OpenAI's chat "
        "completions, `anthropic` Anthropic's messages.",
    )
    llm_base_url: str = _setting("", "Address of the model's API; empty: the vendor's own.")
    llm_model: str = _setting("", "Name of the model; needed with a provider other than `offline`.")
    llm_api_key: str = _setting("", "Key for the model's API.", repr=False)
    llm_fallback_provider: Annotated[Literal["", "openai", "anthropic"], BeforeValidator(spoken_second)] = _setting(
        "", "A second provider, asked when the first one does not answer; empty: none."
    )
    llm_fallback_base_url: str = _setting("", "Address of the second provider's API; empty: the vendor's own.")
    llm_fallback_model: str = _setting("", "Name of the second provider's model.")
    llm_fallback_api_key: str = _setting("", "Key for the second provider's API.", repr=False)
    llm_timeout_s: float = _setting(
        120.0, "Longest time one call of a model takes, all its retries included, in seconds.", gt=0, le=3600
    )
    llm_retries: int = _setting(3, "How often a failed call of a model is repeated.", ge=0, le=20)
    llm_max_tokens: int = _setting(4096, "Most tokens a model writes in one call.", ge=16, le=1_000_000)
    llm_context_tokens: int | None = _setting(
        None,
        "Tokens that CALLBOARD_LLM_MODEL reads and writes in one call; unset: as the table of models has it, 32,768 where "
        "it does not know.",
        ge=1024,
        le=100_000_000,
    )
    llm_images: Literal["auto", "yes", "no"] = _setting(
        "auto", "Whether the model takes images; `auto` goes by its name."
    )
    llm_input_price: float | None = _setting(
        None, "US dollars for a million tokens read by CALLBOARD_LLM_MODEL; unset: as the price table has it.", ge=0
    )
    llm_output_price: float | None = _setting(
        None, "US dollars for a million tokens written by CALLBOARD_LLM_MODEL; unset: as the price table has it.", ge=0
    )
    max_rounds: int = _setting(
        6, "Most times a model is asked in one task: for code, and again for what came of it.", ge=1, le=100
    )

    # Budgets.
    task_budget: str = _setting(
        "", "What one task may spend, such as `modelCalls=50, tokens=200000, costUsd=2, skillCalls=500, wallMs=300000`."
    )
    session_budget: str = _setting("", "What one session may spend, written like the task's.")
    caller_day_budget: str = _setting("", "What one caller (an API key, else an address) may spend a day, UTC.")

    # Agents.
    agents_dir: WrittenPath | None = _setting(None, "Folder of more agents, one YAML file each.")
    max_depth: int = _setting(3, "How deep agents may delegate to agents; 0: not at all.", ge=0, le=16)
    max_subagents: int = _setting(20, "How many tasks one task may delegate, all those below it included.", ge=0)

    # Webhooks.
    webhook_secret: str = _setting(
        "",
        "Secret that signs webhooks, `whsec_` and base64 as Standard Webhooks has it; empty: one is made and kept in "
        "the data folder.",
        repr=False,
    )
    webhook_allow_private: bool = _setting(
        False, "Whether webhooks may go to private, loopback and link-local addresses."
    )
    webhook_timeout_s: float = _setting(10.0, "Longest time one attempt at a webhook takes, in seconds.", gt=0, le=60)

    # Skills.
    skills_dir: WrittenPath | None = _setting(
        None, "Folder of more skills: Python files, and folders with a SKILL.md (Agent Skills)."
    )
    mcp_config: WrittenPath | None = _setting(None, "File that names the MCP servers whose tools are skills.")
    approve_skills: CommaSeparated = _setting(
        (), "Skills that need a person's approval at each call, comma-separated; `*` stands for any characters."
    )
    parallel_calls: int = _setting(8, "Most skill calls of one task that are made at once.", ge=1, le=64)
    fetch_allow_private: bool = _setting(
        False, "Whether web-fetch and attachments by address may go to private, loopback and link-local addresses."
    )
    max_file_bytes: int = _setting(
        10_000_000, "Largest file that is attached, fetched or kept in a workspace, in bytes.", ge=1000
    )
    skill_settings: Annotated[dict[str, str], NoDecode] = _setting(
        {},
        "What skills read as ctx.settings: every CALLBOARD_SKILL_<NAME> variable, such as CALLBOARD_SKILL_SEARXNG_URL.",
        repr=False,
    )

    @field_validator("api_key", "allowed_origins", "allowed_hosts", "trusted_proxies", "approve_skills", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        if not parts:  # a template that was filled with nothing must not open the server
            raise ValueError("is set but names nothing; unset it, or give it a value")
        return parts

    @field_validator("task_budget", "session_budget", "caller_day_budget")
    @classmethod
    def _budget(cls, value: str) -> str:
        Budget.parse(value)
        return value

    @field_validator("secret_key")
    @classmethod
    def _secret_key(cls, value: str) -> str:
        if value and len(value.strip()) < _LEAST_KEY_CHARS:
            raise ValueError(f"has less than {_LEAST_KEY_CHARS} characters; `openssl rand -hex 32` makes a good one")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_secret(cls, value: str) -> str:
        return check_webhook_secret(value) if value else value

    @field_validator("env", mode="before")
    @classmethod
    def _mode(cls, value: Any) -> Any:
        """Pass over what NODE_ENV says to other programs, such as `test`: it is theirs, and we know two of its values."""
        return _MODES[0] if value is not None and value == foreign_mode() else value

    @field_validator("*", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        """Run before the other validators, as the last one that is written down."""
        if not isinstance(value, str):
            return value
        if not is_utf8(value):
            raise ValueError(NOT_UTF8)
        return unmarked(value)

    @classmethod
    def load(cls, **overrides: Any) -> "Settings":
        """Read the environment; raise `ConfigurationError` naming each variable that cannot work, as it is set."""
        _refuse_marked_names()
        skills = {
            name[len(SKILL_PREFIX) :].lower(): unmarked(value)
            for name, value in os.environ.items()
            if name.startswith(SKILL_PREFIX)
        }
        faults = list(refused_names(os.environ, setting_names()))
        faults += [f"{SKILL_PREFIX}{name.upper()}: {NOT_UTF8}" for name, value in skills.items() if not is_utf8(value)]
        settings, cause = None, None
        try:
            settings = cls(**{"skill_settings": skills, **overrides})
        except ValidationError as error:
            cause = error
            faults += map(_fault, error.errors(include_url=False))
        if settings is None or faults:
            told = " ".join(f"{fault.removesuffix('.')}." for fault in dict.fromkeys(faults))
            raise ConfigurationError(f"These settings cannot work: {told}") from cause
        return settings

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The origins that browsers may call from. Without keys `*` is none: every page would drive the server."""
        return self.allowed_origins if self.api_key else tuple(one for one in self.allowed_origins if one != "*")

    def require_data_dir(self) -> Path:
        """Return the data folder; raise `ConfigurationError` where none is named and the user has no home folder."""
        if self.data_dir == NOWHERE:
            raise ConfigurationError(
                "CALLBOARD_DATA_DIR is not set, and this user has no home folder to keep data in (HOME and "
                "XDG_DATA_HOME name none, and there is no entry in the user database); set CALLBOARD_DATA_DIR."
            )
        return self.data_dir

    def for_workers(self) -> dict[str, Any]:
        """Return the settings that a worker's process is given, as plain data: all but what callers, webhooks and the store are kept by."""
        return self.model_dump(mode="json", exclude={*_NOT_FOR_WORKERS, "mcp_config"})

    @cached_property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(network, strict=False) for network in self.trusted_proxies)


def _names_of(field: str) -> tuple[str, ...]:
    """Return the environment variables that a setting is read from, the one that wins first."""
    alias = Settings.model_fields[field].validation_alias
    return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (f"CALLBOARD_{field.upper()}",)


def _fault(error: "ErrorDetails") -> str:
    """Return what is wrong with a setting, by the name that is set of those that it is read from."""
    named = str(error["loc"][0])
    field = next((field for field in Settings.model_fields if named in (field, *_names_of(field))), None)
    if field is None:
        return f"{named} is no setting"
    variable = next(filter(os.environ.get, _names_of(field)), _names_of(field)[0])
    if error["type"] == "value_error":
        return f"{variable}: {error['msg'].removeprefix('Value error, ')}"
    return value_fault(variable, Settings.model_fields[field], error["input"])


def foreign_mode() -> str | None:
    """Return what NODE_ENV says where it decides, and is none of our values."""
    found = None if os.environ.get("CALLBOARD_ENV") else os.environ.get("NODE_ENV") or None
    return None if found in _MODES else found


def _refuse_marked_names() -> None:
    """Refuse a setting whose name begins with a byte-order mark, as the first line of some files does: it would not be read."""
    known = {name for field in Settings.model_fields for name in _names_of(field)}
    for name in os.environ:
        if name.startswith(BYTE_ORDER_MARK) and (meant := unmarked(name).upper()) in known:
            raise ConfigurationError(
                f"The name of {meant} begins with a byte-order mark, so it is another variable; save the file that "
                "it comes from as UTF-8 without one."
            )


_NOT_FOR_WORKERS = ("api_key", "secret_key", "webhook_secret", "database_url")


def worker_environment() -> dict[str, str]:
    """Return the environment of a worker's process: without what its settings leave out."""
    hidden = {name for field in _NOT_FOR_WORKERS for name in _names_of(field)}
    return {name: value for name, value in os.environ.items() if name.upper() not in hidden}


def environment() -> Mapping[str, str]:
    """Return the environment, for files that name variables by `${NAME}`."""
    return dict(os.environ)


def setting_names() -> dict[str, tuple[str, ...]]:
    """Return the environment variables that each setting is read from, by its field; the one that wins first."""
    return {field: _names_of(field) for field in Settings.model_fields}
