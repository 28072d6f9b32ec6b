"""The wheel is the whole product: installed into an environment of its own, it does the work elsewhere."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from docs.generate import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that nothing that lies about in the tree can get into it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for package in ("gateway", "adapters", "schemas", "config"):
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in ("cli.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def gateway(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed from the wheel into an environment of its own.

    What the wheel depends on is read from the environment of this test, so that no network is needed; the
    gateway itself is not, since an editable installation is only found where its `.pth` file is read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    command = folder / "bin" / "gateway"
    command.write_text(f"#!{python}\nimport sys\nfrom cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    return command


def _run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GATEWAY"))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _shipped(*folders: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_product(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert _shipped("gateway", "adapters", "schemas", "config") <= held


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "cli.py",
        "gateway",
        "adapters",
        "schemas",
        "config",
    }


def test_the_wheel_names_its_command_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "gateway = cli:main" in archive.read(points).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_the_installed_gateway_is_the_one_of_the_wheel(gateway: Path, tmp_path: Path) -> None:
    python = gateway.parent / "python"
    result = _run(
        python, tmp_path, "-c", "import cli, gateway, schemas; print(cli.__file__, schemas.__file__)"
    )
    assert result.returncode == 0, result.stderr
    assert all(path.startswith(str(gateway.parent.parent)) for path in result.stdout.split())


def test_the_installed_gateway_makes_a_home(gateway: Path, tmp_path: Path) -> None:
    made = _run(gateway, tmp_path, "init", "home", "--sftp-port", "0")
    assert made.returncode == 0, made.stderr
    well = _run(gateway, tmp_path, "doctor", "--home", "home")
    assert well.returncode == 0, well.stdout + well.stderr


def test_the_installed_gateway_shows_the_demo(gateway: Path, tmp_path: Path) -> None:
    demo = _run(gateway, tmp_path, "demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "✗" not in demo.stdout
