"""GET /agent/events: what happens to all tasks, as pages or as a stream."""

import contextlib
import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import falcon

from callboard.errors import InvalidRequest
from callboard.http import sse, views
from callboard.http.codec import respond, shown
from callboard.http.gateway_client import GatewayClient
from callboard.http.places import position_in
from callboard.http.query import expect_no_page, query_of, session_in, task_in, whole_number
from callboard.http.request import Request
from callboard.http.streams import Streams
from callboard.http.waiting import Waiting, rest, wished_wait_s
from callboard.messages.events import MOST_EVENTS, FeedEntry, FeedPage, ListEvents, Topic

if TYPE_CHECKING:
    from callboard.actors.following import FeedFollower
    from callboard.system import AgentSystem


def _beginnings(texts: Iterable[str]) -> str:
    """Return a pattern of all beginnings of some texts, the empty one too."""
    by_first: dict[str, list[str]] = {}
    for text in filter(None, texts):
        by_first.setdefault(text[0], []).append(text[1:])
    ways = "|".join(re.escape(first) + _beginnings(rests) for first, rests in by_first.items())
    return f"({ways})?" if ways else ""


_ONE_TOPIC = f"({'|'.join(map(re.escape, Topic))}|{_beginnings(Topic)}\\*)"
TOPICS_PATTERN = f"^{_ONE_TOPIC}(,{_ONE_TOPIC})*$"
"""Names of topics with commas between them, and beginnings of names with a `*` behind."""

_PARAMETERS = ("after", "limit", "wait", "topic", "taskId", "sessionId", "agent")
_MOST_RENDERED, _MOST_RENDERED_BYTES = 512, 16 * 1024
_LOOK_S = 0.5
"""How long a page that finds nothing goes on looking through what there is."""


class Feed:
    """Answers with events of any task."""

    def __init__(self, system: "AgentSystem", waiting: Waiting, streams: Streams) -> None:
        self._system = system
        self._gateway = GatewayClient(system)
        self._waiting = waiting
        self._streams = streams
        self._rendered = Rendered()

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        if req.wants_stream:
            self._stream(req, resp)
            return
        query = query_of(req, *_PARAMETERS)
        limit = whole_number(query, "limit", MOST_EVENTS, least=1, most=MOST_EVENTS)
        wanted = _wanted(query, position_in(req, query) or 0, limit)
        wait_s = wished_wait_s(req, query)
        page = self._look(req, wanted)
        if wait_s:
            found = page if page.entries or page.more else self._held(req, wanted.behind(page.next_after), wait_s)
            self._waiting.tell(resp, wait_s, held=found is not None)
            page = found or page
        respond(resp, views.feed(page), req.reply_type)

    def on_head(self, req: Request, resp: falcon.Response) -> None:
        if req.wants_stream:
            _stream_query(req)
            resp.content_type = sse.CONTENT_TYPE
            return
        self.on_get(req, resp)

    def _stream(self, req: Request, resp: falcon.Response) -> None:
        wanted = _stream_query(req)
        with self._streams.take(req) as place:
            follower = self._system.feed(wanted, principal=req.principal, request_id=req.request_id)
            try:
                follower.open()
            except BaseException:
                follower.close()
                raise
            place.send(req, resp, FeedStream(follower, self._rendered, asked=wanted.after))

    def _look(self, req: Request, wanted: ListEvents) -> FeedPage:
        """Return a page; go on for a while through what does not fit."""
        until_s = time.monotonic() + _LOOK_S
        while True:
            page = self._gateway.ask(req, wanted)
            if page.entries or not page.more or time.monotonic() >= until_s:
                return page
            wanted = wanted.behind(page.next_after)

    def _held(self, req: Request, wanted: ListEvents, wait_s: float) -> FeedPage | None:
        """Wait for a page that has something; None if there is no place to wait in."""
        registered = False
        with self._system.feed(wanted, principal=req.principal, request_id=req.request_id) as follower:

            def step(slice_s: float) -> FeedPage:
                nonlocal wanted, registered
                if registered:
                    rest(req)
                    follower.wait(slice_s)
                registered = True  # what came before that is found without a wait
                with follower.turn():
                    page = self._look(req, wanted)
                wanted = wanted.behind(page.next_after)  # what does not fit is looked at once
                return page

            return self._waiting.hold_by(req, wait_s, step, lambda page: bool(page.entries))


class Rendered:
    """The newest entries of the feed as they are sent, so that each is made once for all who follow it.

    Any thread; each access is atomic, and what two threads make at once is the same.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def of(self, entry: FeedEntry) -> bytes:
        position = entry.event.position
        if (known := self._kept.get(position)) is not None:
            return known
        made = sse.entry(str(position), views.feed_entry(entry))
        if len(made) <= _MOST_RENDERED_BYTES:
            self._kept[position] = made
            if len(self._kept) > _MOST_RENDERED:
                with contextlib.suppress(KeyError):
                    self._kept.popitem(last=False)
        return made


class FeedStream:
    """What the feed's stream tells; first where it begins if that is not where it was `asked` to."""

    def __init__(self, follower: "FeedFollower", rendered: "Rendered", *, asked: int | None) -> None:
        self._follower = follower
        self._rendered = rendered
        # a place that there is not, of a history that was put back, would be passed one day, and what comes until then missed
        starts_now = asked is None or asked > follower.position
        self._told: int | None = None if starts_now else follower.position
        self.over = False
        self.wake = follower.wake
        self.close = follower.close

    def next(self, wait_s: float) -> list[bytes]:
        if self._told is None:
            return [self._mark()]
        entries = self._follower.next(wait_s)
        self.over = self._follower.over
        if entries:
            self._told = entries[-1].event.position
        return [self._rendered.of(entry) for entry in entries]

    def idle(self) -> bytes:
        """Return a heartbeat, or how far the feed has come with nothing to tell: who resumes need not look there again."""
        self._follower.look_again()
        return sse.HEARTBEAT if self._follower.position == self._told else self._mark()

    def _mark(self) -> bytes:
        self._told = self._follower.position
        return sse.mark(str(self._told))


def _stream_query(req: Request) -> ListEvents:
    """Return what a stream is to tell; without a place it begins with what happens from now on."""
    query = query_of(req, *_PARAMETERS)
    expect_no_page(query, MOST_EVENTS)
    return _wanted(query, position_in(req, query))


def _wanted(query: Mapping[str, str], after: int | None, limit: int = MOST_EVENTS) -> ListEvents:
    return ListEvents(
        after=after,
        topics=_topics(query.get("topic")),
        task_id=task_in(query),
        session_id=session_in(query),
        agent=query.get("agent"),
        limit=limit,
    )


def _topics(text: str | None) -> frozenset[Topic]:
    """Return the topics that a list of names and beginnings stands for; raise `InvalidRequest` where it is none."""
    found: set[Topic] = set()
    for wanted in [] if text is None else text.split(","):
        fits = {t for t in Topic if t == wanted or (wanted.endswith("*") and t.startswith(wanted[:-1]))}
        if not fits:
            known = ", ".join(Topic)
            raise InvalidRequest(f"There is no topic {shown(wanted)}; the known ones are: {known}; * ends a beginning.")
        found |= fits
    return frozenset(found)
