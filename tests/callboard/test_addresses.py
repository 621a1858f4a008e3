"""Addresses as people write them: one rule for `--url`, `CALLBOARD_URL` and `Client(…)`."""

from pathlib import Path

import pytest

from callboard import Client
from callboard.addresses import is_bare, server_url
from callboard.errors import ConfigurationError
from tests.callboard.in_process import in_process
from tests.docs.serving import Served

TAKEN = {
    "127.0.0.1:3000": "http://127.0.0.1:3000",
    "localhost:3000": "http://localhost:3000",
    "[::1]:3000": "http://[::1]:3000",
    "http://host:3000/": "http://host:3000",
    "HTTP://Host:3000": "http://Host:3000",
    "https://host": "https://host",
    "https://host/below/a/path//": "https://host/below/a/path",
    "host:3000/below": "http://host:3000/below",
    " 127.0.0.1:3000\n": "http://127.0.0.1:3000",
    "127.1:3000": "http://127.1:3000",
    "bücher.example:80": "http://bücher.example:80",
    "http://localhost": "http://localhost",
    "my_host.local.:1": "http://my_host.local.:1",
}
REFUSED = {
    "": "it is empty",
    " ": "it is empty",
    "htp://127.0.0.1:3000": "not by htp://",
    "ftp://127.0.0.1": "not by ftp://",
    "ws://127.0.0.1:3000": "not by ws://",
    "127.0.0.1:99999": "a port is a number from 1 to 65535",
    "127.0.0.1:0": "a port is a number from 1 to 65535",
    "127.0.0.1:": "a port is a number from 1 to 65535",
    "http:/127.0.0.1:3000": "behind http: come two slashes",
    "localhost:http": "a port is a number from 1 to 65535",
    "127.0.0.1:3000:1": "a port is a number from 1 to 65535",
    "127.0.0.1 :3000": "there is a space",
    "127.0.0.1:30\n00": "there is a space or a sign",
    "::1:3000": "stands in brackets",
    "[::zz]:3000": "is no address of a server",
    "[127.0.0.1]:3000": "is no address of a server",
    "http://[::1": "is no address of a server",
    "http://": "it names no host",
    ":3000": "it names no host",
    "300.1.1.1:3000": "is no name of a host",
    "a..b:3000": "is no name of a host",
    "localhost": "needs its port",
    "http://127.0.0.1:3000/#/tasks": "leave out what comes behind the path",
    "127.0.0.1:3000?a=b": "leave out what comes behind the path",
    "x" * 1000: f"'{'x' * 200}' is no address",
}


@pytest.mark.parametrize(("text", "url"), TAKEN.items(), ids=TAKEN)
def test_an_address_is_taken_as_people_write_it(text: str, url: str) -> None:
    assert server_url(text) == url
    assert server_url(url) == url
    with Client(text) as client:
        assert client.url == url


@pytest.mark.parametrize(("text", "said"), REFUSED.items(), ids=lambda text: text[:30])
def test_what_is_none_is_refused_with_what_is_wrong_and_what_to_write(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"write one such as http://127\.0\.0\.1:3000 or") as refused:
        server_url(text)
    assert said in str(refused.value)
    with pytest.raises(ConfigurationError, match="is no address of a server"):
        Client(text)


def test_the_command_line_and_the_setting_refuse_it_too(tmp_path: Path) -> None:
    wrong = in_process("health", "--url", "htp://127.0.0.1:3000", home=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--url" in wrong.stderr
    assert "not by htp://" in wrong.stderr
    wrong = in_process("health", home=tmp_path, CALLBOARD_URL="127.0.0.1:99999")
    assert (wrong.returncode, wrong.stdout) == (78, "")
    assert "CALLBOARD_URL: '127.0.0.1:99999' is no address" in wrong.stderr


def test_a_server_is_asked_at_an_address_without_a_scheme(served: Served, tmp_path: Path) -> None:
    bare = served.url.removeprefix("http://")
    for address in (bare, f"{bare}/", bare.replace("127.0.0.1", "localhost"), f"HTTP://{bare}"):
        done = in_process("run", "6*7", "--url", address, home=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")
    assert in_process("tasks", "--limit", "1", home=tmp_path, CALLBOARD_URL=bare).returncode == 0
    with Client(bare) as client:
        assert client.health().status == "healthy"


def test_an_error_says_what_a_bare_address_was_taken_for(tmp_path: Path) -> None:
    assert is_bare("127.0.0.1:9")
    assert not is_bare("http://127.0.0.1:9")
    done = in_process("health", "--url", "127.0.0.1:9", home=tmp_path)
    assert done.returncode == 69
    assert "No server answers at http://127.0.0.1:9 (taken for http://, since no scheme was written)" in done.stderr
    assert "taken for" not in in_process("health", "--url", "http://127.0.0.1:9", home=tmp_path).stderr
