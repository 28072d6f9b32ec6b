"""Reads files of records: CSV as spreadsheets write it, with a header line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from adapters.home.party_fields import wrong
from adapters.sandbox.customs.records import CustomsRecord, Kind, columns, record


class BadRecords(Exception):
    """A file that cannot be used. The text lists the errors, each with its place in the file."""


def read_records(kind: Kind, path: Path) -> list[CustomsRecord]:
    """The records of a file in UTF-8, with or without BOM, or else GBK. Raises `BadRecords`, and `OSError`
    where the file cannot be read."""
    errors: list[str] = []
    records: dict[str, CustomsRecord] = {}
    for line, cells in _rows(kind, path, errors):
        place = f"{path.name}, line {line}"
        try:
            read = record(kind, cells)
        except ValidationError as error:
            errors.extend(wrong(place, error))
            continue
        if read.number in records:
            errors.append(f"{place}: {read.number} stands there more than once")
        records[read.number] = read
    if not records and not errors:
        errors.append(f"{path.name}: no record in it")
    if errors:
        raise BadRecords("\n".join(errors))
    return list(records.values())


def _rows(kind: Kind, path: Path, errors: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each line that is not empty, with its number. Lines with too many cells go to `errors`."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if sorted(header) != sorted(set(header) & set(columns(kind))):
            raise BadRecords(f"{path.name}, line 1: the columns of {kind} are {', '.join(columns(kind))}")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) > len(header):
                errors.append(f"{path.name}, line {line}: {len(cells)} cells for {len(header)} columns")
            elif any(cell.strip() for cell in cells):
                yield line, dict(zip(header, cells, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadRecords(f"{path.name}, line {reader.line_num}: {error}") from None


def _text(path: Path) -> str:
    body = path.read_bytes()
    for encoding in ("utf-8-sig", "gbk"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadRecords(f"{path.name}: neither UTF-8 nor GBK")
