"""Lists every locked package with its age, and whether the line that it is of has ended.

    python scripts/stack.py             all; asks the index for the newest versions, through uv
    python scripts/stack.py --ended     those of ended lines alone, which docs/stack.md must name
    python scripts/stack.py --offline   ages alone

A line is a minor version. It is behind where the index has a later version of it. It has ended
where the index has another line and nothing of this one came for a year and a half, and sleeps
where nothing newer came at all for as long.
"""

import argparse
import datetime
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
STACK = ROOT / "docs" / "stack.md"
YEAR = 365.25  # Days.
LONG = 1.5  # Years without a release.
_NEWEST = re.compile(r"([\w.-]+) v[\w.!+]+[^\n]*?\(latest: v([\w.!+]+)\)")


class Package(NamedTuple):
    """A locked package, the day its files were uploaded, and the newest version if known."""

    name: str
    version: str
    day: datetime.date
    newest: str | None

    def years(self, today: datetime.date) -> float:
        return (today - self.day).days / YEAR

    def state(self, today: datetime.date) -> str:
        """Says how its line stands, in a word; nothing where it is kept up, or was not asked."""
        if self.newest is None:
            return ""
        if self.newest != self.version and line(self.newest) == line(self.version):
            return "behind"
        if self.years(today) < LONG:
            return ""
        return "sleeps" if self.newest == self.version else "ended"


def line(version: str) -> list[str]:
    """Returns major and minor version."""
    return version.split(".")[:2]


def locked(text: str, newest: dict[str, str] | None) -> Iterator[Package]:
    """Yields what a lock has from an index.

    Args:
        text: The lock's.
        newest: The newest version of each package that is not the newest; None if not asked.
    """
    for package in tomllib.loads(text)["package"]:
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        days = [str(file["upload-time"])[:10] for file in files if "upload-time" in file]
        if days:
            name, version = package["name"], package["version"]
            found = None if newest is None else newest.get(name, version)
            yield Package(name, version, datetime.date.fromisoformat(max(days)), found)


def ask(uv: str) -> dict[str, str]:
    """Asks the index for the newest version of each package that the lock has older."""
    command = [uv, "tree", "--frozen", "--all-groups", "--universal", "--outdated"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"stack: the index was not asked:\n{done.stderr}")
    return dict(_NEWEST.findall(done.stdout))


def unnamed(packages: list[Package], today: datetime.date, text: str) -> list[str]:
    """Returns the packages of ended lines that a page does not name."""
    ended = [package.name for package in packages if package.state(today) == "ended"]
    return [name for name in ended if f"`{name}`" not in text]


def main() -> None:
    parser: Any = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--ended", action="store_true", help="those of ended lines alone")
    parser.add_argument("--offline", action="store_true", help="without asking the index")
    options = parser.parse_args()
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    newest = None if options.offline else ask(str(own) if own.is_file() else "uv")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    packages = sorted(locked((ROOT / "uv.lock").read_text(), newest), key=lambda each: each.day)
    print(f"{'package':<34}{'locked':<14}{'uploaded':<12}{'years':>5}  {'newest':<14}line")
    for package in packages:
        state = package.state(today)
        if state == "ended" or not options.ended:
            about = (
                f"{package.day}  {package.years(today):5.1f}  {package.newest or '?':<14}{state}"
            )
            print(f"{package.name:<34}{package.version:<14}{about}".rstrip())
    states = [package.state(today) for package in packages]
    counts = ", ".join(f"{states.count(each)} {each}" for each in ("ended", "sleeps", "behind"))
    print(f"{len(packages)} packages: {counts}")
    if missing := unnamed(packages, today, STACK.read_text()):
        raise SystemExit(f"stack: docs/stack.md must say why these stay: {', '.join(missing)}.")


if __name__ == "__main__":
    main()
