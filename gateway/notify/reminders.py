"""Asks parties for documents: after a release, before and after the deadline, when customs asks (R3, R4).

A request is stored before it is sent: a node that dies in between sends it after its restart, and none is
sent twice.
"""

from typing import Final

import structlog

from gateway.model.clock import Clock
from gateway.model.message import Receipt, ReceiptKind
from gateway.model.policy import Policy
from gateway.model.receipt_names import receipt_name
from gateway.model.register import Register
from gateway.model.signers import Signers
from gateway.notify.document_requests import DocumentRequest, build_request
from gateway.notify.ports import RequestStore

_AT_ONCE: Final = 32

log = structlog.get_logger()


class Reminders:
    def __init__(
        self, store: RequestStore, register: Register, signers: Signers, policy: Policy, clock: Clock
    ) -> None:
        self._store = store
        self._register = register
        self._signers = signers
        self.policy = policy
        self._clock = clock

    async def send_some(self) -> bool:
        """Sends the oldest requests that are not sent yet, at most 32; False where there were none."""
        await self._store.remind(self._clock(), self.policy.documents.reminders)
        requests = await self._store.claim(_AT_ONCE, self._clock())
        if not requests:
            return False
        names = self.policy.reform.documents
        signed = await self._signers.signed([build_request(request, names) for request in requests])
        for request, body in zip(requests, signed, strict=True):
            # Each request has its own time, so that no two receipts have the same name.
            now = self._clock()
            accounts = self._receivers(request)
            receipts = [
                Receipt(
                    account=account,
                    name=receipt_name("Request", request.file_name, now),
                    kind=ReceiptKind.REQUEST,
                    body=body,
                )
                for account in accounts
            ]
            await self._store.send(request, receipts, now)
            log.info("asked for documents", message=request.message, why=request.why.value, accounts=accounts)
        return True

    def _receivers(self, request: DocumentRequest) -> list[str]:
        """The account that sent the declaration, and the trader's account if it has one."""
        named = request.facts.get("trader_code") or request.facts.get("trader_scc", "")
        trader = self._register.party_called(named)
        accounts = [request.account]
        if trader is not None and trader.account is not None:
            accounts.append(trader.account.name)
        return list(dict.fromkeys(accounts))
