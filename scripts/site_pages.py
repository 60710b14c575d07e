"""Has MkDocs show what lies outside of docs/: README, other pages, the API and the command line.

    make site    writes output/site, which a browser opens without a server or a network

A link that a page has to a file of the repository leads to that file's page in the site.
"""

import os
import pathlib
import posixpath
import re
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from keras_mvlift.cli import arguments, commands

ROOT = pathlib.Path(__file__).resolve().parents[1]

# By their place in the repository, where they are in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "serving/README.md": "serving_folder.md",
    "keras_mvlift/models/studio/MODEL_CARD.md": "model_card.md",
}

# What the pages of the API are about; `cli` has a page of its own, and the rest is for us.
PACKAGES = {
    "lifting": "From a person's files to a person's files.",
    "geometry": "Cameras, rotations, lenses, triangulation, alignment.",
    "networks": "Backbones and root heads.",
    "metrics": "Pose errors, and the score without labels.",
    "training": "Recipes, stages, and fitting in closed form.",
    "datasets": "Sequences, views, records, and readers of recordings.",
    "calibration": "Where cameras stand, from the people whom they saw.",
    "diagnosis": "What is right and wrong with a rig.",
    "export": "SavedModel, ONNX, TFLite.",
    "serving": "Clients of a server, and its versions.",
    "studio": "Made-up people, filmed.",
    "visualization": "Pages, films, reports.",
    "experiments": "The tables of the paper, and ours.",
}
MODULES = {
    "inference": "Models, loaded, and what they lift.",
    "reprojection": "What training makes small: equations (2), (5) and (6) of the paper, and more.",
    "skeletons": "Joint sets, and how one becomes another.",
    "sources": "Every kind of recording by its name.",
    "configs": "Settings of data, models and training.",
    "errors": "What is refused, how it is said, and units.",
}
COLUMNS = "100"


class Examples(griffe.Extension):
    """Has `Example:` of a docstring read as code, which its plural alone is."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the text before it is parsed."""
        if obj.docstring:
            obj.docstring.value = re.sub(
                r"^Example:$", "Examples:", obj.docstring.value, flags=re.M
            )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that have no file in docs/."""
    for place, name in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / place)))
    files.append(File.generated(config, "commands.md", content=command_line()))
    for name, content in api().items():
        files.append(File.generated(config, f"api/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turns links to files of the repository into links to pages of the site."""
    return with_links_of_site(markdown, page.file.src_uri)


def with_links_of_site(markdown: str, name: str) -> str:
    """Returns a page's text with links that hold in the site, and are called by titles.

    Args:
        markdown: What is in the file.
        name: Of the page in the site.
    """
    place = {of_site: place for place, of_site in OUTSIDE.items()}.get(name, f"docs/{name}")

    def titled(link: "re.Match[str]") -> str:
        target = link[2].partition("#")[0]
        page = ROOT / posixpath.dirname(place) / target
        names = {target, page.name, page.stem if "_" in page.stem else target}
        if link[1] not in names or not page.is_file():
            return link[0]
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        return f"[{title}]({link[2]})"

    def moved(link: "re.Match[str]") -> str:
        target, mark, anchor = link[1].partition("#")
        found = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if not target or "://" in target or not (ROOT / found).is_file():
            return link[0]
        of_site = OUTSIDE.get(found, found.removeprefix("docs/"))
        return f"]({posixpath.relpath(of_site, posixpath.dirname(name) or '.')}{mark}{anchor})"

    # What the repository calls by its file's name the site calls by its title.
    markdown = re.sub(r"\[([\w./]+)\]\(([\w./]+\.md(?:#[\w-]+)?)\)", titled, markdown)
    return re.sub(r"\]\(([^()\s]+)\)", moved, markdown)


def api() -> dict[str, str]:
    """Returns the pages of the API by name; mkdocstrings fills them from the docstrings."""
    lines = ["# The library", "", "::: keras_mvlift", ""]
    listed = (MODULES | PACKAGES).items()
    lines += [f"- [keras_mvlift.{name}]({name}.md): {told}" for name, told in listed]
    pages = {"index": "\n".join(lines)}
    for name in MODULES:
        pages[name] = f"# keras_mvlift.{name}\n\n::: keras_mvlift.{name}\n"
    for name, told in PACKAGES.items():
        found = sorted((ROOT / "keras_mvlift" / name).rglob("[!_]*.py"))
        modules = [
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            for path in found
        ]
        options = "    options: {heading_level: 3}\n"
        parts = [f"## {module}\n\n::: {module}\n{options}" for module in modules]
        pages[name] = "\n".join([f"# keras_mvlift.{name}", "", told, "", *parts])
    return pages


def command_line() -> str:
    """Returns the page of the commands: what each says to `--help`."""
    os.environ["COLUMNS"] = COLUMNS
    parts = ["# The command line\n\nWhat each command says to `--help`.\n"]
    for name, command in commands.COMMANDS.items():
        parser = arguments.Parser(
            prog=f"keras-mvlift {name}", description=command.purpose, examples=command.examples
        )
        command.add_arguments(parser)
        parts.append(f"## {name}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)
