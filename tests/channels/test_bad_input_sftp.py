"""Bad input over real SFTP: the sender finds the file in FailBox with a report, and its answers in InBox."""

from collections.abc import Iterator

import pytest

from adapters.store.tables.messages import deliveries
from gateway.formats import xml
from tests.support import bad_messages, hostile_zips
from tests.support.declarations import Declaration
from tests.support.keys import xmlsec1_trusts
from tests.support.receipts import NS, faults_of, schema
from tests.support.rendering import packed
from tests.support.served import Gateway

ACCOUNT = "broker-aa"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


def listed(gateway: Gateway, folder: str, base: str) -> list[str]:
    with gateway.login(ACCOUNT).session() as client:
        return [name for name in client.listdir(f"/{folder}") if base in name]


def assert_refused(gateway: Gateway, name: str, body: bytes, code: str) -> None:
    base = name.rpartition(".")[0]
    gateway.send(ACCOUNT, name, body)
    gateway.until(lambda: name in listed(gateway, "FailBox", base))
    report = next(name for name in listed(gateway, "FailBox", base) if name.startswith("Report_"))
    text = gateway.read(ACCOUNT, f"/FailBox/{report}").decode()
    assert text.startswith(f"{name}：网关拒收，错误 ")
    assert gateway.read(ACCOUNT, f"/FailBox/{name}") == body
    assert listed(gateway, "OutBox", base) == listed(gateway, "SentBox", base) == []
    failed, signed = sorted(listed(gateway, "InBox", base))
    answer = gateway.read(ACCOUNT, f"/InBox/{failed}")
    assert failed.startswith(f"Failed_{base}_")
    assert faults_of(schema("cn-dec", "DecImportResponse.xsd"), answer) == []
    receipt = gateway.read(ACCOUNT, f"/InBox/{signed}")
    assert signed.startswith(f"Gateway_{base}_")
    assert faults_of(schema("gateway", "receipt.xsd"), receipt) == []
    assert f'code="{code}"' in receipt.decode()
    assert xmlsec1_trusts(receipt, gateway.home.certificate.read_text())
    codes = {fault.get("code") for fault in xml.parse(receipt).iterfind("g:Faults/g:Fault", NS)}
    assert codes == {code}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("not-xml", "package-unreadable"),
        ("entity-billion-laughs", "xml-dtd"),
        ("gbk-undeclared", "xml-encoding"),
        ("wrong-party", "wrong-party"),
        ("pdf-missing", "document-missing"),
    ],
)
def test_a_bad_file_ends_in_failbox_with_its_report(name: str, code: str, gateway: Gateway) -> None:
    case = bad_messages.CASES[name]
    file = bad_messages.FOLDER / f"{name}.{case.suffix}"
    assert_refused(gateway, file.name, file.read_bytes(), code)


def test_a_zip_bomb_ends_in_failbox_too(gateway: Gateway) -> None:
    assert_refused(gateway, "bomb.zip", (hostile_zips.FOLDER / "bomb.zip").read_bytes(), "zip-ratio")


def test_others_are_served_while_much_that_is_bad_comes_in(gateway: Gateway) -> None:
    bad = {f"bad-{name}.xml": bad_messages.CASES[name].make() for name in ("dtd", "latin-1", "not-closed")}
    for name, body in bad.items():
        gateway.send(ACCOUNT, name, body)
    gateway.send(ACCOUNT, "good.zip", packed(Declaration(reference="GOOD")))
    gateway.until(lambda: listed(gateway, "InBox", "Receipt_good"))
    gateway.until(lambda: len(listed(gateway, "FailBox", "bad-")) == 2 * len(bad))
    with gateway.reading() as reader:
        assert len(reader.execute(deliveries.select()).all()) == 1
