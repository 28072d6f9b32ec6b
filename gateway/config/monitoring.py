"""The sections of `gateway.toml` on metrics, alarms and traces."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from gateway.config.connections import Section, is_loopback

Minutes = Annotated[float, Field(ge=0)]


class MetricsSettings(Section):
    """The listener for `/metrics`, `/healthz` and `/readyz`. It shows figures, no messages, and has no
    authentication: let only the monitoring reach it."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(9464, ge=0, le=65535, description="port to listen on; 0 takes a free one")


class MailSettings(Section):
    host: str = Field(min_length=1, description="the mail server")
    port: int = Field(587, ge=1, le=65535, description="its port for submission")
    tls: bool | None = Field(
        None, description="TLS from the first byte instead of STARTTLS; by default only on port 465"
    )
    starttls: bool = Field(True, description="encrypt with STARTTLS; may be false on this machine only")
    ca: str | None = Field(
        None, min_length=1, description="issuers (PEM) of its certificate; by default the system's"
    )
    user: str | None = Field(None, min_length=1, description="log-in there, where it asks for one")
    password_file: str | None = Field(None, min_length=1, description="file with its password, nothing else")
    sender: str = Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$", description="address that alarms come from")
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$")], ...] = Field(
        min_length=1, description="addresses that alarms go to"
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if not self.starttls and not self.implicit_tls and not is_loopback(self.host):
            raise ValueError("a mail server on another machine is spoken to over TLS")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file are given together")
        return self

    @property
    def implicit_tls(self) -> bool:
        """Whether TLS begins with the first byte; by default on port 465 (RFC 8314, section 3.3)."""
        return self.port == 465 if self.tls is None else self.tls


def _safe(url: str) -> None:
    address = urlsplit(url)
    more = address.username is not None or address.port == 0
    if address.scheme not in ("https", "http") or not address.hostname or more:
        raise ValueError("an address must be https://host[:port][/path]")
    if address.scheme == "http" and not is_loopback(address.hostname):
        raise ValueError("another machine is reached over https")


class WebhookSettings(Section):
    """Each notice is a POST of JSON with its HMAC-SHA256 (hex) in the header `Gateway-Signature`."""

    url: str = Field(description="where alarms are posted; https, or http on this machine")
    secret_file: str = Field(min_length=1, description="file with the key of the signature, nothing else")
    ca: str | None = Field(
        None, min_length=1, description="issuers (PEM) of its certificate; by default the system's"
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        _safe(self.url)
        return self


class AlarmSettings(Section):
    """When an alarm opens, and how notices of it are sent. The default thresholds are our choice (November
    2026)."""

    seconds: float = Field(10, ge=0.1, le=3600, description="seconds between two checks")
    quiet_minutes: Minutes = Field(
        5, description="an alarm clears after its condition was absent for so long"
    )
    hourly: int = Field(20, ge=1, le=1000, description="notices an hour at most; one more sums up the rest")
    remind_hours: float = Field(24, ge=1, description="hours after which an open alarm is reported again")
    breaker_minutes: Minutes = Field(1, description="a back-end's breaker is open for longer")
    paused_minutes: Minutes = Field(60, description="a back-end is paused for longer")
    to_judge_minutes: Minutes = Field(5, description="the oldest message to judge is older")
    to_send_minutes: Minutes = Field(15, description="the oldest delivery to a back-end is older")
    unknown_minutes: Minutes = Field(10, description="the outcome of a delivery is unknown for longer")
    to_post_minutes: Minutes = Field(15, description="the oldest receipt to deliver to an account is older")
    amqp_minutes: Minutes = Field(1, description="the AMQP broker is out of reach for longer")
    answers_minutes: Minutes = Field(5, description="the answers of a back-end cannot be fetched for longer")
    partner_minutes: Minutes = Field(15, description="the folders of a partner cannot be visited for longer")
    certificate_days: tuple[int, int, int, int] = Field(
        (90, 30, 7, 1), description="days that a certificate has left: notice, warning, serious, critical"
    )
    disk_percent: tuple[float, float] = Field(
        (10, 5), description="percent of the disk that is free: warning, critical"
    )
    mail: MailSettings | None = Field(None, description="notices by mail; section [alarms.mail]")
    webhook: WebhookSettings | None = Field(None, description="notices by HTTP; section [alarms.webhook]")

    @model_validator(mode="after")
    def _falls(self) -> Self:
        for steps in (self.certificate_days, self.disk_percent):
            if list(steps) != sorted(steps, reverse=True):
                raise ValueError("certificate_days and disk_percent fall from step to step")
        return self


class TracingSettings(Section):
    """Needs the extra `tracing` (OpenTelemetry)."""

    endpoint: str = Field(
        description="where spans are posted by OTLP/HTTP, as http://127.0.0.1:4318/v1/traces"
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        _safe(self.endpoint)
        return self
