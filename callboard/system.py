"""A running system, as HTTP, the command line and Python programs use it: what it opens, what it is asked, how it ends.

`wiring.py` has the actors. The methods of `AgentSystem` may be called from any thread.
"""

import contextlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, cast

from callboard import inheritance
from callboard.abilities import Abilities
from callboard.actors.following import FeedFollower, TaskFollower
from callboard.actors.health_monitor import HealthBoard
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.readers import FOR_ONE, FOR_PAGES
from callboard.actors.subscriptions import Subscriptions
from callboard.actors.supervision import Supervisor
from callboard.actors.waiters import Waiters
from callboard.actors.webhook_signing import WebhookSigner, load_webhook_secret
from callboard.actors.write_buffer import Buffer
from callboard.agent.catalogue import Catalogue
from callboard.agent.roster import Roster
from callboard.agent.signing import Signer, load_key
from callboard.clock import Clock, new_id
from callboard.data_folder import tidy
from callboard.errors import ActorStopped, ReplyTimeout, StoreUnavailable, Unavailable
from callboard.head_start import HeadStart
from callboard.messages.events import AwaitEvents, ListEvents, TaskEvent
from callboard.messages.health import Drain, HealthReport, Ping, WorkersReport
from callboard.messages.tasks import AwaitTask, ExecuteTask, TaskRecord
from callboard.persistence.claim import claim
from callboard.persistence.store import SqlStore
from callboard.principal import PROCESS, Principal
from callboard.settings import Settings
from callboard.shares import AT_ONCE, FewAtOnce
from callboard.wiring import Addresses, Parts, start_actors
from callboard.workforce import Workforce

logger = logging.getLogger("callboard.system")

_LONG_POLL_S = 20.0
_SENDERS_STOP_S = 2.0


