"""Output of `gateway dossier show`, as JSON and as text."""

from datetime import datetime
from typing import Any

from adapters.cli.output import cell, console, say_rows
from gateway.model.dossier import Dossier, DossierDeclaration


def words(dossier: Dossier) -> dict[str, Any]:
    """Contents of the dossier, what is missing, and what was requested."""
    owed = dossier.owed
    return {
        "dossier": dossier.name,
        "declarations": [_declaration(each) for each in dossier.declarations],
        "licences": [{"kind": kind, "number": number} for kind, number in dossier.licences],
        "owed": None
        if owed is None
        else {
            "due": owed.due,
            "documents": list(owed.documents),
            "missing": list(owed.missing),
            "due_at": _time(owed.due_at),
            "fulfilled_at": _time(owed.fulfilled_at),
        },
        "asked": [
            {"at": each.at.isoformat(), "what": each.what, "note": each.note, "path": each.part}
            for each in dossier.requests
        ],
        "parts": [
            {
                "path": file.path,
                "kind": file.kind,
                "size": file.size,
                "sha256": file.sha256,
                "at": file.at.isoformat(),
                "message": file.message or None,
            }
            for file in dossier.leaves
        ],
    }


def say(shown: dict[str, Any]) -> None:
    """Prints the same for people, without digests, which are for scripts."""
    printer = console()
    printer.print("dossier  ", cell(shown["dossier"]), sep="")
    owed = shown["owed"]
    if owed is not None and owed["documents"]:
        missing = ", ".join(owed["missing"]) or "none"
        until = f" until {owed['due_at']}" if owed["due_at"] else ""
        printer.print("missing  ", cell(f"{missing} (documents are due: {owed['due']}{until})"), sep="")
    for licence in shown["licences"]:
        printer.print("names    ", cell(f"{licence['kind']} {licence['number']}"), sep="")
    tables = {
        "declarations": ("received_at", "id", "reference", "operation", "customs_status", "entry_id"),
        "asked": ("at", "what", "path", "note"),
        "parts": ("at", "size", "kind", "path"),
        "reviews": ("at", "actor", "outcome", "note"),
        "readings": ("at", "actor", "part", "purpose"),
    }
    for title, columns in tables.items():
        if shown[title]:
            printer.print(f"\n{title}")
            say_rows(shown[title], columns, as_json=False)


def _declaration(declaration: DossierDeclaration) -> dict[str, Any]:
    return {
        "id": declaration.id,
        "reference": declaration.reference,
        "account": declaration.account,
        "operation": declaration.operation.value,
        "received_at": declaration.received_at.isoformat(),
        "state": declaration.state,
        "customs_status": declaration.customs_status.value,
        "seq_no": declaration.seq_no or None,
        "entry_id": declaration.entry_id or None,
        "linked": declaration.linked or None,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
