"""Answers of a back-end over HTTP, fetched from it."""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from adapters.backends.body import opened_answer
from adapters.backends.http import TROUBLE, HttpSubmissions
from gateway.config.connections import HttpBackendSettings
from gateway.model.answer import Answer
from gateway.model.faults import printable
from gateway.model.message import SUBMISSION_KEY

LONGEST_ID: Final = 200
LONGEST_NAME: Final = 255
# Room for one answer as long as any document that the gateway reads, in base64.
_LONGEST_LIST: Final = 48 * 1024 * 1024
# Brackets, braces and commas for each requested answer, far more than it can have: each may become an object
# of 64 bytes, so a list of nothing else would take 3 GB.
_MARKS: Final = 1000
_MOST: Final = 1000

log = structlog.get_logger()


class _ListedAnswer(BaseModel):
    """An answer in the list. Unknown fields are from a later version and ignored."""

    model_config = ConfigDict(strict=True)

    id: str = Field(min_length=1, max_length=LONGEST_ID)
    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    key: str | None = None
    body: str


class _Unfit(Exception):
    """The list cannot be used; the text says why."""


class PolledBackend(HttpSubmissions):
    """gateway.deliver.ports.Backend. An invalid answer is left there and does not block the others; each
    problem is logged once, since it is found again at every look."""

    def __init__(self, client: httpx.AsyncClient, settings: HttpBackendSettings, folder: Path) -> None:
        super().__init__(client, settings, folder)
        self._left = 0  # invalid answers at the last look; they count among the requested ones
        self._trouble = ""
        self.deaf = ""  # why answers cannot be fetched

    async def answers(self, limit: int) -> Sequence[Answer]:
        most = min(limit + self._left, _MOST)
        try:
            while (listed := await self._list(most)) is None:
                if most == 1:
                    raise _Unfit("the oldest answer is longer than any may be")
                most //= 2
        except (*TROUBLE, _Unfit) as error:
            self.deaf = printable(f"{type(error).__name__}: {error}")
            self._complain(self.deaf)
            return []
        self.deaf = ""
        answers = [answer for each in listed if (answer := self._answer(each)) is not None]
        self._left = len(listed) - len(answers)
        self._complain(f"{self._left} of them are unfit" if self._left else "")
        return answers[:limit]

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Raises `httpx.HTTPError` if it fails; the answers are delivered again then."""
        async with asyncio.timeout(self._settings.seconds):
            request = self._client.stream("POST", "answers/acknowledge", json={"ids": list(ids)})
            async with request as response:
                response.raise_for_status()

    async def _list(self, limit: int) -> list[Any] | None:
        """None if the answers are longer than may be read at once."""
        body = bytearray()
        async with asyncio.timeout(self._settings.seconds):
            async with self._client.stream("GET", "answers", params={"limit": limit}) as response:
                if response.status_code != 200:
                    raise _Unfit(f"HTTP {response.status_code}")
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > _LONGEST_LIST:
                        return None
        if sum(map(body.count, b"[{,")) > _MARKS * (limit + 1):
            raise _Unfit("no list of answers")
        try:
            listed = await asyncio.to_thread(from_json, bytes(body))
        except ValueError:
            raise _Unfit("no JSON") from None
        if not isinstance(listed, list):
            raise _Unfit("no list of answers")
        return listed[:limit]

    def _answer(self, listed: Any) -> Answer | None:
        try:
            each = _ListedAnswer.model_validate(listed)
            body = base64.b64decode(each.body, validate=True)
        except (ValidationError, binascii.Error, ValueError):
            return None
        key = each.key if each.key is not None and SUBMISSION_KEY.fullmatch(each.key) else None
        answer = Answer(id=each.id, name=printable(each.name), body=body, key=key)
        return opened_answer(answer, self._settings.dxp)

    def _complain(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.error("answers cannot be heard", url=printable(self._settings.url), error=trouble)
        elif self._trouble and not trouble:
            log.info("answers are heard again", url=printable(self._settings.url))
        self._trouble = trouble
