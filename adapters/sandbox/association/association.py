"""The simulated association as a back-end: it numbers the agreements in requests and signs notices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from adapters.sandbox.association.answers import import_agr_response
from adapters.sandbox.association.courses import AgreementCourse, course_of
from adapters.sandbox.association.register import AgreementRegister, StoredAgreement
from adapters.sandbox.inspection import InspectedSubmission, SubmissionRefused
from adapters.sandbox.simulated_backend import SimulatedBackend
from gateway.formats import xml
from gateway.formats.agreement_notices import (
    agreement_of_request,
    build_notice,
    proposer_of_request,
    read_notice,
)
from gateway.model.agreements import (
    PROPOSED,
    Act,
    AgreementNotice,
    AgreementSide,
    AgreementState,
    IllegalAct,
    NoticeAct,
    after,
)
from gateway.model.china import CHINA, china_date
from gateway.model.clock import Clock
from gateway.model.signers import Signer

REQUEST: Final = "ImportAgrRequest"
# The facts that a request must have to become an agreement.
_NEEDED: Final = ("cop_code", "trader_code", "agent_code", "goods_code", "total", "ie_date")
# Customs sells goods that nobody has declared within three months (Customs Law, article 30).
DAYS_AFTER: Final = 90
NO_TERMS: Final[Mapping[str, Any]] = MappingProxyType({})


class ReferenceAssociation(SimulatedBackend):
    """A `SimulatedBackend` with its register in `folder`/association.db.

    `signer` has the association's own key. `confirms(trader, broker)` says whether the trader automatically
    confirms this broker's proposals; proposals of traders are never confirmed automatically.
    """

    def __init__(
        self,
        folder: Path,
        certificate_pem: str,
        signer: Signer,
        clock: Clock,
        confirms: Callable[[str, str], bool],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._register = AgreementRegister(folder / "association.db")
        self._signer = signer
        self._confirms = confirms
        super().__init__(folder, self._register, certificate_pem, clock)

    def sign_by(self, signer: Signer) -> None:
        self._signer = signer

    async def agreements(self) -> Sequence[AgreementNotice]:
        """The last notice of every agreement, sorted by number."""
        return [read_notice(xml.trusted(each.notice)) for each in await self._run(self._register.all)]

    async def act(self, number: str, act: Act, reason: str = "") -> AgreementNotice:
        """Performs an act on an agreement, as one of its parties would, and queues the signed notice, which
        is returned.

        Raises `KeyError` for an unknown number, `IllegalAct` where the agreement's state does not allow the
        act, and `ValueError` for an act that the association never notifies. Then nothing is changed.
        """
        return await self._run(lambda: self._act(number, act, reason))

    async def amend(self, number: str, terms: Mapping[str, Any], reason: str = "") -> AgreementNotice:
        """Like `act`, for an amendment to these `terms` (fields of `Agreement`). Raises `IllegalAct` unless
        the agreement is in force and unused."""
        return await self._run(lambda: self._act(number, Act.AMENDED, reason, terms))

    def _act(
        self, number: str, act: Act, reason: str, terms: Mapping[str, Any] = NO_TERMS
    ) -> AgreementNotice:
        now = self._clock()
        with self._register.transaction():
            stored = self._register.agreement(number)
            before = read_notice(xml.trusted(stored.notice))
            if act is Act.AMENDED and before.agreement.state is AgreementState.PROPOSED:
                raise IllegalAct(before.agreement.state, act)
            notice = _next(before, act, reason, now)
            if act is Act.AMENDED:  # the only act that may happen more than once
                id_ = f"{notice.id}-{self._register.next_serial(f'amendment {number}')}"
                notice = replace(notice, id=id_, agreement=replace(notice.agreement, **terms))
            self._tell(stored.key, notice)
        return notice

    def _take(self, submission: InspectedSubmission, now: datetime) -> None:
        facts = submission.envelope.facts
        if submission.envelope.type != REQUEST:
            raise SubmissionRefused(f"the association does not take a {submission.envelope.type}")
        missing = [name for name in _NEEDED if name not in facts]
        if missing:
            raise SubmissionRefused(f"the request does not tell {', '.join(missing)}")
        confirmed = proposer_of_request(facts) is AgreementSide.BROKER and self._confirms(
            facts["trader_code"], facts["agent_code"]
        )
        course = course_of(facts.get("note", ""), confirmed=confirmed)
        self._register.take(submission.key, submission.signed, now)
        number = self._allot_number(now) if course.imported else ""
        response = import_agr_response(
            code=course.code, message=course.message, cop_code=facts["cop_code"], consign_no=number
        )
        self._register.queue(submission.key, [(f"ImportAgrResponse_{submission.key}.xml", response)])
        if course.imported:
            self._open(submission.key, _proposed(facts, number, now), course, now)

    def _open(self, key: str, proposed: AgreementNotice, course: AgreementCourse, now: datetime) -> None:
        self._tell(key, proposed)
        if course.reply is not None:
            self._tell(key, _next(proposed, course.reply, course.reason, now))

    def _allot_number(self, now: datetime) -> str:
        """A number in the form of real ConsignNos: 17 digits, the year in China and a serial of 13."""
        year = now.astimezone(CHINA).year
        return f"{year}{self._register.next_serial(f'agreement {year}'):013}"

    def _tell(self, key: str, notice: AgreementNotice) -> None:
        """Signs and queues a notice, and stores it as the current state of the agreement."""
        body = self._signer.sign(build_notice(notice))
        number = notice.agreement.number
        self._register.note(StoredAgreement(number=number, key=key, notice=body))
        self._register.queue(key, [(f"AgreementNotice_{notice.id.replace('-', '_')}.xml", body)])


def _proposed(facts: Mapping[str, str], number: str, now: datetime) -> AgreementNotice:
    try:
        agreement = agreement_of_request(facts, number, china_date(now), DAYS_AFTER)
    except (ValueError, ArithmeticError) as wrong:
        raise SubmissionRefused("the request's date or value is none") from wrong
    return AgreementNotice(
        id=_id_of(number, PROPOSED),
        act=PROPOSED,
        at=now,
        agreement=agreement,
        proposed_by=proposer_of_request(facts),
    )


def _next(notice: AgreementNotice, act: Act, reason: str, now: datetime) -> AgreementNotice:
    agreement = replace(notice.agreement, state=after(notice.agreement.state, act))
    number = agreement.number
    return replace(notice, id=_id_of(number, act), act=act, at=now, agreement=agreement, reason=reason)


def _id_of(number: str, act: NoticeAct) -> str:
    """The id of a notice. It is unique: of one agreement each act is notified once, except amendments, whose
    ids get a serial."""
    return f"{number}-{act}"
