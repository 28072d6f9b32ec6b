"""The contract of `ports.Backend`, for each implementation of it."""

import asyncio
import io
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway.formats.xml import trusted
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.message import Part, Pdf
from tests.support.amqp_backend import write_login
from tests.support.submissions import (
    BACKENDS,
    GATEWAY,
    STRANGER,
    BackendCase,
    ClosableBackend,
    PackagedSubmission,
    given_answers,
    values,
)


@dataclass(frozen=True, slots=True)
class OpenedBackend:
    case: BackendCase
    backend: ClosableBackend
    folder: Path

    def sent(self, *arguments: Any, **options: Any) -> PackagedSubmission:
        return self.case.send(*arguments, **options)

    def calls(self, key: str) -> list[str]:
        return self.case.calls(self.folder, key)

    def answered(self, answers: Sequence[Answer], submissions: int = 1) -> bool:
        """Whether these are the answers to so many sound submissions, one after the other."""
        usual = self.case.answers * submissions
        return len(answers) == len(usual) and all(
            answer.name.startswith(name) for answer, name in zip(answers, usual, strict=True)
        )


@pytest.fixture(params=BACKENDS)
def opened_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenedBackend]:
    case, folder = BACKENDS[request.param], tmp_path / "office"
    if case.broker:
        write_login(folder, request.getfixturevalue("rabbit"))
    with closing(case.open(folder)) as backend:
        yield OpenedBackend(case, backend, folder)


def test_the_same_submission_again_has_no_second_effect_and_is_counted(opened_backend: OpenedBackend) -> None:
    once = opened_backend.sent()

    outcomes = [once.to(opened_backend.backend)[0] for _ in range(3)]

    assert outcomes == [Outcome.TAKEN] * 3
    assert opened_backend.answered(given_answers(opened_backend.backend))
    assert opened_backend.calls(once.key) == ["taken"] * (1 if opened_backend.case.exchange else 3)


def test_submissions_at_the_same_time_with_one_key_have_one_effect(opened_backend: OpenedBackend) -> None:
    once = opened_backend.sent()

    async def at_once() -> list[tuple[Outcome, str]]:
        return await asyncio.gather(
            *(
                opened_backend.backend.submit(once.submission, lambda _sha256: io.BytesIO(once.package))
                for _ in range(8)
            )
        )

    assert {outcome for outcome, _ in asyncio.run(at_once())} == {Outcome.TAKEN}
    assert opened_backend.answered(given_answers(opened_backend.backend))


def test_a_back_end_says_whether_it_has_a_submission(opened_backend: OpenedBackend) -> None:
    once = opened_backend.sent()

    # Over a broker it may lie in a queue that the question goes past: nobody can say that customs has it not.
    assert asyncio.run(opened_backend.backend.ask(once.key))[0] is (
        None if opened_backend.case.broker else Outcome.LATER
    )
    once.to(opened_backend.backend)
    assert asyncio.run(opened_backend.backend.ask(once.key))[0] is Outcome.TAKEN


def test_answers_come_oldest_first_and_again_until_acknowledged(opened_backend: OpenedBackend) -> None:
    for reference in ("A", "B"):
        opened_backend.sent(reference).to(opened_backend.backend)
    answers = given_answers(opened_backend.backend)

    assert opened_backend.answered(answers, 2)
    assert given_answers(opened_backend.backend) == answers
    assert asyncio.run(opened_backend.backend.answers(3)) == answers[:3]

    asyncio.run(opened_backend.backend.acknowledge([answers[0].id, answers[4].id]))
    assert given_answers(opened_backend.backend) == [*answers[1:4], *answers[5:]]
    asyncio.run(opened_backend.backend.acknowledge([answer.id for answer in answers]))
    assert given_answers(opened_backend.backend) == []


def test_answers_say_which_submission_they_answer(opened_backend: OpenedBackend) -> None:
    first, second = opened_backend.sent("A"), opened_backend.sent("B")
    first.to(opened_backend.backend)
    second.to(opened_backend.backend)

    each = len(opened_backend.case.answers)
    assert [answer.key for answer in given_answers(opened_backend.backend)] == [first.key] * each + [
        second.key
    ] * each


def test_answers_have_names_of_their_own(opened_backend: OpenedBackend) -> None:
    for reference in ("A", "B", "FAILED-C"):
        opened_backend.sent(reference).to(opened_backend.backend)

    names = [answer.name for answer in given_answers(opened_backend.backend)]
    assert len(set(names)) == len(names) > len(opened_backend.case.answers) * 2


