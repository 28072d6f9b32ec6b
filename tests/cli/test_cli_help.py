"""The command line that people and scripts rely on: options, columns, exit codes, examples that work."""

import io
import json
import shlex
import shutil
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperCommand

import cli
from adapters.cli.exit_codes import INTERNAL, NO, UNREACHABLE, USAGE
from adapters.cli.init.init import create_home
from adapters.home.home import Home
from docs.parts import leaves

LEAVES = dict(leaves())
# What reads: each speaks JSON. `replay` says what it did, `init`, `serve` and `demo` have their own form.
READING = sorted(set(LEAVES) - {"gateway init", "gateway serve", "gateway demo", "gateway customs serve"})
MESSAGE = (
    "id reference party account family type state customs_status faults received_at size attempts "
    "waiting_for until"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which nothing has happened yet; no test changes it."""
    return create_home(tmp_path_factory.mktemp("cli") / "home", 0, datetime.now(UTC)).path


@dataclass(frozen=True)
class CommandResult:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _no_home_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_HOME", raising=False)


def _gateway(*arguments: object, **environment: str) -> CommandResult:
    """The command itself, in this process, since each new one takes a second to import what it needs."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            cli.app([str(argument) for argument in arguments], prog_name="gateway")
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return CommandResult(code or 0, out.getvalue(), err.getvalue())


def _json(*arguments: object, **environment: str) -> Any:
    result = _gateway(*arguments, "--json", **environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", LEAVES)
def test_the_help_of_a_command_has_an_example_that_its_options_allow(name: str) -> None:
    help_ = LEAVES[name].help or ""
    examples = [paragraph for paragraph in help_.split("\n\n") if paragraph.startswith("Example: ")]
    assert examples
    for example in examples:
        words = shlex.split(example.removeprefix("Example: "))
        path = name.split()
        assert words[: len(path)] == path
        options = {option for parameter in LEAVES[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_and_argument_says_what_it_is(name: str) -> None:
    silent = [option.name for option in LEAVES[name].params if option.name != "help" and not _help_of(option)]
    assert not silent


def _help_of(parameter: Any) -> str:
    return parameter.help or ""


@pytest.mark.parametrize("name", READING)
def test_a_command_that_reads_takes_home_and_json_after_its_name(name: str) -> None:
    assert {"--home", "--json"} <= _options(LEAVES[name])


def _options(command: TyperCommand) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_commands_that_print_sentences_take_a_language() -> None:
    speaking = {name for name, command in LEAVES.items() if "--lang" in _options(command)}
    assert speaking == {
        *("gateway demo", "gateway check", "gateway doctor", "gateway reload"),
        *(f"gateway messages {act}" for act in ("list", "show", "trace")),
        *(f"gateway documents {act}" for act in ("list", "show")),
        *(f"gateway agreements {act}" for act in ("list", "show", "trace")),
        *(
            f"gateway association {act}"
            for act in ("list", "confirm", "refuse", "withdraw", "terminate", "amend")
        ),
        *(f"gateway customs {act}" for act in ("queue", "decide")),
        *(f"gateway parties {act}" for act in ("list", "show", "import")),
        *(f"gateway alarms {act}" for act in ("list", "test")),
    }


def test_lists_show_a_hundred_by_default() -> None:
    for name, command in LEAVES.items():
        if name.endswith(" list"):
            (limit,) = [option for option in command.params if "--limit" in option.opts]
            assert limit.default == 100


@pytest.mark.parametrize("help_option", ["-h", "--help"])
def test_help_is_shown_wherever_it_is_asked_for(help_option: str) -> None:
    for place in ([], ["messages"], ["messages", "list"], ["serve"]):
        result = _gateway(*place, help_option)
        assert result.returncode == 0
        assert " ".join(["Usage: gateway", *place]) in result.stdout


@pytest.mark.parametrize("group", ["messages", "deliveries", "documents", "parties", "agreements"])
def test_a_group_without_a_subcommand_lists(home: Path, group: str) -> None:
    assert _json(group, "--home", home) == _json(group, "list", "--home", home)


def test_a_party_is_listed_with_the_columns_of_the_contract(home: Path) -> None:
    listed = _json("parties", "list", "--home", home)
    assert {tuple(party) for party in listed} == {("account", "code", "scc", "name", "class", "role")}
    classes = {party["account"]: party["class"] for party in listed}
    assert classes == {
        "broker-aa": "AA",
        "broker-b": "B",
        "trader-a": "A-producing",
        "trader-aa": "AA",
        "trader-b": "B",
        "association": None,
        "customs": None,
        "premises": None,
    }


def test_a_list_may_be_cut_short(home: Path) -> None:
    everyone = _json("parties", "list", "--home", home, "--limit", "0")
    assert _json("parties", "list", "--home", home, "--limit", "3") == everyone[-3:]


def test_the_home_may_come_from_the_environment(home: Path) -> None:
    assert _json("parties", "list", GATEWAY_HOME=str(home)) == _json("parties", "list", "--home", home)


def test_a_home_that_is_named_counts_more_than_the_environment(home: Path, tmp_path: Path) -> None:
    assert _json("messages", "list", "--home", home, GATEWAY_HOME=str(tmp_path / "none")) == []


def test_messages_of_an_empty_home_are_none_for_people_and_an_empty_array_for_scripts(home: Path) -> None:
    assert "(none)" in _gateway("messages", "list", "--home", home).stdout
    assert _json("messages", "list", "--home", home) == []


def test_a_table_shows_headings_that_people_read(home: Path) -> None:
    assert "account" in _gateway("parties", "list", "--home", home).stdout.splitlines()[0]


def test_a_file_that_would_be_accepted_ends_with_0(home: Path) -> None:
    sample = home / "samples" / "broker-aa" / "02-import-by-broker.zip"
    assert _json("check", sample, "--home", home)["verdict"] == "accepted"


def test_a_file_that_would_be_refused_ends_with_1_and_says_why(home: Path) -> None:
    sample = home / "samples" / "broker-aa" / "06-faulty.zip"
    english = _gateway("check", sample, "--home", home)
    chinese = _gateway("check", sample, "--home", home, "--lang", "zh")
    assert (english.returncode, chinese.returncode) == (NO, NO)
    assert "GNo must count the lines from 1 without a gap.\n    value: 3\n" in english.stdout
    assert "商品项号（GNo）必须从 1 开始连续编号" in chinese.stdout
    assert "\n    所填内容：3\n" in chinese.stdout


def test_an_unknown_id_ends_with_1(home: Path) -> None:
    for command in (
        ("messages", "show"),
        ("messages", "trace"),
        ("parties", "show"),
        ("agreements", "show"),
        ("agreements", "trace"),
    ):
        assert _gateway(*command, "nobody", "--home", home).returncode == NO


def test_a_file_without_a_good_signature_ends_with_1(home: Path) -> None:
    unsigned = home / "samples" / "trader-b" / "01-import-by-trader.xml"
    result = _gateway("receipts", "verify", unsigned, "--home", home, "--json")
    assert result.returncode == NO
    assert json.loads(result.stdout)["code"] == "signature-missing"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("messages", "nonsense"),
        ("messages", "list", "--state", "nonsense"),
        ("messages", "list", "--limit", "-1"),
        ("messages", "list", "--nonsense"),
        ("check", "no-such-file.xml"),
        ("messages", "replay", "SOMETHING"),
    ],
    ids=" ".join,
)
def test_a_wrong_use_ends_with_2(home: Path, arguments: tuple[str, ...]) -> None:
    result = _gateway(*arguments, GATEWAY_HOME=str(home))
    assert result.returncode == USAGE
    assert result.stdout == ""


def test_a_missing_home_and_an_occupied_folder_end_with_2(home: Path, tmp_path: Path) -> None:
    assert _gateway("messages", "list").returncode == USAGE
    not_one = _gateway("messages", "list", "--home", tmp_path)
    assert not_one.returncode == USAGE
    assert f"gateway init {tmp_path}" in not_one.stderr
    assert _gateway("init", home).returncode == USAGE


def test_a_wrong_setting_ends_with_2_and_names_file_and_key(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    settings = tmp_path / "home" / "gateway.toml"
    settings.write_text(settings.read_text("utf-8") + '\n[sftpp]\nhost = "here"\n', "utf-8")
    result = _gateway("serve", "--home", tmp_path / "home")
    assert result.returncode == USAGE
    assert "gateway.toml: sftpp" in result.stderr


def test_a_second_node_on_one_home_ends_with_3(home: Path) -> None:
    with Home(home).locked():
        result = _gateway("serve", "--home", home)
    assert result.returncode == UNREACHABLE
    assert "another gateway serves" in result.stderr


def test_commands_that_read_do_not_mind_a_home_that_is_served(home: Path) -> None:
    with Home(home).locked():
        assert _json("messages", "list", "--home", home) == []


def test_a_failure_of_our_own_ends_with_4(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    with closing(sqlite3.connect(tmp_path / "home" / "gateway.db", isolation_level=None)) as store:
        store.execute("UPDATE parties SET record = '[]'")
    sample = home / "samples" / "broker-aa" / "02-import-by-broker.zip"
    assert _gateway("check", sample, "--home", tmp_path / "home").returncode == INTERNAL


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(shell: str) -> None:
    # Else typer asks who started this process, which is no shell where the tests run in the background.
    result = _gateway("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert result.returncode == 0
    assert "COMPLETE" in result.stdout


def test_completion_offers_the_commands_of_a_group() -> None:
    result = _gateway(_GATEWAY_COMPLETE="complete_bash", COMP_WORDS="gateway messages ", COMP_CWORD="2")
    assert {"list", "show", "trace", "replay"} <= set(result.stdout.split())


def test_the_columns_of_a_message_are_those_of_the_contract() -> None:
    from adapters.store.read.message_search import COLUMNS

    assert " ".join(COLUMNS) == MESSAGE


def test_the_version_is_printed() -> None:
    stderr = io.StringIO()
    with redirect_stdout(stderr), pytest.raises(SystemExit) as ended:
        cli.app(["--version"])
    assert ended.value.code == 0
    assert stderr.getvalue().strip() == version("customs-edi-gateway")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_says_of_each_what_it_says_of_itself(name: str) -> None:
    own = (cli.loaded(name).help or "").split("\n\n")[0]
    assert cli.COMMANDS[name].help == " ".join(own.split())
