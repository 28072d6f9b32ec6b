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
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenedBackend]:
    case, folder = BACKENDS[request.param], tmp_path / "office"
    if case.broker:
        write_login(folder, request.getfixturevalue("rabbit"))
    with closing(case.open(folder)) as backend:
        yield OpenedBackend(case, backend, folder)


def test_the_same_submission_again_has_no_second_effect_and_is_counted(tried: OpenedBackend) -> None:
    once = tried.sent()

    outcomes = [once.to(tried.backend)[0] for _ in range(3)]

    assert outcomes == [Outcome.TAKEN] * 3
    assert tried.answered(given_answers(tried.backend))
    assert tried.calls(once.key) == ["taken"] * (1 if tried.case.exchange else 3)


def test_submissions_at_the_same_time_with_one_key_have_one_effect(tried: OpenedBackend) -> None:
    once = tried.sent()

    async def at_once() -> list[tuple[Outcome, str]]:
        return await asyncio.gather(
            *(
                tried.backend.submit(once.submission, lambda _sha256: io.BytesIO(once.package))
                for _ in range(8)
            )
        )

    assert {outcome for outcome, _ in asyncio.run(at_once())} == {Outcome.TAKEN}
    assert tried.answered(given_answers(tried.backend))


def test_a_back_end_says_whether_it_has_a_submission(tried: OpenedBackend) -> None:
    once = tried.sent()

    # Over a broker it may lie in a queue that the question goes past: nobody can say that customs has it not.
    assert asyncio.run(tried.backend.ask(once.key))[0] is (None if tried.case.broker else Outcome.LATER)
    once.to(tried.backend)
    assert asyncio.run(tried.backend.ask(once.key))[0] is Outcome.TAKEN


def test_answers_come_oldest_first_and_again_until_acknowledged(tried: OpenedBackend) -> None:
    for reference in ("A", "B"):
        tried.sent(reference).to(tried.backend)
    answers = given_answers(tried.backend)

    assert tried.answered(answers, 2)
    assert given_answers(tried.backend) == answers
    assert asyncio.run(tried.backend.answers(3)) == answers[:3]

    asyncio.run(tried.backend.acknowledge([answers[0].id, answers[4].id]))
    assert given_answers(tried.backend) == [*answers[1:4], *answers[5:]]
    asyncio.run(tried.backend.acknowledge([answer.id for answer in answers]))
    assert given_answers(tried.backend) == []


def test_answers_say_which_submission_they_answer(tried: OpenedBackend) -> None:
    first, second = tried.sent("A"), tried.sent("B")
    first.to(tried.backend)
    second.to(tried.backend)

    each = len(tried.case.answers)
    assert [answer.key for answer in given_answers(tried.backend)] == [first.key] * each + [second.key] * each


def test_answers_have_names_of_their_own(tried: OpenedBackend) -> None:
    for reference in ("A", "B", "FAILED-C"):
        tried.sent(reference).to(tried.backend)

    names = [answer.name for answer in given_answers(tried.backend)]
    assert len(set(names)) == len(names) > len(tried.case.answers) * 2


def test_a_taken_submission_is_found_when_the_folder_is_opened_again(tried: OpenedBackend) -> None:
    once = tried.sent()
    once.to(tried.backend)
    answers = given_answers(tried.backend)
    asyncio.run(tried.backend.acknowledge([answers[0].id]))
    tried.backend.close()

    with closing(tried.case.open(tried.folder)) as again:
        assert asyncio.run(again.ask(once.key))[0] is Outcome.TAKEN
        assert given_answers(again) == answers[1:]
        assert once.to(again)[0] is Outcome.TAKEN
        assert given_answers(again) == answers[1:]


def refused(tried: OpenedBackend, wrong: PackagedSubmission) -> str:
    """The reason, once it is certain that nothing was taken."""
    if tried.case.exchange:
        return refused_by_answer(tried, tried.folder / tried.case.exchange, wrong)
    if tried.case.broker:
        return refused_over_broker(tried, wrong)
    outcome, reason = wrong.to(tried.backend)
    assert outcome is Outcome.NEVER
    assert asyncio.run(tried.backend.ask(wrong.key))[0] is Outcome.LATER
    assert given_answers(tried.backend) == []
    assert tried.calls(wrong.key) == ["never"]
    return reason


def refused_by_answer(tried: OpenedBackend, exchange: Path, wrong: PackagedSubmission) -> str:
    """As `refused`, where the connection takes whatever it is given."""
    assert wrong.to(tried.backend) == (Outcome.TAKEN, "")
    assert asyncio.run(tried.backend.ask(wrong.key))[0] is Outcome.TAKEN
    (answer,) = given_answers(tried.backend)
    assert (answer.key, answer.name) == (wrong.key, f"Failed_{wrong.key}.xml")
    assert values(answer)["ResponseCode"] == "1"
    assert tried.calls(wrong.key) == ["never"]
    assert [file.name for file in (exchange / "refused").glob("*.zip")] == [f"{wrong.key}.zip"]
    assert not list((exchange / "taken").iterdir())
    reason = values(answer)["ErrorMessage"]
    assert (exchange / "refused" / f"{wrong.key}.txt").read_text("utf-8") == f"{reason}\n"
    return reason


