"""GET /agent/events: what happens to all tasks, as pages or as a stream."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import falcon

from callboard.errors import InvalidRequest
from callboard.feeds import MOST_EVENTS, FeedPage, ListEvents
from callboard.http import sse, views
from callboard.http.codec import respond, shown
from callboard.http.query import query_of, seconds, session_in, task_in, whole_number
from callboard.http.request import Request
from callboard.http.streams import Streams
from callboard.http.waiting import Waiting
from callboard.messages import Topic
from callboard.values import INT64_MAX

if TYPE_CHECKING:
    from callboard.actors.following import FeedFollower
    from callboard.system import AgentSystem

TOPICS_PATTERN = r"^[a-z.]+\*?(,[a-z.]+\*?)*$|^\*$"
_FILTERS = ("topic", "taskId", "sessionId", "agent")
_LOOK_S = 0.5
"""How long a page that finds nothing goes on looking through what there is."""


class Feed:
    """Answers with events of any task."""

    def __init__(self, system: "AgentSystem", waiting: Waiting, streams: Streams) -> None:
        self._system = system
        self._gateway = system.gateway
        self._waiting = waiting
        self._streams = streams
        self._timeout_s = system.settings.ask_timeout_s

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        if req.wants_stream:
            self._stream(req, resp)
            return
        query = query_of(req, "after", "limit", "wait", *_FILTERS)
        limit = whole_number(query, "limit", MOST_EVENTS, least=1, most=MOST_EVENTS)
        wanted = _wanted(query, whole_number(query, "after", 0, least=0), limit)
        wait_s = seconds(query, "wait")
        page = self._look(wanted)
        if wait_s and not page.entries and not page.more:
            page = self._held(req, wanted.behind(page.next_after), wait_s) or page
        respond(resp, views.feed(page), req.reply_type)

    def on_head(self, req: Request, resp: falcon.Response) -> None:
        if req.wants_stream:
            _wanted(query_of(req, "after", *_FILTERS), None)
            resp.content_type = sse.CONTENT_TYPE
            return
        self.on_get(req, resp)

    def _stream(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "after", *_FILTERS)
        after = _position(req, query)
        with self._streams.take(req) as place:
            follower = self._system.feed(_wanted(query, after))
            try:
                follower.open()
            except BaseException:
                follower.close()
                raise
            place.send(req, resp, FeedStream(follower, starts_now=after is None))

    def _look(self, wanted: ListEvents) -> FeedPage:
        """Return a page; go on for a while through what does not fit."""
        until_s = time.monotonic() + _LOOK_S
        while True:
            page: FeedPage = self._gateway.ask(wanted, timeout_s=self._timeout_s)
            if page.entries or not page.more or time.monotonic() >= until_s:
                return page
            wanted = wanted.behind(page.next_after)

    def _held(self, req: Request, wanted: ListEvents, wait_s: float) -> FeedPage | None:
        """Wait for a page that has something; None if there is no place to wait in."""
        registered = False
        with self._system.feed(wanted) as follower:

            def step(slice_s: float) -> FeedPage:
                nonlocal wanted, registered
                if registered:
                    follower.wait(slice_s)
                registered = True  # what came before that is found without a wait
                page = self._look(wanted)
                wanted = wanted.behind(page.next_after)  # what does not fit is looked at once
                return page

            found: FeedPage | None = self._waiting.hold_by(req, wait_s, step, lambda page: bool(page.entries))
            return found


class FeedStream:
    """What the feed's stream tells."""

    def __init__(self, follower: "FeedFollower", *, starts_now: bool) -> None:
        self._follower = follower
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
        return [sse.entry(str(entry.event.position), views.feed_entry(entry)) for entry in entries]

    def idle(self) -> bytes:
        """Return a heartbeat, or how far the feed has come with nothing to tell: who resumes need not look there again."""
        self._follower.look_again()
        return sse.HEARTBEAT if self._follower.position == self._told else self._mark()

    def _mark(self) -> bytes:
        self._told = self._follower.position
        return sse.mark(str(self._told))


def _position(req: Request, query: Mapping[str, str]) -> int | None:
    """Return where a stream is resumed; None: it begins with what happens from now on."""
    last = req.env.get("HTTP_LAST_EVENT_ID")
    if last:
        if not (last.isascii() and last.isdigit() and len(last) <= 19 and int(last) <= INT64_MAX):
            raise InvalidRequest(f"Last-Event-ID is {shown(last)}; give the id of an event of this feed.")
        return int(last)
    return whole_number(query, "after", 0, least=0) if "after" in query else None


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
