"""What files say of parties, and what is wrong with them, said with file, line and field."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.home.parties_csv import read_table
from adapters.home.parties_toml import read_parties
from adapters.home.ssh_keys import make_ed25519
from gateway.config.bad_settings import BadSettings
from gateway.model.parties import (
    EVER,
    ClassPeriod,
    Contract,
    Period,
    ReceiptForm,
    RegisteredCertificate,
    Role,
    SignaturePolicy,
    TraderClass,
)
from gateway.operate.party_changes import AccountRecord, PartyRecord
from tests.support.keys import identity

HEAD = '[[party]]\ncode = "1207960303"\n'
FULL = """\
[[party]]
code = "1207960303"
scc = "91120116MADEM0B11T"
name = "天津虚构进出口贸易有限公司"
role = "trader"
classes = [
  {class = "A", since = 2012-01-01, until = 2014-06-30},
  {class = "AA", since = 2014-07-01},
]
signature = "required"
keeps_papers = [{since = 2014-07-01}]
kept_before_reform = true
contracts = ["0200", {district = "2200", since = 2012-08-01, until = 2027-06-30}]
certificates = ["sign.crt", {file = "old/sign.crt", revoked_at = 2026-11-01T00:00:00Z}]
confirms_automatically = ["1207980011"]
places = ["天津新港三号库", "TJ001"]

[party.account]
name = "trader-b"
keys = ["id.pub"]
max_package = 2048
max_sessions = 2
max_files = 3
unfinished = [".sending"]
receipts = ["gateway"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old").mkdir()
    (tmp_path / "sign.crt").write_text(identity("p-256").certificate_pem)
    (tmp_path / "old" / "sign.crt").write_text(identity("rsa-2048").certificate_pem)
    (tmp_path / "id.pub").write_text(f"# rotated 2026\n{make_ed25519()[1]} 某人\n")
    return tmp_path


def toml(folder: Path, text: str) -> list[PartyRecord]:
    file = folder / "parties.toml"
    file.write_text(text, encoding="utf-8")
    return read_parties(file)


def table(folder: Path, body: str | bytes) -> list[PartyRecord]:
    file = folder / "parties.csv"
    file.write_bytes(body.encode() if isinstance(body, str) else body)
    return read_table(file)


def errors(read: object, folder: Path, text: str) -> list[str]:
    assert callable(read)
    with pytest.raises(BadSettings) as refusal:
        read(folder, text)
    return str(refusal.value).splitlines()


def test_a_toml_file_can_say_everything_with_its_days(folder: Path) -> None:
    (record,) = toml(folder, FULL)

    assert record == PartyRecord(
        place="parties.toml, party 1 (line 1)",
        code="1207960303",
        scc="91120116MADEM0B11T",
        name="天津虚构进出口贸易有限公司",
        roles=(Role.TRADER,),
        classes=(
            ClassPeriod(trader_class=TraderClass.A, since=date(2012, 1, 1), until=date(2014, 6, 30)),
            ClassPeriod(trader_class=TraderClass.AA, since=date(2014, 7, 1)),
        ),
        signature=SignaturePolicy.REQUIRED,
        keeps_papers=(Period(since=date(2014, 7, 1)),),
        kept_before_reform=True,
        contracts=("0200", Contract(district="2200", since=date(2012, 8, 1), until=date(2027, 6, 30))),
        certificates=(
            identity("p-256").registered,
            RegisteredCertificate(
                pem=identity("rsa-2048").certificate_pem, revoked_at=datetime(2026, 11, 1, tzinfo=UTC)
            ),
        ),
        confirms_automatically=("1207980011",),
        places=("天津新港三号库", "TJ001"),
        account=AccountRecord(
            name="trader-b",
            keys=((folder / "id.pub").read_text("utf-8").splitlines()[1],),
            max_package=2048,
            max_sessions=2,
            max_files=3,
            unfinished=(".sending",),
            receipts=(ReceiptForm.GATEWAY,),
        ),
    )


def test_a_toml_file_gives_no_value_for_keys_that_it_leaves_out(folder: Path) -> None:
    assert toml(folder, HEAD) == [PartyRecord(place="parties.toml, party 1 (line 1)", code="1207960303")]


def test_the_short_forms_leave_the_days_out(folder: Path) -> None:
    (record,) = toml(folder, HEAD + 'class = "AA"\nsince = 2014-07-01\nkeeps_papers = true\n')

    assert (record.trader_class, record.since) == (TraderClass.AA, date(2014, 7, 1))
    assert record.keeps_papers is True
    (undated,) = toml(folder, HEAD + 'classes = [{class = "B"}]')
    assert undated.classes == (ClassPeriod(trader_class=TraderClass.B, since=EVER, until=None),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("klass = 1", "klass: unknown key"),
        ('class = "E"', "class: Input should be 'AA', 'A-producing', 'A', 'B', 'C' or 'D'"),
        ("since = 2014-07-01", "since stands there without class"),
        ('since = "2014-07-01"\nclass = "A"', "since: Input should be a valid date"),
        ("since = 20140701\nclass = 'A'", "since: Input should be a valid date"),
        ('class = "A"\nclasses = []', "only one of the two forms is possible"),
        (
            'classes = [{class = "A", untill = 2014-06-30}]',
            "classes.0.untill: unknown key",
        ),
        (
            'classes = [{class = "A", since = 2014-07-01, until = 2014-06-30}]',
            "classes.0: a period ends on 2014-06-30, before it begins on 2014-07-01",
        ),
        ('contracts = ["0202"]', "contracts.0: '0202' is no district: four digits that end in 00"),
        ('contracts = [{district = "02"}]', "contracts.0.district: '02' is no district"),
        ('contracts = [{district = "0200", from = 1}]', "contracts.0.from: unknown key"),
        ("keeps_papers = [{since = 1}]", "keeps_papers.0.since: Input should be a valid date"),
        ('keeps_papers = "often"', "keeps_papers: Input should be a valid boolean"),
        ('scc = "91120116MADEM0B11X"', "scc: '91120116MADEM0B11X' is no social credit code"),
        (
            'scc = "91120116MADEM0B157"',
            "scc: '91120116MADEM0B157' holds MADEM0B15, which is no organisation code",
        ),
        ('places = [" "]', "places.0: "),
        ('confirms_automatically = ["12"]', "confirms_automatically.0: '12' is no customs code"),
        ('certificates = ["none.crt"]', "certificates: none.crt: No such file or directory"),
        ('certificates = ["id.pub"]', "certificates: id.pub: no usable certificate"),
        (
            'certificates = [{file = "sign.crt", revoked_at = 2026-11-01T00:00:00}]',
            "certificates.0.revoked_at",
        ),
        ('account = {name = "Some One"}', "account.name: 'Some One' is no account"),
        (
            'account = {name = "gateway"}',
            "account.name: 'gateway' is no account: AMQP has queues of that name",
        ),
        ('account = {name = "a", keys = ["sign.crt"]}', "account.keys: sign.crt: no OpenSSH public key"),
        ('account = {name = "a", max_package = 1}', "account.max_package: Input should be greater"),
    ],
)
def test_a_mistake_in_a_toml_file_is_reported_with_party_line_and_key(
    folder: Path, line: str, reason: str
) -> None:
    (mistakes,) = errors(toml, folder, f"# first\n{HEAD}{line}\n")

    assert mistakes.startswith("parties.toml, party 1 (line 2)")
    assert reason in mistakes


