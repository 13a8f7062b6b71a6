"""Pages of the commands, made from the program's manual page (apps/craftbundle/manual.cc), of which they keep the words."""
import re


def heading(title, line):
    return f"{title}\n{line * len(title)}\n\n"


def plain(roff):
    """Text of a line: without fonts, escapes undone."""
    macro = re.match(r"\.(B|I|BR) (.*)", roff)
    if macro and macro[1] == "BR":  # fonts in turn, side by side
        roff = "".join(quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', macro[2]))
    elif macro:
        roff = macro[2]
    elif roff.startswith("."):
        raise ValueError("the manual page has a macro that is not known here: " + roff)
    return re.sub(r"\\(f[BIR]|[-e&])", lambda escape: {"-": "-", "e": "\\"}.get(escape[1], ""), roff)


def in_rst(text):
    return re.sub(r"([\\`*|_])", r"\\\1", text)


def as_is(lines):
    """A block of lines as they are: prose up to the first heading ("Examples:"), then blocks under headings."""
    shown = ""
    for part in "\n".join("" if line == ".sp" else plain(line) for line in lines).strip("\n").split("\n\n"):
        first, *rest = part.split("\n")
        if first.endswith(":") and rest:
            language = "sh" if first == "Examples:" else "none"
            shown += f".. rubric:: {first[:-1]}\n\n.. code-block:: {language}\n\n" + "".join(f"   {line[2:]}\n" for line in rest) + "\n"
        else:
            shown += in_rst(part) + "\n\n"
    return shown


def body(lines, is_command):
    shown, at = "", 0

    def until(*macros):
        nonlocal at
        begin = at
        while at < len(lines) and not lines[at].startswith(macros):
            at += 1
        return lines[begin:at]

    while at < len(lines):
        line = lines[at]
        at += 1
        if line == ".TP":
            term = plain(lines[at])
            at += 1
            text = " ".join(map(plain, until(".TP", ".PP"))).replace(" .", ".")
            if not is_command or not term.startswith("-h,"):  # that of every command
                kind = "option" if is_command or term.startswith("-") else "envvar"
                shown += f".. {kind}:: {term}\n\n   {in_rst(text)}\n\n"
        elif line == ".nf":
            shown += as_is(until(".fi"))
            at += 1
        elif line != ".PP":
            shown += in_rst(plain(line)) + "\n\n"
    return shown


def pages(man):
    """Name and text of each page: the index, and one for each command with those below it."""
    sections = {}
    commands = {}
    for part in re.split(r"(?m)^\.S(?=[HS] )", man)[1:]:
        first, *lines = part.rstrip("\n").split("\n")
        if first.startswith("H "):
            sections[first[2:]] = body(lines, False)
            continue
        usage = plain(first[2:])
        name = usage.split()[1]
        below = name in commands
        title = " ".join(usage.split()[: 3 if below else 2])
        text = f".. program:: {title}\n\n" + heading(title, "-" if below else "=")
        summary, *rest = lines
        text += f"{in_rst(plain(summary))}\n\n.. code-block:: sh\n\n   {usage}\n\n{body(rest, True)}"
        commands[name] = commands.get(name, "") + text
    index = heading("Commands", "=") + sections["DESCRIPTION"]
    index += ".. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {name}\n" for name in commands) + "\n"
    index += ".. program:: craftbundle\n\n" + heading("Options", "-") + sections["OPTIONS"]
    index += heading("Environment", "-") + sections["ENVIRONMENT"]
    return {"index": index, **commands}.items()
