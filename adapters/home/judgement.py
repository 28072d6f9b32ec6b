"""Judges and rejects in this process, by the files of a home."""

from datetime import datetime
from functools import cached_property, partial

from sqlalchemy import Engine

from adapters.home.home import Home
from adapters.store.read.register import SqlRegister
from gateway.formats.signing import XadesSigner
from gateway.judge.pipeline import Rules, judge
from gateway.judge.rejection import rejection_of
from gateway.model.blobs import BlobStore
from gateway.model.clock import Clock
from gateway.model.decision import Decision
from gateway.model.message import Received
from gateway.model.rejection import Hold, Rejection
from gateway.model.states import Event


class HomeJudgement:
    """gateway.operate.ports.Judgement by the present files of a home; rules and key are read when first
    needed. Raises `BadSettings` if one of them cannot be used."""

    def __init__(self, home: Home, engine: Engine, blobs: BlobStore, clock: Clock) -> None:
        self._home = home
        self._register = SqlRegister(engine)
        self._blobs = blobs
        self._clock = clock

    @cached_property
    def _rules(self) -> Rules:
        return self._home.rules()

    @cached_property
    def _signer(self) -> XadesSigner:
        return self._home.signer()

    def judge(self, received: Received) -> Decision:
        """An error of our own holds the message, as in the node, and only its kind is shown."""
        rules, signer = self._rules, self._signer
        blob = partial(self._blobs.open, received.arrival.sha256)
        try:
            return judge(received, blob, rules, self._register, signer, self._clock())
        except Exception as error:
            return Decision(
                message=received.arrival.id,
                attempt=received.attempts,
                fence=received.fence,
                event=Event.FAILED,
                reason=type(error).__name__,
            )

    def dismissal(self, hold: Hold, reason: str, now: datetime) -> Rejection:
        return rejection_of(hold, reason, self._rules, self._register, self._signer, now)
