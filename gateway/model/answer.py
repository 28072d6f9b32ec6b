"""Answers of customs: as they came, as they were read, and what each changes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.agreements import AgreementUse
from gateway.model.message import Operation, Receipt
from gateway.model.obligation import Deadline, RequestReason
from gateway.model.states import CustomsStatus, Event, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of customs, as it came. `id` is the back-end's own, for `acknowledge`; `key` is that of the
    submission it answers, where the connection gives it (a correlation id, a file name); an empty one becomes
    None."""

    id: str
    name: str
    body: bytes
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.key or None)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class AnswerKind(StrEnum):
    """The three kinds of answers; a profile names the kind of each of its types."""

    TECHNICAL = "technical"  # of the import service: whether it was imported
    BUSINESS = "business"  # one for each change of state
    FAILURE = "failure"  # of the import client: it did not reach customs


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomsAnswer:
    """One parsed answer. Texts that it does not contain are empty; `family` is that of its message type.

    `status` is None where the code does not concern the declaration's progress, or is not known; `step` is
    what the code says besides. `at` is the time that customs gives, None where it gives none or in no form
    that names an instant.
    """

    kind: AnswerKind
    family: str
    client_reference: str
    seq_no: str
    entry_id: str
    status: CustomsStatus | None
    code: str
    note: str
    at: datetime | None
    step: str = ""

    @property
    def refused(self) -> bool:
        return self.status is CustomsStatus.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredDeclaration:
    """The message that an answer belongs to, as it stands now; `revision` is for the commit that follows.

    `facts` are those that its profile names; `uses` is the agreement that it used up, if any; `released_to`
    are the accounts of other parties that have got a notice of its release.
    """

    message: str
    account: str
    file_name: str
    reference: str
    state: State
    customs_status: CustomsStatus
    seq_no: str
    entry_id: str
    operation: Operation
    facts: Mapping[str, str]
    uses: AgreementUse | None
    released_to: frozenset[str]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEffect:
    """What one answer changes: everything that one commit writes. `event` is ANSWERED or SETTLED.

    `deadline` is that of the documents due after release, where this answer releases the declaration; `asks`
    says that customs asks for documents in it.
    """

    event: Event
    customs_status: CustomsStatus
    seq_no: str
    entry_id: str
    receipts: tuple[Receipt, ...]
    deadline: Deadline | None = None
    asks: RequestReason | None = None
