"""What many messages or a second person are asked for: written first, done once, by whoever goes on."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from adapters.cli import undertakings
from adapters.cli.exit_codes import UNREACHABLE
from adapters.cli.messages import request as message_asking
from adapters.cli.messages.execute import operating
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.store.read.message_search import list_messages
from adapters.store.tables.operations import undertakings as table
from adapters.store.write.bulk_requests import find_request, open_messages, write_request
from adapters.store.write.operator_store import SqlOperatorStore, stopped
from gateway.model.policy import DeclarationPolicy, OperationsPolicy
from gateway.model.rejection import Hold
from gateway.model.states import Event, State
from gateway.operate.bulk_requests import (
    RequestStatus,
    RequestTerms,
    check_decision,
    check_still,
    initial_status,
)
from gateway.operate.message_actions import Impossible, MessageAct
from tests.support.acts import replay
from tests.support.harness import LATER, NOW, Harness
from tests.support.operating import gateway, held, judge_again, refused, trail
from tests.support.served import ROOT

ID = "01JD0000000000000000000000"


def four_eyes(harness: Harness, acts: str) -> None:
    path = harness.home.path / "policy.toml"
    path.write_text(path.read_text("utf-8").replace("four_eyes = []", f"four_eyes = [{acts}]"), "utf-8")


def as_user(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in (message_asking, undertakings):
        monkeypatch.setattr(module, "actor", lambda: name)


def written(harness: Harness, messages: list[str], act: MessageAct = MessageAct.REPLAY) -> str:
    """An undertaking that nobody has begun."""
    request = RequestTerms(act=act, stage=None, reason="tests", actor="li")
    policy = OperationsPolicy()
    change = harness.database.submit(
        lambda to: write_request(to, ID, request, lambda _reader: messages, policy, LATER)
    )
    return change.result()


def test_many_messages_need_a_second_person_and_few_only_if_the_policy_says_so() -> None:
    policy = OperationsPolicy(four_eyes=("reject",), four_eyes_from=3)
    assert initial_status(MessageAct.REPLAY, ["a", "b"], policy) is RequestStatus.OPEN
    assert initial_status(MessageAct.REPLAY, ["a", "b", "c"], policy) is RequestStatus.ASKED
    assert initial_status(MessageAct.REJECT, ["a"], policy) is RequestStatus.ASKED


def test_the_person_who_made_a_request_cannot_approve_it_but_may_withdraw_it() -> None:
    with pytest.raises(Impossible, match="li asked for it; another person has to approve it"):
        check_decision(RequestStatus.ASKED, "li", "li", RequestStatus.OPEN)
    check_decision(RequestStatus.ASKED, "li", "li", RequestStatus.REFUSED)
    check_decision(RequestStatus.ASKED, "li", "wang", RequestStatus.OPEN)
    with pytest.raises(Impossible, match="it is done; nobody has to decide on it"):
        check_decision(RequestStatus.DONE, "li", "wang", RequestStatus.OPEN)


def test_a_message_that_moved_since_it_was_chosen_is_left_alone_except_by_a_hold() -> None:
    request = RequestTerms(act=MessageAct.REPLAY, stage=None, reason="tests", actor="li")
    with pytest.raises(Impossible, match="gone on since"):
        check_still(request, NOW, LATER)
    check_still(request, LATER, NOW)
    check_still(RequestTerms(act=MessageAct.HOLD, stage=None, reason="tests", actor="li"), NOW, LATER)


def test_a_second_person_approves_and_both_stand_in_the_trail(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_eyes(harness, '"replay"')
    message = refused(harness)
    as_user(monkeypatch, "li")
    requested = gateway(harness, "messages", "replay", "R1", "--reason", "limit raised", "--json")
    assert (requested.code, requested.json["state"]) == (5, "asked")
    assert harness.message(message)["state"] == State.REJECTED
    id_ = requested.json["id"]
    own = gateway(harness, "undertakings", "approve", id_)
    assert (own.code, "another person has to approve it" in own.err) == (1, True)
    assert gateway(harness, "undertakings", "resume", id_).code == 5
    assert harness.message(message)["state"] == State.REJECTED
    as_user(monkeypatch, "wang")
    assert gateway(harness, "undertakings", "approve", id_, "--json").json["done"] == 1
    event, who, detail = trail(harness, message)[-1]
    assert (event, who) == (Event.REPLAYED, "li")
    assert detail == {"reason": "limit raised", "undertaking": id_, "approved_by": "wang"}
    assert gateway(harness, "undertakings", "approve", id_).code == 1


def test_what_a_second_person_refuses_is_not_done_and_the_reason_is_stored(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_eyes(harness, '"replay"')
    message = refused(harness)
    as_user(monkeypatch, "li")
    id_ = gateway(harness, "messages", "replay", "R1", "--reason", "x", "--json").json["id"]
    as_user(monkeypatch, "wang")
    assert gateway(harness, "undertakings", "refuse", id_, "--reason", "not today").code == 0
    shown = gateway(harness, "undertakings", "show", id_, "--json").json
    assert (shown["state"], shown["decided_by"], shown["decision"]) == ("refused", "wang", "not today")
    assert harness.message(message)["state"] == State.REJECTED
    assert gateway(harness, "undertakings", "approve", id_).code == 1
    listed = gateway(harness, "undertakings", "list", "--state", "refused", "--since", "2h", "--json").json
    assert [row["id"] for row in listed] == [id_]
    days = f"{utc_now() + timedelta(days=2):%Y-%m-%d}"
    assert gateway(harness, "undertakings", "list", "--since", days, "--json").json == []


def test_an_approved_request_is_carried_out_by_the_policy_of_that_moment(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_eyes(harness, '"reject"')
    message = held(harness, "R1")
    as_user(monkeypatch, "li")
    id_ = gateway(harness, "messages", "reject", "R1", "--reason", "withdrawn", "--json").json["id"]
    path = harness.home.path / "policy.toml"
    sound = path.read_text("utf-8")
    path.write_text("lines = [", "utf-8")
    as_user(monkeypatch, "wang")
    unread = gateway(harness, "undertakings", "approve", id_)
    assert (unread.code, "policy.toml" in unread.err) == (2, True), unread
    assert harness.message(message)["state"] == State.HELD

    path.write_text(sound.replace("four_eyes_from = 100", "four_eyes_from = 7"), "utf-8")
    assert gateway(harness, "undertakings", "resume", id_, "--json").json["done"] == 1
    event, who, detail = trail(harness, message)[-1]
    assert (event, who, detail["approved_by"]) == (Event.DISMISSED, "li", "wang")
    assert detail["policy"] == harness.home.policy().digest != harness.rules.policy.digest


def test_a_request_that_was_interrupted_is_resumed_and_does_nothing_twice(harness: Harness) -> None:
    messages = [refused(harness, "R1"), refused(harness, "R2")]
    id_ = written(harness, messages)
    shown = gateway(harness, "undertakings", "resume", id_, "--json").json
    assert (shown["state"], shown["done"]) == ("done", 2)
    judge_all(harness, 2)
    before = [trail(harness, message) for message in messages]
    assert gateway(harness, "undertakings", "resume", id_, "--json").json == shown
    assert [trail(harness, message) for message in messages] == before


def judge_all(harness: Harness, count: int) -> None:
    at = LATER + timedelta(hours=1)
    for received in asyncio.run(harness.messages.claim(count, at, timedelta(minutes=1))):
        asyncio.run(harness.messages.decide(harness.judgement(received, at), at))


def test_processes_that_resume_a_request_at_the_same_time_do_each_message_once(harness: Harness) -> None:
    messages = [refused(harness, f"R{number}") for number in range(8)]
    id_ = written(harness, messages)

    def go_on(_number: int) -> None:
        with operating(harness.home) as on:
            on.service.resume(id_)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(go_on, range(4)))
    for message in messages:
        assert [event for event, _who, _detail in trail(harness, message)].count(Event.REPLAYED) == 1
    with harness.database.engine.connect() as reader:
        assert open_messages(reader, id_) == []
        assert find_request(reader, id_).progress is RequestStatus.DONE


def test_a_request_stops_with_nothing_written_at_a_message_that_changes_all_the_time(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = held(harness)
    before = trail(harness, message)

    def always_older(store: SqlOperatorStore, message_id: str) -> Hold:
        with harness.database.engine.connect() as reader:
            hold = stopped(reader, message_id)
        return replace(hold, revision=hold.revision - 1)

    monkeypatch.setattr(SqlOperatorStore, "stopped", always_older)
    at_once = gateway(harness, "messages", "reject", message, "--reason", "tests")
    assert (at_once.code, "changes all the time; try again" in at_once.err) == (UNREACHABLE, True)
    id_ = written(harness, [message], MessageAct.REJECT)
    resumed = gateway(harness, "undertakings", "resume", id_)
    assert (resumed.code, f"{message} changes all the time" in resumed.err) == (UNREACHABLE, True)
    assert trail(harness, message) == before
    with harness.database.engine.connect() as reader:
        assert list(open_messages(reader, id_)) == [message]


def test_a_message_that_was_replayed_and_refused_meanwhile_is_not_replayed_again(harness: Harness) -> None:
    message = refused(harness)
    id_ = written(harness, [message])
    then = LATER + timedelta(seconds=1)
    harness.database.submit(lambda to: replay(to, message, "wang", "tests", then)).result()
    strict = harness.rules.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    harness.rules = replace(harness.rules, policy=strict)
    judge_again(harness, LATER + timedelta(seconds=2))
    assert harness.message(message)["state"] == State.REJECTED
    shown = gateway(harness, "undertakings", "resume", id_, "--json")
    assert (shown.code, shown.json["impossible"]) == (1, 1)
    assert "gone on since" in shown.json["items"][0]["note"]


def test_a_message_that_goes_on_while_the_filters_are_read_is_not_replayed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refused(harness)
    really = list_messages

    def slowly(*arguments: Any) -> Any:
        rows = really(*arguments)
        harness.database.submit(lambda to: replay(to, message, "wang", "tests", utc_now())).result()
        strict = harness.rules.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
        harness.rules = replace(harness.rules, policy=strict)
        judge_again(harness, utc_now())
        assert harness.message(message)["state"] == State.REJECTED
        return rows

    monkeypatch.setattr(message_asking, "list_messages", slowly)
    result = gateway(harness, "messages", "replay", "--state", "rejected", "--reason", "x", "--json")
    assert (result.code, result.json["impossible"]) == (1, 1)
    assert [event for event, _who, _detail in trail(harness, message)].count(Event.REPLAYED) == 1


def test_an_undertaking_that_is_not_known_ends_with_1(harness: Harness) -> None:
    for verb in ("show", "approve", "resume"):
        assert gateway(harness, "undertakings", verb, "nobody").code == 1
    assert harness.rows(table) == []


# Everything is imported first: another user may not be allowed to read where it stands.
AS_ANOTHER = """
import importlib, os, pkgutil, pwd, sys
import adapters
import cli
for module in pkgutil.walk_packages(adapters.__path__, "adapters."):
    if ".migrations." not in module.name:
        importlib.import_module(module.name)
