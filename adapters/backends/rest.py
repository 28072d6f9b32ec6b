"""The pause that a back-end asked for (Retry-After), kept in a file so that it survives a restart."""

import contextlib
import os
from pathlib import Path
from time import time
from typing import Final

LONGEST: Final = 3600.0  # seconds: longer pauses are cut to this


class Rest:
    """The pause of the back-end whose folder this is. An operator can end it (`end`), also from another
    process."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "not-before"

    def remaining(self) -> float:
        """Seconds that are left. None of an end further ahead than allowed, which was written before the
        clock was set back, or of an invalid time."""
        try:
            seconds = float(self._file.read_text("ascii")) - time()
        except (OSError, ValueError):
            return 0.0
        return seconds if 0 < seconds <= LONGEST else 0.0

    def ask(self, seconds: float) -> None:
        """Pauses for this many seconds; 0 leaves an earlier pause in force. If the disk cannot store it, the
        outcome of the submission is not affected."""
        if seconds <= 0:
            return
        written = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            written.write_text(f"{time() + min(seconds, LONGEST):.3f}", "ascii")
            os.replace(written, self._file)

    def end(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()
