"""Finds the declaration that later documents belong to (docs/reform.md, R4)."""

from typing import Final

from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.message import DeclarationRecord, Facts
from gateway.model.parties import Party
from gateway.model.register import Register
from gateway.model.states import CustomsStatus

_NAMES: Final = {
    "client_reference": ("reference", "客户端编号"),
    "seq_no": ("SeqNo", "统一编号"),
    "entry_id": ("entry number", "报关单号"),
}


def match_declaration(facts: Facts, party: Party, register: Register) -> DeclarationRecord:
    """The accepted declaration that the numbers name. Raises `MessageRejected` where there is none, the
    sender is not one of its parties (nobody learns anything about another's declaration), or customs is
    finished with it."""
    values = facts.values
    names = {name: values.get(name, "") for name in _NAMES}
    declaration = register.declaration(
        party=party.code,
        reference=names["client_reference"],
        seq_no=names["seq_no"],
        entry_id=names["entry_id"],
    )
    if declaration is None or not any(party.is_called(code) for code in declaration.parties):
        stated = {_NAMES[name]: value for name, value in names.items() if value}
        raise MessageRejected(
            finding(
                Fault.DECLARATION_UNKNOWN,
                detail=", ".join(f"{en} {value}" for (en, _zh), value in stated.items()),
                detail_zh="，".join(f"{zh} {value}" for (_en, zh), value in stated.items()),
            )
        )
    if declaration.customs_status in (CustomsStatus.REFUSED, CustomsStatus.DELETED):
        raise MessageRejected(
            finding(Fault.DECLARATION_ENDED, detail=declaration.entry_id or declaration.reference)
        )
    return declaration
