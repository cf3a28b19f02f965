"""The image, without an engine: the Dockerfile's rules, and whether what it copies is enough."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import healthcheck
from deploy.health import start_health
from shared import config

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")
PROGRAM = """
import json, sys
from deploy.embedded import Embedded
from shared import config
import services, shared

running = Embedded(config.load(), demo=True)
running.start()
running.stop()
print(json.dumps([services.__path__[0], shared.__path__[0]]))
"""


def instructions() -> list[tuple[str, str]]:
    """Each instruction and the rest of its line, continued lines joined."""
    joined = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    lines = [line.strip() for line in joined.splitlines()]
    return [
        (word, " ".join(rest.split()))
        for line in lines
        if line and not line.startswith("#")
        for word, _, rest in [line.partition(" ")]
    ]


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(HADOLINT), str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_begins_with_a_pinned_image_and_ends_as_nobody_in_particular() -> None:
    found = instructions()
    bases = [rest.split()[0] for word, rest in found if word == "FROM"]
    users = [rest for word, rest in found if word == "USER"]

    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])
    assert users[-1] == "10001:10001"
    assert max(n for n, (word, _) in enumerate(found) if word == "RUN") < found.index(
        ("USER", users[-1])
    )


def test_no_secret_and_no_mode_is_in_it() -> None:
    said = " ".join(rest for word, rest in instructions() if word in {"ENV", "ARG"})

    assert "PBXIM_MODE" not in said
    assert not re.search(r"(?i)password|secret|token|key", said)


def test_packages_are_taken_by_their_hashes_alone() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    installs = [found for run in runs for found in re.findall(r"pip install ([^&]*)", run)]

    assert len(installs) == 3
    assert "--require-hashes --requirement requirements.txt" in installs[0]
    assert '--require-hashes --requirement "$MORE"' in installs[1]
    assert "--no-deps --no-build-isolation --no-index" in installs[2]


def test_it_is_asked_whether_it_lives() -> None:
    (check,) = [rest for word, rest in instructions() if word == "HEALTHCHECK"]

    assert json.loads(check.partition(" CMD ")[2]) == ["python", "-m", "deploy.healthcheck"]


def sources() -> list[str]:
    """What is copied from the checkout."""
    copies = [rest.split() for word, rest in instructions() if word == "COPY"]
    return [name for parts in copies if not parts[0].startswith("--") for name in parts[:-1]]


def context(folder: Path) -> Path:
    """What an engine is given: the checkout without what .dockerignore keeps out."""
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert patterns[0] == "*", "all but what is named"
    let_in = [pattern[1:].rstrip("/") for pattern in patterns if pattern.startswith("!")]
    out = [p.rstrip("/") for p in patterns[1:] if not p.startswith("!")]

    def left_out(place: str, names: list[str]) -> set[str]:
        within = Path(place).relative_to(ROOT)
        paths = {name: str(within / name) for name in names}
        return {
            name
            for name, path in paths.items()
            for pattern in out
            if fnmatch.fnmatch(path, pattern.replace("**/", "*"))
        }

    for name in let_in:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=left_out)
        else:
            shutil.copy(source, target)
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """``/app`` of the image."""
    given = context(_made(tmp_path / "context"))
    inside = _made(tmp_path / "app")
    for name in sources():
        source = given / name.rstrip("/")
        assert source.exists(), f"{name} is copied and not there"
        if source.is_dir():
            shutil.copytree(source, inside / source.name)
        else:
            shutil.copy(source, inside)
    return inside


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_is_copied_is_all_that_the_product_needs_to_run(app: Path, tmp_path: Path) -> None:
    environment = {
        "PBXIM_MODE": "sandbox",
        "PBXIM_HTTP": "127.0.0.1:0",
        "PBXIM_DATA": str(tmp_path / "data"),
        "PBXIM_LOG_LEVEL": "error",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=app,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [str(app / "services"), str(app / "shared")]
    assert (tmp_path / "data/demo.json").exists()


def test_what_is_copied_has_nothing_of_the_machine_it_comes_from(app: Path) -> None:
    found = {str(path.relative_to(app)) for path in app.rglob("*") if path.is_file()}

    assert "deploy/nameko.yaml" in found
    assert "services/gateway/templates/dialog.html" in found
    assert not [name for name in found if name.endswith(".pyc")]
    assert not [name for name in found if name.startswith(("deploy/secrets/", "tests", ".git"))]
    assert len(found) > 200


def test_the_health_check_asks_the_process_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"ready": True}
    settings = config.load({"PBXIM_MODE": "sandbox", "PBXIM_HEALTH": "0.0.0.0:0"})
    health = start_health(settings, lambda: state, None, "relay")
    monkeypatch.setenv("PBXIM_MODE", "sandbox")
    monkeypatch.setenv("PBXIM_HEALTH", f"0.0.0.0:{health.port}")

    def asked(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            healthcheck.main(list(arguments))
        return int(ended.value.code or 0)

    good = asked("/readyz")
    state["ready"] = False
    bad = asked("/readyz"), asked()
    health.close()

    assert good == 0
    assert bad == (1, 0)
    assert '"not_ready"' in capsys.readouterr().out
    assert asked() == 1
    assert "refused" in capsys.readouterr().out