def test_a_taken_submission_is_found_when_the_folder_is_opened_again(opened_backend: OpenedBackend) -> None:
    once = opened_backend.sent()
    once.to(opened_backend.backend)
    answers = given_answers(opened_backend.backend)
    asyncio.run(opened_backend.backend.acknowledge([answers[0].id]))
    opened_backend.backend.close()

    with closing(opened_backend.case.open(opened_backend.folder)) as again:
        assert asyncio.run(again.ask(once.key))[0] is Outcome.TAKEN
        assert given_answers(again) == answers[1:]
        assert once.to(again)[0] is Outcome.TAKEN
        assert given_answers(again) == answers[1:]


def refused(opened_backend: OpenedBackend, wrong: PackagedSubmission) -> str:
    """The reason, once it is certain that nothing was taken."""
    if opened_backend.case.exchange:
        return refused_by_answer(opened_backend, opened_backend.folder / opened_backend.case.exchange, wrong)
    if opened_backend.case.broker:
        return refused_over_broker(opened_backend, wrong)
    outcome, reason = wrong.to(opened_backend.backend)
    assert outcome is Outcome.NEVER
    assert asyncio.run(opened_backend.backend.ask(wrong.key))[0] is Outcome.LATER
    assert given_answers(opened_backend.backend) == []
    assert opened_backend.calls(wrong.key) == ["never"]
    return reason


def refused_by_answer(opened_backend: OpenedBackend, exchange: Path, wrong: PackagedSubmission) -> str:
    """As `refused`, where the connection takes whatever it is given."""
    assert wrong.to(opened_backend.backend) == (Outcome.TAKEN, "")
    assert asyncio.run(opened_backend.backend.ask(wrong.key))[0] is Outcome.TAKEN
    (answer,) = given_answers(opened_backend.backend)
    assert (answer.key, answer.name) == (wrong.key, f"Failed_{wrong.key}.xml")
    assert values(answer)["ResponseCode"] == "1"
    assert opened_backend.calls(wrong.key) == ["never"]
    assert [file.name for file in (exchange / "refused").glob("*.zip")] == [f"{wrong.key}.zip"]
    assert not list((exchange / "taken").iterdir())
    reason = values(answer)["ErrorMessage"]
    assert (exchange / "refused" / f"{wrong.key}.txt").read_text("utf-8") == f"{reason}\n"
    return reason


def refused_over_broker(opened_backend: OpenedBackend, wrong: PackagedSubmission) -> str:
    """As `refused_by_answer`, where customs is asked itself."""
    assert wrong.to(opened_backend.backend) == (Outcome.TAKEN, "")
    assert asyncio.run(opened_backend.backend.ask(wrong.key))[0] is None
    assert opened_backend.calls(wrong.key) == ["never"]
    deadline = time.monotonic() + 10
    while not (answers := given_answers(opened_backend.backend)):
        assert time.monotonic() < deadline
    (answer,) = answers
    assert (answer.key, answer.name) == (wrong.key, f"Failed_{wrong.key}.xml")
    assert values(answer)["ResponseCode"] == "1"
    return values(answer)["ErrorMessage"]


def test_an_envelope_that_another_signed_is_refused(opened_backend: OpenedBackend) -> None:
    assert "certificate-unknown" in refused(opened_backend, opened_backend.sent(signatory=STRANGER))


def test_an_envelope_that_no_one_signed_is_refused(opened_backend: OpenedBackend) -> None:
    signed = opened_backend.sent()
    root = trusted(signed.submission.envelope)
    root.remove(root[-1])

    unsigned = replace(signed, submission=replace(signed.submission, envelope=etree.tostring(root)))
    assert "signature-missing" in refused(opened_backend, unsigned)


def test_an_envelope_that_was_changed_is_refused(opened_backend: OpenedBackend) -> None:
    signed = opened_backend.sent()
    altered = signed.submission.envelope.replace(b">22", b">53")
    assert altered != signed.submission.envelope

    wrong = replace(signed, submission=replace(signed.submission, envelope=altered))
    assert "signature-invalid" in refused(opened_backend, wrong)


def test_an_envelope_of_another_message_is_refused(opened_backend: OpenedBackend) -> None:
    first, second = opened_backend.sent("A"), opened_backend.sent("B")
    mixed = PackagedSubmission(replace(second.submission, envelope=first.submission.envelope), first.package)
    assert refused(opened_backend, mixed) == "the envelope belongs to another message"


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_package_with_one_other_byte_is_refused(opened_backend: OpenedBackend, at: int) -> None:
    right = opened_backend.sent()
    body = bytearray(right.package)
    body[at] ^= 1
    assert "报关单.zip" in refused(opened_backend, replace(right, package=bytes(body)))


