"""The validate stage over the shipped families, for tests: compiled once per process, as a worker does."""

from functools import cache
from importlib import resources

from lxml import etree

from gateway.families.families import Families
from gateway.formats import xml
from gateway.judge.validate import ValidatedDocument, recognise, validate
from gateway.model.faults import Finding, MessageRejected
from gateway.model.message import Package, Part, Pdf
from gateway.model.policy import Policy
from tests.support.declarations import Declaration
from tests.support.rendering import NAMESPACE, render

POLICY = Policy()
SOUND = Pdf(version=17, pages=2)


@cache
def families() -> Families:
    return Families.load(resources.files("schemas"))


def file(name: str, size: int = 200_000, pdf: Pdf = SOUND) -> Part:
    """An attachment as `unpack` describes it."""
    return Part(name=name, sha256="0" * 64, size=size, pdf=pdf)


def packed(document: bytes, *files: Part) -> Package:
    own = Part(name="declaration.xml", sha256="0" * 64, size=len(document))
    return Package(
        document=document, document_name="declaration.xml", parts=(own, *files), is_zip=bool(files)
    )


def judged(document: bytes, *files: Part, policy: Policy = POLICY) -> ValidatedDocument:
    package = packed(document, *files)
    return validate(recognise(package, families(), policy), package, policy)


def findings(document: bytes, *files: Part, policy: Policy = POLICY) -> tuple[Finding, ...]:
    """Everything that the stage finds, whether it refuses or warns."""
    try:
        return judged(document, *files, policy=policy).warnings
    except MessageRejected as refused:
        return refused.findings


def tree(declaration: Declaration) -> etree._Element:
    """A declaration to be damaged."""
    return xml.trusted(render(declaration))


def at(root: etree._Element, path: str) -> etree._Element:
    """The first element at `path`, names as in the message: `DecHead/GrossWet`, `DecLists/DecList[2]`."""
    element = root.find("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))
    if element is None:
        raise LookupError(path)
    return element


def put(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    """A child of this name with this text, made where it is missing."""
    element = parent.find(f"{{{NAMESPACE}}}{name}")
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}") if element is None else element
    child.text = text
    return child


def take(parent: etree._Element, name: str) -> None:
    for child in parent.findall(f"{{{NAMESPACE}}}{name}"):
        parent.remove(child)


def written(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
