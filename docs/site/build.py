#!/usr/bin/env python3
"""Builds the documentation as a site; see docs/README.md.

  build.py --output DIR --program craftbundle --version X --headers LIST

DIR/html is the site. Pages are staged in DIR/source: those of the repository, whose links lead to pages of the site then, and
generated ones (commands, references, examples). LIST: a file with the paths of the headers that users reach.
Exit status: 0 done, 1 warnings or links that lead nowhere, 77 tools are missing.
"""
import argparse
import collections
import importlib
import importlib.util
import inspect
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree

import doc_comments
import links
import manual

SITE = pathlib.Path(__file__).resolve().parent
ROOT = SITE.parent.parent
# What is a page as it stands. Each is where it is in the repository, so that most links hold as they are.
PAGES = ["README.md", "CHANGELOG.md", "docs/*.md", "examples/*.md", "core/*/README.md", "plugins/*/README.md",
         "plugins/support/*/README.md", "tests/fuzz/README.md", "tests/attacks/README.md"]
EXAMPLE_LANGUAGES = {".cc": "cpp", ".h": "cpp", ".yaml": "yaml", ".txt": "cmake", ".py": "python"}


def label(path):
    """The name under which pages link to a file or folder of the repository that is shown on a page."""
    return "file-" + re.sub(r"[^a-z0-9]+", "-", str(path).lower())


def write(place, text):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def page_text(page, shown, stage):
    """A page of the repository, in which links to files that other pages show lead there; what else it links to is staged."""

    def link(match):
        target = match[1]
        path = (page.parent / target.split("#")[0]).resolve()
        if "://" in target or target.startswith("#") or not path.exists():
            return match[0]
        name = path.relative_to(ROOT)
        if name in shown:
            return f"]({label(name)})"
        if path.suffix != ".md":
            write(stage / name, path.read_text(encoding="utf-8"))
        return match[0]

    return re.sub(r"\]\(([^)\s]+)\)", link, page.read_text(encoding="utf-8"))


def example_pages(stage):
    """A page for each folder of examples. Returns what they show."""
    shown = set()
    for folder in sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir()):
        name = folder.relative_to(ROOT)
        files = sorted(path for path in folder.iterdir() if path.suffix in EXAMPLE_LANGUAGES)
        text = f"({label(name)})=\n# {name}\n"
        for file in files:
            inner = file.relative_to(ROOT)
            text += f"\n({label(inner)})=\n## {file.name}\n\n"
            text += f"````{{literalinclude}} /{inner}\n:language: {EXAMPLE_LANGUAGES[file.suffix]}\n````\n"
            write(stage / inner, file.read_text(encoding="utf-8"))
            shown.add(inner)
        write(stage / f"{name}/index.md", text)
        shown.add(name)
    return shown


