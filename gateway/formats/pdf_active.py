"""What of a PDF a viewer would run or unpack: scripts, launch actions, files (ISO 32000-1, 12.6, 7.11)."""

from itertools import islice
from typing import Final

import pikepdf

# Where actions and files hang, from the catalog on.
_LEADS_ON: Final = (
    *("/OpenAction", "/Names", "/JavaScript", "/EmbeddedFiles", "/AcroForm", "/Fields", "/Kids"),
    *("/Pages", "/Annots", "/A", "/Next", "/AF", "/FS"),
)
_MOST: Final = 5000
# Found wherever it is written plainly; what is in an object stream, or spelt with escapes, is walked to.
_PLAINLY: Final = {
    "JavaScript": (b"/JavaScript", b"/JS"),
    "Launch": (b"/Launch",),
    "EmbeddedFiles": (b"/EmbeddedFile",),
}


def active_content(body: bytes, file: pikepdf.Pdf) -> list[str]:
    """Which of JavaScript, Launch and EmbeddedFiles it holds. Of many objects the first are looked at."""
    walked = _walked(file)
    return [name for name, signs in _PLAINLY.items() if name in walked or any(sign in body for sign in signs)]


def _walked(file: pikepdf.Pdf) -> set[str]:
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    waiting: list[object] = [file.Root]
    for _ in range(_MOST):
        if not waiting:
            break
        node = waiting.pop()
        if isinstance(node, pikepdf.Array):
            waiting += islice(node, max(0, _MOST - len(waiting)))
        elif isinstance(node, pikepdf.Dictionary):
            if node.is_indirect:
                if node.objgen in seen:
                    continue
                seen.add(node.objgen)
            action = node.get("/S")
            if action == pikepdf.Name.JavaScript or "/JS" in node:
                found.add("JavaScript")
            if action == pikepdf.Name.Launch:
                found.add("Launch")
            if "/EF" in node:
                found.add("EmbeddedFiles")
            waiting += [node[key] for key in _LEADS_ON if key in node]
            events = node.get("/AA")
            if isinstance(events, pikepdf.Dictionary):
                waiting += [event for _, event in events.items()]
    return found
