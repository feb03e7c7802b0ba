"""The house stands as drawn: arrows point down, packages say what is public, files stay short."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [
    name
    for name in (
        "cache", "prompting", "models", "world", "fusion", "eval", "training", "serving", "cli",
    )
    if (ROOT / name / "__init__.py").is_file()
]  # fmt: skip
HEAVY = ("torch", "diffusers", "transformers", "cv2", "onnxruntime", "insightface", "scipy")


def test_the_packages_of_this_milestone_are_there() -> None:
    assert {"cache", "prompting", "models", "world", "fusion", "eval", "training", "cli"} <= set(
        PACKAGES
    )


def test_every_arrow_points_down() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_in_all_exists(name: str) -> None:
    package = importlib.import_module(name)
    missing = [public for public in package.__all__ if not hasattr(package, public)]
    assert not missing
    assert len(set(package.__all__)) == len(package.__all__), "a name is listed twice"


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_public_is_in_all(name: str) -> None:
    package = importlib.import_module(name)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    loose = {
        public
        for public, value in vars(package).items()
        if not public.startswith("_")
        and public not in modules
        and not inspect.ismodule(value)
        and (getattr(value, "__module__", "") or "").partition(".")[0] == name
    }
    assert loose <= set(package.__all__), sorted(loose - set(package.__all__))


@pytest.mark.parametrize("name", PACKAGES)
def test_another_package_takes_only_what_is_public(name: str) -> None:
    """Between packages an import names the package, and what its __all__ lists."""
    others = {package: set(importlib.import_module(package).__all__) for package in PACKAGES}
    del others[name]
    wrong = []
    for file in sorted((ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.module is None or node.level:
                continue
            top, _, inner = node.module.partition(".")
            if top in others:
                taken = {alias.name for alias in node.names}
                if inner or not taken <= others[top]:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.module} {taken}")
    assert not wrong, "\n".join(wrong)


def test_importing_our_packages_loads_nothing_heavy() -> None:
    code = (
        f"import importlib, sys\nfor name in {PACKAGES!r}:\n    importlib.import_module(name)\n"
        f"    print(*(f'{{name}}:{{heavy}}' for heavy in {HEAVY!r} if heavy in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_no_file_holds_more_than_one_idea() -> None:
    """350 lines are the house's measure, 380 its patience."""
    long = {
        str(file.relative_to(ROOT)): lines
        for name in PACKAGES
        for file in (ROOT / name).rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 380
    }
    assert not long


def test_every_public_name_says_what_it_is() -> None:
    silent = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        for public in package.__all__:
            value = getattr(package, public)
            described = inspect.isclass(value) or inspect.isfunction(value)
            if described and value.__module__.startswith(name) and not inspect.getdoc(value):
                silent.append(f"{name}.{public}")
    assert not silent


def test_the_bundles_stay_within_their_budget() -> None:
    """All that ships weighs at most 24 MiB."""
    files = [file for file in (ROOT / "models" / "bundles").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 24 * 2**20
