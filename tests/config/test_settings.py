"""`gateway.toml` as an administrator may get it wrong: the key that is wrong is named as it stands there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.home.home import Home
from gateway.config.bad_settings import BadSettings
from gateway.config.connections import DirectorySettings
from gateway.config.settings import read_policy, read_routes, read_settings
from tests.support.served import ROOT


def test_a_back_end_is_configured_by_its_kind() -> None:
    settings = read_settings("gateway.toml", '[backend.customs]\nkind = "directory"\nfolder = "exchange"\n')
    assert settings.backend == {"customs": DirectorySettings(kind="directory", folder="exchange")}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('kind = "reference"\nfolder = "exchange"', "backend.customs.folder: unknown key"),
        ('kind = "directory"\nfolder = "exchange"\nfolders = 2', "backend.customs.folders: unknown key"),
        ('kind = "directory"', "backend.customs.folder: Field required"),
        ('kind = "directory"\nfolder = ""', "backend.customs.folder: String should have"),
        ('folder = "exchange"', "backend.customs: 'kind' is missing"),
        ('kind = "pigeon"', "backend.customs: 'kind' must be one of 'reference', 'directory'"),
    ],
)
def test_an_unknown_or_missing_key_of_a_kind_is_named(text: str, complaint: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings("/srv/gateway.toml", f"[backend.customs]\n{text}\n")
    assert str(refused.value).startswith(f"gateway.toml: {complaint}")


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", "a\\nb", "a b", "", "x" * 65])
@pytest.mark.parametrize("section", ["backend", "partner"])
def test_a_name_is_one_step_of_a_path_and_of_an_address(section: str, name: str) -> None:
    of_it = 'kind = "directory"\nfolder = "exchange"\n' + ('account = "a"\n' if section == "partner" else "")
    with pytest.raises(BadSettings, match="a name has letters, digits") as refused:
        read_settings("gateway.toml", f'[{section}."{name}"]\n{of_it}')
    assert str(refused.value).isprintable()
    assert list(read_settings("gateway.toml", f'[{section}."海关-1.a"]\n{of_it}').model_dump()[section])


def test_answers_that_are_pushed_need_somewhere_to_go() -> None:
    text = 'kind = "http"\nurl = "https://customs.example"\nanswers = "push"\npusher = "theirs.crt"\n'
    with pytest.raises(BadSettings) as refused:
        read_settings("gateway.toml", f"[backend.customs]\n{text}")
    assert str(refused.value) == (
        "gateway.toml: answers of customs are pushed, and there is no [push] to listen"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://gateway:secret@customs.example/",
        "https://customs.example/?token=secret",
        "https://customs.example/#secret",
        "https://customs.example:0/",
        "https://:443/",
        "http://customs.example/",
        "file:///etc/passwd",
    ],
)
def test_the_address_of_a_back_end_holds_no_secret_and_is_encrypted(url: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings("gateway.toml", f'[backend.customs]\nkind = "http"\nurl = "{url}"\n')
    assert str(refused.value).startswith("gateway.toml: backend.customs: ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_a_port_that_is_none_is_wrong_use(port: str) -> None:
    with pytest.raises(BadSettings, match="Port"):
        read_settings(
            "gateway.toml", f'[backend.customs]\nkind = "http"\nurl = "https://customs.example:{port}/"\n'
        )
    hook = f'url = "https://alarms.example:{port}/"\nsecret_file = "secret"\n'
    with pytest.raises(BadSettings, match="Port"):
        read_settings("gateway.toml", f"[alarms.webhook]\n{hook}")


@pytest.mark.parametrize("name", ["gateway.toml", "policy.toml", "routes.toml"])
def test_a_file_in_another_encoding_is_wrong_use_and_no_error_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes('# 海关\nversion = "1"\n'.encode("gb18030"))
    home = Home(tmp_path)
    with pytest.raises(BadSettings, match=f"^{name}: not UTF-8 at byte 2$"):
        {"gateway.toml": home.settings, "policy.toml": home.policy, "routes.toml": home.routes}[name]()


@pytest.mark.parametrize(("name", "read"), [("policy", read_policy), ("routes", read_routes)])
def test_a_file_that_is_cut_off_anywhere_is_refused(name: str, read: Callable[[str, str], object]) -> None:
    lines = (ROOT / "config" / f"{name}.toml").read_text("utf-8").splitlines(keepends=True)
    tables = [number for number, line in enumerate(lines) if line.startswith("[")]
    assert len(tables) > 3
    for cut in (*tables[1:], len(lines) - 1):
        with pytest.raises(BadSettings, match="cut off") as raised:
            read(f"{name}.toml", "".join(lines[:cut]))
        assert "缺少结尾行" in raised.value.zh
    read(f"{name}.toml", "".join(lines))
    added = '[[route]]\nname = "x"\nbackend = "y"\n' if name == "routes" else ""
    read(f"{name}.toml", "".join(lines) + added)
    own = [line for line in lines if f"# end of {name}.toml" not in line]  # of a release before
    read(f"{name}.toml", "".join(own))
