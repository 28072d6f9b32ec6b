"""Who signs in the name of the gateway."""

from collections.abc import Sequence
from typing import Protocol

from lxml import etree


class Signer(Protocol):
    """The gateway's own key. The stages are handed a signer, never a key."""

    def sign(self, root: etree._Element) -> bytes:
        """The document with an enveloped XAdES-BES signature as last child of `root`, serialised as UTF-8
        with an XML declaration. `root` itself is left as it was."""
        ...


class Signers(Protocol):
    """Worker processes that have the gateway's key, so that signing does not block the node."""

    async def signed(self, documents: Sequence[bytes]) -> Sequence[bytes]:
        """XML documents of our own making with the gateway's signature (`Signer.sign`), in their order and in
        one round trip. Raises `JudgementDeferred`, `WorkerDied`, or anything else for a failure of our
        own."""
        ...
