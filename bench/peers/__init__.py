"""Peers beside the gateway: what takes signed documents and answers each with a signed receipt, and no more.

The same signed declarations, as payloads of signed AS2 messages, go to `pyas2lib` (verify, make a signed MDN;
a loop without server or store, in one process and in one for each core) and to `django-pyas2`, served by
gunicorn with a worker for each core and SQLite, over eight connections. Between them the gateway does its
whole job over AMQP, as in `bench amqp`. The peers are installed by this benchmark into a virtual environment
of its own, `build/peers`, by name and version (requirements.txt).
"""

import http.client
import json
import os
import shutil
import subprocess
import time
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from adapters.cli.init.init import free_port
from adapters.home.home import Home
from bench import processes
from bench.amqp import MESSAGES, course
from bench.limit import CORES
from bench.report import show, table
from bench.serving import PATIENCE
from bench.traffic import ACCOUNT, SIZES, Broker

ROUNDS: Final = 3
SECONDS: Final = 3.0
CONNECTIONS: Final = 8
_HERE: Final = Path(__file__).parent
_VENV: Final = _HERE.parents[1] / "build" / "peers"
_KEYS: Final = {"broker": ACCOUNT, "gateway": "broker-b"}  # whose keys of the home they sign with
# oscrypto 1.3.0 does not read versions of OpenSSL with two digits at the end, as 3.0.19.
_VERSION: Final = (r"(\\d\\.\\d\\.\\d[a-z]*)", r"(\\d\\.\\d\\.\\d+[a-z]*)")
_PROCESSED: Final = b"automatic-action/MDN-sent-automatically; processed"


class NotInstalled(Exception):
    """The peers cannot be had here; the text says why."""


def main() -> None:
    try:
        python = _installed()
    except NotInstalled as why:
        print(f"peers: not measured, since they cannot be installed here: {why}\n")
        return
    made = table(
        "peers: signed document in, signed receipt out, documents a second; the gateway does the whole job",
        *("message", "gateway closed", "pyas2lib, 1 core", "pyas2lib, all cores", "django-pyas2"),
        *("to pyas2lib", "to django-pyas2"),
    )
    costs = table("peers: CPU ms a document", "message", "gateway", "pyas2lib", "django-pyas2 with SQLite")
    with course() as ours:
        for size in SIZES:
            given = ours.loops.inputs(size, "signed")
            rates, cpu = [], []
            for number in range(ROUNDS):
                with _documents(ours.home, python, size) as folder:
                    own = ours.run(size, given, number)
                    one, one_cpu = _library(python, folder, 1)
                    all_, _ = _library(python, folder, CORES)
                    site, site_cpu = _site(python, folder)
                rates.append((own.closed, one, all_, site))
                cpu.append((sum(own.cpu[part] for part in processes.GATEWAY), one_cpu, site_cpu))
            made.add_row(
                f"{size} signed",
                *(f"{median(each[at] for each in rates):.0f}" for at in range(4)),
                *(f"{median(each[0] / each[at] for each in rates):.2f}" for at in (2, 3)),
            )
            costs.add_row(f"{size} signed", *(f"{median(each[at] for each in cpu):.1f}" for at in range(3)))
    show(made)
    show(costs)


def _installed() -> Path:
    python = _VENV / "bin" / "python"
    wanted = (_HERE / "requirements.txt").read_text()
    ready = _VENV / "ready.txt"
    if not ready.exists() or ready.read_text() != wanted:
        shutil.rmtree(_VENV, ignore_errors=True)
        venv.create(_VENV, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, "-r", str(_HERE / "requirements.txt")], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NotInstalled((done.stderr.strip().splitlines() or ["pip has failed"])[-1])
        for file in _VENV.glob("lib/python*/site-packages/oscrypto/_openssl/_libcrypto_c*.py"):
            file.write_text(file.read_text().replace(*_VERSION))
        ready.write_text(wanted)
    return python


@contextmanager
def _documents(home: Home, python: Path, size: str) -> Iterator[Path]:
    """A folder with the declarations, and with AS2 messages that hold them."""
    broker = Broker(home)
    with TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        for part in ("documents", "keys"):
            (folder / part).mkdir()
        for each in range(MESSAGES):
            sent = broker.bare(size, f"P-{each}")
            (folder / "documents" / sent.name).write_bytes(sent.body)
        for role, account in _KEYS.items():
            for suffix in ("key", "crt"):
                own = home.path / "clients" / account / f"sign.{suffix}"
                shutil.copyfile(own, folder / "keys" / f"{role}.{suffix}")
        subprocess.run([str(python), str(_HERE / "as2.py"), "build", name], check=True)
        yield folder


def _library(python: Path, folder: Path, count: int) -> tuple[float, float]:
    """Messages answered per second by this many processes together, and milliseconds of CPU for one."""
    command = [str(python), str(_HERE / "as2.py"), "answer", str(folder), str(SECONDS)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    told = [json.loads(each.communicate(timeout=PATIENCE)[0]) for each in running]
    return sum(each["rate"] for each in told), sum(each["cpu"] for each in told) / count


def _site(python: Path, folder: Path) -> tuple[float, float]:
    """Messages answered per second over all connections, and the server's milliseconds of CPU for one."""
    environment = {**os.environ, "PEER": str(folder), "PYTHONPATH": str(_HERE), "HOME": str(folder)}
    subprocess.run([str(python), str(_HERE / "as2_site.py")], env=environment, check=True)
    port = free_port()
    command = [str(python), "-m", "gunicorn", "--workers", str(CORES), "--bind", f"127.0.0.1:{port}"]
    with (folder / "site.log").open("wb") as log:
        server = subprocess.Popen([*command, "as2_site:application"], env=environment, stderr=log)
    try:
        messages = [_split(each.read_bytes()) for each in sorted((folder / "messages").iterdir())]
        _until_serving(port, folder / "site.log")
        with processes.spent({"site": processes.of_tree(server.pid)}) as spent:
            begun = time.perf_counter()
            with ThreadPoolExecutor(CONNECTIONS) as connections:
                answered = sum(connections.map(partial(_post, port), messages))
            passed = time.perf_counter() - begun
        assert answered == len(messages), (folder / "site.log").read_text()[-3000:]
        return answered / passed, spent.each(len(messages))["site"]
    finally:
        server.terminate()
        server.wait()


def _split(message: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = message.partition(b"\r\n\r\n")
    return dict(message_from_bytes(head).items()), body


def _until_serving(port: int, log: Path) -> None:
    until = time.perf_counter() + PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/as2receive")
            assert connection.getresponse().status == HTTPStatus.OK, log.read_text()[-2000:]
            return
        except OSError:
            assert time.perf_counter() < until, log.read_text()[-2000:]
            time.sleep(0.1)
        finally:
            connection.close()


def _post(port: int, message: tuple[dict[str, str], bytes]) -> bool:
    """Whether it was answered with a signed receipt that it was processed."""
    headers, body = message
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", "/as2receive", body, headers)
        answer = connection.getresponse()
        receipt = answer.read()
        return "multipart/signed" in answer.headers["Content-Type"] and _PROCESSED in receipt
    finally:
        connection.close()