def run_doxygen(headers, output):
    """Has Doxygen write XML of the headers, names and files, and returns its directory."""
    output.mkdir(parents=True, exist_ok=True)
    settings = (SITE / "Doxyfile").read_text(encoding="utf-8") + "\n".join([
        f'INPUT_FILTER = "{sys.executable} {SITE / "doc_comments.py"}"',
        f"OUTPUT_DIRECTORY = {output}",
        "INPUT = " + " ".join(str(file) for file in headers.values()),
        "STRIP_FROM_PATH = " + " ".join(sorted({str(file).removesuffix(name) for name, file in headers.items()}))])
    subprocess.run(["doxygen", "-"], input=settings, text=True, check=True)
    for file in (output / "xml").glob("*.xml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(doc_comments.LOCAL, "local"), encoding="utf-8")
    return output / "xml"


def declarations(xml):
    """What each header declares, in its order, as directives of Breathe; and Doxygen's names of the headers."""
    names, members, classes = {}, {}, {}
    for file in sorted(xml.glob("*.xml")):
        compound = ElementTree.parse(file).getroot().find("compounddef")
        kind = None if compound is None else compound.get("kind")
        if kind in ("class", "struct"):
            classes[compound.findtext("compoundname")] = (compound.find("location"), kind)
        elif kind in ("namespace", "file"):
            if kind == "file":
                names[compound.find("location").get("file")] = compound.get("id")
            members.update((member.get("id"), member) for member in compound.iterfind("sectiondef/memberdef"))
    found = []

    def add(place, directive, options=""):
        found.append((place.get("file"), int(place.get("line")), f".. doxygen{directive}\n{options}\n"))

    for name, (place, kind) in classes.items():
        if name.rpartition("::")[0] not in classes:  # one within another is shown with it
            add(place, f"{kind}:: {name}", "   :members:\n   :undoc-members:\n")
    full_names = {key: member.findtext("qualifiedname") or member.findtext("name") for key, member in members.items()}
    overloaded = {name for name, count in collections.Counter(full_names.values()).items() if count > 1}
    for key, member in members.items():
        arguments = member.findtext("argsstring") if full_names[key] in overloaded else ""
        add(member.find("location"), f"{member.get('kind')}:: {full_names[key]}{arguments}")
    declared = {}
    for file, _, directive in sorted(found):
        declared.setdefault(file, []).append(directive)
    return declared, names


def reference_pages(stage, headers, output):
    """The C++ reference. Returns the headers that it shows."""
    with open(SITE / "reference.toml", "rb") as file:
        reference = tomllib.load(file)
    shown = {name: headers[name] for page in reference["page"] for _, *names in page["headers"] for name in names}
    odd = set(headers) ^ (set(shown) | set(reference["left_out"]["headers"]))
    if odd:
        sys.exit("reference.toml: neither shown nor left out, or not there: " + ", ".join(sorted(odd)))
    declared, ids = declarations(run_doxygen(shown, output))
    for page in reference["page"]:
        text = manual.heading(page["title"], "=") + page["text"].replace("`", "``") + "\n"
        for title, *names in page["headers"]:
            text += "".join(f"\n.. _{label(headers[name].relative_to(ROOT))}:\n.. _{ids[name]}:\n" for name in names)
            text += "\n" + manual.heading(title, "-")
            for name in names:
                text += f".. doxygenfile:: {name}\n   :sections: briefdescription detaileddescription\n\n"
            text += "".join(declared.get(names[-1], []))
        write(stage / f"reference/cpp/{page['name']}.rst", text)
    return {file.relative_to(ROOT) for file in shown.values()}


def python_pages(stage):
    """The reference of the Python module: what it names as its own, then its public modules."""
    package = ROOT / "apps/python/craftbundle"
    sys.path.insert(0, str(package.parent))
    module = importlib.import_module("craftbundle")
    text = manual.heading("Python reference", "=") + ".. automodule:: craftbundle\n\n.. automodule:: craftbundle._calls\n   :noindex:\n\n"
    for title, is_kind in (("Calls", inspect.isfunction), ("Results", inspect.isclass)):
        text += manual.heading(title, "-")
        for name in module.__all__:
            if is_kind(getattr(module, name)):
                kind = "autofunction" if is_kind is inspect.isfunction else "autoclass"
                text += f".. {kind}:: craftbundle.{name}\n" + ("\n" if kind == "autofunction" else "   :members:\n\n")
    for file in sorted(package.glob("[!_]*.py")):
        text += manual.heading(f"craftbundle.{file.stem}", "-") + f".. automodule:: craftbundle.{file.stem}\n   :members:\n\n"
    write(stage / "reference/python/index.rst", text)


def missing_tools():
    modules = ["sphinx", "myst_parser", "furo", "breathe", "sphinx_copybutton"]
    return [name for name in modules if importlib.util.find_spec(name) is None] + \
        [name for name in ["doxygen"] if shutil.which(name) is None]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--headers", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    missing = missing_tools()
    if missing:
        print("SKIPPED: not there: " + ", ".join(missing) + " (cmake/packages-docs.txt)")
        return 77

    output = arguments.output.resolve()
    for made in ("doxygen", "source", "html"):
        shutil.rmtree(output / made, ignore_errors=True)
    paths = arguments.headers.read_text(encoding="utf-8").split()
    headers = {path.split("/include/")[-1]: pathlib.Path(path).resolve() for path in paths}
    stage = output / "source"
    shown = reference_pages(stage, headers, output / "doxygen")
    python_pages(stage)
    shown.update(example_pages(stage))
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            write(stage / page.relative_to(ROOT), page_text(page, shown, stage))
    for page in sorted(SITE.glob("pages/**/*.md")):
        write(stage / page.relative_to(SITE / "pages"), page.read_text(encoding="utf-8"))
    man = subprocess.run([arguments.program, "help", "--man"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for name, text in manual.pages(man):
        write(stage / f"commands/{name}.rst", text)
    made = subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-j", "auto", "-c", SITE,
                           "-D", f"release={arguments.version}", "-D", f"breathe_projects.craftbundle={output / 'doxygen/xml'}",
                           stage, output / "html"], check=False)
    found = links.problems(output / "html")
    print("\n".join(found) or f"every link leads somewhere: {output / 'html/index.html'}")
    return 1 if made.returncode or found else 0


if __name__ == "__main__":
    sys.exit(main())
