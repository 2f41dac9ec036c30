"""The files that hosts of repositories read: they parse, name what there is, and agree with each other."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(*parts: str) -> Any:
    """Return a YAML file."""
    return yaml.safe_load(ROOT.joinpath(*parts).read_text("utf-8"))


def test_the_workflow_runs_commands_that_are_there() -> None:
    """On all versions of Python that the project says it supports, with no rights to write."""
    workflow = read(".github", "workflows", "check.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow["jobs"]) == {"lint", "test", "wheel", "docs"}
    said = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"]) == said
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    scripts = {word for step in steps for word in shlex.split(step.get("run", "")) if word.startswith("scripts/")}
    assert {"scripts/check", "scripts/test"} <= scripts
    assert all((ROOT / script).is_file() for script in scripts)


def test_versions_of_python_agree() -> None:
    """Those of the classifiers are those of requires-python."""
    least, most = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    said = [int(line.rpartition(".")[2]) for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert said == list(range(int(least), int(most)))
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "sdk" / "edgekit" / "py.typed").is_file()


def test_hooks_run_what_the_check_runs() -> None:
    """Each tool of scripts/check is a hook, in the repository's own environment."""
    (local,) = read(".pre-commit-config.yaml")["repos"]
    entries = " ".join(hook["entry"] for hook in local["hooks"])
    wanted = set(re.findall(r"^\.venv/bin/(\w+)", (ROOT / "scripts" / "check").read_text("utf-8"), re.MULTILINE))
    assert wanted == {"ruff", "mypy"}
    assert all(f".venv/bin/{tool}" in entries for tool in wanted)


@pytest.mark.parametrize("name", ["fault", "model"])
def test_forms_of_issues_are_forms(name: str) -> None:
    """With what GitHub asks of one, and ids that are used once."""
    form = read(".github", "ISSUE_TEMPLATE", f"{name}.yml")
    assert {"name", "description", "body"} <= set(form)
    assert all(one["type"] in ("input", "textarea", "dropdown", "markdown") for one in form["body"])
    assert all(one["attributes"]["label"] for one in form["body"])
    ids = [one["id"] for one in form["body"]]
    assert len(set(ids)) == len(ids)
