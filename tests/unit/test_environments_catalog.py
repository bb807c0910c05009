"""Images and their runtimes: whatever the registry, by repository and tag."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from hostmaker.environments.catalog import CatalogError, UnknownImageError, load_catalog, match_image
from hostmaker.environments.choice import choose_release
from hostmaker.environments.requirements import normalized

CATALOG = load_catalog()
REGISTRIES = (
    "683313688378.dkr.ecr.us-east-1.amazonaws.com",
    "246618743249.dkr.ecr.us-west-2.amazonaws.com",
    "141502667606.dkr.ecr.eu-west-1.amazonaws.com",
    "492215442770.dkr.ecr.eu-central-1.amazonaws.com",
    "354813040037.dkr.ecr.ap-northeast-1.amazonaws.com",
    "366743142698.dkr.ecr.ap-northeast-2.amazonaws.com",
    "121021644041.dkr.ecr.ap-southeast-1.amazonaws.com",
    "783357654285.dkr.ecr.ap-southeast-2.amazonaws.com",
    "341280168497.dkr.ecr.ca-central-1.amazonaws.com",
    "737474898029.dkr.ecr.sa-east-1.amazonaws.com",
    "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn",
    "451049120500.dkr.ecr.cn-northwest-1.amazonaws.com.cn",
    "414596584902.dkr.ecr.us-gov-west-1.amazonaws.com",
    "683313688378.dkr.ecr-fips.us-east-1.amazonaws.com",
    "localhost:5000",
    "localhost",
    "ghcr.io",
    "mirror.example.com/aws",
)
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("registry", REGISTRIES)
@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("0.20.0-cpu-py3", "0.20.0"),
        ("0.23-1-cpu-py3", "0.23"),
        ("0.23-1", "0.23"),
        ("1.0-1", "1.0"),
        ("1.0-1-cpu-py3", "1.0"),
        ("1.2-1", "1.2"),
        ("1.2-1-cpu-py3", "1.2"),
        ("1.4-2-cpu-py3", "1.4"),
        ("1.4-2-cpu-py312", "1.4"),
        ("1.2-1-1-cpu-py3", "1.2"),
    ],
)
def test_account_and_region_do_not_matter(registry: str, tag: str, version: str) -> None:
    match = match_image(f"{registry}/sagemaker-scikit-learn:{tag}", CATALOG)
    assert (match.runtime.name, match.version) == ("scikit-learn", version)
    assert match.name == f"{registry}/sagemaker-scikit-learn"


def test_a_digest_tells_no_version() -> None:
    match = match_image(f"{REGISTRIES[0]}/sagemaker-scikit-learn@{DIGEST}", CATALOG)
    assert match.version is None
    choice = choose_release(match, ("3.11",))
    assert choice.release.version == match.runtime.releases[-1].version
    assert choice.note is not None
    assert "names no version" in choice.note
    assert match_image(f"{REGISTRIES[0]}/sagemaker-scikit-learn:1.2-1@{DIGEST}", CATALOG).version == "1.2"
    assert match_image("sagemaker-scikit-learn:1.2-1", CATALOG).name == "sagemaker-scikit-learn"


@pytest.mark.parametrize(
    "uri",
    [
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19.0-cpu",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/my-own:latest",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/not-sagemaker-scikit-learn:1.2-1",
    ],
)
def test_an_unknown_image_says_what_is_known_and_how_to_add_one(uri: str) -> None:
    with pytest.raises(UnknownImageError) as caught:
        match_image(uri, CATALOG)
    for part in (uri, "sagemaker-scikit-learn", "node.runtimes", "docs/how-to/add-a-runtime.md"):
        assert part in str(caught.value)


@pytest.mark.parametrize("tag", ["latest", "cpu", "1", "1.2-1-gpu-py3"])
def test_an_unknown_tag_names_known_ones(tag: str) -> None:
    with pytest.raises(UnknownImageError, match=r"1\.2-1-cpu-py3"):
        match_image(f"x.example/sagemaker-scikit-learn:{tag}", CATALOG)


@given(st.text(max_size=255))
def test_any_text_is_matched_or_refused(uri: str) -> None:
    with contextlib.suppress(UnknownImageError):
        match_image(uri, CATALOG)


@pytest.mark.parametrize(
    ("tag", "pythons", "release", "python", "is_exact"),
    [
        ("1.2-1", ("3.11",), "1.2.1", "3.11", True),
        ("1.2-1", ("3.12", "3.9"), "1.2.1", "3.9", True),  # an exact release beats the preferred interpreter
        ("1.2-1", ("3.12",), "1.3.2", "3.12", False),
        ("1.4-2", ("3.14", "3.11"), "1.4.2", "3.11", True),
        ("1.4-2", ("3.14",), "1.7.2", "3.14", False),
        ("0.23-1", ("3.11",), "1.1.3", "3.11", False),
        ("0.23-1", ("3.11", "3.8"), "0.23.2", "3.8", True),
        ("0.20.0-cpu-py3", ("3.11", "3.7"), "0.20.0", "3.7", True),
        ("1.0-1", ("3.11", "3.10"), "1.0.2", "3.10", True),
        ("1.9-0", ("3.11",), "1.9.0", "3.11", True),
        ("1.10-1", ("3.11",), "1.9.0", "3.11", False),
    ],
)
def test_the_nearest_release_with_a_wheel(
    tag: str, pythons: tuple[str, ...], release: str, python: str, is_exact: bool
) -> None:
    choice = choose_release(match_image(f"sagemaker-scikit-learn:{tag}", CATALOG), pythons)
    assert (choice.release.version, choice.python, choice.is_exact) == (release, python, is_exact)
    assert (choice.note is None) == is_exact


def test_another_release_is_said() -> None:
    choice = choose_release(match_image("sagemaker-scikit-learn:0.23-1", CATALOG), ("3.11",))
    assert choice.note is not None
    assert choice.note.startswith(
        "the image asks for scikit-learn 0.23.2, of which no wheel exists for the interpreters here (3.11); "
        "using 1.1.3 on Python 3.11"
    )


def test_the_newer_of_two_as_near() -> None:
    match = match_image("sagemaker-scikit-learn:1.4-2", CATALOG)
    releases = tuple(r for r in match.runtime.releases if r.version in ("1.3.2", "1.5.2"))
    runtime = dataclasses.replace(match.runtime, releases=releases)
    assert choose_release(dataclasses.replace(match, runtime=runtime), ("3.11",)).release.version == "1.5.2"


def test_no_interpreter_that_does() -> None:
    match = match_image("sagemaker-scikit-learn:1.2-1", CATALOG)
    with pytest.raises(UnknownImageError, match=r"has wheels for Python 3\.7, .*the interpreters here are 3\.5"):
        choose_release(match, ("3.5",))
    with pytest.raises(UnknownImageError, match="are none"):
        choose_release(match, ())


OWN = """
[runtimes.mine]
repositories = ["churn"]
tag = 'v(?P<version>\\d+\\.\\d+)'
tags = ["v1.2"]
handler = "sklearn"
package = "scikit-learn"
requirements = ["lightgbm"]
[[runtimes.mine.releases]]
version = "1.2.2"
pythons = ["3.11"]
requirements = []
"""


def test_a_catalog_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "runtimes.toml"
    path.write_text(OWN)
    catalog = load_catalog(path)
    assert match_image("registry.example/team/churn:v1.2", catalog).runtime.requirements == ("lightgbm",)
    assert match_image("sagemaker-scikit-learn:1.2-1", catalog).runtime.name == "scikit-learn"
    path.write_text(OWN.replace("runtimes.mine", "runtimes.scikit-learn"))
    with pytest.raises(UnknownImageError):  # an entry of the same name replaces ours
        match_image("sagemaker-scikit-learn:1.2-1", load_catalog(path))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("handler =", "handlre =", "needs the keys"),
        ("(?P<version>", "(?P<wrong>", "no group"),
        ("(?P<version>", "(?P<version>(", "not of the right form"),
        ('"1.2.2"', '"1.2.x"', "not a version"),
        ("pythons =", "interpreters =", "needs version, pythons and requirements"),
        ('["churn"]', '"churn"', "not a list of texts"),
        ("[runtimes.mine]", "[runtimes.mine", "cannot be read"),
        (OWN, "", "no .runtimes.NAME. table"),
    ],
)
def test_a_bad_catalog_names_the_file_and_the_fault(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = tmp_path / "runtimes.toml"
    path.write_text(OWN.replace(before, after))
    with pytest.raises(CatalogError, match=says) as caught:
        load_catalog(path)
    assert str(path) in str(caught.value)
    with pytest.raises(CatalogError, match="absent"):
        load_catalog(tmp_path / "absent.toml")


def test_every_release_is_bounded_where_its_metadata_is_not() -> None:
    for release in next(runtime for runtime in CATALOG if runtime.name == "scikit-learn").releases:
        number = tuple(int(part) for part in release.version.split("."))
        is_bounded = any(text.startswith("numpy<") for text in release.requirements)
        assert is_bounded == (number < (1, 4)), release
        assert any(text.startswith("pandas") for text in release.requirements)


@pytest.mark.parametrize(
    ("uri", "runtime", "version"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "xgboost", "1.7"),
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:0.90-1-cpu-py3", "xgboost", "0.90"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", "xgboost", None),
        ("763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:2.6.0-gpu-py312-cu124", "pytorch", "2.6.0"),
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:"
            "2.6.0-transformers4.49.0-cpu-py312-ubuntu22.04",
            "huggingface",
            "4.49.0",
        ),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-pyfunc:3.17.2", "mlflow", "3.17.2"),
        ("hostmaker/toolkit:3.12", "toolkit", "3.12"),
        ("hostmaker/python", "python", None),
        ("hostmaker/serve:latest", "serve", None),
    ],
)
def test_the_images_of_the_catalog(uri: str, runtime: str, version: str | None) -> None:
    match = match_image(uri, CATALOG)
    assert (match.runtime.name, match.version) == (runtime, version)


def test_every_tag_that_is_shown_matches_and_runs_somewhere() -> None:
    for runtime in CATALOG:
        pythons = sorted({python for release in runtime.releases for python in release.pythons})
        for tag in runtime.tags:
            assert choose_release(match_image(f"{runtime.repositories[0]}:{tag}", CATALOG), pythons)


def test_releases_are_told_oldest_first() -> None:
    for runtime in CATALOG:
        numbers = [tuple(int(part) for part in release.version.split(".")) for release in runtime.releases]
        assert numbers == sorted(set(numbers)), runtime.name


def test_where_python_has_the_versions_the_preferred_one_serves() -> None:
    match = match_image("hostmaker/python", CATALOG)
    choice = choose_release(match, ("3.11", "3.13"))
    assert (choice.python, choice.is_exact, choice.note) == ("3.11", True, None)
    assert choose_release(match_image("hostmaker/python:3.13", CATALOG), ("3.11", "3.13")).python == "3.13"
    other = choose_release(match_image("hostmaker/python:3.9", CATALOG), ("3.11",))
    assert (other.python, other.is_exact) == ("3.11", False)
    assert "asks for Python 3.9" in (other.note or "")


IN_CLASSIC_IMAGES = (
    *("boto3", "flask", "gunicorn", "gevent", "psutil", "pyyaml", "requests", "urllib3", "six", "protobuf"),
    *("retrying", "werkzeug", "pillow", "cryptography", "python-dateutil"),
)


@pytest.mark.parametrize("name", ["scikit-learn", "xgboost"])
def test_every_release_has_what_scripts_for_its_image_import(name: str) -> None:
    """One version of each on each Python; boto3 knows AWS_ENDPOINT_URL, from 1.28 on."""
    for release in next(runtime for runtime in CATALOG if runtime.name == name).releases:
        for python in release.pythons:
            parsed = [Requirement(text) for text in release.packages]
            here = [each for each in parsed if each.marker is None or each.marker.evaluate({"python_version": python})]
            names = [normalized(each.name) for each in here]
            assert len(names) == len(set(names)), (release.version, python)
            assert set(IN_CLASSIC_IMAGES) <= set(names), (release.version, python)
            boto3 = next(each for each in here if each.name == "boto3")
            assert not boto3.specifier.contains("1.27.99")
