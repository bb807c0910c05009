"""Foreign clients: each has an environment of its own, kept in the machine's cache, and runs scripts in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostmaker.environments.build import default_cache

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = ROOT / "docs" / "clients"
UV = Path(sys.executable).with_name("uv")
BLOCK = re.compile(r"(?m)^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL)
SCRIPT_LIMIT_S = 400
CLOSED_DOOR = "http://127.0.0.1:9"  # for whoever still wants to reach AWS itself
SDK_CONFIG = "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n"


@dataclass(frozen=True)
class Client:
    """A client against one server. `name` is that of its file of requirements."""

    name: str
    ready: Mapping[str, Any]
    home: Path

    def run(self, *words: str, stdin: str | None = None) -> str:
        """Run a program of its environment; gives what it printed."""
        bin_dir = self._environment() / "bin"
        (self.home / "sdk.yaml").write_text(SDK_CONFIG)
        variables = {
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT / "src"),  # hostmaker.session, as if it had been installed
            "AWS_ENDPOINT_URL": self.ready["endpoint_url"],
            "AWS_ACCESS_KEY_ID": self.ready["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.ready["secret_access_key"],
            "AWS_DEFAULT_REGION": self.ready["region"],
            "AWS_REGION": self.ready["region"],
            "HTTPS_PROXY": CLOSED_DOOR,
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(self.home / "sdk.yaml"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        told = subprocess.run(
            [str(bin_dir / words[0]), *words[1:]] if (bin_dir / words[0]).exists() else words,
            input=stdin,
            env=variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=SCRIPT_LIMIT_S,
        )
        said = f"{told.stdout[-4000:]}\n{told.stderr[-8000:]}"
        assert told.returncode == 0, f"{self.name}: {' '.join(words)} ended with {told.returncode}:\n{said}"
        return told.stdout

    def script(self, name: str) -> str:
        """Run a script of this directory; gives what it printed."""
        return self.run("python", str(HERE / "scripts" / f"{name}.py"))

    def page(self, name: str) -> None:
        """Run the blocks of a page as one script, and find the answers that the page shows in what it printed."""
        blocks = [(each["language"], each["text"]) for each in BLOCK.finditer((PAGES / f"{name}.md").read_text())]
        programs = {"python": ["python", "-"], "sh": ["bash", "-eu"]}
        languages = [language for language in programs if any(each == language for each, _ in blocks)]
        assert len(languages) == 1, f"{name}.md mixes languages, or has no block that is run"
        text = "".join(text for language, text in blocks if language == languages[0])
        printed = self.run(*programs[languages[0]], stdin=text)
        for expected in (text for language, text in blocks if language == "text"):
            assert expected in printed, f"{name}.md shows\n{expected}and what was printed is\n{printed}"

    def _environment(self) -> Path:
        """Give the environment with its requirements, made once for the machine."""
        requirements = HERE / "requirements" / f"{self.name}.txt"
        digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
        place = default_cache() / "clients" / f"{self.name}-{digest}"
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.with_name(f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / ".complete").exists():
                subprocess.run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
                install = [UV, "pip", "install", "--quiet", "--python", place / "bin" / "python", "-r", requirements]
                subprocess.run(install, check=True)
                (place / ".complete").touch()
        return place
