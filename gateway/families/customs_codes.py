"""What a code in an answer of customs means for a declaration: read from the family's code lists."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Final, Self

from gateway.model.answer import AnswerKind
from gateway.model.states import CustomsStatus

ANY_OTHER: Final = "*"


@dataclass(frozen=True, slots=True)
class CustomsCodes:
    """The codes of one kind of answer. They are case-sensitive."""

    statuses: Mapping[str, CustomsStatus | None]
    steps: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads a CSV with at least the columns `code` and `customs_status`. An empty status leaves the
        declaration's unchanged; the code `*` stands for every code that has no row. The optional column
        `step` names a step besides the declaration's status (of goods in transit: departed, arrived,
        written_off). Raises `ValueError` for an unknown status or a code that is listed twice."""
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
        """Codes of a type of answer that is always a refusal."""
        return cls({ANY_OTHER: CustomsStatus.REFUSED})

    def status(self, code: str) -> CustomsStatus | None:
        """The status that a code means; None where the code is unknown or changes no status."""
        return self.statuses.get(code, self.statuses.get(ANY_OTHER))

    def step(self, code: str) -> str:
        """The step that a code means; empty where there is none."""
        return self.steps.get(code, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """How the answers of one message type are read."""

    kind: AnswerKind
    codes: CustomsCodes
