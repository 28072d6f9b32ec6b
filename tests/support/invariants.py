"""What must hold of a home at any time, killed or not, read from its store, its blobs and its customs alone.

Nothing acknowledged is lost, nothing has two effects, state and receipts agree, every message ends or waits
visibly, and what failed is held: these as questions to what is on the disk. The node may run or not.
"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, select

from adapters.blobs.packages import Packages
from adapters.home.home import Home
from adapters.store.database import GENESIS, chained, sqlite_engine
from adapters.store.tables.messages import (
    agreement_acts,
    agreements,
    deliveries,
    events,
    holders,
    messages,
    receipts,
)
from adapters.store.write.receipt_actions import REMOVED
from gateway.model.agreements import LIFE, PROPOSED, Act, AgreementKind, AgreementState
from gateway.model.message import Operation, message_of
from gateway.model.states import (
    DELIVERY_HELD,
    DELIVERY_REFUSED,
    DELIVERY_RESUMED,
    TRANSITIONS,
    CustomsStatus,
    DeliveryState,
    Event,
    State,
)
from gateway.operate.receipts import RESTORED

Rows = Sequence[Row[*tuple[Any, ...]]]

# What a sender must have been told of a message that is in this state, as verdicts of its final receipt.
_VERDICT: Final = {
    State.ACCEPTED: "accepted",
    State.DELIVERED: "accepted",
    State.CLOSED: "accepted",
    State.REJECTED: "rejected",
}
_OF_A_DELIVERY: Final = (DELIVERY_HELD, DELIVERY_RESUMED, DELIVERY_REFUSED)
# Somebody looks into the dossier, documents are asked for, or a receipt is put back: nothing moves.
_LEAVES_AS_IT_IS: Final = ("read", "reviewed", "requested", *_OF_A_DELIVERY, REMOVED, RESTORED)
_ON_ITS_WAY: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)


def violations(home: Home, *, backend: str = "customs", repeats: bool = False) -> list[str]:
    """One sentence for each thing that does not hold; empty where all is well. With `repeats`, customs may
    get again what it took, as from a broker that gives again what was not acknowledged."""
    engine = sqlite_engine(home.database, read_only=True)
    try:
        with engine.connect() as store, closing(_customs(home, backend)) as customs:
            store.exec_driver_sql("BEGIN")  # one moment, for all that follows
            return [
                *_trail(store),
                *_messages(store),
                *_receipts(store),
                *_deliveries(store),
                *_blobs(store, home),
                *_submissions(store, customs, repeats),
                *agreement_violations(store),
            ]
    finally:
        engine.dispose()


def unfinished(home: Home) -> list[str]:
    """The messages that have not come to an end that needs nothing more from this node or from customs, and
    the answers that wait for a SeqNo which is known."""
    engine = sqlite_engine(home.database, read_only=True)
    try:
        with engine.connect() as store:
            rows = _all(store, messages)
            seq_nos = {row.seq_no for row in rows if row.kind == "inbound"}
            return [
                f"{row.name}: {row.state}"
                for row in rows
                if (row.kind == "inbound" and row.state not in (State.CLOSED, State.REJECTED))
                or (row.kind == "answer" and row.state == State.WAITING and row.seq_no in seq_nos)
            ]
    finally:
        engine.dispose()


def _customs(home: Home, backend: str) -> sqlite3.Connection:
    return sqlite3.connect(home.path / "backends" / backend / "customs.db")


def _all(store: Connection, table: Table) -> Rows:
    return store.execute(select(table).order_by(*table.primary_key)).all()


def logged(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    """What the log chains of one event."""
    return {
        "message": row.message,
        "at": row.at.isoformat(),
        "event": row.event,
        "actor": row.actor,
        "state": row.state,
        "detail": json.loads(row.detail),
    }


def _trail(store: Connection) -> Iterator[str]:
    """The log verifies from its beginning, and every message went only where the table lets it go."""
    digest = GENESIS
    state: dict[str, State] = {}
    expected = 1
    inbound = {row.id for row in _all(store, messages) if row.kind == "inbound"}
    for row in _all(store, events):
        digest = chained(digest, logged(row))
        if digest != row.digest or row.sequence != expected:
            yield f"the log does not verify at event {row.sequence}"
            return
        expected += 1
        if row.message not in inbound:
            continue
        before = state.get(row.message)
        if before is None:
            allowed = State.RECEIVED if row.event == Event.RECEIVED else None
        elif row.event in _LEAVES_AS_IT_IS:
            allowed = before
        else:
            allowed = TRANSITIONS[before].get(Event(row.event))
        if row.event == Event.RENAMED and before == row.state:
            allowed = before  # the name of anything else changes nothing
        if row.event == Event.TAKEN and before == row.state:
            allowed = before  # one of two offices has it (transit)
        if allowed != row.state:
            yield f"message {row.message} went from {before} by {row.event} to {row.state}"
        state[row.message] = State(row.state)
    for message in _all(store, messages):
        if message.kind == "inbound" and state.get(message.id) != message.state:
            yield f"message {message.id} is {message.state}, its trail says {state.get(message.id)}"


def _messages(store: Connection) -> Iterator[str]:
    """Every message is at an end, on its way by itself, or held with a reason."""
    on_their_way = {row.message for row in _all(store, deliveries) if row.state in _ON_ITS_WAY}
    links = {row.sequence: row.digest for row in _all(store, events)}
    for row in _all(store, messages):
        if row.kind != "inbound":
            continue
        if row.state == State.HELD and not row.reason:
            yield f"message {row.id} is held without a reason"
        if row.state == State.WAITING and not (row.waiting_for and row.until):
            yield f"message {row.id} waits for nothing or for ever"
        if row.state == State.ACCEPTED and row.id not in on_their_way:
            yield f"message {row.id} is accepted and nobody will deliver it"
        if row.state == State.DELIVERED and row.answer_due is None:
            yield f"message {row.id} is delivered and no answer is due"
        if links.get(row.link_sequence) != row.link_digest:
            yield f"message {row.id} has a link that is not in the log"


def _receipts(store: Connection) -> Iterator[str]:
    """One final receipt for each verdict, none before; the same answer of customs is not relayed twice."""
    finals = defaultdict(list)
    relayed: Counter[tuple[str, str, str]] = Counter()
    for row in _all(store, receipts):
        if row.final and not row.superseded:
            finals[row.message].append(row.verdict)
        relayed[row.message, row.account, hashlib.sha256(row.body).hexdigest()] += 1
    for (message, account, _digest), count in relayed.items():
        if count > 1:
            yield f"{account} has the same receipt of message {message} {count} times"
    collected = set()
    for row in _all(store, messages):
        collected.add(row.id)
        if row.kind != "inbound":
            continue
        verdict = _VERDICT.get(State(row.state))
        if verdict is not None and finals[row.id] != [verdict]:
            yield f"message {row.id} is {row.state}, its final receipts say {finals[row.id]}"
    for message in finals.keys() - collected:
        yield f"a receipt is of message {message}, which is not there"


def _deliveries(store: Connection) -> Iterator[str]:
    """A delivery belongs to a message that was accepted and holds its key, under the message's own id or, for
    the second office of a transit, that with the office."""
    by_id = {row.id: row for row in _all(store, messages)}
    held = {row.message for row in _all(store, holders)}
    keys: Counter[tuple[str, str]] = Counter()
    in_force: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in _all(store, deliveries):
        keys[row.destination, row.key] += 1
        message = by_id.get(row.message)
        if message is None or message_of(row.key) != message.id:
            yield f"delivery {row.id} has key {row.key} and belongs to {row.message}"
        elif row.package_sha256 != message.sha256:
            yield f"delivery {row.id} sends another package than {row.message} brought"
        elif message.operation == Operation.DECLARE and message.customs_status != CustomsStatus.REFUSED:
            in_force[message.party, message.family, message.type, message.reference].add(message.id)
    for (destination, submission), count in keys.items():
        if count > 1:
            yield f"{destination} has {count} deliveries under key {submission}"
    for key, declared in in_force.items():
        if len(declared) > 1:
            yield f"{len(declared)} declarations are in force under {key}"
    for message_id in held - by_id.keys():
        yield f"a key is held by {message_id}, which is not there"


def _blobs(store: Connection, home: Home) -> Iterator[str]:
    """Every package is there, and its bytes are those that were acknowledged."""
    for row in _all(store, messages):
        if row.kind != "inbound":
            continue
        try:
            with Packages.of(home, lambda: nullcontext(store)).open(row.sha256) as file:
                body = file.read()
        except KeyError:
            yield f"the package of {row.id} is gone"
            continue
        if hashlib.sha256(body).hexdigest() != row.sha256 or len(body) != row.size:
            yield f"the package of {row.id} is not what was received"


def _submissions(store: Connection, customs: sqlite3.Connection, repeats: bool) -> Iterator[str]:
    """Customs was sent each key that it took once (unless `repeats`), since it is asked after an unknown
    outcome; it has only what was accepted, and everything that we say was delivered."""
    submissions_taken: Counter[str] = Counter(
        key for (key,) in customs.execute("SELECT key FROM calls WHERE outcome = 'taken'")
    )
    # What is no declaration, as the copy for the second office of a transit, is a paper to it.
    rows = customs.execute("SELECT key FROM submissions UNION SELECT key FROM papers")
    submissions = {key for (key,) in rows}
    sent = {row.key: row for row in _all(store, deliveries)}
    for key, count in submissions_taken.items():
        if count > 1 and not repeats:
            yield f"customs was sent {key} again {count - 1} times after it took it"
    for key in submissions - sent.keys():
        yield f"customs has {key}, which was never accepted"
    for row in sent.values():
        if row.state == DeliveryState.DELIVERED and row.key not in submissions:
            yield f"delivery {row.id} is delivered, customs knows nothing of it"


def agreement_violations(store: Connection) -> Iterator[str]:
    """An agreement for one shipment has one declaration at most, and each of the two names the other; every
    agreement went only where its table lets it go, and is where its acts say."""
    by_id = {row.id: row for row in _all(store, messages)}
    under = Counter(
        row.agreement
        for row in by_id.values()
        if row.state not in (State.RECEIVED, State.WAITING, State.REJECTED)
        and row.customs_status != CustomsStatus.REFUSED
    )
    acts = defaultdict(list)
    for act in _all(store, agreement_acts):
        acts[act.number].append(act)
    for row in _all(store, agreements):
        notices = [act for act in acts[row.number] if act.actor != "gateway"]
        if row.kind == AgreementKind.PER_SHIPMENT and under[row.number] > 1:
            yield f"agreement {row.number} is used by {under[row.number]} declarations"
        if row.used_by != row.record["used_by"] or row.state != row.record["state"]:
            yield f"agreement {row.number} is {row.state} for {row.used_by}, its record says otherwise"
        if row.used_by is not None:
            user = by_id.get(row.used_by)
            if user is None or user.agreement != row.number or user.customs_status == CustomsStatus.REFUSED:
                yield f"agreement {row.number} is used by {row.used_by}, which does not stand under it"
            if row.state not in (AgreementState.USED, AgreementState.TERMINATED):
                yield f"agreement {row.number} is {row.state} and used by {row.used_by}"
        elif row.state == AgreementState.USED and Act.USED not in {act.act for act in notices}:
            yield f"agreement {row.number} is used by nobody"
        yield from _acts(row, acts[row.number])


def _acts(agreement: Row[*tuple[Any, ...]], acts: Rows) -> Iterator[str]:
    state, changes = None, 0
    for act in acts:
        mandate_used = agreement.kind == AgreementKind.LONG_TERM and act.act == Act.USED
        if not mandate_used or state is None:  # the first word on it registers it, whatever it tells
            changes += 1
        if state is not None and not mandate_used:
            allowed = None if act.act == PROPOSED else LIFE[state].get(Act(act.act))
            if allowed != act.state:
                yield f"agreement {agreement.number} went from {state} by {act.act} to {act.state}"
        state = AgreementState(act.state)
    if state != agreement.state or changes != agreement.revision:
        yield (
            f"agreement {agreement.number} is {agreement.state} after {agreement.revision} changes, "
            f"its acts say {state} after {changes}"
        )
