"""200 clients of the feed, for `reading.py`: `python -m bench.feeds PORT FEEDS`.

A process of its own with one thread: it opens the streams, prints `ready` when each has begun, reads whatever comes, and at
the end of its standard input prints one line of JSON: the events that the streams have told of.
"""

import json
import os
import selectors
import socket
import sys

REQUEST = b"GET /agent/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"


def main(port: str, feeds: str) -> None:
    selector = selectors.DefaultSelector()
    for _ in range(int(feeds)):
        connection = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
        connection.sendall(REQUEST)
        if not connection.recv(65_536).startswith(b"HTTP/1.1 200"):
            sys.exit("a stream was refused")
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    print("ready", flush=True)
    os.set_blocking(sys.stdin.fileno(), False)
    selector.register(sys.stdin, selectors.EVENT_READ)
    told = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                print(json.dumps({"told": told}))
                return
            told += key.fileobj.recv(1_000_000).count(b"\nid: ")  # type: ignore[union-attr]


if __name__ == "__main__":
    main(*sys.argv[1:])
