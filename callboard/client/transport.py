"""Requests of the client: one sent until it is answered or given up, and a stream that is opened.

Runs in the thread that calls the client; an `httpx.Client` may be used by several at once. Imported by
`callboard.client` and `callboard.client.stream` only.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from callboard import __version__
from callboard.addresses import is_bare, server_url
from callboard.client.errors import ApiError, NoServerError, api_error
from callboard.clock import Clock
from callboard.errors import ConfigurationError, InvalidRequest
from callboard.retry_after import retry_after_s

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may be answered."""
LONGEST_RETRY_AFTER_S = 60.0
"""A server that asks to wait longer is not waited for: the error says how long it would be."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0

# Nothing of the request has left, so it can be sent again whatever it does.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_EVENT_STREAM = "text/event-stream"
Parsed = TypeVar("Parsed", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `repeatable`: sending it twice does no more than sending it once."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionChange:
    """A connection to the server at `url` that is `lost`, and why, or that is back after `away_s` seconds."""

    url: str
    lost: bool
    why: str = ""
    away_s: float = 0.0


class Tries:
    """How often a thing may still fail in a row, and the pauses in between.

    A pause is what Retry-After asks for, or else 0.25 s doubled with each failure up to 8 s, less a random part of up
    to a half, so that clients whom one outage has cut off do not all come back at once. `tell` hears of an outage once, and
    once of its end; a server that answers, though with a refusal, is not away.
    """

    def __init__(
        self,
        retries: int,
        sleep: Callable[[float], None],
        *,
        url: str,
        clock: Clock,
        tell: Callable[[ConnectionChange], object] | None,
    ) -> None:
        self._retries = retries
        self._sleep = sleep
        self._url = url
        self._clock = clock
        self._tell = tell
        self._failures = 0
        self._lost_s: float | None = None
        self.first_pause_s = _FIRST_PAUSE_S

    def reset(self) -> None:
        """Forget the failures: there was progress."""
        self._failures = 0

    def pause(self, failure: ApiError | NoServerError, most_s: float | None = None) -> None:
        """Wait before the next try, at most `most_s`; raise the failure if there is none left."""
        asked_s = failure.retry_after_s if isinstance(failure, ApiError) else None
        if self._failures >= self._retries or (asked_s or 0.0) > LONGEST_RETRY_AFTER_S:
            raise failure
        if self._lost_s is None and _is_away(failure):
            self._lost_s = self._clock.monotonic()
            if self._tell is not None:
                self._tell(ConnectionChange(url=self._url, lost=True, why=failure.message))
        backoff_s = min(self.first_pause_s * 2**self._failures, _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
        self._failures += 1
        wait_s = backoff_s if asked_s is None else asked_s
        self._sleep(wait_s if most_s is None else max(0.0, min(wait_s, most_s)))

    def answered(self) -> None:
        """Note that the server is there."""
        lost_s, self._lost_s = self._lost_s, None
        if lost_s is not None and self._tell is not None:
            away_s = self._clock.monotonic() - lost_s
            self._tell(ConnectionChange(url=self._url, lost=False, away_s=away_s))


def _is_away(failure: ApiError | NoServerError) -> bool:
    """Say whether a failure means that the server is not reached: what it says itself has the id of the request."""
    return isinstance(failure, NoServerError) or failure.request_id is None


class Transport:
    """The connections to one server. Any thread may use it until it is closed."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        timeout_s: float,
        retries: int,
        on_connection: Callable[[ConnectionChange], object] | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            self.url = server_url(url)
        except ValueError as error:
            raise ConfigurationError(f"{error}.") from error
        self._place = f"{self.url} (taken for http://, since no scheme was written)" if is_bare(url) else self.url
        self.clock = clock or Clock()
        self._on_connection = on_connection
        self._retries = retries
        self._sleep = sleep
        self._timeout_s = timeout_s
        self._http = _http_client(self.url, api_key, timeout_s)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def tries(self) -> Tries:
        return Tries(self._retries, self._sleep, url=self.url, clock=self.clock, tell=self._on_connection)

    def ask(self, request: Request, *, answers: frozenset[int] = frozenset()) -> dict[str, Any]:
        """Return the body of a good answer, or of one whose status is in `answers`.

        Raises `ApiError` for a refusal and `NoServerError` where no Callboard answers, both after the retries.
        """
        tries = self.tries()
        while True:
            try:
                answer = self._http.send(self._build(request))
            except httpx.DecodingError as error:
                raise self.garbled(error) from error
            except httpx.TransportError as error:
                failure: ApiError | NoServerError = self.unreachable(error)
                failure.__cause__ = error
                if not (request.repeatable or isinstance(error, _UNSENT)):
                    raise failure from error
            else:
                if answer.is_success or answer.status_code in answers:
                    tries.answered()
                    return self._body(answer)
                failure = self.refusal(answer)
                if not (request.repeatable and answer.status_code in RETRIED):
                    raise failure
            tries.pause(failure)

    @contextmanager
    def open(self, request: Request, *, read_timeout_s: float) -> Iterator[httpx.Response]:
        """Open an event stream and yield the answer, unread, or one with the status 204; tries once.

        Raises `ApiError`, `NoServerError` for what is no event stream, and `httpx.TransportError`, also while it is read.
        """
        built = self._build(request, read_timeout_s)
        built.headers["Accept"] = _EVENT_STREAM
        answer = self._http.send(built, stream=True)
        try:
            if answer.status_code != 204:
                if not answer.is_success:
                    answer.read()
                    raise self.refusal(answer)
                if answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _EVENT_STREAM:
                    raise NoServerError(
                        f"What answers at {self.url} sends no event streams; name another server, or renew that one."
                    )
            yield answer
        finally:
            answer.close()

    def unreachable(self, error: httpx.TransportError) -> NoServerError:
        """Return the error to raise for one of the connection."""
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            what = f"The server at {self.url} has not answered in time; it may still have done what it was asked."
        else:
            what = f"No server answers at {self._place} ({error}); start it with `callboard serve`, or name another address."
        return NoServerError(what)

    def refusal(self, answer: httpx.Response) -> ApiError | NoServerError:
        """Return the error to raise for an answer that is no success."""
        body = _json(answer)
        wait_s = retry_after_s(answer.headers.get("Retry-After"), self.clock.now())
        if body is not None and "code" in body and "message" in body:
            return api_error(answer.status_code, body, wait_s)
        if answer.status_code in RETRIED:  # a proxy's, while the server behind it is away
            message = (
                f"What answers at {self.url} cannot reach the server (status {answer.status_code}); try again later."
            )
            return api_error(answer.status_code, {"message": message, "code": "unavailable"}, wait_s)
        return self._stranger(answer)

    def parse(self, model: type[Parsed], value: Any) -> Parsed:
        """Return a part of an answer as a typed value."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise self.garbled(error) from error

    def garbled(self, why: object) -> NoServerError:
        """Return the error to raise for an answer that no Callboard gives."""
        return NoServerError(f"What the server at {self.url} has answered cannot be read: {why}")

    def _body(self, answer: httpx.Response) -> dict[str, Any]:
        body = _json(answer)
        if body is None:
            raise self._stranger(answer)
        return body

    def _stranger(self, answer: httpx.Response) -> NoServerError:
        return NoServerError(
            f"What answers at {self._place} is no Callboard (status {answer.status_code}); name another address."
        )

    def _build(self, request: Request, read_timeout_s: float | None = None) -> httpx.Request:
        """Return the request as it is sent; raise `InvalidRequest` for what no request can carry."""
        try:
            return self._http.build_request(
                request.method,
                request.path,
                params={name: value for name, value in request.params.items() if value is not None},
                headers=_header_values(request.headers),
                json=request.body,
                timeout=httpx.Timeout(self._timeout_s, read=read_timeout_s or self._timeout_s),
            )
        except ValueError as error:  # half of a surrogate pair, as bytes that are no text become; NaN
            raise InvalidRequest(f"The request cannot be written: {error}.") from error


def _http_client(url: str, api_key: str | None, timeout_s: float) -> httpx.Client:
    try:
        address = httpx.URL(url)
        _ = address.host  # which raises for a name that IDNA does not have
    except (httpx.InvalidURL, ValueError) as error:  # a ValueError of the host's encoding
        raise ConfigurationError(
            f"{url!r} is no address of a server such as http://127.0.0.1:3000 ({error})."
        ) from error
    headers = {"Accept": "application/json", "User-Agent": f"callboard-client/{__version__}"}
    if api_key and not _fits_header(api_key):
        raise ConfigurationError("The API key is no line of printable ASCII characters.")
    return httpx.Client(
        base_url=address,
        headers={**headers, "X-API-Key": api_key} if api_key else headers,
        timeout=timeout_s,
        # a stream holds its connection, and how many there may be is the server's to say
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        trust_env=False,  # the environment is read in the settings only, proxies too
        # PERF: the CAs take 25 ms to read, and without a proxy or redirects no connection of an http:// address is TLS
        verify=address.scheme == "https",
    )


def _header_values(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _fits_header(value):
            raise InvalidRequest(f"The {name} can be printable ASCII characters only; it is {value!r}.")
    return dict(headers)


def _fits_header(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _json(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
