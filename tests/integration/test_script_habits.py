"""What scripts do when they begin, as in the images: run pip, start processes, read files, import packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server
from .runtime_house import wait_until
from .wheels import file_name, wheel_bytes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

TELLS = """
import json
def model_fn(model_dir):
    return TOLD
def transform_fn(model, body, content_type, accept):
    return json.dumps(model() if callable(model) else model), "application/json"
"""

INSTALLS = (
    """
import os, subprocess, sys, sysconfig
HERE = os.path.dirname(os.path.abspath(__file__))
PIP = ["install", "-q", "--no-index", "--find-links", os.path.join(HERE, "wheels")]
subprocess.check_call([sys.executable, "-m", "pip", *PIP, "firstly==1.0"])
import firstly
status = os.system("pip %s secondly" % " ".join(PIP))
import secondly
from pip._internal.cli.main import main
assert main([*PIP, "six==99.0"]) == 0
import six
child = subprocess.run(["python", "-c", "import six, firstly; print(six.version)"], stdout=subprocess.PIPE, text=True)
missing = subprocess.run(["pip3", *PIP, "absent"], capture_output=True, text=True)
TOLD = {"versions": [firstly.version, secondly.version, six.version], "status": status, "child": child.stdout.strip(),
        "missing": missing.stderr, "purelib": sysconfig.get_path("purelib"), "of": six.__file__}
"""
    + TELLS
)

HABITS = (
    """
import argparse, asyncio, logging, multiprocessing, os, signal, subprocess, sys, sysconfig, threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from joblib import Parallel, delayed
sys.path.append(os.path.join(os.path.dirname(__file__), "lib"))
import beside
from package import X
logging.basicConfig(level=logging.INFO)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
if __name__ == "__main__":
    argparse.ArgumentParser().parse_args(["--wrong"])

def twice(x):
    return 2 * x

async def later():
    await asyncio.sleep(0)
    return "later"

def told():
    heard = []
    thread = threading.Thread(target=lambda: heard.append(threading.current_thread().name))
    thread.start()
    thread.join()
    os.chdir("/")
    with multiprocessing.Pool(2) as pool, ProcessPoolExecutor(1) as executor:
        pooled = pool.map(twice, [1, 2]) + list(executor.map(twice, [3]))
    prefix = [sys.executable, "-c", "import sys, sklearn; print(sys.prefix)"]
    return {"pooled": pooled, "joblib": Parallel(n_jobs=2)(delayed(twice)(x) for x in [4, 5]), "threads": len(heard),
            "loop": asyncio.run(later()), "beside": [beside.Y, X],
            "text": (Path(__file__).parent / "words.txt").read_text(),
            "prefix": sys.prefix, "spawned": subprocess.check_output(prefix, text=True).strip(),
            "purelib": sysconfig.get_path("purelib"), "executable": sys.executable,
            "which": subprocess.getoutput("which python pip").split()}

TOLD = told
"""
    + TELLS
)

IMPORTS = (
    """
import boto3, flask, gevent, google.protobuf.message, gunicorn, jinja2, joblib, pandas, PIL, psutil, pyarrow, requests
import retrying, scipy, six, sklearn, urllib3, werkzeug, yaml
TOLD = [sklearn.__version__, pandas.__version__, flask.__version__, boto3.__version__]
"""
    + TELLS
)


def answer(server: Server, name: str) -> Any:
    assert server.wait_while(name, "Creating", 300)["EndpointStatus"] == "InService", server.log()
    body = server.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"1")["Body"].read()
    return json.loads(body)


def test_a_script_may_run_pip(server: Server) -> None:
    """By subprocess, by the shell and in its own process; over what the image has; gone with the instance."""
    files = {
        f"code/wheels/{file_name(*each)}": wheel_bytes(*each) for each in (("firstly", "1.0"), ("secondly", "2.0"))
    }
    files[f"code/wheels/{file_name('six', '99.0')}"] = wheel_bytes("six", "99.0")
    server.create("runs-pip", INSTALLS, files=files)
    told = answer(server, "runs-pip")
    assert told["versions"] == ["1.0", "2.0", "99.0"]
    assert (told["status"], told["child"]) == (0, "99.0")
    assert "No matching distribution found for absent" in told["missing"]
    assert told["of"].startswith(told["purelib"])
    assert "/layer/" in told["purelib"]
    assert Path(told["purelib"]).exists()
    server.client("sagemaker").delete_endpoint(EndpointName="runs-pip")
    wait_until(lambda: not Path(told["purelib"]).exists())


def test_habits_of_scripts(server: Server) -> None:
    """Started, and forked: the second instance of an environment comes off a fork server."""
    files = {"code/lib/beside.py": "Y = 5\n", "code/package/__init__.py": "from .x import X\n"}
    files |= {"code/package/x.py": "X = 6\n", "code/words.txt": "a b"}
    for name, program in (("habits-started", "inference.py"), ("habits-forked", "inference")):
        variables = {"SAGEMAKER_PROGRAM": program, "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
        server.create(name, HABITS, files=files, container={"Environment": variables})
        told = answer(server, name)
        assert told["pooled"] == [2, 4, 6]
        assert told["joblib"] == [8, 10]
        assert (told["threads"], told["loop"], told["beside"], told["text"]) == (1, "later", [5, 6], "a b")
        assert told["prefix"].endswith("/layer")
        assert told["spawned"] == told["prefix"]
        assert told["purelib"].startswith(told["prefix"])
        assert told["executable"] == f"{told['prefix']}/bin/python"
        assert told["which"] == [f"{told['prefix']}/bin/{program}" for program in ("python", "pip")]


def test_packages_of_the_image_and_a_models_own(server: Server) -> None:
    """A requirements.txt that PowerShell wrote, with a wheel of the model's."""
    server.create("image-imports", IMPORTS)
    own = "# ours\r\nsecondly==2.0\r\n--find-links ./wheels\r\n--no-index\r\npandas\r\n".encode("utf-16")
    files = {
        "code/requirements.txt": own,
        f"code/wheels/{file_name('secondly', '2.0')}": wheel_bytes("secondly", "2.0"),
    }
    server.create(
        "own-wheel", "import pandas, secondly\nTOLD = [secondly.version, pandas.__version__]\n" + TELLS, files=files
    )
    assert answer(server, "image-imports")[:3] == ["1.2.1", "1.5.3", "1.1.1"]
    assert answer(server, "own-wheel") == ["2.0", "1.5.3"]
