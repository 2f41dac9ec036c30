"""Recognise an app's project by what lies in its folder."""

import re
import shlex
from pathlib import Path

from edgekit.apps.values import BUNDLES, POINTER_FILE, App
from edgekit.errors import AppError
from edgekit.spec import Platform

DEMOS = ("android-demo", "ios-demo")
_CHECKOUT = Path(__file__).parents[3]
_GRADLE = ("build.gradle.kts", "build.gradle")
_SETTINGS = ("settings.gradle.kts", "settings.gradle")
_CATALOG = Path("gradle/libs.versions.toml")
# The plugin's id, or the name that a version catalog gives it: libs.plugins.android.application.
_APPLICATION = re.compile(r"com\.android\.application|android[._-]?application", re.IGNORECASE)
_ENTRY = re.compile(r"^\s*@main\b", re.MULTILINE)
_NO_TARGETS = ("Sources", "Pods", "Carthage", "DerivedData", "build")
_HINT = (
    "Give android-demo, ios-demo, the folder of a Gradle project (where settings.gradle.kts lies) or of an app module, "
    "or the folder of a Package.swift or an .xcodeproj."
)


def find(path: Path) -> App:
    """Return the app in a folder.

    Args:
        path: The folder; the name of a demo app is found in EdgeKit's checkout, too.

    Raises:
        AppError: If there is no app, or no place in it that bundles belong to; it says what is missing.
    """
    if not path.is_dir() and str(path) in DEMOS and (_CHECKOUT / path).is_dir():
        path = _CHECKOUT / path
    if not path.is_dir():
        raise AppError(f"There is no folder {path}.", hint=_HINT)
    if _first(path, (*_SETTINGS, *_GRADLE)):
        return _android(path)
    if (path / "Package.swift").is_file() or any(path.glob("*.xcodeproj")):
        return _ios(path)
    raise AppError(
        f"{path} holds no app: there is neither a settings.gradle(.kts) or build.gradle(.kts), nor a Package.swift or "
        "an .xcodeproj.",
        hint=_HINT,
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _android(root: Path) -> App:
    module = _module(root)
    if not (module / "src" / "main").is_dir():
        raise AppError(
            f"{module} has no src/main, the folder that an app module's assets lie in.",
            hint="Give the folder of the app module itself, if its sources lie elsewhere.",
        )
    # A module's catalog lies with the project that it belongs to.
    projects = (root,) if _first(root, _SETTINGS) else (root, *root.absolute().parents[:2])
    catalogs = [folder / _CATALOG for folder in projects]
    found = (_first(folder, _GRADLE) for folder in dict.fromkeys((module, root)))
    return App(
        root=root,
        platform=Platform.ANDROID,
        place=module / "src" / "main" / "assets" / BUNDLES,
        pins=next((file for file in catalogs if file.is_file()), None),
        build_files=tuple(file for file in found if file is not None),
    )


def _module(root: Path) -> Path:
    """Return the app module: ``app``, or the project itself, or the one module that is an application."""
    if _first(root / "app", _GRADLE):
        return root / "app"
    if _first(root, _GRADLE) and (root / "src" / "main").is_dir():
        return root
    modules = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and _is_application(folder)]
    if len(modules) == 1:
        return modules[0]
    names = ", ".join(folder.name for folder in modules)
    raise AppError(
        f"{root} has {'several app modules: ' + names if modules else 'no app module'}"
        + ("." if modules else ": no app/build.gradle(.kts), and no module with the plugin com.android.application."),
        hint="Give the folder of the module: edgekit drop "
        + shlex.quote(str(root / (modules[0].name if modules else "MODULE"))),
    )


def _is_application(folder: Path) -> bool:
    file = _first(folder, _GRADLE)
    return file is not None and bool(_APPLICATION.search(file.read_text(encoding="utf-8", errors="replace")))


def _ios(root: Path) -> App:
    package = root / "Package.swift"
    return App(
        root=root,
        platform=Platform.IOS,
        place=_resources(root) / BUNDLES,
        pins=package if package.is_file() else None,
        build_files=tuple(file for file in (package, root / "Podfile") if file.is_file()),
    )


def _resources(root: Path) -> Path:
    """Return the folder of the app's resources: the one that has a bundle, the app's own, or the only one there is."""
    targets = [folder for folder in sorted({*root.glob("*"), *root.glob("Sources/*")}) if _may_be_a_target(folder)]
    apps = [target / "Resources" for target in targets if _is_entry(target)]
    found = [target / "Resources" for target in targets if (target / "Resources").is_dir()]
    used = [folder for folder in found if (folder / BUNDLES / POINTER_FILE).is_file()]
    named = [root / project.stem / "Resources" for project in sorted(root.glob("*.xcodeproj"))]
    for choice in (used, [folder for folder in found if folder in named], apps, found):
        if len(choice) == 1:
            return choice[0]
    if found:
        listed = ", ".join(str(folder.relative_to(root)) for folder in found)
        raise AppError(
            f"{root} has several folders of resources: {listed}.",
            hint=f"Make {BUNDLES}/{POINTER_FILE} with the text {{}} in the one that belongs to the app.",
        )
    raise AppError(
        f"{root} has no folder of resources: no NAME/Resources and no Sources/NAME/Resources, and not one target alone "
        "with @main.",
        hint="Make one in the target that is the app, and name it there: in Package.swift "
        f'resources: [.copy("Resources/{BUNDLES}")], in Xcode as a folder reference (blue).',
    )


def _may_be_a_target(folder: Path) -> bool:
    name = folder.name
    return folder.is_dir() and name not in _NO_TARGETS and not name.startswith(".") and "Tests" not in name


def _is_entry(target: Path) -> bool:
    """Whether a target's sources have the app's entry point."""
    sources = (file.read_text(encoding="utf-8", errors="replace") for file in target.rglob("*.swift"))
    return any(_ENTRY.search(text) for text in sources)
