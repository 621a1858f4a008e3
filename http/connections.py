"""Connections: how many one address may have, how long they may take, and how much they may hold, all together.

One object a server, in the thread of its loop only, which calls `look` several times a second: waitress itself stops
accepting when its limit is reached, so that one client with that many unfinished requests would keep everybody out, looks for
silent connections every 30 s only, and counts one byte now and then as activity.

- Where the address of a new connection has its share (callboard/shares.py), the oldest one of that address that is not being
  answered is closed for it; where all are taken, one of the address that has most. An address that goes on opening them has
  `_REPLACED` replaced between two looks. The others wait, unread and uncounted, for the next look, those that ask for `/health`
  come first then, and what has waited for `_PUT_OFF_S` is closed: a client that opens again what is closed is slowed down, where
  closing at once would have it come back ten thousand times a second.
- A request's head, and its body, have a time, whatever drips in; a client that takes nothing of its answer has one too.
- What has been received and not answered, and what has been answered and not taken, is kept in memory, never in files of its
  own, and counted. Where a caller holds more than its share of `max_buffered_bytes`, its largest connection is refused or closed.

A connection of a trusted proxy is whoever's the head of its request names, from then to its next request; those that name nobody
have no share. Imported by
http/channel.py and http/server.py only.
"""

import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from callboard.http.client_address import client_behind, is_trusted
from callboard.http.door import HEALTH
from callboard.http.principals import id_of_address
from callboard.http.request_head import Fault
from callboard.limits import BODY_BYTES_PER_S, BODY_S, HEAD_S, IDLE_S, UNTAKEN_S
from callboard.logs import get_logger
from callboard.memory import trim
from callboard.settings import Settings
from callboard.shares import may_take

if TYPE_CHECKING:
    from callboard.http.channel import LingeringChannel

_PROXIES = ""
_HEALTH = f"GET {HEALTH}".encode("ascii")
_TOLD_EVERY_S = 60.0
_REPLACED = 50
_REPLACED_FOR_HEALTH = 100
_PUT_OFF_S = 1.0
_MUCH_BYTES = 32_000_000

_log = get_logger("callboard.http")


class PutOff(NamedTuple):
    """A connection that has come and is not taken in yet."""

    connection: socket.socket
    peer: str
    take_in: Callable[[], object]
    since_s: float

    def asks_for_health(self) -> bool:
        """Look at what has come of its request, which stays unread."""
        try:
            return self.connection.recv(len(_HEALTH), socket.MSG_PEEK) == _HEALTH
        except OSError:
            return False


