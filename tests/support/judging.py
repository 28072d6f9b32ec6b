"""What unpacking and validation, with the shipped families and policy, say to a package."""

from functools import cache
from importlib import resources
from io import BytesIO

from gateway.families.families import Families
from gateway.judge.unpack import unpack
from gateway.judge.validate import recognise, validate
from gateway.model.faults import Finding, MessageRejected
from gateway.model.policy import Policy


@cache
def families() -> Families:
    return Families.load(resources.files("schemas"))


def validated(name: str, body: bytes, policy: Policy | None = None) -> tuple[Finding, ...]:
    """The warnings; raises `MessageRejected` as the stages do."""
    in_force = policy or Policy()
    package = unpack(
        name, lambda: BytesIO(body), len(body), in_force.package, in_force.pdf, limit=512 * 1024 * 1024
    )
    return validate(recognise(package, families(), in_force), package, in_force).warnings


def refused(name: str, body: bytes, policy: Policy | None = None) -> tuple[Finding, ...]:
    """The findings of the refusal, with the warnings among them; none where it is not refused."""
    try:
        validated(name, body, policy)
    except MessageRejected as rejected:
        return rejected.findings
    return ()
