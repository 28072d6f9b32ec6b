"""The shipped samples are what `samples.toml` says, and fit the shipped parties, policy and routes."""

import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.cli.init.samples import (
    Sample,
    read_follow_ups,
    read_others,
    read_samples,
    signed,
    write_samples,
)
from gateway.formats import xml
from gateway.judge.route import first
from gateway.model.policy import Policy
from gateway.model.reform import ReformPolicy
from gateway.model.routes import Routes
from tests.support.declarations import enterprise
from tests.support.judging import refused, validated

NAMESPACES = {"d": "http://www.chinaport.gov.cn/dec"}


def _key(kind: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _client(folder: Path, kind: str = "ECDSA") -> Path:
    """A folder like HOME/clients/<account>, as far as signing needs it."""
    folder.mkdir(parents=True)
    key = _key(kind)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sample")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "sign.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    (folder / "sign.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder


def _document(sample: Sample, home: Path) -> tuple[bytes, dict[str, bytes]]:
    body = sample.path(home).read_bytes()
    if sample.kind == "bare":
        return body, {}
    with ZipFile(BytesIO(body)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return parts.pop(f"{sample.folder}.xml"), parts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    _client(tmp_path / "clients" / "trader-a")
    _client(tmp_path / "clients" / "association")
    write_samples(tmp_path)
    return tmp_path


@pytest.mark.parametrize("sample", read_samples(), ids=lambda sample: sample.folder)
def test_each_sample_names_its_sender_and_holds_what_it_lists(sample: Sample, home: Path) -> None:
    document, attachments = _document(sample, home)
    root = xml.parse(document)
    assert root.findtext("d:DecHead/d:AgentCode", namespaces=NAMESPACES) == enterprise(sample.account).code
    listed = [
        str(element.findtext("d:EdocID", namespaces=NAMESPACES))
        for element in root.findall("d:EdocRealation", NAMESPACES)
        if element.findtext("d:EdocFomatType", namespaces=NAMESPACES) == "US"
    ]
    absent = ["224800000002IM202611023812389002.pdf"] if sample.folder == "06-faulty" else []
    assert [name for name in listed if name not in absent] == list(attachments)
    for body in attachments.values():
        with pikepdf.open(BytesIO(body)) as file:
            assert len(file.pages) == 1


@pytest.mark.parametrize("sample", read_samples(), ids=lambda sample: sample.folder)
def test_each_sample_gets_the_verdict_that_is_expected_of_it(sample: Sample, home: Path) -> None:
    findings = refused(sample.package, sample.path(home).read_bytes())
    # The one for a trader of class C is sound in itself: the register refuses it.
    assert bool(findings) == (sample.folder == "06-faulty")
    if sample.verdict == "accepted":
        assert validated(sample.package, sample.path(home).read_bytes()) == ()


def test_the_faulty_sample_shows_each_kind_of_fault_with_its_place(home: Path) -> None:
    sample = next(sample for sample in read_samples() if sample.folder == "06-faulty")
    findings = refused(sample.package, sample.path(home).read_bytes())
    assert {finding.rule for finding in findings} == {
        "DEC-008",
        "DEC-112",
        "DEC-413",
        "DEC-417",
        "DEC-501",
        "DEC-502",
        "DEC-605",
    }
    assert all(
        finding.place.line and finding.place.xpath and finding.zh and finding.en for finding in findings
    )


def test_samples_have_references_of_their_own(home: Path) -> None:
    element = [
        xml.parse(_document(sample, home)[0]).findtext("d:DecSign/d:ClientSeqNo", "", NAMESPACES)
        for sample in read_samples()
    ]
    assert len(set(element)) == len(element)
    assert all(0 < len(reference) <= 18 for reference in element)


def test_the_request_for_an_agreement_is_sound_and_goes_to_the_association(home: Path) -> None:
    (request,) = read_others()
    assert validated(request.package, request.path(home).read_bytes()) == ()
    root = xml.parse(request.path(home).read_bytes())
    assert root.findtext("OperInfo/CopCusCode") == enterprise(request.account).code
    taken = first(str(root.tag), {}, Routes.read(_shipped("routes.toml")))
    assert taken.backend == "association"


def test_writing_the_samples_again_gives_the_same_unsigned_packages(home: Path) -> None:
    before = {sample: sample.path(home).read_bytes() for sample in read_samples() if not sample.sign}
    write_samples(home)
    assert before == {sample: sample.path(home).read_bytes() for sample in before}


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_xmlsec1_accepts_what_a_sample_is_signed_with(kind: str, tmp_path: Path) -> None:
    _client(tmp_path / "clients" / "association")
    client = _client(tmp_path / "clients" / "trader-a", kind)
    (sample,) = (sample for sample in write_samples(tmp_path) if sample.sign)
    document, _ = _document(sample, tmp_path)
    file = tmp_path / "document.xml"
    verify = ["xmlsec1", "--verify", "--trusted-pem", str(client / "sign.crt"), str(file)]
    file.write_bytes(document)
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    file.write_bytes(document.replace(b"<GrossWet>", b"<GrossWet>1"))
    assert subprocess.run(verify, capture_output=True, check=False).returncode != 0


def test_a_signed_document_keeps_its_elements_and_their_order(tmp_path: Path) -> None:
    client = _client(tmp_path / "client")
    before = '<?xml version="1.0" encoding="GBK"?><a xmlns="urn:x"><b>天津</b><c/></a>'.encode("gbk")
    root = xml.parse(signed(before, (client / "sign.key").read_bytes(), (client / "sign.crt").read_bytes()))
    assert [str(child.tag) for child in root] == [
        "{urn:x}b",
        "{urn:x}c",
        "{http://www.w3.org/2000/09/xmldsig#}Signature",
    ]
    assert root[0].text == "天津"


def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("config").joinpath(name).read_text("utf-8"))


def test_the_shipped_policy_is_the_default_one() -> None:
    read = Policy.read(_shipped("policy.toml"))
    assert read.model_copy(update={"reform": ReformPolicy()}) == Policy()  # the reform has no defaults


def test_the_shipped_routes_cover_every_sample_and_nothing_unknown(home: Path) -> None:
    routes = Routes.read(_shipped("routes.toml"))

    def routes_of(office: str) -> list[str]:
        return [route.name for route in routes.route if not route.unmet("DecMessage", {"office": office})]

    for sample in read_samples():
        office = xml.parse(_document(sample, home)[0]).findtext("d:DecHead/d:CustomMaster", "", NAMESPACES)
        assert len(routes_of(office)) == 1
    assert (routes_of("0202"), routes_of("2248"), routes_of("5300")) == (
        ["tianjin"],
        ["shanghai"],
        ["other-districts"],
    )
    assert routes_of("0000") == routes_of("9801") == routes_of("") == []


def test_the_story_names_what_follows_each_pause() -> None:
    following = {row.folder for row in read_follow_ups()}
    story = [sample for sample in read_samples() if sample.story]
    assert len(story) == 6
    for sample in read_samples():
        assert bool(sample.pauses) == (sample.follow_up in following or sample.decided != "")
    assert following == {sample.follow_up for sample in story if sample.follow_up}
