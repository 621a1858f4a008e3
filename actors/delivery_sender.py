"""The senders of webhooks: a thread for each attempt, which waits for the receiver and has what came of it committed.

The courier says what is sent; nothing here decides who may hold how many threads (`delivery_lanes.py`). A thread reads
nothing from the store, and tells the courier when it is done. One that waits costs a stack and a socket; one that ends
otherwise than planned, or that could not be started, is an attempt that was not made.
"""

import itertools
import logging
import resource
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from callboard import __version__
from callboard.actors.delivery_lanes import PACE_S, Paces, open_lanes
from callboard.actors.delivery_schedule import Attempted, after_attempt
from callboard.actors.mailbox import Address
from callboard.actors.webhook_signing import WebhookSigner
from callboard.clock import Clock
from callboard.errors import CallbackRefused, DeliveryNotFound, Unavailable
from callboard.limits import DELIVERY_ERROR_CHARS, WEBHOOKS_AT_ONCE, cut
from callboard.messages.deliveries import Lane, WebhookDelivery, receiver_of
from callboard.messages.records import RecordDelivery
from callboard.retry_after import retry_after_s
from callboard.settings import Settings
from callboard.values import mend_text

logger = logging.getLogger("callboard.webhooks")

_HEADERS = {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": f"Callboard/{__version__}"}
_numbers = itertools.count(1)
_RETRY_S = 1.0
_LOOK_AGAIN_S = 60.0  # a thread that ended without a word is noticed this late
_END_S = 1.2  # as long as a thread may not look at whether it is to stop, and a little


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOver:
    """A thread has made its attempt, and what came of it is committed; or it was given up, and is still due.

    `number` says which attempt: another one at the same delivery may have begun, where the thread was found to have ended.
    """

    delivery_id: str
    number: int


class Attempt:
    """One attempt under way; `at` is when it began, for the stored times, and `since_s` the same for durations.

    The lock is held while what it came to is committed, and while the courier has the same delivery sent again by hand: each
    must see what the other one has made of it. The courier can't wait for its own message there, since it has others to see to.
    """

    def __init__(self, delivery: WebhookDelivery, body: str, *, at: datetime, since_s: float) -> None:
        self.delivery = delivery
        self.receiver = receiver_of(delivery.url)
        self.body = body
        self.number = next(_numbers)
        self.at = at
        self.since_s = since_s
        self.took_s: float | None = None
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None

    @property
    def over(self) -> AttemptOver:
        return AttemptOver(delivery_id=self.delivery.delivery_id, number=self.number)


class Senders:
    """Attempts under way, each in its thread, and how quickly receivers have answered; outlives a crash of the courier.

    All but what is said otherwise is called by the courier's thread.
    """

    def __init__(
        self,
        *,
        courier: Address[AttemptOver],
        result_logger: Address[RecordDelivery],
        signer: WebhookSigner,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.under_way: dict[str, Attempt] = {}
        self._paces = Paces()
        self._most = most_at_once(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._courier = courier
        self._result_logger = result_logger
        self._signer = signer
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._failing = False  # only so that the log says it once; a race of two threads says it twice

    def lanes(self) -> tuple[Lane, ...]:
        """Return which deliveries may be sent now; none where there is no lane."""
        return open_lanes(self.under_way.values(), self._paces, now_s=self._clock.monotonic(), most=self._most)

    def look_again_s(self) -> float | None:
        """Return when to look at the lanes again though nothing has ended; None where nothing is under way."""
        if not self.under_way:
            return None
        youngest_s = max(attempt.since_s for attempt in self.under_way.values())
        return PACE_S if self._clock.monotonic() - youngest_s < PACE_S else _LOOK_AGAIN_S

    def send(self, delivery: WebhookDelivery, body: str, *, at: datetime) -> bool:
        """Begin an attempt; say whether there was a thread for it."""
        attempt = Attempt(delivery, body, at=at, since_s=self._clock.monotonic())
        attempt.thread = threading.Thread(target=self._run, args=(attempt,), name="delivery sender", daemon=True)
        self.under_way[delivery.delivery_id] = attempt
        try:
            attempt.thread.start()
        except RuntimeError as error:  # the machine has no more threads
            del self.under_way[delivery.delivery_id]
            logger.warning("no thread can be started for a webhook, which waits: %s", error)
            return False
        return True

    def is_over(self, over: AttemptOver) -> None:
        """Let go of an attempt, and learn how long it took."""
        attempt = self.under_way.get(over.delivery_id)
        if attempt is None or attempt.number != over.number:
            return
        del self.under_way[over.delivery_id]
        if attempt.took_s is not None:
            self._paces.note(attempt.receiver, attempt.took_s)

    def let_go_of_the_dead(self) -> None:
        """Let go of attempts whose threads have ended without a word."""
        for attempt in tuple(self.under_way.values()):
            if attempt.thread is not None and not attempt.thread.is_alive():
                self.is_over(attempt.over)

    def commit(self, delivery: WebhookDelivery) -> WebhookDelivery:
        """Have a delivery stored, and return it; any thread. Raises `DeliveryNotFound` and `Unavailable`."""
        return self._result_logger.ask(RecordDelivery(delivery=delivery), timeout_s=self._settings.ask_timeout_s)

    def close(self, timeout_s: float) -> None:
        """Wait a little for what is under way, and end the rest, which is sent again after a restart; the wiring's thread."""
        until_s = self._clock.monotonic() + timeout_s
        for attempt in tuple(self.under_way.values()):
            _join(attempt, until_s - self._clock.monotonic())
        self._stop.set()
        until_s = self._clock.monotonic() + min(timeout_s, _END_S)
        for attempt in tuple(self.under_way.values()):
            _join(attempt, until_s - self._clock.monotonic())

    # --- an attempt's thread ---

    def _run(self, attempt: Attempt) -> None:
        try:
            came_to = self._attempt(attempt)
            attempt.took_s = self._clock.monotonic() - attempt.since_s
            if came_to is not None:
                self._keep(attempt, came_to)
        except BaseException:
            logger.exception("an attempt at the delivery %s could not be kept", attempt.delivery.delivery_id)
            self._stop.wait(_RETRY_S)  # it is due still, and must not be sent again and again without a pause
        finally:
            self._courier.notify(attempt.over)

    def _attempt(self, attempt: Attempt) -> Attempted | None:
        """Return what an attempt came to; None where it was given up, since the server stops."""
        from callboard.agent.fetch.wire import Stopped

        try:
            return self._send(attempt)
        except Stopped:
            return None
        except BaseException as error:
            # whatever a stranger's server leads to, it is an attempt that failed
            logger.exception("an attempt at the delivery %s failed inside the server", attempt.delivery.delivery_id)
            return _failed(f"The attempt failed inside the server ({type(error).__name__}).")

    def _send(self, attempt: Attempt) -> Attempted:
        import httpcore
        import httpx

        from callboard.actors.webhook_wire import post, webhook_wire

        timeout_s, at = self._settings.webhook_timeout_s, self._clock.now()
        signed = self._signer.headers(attempt.delivery.delivery_id, at, attempt.body)
        wire = webhook_wire(timeout_s=timeout_s, allow_private=self._settings.webhook_allow_private, stop=self._stop)
        try:
            body = attempt.body.encode()
            headers = {**_HEADERS, **signed, "Content-Length": str(len(body))}
            status, retry_after = post(attempt.delivery.url, body, headers, wire)
        except CallbackRefused as error:
            return _failed(error.message)
        except httpcore.TimeoutException:
            return _failed(f"The receiver did not answer within {timeout_s:g} s.")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return _failed(f"The receiver cannot be reached: {error or type(error).__name__}.")
        return Attempted(
            status_code=status,
            error=None if 200 <= status < 300 else _refusal(status),
            retry_after_s=retry_after_s(retry_after, at),
        )

    def _keep(self, attempt: Attempt, came_to: Attempted) -> None:
        """Have committed what an attempt came to, however long the store refuses: until the server stops."""
        now = attempt.at + timedelta(seconds=attempt.took_s or 0.0)
        while True:
            try:
                with attempt.lock:
                    attempt.delivery = self.commit(after_attempt(attempt.delivery, came_to, now))
            except DeliveryNotFound:
                return  # retention has deleted it with its task
            except Unavailable as error:
                if not self._failing:
                    logger.warning("webhooks are put off until the store takes them: %s", error)
                self._failing = True
                if self._stop.wait(_RETRY_S):
                    return
            else:
                break
        self._failing = False
        if came_to.error is not None:
            logger.info("the delivery %s was not taken: %s", attempt.delivery.delivery_id, came_to.error)


def most_at_once(files: int) -> int:
    """Return how many attempts may be under way where a process may open so many files; each is a socket."""
    return WEBHOOKS_AT_ONCE if files == resource.RLIM_INFINITY else min(WEBHOOKS_AT_ONCE, max(4, files // 4))


def _join(attempt: Attempt, timeout_s: float) -> None:
    if attempt.thread is not None:
        attempt.thread.join(max(0.0, timeout_s))


def _failed(error: str) -> Attempted:
    return Attempted(error=cut(mend_text(error), DELIVERY_ERROR_CHARS))


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"The receiver answered with the redirect {status}; redirects are not followed."
    if status == 410:
        return "The receiver answered with 410: it wants no more of this."
    return f"The receiver answered with the status {status}."
