"""The wiring: which actors there are, what each is given, and in which order they start.

    caller → Gateway → RateLimiter
                     → ResultLogger → store → MasterAgent → TaskPool (planner, sandbox, skills)
                     → HistoryReaders → store                  ↓ events, results
                     → Statistics
                     → EventBus ← commits ← ResultLogger ← ────┘
    Courier → Senders (webhooks, a thread each) → ResultLogger
    ResultLogger → Janitor (the files of deleted sessions)
             HealthMonitor probes them; the Supervisor restarts them.

Called once, by `system.py`, in the thread that starts a system.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

from limits.storage import MemoryStorage

from callboard.abilities import Abilities
from callboard.actors.admission import Admission
from callboard.actors.courier import Courier, CourierMessage
from callboard.actors.delivery_sender import Senders
from callboard.actors.event_bus import EventBus, EventBusMessage
from callboard.actors.gateway import Gateway, GatewayMessage
from callboard.actors.health_monitor import HealthBoard, HealthMonitor, HealthMonitorMessage
from callboard.actors.history_reader import HistoryReader, HistoryReaderMessage
from callboard.actors.janitor import Janitor, JanitorMessage
from callboard.actors.mailbox import Address
from callboard.actors.master_agent import MasterAgent, MasterAgentMessage
from callboard.actors.rate_limiter import RateLimiter, RateLimiterMessage
from callboard.actors.readers import FOR_ONE, FOR_PAGES, Readers
from callboard.actors.result_logger import ResultLogger, ResultLoggerMessage
from callboard.actors.statistics import TOPICS, Statistics, StatisticsMessage
from callboard.actors.subscriptions import Subscriptions
from callboard.actors.supervision import Supervisor
from callboard.actors.task_pool import TaskPool
from callboard.actors.waiters import Waiters
from callboard.actors.webhook_signing import WebhookSigner
from callboard.actors.write_buffer import Buffer
from callboard.agent.signing import Signer
from callboard.agent.workspaces import Workspaces
from callboard.clock import Clock
from callboard.messages.events import ENDS
from callboard.one_core import OneCore
from callboard.persistence.claim import Claim
from callboard.persistence.store import SqlStore
from callboard.settings import Settings
from callboard.workforce import Workforce

Addresses = TypedDict(
    "Addresses",
    {
        "gateway": Address[GatewayMessage],
        "rate limiter": Address[RateLimiterMessage],
        "master agent": Address[MasterAgentMessage],
        "result logger": Address[ResultLoggerMessage],
        "event bus": Address[EventBusMessage],
        "health monitor": Address[HealthMonitorMessage],
        "courier": Address[CourierMessage],
        "statistics": Address[StatisticsMessage],
        "janitor": Address[JanitorMessage],
        "history reader 1": Address[HistoryReaderMessage],
        "history reader 2": Address[HistoryReaderMessage],
        "history reader 3": Address[HistoryReaderMessage],
        "history reader 4": Address[HistoryReaderMessage],
    },
)
"""All actors, and what each understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What actors are made of: it outlives the crash of any of them."""

    settings: Settings
    clock: Clock
    owner: str
    abilities: Abilities
    claim: Claim
    store: SqlStore
    workspace_root: Path
    signer: Signer
    workforce: Workforce
    webhook_signer: WebhookSigner
    supervisor: Supervisor
    core: OneCore
    board: HealthBoard
    buffer: Buffer
    subscriptions: Subscriptions
    waiters: Waiters
    draining: Callable[[], bool]
    stop_if_lost: Callable[[], None]
    probe_store: Callable[[], None]


def start_actors(parts: Parts, at: Addresses) -> tuple[TaskPool, Senders]:
    """Start every actor at its address; return what works on tasks and what sends webhooks, which are no actors."""
    settings, clock, store, abilities, claim = parts.settings, parts.clock, parts.store, parts.abilities, parts.claim
    pool = TaskPool(
        parts.workforce.workers,
        owner=parts.owner,
        clock=clock,
        signer=parts.signer,
        most_below=settings.max_subagents,
        result_logger=at["result logger"],
        master_agent=at["master agent"],
        draining=lambda: parts.draining() or claim.lost,
        over=parts.workforce.over,
    )
    admission = Admission(
        catalogue=lambda: abilities.catalogue,
        roster=lambda: abilities.roster,
        settings=settings,
        clock=clock,
        takes_images=abilities.takes_images,
        draining=parts.draining,
    )
    readers = Readers(for_one=[at[name] for name in FOR_ONE], for_pages=[at[name] for name in FOR_PAGES])
    storage = MemoryStorage()
    workspaces = Workspaces(parts.workspace_root)
    start = parts.supervisor.start
    start_busy = partial(start, begins=parts.core.join)
    start_busy(
        at["event bus"],
        lambda mailbox: EventBus(
            mailbox,
            readers=readers,
            subscribers={at["health monitor"]: ENDS, at["statistics"]: TOPICS},
            subscriptions=parts.subscriptions,
            waiters=parts.waiters,
        ),
    )
    start_busy(at["statistics"], lambda mailbox: Statistics(mailbox, reader=store.reader, clock=clock))
    start_busy(
        at["result logger"],
        lambda mailbox: ResultLogger(
            mailbox,
            reader=store.reader,
            writer=store.writer,
            buffer=parts.buffer,
            settings=settings,
            clock=clock,
            address=at["result logger"],
            master_agent=at["master agent"],
            readers=readers,
            waiters=parts.waiters,
            event_bus=at["event bus"],
            courier=at["courier"],
            janitor=at["janitor"],
            workspaces=workspaces,
            on_fault=parts.stop_if_lost,
        ),
    )
    start(at["janitor"], lambda mailbox: Janitor(mailbox, workspaces=workspaces))
    for name in (*FOR_ONE, *FOR_PAGES):
        start(
            at[name],
            lambda mailbox: HistoryReader(
                mailbox,
                reader=store.reader,
                waiters=parts.waiters,
                clock=clock,
                admission=admission,
                result_logger=at["result logger"],
            ),
        )
    start_busy(
        at["master agent"],
        lambda mailbox: MasterAgent(
            mailbox,
            settings=settings,
            clock=clock,
            reader=store.reader,
            pool=pool,
            result_logger=at["result logger"],
            catalogue=lambda: abilities.catalogue,
            accounts=parts.workforce.accounts,
            draining=lambda: parts.draining() or claim.lost,
        ),
    )
    start_busy(
        at["rate limiter"],
        lambda mailbox: RateLimiter(mailbox, storage=storage, window_ms=settings.rate_limit_window_ms),
    )
    start_busy(
        at["gateway"],
        lambda mailbox: Gateway(
            mailbox,
            admission=admission,
            clock=clock,
            rate_limiter=at["rate limiter"],
            master_agent=at["master agent"],
            result_logger=at["result logger"],
            readers=readers,
            courier=at["courier"],
            statistics=at["statistics"],
        ),
    )
    senders = Senders(
        courier=at["courier"],
        result_logger=at["result logger"],
        signer=parts.webhook_signer,
        settings=settings,
        clock=clock,
    )
    start(
        at["courier"],
        lambda mailbox: Courier(mailbox, reader=store.reader, senders=senders, clock=clock),
    )
    start(
        at["health monitor"],
        lambda mailbox: HealthMonitor(
            mailbox,
            board=parts.board,
            clock=clock,
            interval_s=settings.health_interval_s,
            actors={"api": at["gateway"], "agent": at["master agent"]},
            probes={"sandbox": pool.probe, **abilities.probes, "store": parts.probe_store},
            look=abilities.look,
            totals=store.reader.totals,
        ),
    )
    return pool, senders
