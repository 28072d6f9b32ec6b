"""Opens the back-ends of the sandbox that `gateway.toml` describes: the only module of it that a node
imports."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.home.named_files import Renewal
from adapters.sandbox.association.association import ReferenceAssociation
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.simulated_backend import SimulatedBackend
from gateway.config.connections import AssociationSettings, ReferenceSettings
from gateway.formats.signing import XadesSigner
from gateway.model.clock import Clock
from gateway.model.register import Register


@contextmanager
def opened_sandbox(
    home: Home,
    name: str,
    settings: AssociationSettings | ReferenceSettings,
    register: Register,
    clock: Clock,
    renewals: list[Renewal],
) -> Iterator[SimulatedBackend]:
    """The back-end, closed when the context ends. Adds to `renewals` what reloads its keys and
    certificates."""
    match settings:
        case AssociationSettings():
            with closing(association(home, name, settings, register, clock)) as backend:
                renewals += [
                    partial(_trusting, backend, home),
                    lambda: partial(backend.sign_by, _signer(home, settings)),
                ]
                yield backend
        case ReferenceSettings():
            certificate = home.certificate.read_text()
            with closing(ReferenceCustoms(home.path / "backends" / name, certificate, clock)) as customs:
                renewals.append(partial(_trusting, customs, home))
                yield customs


def association(
    home: Home, name: str, settings: AssociationSettings, register: Register, clock: Clock
) -> ReferenceAssociation:
    """The association of the sandbox, with the key of its account. Raises `OSError` where the key cannot be
    read."""

    def confirms(trader: str, broker: str) -> bool:
        party = register.party_called(trader)
        return party is not None and broker in party.confirms_automatically

    return ReferenceAssociation(
        home.path / "backends" / name,
        home.certificate.read_text(),
        _signer(home, settings),
        clock,
        confirms,
    )


def _signer(home: Home, settings: AssociationSettings) -> XadesSigner:
    client = Path("clients", settings.account)
    key = home.path / (settings.key or client / "sign.key")
    certificate = home.path / (settings.certificate or client / "sign.crt")
    return XadesSigner(key.read_bytes(), certificate.read_text(), utc_now)


def _trusting(backend: SimulatedBackend, home: Home) -> Callable[[], None]:
    return partial(backend.trust, home.certificate.read_text())
