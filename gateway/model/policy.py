"""The policy: what the gateway judges by, not how it runs. One frozen value, replaced as a whole.

The digest goes into the trail and the receipts, so that an old decision can be explained under the policy
of its day.
"""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.band_policy import MonitoringPolicy
from gateway.model.reform import ReformPolicy


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def digest_of(configuration: BaseModel) -> str:
    """SHA-256 (hex) over the canonical JSON of the whole configuration: sorted keys, no white space."""
    text = json.dumps(configuration.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class PackagePolicy(_Section):
    """Bounds of a package (docs/for-brokers.md, "What a package is"); an account's own limit on size
    replaces `size`."""

    entries: int = Field(200, ge=1, description="files in one package at most")
    ratio: int = Field(100, ge=1, description="unpacked size over packed size at most, per entry and in all")
    document_size: int = Field(32 * 1024 * 1024, ge=1024, description="bytes of the XML document at most")
    document_depth: int = Field(64, ge=4, le=250, description="nested elements of the XML document at most")


class PdfPolicy(_Section):
    """PDF rules of GAC announcement 2013 No.29 annex 1, limits of its 2019 edition."""

    version: int = Field(14, description="lowest PDF version, major * 10 + minor")
    size: int = Field(4 * 1024 * 1024, description="bytes of one file at most")
    page_size: int = Field(400 * 1024, description="bytes of one file over its pages at most")
    name: int = Field(64, description="characters of a file name at most")
    active_content: Literal["warn", "refuse"] = Field(
        "warn",
        description="files with JavaScript, launch actions or embedded files: warn of them, or refuse them",
    )
    wait_hours: float = Field(
        24,
        gt=0,
        description="hours that a PDF sent on its own and the document listing it wait for each other",
    )


class DeclarationPolicy(_Section):
    lines: int = Field(50, ge=1, description="lines of one declaration at most")
    total_tolerance: float = Field(
        0.01, ge=0, lt=1, description="allowed relative difference of price times quantity and line total"
    )
    same_content: Literal["accept", "refuse"] = Field(
        "accept", description="the same goods under another reference: accept with a warning, or refuse"
    )


class AgreementPolicy(_Section):
    wait_hours: float = Field(
        48, gt=0, description="hours that a declaration waits for an agreement that is not there yet"
    )
    beyond_mandate: Literal["refuse", "accept"] = Field(
        "refuse",
        description="declarations under an agreement that go beyond the direction, services, goods, offices "
        "or value of the mandate that it stands under: refuse or accept them",
    )
    revoked: Literal["deliver", "hold"] = Field(
        "deliver",
        description="declarations accepted under an agreement that is terminated before customs took them: "
        "deliver them, or hold them for an operator",
    )


class DocumentsPolicy(_Section):
    """Documents that follow a release (R4); `reform.after_release_days` says when they are due."""

    reminders: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (3, 0), description="days before the deadline on which their parties are reminded"
    )


class AnswerPolicy(_Section):
    due_hours: float = Field(24, gt=0, description="hours after which a final answer of customs is overdue")


class OperationsPolicy(_Section):
    """Which acts of operators need a second person (four eyes)."""

    four_eyes: tuple[Literal["hold", "release", "reject", "replay"], ...] = Field(
        (), description="acts that a second person approves, however few messages they are on"
    )
    four_eyes_from: int = Field(
        100, ge=2, description="messages of one command from which on a second person approves any act"
    )


class Policy(_Section):
    """`config/policy.toml`, typed. An unknown key is an error."""

    version: str = Field("2026-11", description="name of this policy, for people")
    package: PackagePolicy = PackagePolicy()
    pdf: PdfPolicy = PdfPolicy()
    declaration: DeclarationPolicy = DeclarationPolicy()
    agreement: AgreementPolicy = AgreementPolicy()
    documents: DocumentsPolicy = DocumentsPolicy()
    answer: AnswerPolicy = AnswerPolicy()
    operations: OperationsPolicy = OperationsPolicy()
    reform: ReformPolicy = ReformPolicy()
    monitoring: MonitoringPolicy = MonitoringPolicy()

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        return cls.model_validate(data)

    @cached_property
    def digest(self) -> str:
        return digest_of(self)
