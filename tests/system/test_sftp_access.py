"""Who is let in, with which algorithms, what may be opened, and how the server stops."""

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.home.ssh_keys import make_ed25519, write_private
from gateway.model.message import Arrival
from gateway.model.parties import Account
from tests.support.sftp_client import Login
from tests.support.sftp_served import SftpHarness, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SftpHarness]:
    with serving(tmp_path) as running:
        yield running


def pair(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[bytes, str]:
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), public.decode()


def ends(transport: paramiko.Transport) -> bool:
    transport.join(10)
    return not transport.is_active()


KEYS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "ed25519": make_ed25519,
    "p-256": lambda: pair(ec.generate_private_key(ec.SECP256R1())),
    "p-384": lambda: pair(ec.generate_private_key(ec.SECP384R1())),
    "p-521": lambda: pair(ec.generate_private_key(ec.SECP521R1())),
    "rsa-2048": lambda: pair(rsa.generate_private_key(65537, 2048)),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_modern_kind_log_in(served: SftpHarness, kind: str) -> None:
    login = served.login("someone", key=KEYS[kind]())
    done = login.sftp("pwd")
    assert done.returncode == 0, done.stderr


def test_any_of_several_keys_logs_in(served: SftpHarness) -> None:
    login = served.login("someone")
    (line,) = served.accounts["someone"].keys
    served.accounts["someone"] = type(served.accounts["someone"])(
        name="someone", keys=(make_ed25519()[1], "not a key", "", f"{line} rotated 2026")
    )
    assert login.sftp("pwd").returncode == 0


def test_small_rsa_keys_are_refused_by_the_server(served: SftpHarness) -> None:
    login = served.login("someone", key=pair(rsa.generate_private_key(65537, 1024)))  # noqa: S505  that is the test
    with login.transport() as transport:
        key = paramiko.RSAKey.from_private_key_file(str(login.folder / "id_ed25519"))
        with pytest.raises(paramiko.AuthenticationException):
            transport.connect(username="someone", pkey=key)


def test_rsa_signatures_with_sha_1_are_refused(served: SftpHarness) -> None:
    login = served.login("someone", key=KEYS["rsa-2048"]())
    options = ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]
    assert login.sftp("pwd", options=options).returncode != 0


def test_certificates_are_no_keys(served: SftpHarness, tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    write_private(authority, make_ed25519()[0])
    key = served.broker.folder / "id_ed25519"
    (key.parent / "id_ed25519.pub").write_text(served.accounts["broker"].keys[0] + "\n")
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", "broker", str(key) + ".pub"], check=True
    )
    only_certificates = ["-o", "PubkeyAcceptedAlgorithms=ssh-ed25519-cert-v01@openssh.com"]
    assert served.broker.sftp("pwd", options=only_certificates).returncode != 0


def test_unknown_accounts_and_wrong_keys_get_the_same_answer(served: SftpHarness) -> None:
    answers = []
    for account in ("broker", "nobody"):
        with served.broker.transport() as transport:
            transport.start_client()
            key = paramiko.Ed25519Key.from_private_key_file(str(served.other.folder / "id_ed25519"))
            with pytest.raises(paramiko.AuthenticationException) as caught:
                transport.auth_publickey(account, key)
            answers.append((type(caught.value), str(caught.value)))
    assert answers[0] == answers[1]


WAYS: dict[str, Callable[[paramiko.Transport], object]] = {
    "none": lambda transport: transport.auth_none("broker"),
    "password": lambda transport: transport.auth_password("broker", "broker", fallback=False),
    "interactive": lambda transport: transport.auth_interactive("broker", lambda *_: []),
}


@pytest.mark.parametrize("way", WAYS)
def test_only_a_key_logs_in(served: SftpHarness, way: str) -> None:
    with served.broker.transport() as transport:
        transport.start_client()
        with pytest.raises(paramiko.BadAuthenticationType) as caught:
            WAYS[way](transport)
        assert caught.value.allowed_types == ["publickey"]


