#!/usr/bin/env python3
"""What of others is inside a build that carries its libraries along: found in what the compiler and the linker were given, and
in what was installed. Debian's packages say which version it is, and under which licence.
    carried.py BUILD INSTALLED NOTICES
BUILD is a tree that Ninja has built, INSTALLED what `cmake --install` made of it. NOTICES is a directory that is made, with
the copyright file of each package."""
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys

# Whose headers declare what is in other files: of the compiler and of the C library nothing is carried by including them.
TOOLCHAIN = re.compile(r"gcc-\d+|glibc|linux")


@dataclasses.dataclass(frozen=True, order=True)
class Carried:
    package: str
    version: str
    source: str  # source package
    homepage: str
    how: tuple  # of "headers", "linked", "file"


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def headers(build):
    return set(re.findall(r"^\s+(/usr/include/\S+|/usr/lib/\S+)$", output_of("ninja", "-C", str(build), "-t", "deps"), re.M))


def linked(build):
    commands = output_of("ninja", "-C", str(build), "-t", "commands")
    return set(re.findall(r"\s(/usr/lib/\S+\.a)(?=\s|$)", commands, re.M))


def libraries(installed):
    """Where this system has the shared libraries that were installed with ours."""
    known = dict(re.findall(r"^\s+(\S+) \(.*\) => (\S+)$", output_of("/sbin/ldconfig", "-p"), re.M))
    return {known[file.name] for file in pathlib.Path(installed).rglob("*.so*") if file.name in known}


def packages_of(files):
    """Names of the packages that files belong to. Packages know them by one of several names of their directories."""
    wanted = set()
    for file in files:
        path = pathlib.Path(file)
        names = {str(path), str(path.parent.resolve() / path.name), str(path.resolve())}
        wanted |= names | {name.removeprefix("/usr") for name in names}
    found = subprocess.run(["dpkg-query", "--search", *sorted(wanted)], capture_output=True, text=True).stdout
    owners = {}
    for line in found.splitlines():
        names, _, path = line.partition(": ")
        if not line.startswith("diversion"):
            owners[path] = names.split(",")[0]
    return set(owners.values())


def carried(build, installed):
    how = {}
    for word, files in ("headers", headers(build)), ("linked", linked(build)), ("file", libraries(installed)):
        for package in packages_of(files):
            how.setdefault(package, []).append(word)
    if not how:
        sys.exit(f"{build}: nothing of others was found, which cannot be")
    result = []
    fields = r"${Package}\t${Version}\t${source:Package}\t${Homepage}\n"
    for package, words in how.items():
        name, version, source, homepage = output_of("dpkg-query", "-W", "-f", fields, package).rstrip("\n").split("\t")
        if words != ["headers"] or not TOOLCHAIN.fullmatch(source):
            result.append(Carried(name, version, source, homepage, tuple(words)))
    return sorted(result)


def main(build, installed, notices):
    notices = pathlib.Path(notices)
    notices.mkdir(parents=True)
    for each in carried(build, installed):
        shutil.copyfile(f"/usr/share/doc/{each.package}/copyright", notices / each.package)


if __name__ == "__main__":
    main(*sys.argv[1:])
