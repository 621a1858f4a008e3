"""The few requests that the harness makes, over one keep-alive connection. One thread each."""

import contextlib
import http.client
import json
from typing import Any


class Lost(Exception):  # it says what happened to the answer
    """No answer came: the request may have been carried out or not."""


class Absent(Lost):
    """Nobody listens: the request has not been carried out."""


class Api:
    """A client of the server on a port of this machine, there or not."""

    def __init__(self, port: int, *, timeout_s: float = 30.0, source: str | None = None) -> None:
        self._port = port
        self._timeout_s = timeout_s
        self._source = (source, 0) if source else None
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return the status and the body of the answer; raise `Lost` if none came. `_` in header names is `-`."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=self._timeout_s, source_address=self._source
            )
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body)
        try:
            self._connection.request(
                method, path, data, {"Content-Type": "application/json", **names} if data else names
            )
            reply = self._connection.getresponse()
            content = reply.read()
        except ConnectionRefusedError as error:
            self.close()
            raise Absent(f"{method} {path}: nobody listens") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(f"{method} {path}: {type(error).__name__}: {error}") from error
        return reply.status, json.loads(content) if content else None

    def execute(self, body: Any, *, key: str | None = None, wait_s: float | None = None) -> tuple[int, Any]:
        headers = {"Idempotency_Key": key} if key else {}
        if wait_s is not None:
            headers["Prefer"] = f"wait={wait_s:g}"
        return self.request("POST", "/agent/execute", body, **headers)

    def task(self, task_id: str) -> dict[str, Any] | None:
        """Return all that is known of a task; None if it is unknown. Raises `Lost` for any other answer too."""
        status, body = self.request("GET", f"/agent/tasks/{task_id}")
        if status == 404:
            return None
        if status != 200:
            raise Lost(f"GET /agent/tasks/{task_id} was answered with {status} {body}")
        found: dict[str, Any] = body
        return found

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
