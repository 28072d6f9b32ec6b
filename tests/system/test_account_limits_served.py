"""What one account may do by its own limits leaves the others served."""

import resource
from pathlib import Path
from typing import Final

from tests.support.served import Gateway

_USUAL: Final = 1024  # soft limit of descriptors in log-in shells and under systemd


def test_as_many_unfinished_files_as_an_account_may_have_leave_the_others_served(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gateway = Gateway(tmp_path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_USUAL, hard))
    try:
        gateway.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    try:
        with gateway.login("trader-b").session() as greedy:
            for number in range(_USUAL + 100):
                greedy.open(f"/OutBox/{number}.tmp", "wb").close()
            gateway.send("broker-aa", "a.xml", b"<a/>")
            gateway.until(lambda: any(name.startswith("Failed_a_") for name in gateway.inbox("broker-aa")))
    finally:
        gateway.kill()