def test_after_three_attempts_the_server_disconnects(served: SftpHarness, tmp_path: Path) -> None:
    with served.broker.transport() as transport:
        transport.start_client()
        with pytest.raises(paramiko.BadAuthenticationType):
            transport.auth_none("broker")  # is no attempt
        for _ in range(3):
            private, _public = make_ed25519()
            write_private(tmp_path / f"key{_}", private)
            with pytest.raises(paramiko.SSHException):
                transport.auth_publickey(
                    "broker", paramiko.Ed25519Key.from_private_key_file(str(tmp_path / f"key{_}"))
                )
        assert ends(transport)


def test_asking_for_methods_again_and_again_ends_too(served: SftpHarness) -> None:
    with served.broker.transport() as transport:
        transport.start_client()
        for _ in range(4):
            with pytest.raises(paramiko.SSHException):
                transport.auth_none("broker")
        assert ends(transport)


def test_wrong_keys_slow_their_address_down_and_shut_no_right_one_out(served: SftpHarness) -> None:
    key = paramiko.Ed25519Key.from_private_key_file(str(served.other.folder / "id_ed25519"))
    for number in range(4):
        with served.broker.transport() as transport:
            transport.start_client()
            began = time.monotonic()
            with pytest.raises(paramiko.AuthenticationException):
                transport.auth_publickey("broker", key)
            assert time.monotonic() - began >= min(0.1 * (number + 1), 2.0)
            if number == 3:  # beside one that is still being slowed, and on the same connection
                assert served.broker.sftp("pwd").returncode == 0
                transport.auth_publickey("broker", served.broker.key())
                assert transport.is_authenticated()
    assert served.broker.sftp("pwd").returncode == 0


def test_no_channel_is_opened_before_the_log_in(served: SftpHarness) -> None:
    with served.broker.transport() as transport:
        transport.start_client()
        with pytest.raises(paramiko.ChannelException) as caught:
            transport.open_session(timeout=10)
        assert caught.value.code == paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        with pytest.raises(paramiko.SSHException):
            transport.request_port_forward("127.0.0.1", 0)


def test_only_the_sftp_subsystem_of_a_session_is_served(served: SftpHarness) -> None:
    with served.broker.transport() as transport:
        transport.connect(username="broker", pkey=served.broker.key())
        with pytest.raises(paramiko.ChannelException):
            transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=10)
        with pytest.raises(paramiko.SSHException):
            transport.request_port_forward("127.0.0.1", 0)
        requests: list[Callable[[paramiko.Channel], object]] = [
            lambda channel: channel.exec_command("id"),
            lambda channel: channel.invoke_shell(),
            lambda channel: channel.get_pty(),
            lambda channel: channel.request_x11(),
            lambda channel: channel.invoke_subsystem("netconf"),
        ]
        for request in requests:
            with transport.open_session(timeout=10) as channel, pytest.raises(paramiko.SSHException):
                request(channel)
    assert subprocess.run(
        ["ssh", *served.broker.arguments(), "-p", str(served.port), f"broker@{served.host}", "id"],
        capture_output=True,
        timeout=30,
        check=False,
    ).returncode not in (0, None)


def test_a_channel_serves_one_session_and_a_connection_a_few_channels(served: SftpHarness) -> None:
    with served.broker.transport() as transport:
        transport.connect(username="broker", pkey=served.broker.key())
        channels = [transport.open_session(timeout=10) for _ in range(4)]
        with pytest.raises(paramiko.ChannelException):
            transport.open_session(timeout=10)
        channels[0].invoke_subsystem("sftp")
        with pytest.raises(paramiko.SSHException):
            channels[0].invoke_subsystem("sftp")


def test_an_account_has_so_many_sessions_and_no_more(served: SftpHarness) -> None:
    served.limit("broker", max_sessions=2)
    with served.broker.session(), served.broker.session():
        assert served.broker.sftp("pwd").returncode != 0
        assert served.other.sftp("pwd").returncode == 0
    until(lambda: served.broker.sftp("pwd").returncode == 0)


def test_a_session_whose_connection_goes_with_it_counts_no_longer(served: SftpHarness) -> None:
    served.limit("broker", max_sessions=2)

    def both() -> bool:
        try:
            with served.broker.session(), served.broker.session():
                return True
        except paramiko.SSHException:  # the ones before are still ending
            return False

    for _ in range(20):
        until(both)


