"""`parties.toml`: what is imported into the register of parties."""

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from adapters.home import Home
from gateway.parties import (
    Account,
    Party,
    ReceiptForm,
    RegisteredCertificate,
    Role,
    SignaturePolicy,
    TraderClass,
)
from gateway.settings import BadSettings, checked, toml


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Account(_Section):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    keys: tuple[str, ...]
    max_package: int = Field(512 * 1024 * 1024, ge=1024)
    max_sessions: int = Field(16, ge=1)
    max_files: int = Field(2000, ge=1)
    receipts: tuple[ReceiptForm, ...] = (ReceiptForm.SINGLE_WINDOW, ReceiptForm.GATEWAY)


class _Party(_Section):
    code: str = Field(pattern=r"^[0-9A-Z]{10}$")
    scc: str = Field(pattern=r"^[0-9A-Z]{18}$")
    name: str = Field(min_length=1)
    role: Role
    trader_class: TraderClass | None = Field(None, alias="class")
    signature: SignaturePolicy = SignaturePolicy.OPTIONAL
    keeps_papers: bool = False
    contracts: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    account: _Account | None = None


class _File(_Section):
    party: tuple[_Party, ...]


def read_parties(home: Home) -> list[Party]:
    """The parties of `HOME/parties.toml`, with the key and certificate files that it names, from the home.

    Raises `BadSettings`.
    """
    name = home.parties.name
    listed = checked(name, toml(name, home.parties.read_text(encoding="utf-8")), _File).party
    accounts = [party.account.name for party in listed if party.account is not None]
    for what, values in (("code", [party.code for party in listed]), ("account", accounts)):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise BadSettings(f"{name}: {what} {', '.join(twice)} stands there more than once")
    return [_party(home.path, party) for party in listed]


def _party(home: Path, listed: _Party) -> Party:
    account = listed.account
    return Party(
        code=listed.code,
        scc=listed.scc,
        name=listed.name,
        role=listed.role,
        trader_class=listed.trader_class,
        signature=listed.signature,
        keeps_papers=listed.keeps_papers,
        contracts=listed.contracts,
        certificates=tuple(RegisteredCertificate(pem=_named(home, path)) for path in listed.certificates),
        account=None
        if account is None
        else Account(
            name=account.name,
            keys=tuple(_named(home, path).strip() for path in account.keys),
            max_package=account.max_package,
            max_sessions=account.max_sessions,
            max_files=account.max_files,
            receipts=account.receipts,
        ),
    )


def _named(home: Path, path: str) -> str:
    try:
        return (home / path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"parties.toml: {path}: {error}") from None
