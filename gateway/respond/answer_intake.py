"""Takes in the answers of customs: they are decided in a worker and committed, many together.

An answer is a message too: it is kept in the store, linked to its declaration.
"""

from collections.abc import Sequence

import structlog

from gateway.model.answer import Answer
from gateway.model.clock import Clock
from gateway.model.transition import Refusal
from gateway.monitor.observer import UNOBSERVED, Observer
from gateway.respond.decide_answers import no_answer
from gateway.respond.ports import AnswerDeciders, AnswerStore, Filed, Matched, ReceivedAnswer

log = structlog.get_logger()


class CustomsAnswers:
    def __init__(
        self, store: AnswerStore, deciders: AnswerDeciders, clock: Clock, observer: Observer = UNOBSERVED
    ) -> None:
        self._store = store
        self._deciders = deciders
        self._clock = clock
        self._observer = observer

    async def take_in(
        self, backend: str, answers: Sequence[Answer], *, speaks: bool = False
    ) -> Sequence[Answer]:
        """Returns when every answer is durable here, whatever became of it. Where the back-end also sends
        messages unasked (`speaks`), those that are no answers are returned: they are judged like any party's
        messages.

        Answers to one declaration are taken in order of arrival, in one commit; answers to different
        declarations share commits.
        """
        received = [ReceivedAnswer(backend=backend, answer=answer) for answer in answers]
        no_answers, seq_nos = await self._filed(received)
        if no_answers and not speaks:
            await self._store.file([(no_answer(each),) for each in no_answers])
        # Also where the SeqNo is known already: a node may have died between an answer and those that waited
        # for it, and it is given again because of that.
        if seq_nos and (waited := await self._store.parked(seq_nos)):
            await self._filed(waited)
        return [each.answer for each in no_answers] if speaks else ()

    async def _filed(self, received: Sequence[ReceivedAnswer]) -> tuple[Sequence[ReceivedAnswer], set[str]]:
        """Decides and writes answers. Returns those that are none, and the SeqNos that the others name."""
        decided = await self._deciders.decided(received)
        chains, seq_nos = decided.chains, set[str]()
        while chains:
            new = await self._store.file(chains)
            changed = []  # chains of which a declaration has changed between being read and written
            for chain, filed in zip(chains, new, strict=True):
                if isinstance(filed, Refusal):
                    changed.append(chain)
                else:
                    self._report(filed)
                    seq_nos |= {each.parsed.seq_no for each in chain if each.parsed is not None}
            again = [_received(each) for chain in changed for each in chain]
            chains = (await self._deciders.decided(again)).chains if again else ()
        return decided.no_answers, seq_nos - {""}

    def _report(self, new: Sequence[Filed]) -> None:
        for filed in new:
            if isinstance(filed, Matched):
                message, parsed = filed.declaration.message, filed.parsed
                self._observer.answered(message, filed.backend, parsed.kind.value, self._clock())
                log.info("answered", message=message, kind=parsed.kind.value, code=parsed.code)
            elif filed.parsed is None:
                log.error("answer cannot be read", backend=filed.backend, error=filed.reason)
            else:
                log.warning("answer not matched", backend=filed.backend, state=filed.state.value)


def _received(filed: Filed) -> ReceivedAnswer:
    return ReceivedAnswer(backend=filed.backend, answer=filed.answer, parked=filed.parked)