os.setuid(pwd.getpwnam(sys.argv.pop(1)).pw_uid)
cli.app(prog_name="gateway")
"""


@pytest.mark.parametrize("user", ["own", "nobody"])
def test_two_users_of_the_system_are_two_persons_whatever_their_environment_says(user: str) -> None:
    """Where the tests may not take on another user, both are their own."""
    second = user if user != "own" and os.getuid() == 0 else actor()
    with TemporaryDirectory() as folder, Harness.at(Path(folder) / "home") as harness:
        four_eyes(harness, '"replay"')
        message = refused(harness)
        id_ = gateway(harness, "messages", "replay", "R1", "--reason", "x", "--json").json["id"]
        for path in (Path(folder), harness.home.path, *harness.home.path.rglob("*")):
            path.chmod(0o777)
        approve = ("undertakings", "approve", id_, "--home")
        approved = subprocess.run(
            [*(sys.executable, "-c", AS_ANOTHER, second), *approve, str(harness.home.path)],
            cwd=ROOT,
            env={**os.environ, "LOGNAME": "somebody-else", "USER": "somebody-else"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if second == actor():
            assert (approved.returncode, "another person" in approved.stderr) == (1, True), approved.stderr
        else:
            assert approved.returncode == 0, approved.stderr
            assert trail(harness, message)[-1][2]["approved_by"] == second
