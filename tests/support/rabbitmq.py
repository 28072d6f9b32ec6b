"""A real RabbitMQ broker of a test's own: its node, ports, users and data are nobody else's.

The scripts of the server are called directly: Debian's wrapper wants to be root, and becomes another user.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from adapters.cli.init.init import free_port
from gateway.config.connections import AmqpSettings, BrokerSettings

SCRIPTS: Final = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))[-1]
READY_WITHIN: Final = 300.0  # a bound against hanging for ever: the machine may be busy
ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files (PEM): of those who issued the clients' certificates, and the broker's own."""

    client_ca: Path
    certificate: Path
    key: Path


class Rabbit:
    """A broker process that a test may kill and start again; it has the same ports and data then.

    Every user's password is its name. `admin` may do everything everywhere.
    """

    def __init__(self, tls: Tls | None = None, *, largest: int = 16 * 1024 * 1024) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rabbit-"))
        self.host, self.port = "127.0.0.1", free_port()
        self.tls_port = free_port()
        self._epmd_port = free_port()
        self._node = f"gateway{self.port}@localhost"
        self._broker: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._vhosts = 0
        (self.folder / "plugins").write_text("[].")
        lines = [
            f"listeners.tcp.1 = {self.host}:{self.port}",
            "log.console = false",
            "loopback_users = none",
            f"default_user = {ADMIN}",
            f"default_pass = {ADMIN}",
            f"max_message_size = {largest}",
        ]
        if tls is not None:
            lines += [
                f"listeners.ssl.1 = {self.host}:{self.tls_port}",
                f"ssl_options.cacertfile = {tls.client_ca}",
                f"ssl_options.certfile = {tls.certificate}",
                f"ssl_options.keyfile = {tls.key}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = true",
            ]
        (self.folder / "rabbit.conf").write_text("\n".join(lines) + "\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),  # for the cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": self.host,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbit.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Where it is set, the script becomes the server instead of a shell that waits for it.
            "RUNNING_UNDER_SYSTEMD": "1",
        }

    def __enter__(self) -> Self:
        self._epmd = subprocess.Popen(
            ["epmd", "-port", str(self._epmd_port), "-address", self.host],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()
        assert self._epmd is not None
        self._epmd.kill()
        self._epmd.wait()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Returns when it takes connections; raises `RuntimeError` with its log where it does not."""
        assert self._broker is None, "whoever ends the broker waits for its end (kill_at_once)"
        with (self.folder / "out").open("ab") as out:
            self._broker = subprocess.Popen(
                [str(SCRIPTS / "rabbitmq-server")],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self._listens():
            if self._broker.poll() is not None or time.monotonic() > deadline:
                self.kill_at_once()
                raise RuntimeError(f"no broker: {(self.folder / 'out').read_text()[-3000:]}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        # The first of its listeners answers a little before it would let anyone in: ask for its greeting.
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) != b""
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL, of a broker that has written down which queues there are: RabbitMQ 3.10 does so some time
        after they are declared, and knows nothing of a queue and its messages where it dies before."""
        self.note_queues()
        self.kill_at_once()

    def note_queues(self) -> None:
        """Has the broker write down which queues there are now."""
        self._evaluate("[dets:sync(Each) || Each <- dets:all()]")

    def kill_at_once(self) -> None:
        """SIGKILL, with nothing before it."""
        assert self._broker is not None
        broker, self._broker = self._broker, None
        broker.kill()
        broker.wait()

    def pause(self, number: int) -> None:
        """Sends the broker a signal, as SIGSTOP and SIGCONT."""
        assert self._broker is not None
        self._broker.send_signal(number)

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl` with these arguments; what it says. A call takes most of a second."""
        return subprocess.run(
            [str(SCRIPTS / "rabbitmqctl"), "-q", *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=READY_WITHIN,
            check=True,
        ).stdout

    def vhost(self, *users: str, gateway: str = "gateway") -> str:
        """A new virtual host of one test, in which the user `gateway` may do everything, and each of `users`
        what a broker's software may: publish to `gateway.in`, and have queues named `<user>.…`.
        Users are made where they are not there yet."""
        self._vhosts += 1
        name = f"test-{self._vhosts}"
        self._evaluate(
            f'rabbit_vhost:add(<<"{name}">>, <<"test">>)',
            *self._user(name, ADMIN, ".*", ".*", ".*"),
            *self._user(name, gateway, ".*", ".*", ".*"),
            *(
                line
                for user in users
                for line in self._user(
                    name,
                    user,
                    rf"^{user}\\..*",
                    rf"^(gateway\\.in|{user}\\..*)$",
                    rf"^{user}\\..*$",
                )
            ),
        )
        return name

    def allow(self, vhost: str, user: str, configure: str, write: str, read: str) -> None:
        """A user (made where it is not there yet) with these permissions, regular expressions as Erlang's
        strings have them."""
        self._evaluate(*self._user(vhost, user, configure, write, read))

    @staticmethod
    def _user(vhost: str, user: str, *permissions: str) -> list[str]:
        quoted = ", ".join(f'<<"{permission}">>' for permission in permissions)
        inside = "rabbit_auth_backend_internal"
        return [
            f'catch {inside}:add_user(<<"{user}">>, <<"{user}">>, <<"test">>)',
            f'ok = {inside}:set_permissions(<<"{user}">>, <<"{vhost}">>, {quoted}, <<"test">>)',
        ]

    def _evaluate(self, *expressions: str) -> str:
        """The value of the last of these expressions of Erlang, as its text. `rabbitmqctl` starts a virtual
        machine of its own for each call, which takes half a second of CPU time; this takes milliseconds."""
        address = f"{self.host}:{self._environment['RABBITMQ_DIST_PORT']}"
        said = subprocess.run(
            ["erl_call", "-c", self._cookie(), "-address", address, "-e"],
            input=", ".join(expressions) + ".\n",
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=READY_WITHIN,
            check=True,
        ).stdout
        assert said.startswith("{ok, "), said
        return said.removeprefix("{ok, ").removesuffix("}")

    def _cookie(self) -> str:
        return (self.folder / ".erlang.cookie").read_text()

    @contextmanager
    def frames(self, largest: int) -> Iterator[None]:
        """Sets the bytes of the largest frame, 0 for no limit, for connections that are made in the context;
        then it is as by default again."""
        self._evaluate(f"application:set_env(rabbit, frame_max, {largest})")
        try:
            yield
        finally:
            self._evaluate("application:set_env(rabbit, frame_max, 131072)")

    def depth(self, vhost: str, queue: str) -> int:
        """Messages in a queue, given out or not."""
        return int(
            self._evaluate(
                f'Name = rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)',
                "case rabbit_amqqueue:lookup(Name) of"
                " {ok, Queue} -> proplists:get_value(messages, rabbit_amqqueue:info(Queue, [messages]));"
                " _ -> 0 end",
            )
        )

    def url(self, vhost: str, user: str) -> str:
        """For clients in tests."""
        return f"amqp://{user}:{user}@{self.host}:{self.port}/{vhost}"

    def settings(self, home: Path, vhost: str, user: str = "gateway", **more: object) -> AmqpSettings:
        """The log-in of a user, with its password in a file of the home."""
        (home / f"{user}.password").write_text(f"{user}\n")
        settings: dict[str, object] = {
            "host": self.host,
            "port": self.port,
            "vhost": vhost,
            "user": user,
            "password_file": f"{user}.password",
        }
        return AmqpSettings.model_validate(settings | more)


def section(settings: BrokerSettings, title: str = "amqp") -> str:
    """The settings as a section of `gateway.toml`."""
    lines: Sequence[str] = [
        f"{key} = {json.dumps(value)}" for key, value in settings.model_dump(exclude_none=True).items()
    ]
    return "\n".join([f"[{title}]", *lines, ""])
