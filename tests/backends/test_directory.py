"""What a folder as a back-end promises beyond the contract of all, each of its two sides by itself."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from adapters.backends.directory import DirectoryBackend
from adapters.backends.exchange import Exchange
from adapters.sandbox.customs.customs import BOOK
from adapters.sandbox.customs.serving import ExchangeServing, ServedElsewhere, alone
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from tests.support.submissions import CUSTOMS, given_answers, reference_customs, sent
from tests.support.unfinished import UNFINISHED


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path / "exchange")


@pytest.fixture
def gateway(exchange: Exchange) -> Iterator[DirectoryBackend]:
    with closing(DirectoryBackend(exchange.folder)) as gateway:
        yield gateway


def ask(gateway: DirectoryBackend, key: str) -> Outcome:
    return asyncio.run(gateway.ask(key))[0]


def look(exchange: Exchange) -> bool:
    """What customs does when it is started and looks into the folder once; whether it went well."""
    with closing(reference_customs(exchange.folder / "customs")) as customs:
        return asyncio.run(ExchangeServing(exchange, customs).turn())


def put_answer(exchange: Exchange, name: str, body: bytes = b"<DEC_RESULT/>", at: int = 1) -> None:
    (exchange.into / name).write_bytes(body)
    os.utime(exchange.into / name, (at, at))


def bodies(answers: Sequence[Answer]) -> list[bytes]:
    return [answer.body for answer in answers]


def test_a_submission_that_the_other_side_deletes_stays_delivered(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    once = sent()
    assert once.to(gateway) == (Outcome.TAKEN, "")
    (exchange.out / f"{once.key}.zip").unlink()

    with closing(DirectoryBackend(exchange.folder)) as again:
        assert ask(again, once.key) is Outcome.TAKEN
        assert once.to(again)[0] is Outcome.TAKEN
    assert list(exchange.out.iterdir()) == []


def test_a_submission_that_was_prepared_and_not_delivered_is_prepared_again(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    once = sent()
    exchange.sent.mkdir()
    (exchange.sent / f"{once.key}.tmp").write_bytes(b"half a submission")
    (exchange.sent / once.key).touch()

    assert ask(gateway, once.key) is Outcome.LATER
    assert once.to(gateway) == (Outcome.TAKEN, "")
    assert once.package in (exchange.out / f"{once.key}.zip").read_bytes()


def test_a_folder_that_is_not_mounted_takes_nothing_and_says_nothing(tmp_path: Path) -> None:
    once = sent()
    with closing(DirectoryBackend(tmp_path)) as gateway:
        outcome, reason = once.to(gateway)
        assert (outcome, reason.partition(": ")[2]) == (Outcome.LATER, "No such file or directory")
        assert given_answers(gateway) == []
        assert ask(gateway, once.key) is Outcome.UNKNOWN
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "../" + "0" * 23, "0" * 26 + "/..", "0" * 25 + "\n", "0" * 27])
def test_nothing_but_the_key_of_a_submission_becomes_a_file_name(gateway: DirectoryBackend, key: str) -> None:
    with pytest.raises(ValueError, match="not the key"):
        ask(gateway, key)


def test_answers_are_read_by_time_and_number_and_named_for_what_they_answer(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    key = sent().key
    put_answer(exchange, "of-no-key.xml", b"3", at=3)
    put_answer(exchange, f"{key}__10__Receipt_L.xml", b"2", at=2)
    put_answer(exchange, f"{key}__9__Successed_1.xml", b"1", at=2)
    put_answer(exchange, f"{key}-0202__1__Receipt_R.xml", b"4", at=4)

    answers = given_answers(gateway)
    assert bodies(answers) == [b"1", b"2", b"3", b"4"]
    assert [(answer.key, answer.name) for answer in answers] == [
        (key, "Successed_1.xml"),
        (key, "Receipt_L.xml"),
        (None, "of-no-key.xml"),
        (f"{key}-0202", "Receipt_R.xml"),
    ]


def test_unfinished_files_folders_and_links_are_no_answers(
    exchange: Exchange, gateway: DirectoryBackend, tmp_path: Path
) -> None:
    for name in UNFINISHED:
        put_answer(exchange, name)
    (exchange.into / "folder.xml").mkdir()
    (tmp_path / "secret").write_text("of the gateway's machine")
    (exchange.into / "link.xml").symlink_to(tmp_path / "secret")
    os.mkfifo(exchange.into / "pipe.xml")

    assert given_answers(gateway) == []


def test_the_name_of_an_answer_that_is_not_utf_8_is_escaped(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    put_answer(exchange, os.fsdecode(b"\xff\n.xml"))
    (answer,) = given_answers(gateway)
    assert answer.name.encode() == b"\\u{dcff}\\u{a}.xml"
    asyncio.run(gateway.acknowledge([answer.id]))
    assert given_answers(gateway) == []


def test_no_answer_is_read_beyond_what_any_document_may_have(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    put_answer(exchange, "endless.xml")
    os.truncate(exchange.into / "endless.xml", 1 << 40)
    (answer,) = given_answers(gateway)
    assert len(answer.body) == 32 * 1024 * 1024 + 1


def test_a_new_answer_under_the_name_of_one_that_was_read_is_read_too(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    put_answer(exchange, "answer.xml", b"first")
    (first,) = given_answers(gateway)
    put_answer(exchange, "answer.xml", b"second")
    asyncio.run(gateway.acknowledge([first.id]))
    assert bodies(given_answers(gateway)) == [b"second"]


def test_an_answer_that_cannot_be_moved_is_read_once_and_does_not_stop_the_others(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    put_answer(exchange, "stuck.xml", b"1", at=1)
    put_answer(exchange, "next.xml", b"2", at=2)
    (exchange.done / "stuck.xml").mkdir(parents=True)
    answers = given_answers(gateway)
    assert bodies(answers) == [b"1", b"2"]

    asyncio.run(gateway.acknowledge([answer.id for answer in answers]))

    assert given_answers(gateway) == []
    assert (exchange.done / "next.xml").read_bytes() == b"2"
    put_answer(exchange, "stuck.xml", b"another", at=3)
    assert bodies(given_answers(gateway)) == [b"another"]


def test_customs_refuses_what_is_no_submission_and_takes_what_waits_beside_it(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    once, broken = sent(), sent()
    once.to(gateway)
    (exchange.out / f"{broken.key}.zip").write_bytes(b"no zip at all")
    (exchange.out / "letter.zip").write_bytes(b"to whom it may concern")

    assert look(exchange)
    assert sorted(file.name for file in exchange.refused.iterdir()) == sorted(
        [f"{broken.key}.txt", f"{broken.key}.zip", "letter.txt", "letter.zip"]
    )
    answers = given_answers(gateway)
    assert [answer.name for answer in answers if answer.key == broken.key] == [f"Failed_{broken.key}.xml"]
    assert len([answer for answer in answers if answer.key == once.key]) == len(CUSTOMS.answers)
    assert list(exchange.out.iterdir()) == []


def test_a_submission_that_customs_took_before_it_was_killed_has_no_second_effect(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    once = sent()
    once.to(gateway)
    assert look(exchange)
    answers = given_answers(gateway)
    (exchange.taken / f"{once.key}.zip").rename(exchange.out / f"{once.key}.zip")

    assert look(exchange)
    assert given_answers(gateway) == answers
    assert CUSTOMS.calls(exchange.folder / "customs", once.key) == ["taken"]
    assert [file.name for file in exchange.taken.iterdir()] == [f"{once.key}.zip"]


def test_customs_numbers_what_waits_in_the_order_in_which_it_came(
    exchange: Exchange, gateway: DirectoryBackend
) -> None:
    submissions = [sent(f"C-{number}") for number in range(40)]
    for age, one in enumerate(reversed(submissions)):
        one.to(gateway)
        os.utime(exchange.out / f"{one.key}.zip", (1_000_000 - age, 1_000_000 - age))

    assert look(exchange)
    with closing(sqlite3.connect(exchange.folder / "customs" / BOOK)) as book:
        numbered = book.execute("SELECT key FROM submissions ORDER BY seq_no").fetchall()
    assert numbered == [(one.key,) for one in submissions]


def test_one_folder_has_one_customs(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ServedElsewhere), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
