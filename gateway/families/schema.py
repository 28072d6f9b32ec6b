"""An XSD of a family: libxml2 validates quickly, xmlschema explains the faults of a document that is refused.

Includes and imports name files in the family's own folder; nothing else is ever read.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from gateway.formats import xml

if TYPE_CHECKING:
    import xmlschema

_SCHEME: Final = "family:///"


class Schema:
    """Compiled from `files` (name to bytes), starting with the file `main`. Threads must not share one."""

    def __init__(self, files: Mapping[str, bytes], main: str) -> None:
        self._files = files
        self._main = main
        folder = _Folder(files)
        self._compiled = etree.XMLSchema(xml.trusted(files[main], resolver=folder, base_url=_SCHEME + main))

    def validate(self, root: etree._Element) -> bool:
        return self._compiled.validate(root)

    @property
    def error_log(self) -> "etree._ListErrorLog":
        """libxml2's log of the last document that it refused. Within a block of elements it stops at the
        first fault."""
        return self._compiled.error_log

    @cached_property
    def explaining(self) -> "xmlschema.XMLSchema10":
        """The same schema for xmlschema, built on first use: that takes half a second, and the import alone a
        third of a second and 17 MB."""
        from xmlschema import XMLSchema10
        from xmlschema.loaders import SchemaLoader

        texts = {name: body.decode() for name, body in self._files.items()}

        class Loader(SchemaLoader):
            def load_schema(self, source: Any, *arguments: Any, **options: Any) -> Any:
                return super().load_schema(texts[str(source).rsplit("/", 1)[-1]], *arguments, **options)

        return XMLSchema10(texts[self._main], base_url=_SCHEME, loader_class=Loader, use_fallback=False)


class _Folder(etree.Resolver):
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def resolve(self, system_url: str | None, public_id: str | None, context: Any) -> Any:
        name = (system_url or "").removeprefix(_SCHEME)
        if name not in self._files:
            raise FileNotFoundError(f"{system_url} is not in the family's folder")
        return self.resolve_string(self._files[name], context, base_url=_SCHEME + name)
