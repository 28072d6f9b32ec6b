"""Answers that are brought: by whom, how many, and when they count as kept."""

import asyncio
import io
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from adapters.backends import http_push
from adapters.backends.http import opened_client
from adapters.backends.http_push import PushedBackend, listening
from adapters.home.named_files import Renewal
from adapters.sandbox.cli.customs_serve_http import PeerTls
from adapters.sandbox.customs import serving_http
from adapters.sandbox.customs.serving_http import AnswerPusher
from gateway.config.connections import HttpBackendSettings, PushSettings
from gateway.model.answer import Answer
from tests.support.submissions import PackagedSubmission, reference_customs, sent
from tests.support.tls import IssuedCertificate, issued


def opened(one: PackagedSubmission, _sha256: str) -> IO[bytes]:
    return io.BytesIO(one.package)


class PushListener:
    """A listener with one back-end, `customs`, and certificates for those who call."""

    def __init__(self, backend: PushedBackend, url: str, pusher: IssuedCertificate, folder: Path) -> None:
        self.backend = backend
        self.url = url
        self.pusher = pusher
        self.folder = folder
        self.renewals: list[Renewal] = []

    def trust(self, own: IssuedCertificate | None) -> ssl.SSLContext:
        if own is None:
            return ssl.create_default_context(cafile=self.pusher.ca)
        tls = PeerTls(certificate=own.certificate, key=own.key, issuers=self.pusher.ca)
        return tls.context(ssl.Purpose.SERVER_AUTH)

    async def bring(
        self,
        body: bytes = b"<DEC_RESULT/>",
        own: IssuedCertificate | None = None,
        path: str = "/answers/customs",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        named = {"Answer-Id": "1", "Answer-Name": quote("回执 1.xml"), **(headers or {})}
        async with httpx.AsyncClient(verify=self.trust(own or self.pusher), trust_env=False) as client:
            response = await client.request(method, self.url + path, content=body, headers=named)
            return response.status_code

    async def keep(self, count: int) -> list[Answer]:
        """Does what a node does, until so many were acknowledged."""
        acknowledged: list[Answer] = []
        async with asyncio.timeout(20):
            while len(acknowledged) < count:
                answers = await self.backend.answers(64)
                acknowledged += answers
                await self.backend.acknowledge([answer.id for answer in answers])
                await asyncio.sleep(0.01)
        return acknowledged


@asynccontextmanager
async def push_listener(folder: Path) -> AsyncIterator[PushListener]:
    tls = folder / "tls"
    own, pusher = issued(tls, "gateway"), issued(tls, "customs")
    settings = HttpBackendSettings(
        kind="http", url="http://127.0.0.1:1", answers="push", pusher=str(pusher.certificate)
    )
    listener = PushSettings(
        host="127.0.0.1", port=0, certificate=str(own.certificate), key=str(own.key), client_ca=str(own.ca)
    )
    renewals: list[Renewal] = []
    pusher_der = load_pem_x509_certificate(pusher.certificate.read_bytes()).public_bytes(Encoding.DER)
    async with opened_client(settings, folder) as client:
        backend = PushedBackend(client, settings, folder, pusher_der)
        woken = {"customs": asyncio.Event()}
        async with listening(listener, folder, {"customs": backend}, woken, renewals) as (host, port):
            at = PushListener(backend, f"https://{host}:{port}", pusher, folder)
            at.renewals = renewals
            yield at


def test_a_pushed_answer_is_acknowledged_when_the_gateway_has_committed_it(tmp_path: Path) -> None:
    key = sent().key

    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            push = asyncio.create_task(at.bring(headers={"Submission-Key": key}))
            async with asyncio.timeout(20):
                while not (answers := await at.backend.answers(64)):
                    await asyncio.sleep(0.01)
            assert [(answer.name, answer.body, answer.key) for answer in answers] == [
                ("回执 1.xml", b"<DEC_RESULT/>", key)
            ]
            assert await at.backend.answers(64) == answers
            assert not push.done()
            await at.backend.acknowledge([answers[0].id, "of none"])
            assert await push == 204
            assert await at.backend.answers(64) == []

    asyncio.run(scene())


def test_a_pushed_answer_that_is_not_stored_in_time_is_to_be_pushed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_push, "KEPT_WITHIN", 0.05)

    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            assert await at.bring() == 503
            assert await at.backend.answers(64) == []

    asyncio.run(scene())


def test_only_the_client_that_the_settings_name_may_push(tmp_path: Path) -> None:
    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            other = issued(tmp_path / "other", "customs")  # the same name, by the same authority
            assert await at.bring(own=other) == 403
            assert await at.bring(path="/answers/another") == 403
            stranger = issued(tmp_path / "stranger", "customs", "another authority")
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await at.bring(own=stranger)
            async with httpx.AsyncClient(verify=at.trust(None), trust_env=False) as client:
                with pytest.raises((httpx.TransportError, ssl.SSLError)):
                    await client.post(f"{at.url}/answers/customs", content=b"x")
            assert await at.backend.answers(64) == []

    asyncio.run(scene())


