"""The texts of notices, in Chinese and English: read from the family's `notices.toml`."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.model.states import CustomsStatus

OTHER: Final = "other"  # the class of an answer whose code means no status
_OF_CLASS: Final = frozenset({"entry_id", "seq_no", "reference", "code"})
_OF_PREMISES: Final = frozenset({"entry_id", "bill_no", "packages", "gross_weight", "containers"})

_DASH: Final = {"zh": "–", "en": "–"}
_NONE: Final = {"zh": "无", "en": "none"}


def class_of(status: CustomsStatus | None) -> str:
    """The receipt class of an answer: the status that its code means, or `OTHER`."""
    return OTHER if status is None else status.value


def _template(text: str) -> str:
    if not Template(text).is_valid():
        raise ValueError(f"{text!r} is no template: $name, or $$ for a dollar sign")
    return text


_Text = Annotated[str, Field(min_length=1), AfterValidator(_template)]


class _Texts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: _Text
    en: _Text

    def unknown(self, placeholders: Iterable[str]) -> set[str]:
        used = {name for text in (self.zh, self.en) for name in Template(text).get_identifiers()}
        return used.difference(placeholders)

    def filled(self, values: Mapping[str, str], missing: Mapping[str, str] = _DASH) -> dict[str, str]:
        return {
            lang: Template(text).substitute({name: value or missing[lang] for name, value in values.items()})
            for lang, text in (("zh", self.zh), ("en", self.en))
        }


class _Note(_Texts):
    """`repeats` are customs' standard notes that only repeat the class."""

    repeats: tuple[str, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: dict[str, _Texts] = Field(alias="class")
    note: _Note
    premises: dict[Literal["I", "E"], _Texts]


@dataclass(frozen=True, slots=True)
class NoticeTexts:
    """The texts of one family: one for each receipt class, one for customs' own note, and those for premises
    of imports and exports."""

    _classes: Mapping[str, _Texts]
    _note: _Note
    _premises: Mapping[Literal["I", "E"], _Texts]

    @classmethod
    def read(cls, text: str, statuses: Iterable[CustomsStatus | None]) -> Self:
        """Reads TOML. `statuses` are those that the family's answers can have: each must have its text.

        Raises `ValueError` for a class without text in both languages, a text of a class that no answer has,
        and an unknown placeholder.
        """
        read = _File.model_validate(tomllib.loads(text))
        expected = {class_of(status) for status in statuses} | {OTHER}
        if read.classes.keys() != expected:
            differing = ", ".join(sorted(read.classes.keys() ^ expected))
            raise ValueError(f"classes that have no text, or a text and no answer: {differing}")
        for name, texts in read.classes.items():
            if unknown := texts.unknown(_OF_CLASS):
                raise ValueError(f"class {name}: nothing fills in {', '.join(sorted(unknown))}")
        if unknown := read.note.unknown({"note"}):
            raise ValueError(f"note: nothing fills in {', '.join(sorted(unknown))}")
        if read.premises.keys() != {"I", "E"}:
            raise ValueError("premises: there is a text of imports (I) and one of exports (E)")
        for texts in read.premises.values():
            if unknown := texts.unknown(_OF_PREMISES):
                raise ValueError(f"premises: nothing fills in {', '.join(sorted(unknown))}")
        return cls(read.classes, read.note, read.premises)

    def of_answer(
        self, class_: str, *, entry_id: str, seq_no: str, reference: str, code: str, note: str
    ) -> dict[str, str]:
        """The text by language (`zh`, `en`). Empty values are shown as a dash; the note is left out where it
        is empty or only repeats the class."""
        values = {"entry_id": entry_id, "seq_no": seq_no, "reference": reference, "code": code}
        texts = self._classes[class_].filled(values)
        says_more = note.strip().rstrip("。") not in ("", *self._note.repeats)
        notes = self._note.filled({"note": note}) if says_more else {}
        return {lang: text + notes.get(lang, "") for lang, text in texts.items()}

    def of_release(
        self,
        *,
        direction: str,
        entry_id: str,
        bill_no: str,
        packages: str,
        gross_weight: str,
        containers: str,
    ) -> dict[str, str]:
        """The text for premises by language; empty values are shown as "none"."""
        return self._premises["E" if direction == "E" else "I"].filled(
            {
                "entry_id": entry_id,
                "bill_no": bill_no,
                "packages": packages,
                "gross_weight": gross_weight,
                "containers": containers,
            },
            _NONE,
        )
