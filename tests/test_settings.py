"""`gateway.toml` as an administrator may get it wrong: the key that is wrong is named as it stands there."""

import pytest

from gateway.connections import DirectorySettings
from gateway.settings import BadSettings, read_settings


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
def test_a_key_that_its_kind_does_not_know_or_lacks_is_named(text: str, complaint: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings("/srv/gateway.toml", f"[backend.customs]\n{text}\n")
    assert str(refused.value).startswith(f"gateway.toml: {complaint}")