def changed(name: str, **change: Any) -> Callable[[tuple[Part, ...]], tuple[Part, ...]]:
    return lambda parts: tuple(replace(part, **change) if part.name == name else part for part in parts)


@pytest.mark.parametrize("name", ["报关单.xml", "发票.pdf"])
@pytest.mark.parametrize("change", [{"sha256": "ab" * 32}, {"size": 1}], ids=["digest", "size"])
def test_a_part_that_is_not_as_the_envelope_states_is_refused(
    opened_backend: OpenedBackend, name: str, change: dict[str, Any]
) -> None:
    assert name in refused(opened_backend, opened_backend.sent(change_parts=changed(name, **change)))


def test_a_part_that_the_envelope_does_not_name_is_refused(opened_backend: OpenedBackend) -> None:
    assert "other parts" in refused(opened_backend, opened_backend.sent(change_parts=lambda parts: parts[:1]))


def test_a_part_that_is_not_in_the_package_is_refused(opened_backend: OpenedBackend) -> None:
    missing = Part(name="more.pdf", sha256="ab" * 32, size=1, pdf=Pdf())
    assert "other parts" in refused(
        opened_backend, opened_backend.sent(change_parts=lambda parts: (*parts, missing))
    )


def test_a_bare_document_is_taken(opened_backend: OpenedBackend) -> None:
    bare = opened_backend.sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True)
    assert bare.to(opened_backend.backend) == (Outcome.TAKEN, "")


@pytest.mark.parametrize("name", ["envelope.xml", "../envelope.xml", "C:\\up.xml", "con\u202e.xml"])
def test_a_file_with_a_dangerous_name_is_taken_under_a_harmless_one(
    opened_backend: OpenedBackend, name: str
) -> None:
    named = opened_backend.sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True, name=name)
    assert named.to(opened_backend.backend)[0] is Outcome.TAKEN


def test_a_large_package_leaves_nothing_behind(opened_backend: OpenedBackend) -> None:
    parts = {"报关单.xml": b"<DecMessage/>", "照片.pdf": b"%PDF-1.4" + bytes(range(256)) * (20 << 10)}
    assert opened_backend.sent(parts=parts).to(opened_backend.backend) == (Outcome.TAKEN, "")

    database = opened_backend.case.file
    left = {file.name for file in opened_backend.folder.iterdir()} - {opened_backend.case.exchange}
    assert left <= {database, f"{database}-wal", f"{database}-shm"}
    assert not list(opened_backend.folder.rglob("*.tmp"))


SUBMITTER = """
import asyncio, io, pickle, sys
from pathlib import Path
import structlog
from tests.support.amqp_backend import write_login
from tests.support.submissions import BACKENDS

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
work = pickle.loads(sys.stdin.buffer.read())
backend = BACKENDS[sys.argv[1]].open(Path(sys.argv[2]), work["certificate"])
for submission, package in work["sent"]:
    outcome, reason = asyncio.run(backend.submit(submission, lambda _: io.BytesIO(package)))
    print(submission.key, outcome, flush=True)
"""


@pytest.mark.parametrize("name", BACKENDS)
def test_a_submission_that_a_back_end_acknowledged_survives_its_being_killed(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    case = BACKENDS[name]
    if case.broker:
        write_login(tmp_path, request.getfixturevalue("rabbit"))
    work = [case.send(f"C-{number}") for number in range(60)]
    child = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, name, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        pairs = [(one.submission, one.package) for one in work]
        child.stdin.write(pickle.dumps({"certificate": GATEWAY.certificate_pem, "sent": pairs}))
        child.stdin.close()
        lines = [child.stdout.readline().split() for _ in range(10)]
        child.kill()
        lines += [line.split() for line in child.stdout]

    with closing(case.open(tmp_path)) as again:
        for key, outcome in lines:
            assert outcome == b"taken"
            assert asyncio.run(again.ask(key.decode()))[0] is Outcome.TAKEN
        for one in work:
            assert one.to(again)[0] is Outcome.TAKEN
        # Over a broker, one that was killed before it noted what it had said says it again.
        answers = list({(answer.key, answer.name): answer for answer in given_answers(again)}.values())
        assert OpenedBackend(case, again, tmp_path).answered(answers, len(work))
        assert {answer.key for answer in answers} == {one.key for one in work}
        numbers = {number for answer in answers if (number := case.number_in(answer))}
        assert len(numbers) == len(work)
