"""The sections of `gateway.toml` that describe connections, to the gateway and from it.

Paths of keys and certificates are relative to the home. A connection to another machine is encrypted and both
ends are authenticated; plain connections are only allowed within the machine.
"""

from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

_MEGABYTE: Final = 1024 * 1024


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def is_loopback(host: str) -> bool:
    """Whether an address is a loopback address or `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BrokerSettings(Section):
    """A log-in at a RabbitMQ broker. With `ca` the connection uses TLS, with `certificate` and `key` mutual
    TLS."""

    host: str = Field("127.0.0.1", min_length=1, description="address of the RabbitMQ broker")
    port: int = Field(5672, ge=1, le=65535, description="its port; 5671 is usual for TLS")
    vhost: str = Field("/", description="virtual host")
    user: str = Field(min_length=1, description="log-in of the gateway")
    password_file: str = Field(min_length=1, description="file with its password and nothing else")
    ca: str | None = Field(None, min_length=1, description="issuers (PEM) of the broker's certificate")
    certificate: str | None = Field(None, min_length=1, description="our certificate (PEM), for mutual TLS")
    key: str | None = Field(None, min_length=1, description="the key of that certificate (PEM)")
    largest: int = Field(
        16 * _MEGABYTE,
        ge=1024,
        le=512 * _MEGABYTE,
        description="most bytes of one message; not above the broker's limit",
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        _both_or_neither(self.certificate, self.key)
        if self.ca is None and (self.certificate is not None or not is_loopback(self.host)):
            raise ValueError("a broker on another machine is reached over TLS: name its ca")
        return self


class AmqpSettings(BrokerSettings):
    """The AMQP channel: declarations in over exchange `gateway.in`, receipts out over `gateway.receipts`."""

    prefetch: int = Field(64, ge=1, le=1000, description="messages in progress at once, not yet acknowledged")
    delivery_limit: int = Field(
        5, ge=1, le=100, description="redeliveries of a message before it goes to gateway.dead"
    )


class DxpSettings(Section):
    """The envelope of the data exchange platform around submissions (docs/http-backend.md)."""

    sender: str = Field(min_length=1, max_length=16, description="SenderId, as DXPENT0000000001")
    receiver: str = Field(min_length=1, max_length=16, description="ReceiverId, as DXPEDCDEC0000001")
    message_type: str = Field("DECMSG", max_length=30, description="MsgType")


class _Backend(Section):
    at_once: int = Field(
        8, ge=1, le=64, description="submissions sent at the same time; by SFTP each with its own log-in"
    )
    rate: float = Field(0, ge=0, le=10_000, description="most submissions a second; 0 sets no limit")


class _Connection(_Backend):
    dxp: DxpSettings | None = Field(
        None, description="sender, receiver (and message_type) of the DXP envelope around submissions"
    )


class ReferenceSettings(_Backend):
    kind: Literal["reference"] = Field(description="the customs sandbox that is shipped, inside the node")


class DirectorySettings(_Connection):
    kind: Literal["directory"] = Field(description="submissions and answers as files in a folder")
    folder: str = Field(min_length=1, description="that folder; a relative one is below the home")


class AmqpBackendSettings(_Connection, BrokerSettings):
    kind: Literal["amqp"] = Field(description="submissions and answers over a RabbitMQ broker")
    at_once: int = Field(
        64, ge=1, le=500, description="submissions not yet confirmed by the broker; with at most 8 log-ins"
    )
    submissions: str = Field("customs.in", min_length=1, description="queue that takes submissions")
    answers: str = Field("customs.answers", min_length=1, description="queue that holds answers")
    questions: str | None = Field(
        None,
        min_length=1,
        description="queue for questions whether customs has a submission, if there is one",
    )


class RemoteFolders(Section):
    """A log-in at another party's SFTP server, whose host key is configured."""

    host: str = Field(min_length=1, description="address of the SFTP server")
    port: int = Field(22, ge=1, le=65535, description="its port")
    user: str = Field(min_length=1, description="log-in of the gateway there")
    key: str = Field(min_length=1, description="private key of that log-in (OpenSSH)")
    host_key: str = Field(
        pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp256|ecdsa-sha2-nistp384|ecdsa-sha2-nistp521|ssh-rsa) \S+$",
        description="the server's public key, as in known_hosts: its type and its base64",
    )
    folder: str = Field(".", min_length=1, description="folder on that server")


