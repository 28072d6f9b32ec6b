"""What a node asks its store again and again, taken from the node's own loops, and the statements of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, event

from adapters.monitor.snapshot import SnapshotReader
from adapters.store.database import Database
from adapters.store.read.amqp_dedup import SqlAmqpDuplicates
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.read.office_stats import office_statistics
from adapters.store.read.operator_acts import acts_since
from adapters.store.write.alarms import open_alarms, to_tell
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.destinations import SqlDestinations
from adapters.store.write.document_requests import SqlDocumentRequests
from adapters.store.write.messages import SqlMessages
from adapters.store.write.pending_receipts import SqlPendingReceipts
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from adapters.store.write.take_over import SqlClaims
from gateway.families.families import Families
from gateway.model.band_policy import MonitoringPolicy
from gateway.monitor.alarm_conditions import ACTS_OF

_HOUR: Final = timedelta(hours=1)
WINDOW: Final = timedelta(hours=MonitoringPolicy().window_hours)


class StatementLog:
    """The statements that engines were given, with their parameters; each once."""

    def __init__(self) -> None:
        self.statements: dict[str, Any] = {}

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(
        self, _connection: object, _cursor: object, statement: str, parameters: Any, *_more: object
    ) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "WITH", "DELETE")):
            self.statements.setdefault(
                statement, parameters[0] if isinstance(parameters, list) else parameters
            )


async def rounds(
    database: Database,
    looking: SnapshotReader,
    families: Families,
    now: datetime,
    accounts: Sequence[str] = ("broker-aa",),
) -> None:
    """What the loops of the node, of its channels and of its monitoring do at each round, twice."""
    messages = SqlMessages(database)
    for _twice in range(2):
        await messages.claim(4, now, _HOUR)
        await messages.expire(now)
        await SqlPendingReceipts(database).claim(now, now, {"customs": now}, 50, now)
        for alone in (True, False):
            await SqlClaims(database).take_over(now, alone=alone)
        await SqlClaims(database).renew(now)
        await looking.snapshot()
        await looking.read(lambda reader: office_statistics(reader, now - WINDOW, now, families))
        await looking.read(lambda reader: acts_since(reader, now - ACTS_OF))
        await database.read(open_alarms)
        await database.read(lambda reader: to_tell(reader, "mail"))
        for account in (None, *accounts):
            await SqlReceiptDeliveries(database).claim(account, 10, now)
        await SqlAmqpDuplicates(database).seen(accounts[0], "1", "0" * 64)
        await SqlMailbox(database).whereabouts(accounts[0], ["0" * 26])
        requests = SqlDocumentRequests(database)
        await requests.remind(now, (10,))
        await requests.claim(10, now)
        await SqlDestinations(database).statuses()
        outbox = SqlOutbox(database, _HOUR)
        await outbox.try_all(now)
        for destination in ["customs", *await outbox.destinations()]:
            await outbox.divert(destination, {"other"}, "", now)
            await outbox.give_up(destination, now - 1000 * _HOUR, "", now)
            await outbox.claim(destination, 4, now)
