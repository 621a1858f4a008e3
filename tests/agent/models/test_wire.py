"""The connection itself: TLS, its certificate, and answers that are too long."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.provider import Provider, Reply
from callboard.agent.models import wire
from callboard.errors import TaskError
from tests.agent.models.conftest import Bench, call
from tests.at_once import LATE_S

ONE = pytest.mark.parametrize("bench", ["openai"], indirect=True)
LONG = "The answer is forty-two. " * 4_000  # some TLS records
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that signs itself, with its key."""
    pair = tmp_path / "pair.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(pair), "-out", str(tmp_path / "cert.pem")]
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(command, check=True, capture_output=True)
    pair.write_text(pair.read_text() + (tmp_path / "cert.pem").read_text())
    return pair


@pytest.fixture
def secure(certificate: Path) -> Iterator[Provider]:
    """A provider that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    provider = Provider(Reply(text=LONG))
    provider.speak_tls(context)
    provider.start()
    yield provider
    provider.stop()


@contextmanager
def sending(piece: bytes, times: int) -> Iterator[str]:
    """Run a server that answers one request with these bytes, so many times; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _address = listener.accept()
            with connection:
                connection.recv(65_536)
                try:
                    for _ in range(times):
                        connection.sendall(piece)
                except OSError:
                    return  # it has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            thread.join()


@ONE
def test_an_answer_comes_over_tls_and_the_connection_is_used_again(
    bench: Bench, secure: Provider, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    model = bench.model(llm_base_url=secure.openai_url.replace("http://127.0.0.1", "https://localhost"))
    for _ in range(3):
        assert model.complete(call(20)).text == LONG
    assert secure.connections == 1


@ONE
def test_an_address_without_tls_reads_no_certificates(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))  # which who reads it finds missing
    with sending(HEAD, 1) as url:
        with pytest.raises(TaskError):
            bench.model(llm_base_url=url, llm_retries=0).complete(call())
        with pytest.raises(FileNotFoundError):
            bench.model(llm_base_url=url.replace("http://", "https://"))


@ONE
def test_a_certificate_that_nobody_vouches_for_gets_no_key(bench: Bench, secure: Provider) -> None:
    url = secure.openai_url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(TaskError, match="certificate verify failed") as caught:
        bench.model(llm_base_url=url, llm_retries=0).complete(call())
    assert caught.value.code == "model_unavailable"
    assert secure.count == 0


@ONE
def test_a_certificate_for_another_name_gets_no_key(
    bench: Bench, secure: Provider, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = secure.openai_url.replace("http://", "https://")
    with pytest.raises(TaskError, match="certificate verify failed"):
        bench.model(llm_base_url=url, llm_retries=0).complete(call())
    assert secure.count == 0


@ONE
def test_a_server_that_never_speaks_tls_is_left_in_time(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        model = bench.model(llm_base_url=f"https://127.0.0.1:{silent.getsockname()[1]}/v1")
        began = time.monotonic()
        with pytest.raises(TaskError) as caught:
            model.complete(call(0.3))
    assert caught.value.code == "model_timeout"
    assert time.monotonic() - began < 0.3 + LATE_S


@ONE
@pytest.mark.parametrize("limit", ["MAX_LINE_BYTES", "MAX_ANSWER_BYTES"])
def test_more_than_any_answer_is_long_is_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(wire, limit, 100_000)
    piece = b"x" * 65_536 if limit == "MAX_LINE_BYTES" else b": nothing\n\n" * 6000
    with sending(HEAD + piece, 10_000) as url, pytest.raises(TaskError, match="more than any answer") as caught:
        bench.model(llm_base_url=url, llm_retries=0).complete(call(60))
    assert caught.value.code == "model_bad_reply"


@ONE
def test_an_error_without_an_end_is_not_kept(bench: Bench) -> None:
    head = b"HTTP/1.1 500 Oh\r\n\r\n"
    with sending(head + b"x\n" * 32_768, 10_000) as url, pytest.raises(TaskError) as caught:
        bench.model(llm_base_url=url, llm_retries=0).complete(call(60))
    assert caught.value.code == "model_bad_reply"


@ONE
@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100,
        HEAD + b"\xff\xfe data: 1\n\n",
        HEAD + b"data: 5\n\ndata: [1]\n\n",
        b"",
    ],
)
def test_what_is_no_answer_at_all_is_a_failure_with_a_code(bench: Bench, sent: bytes) -> None:
    with sending(sent, 1) as url, pytest.raises(TaskError) as caught:
        bench.model(llm_base_url=url, llm_retries=0).complete(call(5))
    assert caught.value.code in ("model_bad_reply", "model_unavailable")
    assert caught.value.retryable


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count how often a name is looked up, and know none."""
    asked: list[str] = []

    def unknown(host: str, *_more: object, **_options: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    return lambda: len(asked)


@ONE
def test_a_name_that_is_not_known_is_unavailable(bench: Bench, no_names: Callable[[], int]) -> None:
    with pytest.raises(TaskError, match=r"nowhere\.invalid.*not known") as caught:
        bench.model(llm_base_url="http://nowhere.invalid/v1", llm_retries=1).complete(call())
    assert caught.value.code == "model_unavailable"
    assert no_names() == 2
