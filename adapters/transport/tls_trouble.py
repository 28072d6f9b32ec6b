"""Recognises TLS errors that are about a certificate, and describes them in the same words for every kind of
connection."""

import ssl
from collections.abc import Iterator
from typing import Final

from gateway.model.faults import printable

THEIRS: Final = "its certificate is not accepted"
OURS: Final = "it does not accept our certificate"
# Parts of OpenSSL's names of the alerts with which a server refuses a certificate (RFC 8446, section 6.2).
_TURNED_DOWN: Final = ("CERT", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")


def certificate_trouble(error: BaseException) -> str:
    """Why one side does not accept the other's certificate; empty where the error has another cause."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return printable(f"{THEIRS}: {cause.verify_message}")
        alert = cause.reason or "" if isinstance(cause, ssl.SSLError) else ""
        if "ALERT" in alert and any(word in alert for word in _TURNED_DOWN):
            return printable(f"{OURS}: {alert}")
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    # A library that raises the same error again in another task can make the chain of causes a ring.
    seen, pending = set[int](), [error]
    while pending:
        cause = pending.pop()
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [each for each in (cause.__context__, cause.__cause__) if each is not None]
