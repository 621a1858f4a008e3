"""The health monitor: probes every part now and then, and keeps the last answer where `/health` finds it.

`HealthBoard` is that place: `/health` reads it and never waits for a probe. A report that has grown old is a
problem of its own, so a monitor that has died shows too.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.errors import StorageFull, StoreUnavailable
from callboard.messages.events import EventsCommitted
from callboard.messages.health import HealthReport, Ping, Pong, Tick, Totals

_PROBE_TIMEOUT_S = 5.0
_COUNT_EVERY_S = 0.1
_UNHEALTHY_S = 1.0


class HealthBoard:
    """The last report, and the actors that were given up; any thread reads it.

    `report` is replaced as a whole, which is atomic.
    """

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self._clock = clock
        self._stale_after_s = 3 * interval_s + _PROBE_TIMEOUT_S * 5
        self._reported_s = clock.monotonic()
        self._given_up: dict[str, str] = {}
        self._first = threading.Event()
        self._report = HealthReport(
            status="degraded",
            services={"api": True, "agent": False, "sandbox": False, "llm": False, "store": False},
            totals=Totals(),
            problems=("The first probe is not over yet.",),
            at=clock.now(),
        )

    def put(self, report: HealthReport) -> None:
        """Replace the report; the health monitor's thread."""
        self._report = report
        self._reported_s = self._clock.monotonic()
        self._first.set()

    def give_up(self, name: str, error: BaseException) -> None:
        """Say for good that an actor is gone; the supervisor's thread."""
        if isinstance(error, StoreUnavailable | StorageFull):  # a restart alone would be refused for it
            told = f"The {name} keeps crashing: {error} When that is mended, restart the server."
        else:
            told = f"The {name} keeps crashing ({type(error).__name__}: {error}); restart the server."
        self._given_up[name] = told

    def wait_for_first(self, timeout_s: float) -> bool:
        """Wait for the first probe's report; for start-up."""
        return self._first.wait(timeout_s)

    def read(self) -> HealthReport:
        """Return the report as it stands now, at once."""
        report = self._report
        problems = (*self._given_up.values(), *self._stale())
        if not problems:
            return report
        return replace(report, status="unhealthy", problems=(*problems, *report.problems))

    def _stale(self) -> tuple[str, ...]:
        age_s = self._clock.monotonic() - self._reported_s
        if age_s <= self._stale_after_s:
            return ()
        return (f"The health monitor last reported {age_s:.0f} s ago.",)


HealthMonitorMessage = EventsCommitted | Tick | Ping
"""What the health monitor understands."""


class HealthMonitor(SupervisedActor[HealthMonitorMessage]):
    """Probes in its own thread, one part after the other, each with a timeout.

    At each probe it has servers of others looked after, by `look`, which waits for none.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        board: HealthBoard,
        clock: Clock,
        interval_s: float,
        actors: Mapping[str, Address[Ping]],
        probes: Mapping[str, Callable[[], object]],
        look: Callable[[], object],
        totals: Callable[[], Totals],
    ) -> None:
        super().__init__(mailbox)
        self._board = board
        self._clock = clock
        self._interval_s = interval_s
        self._actors = actors
        self._probes = probes
        self._look = look
        self._totals = totals
        self._report = board.read()
        self._probe_at_s = 0.0
        self._counting = False
        mailbox.unhurried = True

    def setup(self) -> None:
        self.wake_in(0)

    def receive(self, message: HealthMonitorMessage) -> Pong | None:
        match message:
            case Tick():
                self._tick()
            case EventsCommitted(ended=ended):
                if ended and not self._counting:
                    self._counting = True
                    self.wake_in(_COUNT_EVERY_S)
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)
        return None

    def _tick(self) -> None:
        if time.monotonic() >= self._probe_at_s:
            self._probe()
            soon = self._report.status == "unhealthy"  # whoever waits for the end of that should not wait long
            self._probe_at_s = time.monotonic() + (min(self._interval_s, _UNHEALTHY_S) if soon else self._interval_s)
        elif self._counting:
            self._report = replace(self._report, totals=self._count([]))
            self._board.put(self._report)
        self._counting = False
        self.wake_in(self._probe_at_s - time.monotonic())

    def _probe(self) -> None:
        self._look()
        problems: list[str] = []
        services: dict[str, bool] = {}
        for name, address in self._actors.items():
            services[name] = self._alive(address, problems)
        for name, probe in self._probes.items():
            services[name] = self._works(name, probe, problems)
        totals = self._count(problems)
        needed = services["api"] and services["agent"] and services["store"]
        status = "healthy" if all(services.values()) else "degraded" if needed else "unhealthy"
        self._report = HealthReport(
            status=status, services=services, totals=totals, problems=tuple(problems), at=self._clock.now()
        )
        self._board.put(self._report)

    def _count(self, problems: list[str]) -> Totals:
        try:
            return self._totals()
        except Exception as error:  # noqa: BLE001  # the old counts, and a word about it
            problems.append(f"The counts are those of {self._report.at:%H:%M:%S} UTC: {error}")
            return self._report.totals

    def _alive(self, address: Address[Ping], problems: list[str]) -> bool:
        return self._works(address.name, lambda: address.ask(Ping(), timeout_s=_PROBE_TIMEOUT_S), problems)

    def _works(self, name: str, probe: Callable[[], object], problems: list[str]) -> bool:
        try:
            probe()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a part, it is that part's problem
            problems.append(f"{name}: {error}")
            return False
        return True
