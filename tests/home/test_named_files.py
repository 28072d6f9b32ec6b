"""What the settings name is tried as it is to be used, before a node starts and by doctor."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from adapters.cli.doctor import examine
from adapters.cli.exit_codes import USAGE
from adapters.cli.init.init import create_home
from adapters.home.certificates import make_p256_pair
from adapters.home.home import Home
from adapters.home.listeners import check_listeners
from adapters.home.named_files import check_named_files
from adapters.home.ssh_keys import make_ed25519
from gateway.config.bad_settings import BadSettings
from tests.support.served import Gateway
from tests.support.tls import issued

BROKER = (
    'user = "gateway"\npassword_file = "secret"\nca = "ca.crt"\ncertificate = "own.crt"\nkey = "own.key"\n'
)
REMOTE = (
    'host = "127.0.0.1"\nuser = "gateway"\nkey = "id"\nhost_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"\n'
)
SECTIONS = {
    "amqp": f"[amqp]\n{BROKER}",
    "backend.a": f'[backend.a]\nkind = "amqp"\n{BROKER}',
    "backend.h": '[backend.h]\nkind = "http"\nurl = "https://127.0.0.1/"\n'
    'ca = "ca.crt"\ncertificate = "own.crt"\nkey = "own.key"\n',
    "backend.s": f'[backend.s]\nkind = "sftp"\n{REMOTE}',
    "partner.p": f'[partner.p]\nkind = "sftp"\naccount = "broker-aa"\n{REMOTE}',
    "push": '[push]\nport = 0\ncertificate = "own.crt"\nkey = "own.key"\nclient_ca = "ca.crt"\n',
    "alarms.mail": '[alarms.mail]\nhost = "127.0.0.1"\nsender = "a@b"\nto = ["c@d"]\nca = "ca.crt"\n'
    'user = "gateway"\npassword_file = "secret"\n',
    "alarms.webhook": '[alarms.webhook]\nurl = "https://127.0.0.1/"\nsecret_file = "secret"\nca = "ca.crt"\n',
}
GOOD = ("secret", "ca.crt", "own.crt", "own.key", "id")


def locked(pem: bytes) -> bytes:
    phrase = BestAvailableEncryption(b"phrase")
    if b"OPENSSH" in pem:
        return load_ssh_private_key(pem, None).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, phrase)
    return load_pem_private_key(pem, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, phrase)


@dataclass(frozen=True)
class Broken:
    """A way in which the files of some settings cannot be used, and what is said of them."""

    files: tuple[str, ...]
    spoil: Callable[[bytes], bytes | None]
    reason: str


def another(_body: bytes) -> bytes:
    return make_p256_pair("another", datetime.now(UTC))[0]


WAYS = {
    "gone": Broken(GOOD, lambda _: None, "No such file or directory"),
    "garbage": Broken(("ca.crt", "own.crt", "own.key", "id"), lambda _: b"garbage", "holds no"),
    "empty": Broken(("secret",), lambda _: b"\n", "is empty"),
    "locked": Broken(("own.key", "id"), locked, "pass phrase"),
    "another's": Broken(("own.key",), another, "does not belong to the certificate"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = create_home(tmp_path_factory.mktemp("named") / "home", 0, datetime.now(UTC))
    tls = issued(made.path / "tls", "own")
    for name, source in (("ca.crt", tls.ca), ("own.crt", tls.certificate), ("own.key", tls.key)):
        (made.path / name).write_bytes(source.read_bytes())
    (made.path / "id").write_bytes(make_ed25519()[0])
    (made.path / "secret").write_text("secret")
    for name in ("own.key", "id", "secret"):
        (made.path / name).chmod(0o600)
    return made


def with_section(home: Home, section: str) -> str:
    path = home.path / "gateway.toml"
    before = path.read_text("utf-8")
    path.write_text(f"{before}\n{SECTIONS[section]}", "utf-8")
    return before


def connections(home: Home) -> tuple[bool, str]:
    (check,) = [check for check in examine(home, datetime.now(UTC)) if check["check"] == "connections"]
    return check["ok"], check["detail"]


@pytest.mark.parametrize("section", SECTIONS)
def test_each_file_that_cannot_be_used_is_named_by_its_setting_at_start_and_by_doctor(
    home: Home, section: str
) -> None:
    before = with_section(home, section)
    try:
        check_named_files(home)
        number = 0
        for way in WAYS.values():
            for name in way.files:
                if f'"{name}"' not in SECTIONS[section]:
                    continue
                path, mode = home.path / name, (home.path / name).stat().st_mode
                body = path.read_bytes()
                spoilt = way.spoil(body)
                path.unlink() if spoilt is None else path.write_bytes(spoilt)
                try:
                    with pytest.raises(BadSettings) as raised:
                        check_named_files(home)
                    for text in (str(raised.value), connections(home)[1]):
                        assert f"{section}." in text
                        assert name in text
                        assert way.reason in text
                        assert "\n" not in text
                finally:
                    path.write_bytes(body)
                    path.chmod(mode)
                number += 1
        assert number > 2
        check_named_files(home)
    finally:
        (home.path / "gateway.toml").write_text(before, "utf-8")


def test_doctor_names_our_certificate_towards_others_that_ends_within_30_days(home: Home) -> None:
    before = with_section(home, "push")
    try:
        well, text = connections(home)
        assert (well, text.split(" on ")[0]) == (False, "push.certificate: ends")
    finally:
        (home.path / "gateway.toml").write_text(before, "utf-8")


def test_the_associations_own_pair_is_tried_where_the_settings_do_not_name_it(home: Home) -> None:
    path = home.path / "clients" / "association" / "sign.key"
    body = path.read_bytes()
    path.write_bytes(locked(body))
    try:
        with pytest.raises(
            BadSettings, match=r"backend.association.key: clients/association/sign.key: .*phrase"
        ):
            check_named_files(home)
    finally:
        path.write_bytes(body)


def test_an_address_that_is_taken_is_named_by_its_setting(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with socket.create_server(("127.0.0.1", gateway.port)):
        result = gateway.cli("serve")
        assert (result.returncode, result.stdout) == (USAGE, "")
        assert (
            result.stderr
            == f"gateway: gateway.toml: sftp.port: 127.0.0.1:{gateway.port}: Address already in use\n"
        )
        (check,) = [
            check for check in examine(gateway.home, datetime.now(UTC)) if check["check"] == "addresses"
        ]
        assert (check["ok"], check["detail"].split(":")[0]) == (False, "sftp.port")
    check_listeners(gateway.home.settings())
