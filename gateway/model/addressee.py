"""A party that is notified of a declaration, and why it is."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.parties import Account, Party


class Concern(StrEnum):
    """Why a party is notified of a declaration."""

    SENDER = "sender"
    TRADER = "trader"
    PREMISES = "premises"
    ASSOCIATION = "association"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """A party with its account, and why it is notified."""

    party: Party
    account: Account
    concern: Concern
