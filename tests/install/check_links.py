#!/usr/bin/env python3
"""Every link of the pages under the given files and directories leads to something that is there: a file, and in a
page the heading.   check_links.py DIR|FILE..."""
import functools
import pathlib
import re
import sys


def pages_of(arguments):
    for argument in map(pathlib.Path, arguments):
        found = sorted(argument.rglob("*.md")) if argument.is_dir() else [argument]
        # Pages that only the site of the documentation has lie elsewhere in it; docs/site/links.py checks them there.
        yield from (page for page in found if not page.is_relative_to(argument / "site"))


@functools.lru_cache(maxsize=None)
def prose(page):
    """The text without what stands between fences or back quotes."""
    text = re.sub(r"^( *)```.*?^ *```", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", text)


@functools.lru_cache(maxsize=None)
def headings(page):
    """As GitHub names them."""
    text = re.sub(r"^( *)```.*?^ *```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.*?)\s*$", text, flags=re.M)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
    return set(plain)


def problem(page, link):
    if re.match(r"[a-z]+:", link):
        return None
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return "is not there"
    if heading and target.suffix == ".md" and heading not in headings(target):
        return "has no such heading"
    return None


def main():
    checked = 0
    problems = []
    for page in pages_of(sys.argv[1:]):
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            checked += 1
            if why := problem(page, link):
                problems.append(f"{page}: {link} {why}")
    print("\n".join(problems) or f"{checked} links lead somewhere")
    return 1 if problems or checked < 5 else 0


sys.exit(main())
