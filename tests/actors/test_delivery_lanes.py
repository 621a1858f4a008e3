"""Who may be sent a webhook now: pure rules over what is under way."""

from datetime import UTC, datetime

import pytest

from callboard.actors.delivery_lanes import PROMPT_S, Paces, open_lanes
from callboard.limits import WEBHOOKS_AT_ONCE, WEBHOOKS_TO_A_SLOW_ONE, WEBHOOKS_TO_ONE
from callboard.messages.deliveries import DELIVERY_LASTS, Lane, WebhookDelivery, receiver_of, site_of
from callboard.messages.events import Topic

AT = datetime(2026, 1, 8, 12, tzinfo=UTC)
NOW_S = 1000.0


class Waiting:
    """An attempt that has been waiting for its receiver for `for_s` seconds."""

    def __init__(self, url: str, caller: str = "caller", for_s: float = 5.0) -> None:
        self.since_s = NOW_S - for_s
        self.receiver = receiver_of(url)
        self.delivery = WebhookDelivery(
            delivery_id="d",
            task_id="t",
            url=url,
            topic=Topic.TASK_COMPLETED,
            created_at=AT,
            expires_at=AT + DELIVERY_LASTS,
            site=site_of(url),
            caller=caller,
        )


def goes(lane: Lane, url: str, caller: str) -> bool:
    receiver = receiver_of(url)
    return (
        (lane.only is None or receiver in lane.only)
        and receiver not in lane.not_receivers
        and site_of(url) not in lane.not_sites
        and caller not in lane.not_callers
    )


def may_go(held: list[Waiting], url: str, caller: str = "caller", paces: Paces | None = None) -> bool:
    lanes = open_lanes(held, paces or Paces(), now_s=NOW_S, most=WEBHOOKS_AT_ONCE)
    return any(goes(lane, url, caller) for lane in lanes)


def filled(urls: "list[str]", caller: str = "caller") -> list[Waiting]:
    """Return what is under way when as many as may wait for these receivers, which never answer."""
    held: list[Waiting] = []
    for url in urls:
        if may_go(held, url, caller):
            held.append(Waiting(url, caller))
    return held


@pytest.mark.parametrize(
    "urls",
    [
        [f"http://host.example:{port}/" for port in range(1, 300)],
        [f"http://host.example/{path}" for path in range(300)],
        [f"http://{name}.host.example/" for name in range(300)],
        [f"http://user{n}@HOST{n % 7}.host.example./" for n in range(300)],
        [f"http://203.0.113.{n % 250}:{n + 1}/" for n in range(300)],
        [f"http://[2001:4860:1:{n:x}::1]/" for n in range(300)],
    ],
    ids=["ports", "paths", "subdomains", "spellings", "addresses", "addresses of IPv6"],
)
def test_one_site_holds_less_than_half_however_many_receivers_it_has(urls: list[str]) -> None:
    held = filled(urls)
    assert len(held) < WEBHOOKS_AT_ONCE / 2
    assert may_go(held, "http://another.example/")


def test_however_many_sites_one_caller_names_another_caller_has_a_share() -> None:
    held = filled([f"http://site{n}.example/" for n in range(300)], "flooding")
    assert not may_go(held, "http://new.example/", "flooding")
    assert may_go(held, "http://new.example/", "another")
    assert may_go(held, "http://new.example/", "a third")


def test_a_receiver_that_answers_promptly_is_never_held_up_by_those_that_do_not() -> None:
    paces = Paces()
    paces.note("http://prompt.example:80", 0.2)
    held: list[Waiting] = []
    for n in range(400):  # other callers, other sites: all that one may do who is given any number of both
        url, caller = f"http://site{n}.example/", f"caller {n}"
        if may_go(held, url, caller, paces):
            held.append(Waiting(url, caller))
    assert not may_go(held, "http://new.example/", "caller 999", paces)
    assert may_go(held, "http://prompt.example/", "caller 1", paces)


@pytest.mark.parametrize(("took_s", "most"), [(0.1, WEBHOOKS_TO_ONE), (PROMPT_S * 2, WEBHOOKS_TO_A_SLOW_ONE)])
def test_one_receiver_has_a_few_and_fewer_while_it_is_slow(took_s: float, most: int) -> None:
    paces = Paces()
    held: list[Waiting] = []
    paces.note("http://one.example:80", took_s)
    while may_go(held, "http://one.example/", paces=paces):
        held.append(Waiting("http://one.example/", for_s=PROMPT_S / 2))
    assert len(held) == most


def test_slow_receivers_share_a_quarter() -> None:
    paces = Paces()
    urls = [f"http://slow{n}.example/" for n in range(200)]
    for url in urls:
        paces.note(receiver_of(url), PROMPT_S * 10)
    held: list[Waiting] = []
    for number, url in enumerate(urls):
        if may_go(held, url, f"caller {number}", paces):
            held.append(Waiting(url, f"caller {number}"))
    assert 0 < len(held) <= WEBHOOKS_AT_ONCE / 4
    assert may_go(held, "http://new.example/", "caller 1", paces)


def test_few_that_nothing_is_known_of_begin_in_one_moment() -> None:
    paces = Paces()
    paces.note("http://prompt.example:80", 0.2)
    held = [Waiting(f"http://site{n}.example/", for_s=0.01) for n in range(20)]
    assert not may_go(held, "http://new.example/", paces=paces)
    assert may_go(held, "http://prompt.example/", paces=paces)
    assert may_go([Waiting(attempt.delivery.url, for_s=0.2) for attempt in held], "http://new.example/", paces=paces)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://Hooks.Example.com.:8443/a", "example.com"),
        ("https://a.b.c.example.com/", "example.com"),
        ("https://hooks.example.co.uk/", "example.co.uk"),
        ("https://example.co/", "example.co"),
        ("https://host/", "host"),
        ("http://203.0.113.7:99/", "203.0.113.0/24"),
        ("http://3405803783/", "203.0.113.0/24"),
        ("http://[::ffff:203.0.113.7]/", "203.0.113.0/24"),
        ("http://[2001:4860:1:2::3]/", "2001:4860:1::/48"),
    ],
)
def test_a_site_is_what_somebody_has_one_of(url: str, site: str) -> None:
    assert site_of(url) == site