def test_all_mistakes_of_a_toml_file_are_reported_at_once(folder: Path) -> None:
    mistakes = errors(
        toml, folder, f'{HEAD}role = "boss"\nname = ""\n\n[[party]]\ncode = "x"\n\n{HEAD}{HEAD}'
    )

    assert [line.split(":")[0] for line in mistakes] == [
        "parties.toml, party 1 (line 1), name",
        "parties.toml, party 1 (line 1), role",
        "parties.toml, party 2 (line 6), code",
        "parties.toml",
    ]
    assert mistakes[-1] == "parties.toml: code 1207960303 stands there more than once"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "party: there is none"),
        ("[party]\n", "party: there is none"),
        (f"{HEAD}[other]\n", "other: unknown key"),
        ("[[party]\n", "line 1"),
    ],
)
def test_a_toml_file_that_lists_no_parties_is_refused(folder: Path, text: str, reason: str) -> None:
    assert any(reason in line for line in errors(toml, folder, text))


def test_of_a_certificate_file_nothing_but_the_certificate_is_taken(folder: Path) -> None:
    signer = identity("p-256")
    (folder / "sign.crt").write_text(signer.key_pem.decode() + signer.certificate_pem)
    (record,) = toml(folder, FULL)

    assert record.certificates[0].pem == signer.certificate_pem


def test_certificates_that_no_signature_may_be_made_with_are_not_registered(folder: Path) -> None:
    (folder / "sign.crt").write_text(identity("rsa-1024").certificate_pem)

    assert errors(toml, folder, FULL) == [
        "parties.toml, party 1 (line 1), certificates: sign.crt: RSA 1024 is too weak or not supported"
    ]


def test_keys_that_would_not_be_let_in_are_not_registered(folder: Path) -> None:
    small = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505  that is the test
    line = small.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    for text, reason in ((line, "RSA with 1024 bits"), ("", "no key in it"), ("ssh-rsa AAAA", "no OpenSSH")):
        (folder / "id.pub").write_text(text)
        (mistakes,) = errors(toml, folder, FULL)
        assert reason in mistakes