class Connections:
    """The open connections of a server, by the address that they come from, oldest first."""

    def __init__(self, settings: Settings, most: int) -> None:
        self._most = most
        self._most_bytes = settings.max_buffered_bytes
        self._trusted = settings.trusted_networks
        self._of: dict[str, dict[LingeringChannel, None]] = {}
        self._count = 0
        self._replaced: dict[str, int] = {}
        self._put_off: list[PutOff] = []
        self._most_put_off = most // 2
        self._told_at_s: dict[str, float] = {}
        self._too_much = (
            "Requests that are not whole hold as much memory as the server has for them "
            f"({self._most_bytes} bytes, CALLBOARD_MAX_BUFFERED_BYTES); send fewer at once, and try again."
        )
        self._most_held = 0
        self.offered = 0
        """How many have come, taken or not."""

    # --- how many ---

    def offer(self, connection: socket.socket, address: str, take_in: Callable[[], object]) -> None:
        """Take a new connection in with `take_in`, or put it off; where too many are put off, close it."""
        self.offered += 1
        came = PutOff(connection, self._peer_of(address), take_in, time.monotonic())
        if self._admits(came.peer):
            take_in()
        elif len(self._put_off) < self._most_put_off:
            connection.setblocking(False)
            self._put_off.append(came)
        else:
            connection.close()

    def _admits(self, peer: str, most: int | None = None) -> bool:
        """Return whether an address may have another connection; where it has its share, close another one for it."""
        if self._may_have_another(peer):
            return True
        replaced = self._replaced.get(peer, 0)
        if replaced >= (_REPLACED if most is None else most):
            return False
        self._replaced[peer] = replaced + 1
        return self._make_room(peer)

    def _look_at_put_off(self, now_s: float) -> None:
        """Take in those that were put off, first what asks for health; close what has waited for long."""
        self._replaced.clear()
        left = []
        for one in self._put_off:
            if one.asks_for_health() and self._admits(one.peer, _REPLACED_FOR_HEALTH):
                one.take_in()
            else:
                left.append(one)
        self._put_off = []
        for one in left:
            if self._admits(one.peer):
                one.take_in()
            elif now_s > one.since_s + _PUT_OFF_S:
                one.connection.close()
            else:
                self._put_off.append(one)

    @property
    def descriptors_put_off(self) -> list[int]:
        return [number for one in self._put_off if (number := one.connection.fileno()) >= 0]

    def close(self) -> None:
        """Close what is put off."""
        for one in self._put_off:
            one.connection.close()
        self._put_off = []

    def opened(self, channel: "LingeringChannel") -> None:
        """Take in a connection that was admitted."""
        channel.peer = self._peer_of(channel.addr[0])
        channel.caller = id_of_address(channel.addr[0])
        self._of.setdefault(channel.peer, {})[channel] = None
        self._count += 1

    def _peer_of(self, address: str) -> str:
        return _PROXIES if is_trusted(address, self._trusted) else id_of_address(address)

    def closed(self, channel: "LingeringChannel") -> None:
        mine = self._of.get(channel.peer, {})
        if channel in mine:
            del mine[channel]
            self._count -= 1
            if not mine:
                del self._of[channel.peer]

    def _may_have_another(self, peer: str) -> bool:
        free = self._most - self._count
        return free > 0 if peer == _PROXIES else may_take(len(self._of.get(peer, ())), free)

    def _make_room(self, peer: str) -> bool:
        """Close the oldest connection that can be closed: of this address, or where all are taken of the one that has most."""
        whose = peer if self._count < self._most else max(self._of, key=self._how_many, default=peer)
        oldest = next((channel for channel in self._of.get(whose, ()) if not channel.at_work), None)
        self._tell("has its share of the connections: its oldest ones are closed for new ones", whose)
        if oldest is not None:
            oldest.give_up()
        return oldest is not None

    def _tell(self, what: str, client: str) -> None:
        """Log something that may happen a thousand times a second, once a minute."""
        now_s = time.monotonic()
        if now_s >= self._told_at_s.get(what, 0.0):
            self._told_at_s[what] = now_s + _TOLD_EVERY_S
            _log.warning(f"a client {what}", client=client or "trusted proxies")

    def _how_many(self, peer: str) -> int:
        return len(self._of[peer])

    # --- whose, how long, how much ---

    def begun(self, channel: "LingeringChannel") -> None:
        """Note that another request has begun: it is not known yet whom a trusted proxy sends it for."""
        self._count_for(channel, self._peer_of(channel.addr[0]))

    def named(self, channel: "LingeringChannel", forwarded_for: str | None) -> None:
        """Note whom a request is from: the address, or behind a trusted proxy the one that it names. May close one of that one's."""
        client = client_behind(channel.addr[0], forwarded_for, self._trusted)
        channel.caller = id_of_address(client)
        if channel.peer != _PROXIES or is_trusted(client, self._trusted):
            return
        self._count_for(channel, channel.caller)
        mine = len(self._of[channel.caller])
        if not may_take(mine - 1, self._most - self._count + 1):
            self._make_room(channel.caller)

    def _count_for(self, channel: "LingeringChannel", peer: str) -> None:
        if channel.peer != peer and channel in self._of.get(channel.peer, {}):
            self.closed(channel)
            channel.peer = peer
            self._of.setdefault(peer, {})[channel] = None
            self._count += 1

    def look(self, now_s: float) -> None:
        """Close or refuse what takes too long, and what holds too much."""
        self._look_at_put_off(now_s)
        held: dict[str, dict[LingeringChannel, int]] = {}
        for channel in self._all():
            self._end_in_time(channel, now_s)
            if channel.connected and (size := channel.buffered_bytes()):
                held.setdefault(channel.caller, {})[channel] = size
        if held:
            self._bound(held)
        self._give_memory_back(sum(sum(sizes.values()) for sizes in held.values()))

    def _give_memory_back(self, held_bytes: int) -> None:
        """Give back to the system what a crowd of requests has left, once it is over: 130 MB after one that held 230."""
        self._most_held = max(self._most_held, held_bytes)
        if self._most_held > _MUCH_BYTES and held_bytes < self._most_held / 32:
            self._most_held = held_bytes
            trim()

    def _all(self) -> Iterator["LingeringChannel"]:
        for mine in list(self._of.values()):
            yield from list(mine)

    def _end_in_time(self, channel: "LingeringChannel", now_s: float) -> None:
        if channel.will_close or (channel.lingers_until is not None and now_s > channel.lingers_until):
            channel.give_up()  # waitress would wait until something can be sent, which a client can put off for good
        elif channel.lingers_until is not None or channel.requests:
            return
        elif channel.total_outbufs_len:
            if channel.untaken_for_s(now_s) > UNTAKEN_S:
                channel.give_up()
        elif channel.began_s is None:
            if now_s > channel.rests_since_s + IDLE_S:
                channel.give_up()
        elif (late := _late(channel, now_s)) is not None:
            channel.refuse(Fault(f"The request was not whole in time, which is {late}; send it again, faster.", 408))

    def _bound(self, held: "dict[str, dict[LingeringChannel, int]]") -> None:
        """Refuse or close the largest connections of those who hold more than their share of the memory."""
        of = {caller: sum(sizes.values()) for caller, sizes in held.items()}
        free = self._most_bytes - sum(of.values())
        for caller in sorted(of, key=of.__getitem__, reverse=True):
            for channel, size in sorted(held[caller].items(), key=lambda entry: entry[1], reverse=True):
                if may_take(of[caller], free, 0):
                    return  # who holds less keeps within it all the more
                if not channel.at_work:
                    self._tell("holds its share of the memory for requests and answers: some are refused", caller)
                    channel.refuse(Fault(self._too_much, 503))
                    of[caller] -= size
                    free += size


def _late(channel: "LingeringChannel", now_s: float) -> str | None:
    """Return what of a request is not there in time, None if there is time left."""
    if channel.body_began_s is None:
        took_s = now_s - (channel.began_s or now_s)
        return f"the request line and headers within {HEAD_S} s" if took_s > HEAD_S else None
    if now_s - channel.body_began_s > BODY_S + channel.body_bytes / BODY_BYTES_PER_S:
        return f"the body within {BODY_S} s of them, and a second more for each {BODY_BYTES_PER_S} bytes of it"
    return None
