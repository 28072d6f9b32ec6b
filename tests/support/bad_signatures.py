"""Signed documents with one defect each, and the fault that each must be refused as.

Run as a script it writes `tests/messages/signatures/` anew: keys are made for it and forgotten, the
certificates stay beside the documents.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from gateway.model.faults import Fault
from tests.support.bad_messages import base
from tests.support.keys import Identity, identity
from tests.support.xml_signatures import Habit

FOLDER: Final = Path(__file__).parents[1] / "messages" / "signatures"
REGISTERED: Final = ("signer", "expired", "future")

_SIGNATURE: Final = re.compile(r"<ds:Signature .*</ds:Signature>", re.DOTALL)


@cache
def _signers() -> dict[str, Identity]:
    ended = datetime(2025, 12, 31, tzinfo=UTC)
    begins = datetime(2030, 1, 1, tzinfo=UTC)
    return {
        "signer": identity("rsa-2048", "broker-aa"),
        "expired": identity("rsa-2048", "broker-aa", ends=ended),
        "future": identity("rsa-2048", "broker-aa", begins=begins),
        "stranger": identity("rsa-2048", "stranger"),
    }


def _signed(signer: str = "signer", habit: Habit | None = None) -> str:
    document = base().partition("?>\n")[2]
    template = document.replace("</DecMessage>", "{signature}</DecMessage>")
    return (habit or Habit()).sign(template, _signers()[signer]).decode()


def _around(signed: str) -> str:
    """The signed document as the content of its own signature, around another declaration."""
    signature = _SIGNATURE.findall(signed)[0]
    inner = signed.partition("?>\n")[2].replace(signature, "")
    wrapping = signature.replace("</ds:Signature>", f"<ds:Object>{inner}</ds:Object></ds:Signature>")
    return signed.replace(signature, wrapping).replace("<GrossWet>108<", "<GrossWet>109<", 1)


def _broken_value(signed: str) -> str:
    value = re.search(r"<ds:SignatureValue>\s*(.)", signed)
    assert value is not None
    other = "A" if value[1] != "A" else "B"
    return signed[: value.end() - 1] + other + signed[value.end() :]


@dataclass(frozen=True, slots=True)
class Case:
    defect: str
    make: Callable[[], str]
    fault: Fault


CASES: Final[dict[str, Case]] = {
    "content-changed": Case(
        "a weight changed after signing",
        lambda: _signed().replace("<GrossWet>108<", "<GrossWet>109<"),
        Fault.SIGNATURE_INVALID,
    ),
    "content-changed-in-white-space": Case(
        "a blank added after signing",
        lambda: _signed().replace("<GrossWet>108<", "<GrossWet>108 <"),
        Fault.SIGNATURE_INVALID,
    ),
    "value-changed": Case("another value", lambda: _broken_value(_signed()), Fault.SIGNATURE_INVALID),
    "signature-twice": Case(
        "the signature twice",
        lambda: _SIGNATURE.sub(lambda match: match[0] * 2, _signed()),
        Fault.SIGNATURE_FORM,
    ),
    "wrapped-in-object": Case(
        "the signed document inside the signature, around another one",
        lambda: _around(_signed()),
        Fault.SIGNATURE_FORM,
    ),
    "wrapped-by-id": Case(
        "a reference to the signed part only",
        lambda: _signed().replace('URI=""', 'URI="#signed"'),
        Fault.SIGNATURE_FORM,
    ),
    "sha-1": Case(
        "RSA with SHA-1", lambda: _signed(habit=Habit(signing="rsa-sha1")), Fault.SIGNATURE_ALGORITHM
    ),
    "digest-sha-1": Case(
        "a SHA-1 digest", lambda: _signed(habit=Habit(digest="sha1")), Fault.SIGNATURE_ALGORITHM
    ),
    "certificate-expired": Case(
        "by a certificate that has ended", lambda: _signed("expired"), Fault.CERTIFICATE_EXPIRED
    ),
    "certificate-future": Case(
        "by a certificate that has not begun", lambda: _signed("future"), Fault.CERTIFICATE_EXPIRED
    ),
    "certificate-unknown": Case(
        "by a certificate that is not registered", lambda: _signed("stranger"), Fault.CERTIFICATE_UNKNOWN
    ),
}


def write() -> None:
    (FOLDER / "sound.xml").write_text(_signed(), "utf-8")
    for name in REGISTERED:
        (FOLDER / f"{name}.crt").write_text(_signers()[name].certificate_pem)
    rows = []
    for name, case in CASES.items():
        (FOLDER / f"{name}.xml").write_text(case.make(), "utf-8")
        rows.append(f"| `{name}.xml` | {case.defect} | `{case.fault.code}` |\n")
    head = (
        "# Bad signatures\n\nMade by `python -m tests.support.bad_signatures`, each time with new keys.\n"
        "`sound.xml` has no defect; the certificates are those that its sender has registered.\n\n"
        "| file | defect | refused as |\n|---|---|---|\n"
    )
    (FOLDER / "README.md").write_text(head + "".join(rows), "utf-8")


if __name__ == "__main__":
    write()
