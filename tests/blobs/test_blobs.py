"""The contract of `blobs.BlobStore`, for each implementation of it."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.blobs.filesystem import FilesystemBlobs
from gateway.model.blobs import SMALL, BlobStore, Package

LARGE = bytes(range(256)) * (SMALL // 256) + b"!"
STORES: dict[str, Callable[[Path], BlobStore]] = {"filesystem": FilesystemBlobs}


@pytest.fixture(params=STORES)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return STORES[request.param](tmp_path / "blobs")


def store_blob(blobs: BlobStore, data: bytes) -> str:
    spool = blobs.spool()
    spool.write(0, data)
    package = spool.keep()
    assert package.body is None
    return package.sha256


def test_a_stored_blob_can_be_read_under_its_digest(blobs: BlobStore) -> None:
    spool = blobs.spool()
    spool.write(0, LARGE[:3])
    spool.write(3, LARGE[3:])
    assert spool.keep() == Package(hashlib.sha256(LARGE).hexdigest(), len(LARGE))
    with blobs.open(hashlib.sha256(LARGE).hexdigest()) as stream:
        stream.seek(2)
        assert stream.read() == LARGE[2:]


@pytest.mark.parametrize("body", [b"", b"a", LARGE[:SMALL]], ids=len)
def test_a_small_package_is_given_to_its_message_and_leaves_no_file(
    blobs: BlobStore, tmp_path: Path, body: bytes
) -> None:
    spool = blobs.spool()
    spool.write(0, body)
    assert spool.keep() == Package(hashlib.sha256(body).hexdigest(), len(body), body)
    assert files(tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(
    ahead=st.sampled_from([0, SMALL]),  # all of it small, or a blob
    steps=st.lists(
        st.one_of(
            st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=20)),
            st.tuples(st.integers(0, 40), st.none()),
        ),
        max_size=12,
    ),
)
def test_writes_in_any_order_and_truncations_give_the_digest_of_what_is_there(
    ahead: int, steps: list[tuple[int, bytes | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for make in STORES.values():
        blobs = make(tmp_path_factory.mktemp("blobs"))
        spool = blobs.spool()
        spool.write(0, LARGE[:ahead])
        model = bytearray(LARGE[:ahead])
        for place, data in steps:
            offset = ahead + place
            if data is None:
                spool.truncate(offset)
                model[offset:] = b""
                model.extend(bytes(offset - len(model)))
            else:
                spool.write(offset, data)
                model.extend(bytes(max(0, offset + len(data) - len(model))))
                model[offset : offset + len(data)] = data
        assert spool.size == len(model)
        assert spool.read(0, ahead + 100) == bytes(model)
        whole = bytes(model)
        sha256 = hashlib.sha256(whole).hexdigest()
        assert spool.keep() == Package(sha256, len(whole), whole if len(whole) <= SMALL else None)
        if len(whole) > SMALL:
            with blobs.open(sha256) as stream:
                assert stream.read() == whole


def test_the_same_bytes_are_kept_once(blobs: BlobStore, tmp_path: Path) -> None:
    assert store_blob(blobs, LARGE) == store_blob(blobs, LARGE)
    assert [path.name for path in files(tmp_path)] == [hashlib.sha256(LARGE).hexdigest()]


def test_a_discarded_spool_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    spool = blobs.spool()
    spool.write(0, b"half of it")
    spool.discard()
    spool.discard()
    assert files(tmp_path) == []


def test_discarding_after_keeping_keeps(blobs: BlobStore) -> None:
    spool = blobs.spool()
    spool.write(0, LARGE)
    package = spool.keep()
    spool.discard()
    with blobs.open(package.sha256) as stream:
        assert stream.read() == LARGE


@pytest.mark.parametrize(
    "name", ["0" * 64, "", "../spool/x", "/etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "..", "０" * 64]
)
def test_a_name_that_is_no_digest_of_a_blob_is_not_found(blobs: BlobStore, name: str) -> None:
    with pytest.raises(KeyError):
        blobs.open(name)


def test_a_sweep_removes_what_a_crash_left_and_no_blob(blobs: BlobStore, tmp_path: Path) -> None:
    sha256 = store_blob(blobs, LARGE)
    # A child that writes to two spools and is gone without a word, as by a crash.
    child = (
        "import os; from pathlib import Path; from adapters.blobs.filesystem import FilesystemBlobs as B\n"
        f"blobs = B(Path({str(tmp_path / 'blobs')!r}))\n"
        "for _ in range(2): blobs.spool().write(0, b'x')\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", child], check=True, cwd=Path(__file__).parents[2])
    assert len(files(tmp_path)) == 3
    assert blobs.sweep() == 2
    assert [path.name for path in files(tmp_path)] == [sha256]
    assert blobs.sweep() == 0


@pytest.fixture
def files_of_at_most_64_kb() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_spool_that_could_not_be_written_keeps_nothing(
    blobs: BlobStore, tmp_path: Path, files_of_at_most_64_kb: None
) -> None:
    spool = blobs.spool()
    spool.write(0, bytes(60000))
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        spool.write(60000, bytes(60000))
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        spool.keep()
    assert files(tmp_path) == []


def test_a_spool_that_could_not_be_lengthened_keeps_nothing(
    blobs: BlobStore, tmp_path: Path, files_of_at_most_64_kb: None
) -> None:
    spool = blobs.spool()
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        spool.truncate(1 << 20)
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        spool.keep()
    assert files(tmp_path) == []


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