def test_certificates_are_changed_while_it_listens_and_not_before_all_of_them_can_be_used(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            (renewal,) = at.renewals
            tls = tmp_path / "tls"
            caller = issued(tmp_path / "new", "customs", "new authority")
            own = issued(tmp_path / "new", "gateway", "new authority")
            before = at.pusher
            assert await at.bring(method="GET") == 405
            shutil.copyfile(own.certificate, tls / "gateway.crt")  # of another key than the one beside it
            with pytest.raises(ssl.SSLError):
                renewal()
            shutil.copyfile(own.key, tls / "gateway.key")
            shutil.copyfile(own.ca, tls / "authority.crt")
            take = renewal()
            at.pusher = replace(before, ca=tmp_path / "kept.crt")
            at.pusher.ca.write_bytes(issued(tmp_path / "same", "customs").ca.read_bytes())
            assert await at.bring(method="GET") == 405
            take()
            at.pusher = caller
            assert await at.bring(method="GET") == 405
            at.pusher = replace(before, ca=caller.ca)
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await at.bring(method="GET")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "POST", 404),
        ("/answers", "POST", 404),
        ("/answers/", "POST", 404),
        ("/answers/customs/", "POST", 404),
        ("/answers/customs/more", "POST", 404),
        ("/answers/customs", "GET", 405),
        ("/answers/customs", "PUT", 405),
        ("/answers/%2e%2e", "POST", 403),
    ],
)
def test_the_push_end_point_has_one_path_and_one_method(
    tmp_path: Path, path: str, method: str, status: int
) -> None:
    async def scene() -> int:
        async with push_listener(tmp_path) as at:
            return await at.bring(path=path, method=method)

    assert asyncio.run(scene()) == status


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Answer-Id": ""}, b"x", 400),
        ({"Answer-Id": "1" * 201}, b"x", 400),
        ({"Answer-Name": ""}, b"x", 400),
        ({"Answer-Name": "n" * 256}, b"x", 400),
        ({}, b"", 400),
        ({}, b"x" * 101, 413),
    ],
)
def test_an_answer_that_is_unfit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], body: bytes, status: int
) -> None:
    async def scene() -> int:
        async with push_listener(tmp_path) as at:
            return await at.bring(body, headers=headers)

    monkeypatch.setattr(http_push, "LONGEST", 100)
    assert asyncio.run(scene()) == status


def test_no_more_pushed_answers_wait_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_push, "_ROOM", 100)

    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            first = asyncio.create_task(at.bring(b"x" * 60))
            async with asyncio.timeout(20):
                while not await at.backend.answers(64):
                    await asyncio.sleep(0.01)
            assert await at.bring(b"x" * 60) == 503
            await at.keep(1)
            assert await first == 204
            second = asyncio.create_task(at.bring(b"x" * 60))
            await at.keep(1)
            assert await second == 204

    asyncio.run(scene())


def test_customs_pushes_its_answers_until_they_are_acknowledged(tmp_path: Path) -> None:
    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            stop = asyncio.Event()
            with closing(reference_customs(tmp_path / "customs")) as customs:
                keys = []
                for reference in ("A", "B"):
                    one = sent(reference)
                    await customs.submit(one.submission, partial(opened, one))
                    keys.append(one.key)
                answer_pusher = AnswerPusher(customs, f"{at.url}/answers/customs", at.trust(at.pusher), None)
                work = asyncio.create_task(answer_pusher.run(stop))
                acknowledged = await at.keep(10)
                async with asyncio.timeout(20):
                    while await customs.answers(64):
                        await asyncio.sleep(0.01)
                stop.set()
                await work
            for key in keys:
                names = [answer.name.partition("_")[0] for answer in acknowledged if answer.key == key]
                assert names == ["Successed", "Receipt", "Receipt", "Receipt", "Receipt"]

    asyncio.run(scene())


def test_customs_pushes_an_answer_as_soon_as_a_submission_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_http, "_IDLE", 3600.0)

    async def scene() -> None:
        async with push_listener(tmp_path) as at:
            with closing(reference_customs(tmp_path / "customs")) as customs:
                answer_pusher = AnswerPusher(customs, f"{at.url}/answers/customs", at.trust(at.pusher), None)
                work = asyncio.create_task(answer_pusher.run(asyncio.Event()))
                for reference in ("A", "B"):
                    await sent(reference).given_to(customs)
                    await at.keep(5)
                work.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await work

    asyncio.run(scene())
