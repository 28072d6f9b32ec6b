"""The names of unfinished files, kept over a restart: a restart removes the files, and senders that believe
one was sent are notified that it was not."""

import json
import secrets
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

# Counted from the last write; after that, nobody looks for the file any more.
_TOLD_FOR: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class LostUpload:
    """An unfinished file of an earlier run of the node."""

    name: str
    touched: datetime
    note: Path

    def forget(self) -> None:
        self.note.unlink(missing_ok=True)


class UploadNotes:
    """One file in `folder` for each upload. If it cannot be written, the upload continues without it."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._lost: defaultdict[str, list[LostUpload]] = defaultdict(list)
        folder.mkdir(mode=0o700, exist_ok=True)
        for note in sorted(folder.iterdir()):
            try:
                content = json.loads(note.read_bytes())
                lost = LostUpload(content["name"], datetime.fromisoformat(content["touched"]), note)
                if now - lost.touched > _TOLD_FOR:
                    raise ValueError
                self._lost[content["account"]].append(lost)
            except (ValueError, KeyError, TypeError, OSError):  # cut off by the crash that left it, or old
                note.unlink(missing_ok=True)

    def note(self, account: str, name: str, touched: datetime) -> Path | None:
        note = self._folder / secrets.token_hex(16)
        content = {"account": account, "name": name, "touched": touched.isoformat()}
        try:
            note.write_text(json.dumps(content), "ascii")
        except OSError:
            with suppress(OSError):
                note.unlink(missing_ok=True)
            return None
        return note

    def lost(self, account: str) -> list[LostUpload]:
        """The lost uploads whose notices the account has not removed yet."""
        return [each for each in self._lost.get(account, ()) if each.note.exists()]
