"""Who may be sent a webhook now: a share for each receiver, site and caller, so that slow ones hold up themselves only.

What is on its way waits in a thread of its own, and there are `most` of them. They would be gone where as many receivers
accept and never answer, so nobody is ever given all that is free:

- One receiver has a few, and fewer while it is slow: its last answer took longer than `PROMPT_S`, or its next one takes longer.
- One site (`callboard.messages.deliveries.site_of`) has at most as many as are still free after it, and one caller three times as many:
  the second one finds half of them, the third a third of that half, and so on, without a list of who there might be.
- All slow receivers together have a quarter, and a quarter is left to those that have answered promptly: what nothing is known
  of cannot take the last ones either. Nor may more than a few such begin at once: a hundred that are called in one moment, and
  time out in one moment, would take the interpreter from everybody for as long.

Pure but for `Paces`, which the courier's thread keeps. Imported by `courier.py` and `delivery_sender.py`.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from callboard.limits import WEBHOOKS_TO_A_SLOW_ONE, WEBHOOKS_TO_ONE
from callboard.messages.deliveries import Lane, WebhookDelivery

PROMPT_S = 1.0
"""A receiver that takes longer is slow."""

PACE_S = 0.1
"""How long an attempt at a receiver that is not known to be prompt counts among those that have just begun."""

_BEGIN_AT_ONCE = 8
_REMEMBERED = 1000
_CALLERS_SHARE = 3


class UnderWay(Protocol):
    """An attempt that has begun, at whom, and when."""

    delivery: WebhookDelivery
    receiver: str
    since_s: float


class Paces:
    """Which receivers have answered promptly at their last attempt, and which were slow; those heard of last."""

    def __init__(self) -> None:
        self._prompt: OrderedDict[str, None] = OrderedDict()
        self._slow: OrderedDict[str, None] = OrderedDict()

    def note(self, receiver: str, took_s: float) -> None:
        """Take down how long an attempt took, whatever came of it: a quick refusal holds nobody up."""
        for paces in (self._prompt, self._slow):
            paces.pop(receiver, None)
        paces = self._prompt if took_s <= PROMPT_S else self._slow
        paces[receiver] = None
        if len(paces) > _REMEMBERED:
            paces.popitem(last=False)

    @property
    def prompt(self) -> frozenset[str]:
        return frozenset(self._prompt)

    @property
    def slow(self) -> frozenset[str]:
        return frozenset(self._slow)


def open_lanes(under_way: Collection[UnderWay], paces: Paces, *, now_s: float, most: int) -> tuple[Lane, ...]:
    """Return what may be sent besides what is under way; nothing where there is no lane."""
    slow = paces.slow | {attempt.receiver for attempt in under_way if now_s - attempt.since_s > PROMPT_S}
    prompt = paces.prompt - slow
    slowly = [attempt for attempt in under_way if attempt.receiver in slow]
    begun = sum(attempt.receiver not in prompt and now_s - attempt.since_s < PACE_S for attempt in under_way)
    of_one = Counter(attempt.receiver for attempt in under_way)
    full = frozenset(receiver for receiver, count in of_one.items() if count >= _most_to_one(receiver in slow))

    free, kept = most - len(under_way), most // 4
    room = free - kept if begun < _BEGIN_AT_ONCE else 0
    lanes = (
        _Lane(only=prompt - full, room=free, held=under_way),
        _Lane(only=slow - full, room=min(room, kept - len(slowly)), held=slowly),
        _Lane(only=None, but=prompt | slow | full, room=room, held=under_way),
    )
    if all(lane.is_free for lane in lanes):
        return (Lane(not_receivers=full),)
    return tuple(lane.shares() for lane in lanes if lane.room > 0 and lane.only != frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    """The receivers of one pace: how many more may go to them, and what is shared among them."""

    only: frozenset[str] | None
    but: frozenset[str] = frozenset()
    room: int
    held: Collection[UnderWay]

    @property
    def is_free(self) -> bool:
        """Whether nobody can have used up a share of it."""
        return self.room > len(self.held)

    def shares(self) -> Lane:
        sites = Counter(attempt.delivery.site for attempt in self.held)
        callers = Counter(attempt.delivery.caller for attempt in self.held)
        return Lane(
            only=self.only,
            not_receivers=self.but,
            not_sites=_beyond(sites, self.room),
            not_callers=_beyond(callers, self.room * _CALLERS_SHARE),
        )


def _most_to_one(is_slow: bool) -> int:
    return WEBHOOKS_TO_A_SLOW_ONE if is_slow else WEBHOOKS_TO_ONE


def _beyond(held: Counter[str], room: int) -> frozenset[str]:
    """Return who holds as many as are still free; one that is not known shares with nobody."""
    return frozenset(name for name, count in held.items() if name and count >= room)
