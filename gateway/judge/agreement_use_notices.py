"""The receipts of those who are notified that an agreement is used, or may be used again."""

from collections.abc import Iterable
from datetime import datetime

from gateway.formats.notice_documents import agreement_use
from gateway.model.addressee import Addressee
from gateway.model.agreements import Act, AgreementUse
from gateway.model.message import Receipt
from gateway.model.parties import Party
from gateway.model.register import Parties
from gateway.model.signers import Signer
from gateway.rules.recipients import recipients_of_freed, recipients_of_use


def notices_of_use(
    used: AgreementUse, message: str, reference: str, parties: Parties, signer: Signer, now: datetime
) -> tuple[Receipt, ...]:
    """The declaration was accepted under the agreement."""
    return _notices(recipients_of_use(parties), used, Act.USED, message, reference, signer, now)


def notices_of_freed(
    used: AgreementUse,
    message: str,
    reference: str,
    parties: Parties,
    sender: Party | None,
    signer: Signer,
    now: datetime,
) -> tuple[Receipt, ...]:
    """The declaration that had used the agreement is refused."""
    to = recipients_of_freed(parties, sender)
    return _notices(to, used, Act.FREED, message, reference, signer, now)


def _notices(
    to: Iterable[Addressee],
    used: AgreementUse,
    act: Act,
    message: str,
    reference: str,
    signer: Signer,
    now: datetime,
) -> tuple[Receipt, ...]:
    drafts = [
        agreement_use(each, used=used, act=act, message=message, reference=reference, entry_id="", at=now)
        for each in to
    ]
    return tuple(draft.receipt(signer.sign(draft.root)) for draft in drafts)
