"""What a sender can make the verifier spend is bounded before any signature is known to be valid."""

from time import process_time

from tests.support.keys import identity
from tests.support.xml_signatures import Habit, finding_of, verified

SIGNER = identity("rsa-2048")
DOCUMENT = '<m xmlns="urn:m" xmlns:e="urn:e"><head Id="H">good</head><list/>{signature}</m>'


def test_a_part_that_would_take_long_to_canonicalise_is_refused() -> None:
    signed = Habit().sign(DOCUMENT, SIGNER).decode()
    text = signed.replace("<ds:SignedInfo>", f'<ds:SignedInfo a="{"x" * 100_000}">')

    assert finding_of(text, SIGNER.registered).code == "signature-form"


def test_an_element_with_very_many_attributes_is_refused_before_it_is_looked_at() -> None:
    signed = Habit().sign(DOCUMENT, SIGNER).decode()
    attributes = " ".join(f'a{number}=""' for number in range(20_000))
    text = signed.replace("<ds:SignedInfo>", f"<ds:SignedInfo {attributes}>")

    assert finding_of(text, SIGNER.registered).code == "xml-attributes"


def test_a_document_with_very_many_namespaces_is_refused_before_it_is_canonicalised() -> None:
    signed = Habit().sign(DOCUMENT, SIGNER).decode()
    declarations = " ".join(f'xmlns:a{number}="urn:a"' for number in range(8_000))
    many = signed.replace("<m ", f"<m {declarations} ")

    assert finding_of(many, SIGNER.registered).code == "xml-namespaces"


def test_the_same_namespace_declared_on_every_element_is_accepted() -> None:
    empty = '<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>' * 100
    text = Habit().sign(DOCUMENT.replace("<list/>", f"<list>{empty}</list>"), SIGNER)

    assert len(verified(text, SIGNER.registered).root[1]) == 100


def test_a_prefix_list_that_repeats_itself_costs_nothing() -> None:
    habit = Habit(c14n="exclusive", reference="exclusive", prefixes="e " * 10_000)
    text = habit.sign(DOCUMENT.replace("<list/>", "<list>" + "<a/>" * 1_000 + "</list>"), SIGNER)

    began = process_time()
    verified(text, SIGNER.registered)

    assert process_time() - began < 1
