"""What a code in an answer of customs means for a declaration: a list of the family's, not code of ours."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO
from typing import Final, Self

from gateway.model.states import CustomsStatus

ANY_OTHER: Final = "*"


class AnswerKind(StrEnum):
    """Which of the three answers of FORMATS 2 a message type is; a profile says it of its types."""

    TECHNICAL = "technical"  # of the import service: whether it was imported
    BUSINESS = "business"  # one for each change of state
    FAILURE = "failure"  # of the import client: it did not reach customs


@dataclass(frozen=True, slots=True)
class CustomsCodes:
    """The codes of one kind of answer. They are case-sensitive (FORMATS 2.3)."""

    statuses: Mapping[str, CustomsStatus | None]
    steps: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """From a CSV with at least the columns `code` and `customs_status`; an empty status leaves that of
        the declaration unchanged, and the code `*` stands for every code that has no row. A column `step`
        names what a code says beside the course of the declaration (of goods in transit: departed, arrived,
        written_off). Raises `ValueError` for a status that does not exist or a code that is there twice."""
        statuses: dict[str, CustomsStatus | None] = {}
        steps: dict[str, str] = {}
        for row in csv.DictReader(StringIO(text)):
            if row["code"] in statuses:
                raise ValueError(f"code {row['code']} is there twice")
            statuses[row["code"]] = CustomsStatus(row["customs_status"]) if row["customs_status"] else None
            if step := row.get("step"):
                steps[row["code"]] = step
        return cls(statuses, steps)

    @classmethod
    def refusal(cls) -> Self:
        """The codes of an answer that is a refusal whatever its code."""
        return cls({ANY_OTHER: CustomsStatus.REFUSED})

    def status(self, code: str) -> CustomsStatus | None:
        """None where the code is unknown or says nothing of the declaration's course."""
        return self.statuses.get(code, self.statuses.get(ANY_OTHER))

    def step(self, code: str) -> str:
        """Empty where the code says nothing beside the declaration's course."""
        return self.steps.get(code, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """How the answers of one message type are read."""

    kind: AnswerKind
    codes: CustomsCodes
