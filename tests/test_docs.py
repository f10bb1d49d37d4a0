"""What the documents say is so: commands, options, links, code, version; and they say nothing of a machine.

As with the borders, a rule returns its offenders, and each is shown to catch one.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import click
import pytest

from dockless import __version__
from dockless.faces.cli.main import cli

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^([ \t]*)(```+|~~~+)[ \t]*(\S*)[^\n]*\n(.*?)^[ \t]*\2[ \t]*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)>\s]+)|^\[[^\]]+\]:\s*<?([^>\s]+)", re.MULTILINE)
HEADING = re.compile(r"^#+\s+(.+?)\s*#*$", re.MULTILINE)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root)/")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# --- The command line -------------------------------------------------------------------------------------------------


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command under its full name, the group itself first."""
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{path} {name} is listed, and is not there"
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def options(command: click.Command) -> Iterator[click.Option]:
    yield from (one for one in command.params if isinstance(one, click.Option) and not one.hidden)


def undocumented(group: click.Group, page: str) -> list[str]:
    """Commands and options that the page does not name."""
    wanted = {
        name
        for path, command in commands(group, "dockless")
        for name in [path, *(flag for one in options(command) for flag in [*one.opts, *one.secondary_opts])]
    }
    return sorted(name for name in wanted if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page))


def without_help(group: click.Group) -> list[str]:
    """Commands and options that do not say what they are for."""
    return [
        *(path for path, command in commands(group, "dockless") if not command.help),
        *(
            f"{path} {one.opts[0]}"
            for path, command in commands(group, "dockless")
            for one in options(command)
            if not one.help
        ),
    ]


def test_every_command_and_option_is_in_the_reference() -> None:
    assert undocumented(cli, read(ROOT / "docs" / "cli.md")) == []


def test_every_command_and_option_has_help() -> None:
    assert without_help(cli) == []


def test_a_gap_in_the_reference_is_caught() -> None:
    @click.group(help="A group.")
    @click.option("--known/--no-known", help="Known.")
    def group(known: bool) -> None: ...

    @group.command(help="A verb.")
    @click.option("-o", "--output", help="Where.")
    def verb(output: str) -> None: ...

    @group.command()
    @click.option("--mute")
    def silent(mute: str) -> None: ...

    page = "dockless verb --known --output-file -o dockless-silent `--mute`"
    assert undocumented(group, page) == ["--no-known", "--output", "dockless silent"]
    assert without_help(group) == ["dockless silent", "dockless silent --mute"]


# --- Links ------------------------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    return INLINE_CODE.sub("", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(FENCE.sub("", text))
    }


def dead_links(page: Path, root: Path) -> list[str]:
    """Relative links to what is not there, lies outside of the repository, or has no such heading."""
    found = []
    for inline, reference in LINK.findall(prose(read(page))):
        link = inline or reference
        if SCHEME.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page.resolve()
        there = target.is_relative_to(root.resolve()) and target.exists()
        if not there or (anchor and target.suffix == ".md" and anchor not in anchors(read(target))):
            found.append(f"{page.relative_to(root).as_posix()}: {link}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert dead_links(page, ROOT) == []


def test_a_dead_link_is_caught(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").touch()
    (root / "there.md").write_text("# The `one` heading\n", encoding="utf-8")
    page = root / "page.md"
    page.write_text(
        "# Here\n[a](there.md) [b](there.md#the-one-heading) [c](#here) [d](https://example.com/x) [`e`](gone.md)\n"
        "[f](../outside.md) [g](there.md#gone) [h](#gone) ![i](gone.png 'title') `[j](code.md)` [k]\n\n[k]: gone/k.md\n"
        "```\n[l](code.md)\n```\n",
        encoding="utf-8",
    )

    assert dead_links(page, root) == [
        f"page.md: {link}" for link in ["gone.md", "../outside.md", "there.md#gone", "#gone", "gone.png", "gone/k.md"]
    ]


# --- Code -------------------------------------------------------------------------------------------------------------


def broken_code(text: str) -> list[str]:
    """Python blocks that are not Python."""
    found = []
    for _, _, language, code in FENCE.findall(text):
        try:
            if language == "python":
                compile(dedent(code), "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError as error:
            found.append(f"{error}: {code}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_compiles(page: Path) -> None:
    assert broken_code(read(page)) == []


def test_broken_code_is_caught() -> None:
    right = "```python\nawait client.pull()\n```\n\n* item\n\n  ```python\n  x = 1\n  ```\n\n```console\n$ if\n```\n"

    assert broken_code(right) == []
    assert len(broken_code(f"{right}```python title\nprint(\n```\n~~~python\nif\n~~~\n")) == 2


# --- The rest ---------------------------------------------------------------------------------------------------------


def is_in_changelog(version: str, text: str) -> bool:
    named = [re.split(r"[\s\]]", heading.lstrip("["))[0] for heading in HEADING.findall(text)]
    return version in named or "Unreleased" in named


def machine_paths(root: Path, files: list[str]) -> list[str]:
    """Lines of text files that name a directory of the machine they were written on."""
    found = []
    for name in files:
        try:
            lines = read(root / name).splitlines()
        except (UnicodeDecodeError, FileNotFoundError):  # not a text, or removed and not yet committed
            continue
        found += [f"{name}:{number}: {line}" for number, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    return found


def test_the_changelog_has_this_version() -> None:
    assert is_in_changelog(__version__, read(ROOT / "CHANGELOG.md"))


def test_a_version_without_notes_is_caught() -> None:
    assert is_in_changelog("1.2.0", "# Changelog\n\n## [1.2.0] - 2030-01-01\n")
    assert is_in_changelog("1.2.0", "# Changelog\n\n## [1.2.0](https://example.com) 2030\n")
    assert is_in_changelog("1.2.0", "# Changelog\n\n## Unreleased\n")
    assert not is_in_changelog("1.2.0", "# Changelog\n\n## 1.2.0.1\n\nUnreleased 1.2.0\n")


def test_no_file_names_a_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: nobody knows which files are tracked")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert machine_paths(ROOT, listed.stdout.split("\0")[:-1]) == []


@pytest.mark.parametrize("directory", ["work", "root"])
def test_a_machine_is_caught(directory: str, tmp_path: Path) -> None:
    lines = [
        f"cd /{directory}/main",
        f"https://example.com/{directory}/main",
        f"./{directory}/",
        f"file:///{directory}/",
    ]
    (tmp_path / "page.md").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "layer.tar").write_bytes(b"\xff\xfe")

    found = machine_paths(tmp_path, ["page.md", "layer.tar"])
    assert found == [f"page.md:1: {lines[0]}", f"page.md:4: {lines[3]}"]
