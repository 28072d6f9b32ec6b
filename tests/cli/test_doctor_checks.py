"""What `doctor` looks at of a home, and what only where it is asked to."""

from pathlib import Path

from adapters.cli.doctor import examine
from adapters.home.home import Home
from tests.support.harness import NOW, Harness


def test_doctor_names_what_others_may_read_but_not_what_was_given_to_them(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        home = harness.home
        with (home.path / "gateway.toml").open("a") as settings:
            settings.write('[backend.office]\nkind = "directory"\nfolder = "office"\n')
        (home.path / "office").mkdir(mode=0o755)
        assert _found(home) == "for their owner only"
        (home.path / "policy.toml").chmod(0o644)
        assert _found(home).startswith("1 can be read by others: policy.toml; to end that: chmod")


def _found(home: Home) -> str:
    (check,) = [check for check in examine(home, NOW) if check["check"] == "files of the home"]
    assert check["ok"]
    return str(check["detail"])


def test_doctor_reads_the_whole_store_only_where_it_is_asked_to(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        check = [
            check["detail"]
            for whole in (False, True)
            for check in examine(harness.home, NOW, whole=whole)
            if check["check"] == "store"
        ]
    assert check[0].startswith("it can be read (--whole reads every page)")
    assert check[1].startswith("no damaged page")
