"""Active content of a PDF, which a viewer would run or unpack: scripts, launch actions and embedded files
(ISO 32000-1, 12.6 and 7.11)."""

from itertools import islice
from typing import Final

import pikepdf

# The keys that lead from the catalog to actions and files.
_LEADS_ON: Final = (
    *("/OpenAction", "/Names", "/JavaScript", "/EmbeddedFiles", "/AcroForm", "/Fields", "/Kids"),
    *("/Pages", "/Annots", "/A", "/Next", "/AF", "/FS"),
)
_MOST: Final = 5000
# Names that are searched for in the bytes. Those in an object stream, or spelt with escapes, are only found
# by walking the objects.
_PLAINLY: Final = {
    "JavaScript": (b"/JavaScript", b"/JS"),
    "Launch": (b"/Launch",),
    "EmbeddedFiles": (b"/EmbeddedFile",),
}


def active_content(body: bytes, file: pikepdf.Pdf) -> list[str]:
    """Which of JavaScript, Launch and EmbeddedFiles the file holds. At most 5,000 objects are walked."""
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
