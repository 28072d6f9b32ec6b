"""Notifies people of alarms: always by a line in the log, and by mail and a webhook if they are
configured."""

import asyncio
import hashlib
import hmac
import json
import smtplib
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from gateway.config.monitoring import AlarmSettings, MailSettings, WebhookSettings
from gateway.model.faults import printable
from gateway.monitor.alarms import Alarm, AlarmNotice, NoticeKind

_SECONDS: Final = 20.0
_NAMED: Final = 50  # alarms named in one notification


log = structlog.get_logger()


class Notifier(Protocol):
    name: str

    async def notify(self, notice: AlarmNotice, at: datetime) -> None:
        """Returns when the receiver has accepted it; raises if it did not."""
        ...


class NotNotified(Exception):
    """The receiver did not accept it; the text is ours and safe to log."""


def notifiers(settings: AlarmSettings, home: Path) -> tuple[Notifier, ...]:
    """The log is always the first. Paths of the settings are relative to `home`."""
    active: list[Notifier] = [Log()]
    if settings.mail is not None:
        active.append(Mail(settings.mail, home))
    if settings.webhook is not None:
        active.append(Webhook(settings.webhook, home))
    return tuple(active)


class Log:
    name = "log"

    async def notify(self, notice: AlarmNotice, at: datetime) -> None:
        keys = [printable(f"{alarm.severity} {alarm.key}") for alarm in notice.alarms[:20]]
        text = printable(notice.alarms[0].en) if len(notice.alarms) == 1 else ""
        log.warning("alarm", news=notice.news.value, keys=keys, count=len(notice.alarms), text=text)


class Mail:
    name = "mail"

    def __init__(self, settings: MailSettings, home: Path) -> None:
        self._settings = settings
        self._home = home

    async def notify(self, notice: AlarmNotice, at: datetime) -> None:
        await _apart(partial(self._send, notice, at))

    def _send(self, notice: AlarmNotice, at: datetime) -> None:
        settings = self._settings
        mail = EmailMessage()
        mail["Subject"] = subject(notice)
        mail["From"] = settings.sender
        mail["To"] = ", ".join(settings.to)
        mail["Date"] = format_datetime(at)
        mail["Message-ID"] = make_msgid(domain=settings.sender.partition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n\n".join(_paragraph(alarm) for alarm in notice.alarms[:_NAMED]))
        with self._connected() as server:
            if settings.starttls and not settings.implicit_tls:
                server.starttls(context=_trusting(settings.ca, self._home))
            if settings.user is not None and settings.password_file is not None:
                server.login(settings.user, _secret(self._home / settings.password_file))
            refused = server.send_message(mail)
        if refused:  # the others have it, and would get it again with each attempt
            log.warning("addresses refused", refused=len(refused), of=len(settings.to))

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if not settings.implicit_tls:
            return smtplib.SMTP(settings.host, settings.port, timeout=_SECONDS)
        trust = _trusting(settings.ca, self._home)
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=_SECONDS, context=trust)


class Webhook:
    name = "webhook"

    def __init__(self, settings: WebhookSettings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self._verify = _trusting(settings.ca, home)

    async def notify(self, notice: AlarmNotice, at: datetime) -> None:
        import httpx  # takes as long to load as a tenth of the node: only for those who want a webhook

        body = json.dumps(shown(notice, at), ensure_ascii=False).encode()
        key = _secret(self._home / self._settings.secret_file).encode()
        signature = hmac.new(key, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Gateway-Signature": f"sha256={signature}"}
        # Only gateway.toml says where it goes, not variables of the environment.
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(verify=self._verify, timeout=_SECONDS, trust_env=False) as client,
            # Only the status is read, however long the response is.
            client.stream("POST", self._settings.url, content=body, headers=headers) as answer,
        ):
            if not answer.is_success:
                raise NotNotified(f"HTTP status {answer.status_code}")


def subject(notice: AlarmNotice) -> str:
    """One line for a list of mails."""
    if notice.news is NoticeKind.MORE:
        return f"[gateway] {len(notice.alarms)} more alarms: gateway alarms list"
    (alarm,) = notice.alarms
    word = {NoticeKind.CLEAR: "cleared: ", NoticeKind.STILL_OPEN: "still open: "}.get(notice.news, "")
    return printable(f"[gateway] {alarm.severity}: {word}{alarm.en}")


def shown(notice: AlarmNotice, at: datetime) -> dict[str, Any]:
    """The notification as JSON: the kind of event (`news`), its time, and the alarms concerned."""
    return {
        "news": notice.news.value,
        "at": at.isoformat(),
        "count": len(notice.alarms),
        "alarms": [
            {
                "id": alarm.id,
                "key": alarm.key,
                "severity": alarm.severity.value,
                "zh": alarm.zh,
                "en": alarm.en,
                "opened_at": alarm.opened_at.isoformat(),
                "cleared_at": None if alarm.cleared_at is None else alarm.cleared_at.isoformat(),
            }
            for alarm in notice.alarms[:_NAMED]
        ],
    }


def _paragraph(alarm: Alarm) -> str:
    lines: Sequence[str] = (
        alarm.zh,
        alarm.en,
        f"{alarm.severity} {alarm.key}, open since {alarm.opened_at.isoformat(timespec='seconds')}"
        + (
            "" if alarm.cleared_at is None else f", clear at {alarm.cleared_at.isoformat(timespec='seconds')}"
        ),
    )
    return "\n".join(map(printable, lines))


async def _apart(work: Callable[[], None]) -> None:
    """Runs in a thread that nobody waits for when the process ends, unlike those of `asyncio.to_thread`: a
    slow server must not delay the end of the node."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def end(error: Exception | None) -> None:
        if done.done():  # nobody waits any more
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error = None
        try:
            work()
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(end, error)

    threading.Thread(target=run, name="mail", daemon=True).start()
    await done


def _trusting(ca: str | None, home: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca is None else str(home / ca))


def _secret(path: Path) -> str:
    """Read each time, so that it can be changed."""
    return path.read_text(encoding="utf-8").strip()
