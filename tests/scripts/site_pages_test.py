import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from keras_mvlift.cli import commands
from tests.visualization import browser

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts" / "site_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "link", "moved"),
    [
        ("index.md", "docs/lifting.md#videos", "lifting.md#videos"),
        ("index.md", "docs/lifted.gif", "lifted.gif"),
        ("studio.md", "../keras_mvlift/models/studio/MODEL_CARD.md", "model_card.md"),
        ("serving.md", "../serving/README.md", "serving_folder.md"),
        ("contributing.md", "docs/architecture.md", "architecture.md"),
        ("lifting.md", "formats.md#poses", "formats.md#poses"),
        ("lifting.md", "#videos", "#videos"),
        ("index.md", "https://doi.org/10.1609", "https://doi.org/10.1609"),
        ("api/index.md", "inference.md", "inference.md"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(site, name, link, moved):
    assert site.with_links_of_site(f"See [this]({link}).", name) == f"See [this]({moved})."


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("index.md", "[docs/lifting.md](docs/lifting.md)", "[Lifting](lifting.md)"),
        ("index.md", "[docs/lifting.md](docs/lifting.md#videos)", "[Lifting](lifting.md#videos)"),
        ("rigs.md", "[formats.md](formats.md#poses)", "[Formats](formats.md#poses)"),
        ("rigs.md", "[check_rig](check_rig.md)", "[Checking a rig](check_rig.md)"),
        ("rigs.md", "[settings](settings.md)", "[settings](settings.md)"),
        ("index.md", "[how](docs/lifting.md)", "[how](lifting.md)"),
    ],
)
def test_pages_are_called_by_their_titles(site, name, text, shown):
    assert site.with_links_of_site(text, name) == shown


def test_every_package_and_page_is_in_the_navigation(site):
    listed = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text())
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    made = {*site.OUTSIDE.values(), "commands.md", *(f"api/{name}.md" for name in site.api())}
    assert {*listed} - {"README.md"} == pages | made
    packages = {path.parent.name for path in (ROOT / "keras_mvlift").glob("*/__init__.py")}
    assert packages == {*site.PACKAGES, "cli", "untrusted"}


def test_the_api_names_public_modules_alone(site):
    named = re.findall(r"^::: (\S+)$", site.api()["geometry"], re.MULTILINE)
    assert "keras_mvlift.geometry.cameras" in named
    assert not any(part.startswith("_") for name in named for part in name.split("."))


def test_the_command_line_has_each_command_with_its_examples(site):
    page = site.command_line()
    for name, command in commands.COMMANDS.items():
        assert f"\n## {name}\n" in page
        assert f"  keras-mvlift {command.examples[0]}" in page


def test_nothing_of_the_site_is_fetched():
    settings = yaml.unsafe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert "offline" in settings["plugins"]
    assert any("iframe-worker" in name for name in settings["extra"]["polyfills"])


@pytest.mark.e2e
def test_a_site_of_files_is_built_and_searched_without_a_network(tmp_path):
    folder = tmp_path / "a site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir"]
    subprocess.run([*command, str(folder)], cwd=ROOT, check=True)
    assert (folder / "index.html").is_file()
    if browser.find() is None:
        pytest.skip("It is built; there is no Chromium to search it. `make browser` gets one.")
    with browser.started(browser.find()) as chromium:
        page, troubles = browser.show(chromium, folder / "index.html")
        page.click("[data-md-component=search-query]")
        page.keyboard.insert_text("solved root")
        page.keyboard.press("End")
        browser.wait(page, "document.querySelectorAll('.md-search-result__item').length > 3")
        assert troubles == []
        # What was seen in the light is dark by night.
        page, _ = browser.show(chromium, folder / "index.html", is_dark=True)
        assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
