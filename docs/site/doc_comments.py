#!/usr/bin/env python3
"""Doxygen's INPUT_FILTER for the public headers: prints a header with its plain comments as documentation comments.

  doc_comments.py HEADER

The first comment of a header is about the file, one that stands right before a declaration or behind it is about that. What is
written for the compiler alone (deleted and defaulted functions, destructors, comparisons, visit()) is left out.
"""
import re
import sys

FOR_THE_COMPILER = re.compile(r"= (delete|default);|^\s*(virtual )?~\w+\(.*;|^\s*friend .*;|^#define \w+_(H|API)\b")
SCOPE = re.compile(r"^\s*(namespace|class|struct|enum|union|extern \"C\")\b")
COMMENT = re.compile(r"^(\s*)//(.*)$")
# In words of a comment. Doxygen's own markup is not used in headers.
ESCAPED = str.maketrans({c: "\\" + c for c in "@\\<>&#%"})
# Doxygen takes "local" for a word of another language, and loses it.
LOCAL = "craftbundle_local"


def words(text):
    """Text of a comment as Doxygen reads it, `code` included."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return text.translate(ESCAPED)
    return "".join(f"<tt>{part.translate(ESCAPED)}</tt>" if i % 2 else part.translate(ESCAPED) for i, part in enumerate(parts))


def documentation(lines):
    """The lines of a comment for Doxygen; what is indented in it is shown as it is."""
    shown, at = [], 0
    while at < len(lines):
        if not lines[at].startswith("   ") or re.match(r" +[-*\d]", lines[at]):
            shown.append(words(lines[at]))
            at += 1
            continue
        begin = at
        while at < len(lines) and (not lines[at].strip() or lines[at].startswith("   ")):
            at += 1
        while not lines[at - 1].strip():
            at -= 1
        kind = ".cpp" if any(re.search(r"[;{]$|^ *#", line) for line in lines[begin:at]) else ".unparsed"
        shown += ["@code{" + kind + "}", *(line[3:] for line in lines[begin:at]), "@endcode"]
    return shown


def in_slashes(comment):
    text = comment[0].removeprefix("/*").removesuffix("*/")
    return "\n".join("//" + line.removeprefix(" *").rstrip() for line in text.split("\n"))


def declares(line):
    """Whether the scope that a line opens has declarations in it, and not statements."""
    return bool(SCOPE.match(line)) and "(" not in line.split("{")[0].replace('extern "C"', "")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        # C's comments of whole lines as C++'s.
        lines = re.sub(r"(?ms)^/\*.*?\*/$", in_slashes, file.read()).splitlines()
    shown, scopes, at = [], [], 0
    while at < len(lines):
        comment = COMMENT.match(lines[at])
        if comment and all(scopes):
            end = at
            while end < len(lines) and COMMENT.match(lines[end]):
                end += 1
            block = documentation([COMMENT.match(line)[2] for line in lines[at:end]])
            if at == 0:
                block.insert(0, "@file")
            if at == 0 or (end < len(lines) and lines[end].strip() and not FOR_THE_COMPILER.search(lines[end])):
                shown += [f"{comment[1]}/// {text.removeprefix(' ')}" for text in block]
            at = end
            continue
        line = re.sub(r"\blocal(?= =)", LOCAL, lines[at])
        code, _, trailing = line.partition("  // ")
        if trailing and all(scopes) and not code.strip().startswith("}"):
            line = code + " ///< " + words(trailing)
        shown.append("" if all(scopes) and FOR_THE_COMPILER.search(code) else line)
        plain = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])\'|//.*', "", line)
        for brace in re.findall(r"[{}]", plain):
            if brace == "{":
                scopes.append(declares(code))
            elif scopes:
                scopes.pop()
        at += 1
    print("\n".join(shown))


if __name__ == "__main__":
    main()
