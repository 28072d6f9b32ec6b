"""Host keys of every kind, several at once; the change from one to the next; clients with old lists."""

import base64
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1

from adapters.home.host_keys import KINDS, read_host_keys
from adapters.home.ssh_keys import make_ecdsa, make_ed25519, make_rsa, write_private
from gateway.config.bad_settings import BadSettings
from tests.support.sftp_client import Login
from tests.support.sftp_served import SftpHarness, serving

MAKE: dict[str, Callable[[], tuple[bytes, str]]] = {
    "ed25519": make_ed25519,
    "ecdsa": make_ecdsa,
    "rsa": make_rsa,
}
# What JSch 0.1.54 (Debian libjsch-java) offers, in its order; without what OpenSSH's client knows no more.
JSCH = (
    "KexAlgorithms=ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group14-sha1,"
    "diffie-hellman-group-exchange-sha256,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1",
    "HostKeyAlgorithms=ssh-rsa,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "Ciphers=aes128-ctr,aes128-cbc,3des-cbc,aes192-ctr,aes192-cbc,aes256-ctr,aes256-cbc",
    "MACs=hmac-md5,hmac-sha1,hmac-sha2-256,hmac-sha1-96,hmac-md5-96",
    "PubkeyAcceptedAlgorithms=ssh-rsa,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with a key of each kind and a second one of ed25519, and their public lines."""
    folder = tmp_path_factory.mktemp("keys")
    lines = {}
    for name, kind in (*zip(KINDS, KINDS, strict=True), ("ed25519.next", "ed25519")):
        private, lines[name] = MAKE[kind]()
        write_private(folder / f"ssh_host_{name}", private)
        (folder / f"ssh_host_{name}.pub").write_text(lines[name])
    return folder, lines


def knows(served: SftpHarness, login: Login, line: str) -> None:
    (login.folder / "known_hosts").write_text(f"[{served.host}]:{served.port} {line}\n")


def test_a_client_that_knows_one_key_of_whatever_kind_is_let_in(
    keys: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, lines = keys
    with serving(tmp_path, host_keys=read_host_keys(folder)) as served:
        for kind in KINDS:
            knows(served, served.broker, lines[kind])
            done = served.broker.sftp("pwd", options=["-o", "UpdateHostKeys=no"])
            assert done.returncode == 0, (kind, done.stderr)
        for algorithm in ("ssh-rsa", "ssh-dss"):
            done = served.broker.sftp("pwd", options=["-o", f"HostKeyAlgorithms={algorithm}"])
            assert done.returncode != 0


def test_a_client_learns_the_next_key_before_it_takes_the_place(
    keys: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, lines = keys
    with serving(tmp_path, host_keys=read_host_keys(folder)) as served:
        knows(served, served.broker, lines["ed25519"])
        assert served.broker.sftp("pwd", options=["-o", "UpdateHostKeys=yes"]).returncode == 0
        known_hosts = (served.broker.folder / "known_hosts").read_text()
        assert {line.split()[2] for line in known_hosts.splitlines()} == {
            line.split()[1] for line in lines.values()
        }
    changed = tmp_path / "changed"
    changed.mkdir()
    shutil.copyfile(folder / "ssh_host_ed25519.next", changed / "ssh_host_ed25519")
    (tmp_path / "second").mkdir()
    with serving(tmp_path / "second", host_keys=read_host_keys(changed)) as served:
        entry = f"[{served.host}]:{served.port}"
        learnt = [f"{entry} {line.split(maxsplit=1)[1]}" for line in known_hosts.splitlines()]
        (served.broker.folder / "known_hosts").write_text("\n".join(learnt) + "\n")
        assert served.broker.sftp("pwd").returncode == 0


def test_a_key_that_is_none_of_ours_is_not_proven(keys: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, lines = keys
    with (
        serving(tmp_path, host_keys=read_host_keys(folder)) as served,
        served.broker.transport() as transport,
    ):
        transport.connect(username="broker", pkey=served.broker.key())
        prove = "hostkeys-prove-00@openssh.com"
        blobs = [base64.b64decode(line.split()[1]) for line in (make_ed25519()[1], lines["ed25519"])]
        assert transport.global_request(prove, tuple(blobs)) is None
        assert transport.global_request(prove, ()) is None
        assert transport.open_session(timeout=10) is not None
        assert transport.global_request(prove, (blobs[1],)) is not None


def test_jsch_connects_with_ecdsa_for_both_keys(keys: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, lines = keys
    with serving(tmp_path, host_keys=read_host_keys(folder)) as served:
        login = served.login("java", key=make_ecdsa())
        knows(served, login, lines["ecdsa"])
        (data := tmp_path / "a.xml").write_bytes(b"<a/>")
        options = ["-v", *(argument for one in JSCH for argument in ("-o", one))]
        done = login.sftp(f"put {data} /OutBox/a.xml", options=options)
        assert done.returncode == 0, done.stderr
        for agreed in (
            "kex: algorithm: ecdh-sha2-nistp256",
            "kex: host key algorithm: ecdsa-sha2-nistp256",
            "cipher: aes128-ctr MAC: hmac-sha2-256",
        ):
            assert agreed in done.stderr
        assert [name for name, _, _ in served.arrived("java")] == ["a.xml"]


@pytest.mark.parametrize(
    "option",
    [
        "KexAlgorithms=diffie-hellman-group1-sha1",
        "KexAlgorithms=diffie-hellman-group14-sha1",
        "HostKeyAlgorithms=ssh-rsa",
        "PubkeyAcceptedAlgorithms=ssh-rsa",
    ],
)
def test_algorithms_with_sha_1_stay_refused_with_keys_of_every_kind(
    keys: tuple[Path, dict[str, str]], tmp_path: Path, option: str
) -> None:
    folder, lines = keys
    with serving(tmp_path, host_keys=read_host_keys(folder)) as served:
        login = served.login("old", key=make_rsa())
        knows(served, login, lines["rsa"])
        assert login.sftp("pwd").returncode == 0
        done = login.sftp("pwd", options=["-o", option])
        assert done.returncode != 0
        assert "Unable to negotiate" in done.stderr or "Permission denied" in done.stderr


class SignsWithSha1(paramiko.RSAKey):
    """As clients of before RFC 8332 sign, whatever the server has said that it takes."""

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> paramiko.Message:
        signature = paramiko.Message()
        signature.add_string("ssh-rsa")
        signature.add_string(cast(Any, self.key).sign(data, PKCS1v15(), SHA1()))  # noqa: S303  that is the test
        return signature


@pytest.mark.parametrize("named", ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"])
def test_a_signature_with_sha_1_opens_nothing_whatever_it_is_called(
    keys: tuple[Path, dict[str, str]], tmp_path: Path, named: str
) -> None:
    folder, _lines = keys
    with serving(tmp_path, host_keys=read_host_keys(folder)) as served:
        login = served.login("old", key=make_rsa())
        for kind, lets_in in ((SignsWithSha1, False), (paramiko.RSAKey, named != "ssh-rsa")):
            with login.transport() as connection:
                connection.start_client()
                transport = cast(Any, connection)
                transport.server_extensions = {"server-sig-algs": named.encode()}
                transport._preferred_pubkeys = (named,)
                key = kind.from_private_key_file(str(login.folder / "id_ed25519"))
                with suppress(paramiko.SSHException, KeyError):  # KeyError: paramiko itself cannot sign so
                    transport.auth_publickey("old", key)
                assert transport.is_authenticated() is lets_in


@pytest.mark.parametrize("wrong", [b"", b"no key", b"pass phrase", b"short"])
def test_a_host_key_that_cannot_be_used_is_named(tmp_path: Path, wrong: bytes) -> None:
    path = tmp_path / "ssh_host_rsa"
    if wrong == b"pass phrase":
        paramiko.RSAKey.generate(2048).write_private_key_file(str(path), password="secret")  # noqa: S106  of nothing
    elif wrong == b"short":
        paramiko.RSAKey.generate(1024).write_private_key_file(str(path))
    else:
        path.write_bytes(wrong)
    with pytest.raises(BadSettings, match="keys/ssh_host_rsa"):
        read_host_keys(tmp_path)
    path.unlink()
    with pytest.raises(BadSettings, match="no host key"):
        read_host_keys(tmp_path)