class SftpBackendSettings(_Connection, RemoteFolders):
    kind: Literal["sftp"] = Field(description="submissions and answers as files on an SFTP server")


class HttpBackendSettings(_Connection):
    kind: Literal["http"] = Field(description="submissions and answers over HTTPS")
    url: str = Field(description="base URL of its resources; https, or http on this machine")
    ca: str | None = Field(None, min_length=1, description="issuers (PEM) of the server's certificate")
    certificate: str | None = Field(None, min_length=1, description="our certificate (PEM), for mutual TLS")
    key: str | None = Field(None, min_length=1, description="the key of that certificate (PEM)")
    seconds: float = Field(
        30,
        gt=0,
        le=600,
        description="seconds for one exchange, in addition to the time for its body at 1 Mbit/s",
    )
    answers: Literal["poll", "push"] = Field(
        "poll", description="answers are fetched (poll) or pushed (push)"
    )
    pusher: str | None = Field(
        None, min_length=1, description="certificate (PEM) of the client that pushes answers"
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        _both_or_neither(self.certificate, self.key)
        url = urlsplit(self.url)
        # The URL is written to logs, and a password or query in it would be too.
        more = url.username is not None or url.query or url.fragment
        if url.scheme not in ("https", "http") or not url.hostname or more or url.port == 0:
            raise ValueError("url must be https://host[:port][/path]")
        if url.scheme == "http" and not is_loopback(url.hostname):
            raise ValueError("another machine is reached over https")
        if (self.answers == "push") != (self.pusher is not None):
            raise ValueError("pusher is named where answers are pushed, and only there")
        return self


class AssociationSettings(_Backend):
    """The key is the association's own: its notices pass through the gateway as messages of its account, and
    are verified with the certificate that is registered for it."""

    kind: Literal["association"] = Field(description="the brokers' association that is shipped, for trials")
    account: str = Field(min_length=1, description="the account whose messages its notices count as")
    key: str | None = Field(
        None,
        min_length=1,
        description="the key that it signs with; a relative path is below the home, and the default is "
        "clients/<account>/sign.key",
    )
    certificate: str | None = Field(
        None, min_length=1, description="the certificate of that key; likewise, clients/<account>/sign.crt"
    )


# Distinguished by `kind`, so that a key of one kind is an unknown key in another.
BackendSettings = Annotated[
    ReferenceSettings
    | DirectorySettings
    | AmqpBackendSettings
    | SftpBackendSettings
    | HttpBackendSettings
    | AssociationSettings,
    Field(discriminator="kind"),
]


class _Partner(Section):
    account: str = Field(min_length=1, description="the account whose messages these are")
    seconds: float = Field(5, ge=0.1, le=3600, description="seconds between two looks into its OutBox")


class SftpPartner(_Partner, RemoteFolders):
    kind: Literal["sftp"] = Field(description="the four folders on the party's own SFTP server")


class DirectoryPartner(_Partner):
    kind: Literal["directory"] = Field(description="the four folders in a folder of this machine")
    folder: str = Field(min_length=1, description="that folder; a relative one is below the home")


PartnerSettings = Annotated[SftpPartner | DirectoryPartner, Field(discriminator="kind")]


class PushSettings(Section):
    """The listener for answers that back-ends push. It uses TLS and demands a client certificate."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8443, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    certificate: str = Field(min_length=1, description="our certificate (PEM)")
    key: str = Field(min_length=1, description="the key of that certificate (PEM)")
    client_ca: str = Field(min_length=1, description="certificates (PEM) that the callers' are issued by")


def _both_or_neither(certificate: str | None, key: str | None) -> None:
    if (certificate is None) != (key is None):
        raise ValueError("certificate and key are given together")