OLD = {
    "KexAlgorithms": ["diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1"],
    "Ciphers": ["aes128-cbc", "3des-cbc", "aes256-cbc"],
    "MACs": ["hmac-sha1", "hmac-md5", "hmac-sha1-96"],
    "HostKeyAlgorithms": ["ssh-rsa"],
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option in OLD for value in OLD[option]])
def test_old_algorithms_are_not_agreed_on(served: SftpHarness, option: str, value: str) -> None:
    options = ["-o", f"{option}={value}"]
    if option == "MACs":
        options += ["-o", "Ciphers=aes128-ctr"]  # the others bring their own
    done = served.broker.sftp("pwd", options=options)
    assert done.returncode != 0
    assert "Unable to negotiate" in done.stderr


@pytest.mark.parametrize(
    "option",
    [
        "KexAlgorithms=curve25519-sha256@libssh.org",
        "KexAlgorithms=ecdh-sha2-nistp256",
        "KexAlgorithms=diffie-hellman-group16-sha512",
        "Ciphers=aes128-gcm@openssh.com",
        "Ciphers=aes256-gcm@openssh.com",
        "Ciphers=aes256-ctr",
        "MACs=hmac-sha2-512-etm@openssh.com",
        "MACs=hmac-sha2-256",
    ],
)
def test_modern_algorithms_are_agreed_on(served: SftpHarness, option: str, tmp_path: Path) -> None:
    (data := tmp_path / "data").write_bytes(os.urandom(300_000))
    done = served.broker.sftp(f"put {data} /OutBox/a.tmp", options=["-o", option])
    assert done.returncode == 0, done.stderr


def test_key_exchange_is_strict_and_the_host_key_is_the_one_given(served: SftpHarness) -> None:
    with served.broker.transport() as transport:
        transport.start_client()
        assert transport.agreed_on_strict_kex is True  # type: ignore[attr-defined]  # not in the stubs
        key = transport.get_remote_server_key()
        assert f"{key.get_name()} {key.get_base64()}" == served.host_line
        assert transport.remote_version == "SSH-2.0-gateway"


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096, b"SSH-1.5-old\r\n", b""])
def test_a_client_that_does_not_speak_ssh_is_disconnected(served: SftpHarness, greeting: bytes) -> None:
    with socket.create_connection((served.host, served.port), timeout=30) as sock:
        sock.sendall(greeting)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass
    assert served.broker.sftp("pwd").returncode == 0


def test_a_packet_of_four_gigabytes_is_not_waited_for(served: SftpHarness) -> None:
    with socket.create_connection((served.host, served.port), timeout=30) as sock:
        sock.sendall(b"SSH-2.0-hostile\r\n" + b"\xff\xff\xff\xf0" + bytes(60))
        while sock.recv(4096):
            pass


