"""Asking parties for documents: after a release, before and after the deadline, when customs asks (R3, R4).

What is asked is in the store before anybody is told: a node that dies in between tells it when it is there
again, and tells nothing twice.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog

from gateway.model.message import Receipt, ReceiptKind
from gateway.model.policy import Policy
from gateway.model.ports import Clock, Judges, Register
from gateway.model.receipt_names import receipt_name
from gateway.notify.document_requests import DocumentRequest, build_request

_AT_ONCE: Final = 32

log = structlog.get_logger()


class RequestStore(Protocol):
    """The requests for documents in the store."""

    async def remind(self, now: datetime, reminders: Sequence[int]) -> int:
        """Notes a request for what is due to be told by `now`, one for each declaration however many of its
        reminders were missed, and returns how many. `reminders` are days before the deadline."""
        ...

    async def untold(self, limit: int) -> Sequence[DocumentRequest]:
        """The oldest requests that nobody was told yet."""
        ...

    async def tell(self, request: DocumentRequest, receipts: Sequence[Receipt], now: datetime) -> None:
        """Gives the signed request to its receivers in one commit, unless they have it."""
        ...


class Reminders:
    def __init__(
        self, store: RequestStore, register: Register, judges: Judges, policy: Policy, clock: Clock
    ) -> None:
        self._store = store
        self._register = register
        self._judges = judges
        self.policy = policy
        self._clock = clock

    async def tell_some(self) -> bool:
        """Tells the parties what they are asked for and do not know yet; whether there was anything."""
        await self._store.remind(self._clock(), self.policy.documents.reminders)
        asked = await self._store.untold(_AT_ONCE)
        if not asked:
            return False
        names = self.policy.reform.documents
        signed = await self._judges.signed([build_request(each, names) for each in asked])
        for each, body in zip(asked, signed, strict=True):
            # Each has a time of its own, which tells the names of two from one another.
            now = self._clock()
            accounts = self._receivers(each)
            receipts = [
                Receipt(
                    account=account,
                    name=receipt_name("Request", each.file_name, now),
                    kind=ReceiptKind.REQUEST,
                    body=body,
                )
                for account in accounts
            ]
            await self._store.tell(each, receipts, now)
            log.info("asked for documents", message=each.message, why=each.why.value, accounts=accounts)
        return True

    def _receivers(self, request: DocumentRequest) -> list[str]:
        """The account that sent the declaration, and that of the trader where it has one."""
        named = request.facts.get("trader_code") or request.facts.get("trader_scc", "")
        trader = self._register.party_called(named)
        accounts = [request.account]
        if trader is not None and trader.account is not None:
            accounts.append(trader.account.name)
        return list(dict.fromkeys(accounts))
