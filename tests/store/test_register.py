"""The register as a worker reads it: what it has read of parties is kept until the register changes."""

from adapters.store.prepared import PreparedConnection
from adapters.store.read.register import SqlRegister
from gateway.model.parties import Role
from tests.support.harness import Harness


def test_parties_are_read_again_after_any_change_of_the_register(harness: Harness) -> None:
    register = SqlRegister.over(PreparedConnection(harness.database.engine))

    def seen() -> tuple[str, str, list[str]]:
        account, trader = register.party_of("broker-aa"), register.party_called("1207980011")
        assert account is not None
        assert trader is not None
        return account.name, trader.name, sorted(party.name for party in register.in_role(Role.BROKER))

    with register.unchanged():
        before = seen()
        assert seen() == before
        assert register.party_of("nobody") is None
    party = harness.change("broker-aa", name="另一家")
    with register.unchanged():
        after = seen()
    assert (before[0], after[0], party.name) == (before[0], "另一家", "另一家")
    assert "另一家" in after[2]
    assert before[0] not in after[2]
    assert seen() == after
    added = harness.change("broker-aa", name=before[0])
    assert (seen()[0], added.name) == (before[0], before[0])  # nothing is kept outside


def test_a_party_that_was_not_there_is_found_once_it_is(harness: Harness) -> None:
    register = SqlRegister.over(PreparedConnection(harness.database.engine))
    with register.unchanged():
        assert register.party_of("newcomer") is None
    harness.change_account("broker-b", name="newcomer")
    with register.unchanged():
        found = register.party_of("newcomer")
    assert found is not None
