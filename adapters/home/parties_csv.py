"""Parties as a table: CSV as written by spreadsheets, with a header line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from adapters.home.party_fields import COLUMNS, read_cells, twice, wrong
from gateway.config.bad_settings import BadSettings
from gateway.operate.party_changes import PartyRecord


def read_table(path: Path) -> list[PartyRecord]:
    """The parties in the table; an empty cell leaves a field as it is. UTF-8, with or without BOM, else GBK.

    Raises `BadSettings` with every error, each with its line and column.
    """
    errors: list[str] = []
    stated: list[PartyRecord] = []
    for line, cells in _rows(path, errors):
        place = f"{path.name}, line {line}"
        try:
            stated.append(read_cells(place, cells))
        except ValidationError as error:
            errors.extend(wrong(place, error))
    errors.extend(twice(path.name, stated))
    if not stated and not errors:
        errors.append(f"{path.name}: no party in it")
    if errors:
        raise BadSettings("\n".join(errors))
    return stated


def _rows(path: Path, errors: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line that is not empty; errors that concern one line only are added to `errors`."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        unknown = [cell for cell in header if cell not in COLUMNS]
        if unknown or len(set(header)) < len(header) or "code" not in header:
            raise BadSettings(
                f"{path.name}, line 1: {', '.join(map(repr, unknown)) or 'the header'} is wrong; "
                f"the columns are {', '.join(COLUMNS)}, each at most once, code always"
            )
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) > len(header):
                errors.append(f"{path.name}, line {line}: {len(cells)} cells for {len(header)} columns")
            elif any(stripped := [cell.strip() for cell in cells]):
                yield line, dict(zip(header, stripped, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadSettings(f"{path.name}, line {reader.line_num}: {error}") from None


def _text(path: Path) -> str:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadSettings(f"{path.name}: {error.strerror}") from None
    for encoding in ("utf-8-sig", "gbk"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadSettings(f"{path.name}: neither UTF-8 nor GBK")