def test_a_silent_client_is_disconnected_after_the_grace_time(
    served: SftpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.channels.sftp_server.server.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("adapters.channels.sftp_server.server.BANNER_SECONDS", 0.5)
    with (
        socket.create_connection((served.host, served.port), timeout=30) as sock,
        served.broker.session() as one,
    ):
        while sock.recv(4096):
            pass
        with served.broker.transport() as idle:
            idle.connect(username="broker", pkey=served.broker.key())
            assert ends(idle)
        assert one.listdir("/OutBox") == []


def test_idle_sessions_end(served: SftpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.channels.sftp_server.auth.IDLE_SECONDS", 0.3)
    with served.broker.session() as client:
        channel = client.get_channel()
        assert channel is not None
        until(lambda: channel.closed)


def test_sftp_packets_that_make_no_sense_end_the_session_and_not_the_server(served: SftpHarness) -> None:
    init = b"\x00\x00\x00\x05\x01\x00\x00\x00\x03"
    for garbage in (b"\xff" * 64, b"\x00\x00\x00\x01\x03", b"\x7f\xff\xff\xff\x03", bytes(64)):
        with served.broker.transport() as transport:
            transport.connect(username="broker", pkey=served.broker.key())
            channel = transport.open_session(timeout=10)
            channel.invoke_subsystem("sftp")
            channel.sendall(init + garbage)
            channel.settimeout(10)
            while channel.recv(4096):
                pass
    with served.broker.session() as client:
        raw = client.get_channel()
        assert raw is not None
        raw.sendall(b"\x00\x00\x00\x09\x03\x00\x00\x00\x07\x00\x00\xff\xff")
        assert b"cut short" in raw.recv(4096)
    assert served.broker.sftp("pwd").returncode == 0


class Slow:
    """An intake whose commit takes until it is let go."""

    def __init__(self, served: SftpHarness) -> None:
        self.served = served
        self.begun = threading.Event()
        self.go = asyncio.Event()

    async def add(
        self, arrival: Arrival, sender: Account | None = None, *, body: bytes | None = None
    ) -> None:
        self.begun.set()
        await self.go.wait()
        await self.served.messages.add(arrival, sender, body=body)


def test_a_client_that_sends_more_than_the_window_is_disconnected(served: SftpHarness) -> None:
    served.intake = slow = Slow(served)
    with served.broker.transport() as transport:
        transport.connect(username="broker", pkey=served.broker.key())
        channel = transport.open_session(timeout=10)
        channel.invoke_subsystem("sftp")
        channel.sendall(
            bytes.fromhex("00000005 01 00000003")  # INIT, version 3
            + bytes.fromhex("00000020 03 00000001 0000000f")
            + b"/OutBox/a.empty"
            + bytes.fromhex("0000001a 00000000")
            + bytes.fromhex("0000000a 04 00000002 00000001")
            + b"0"  # CLOSE of the first handle
        )
        assert slow.begun.wait(20)
        with channel.lock:  # as a client that does not keep to the window
            channel.out_window_size += 1 << 30

        def flood() -> None:
            for _ in range(1000):
                channel.sendall(bytes(32000))

        with pytest.raises((OSError, EOFError)):
            flood()
        assert ends(transport)
    served.loop.call_soon_threadsafe(slow.go.set)
    until(lambda: served.broker.sftp("pwd").returncode == 0)


def test_stopping_lets_a_commit_in_progress_finish_and_drops_unfinished_uploads(
    served: SftpHarness, tmp_path: Path
) -> None:
    served.intake = slow = Slow(served)
    (data := tmp_path / "data").write_bytes(b"data")
    with served.broker.session() as client:
        half = client.open("/OutBox/half.zip", "wb")
        half.write(b"half")
        half.flush()
        outcome: list[subprocess.CompletedProcess[str]] = []
        sender = threading.Thread(
            target=lambda: outcome.append(served.broker.sftp(f"put {data} /OutBox/a.zip"))
        )
        sender.start()
        assert slow.begun.wait(20)
        stopping = threading.Thread(target=served.server.stop, args=(20,))
        stopping.start()
        until(lambda: not accepts(served))
        assert stopping.is_alive()
        served.loop.call_soon_threadsafe(slow.go.set)
        stopping.join(20)
        sender.join(20)
        assert outcome[0].returncode == 0, outcome[0].stderr
    assert [name for name, _, _ in served.arrived()] == ["a.zip"]
    assert served.spools() == []
    assert [thread for thread in threading.enumerate() if thread.name.startswith("sftp-")] == []


def accepts(served: SftpHarness) -> bool:
    try:
        socket.create_connection((served.host, served.port), timeout=5).close()
    except OSError:
        return False
    return True


def until(true: Callable[[], bool]) -> None:
    """Waits for what the server does by itself."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_a_private_key_is_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    private, public = make_ed25519()
    write_private(tmp_path / "key", private)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "key", private)
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(tmp_path / "key")], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == public


def test_a_server_with_another_host_key_is_not_trusted(served: SftpHarness) -> None:
    (served.broker.folder / "known_hosts").write_text(f"[{served.host}]:{served.port} {make_ed25519()[1]}\n")
    assert served.broker.sftp("pwd").returncode != 0


def test_the_login_of_one_account_is_no_login_for_another(served: SftpHarness) -> None:
    impostor = Login("other", served.broker.folder, served.host, served.port)
    assert impostor.sftp("pwd").returncode != 0
