"""A large package on its way to a back-end holds nobody up: as many go at once as the settings say."""

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event
from typing import IO, Final

import pytest

from adapters.backends.directory import DirectoryBackend
from adapters.backends.exchange import Exchange
from adapters.backends.folders import FolderBackend
from adapters.backends.sftp import SftpBackend
from gateway.config.connections import SftpBackendSettings
from gateway.model.delivery import Outcome
from tests.support.sshd import shared
from tests.support.submissions import PackagedSubmission, sent

AT_ONCE: Final = 3
WITHIN: Final = 60.0  # seconds, on a machine that is busy with other things


def over_folder(folder: Path) -> FolderBackend:
    return DirectoryBackend(folder, at_once=AT_ONCE)


def over_sftp(folder: Path) -> FolderBackend:
    server = shared()
    settings = {"kind": "sftp", **server.settings(str(folder)), "at_once": AT_ONCE}
    return SftpBackend(SftpBackendSettings.model_validate(settings), server.key, server.key.parent)


@pytest.fixture(params=[over_folder, over_sftp], ids=["directory", "sftp"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FolderBackend]:
    Exchange(tmp_path / "exchange").make()
    with closing(request.param(tmp_path / "exchange")) as backend:
        yield backend


def submitting(
    backend: FolderBackend, once: PackagedSubmission, before: Callable[[], object]
) -> "asyncio.Task[tuple[Outcome, str]]":
    """The submission on its way; `before` is called when its package is to be read."""

    def opened(sha256: str) -> IO[bytes]:
        before()
        return io.BytesIO(once.package)

    async def submit() -> tuple[Outcome, str]:
        return await backend.submit(once.submission, opened)

    return asyncio.create_task(submit())


def test_a_small_submission_is_delivered_while_a_large_one_is_in_progress(backend: FolderBackend) -> None:
    large_goes_on = Event()

    async def test() -> None:
        large, small = sent(), sent()
        under_way = submitting(backend, large, lambda: large_goes_on.wait(WITHIN))
        try:
            done = await asyncio.wait_for(submitting(backend, small, lambda: None), WITHIN)
            assert done == (Outcome.TAKEN, "")
            assert (await backend.ask(small.key))[0] is Outcome.TAKEN
            assert not under_way.done()
            assert (await backend.ask(large.key))[0] is Outcome.LATER
        finally:
            large_goes_on.set()
        assert await under_way == (Outcome.TAKEN, "")

    asyncio.run(test())


def test_as_many_submissions_as_the_settings_say_are_in_progress_together(backend: FolderBackend) -> None:
    together = Barrier(AT_ONCE)  # passed by none before all of them are there

    async def test() -> None:
        all_ = [sent() for _ in range(2 * AT_ONCE)]
        tasks = [submitting(backend, once, lambda: together.wait(WITHIN)) for once in all_]
        assert await asyncio.gather(*tasks) == [(Outcome.TAKEN, "")] * len(all_)
        for once in all_:
            assert (await backend.ask(once.key))[0] is Outcome.TAKEN

    asyncio.run(test())