ROW = "1207960303,91120116MADEM0B11T,天津虚构进出口贸易有限公司,trader,A-producing,2026-11-01,trader-b"
COLUMNS = "code,scc,name,role,class,since,account"
RECORD = PartyRecord(
    place="parties.csv, line 2",
    code="1207960303",
    scc="91120116MADEM0B11T",
    name="天津虚构进出口贸易有限公司",
    roles=(Role.TRADER,),
    trader_class=TraderClass.A_PRODUCING,
    since=date(2026, 11, 1),
    account=AccountRecord(name="trader-b"),
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_as_spreadsheets_write_it(folder: Path, encoding: str, end: str) -> None:
    assert table(folder, f"{COLUMNS}{end}{ROW}{end}".encode(encoding)) == [RECORD]


def test_columns_come_in_any_order_and_empty_cells_say_nothing(folder: Path) -> None:
    assert table(folder, 'class , code,name\n,1207960303,\n\nB,"3122280022","a ""b"", c"\n') == [
        PartyRecord(place="parties.csv, line 2", code="1207960303"),
        PartyRecord(
            place="parties.csv, line 4", code="3122280022", name='a "b", c', trader_class=TraderClass.B
        ),
    ]


@pytest.mark.parametrize("cell", ["一号库;TJ001", " 一号库 ； TJ001；"])
def test_a_cell_of_a_table_names_several_places(folder: Path, cell: str) -> None:
    (record,) = table(folder, f"code,places\n1207990003,{cell}\n")
    assert record.places == ("一号库", "TJ001")


@pytest.mark.parametrize("cell", ["trader;broker", '"broker,trader"', " trader ； broker；trader"])
def test_a_cell_of_a_table_names_several_roles(folder: Path, cell: str) -> None:
    (record,) = table(folder, f"code,role\n1207990003,{cell}\n")
    assert record.roles == (Role.BROKER, Role.TRADER)


@pytest.mark.parametrize(
    ("written", "roles"),
    [
        ('"broker"', (Role.BROKER,)),
        ('["broker"]', (Role.BROKER,)),
        ('["trader", "broker"]', (Role.BROKER, Role.TRADER)),
    ],
)
def test_a_party_has_one_role_or_a_list_of_them(folder: Path, written: str, roles: tuple[Role, ...]) -> None:
    (record,) = toml(folder, f'[[party]]\ncode = "1207960303"\nrole = {written}\n')
    assert record.roles == roles


@pytest.mark.parametrize("written", ["[]", '["boss"]', '["trader", "boss"]', "1"])
def test_a_list_of_roles_without_any_or_with_an_unknown_one_is_a_mistake(folder: Path, written: str) -> None:
    mistakes = errors(toml, folder, f'[[party]]\ncode = "1207960303"\nrole = {written}\n')
    assert [line.split(":")[0].rstrip(".01") for line in mistakes] == ["parties.toml, party 1 (line 1), role"]


def test_a_name_over_two_lines_does_not_shift_the_line_numbers_of_mistakes(folder: Path) -> None:
    mistakes = errors(table, folder, 'code,name\n1207960303,"a\nb"\n12,c\n')

    assert mistakes == ["parties.csv, line 4, code: '12' is no customs code: 10 digits or capitals"]


def test_all_mistakes_of_a_table_are_reported_with_line_and_column(folder: Path) -> None:
    rows = (
        ROW,
        ROW.replace("1207960303", "1.20796E+09"),
        ROW.replace("B11T", "B11U"),
        ROW.replace("trader,", "boss,"),
        ROW.replace("A-producing", "AAA"),
        ROW.replace("2026-11-01", "1.11.2026"),
        ROW.replace("A-producing", ""),
        f"{ROW},more",
        ROW,
    )
    mistakes = errors(table, folder, "\n".join((COLUMNS, *rows)))

    assert [line.split(":")[0] for line in mistakes] == [
        "parties.csv, line 3, code",
        "parties.csv, line 4, scc",
        "parties.csv, line 5, role",
        "parties.csv, line 6, class",
        "parties.csv, line 7, since",
        "parties.csv, line 8",
        "parties.csv, line 9",
        "parties.csv",
    ]
    assert "'1.11.2026' is no day" in mistakes[4]
    assert "8 cells for 7 columns" in mistakes[6]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "parties.csv, line 1: the header is wrong; the columns are code, scc, name"),
        ("name\nx\n", "parties.csv, line 1: the header is wrong"),
        ("code,kode\n", "parties.csv, line 1: 'kode' is wrong"),
        ("code,code\n", "parties.csv, line 1: the header is wrong"),
        ("code\n", "parties.csv: no party in it"),
        ('code\n"1207960303\n', "parties.csv, line 2: unexpected end of data"),
        (b"code\n\x81\xff\n", "parties.csv: neither UTF-8 nor GBK"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(folder: Path, body: str | bytes, reason: str) -> None:
    with pytest.raises(BadSettings) as refusal:
        table(folder, body)

    assert reason in str(refusal.value)