def refused_over_broker(tried: OpenedBackend, wrong: PackagedSubmission) -> str:
    """As `refused_by_answer`, where customs is asked itself."""
    assert wrong.to(tried.backend) == (Outcome.TAKEN, "")
    assert asyncio.run(tried.backend.ask(wrong.key))[0] is None
    assert tried.calls(wrong.key) == ["never"]
    deadline = time.monotonic() + 10
    while not (answers := given_answers(tried.backend)):
        assert time.monotonic() < deadline
    (answer,) = answers
    assert (answer.key, answer.name) == (wrong.key, f"Failed_{wrong.key}.xml")
    assert values(answer)["ResponseCode"] == "1"
    return values(answer)["ErrorMessage"]


def test_an_envelope_that_another_signed_is_refused(tried: OpenedBackend) -> None:
    assert "certificate-unknown" in refused(tried, tried.sent(signatory=STRANGER))


def test_an_envelope_that_no_one_signed_is_refused(tried: OpenedBackend) -> None:
    signed = tried.sent()
    root = trusted(signed.submission.envelope)
    root.remove(root[-1])

    unsigned = replace(signed, submission=replace(signed.submission, envelope=etree.tostring(root)))
    assert "signature-missing" in refused(tried, unsigned)


def test_an_envelope_that_was_changed_is_refused(tried: OpenedBackend) -> None:
    signed = tried.sent()
    altered = signed.submission.envelope.replace(b">22", b">53")
    assert altered != signed.submission.envelope

    wrong = replace(signed, submission=replace(signed.submission, envelope=altered))
    assert "signature-invalid" in refused(tried, wrong)


def test_an_envelope_of_another_message_is_refused(tried: OpenedBackend) -> None:
    first, second = tried.sent("A"), tried.sent("B")
    mixed = PackagedSubmission(replace(second.submission, envelope=first.submission.envelope), first.package)
    assert refused(tried, mixed) == "the envelope belongs to another message"


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_package_with_one_other_byte_is_refused(tried: OpenedBackend, at: int) -> None:
    right = tried.sent()
    body = bytearray(right.package)
    body[at] ^= 1
    assert "报关单.zip" in refused(tried, replace(right, package=bytes(body)))


def changed(name: str, **change: Any) -> Callable[[tuple[Part, ...]], tuple[Part, ...]]:
    return lambda parts: tuple(replace(part, **change) if part.name == name else part for part in parts)


@pytest.mark.parametrize("name", ["报关单.xml", "发票.pdf"])
@pytest.mark.parametrize("change", [{"sha256": "ab" * 32}, {"size": 1}], ids=["digest", "size"])
def test_a_part_that_is_not_as_the_envelope_states_is_refused(
    tried: OpenedBackend, name: str, change: dict[str, Any]
) -> None:
    assert name in refused(tried, tried.sent(change_parts=changed(name, **change)))


def test_a_part_that_the_envelope_does_not_name_is_refused(tried: OpenedBackend) -> None:
    assert "other parts" in refused(tried, tried.sent(change_parts=lambda parts: parts[:1]))


def test_a_part_that_is_not_in_the_package_is_refused(tried: OpenedBackend) -> None:
    missing = Part(name="more.pdf", sha256="ab" * 32, size=1, pdf=Pdf())
    assert "other parts" in refused(tried, tried.sent(change_parts=lambda parts: (*parts, missing)))


def test_a_bare_document_is_taken(tried: OpenedBackend) -> None:
    bare = tried.sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True)
    assert bare.to(tried.backend) == (Outcome.TAKEN, "")


@pytest.mark.parametrize("name", ["envelope.xml", "../envelope.xml", "C:\\up.xml", "con\u202e.xml"])
def test_a_file_with_a_dangerous_name_is_taken_under_a_harmless_one(tried: OpenedBackend, name: str) -> None:
    named = tried.sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True, name=name)
    assert named.to(tried.backend)[0] is Outcome.TAKEN


def test_a_large_package_leaves_nothing_behind(tried: OpenedBackend) -> None:
    parts = {"报关单.xml": b"<DecMessage/>", "照片.pdf": b"%PDF-1.4" + bytes(range(256)) * (20 << 10)}
    assert tried.sent(parts=parts).to(tried.backend) == (Outcome.TAKEN, "")

    database = tried.case.file
    left = {file.name for file in tried.folder.iterdir()} - {tried.case.exchange}
    assert left <= {database, f"{database}-wal", f"{database}-shm"}
    assert not list(tried.folder.rglob("*.tmp"))


SUBMITTER = """
import asyncio, io, pickle, sys
from pathlib import Path
import structlog
from tests.support.amqp_backend import lodge
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
