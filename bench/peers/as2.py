"""Run by the peers' own Python: builds signed AS2 messages, and answers them with `pyas2lib` in a loop.

`as2.py build FOLDER` makes of each file in FOLDER/documents a signed message in FOLDER/messages;
`as2.py answer FOLDER SECONDS` verifies them over and over, makes a signed receipt (MDN) for each, and prints
the rate as JSON. FOLDER/keys holds the sender's and the receiver's keys.
"""

import json
import sys
import time
from itertools import cycle
from pathlib import Path

from pyas2lib import Message, Organization, Partner

SENDER, RECEIVER = "broker", "gateway"


def build(folder: Path) -> None:
    sender = Organization(as2_name=SENDER, sign_key=pair(folder, SENDER), sign_key_pass="")
    receiver = Partner(
        as2_name=RECEIVER,
        verify_cert=certificate(folder, RECEIVER),
        sign=True,
        mdn_mode="SYNC",
        mdn_digest_alg="sha256",
    )
    (folder / "messages").mkdir()
    for document in sorted((folder / "documents").iterdir()):
        message = Message(sender, receiver)
        message.build(document.read_bytes(), filename=document.name, content_type="application/xml")
        whole = message.headers_str + b"\r\n" + message.content
        (folder / "messages" / document.name).write_bytes(whole)


def answer(folder: Path, seconds: float) -> None:
    receiver = Organization(as2_name=RECEIVER, sign_key=pair(folder, RECEIVER), sign_key_pass="")
    sender = Partner(
        as2_name=SENDER,
        verify_cert=certificate(folder, SENDER),
        sign=True,
        mdn_mode="SYNC",
        mdn_digest_alg="sha256",
    )
    messages = [each.read_bytes() for each in sorted((folder / "messages").iterdir())]
    start, used = time.perf_counter(), time.process_time()
    for done, message in enumerate(cycle(messages), 1):
        status, error, receipt = Message().parse(message, lambda _: receiver, lambda _: sender)
        if status != "processed" or "multipart/signed" not in receipt.headers["Content-Type"]:
            raise SystemExit(f"not answered: {error}")
        assert receipt.content
        if (passed := time.perf_counter() - start) > seconds:
            cpu = time.process_time() - used
            print(json.dumps({"rate": done / passed, "cpu": 1000 * cpu / done}))
            return


def pair(folder: Path, name: str) -> bytes:
    return (folder / "keys" / f"{name}.key").read_bytes() + certificate(folder, name)


def certificate(folder: Path, name: str) -> bytes:
    return (folder / "keys" / f"{name}.crt").read_bytes()


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(Path(sys.argv[2]))
    else:
        answer(Path(sys.argv[2]), float(sys.argv[3]))