class AgentSystem:
    """A running system of actors over one store; `AgentSystem.start()` makes one, `stop()` or `with` ends it."""

    def __init__(self, settings: Settings, clock: Clock, head_start: HeadStart) -> None:
        """Build everything and start it. Raises `ConfigurationError`, or the store's errors; nothing is left running."""
        self.settings, self.clock = settings, clock
        self.draining = self.closing = self._stopped = False
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._started_s = clock.monotonic()
        self._stop_lock = threading.Lock()  # guards `_stopped`: stop() may come from a signal's thread and from `with`
        self.core = head_start.core
        # Invariant: one server at a time works on a history; the master agent takes up whatever has not ended in it
        with ExitStack() as undo:  # what has been opened when something later cannot be
            undo.callback(head_start.close)
            self._head_start = head_start
            self._end_copying = inheritance.in_copies(self._be_of_no_use)
            self._signer = Signer(load_key(settings.secret_key, settings.require_data_dir()))
            self._webhook_signer = WebhookSigner(load_webhook_secret(settings.webhook_secret, settings.data_dir))
            self._workforce = Workforce(settings, head_start)
            self._abilities = Abilities(settings)
            undo.callback(self._abilities.close)
            self._claim = claim(settings)
            undo.callback(self._claim.let_go)
            self._store = SqlStore.open(settings, clock=clock, lost=lambda: self._claim.lost)
            undo.callback(self._store.close)
            self._claim.renew()  # what was claimed is what was opened
            self._workspace_root = settings.data_dir / "workspaces"
            tidy(settings.data_dir, self._workspace_root)
            self._workforce.equip(
                self._abilities,
                self._store.reader,
                signer=self._signer,
                clock=clock,
                workspace_root=self._workspace_root,
                lost=lambda: self._claim.lost,
            )
            undo.callback(head_start.kill)  # before the store and the claim are let go of: what runs needs both
            opened = undo.pop_all()
        with opened:  # closed where the machine gives no more threads, say
            self._board = HealthBoard(clock, settings.health_interval_s)
            self._supervisor = Supervisor(on_give_up=self._board.give_up)
            self._buffer = Buffer()
            self._reads = FewAtOnce(AT_ONCE)
            self._subscriptions = Subscriptions(lambda: self._addresses["event bus"].tell(Ping()))
            self._waiters = Waiters(lambda: self._addresses["event bus"].notify(Ping()))
            opened.callback(self._supervisor.stop_all)
            self._start_actors()
            self._claim.watch(self._stop_if_lost)
            self._workforce.wait_until_ready()
            opened.pop_all()

    @classmethod
    def start(
        cls, settings: Settings | None = None, *, clock: Clock | None = None, head_start: HeadStart | None = None
    ) -> "AgentSystem":
        """Start a system with these settings, or with those of the environment; `head_start` is what a server has started before."""
        settings = settings or Settings.load()
        return cls(settings, clock or Clock(), head_start or HeadStart(settings))

    def _start_actors(self) -> None:
        names = Addresses.__annotations__
        self._addresses = {name: Address(Mailbox(name, self.settings.inbox_limit)) for name in names}
        at = cast("Addresses", self._addresses)  # made of its own keys
        self.gateway = at["gateway"]
        parts = Parts(
            settings=self.settings,
            clock=self.clock,
            owner=self.owner,
            abilities=self._abilities,
            claim=self._claim,
            store=self._store,
            workspace_root=self._workspace_root,
            signer=self._signer,
            workforce=self._workforce,
            webhook_signer=self._webhook_signer,
            supervisor=self._supervisor,
            core=self.core,
            board=self._board,
            buffer=self._buffer,
            subscriptions=self._subscriptions,
            waiters=self._waiters,
            draining=lambda: self.draining,
            stop_if_lost=self._stop_if_lost,
            probe_store=self._probe_store,
        )
        self._pool, self._senders = start_actors(parts, at)

    # --- what a caller uses ---

    def execute(
        self,
        task: str,
        *,
        wait_s: float | None = None,
        principal: Principal = PROCESS,
        request_id: str | None = None,
        **spec: Any,
    ) -> TaskRecord:
        """Post a task, wait for its end, and return it as the history holds it.

        `spec` takes the other fields of `SubmitTask`, `principal` is who asks. Without `wait_s` it waits as long as the task takes; with it,
        raises `ReplyTimeout` when the time is up (the task goes on).
        """
        task_id, timeout_s = new_id(), self.settings.ask_timeout_s
        until_s = None if wait_s is None else self.clock.monotonic() + wait_s

        def left_s() -> float:
            return _LONG_POLL_S if until_s is None else max(0.0, min(_LONG_POLL_S, until_s - self.clock.monotonic()))

        slice_s = left_s()
        first = ExecuteTask(task=task, task_id=task_id, wait_s=slice_s, **spec)
        ask = partial(self.gateway.ask, principal=principal, request_id=request_id)
        record: TaskRecord = ask(first, timeout_s=slice_s + timeout_s)
        while not record.status.ended:
            slice_s = left_s()
            if slice_s <= 0:
                raise ReplyTimeout(f"The task {task_id} has not ended within {wait_s:g} s; it goes on.")
            self._require_open(task_id)
            record = ask(AwaitTask(task_id=record.task_id, wait_s=slice_s), timeout_s=slice_s + timeout_s)
        return record

    def events(self, task_id: str, *, after: int = 0) -> Iterator[TaskEvent]:
        """Yield a task's events from number `after` + 1 on, live, until the task has ended."""
        while True:
            ask = AwaitEvents(task_id=task_id, after=after, wait_s=_LONG_POLL_S)
            page = self.gateway.ask(ask, timeout_s=_LONG_POLL_S + self.settings.ask_timeout_s)
            for event in page.events:
                after = event.seq
                yield event
            if page.log_ends_at is not None:
                after = page.log_ends_at
            if page.ended:
                return
            self._require_open(task_id)

    def _require_open(self, task_id: str) -> None:
        if self.closing:
            raise ActorStopped(
                f"The system has been stopped before the task {task_id} has ended; the next start goes on with it."
            )

    def follow(
        self,
        task_id: str,
        *,
        after: int = 0,
        position: int | None = None,
        principal: Principal = PROCESS,
        request_id: str | None = None,
    ) -> TaskFollower:
        """Return what follows a task's events and those of the tasks below it; to be opened, and closed in the end."""
        ask, turn = self._asking(principal, request_id), partial(self._reads.of, principal.id)
        return TaskFollower(ask, self._subscriptions, task_id=task_id, after=after, position=position, turn=turn)

    def feed(self, query: ListEvents, *, principal: Principal = PROCESS, request_id: str | None = None) -> FeedFollower:
        """Return what follows all tasks' events; to be opened, and closed in the end."""
        ask, turn = self._asking(principal, request_id), partial(self._reads.of, principal.id)
        return FeedFollower(ask, self._subscriptions, query=query, turn=turn)

    def _asking(self, principal: Principal, request_id: str | None) -> Callable[[Any], Any]:
        timeout_s = self.settings.ask_timeout_s
        return partial(self.gateway.ask, timeout_s=timeout_s, principal=principal, request_id=request_id)

    def refusal(self, principal: Principal) -> Unavailable | None:
        """Return why a new task of somebody would be refused now, at once; None if it would not.

        PERF: a refusal that no actor is asked for costs a tenth of one that is; under ten times the load that can be
        carried, that is what keeps refusals quick.
        """
        return self._buffer.refusal(self.settings.max_backlog, principal.caller)

    @property
    def catalogue(self) -> Catalogue:
        """The skills there are now."""
        return self._abilities.catalogue

    @property
    def roster(self) -> Roster:
        """The agents there are, with the skills that they have now."""
        return self._abilities.roster

    def health(self, *, details: bool = True) -> HealthReport:
        """Return the health monitor's last report, and how skills, agents and MCP servers stand, at once.

        Without `details` it has only numbers where files and servers of others may have said something.
        """
        report = self._abilities.added_to(self._board.read(), details=details)
        report = replace(report, workers=self.workers)
        if not report.workers.can_work:
            told = "No worker's process has become ready, so tasks wait for one; the server's log says what keeps it."
            status = "degraded" if report.status == "healthy" else report.status
            report = replace(report, status=status, problems=(*report.problems, told))
        if self.draining:
            told = "The server is shutting down and takes no new tasks."
            status = "degraded" if report.status == "healthy" else report.status
            report = replace(report, status=status, problems=(told, *report.problems))
        return report

    @property
    def workers(self) -> WorkersReport:
        """How the processes stand that work on tasks, at once; any thread."""
        return self._workforce.report

    @property
    def skill_problems(self) -> tuple[str, ...]:
        """What is not there now of skills and MCP servers, in sentences with the next step; any thread."""
        return self._abilities.skill_problems

    @property
    def agent_problems(self) -> tuple[str, ...]:
        """What could not be loaded of agents, in sentences with the next step; any thread."""
        return self._abilities.agent_problems

    def wait_until_probed(self, timeout_s: float) -> bool:
        """Wait until the first health probe is over; False if the time was up first."""
        return self._board.wait_for_first(timeout_s)

    @property
    def uptime_s(self) -> float:
        return self.clock.monotonic() - self._started_s

    # --- the end ---

    def drain(self) -> None:
        """Admit no more tasks and start none; those that run go on."""
        self.draining = True

    @property
    def idle(self) -> bool:
        """Whether no task is being worked on."""
        return not self._pool.running

    @property
    def hand_back_s(self) -> float:
        """How long before the end of a shutdown running tasks are handed back, in seconds."""
        return min(3.0, self.settings.drain_s / 2)

    def hand_back(self) -> None:
        """Stop the running tasks where the next start can go on with them; held requests are answered, streams end.

        What has ended is committed before the streams are told, so that they show the end.
        """
        self.closing = True
        self._pool.hand_back()
        with contextlib.suppress(Unavailable):
            self._addresses["result logger"].ask(Ping(), timeout_s=1.0)
        self._end_waits()

    def _end_waits(self) -> None:
        """Have streams end, and those who wait told how things stand; from now on nobody waits."""
        self.closing = True
        self._subscriptions.close()
        self._waiters.hurry(close=True)

    def stop(self, timeout_s: float | None = None) -> bool:
        """End everything in order within about `timeout_s` seconds (default: the settings' `drain_s`).

        Returns False if something had to be left behind.

        New tasks are refused, running ones get most of the time there is and are then handed back, what is done is
        committed. Tasks that have not ended stay in the store and go on at the next start. May be called twice, and
        from any thread.
        """
        with self._stop_lock:
            if self._stopped:
                return True
            self._stopped = True
        timeout_s = self.settings.drain_s if timeout_s is None else timeout_s
        deadline_s, last_s = self.clock.monotonic() + timeout_s, min(0.5, timeout_s / 4)
        self.drain()
        self._end_waits()

        def left_s() -> float:
            return max(0.2, deadline_s - self.clock.monotonic())

        self._addresses["courier"].notify(Drain())
        in_time = [self._stop_actor(name, left_s()) for name in ("health monitor", "gateway", "rate limiter")]
        in_time.append(self._stop_actor("master agent", left_s()))
        pool_s = max(0.2, left_s() - last_s)  # what a task leaves is to be committed after it
        in_time.append(self._pool.close(pool_s, hand_back_after_s=pool_s - self.hand_back_s))
        self._senders.close(min(left_s(), _SENDERS_STOP_S))
        last = ("courier", "result logger", "event bus", "statistics", "janitor", *FOR_ONE, *FOR_PAGES)
        in_time += [self._stop_actor(name, left_s()) for name in last]
        self._supervisor.close()
        self._head_start.close()
        self._abilities.close()
        self._store.close()
        self._claim.let_go()
        self._end_copying()
        return all(in_time)

    def __enter__(self) -> "AgentSystem":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _stop_actor(self, name: str, timeout_s: float) -> bool:
        stopped = self._supervisor.stop(self._addresses[name], timeout_s=timeout_s)
        if not stopped:
            logger.error("the %s did not stop within %.1f s", name, timeout_s)
        return stopped

    # --- what the actors are given ---

    def _probe_store(self) -> None:
        """Read from the store and keep hold of it; raise why it takes no transactions if it does not."""
        self._stop_if_lost()
        self._claim.renew()
        self._store.reader.ping()
        if (fault := self._buffer.fault) is not None:
            raise StoreUnavailable(fault.message)

    def _stop_if_lost(self) -> None:
        """Have running tasks stop at their next step where the history is not ours any more: somebody else may run them."""
        if self._claim.lost:
            self._pool.hand_back()

    def _be_of_no_use(self) -> None:  # in a process that was forked off this one
        self.draining = self._stopped = True
