"""Builds a running node from its settings. What is not configured is not imported."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.blobs.packages import Packages
from adapters.channels.sftp_server.server import SftpServer
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.home.host_keys import read_host_keys
from adapters.home.named_files import Renewal
from adapters.monitor.monitor import Monitor
from adapters.monitor.snapshot import AnswerSource
from adapters.run.backends import opened_backend
from adapters.run.fork_server import ForkServer
from adapters.run.judge_pool import WorkerJudges
from adapters.run.partners import visited_partners
from adapters.run.reload import Reloader
from adapters.run.worker import Judging
from adapters.store.migrate import migrate
from adapters.store.prepared import PreparedConnection
from adapters.store.read.amqp_dedup import SqlAmqpDuplicates
from adapters.store.read.dossiers import SqlDossiers
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.read.register import SqlRegister
from adapters.store.read.store_status import StoreStatus
from adapters.store.write.allowances import Allowances
from adapters.store.write.answers import SqlAnswers
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.destinations import SqlDestinations
from adapters.store.write.document_requests import SqlDocumentRequests
from adapters.store.write.messages import SqlMessages
from adapters.store.write.pending_receipts import SqlPendingReceipts
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from adapters.store.write.take_over import SqlClaims
from gateway.config.connections import AssociationSettings
from gateway.deliver.dispatcher import DOWN_AFTER, DispatchConfig, Dispatcher
from gateway.deliver.ports import AnsweringBackend
from gateway.deliver.rate_limit import RateLimits
from gateway.model.parties import Account
from gateway.model.policy import Policy
from gateway.notify.pending_receipts import PendingReceipts
from gateway.notify.reminders import Reminders
from gateway.respond.answer_intake import CustomsAnswers
from gateway.run.worker import Node, NodeConfig

if TYPE_CHECKING:
    from adapters.channels.amqp.channel import AmqpChannel

STOP_WITHIN: Final = 20.0  # seconds for open sessions
# Seconds for judgements and deliveries after that. A back-end may take many minutes; the next node asks it
# about deliveries that are cut off.
FINISH_WITHIN: Final = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Running:
    """A running node and its addresses: None for what is not configured."""

    node: Node
    sftp: tuple[str, int]
    amqp: "AmqpChannel | None"
    metrics: tuple[str, int] | None
    reload: Callable[[], Awaitable[None]]


@asynccontextmanager
async def running(home: Home, forks: ForkServer) -> AsyncIterator[Running]:
    """Serves the home while the context is open. The caller holds the home's lock. Workers are forked by
    `forks`.

    Contexts close in reverse order: first the channels, so that nothing new arrives; then the node, so that
    work in progress is finished and committed; then what these depend on.
    """
    _allow_all_descriptors()
    in_force, clock = home.in_force(), utc_now
    settings, policy = in_force.settings, in_force.policy
    renewals: list[Renewal] = []
    migrate(home.database)
    FilesystemBlobs(home.blobs).sweep()
    monitor = Monitor(home, settings, clock)
    async with AsyncExitStack() as stack:
        database = stack.enter_context(home.store())
        register = stack.enter_context(home.register())
        packages = Packages.of(home, partial(PreparedConnection, database.engine))
        judging = settings.judging
        judges = stack.enter_context(
            closing(
                WorkerJudges(
                    forks,
                    home,
                    Judging.from_home(home, policy, in_force.routes),
                    *(judging.workers, judging.seconds, judging.memory, monitor.observer),
                )
            )
        )
        store_status = StoreStatus(home.reader(), lambda: judges.certificate)
        families = home.families()
        backends = {
            name: await stack.enter_async_context(opened_backend(home, name, each, register, clock, renewals))
            for name, each in settings.backend.items()
        }
        outbox = SqlOutbox(database, timedelta(hours=policy.answer.due_hours))
        answers = CustomsAnswers(SqlAnswers(database, clock), judges, clock, monitor.observer)
        reminders = Reminders(SqlDocumentRequests(database), register, judges, policy, clock)

        def judge_by(policy: Policy) -> None:
            outbox.answer_within = timedelta(hours=policy.answer.due_hours)
            reminders.policy = policy
            monitor.judge_by(policy)

        reload = Reloader(home, in_force, judges, database, clock, judge_by, renewals)
        await reload.begin()
        dispatch = Dispatcher(
            DispatchConfig(
                outbox=outbox,
                destinations=SqlDestinations(database),
                backends=backends,
                limits={
                    name: RateLimits(at_once=each.at_once, rate=each.rate)
                    for name, each in settings.backend.items()
                },
                budget=timedelta(hours=settings.outbox.budget_hours),
                blobs=packages,
                clock=clock,
                observer=monitor.observer,
            )
        )
        for name, backend in backends.items():
            if isinstance(backend, AnsweringBackend):
                backend.woken = dispatch.taken[name].set
        config = NodeConfig(
            messages=SqlMessages(database),
            claims=SqlClaims(database),
            dispatch=dispatch,
            answers=answers,
            reminders=reminders,
            pending_receipts=PendingReceipts(
                SqlPendingReceipts(database), judges, dispatch.down, DOWN_AFTER, clock
            ),
            judges=judges,
            backends=backends,
            accounts={
                name: backend.account
                for name, backend in settings.backend.items()
                if isinstance(backend, AssociationSettings)
            },
            blobs=packages,
            clock=clock,
            unfit=store_status.why_not,
            observer=monitor.observer,
        )
        node = Node(config)
        await stack.enter_async_context(_at_work(node))
        account, mailbox = partial(_account, register), SqlMailbox(database)
        room = Allowances(
            database, home.path, settings.disk.reserve_percent, lambda: reminders.policy, clock
        ).room
        visits = await stack.enter_async_context(
            visited_partners(
                *(
                    home,
                    account,
                    node,
                    mailbox,
                    SqlReceiptDeliveries(database),
                    packages,
                    clock,
                    renewals,
                    room,
                )
            )
        )
        if settings.push is not None:
            from adapters.backends.http_push import listening, pushed_among

            pushed_to = await stack.enter_async_context(
                listening(*(settings.push, home.path, pushed_among(backends), dispatch.taken), renewals)
            )
            log.info("answers may be brought", host=pushed_to[0], port=pushed_to[1])
        server = SftpServer(
            settings.sftp.host,
            settings.sftp.port,
            read_host_keys(home.keys),
            account,
            node,
            mailbox,
            SqlDossiers(database, families),
            packages,
            clock,
            asyncio.get_running_loop(),
            room,
            home.unfinished,
        )
        renewals.append(lambda: partial(server.show, read_host_keys(home.keys)))
        stack.push_async_callback(asyncio.to_thread, server.stop, STOP_WITHIN)
        sftp, amqp = server.start(), None
        if settings.amqp is not None:
            from adapters.channels.amqp.channel import amqp_channel
            from adapters.channels.amqp.consumer import IntakePorts

            ports = IntakePorts(
                account=account,
                intake=node,
                duplicates=SqlAmqpDuplicates(database),
                uploads=server.claim_check,
                blobs=packages,
                clock=clock,
                room=room,
            )
            amqp = await stack.enter_async_context(
                amqp_channel(settings.amqp, home.path, ports, SqlReceiptDeliveries(database))
            )
            renewals += amqp.renewals
        metrics = await stack.enter_async_context(
            monitor.at_work(
                *(database, policy, families, lambda: judges.ailing),
                () if amqp is None else (amqp.incoming, amqp.outgoing),
                visits,
                {name: each for name, each in backends.items() if isinstance(each, AnswerSource)},
                store_status.why_not,
                server.left_unfinished,
            )
        )
        yield Running(node=node, sftp=sftp, amqp=amqp, metrics=metrics, reload=reload)


@asynccontextmanager
async def _at_work(node: Node) -> AsyncIterator[None]:
    work = asyncio.create_task(node.run())
    try:
        yield
    finally:
        node.stop()
        await asyncio.wait([work], timeout=FINISH_WITHIN)
        if not work.done():
            log.warning("stopped with work in hand, which the next start takes up")
            work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


def _allow_all_descriptors() -> None:
    # An unfinished upload keeps its file open, and one account may have 2000 of them; the usual soft limit of
    # 1024 exists for programs that use select, which nothing here does.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _account(register: SqlRegister, name: str) -> Account | None:
    party = register.party_of(name)
    return None if party is None else party.account
