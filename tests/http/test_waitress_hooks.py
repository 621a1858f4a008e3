"""What http/channel.py and http/server.py build on in waitress without its documentation promising it."""

from __future__ import annotations

import inspect
import re
import threading

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser  # type: ignore[import-untyped]
from waitress.server import BaseWSGIServer, create_server  # type: ignore[import-untyped]
from waitress.task import ErrorTask, Task, ThreadedTaskDispatcher, WSGITask  # type: ignore[import-untyped]
from waitress.utilities import Error  # type: ignore[import-untyped]

from callboard.http.fair_queue import FairDispatcher
from callboard.http.parser import StrictParser
from callboard.http.request_head import Fault


def test_a_channel_names_its_parser_and_its_tasks() -> None:
    assert HTTPChannel.parser_class is HTTPRequestParser
    assert HTTPChannel.task_class is WSGITask
    assert HTTPChannel.error_task_class is ErrorTask
    assert BaseWSGIServer.channel_class is HTTPChannel


def test_a_server_makes_its_channels_of_the_class_it_names() -> None:
    assert "self.channel_class(" in inspect.getsource(BaseWSGIServer.handle_accept)
    assert "self.error_task_class(" in inspect.getsource(HTTPChannel.service)
    assert "self.parser_class(" in inspect.getsource(HTTPChannel.received)


def test_the_head_of_an_answer_ends_with_an_empty_line_and_is_bytes() -> None:
    class Request:
        version = "1.1"
        headers: dict[str, str] = {}

    class Channel:
        class server:
            class adj:
                ident = None

    task = Task(Channel, Request)
    task.response_headers = [("content-security-policy", "x"), ("Content-Length", "0")]
    head = task.build_response_header()
    assert isinstance(head, bytes)
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
    assert b"\r\nContent-Security-Policy: x\r\n" in head
    assert "self.build_response_header()" in inspect.getsource(Task.write)


def test_a_channel_and_its_tasks_ask_a_parser_for_nothing_that_ours_does_not_have() -> None:
    asked = set[str]()
    for user, name in ((HTTPChannel, "request"), (Task, "self.request"), (WSGITask, "request")):
        asked |= set(re.findall(rf"\b{re.escape(name)}\.(\w+)", inspect.getsource(user)))
    parser = StrictParser(Adjustments())
    assert {name for name in asked if not hasattr(parser, name)} == {"url_scheme"}  # from the first line on
    parser.received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert {name for name in asked if not hasattr(parser, name)} == set()
    assert "self.header_plus" in inspect.getsource(HTTPRequestParser.received)
    assert {"max_request_header_size", "max_request_body_size", "inbuf_overflow"} <= vars(Adjustments).keys()


def test_a_refusal_stands_where_waitress_has_its_own_errors() -> None:
    assert set(vars(Error(""))) | {"code", "reason"} <= set(dir(Fault("", 400)))
    assert "n >= len(data)" in inspect.getsource(HTTPChannel.received)  # a refused request has taken what is behind it


def test_the_loop_can_be_turned_once_and_the_server_knows_its_channels() -> None:
    assert {"timeout", "use_poll", "map", "count"} <= inspect.signature(wasyncore.loop).parameters.keys()
    assert {"map"} <= inspect.signature(create_server).parameters.keys()
    for name in ("active_channels", "task_dispatcher", "pull_trigger"):
        assert name in inspect.getsource(BaseWSGIServer)
    assert "timeout" in inspect.signature(ThreadedTaskDispatcher.shutdown).parameters


def test_a_stream_can_see_what_is_unsent_and_be_woken_by_what_is_sent() -> None:
    for name in ("total_outbufs_len", "outbuf_lock", "connected", "will_close", "server", "adj"):
        assert name in inspect.getsource(HTTPChannel)
    assert "self.outbuf_lock.notify()" in inspect.getsource(HTTPChannel._flush_some_if_lockable)
    assert "self.environ" in inspect.getsource(WSGITask.get_environment)
    assert "app_iter.close()" in inspect.getsource(WSGITask.execute)
    assert isinstance(Adjustments().threads, int)
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(2)
    assert len(dispatcher.threads) == 2
    dispatcher.set_thread_count(3)
    assert len(dispatcher.threads) == 3
    assert dispatcher.shutdown(timeout=5)


def test_a_channel_is_closed_read_and_asked_through_what_the_lingering_one_overrides() -> None:
    assert "self.handle_close()" in inspect.getsource(HTTPChannel.handle_write)
    assert "self.received(data)" in inspect.getsource(HTTPChannel.handle_read)
    assert "self.handle_close()" in inspect.getsource(wasyncore.dispatcher.recv)
    assert ".readable()" in inspect.getsource(wasyncore.poll2)
    assert "channel.will_close = True" in inspect.getsource(BaseWSGIServer.maintenance)


def test_a_dispatcher_asks_its_queue_under_its_lock_for_no_more_than_the_fair_one_has() -> None:
    source = inspect.getsource(ThreadedTaskDispatcher)
    found = {line.strip() for line in source.splitlines() if "self.queue" in line and "self.queue_" not in line}
    assert found == {
        "self.queue = deque()",
        "while not self.queue and self.stop_count == 0:",
        "task = self.queue.popleft()",
        "self.queue.append(task)",
        "queue_size = len(self.queue)",
        "queue = self.queue",
    }
    assert "task.service()" in source
    assert "task.cancel()" in source
    assert {"_dispatcher"} <= inspect.signature(create_server).parameters.keys()


def test_a_channel_is_made_at_accept_and_reads_what_ours_reads_in_its_own_way() -> None:
    assert "self.channel_class(self, conn, addr, self.adj, map=self._map)" in inspect.getsource(
        BaseWSGIServer.handle_accept
    )
    received = inspect.getsource(HTTPChannel.received)
    for step in ("self.requests_lock", "self.request.received(data)", "self.send_continue()", "self.request.empty"):
        assert step in received
    assert "self.server.add_task(self)" in received
    assert "self.requests.pop(0)" in inspect.getsource(HTTPChannel.service)
    for name in ("header_bytes_received", "body_bytes_received", "headers_finished", "expect_continue", "error"):
        assert hasattr(HTTPRequestParser, name)
    assert "close" in vars(HTTPRequestParser)


def test_a_task_writes_its_head_and_its_body_by_what_ours_joins() -> None:
    write = inspect.getsource(Task.write)
    for step in (
        "if not self.complete",
        "channel.write_soon(rh)",
        "self.wrote_header = True",
        "if data and self.has_body",
    ):
        assert step in write
    assert "towrite = data[: cl - self.content_bytes_written]" in write
    assert "self.content_bytes_written += len(towrite)" in write
    assert "channel.write_soon(towrite)" in write
    assert "self.write(chunk)" in inspect.getsource(WSGITask.execute)


def test_each_thread_is_made_of_the_method_that_ours_begins_with() -> None:
    assert "self.start_new_thread(self.handler_thread, " in inspect.getsource(ThreadedTaskDispatcher.set_thread_count)
    began = list[int]()
    dispatcher = FairDispatcher(3, begins=lambda: began.append(threading.get_ident()))
    dispatcher.shutdown()
    assert len(set(began)) == 3
