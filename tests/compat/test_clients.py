"""What the documentation of each client shows, in an environment of its own, against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .clients import PAGES, Client

pytestmark = pytest.mark.timeout(900)  # the first run installs the clients
CLIENT_OF_PAGE = {
    "sagemaker-sdk-2": "sagemaker-2",
    "sagemaker-sdk-3": "sagemaker-3",
    "mlflow": "mlflow",
    "aws-cli": "awscli-1",
    "boto3": "boto3-newest",
    "README": "boto3-oldest",
}
SCRIPTS = [
    ("boto3-oldest", "boto3_whole_job"),
    ("boto3-newest", "boto3_whole_job"),
    ("sagemaker-2", "sdk2_formats"),
    ("sagemaker-2", "sdk2_variants"),
    ("sagemaker-2", "sdk2_options"),
    ("sagemaker-2", "sdk2_explained"),
    ("sagemaker-2", "sdk2_xgboost"),
    ("sagemaker-2", "sdk2_pytorch"),
    ("sagemaker-2", "sdk2_refused"),
    ("sagemaker-3", "sdk3_resources"),
    ("sagemaker-3", "sdk3_refused"),
    ("spacy", "spacy_units"),
    ("explainers", "explainer_oracles"),
    ("image-formats", "image_formats"),
]


@pytest.mark.parametrize("page", CLIENT_OF_PAGE)
def test_what_a_page_says_is_so(client: Callable[[str], Client], page: str) -> None:
    client(CLIENT_OF_PAGE[page]).page(page)


@pytest.mark.parametrize(("name", "script"), SCRIPTS)
def test_a_script(client: Callable[[str], Client], name: str, script: str) -> None:
    client(name).script(script)


def test_every_page_is_run() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(CLIENT_OF_PAGE)
