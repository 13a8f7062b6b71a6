"""Random configurations, made, pickled, written and read by the real OmegaConf and by ours.

    differential.py --tool omegaconf_reader_tool [--count N] [--seed S] [--keep DIR]

Compared are: the text of pickled configurations; that text read and written again; values looked up
by key; YAML texts read and written again. Exit code 77 where PyTorch or OmegaConf is missing.
"""
import argparse
import enum
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Union

try:
    import torch
    from omegaconf import MISSING, OmegaConf, open_dict
except ImportError as error:
    print("SKIPPED:", error)
    sys.exit(77)


class Color(enum.Enum):
    RED = 1
    GREEN = "g"
    BLUE = 2.5
    ALSO_RED = 1


class Level(enum.IntEnum):
    low = 0
    on = 5


class Tag(str, enum.Enum):
    ALPHA = "alpha value"
    NO = "n"


class Flags(enum.Flag):
    B = 2
    A = 1
    C = 4


class Outer:
    class Nested(enum.Enum):
        one = 1
        null = 2


class ByValue:
    """Pickles as most Pythons do; Debian's writes names."""

    def __reduce_ex__(self, protocol):
        return (self.__class__, (self._value_,))


class Mode(ByValue, enum.Enum):
    TRAIN = 1
    EVAL = True  # equal to TRAIN: an alias
    OFF = (1, 2.5, "x")
    BYTES = b"\x00\xff"
    NONE = None


class Inside:
    class Size(ByValue, enum.Enum):
        small = "s"
        large = 10**30


@dataclass
class Small:
    path: pathlib.Path = pathlib.Path("/a/b c")
    color: Color = Color.GREEN
    mode: Mode = Mode.TRAIN
    size: Inside.Size = Inside.Size.large
    nested: Optional[Outer.Nested] = Outer.Nested.null
    either: Union[int, str, None] = "x"
    both: Union[float, bool] = 1.5
    data: bytes = b"\x00\x01"
    lost: str = MISSING
    levels: Dict[Level, int] = field(default_factory=lambda: {Level.on: 1})
    modes: List[Mode] = field(default_factory=lambda: [Mode.OFF, Mode.NONE, Mode.BYTES])
    by_mode: Dict[Mode, Optional[str]] = field(default_factory=lambda: {Mode.EVAL: None})
    numbers: List[List[int]] = field(default_factory=lambda: [[1], []])


@dataclass
class Large:
    small: Small = field(default_factory=Small)
    maybe: Optional[Small] = None
    flags: Flags = Flags.A
    lost: Small = MISSING
    same: Small = "${small}"
    table: Dict[str, Small] = field(default_factory=dict)
    anything: Any = None


# Lets AnyNodes hold combined flags and members that are pickled by value: the tables are elsewhere in the pickle.
TABLES = OmegaConf.structured(Large)

WORDS = [
    "yes", "No", "null", "~", "???", "${a}", "${.b}", "${a.${b}}", "${oc.env:HOME}", "\\${a}", "-", "?", ":",
    "- a", "a: b", "a #b", "#", "1", "1e5", "1_000", "0x1F", "0b1", "017", "1:30", "1.5", ".5", "5.", "inf", "nan",
    "-.inf", "2020-01-01", "2020-01-01 10:00:00", "=", "<<", "...", "---", "--- a", "word", "été", "日本語", "😀",
    "a" * 79, "b" * 81, "it's", '"q"', "a  b", "a   b", " a", "a ", "", " ", "\t", "a\tb", "\n", "a\nb", "a\n", "\na",
    "a\n\nb\n\n", "a \nb", "a\n b", "\r\n", "\0", "\x1b[31m", "\x7f", "\x85", "\xa0", "\u2028", "a\u2029b", "\ufeff",
    "\U0010ffff", "\ue000", "１２", "٣", "\u30001", "[", "]", "{", "}", "!x", "&x", "*x", "|", ">", "%", "@", "`", ",",
    "'", "\\", "a\\", "!!binary |", "!!python/object/apply:os.system", "C:\\x", "http://a.b/c?d=e#f",
]
ALPHABET = "abcXYZ 019_-+.:#,'\"\\?!&*|>%@`[]{}=~<\n\t é日😀\xa0\x85\u2028\x07"


class Maker:
    def __init__(self, random_source, tame=False):
        self.random = random_source
        self.tame = tame
        self.paths = [self.path() for _ in range(2)]

    def path(self):
        return pathlib.Path(*[self.string() or "." for _ in range(self.random.randrange(3))
                              ]) if self.random.random() < 0.5 else pathlib.Path(self.random.choice([".", "/", "/a/b", "x y/1"]))

    def string(self):
        r = self.random.random()
        if r < 0.5:
            text = self.random.choice(WORDS)
        elif r < 0.75:
            text = "".join(self.random.choice(ALPHABET) for _ in range(self.random.randrange(1, 30)))
        else:
            glue = self.random.choice([" ", " ", "  ", "\n", ", ", " \u2028"])
            text = glue.join(self.random.choice(WORDS) for _ in range(self.random.randrange(2, 60)))
        return text.replace("\0", "") if self.tame else text

    def value_string(self):
        while True:
            text = self.string()
            # OmegaConf refuses malformed interpolations when they are set.
            try:
                OmegaConf.create({"k": text})
                return text
            except Exception:
                continue

    def number(self):
        return self.random.choice([
            0, 1, -1, 7, 255, 2**31, -2**63, 2**63 - 1, 2**63, -10**25, self.random.randrange(-10**6, 10**6),
            0.0, -0.0, 1.0, 0.1, 1e-5, 1e16, 1e15, 1e22, 1.5e-7, 5e-324, 1.7976931348623157e308, math.inf, -math.inf,
            math.nan, self.random.uniform(-10, 10), self.random.uniform(-1, 1) * 10.0**self.random.randrange(-300, 300),
        ])

    def enum(self):
        return self.random.choice(
            list(Color) + list(Level) + list(Tag) + list(Outer.Nested) + list(Mode) + list(Inside.Size) +
            [Flags.A | Flags.B, Flags.A | Flags.C, Flags.A | Flags.B | Flags.C, Flags.B])

    def scalar(self):
        r = self.random.random()
        if r < 0.45:
            return self.value_string()
        if r < 0.7:
            return self.number()
        if r < 0.8:
            return self.random.choice([None, True, False])
        if r < 0.88:
            return self.enum()
        if r < 0.94:
            return bytes(self.random.randrange(256) for _ in range(self.random.choice([0, 1, 3, 57, 58, 200])))
        return self.random.choice(self.paths) if self.random.random() < 0.5 else self.path()

    def key(self):
        r = self.random.random()
        if r < 0.5:
            return "".join(self.random.choice("abcdefgh_") for _ in range(self.random.randrange(1, 8)))
        if r < 0.8:
            return self.string()
        if r < 0.86:
            return self.random.choice(["k" * n for n in (121, 122, 123, 128, 1000)])
        number = self.number()
        return self.random.choice([5, 1.5, True, 10**130, self.enum(), b"", b"bytes", number if number == number else 3])

    def container(self, depth):
        size = self.random.choice([0, 1, 2, 3, 5])
        if self.random.random() < 0.35:
            return [self.value(depth - 1) for _ in range(size)]
        return {self.key(): self.value(depth - 1) for _ in range(size)}

    def value(self, depth):
        r = self.random.random()
        if depth > 0 and r < 0.4:
            return self.container(depth)
        if r > 0.98:
            return Small(color=self.random.choice(list(Color)), mode=self.random.choice(list(Mode)),
                         either=self.random.choice([1, "${x}", None, "???"]))
        return self.scalar()

    def config(self):
        r = self.random.random()
        depth = self.random.randrange(1, 9)
        if r < 0.1:
            config = OmegaConf.structured(Large(table={"x": Small()}))
            if self.random.random() < 0.5:
                config.anything = self.value(3)
        elif r < 0.2:
            config = OmegaConf.create([self.value(depth) for _ in range(3)])
        else:
            config = OmegaConf.create({self.key(): self.value(depth) for _ in range(self.random.randrange(6))})
        if r > 0.95 and OmegaConf.is_dict(config):
            # A child refers to its parent; only the child is asked for.
            with open_dict(config):
                config["parent_only"] = {"child": self.container(2)}
            return config._get_node("parent_only")._get_node("child")
        return config


def lookups(random_source):
    """A configuration of references, and keys to ask for."""
    names = ["a", "b", "c", "d"]

    def reference(depth=0):
        r = random_source.random()
        dots = "." * random_source.choice([0, 0, 0, 1, 2, 3])
        part = lambda: random_source.choice(names + ["0", "1", "x"])
        path = part()
        for _ in range(random_source.randrange(3)):
            path += random_source.choice([".%s", "[%s]"]) % part()
        if r < 0.1 and depth < 2:
            path += "." + reference(depth + 1)
        if r > 0.96:
            return "${oc.env:NOT_THERE}"
        space = random_source.choice(["", "", " "])
        return "${" + space + dots + path + space + "}"

    def scalar():
        r = random_source.random()
        if r < 0.5:
            return reference()
        if r < 0.6:
            return random_source.choice(["x", "x-", "\\", "\\\\", "\\\\\\"]) + reference() + random_source.choice(["", "y", "\\"])
        return random_source.choice([1, 2, 0, True, 1.5, 1e-7, None, "a", "b", "c.a", "???", "text", 2**70])

    def value(depth):
        if depth == 0 or random_source.random() < 0.45:
            return scalar()
        if random_source.random() < 0.3:
            return [value(depth - 1) for _ in range(2)]
        return {name: value(depth - 1) for name in names if random_source.random() < 0.7}

    config = OmegaConf.create({name: value(3) for name in names})
    keys = ["a.b", "a[0]", "a.0", "b.c.d", "c[a].b"]
    for _ in range(20):
        keys.append(".".join(random_source.choice(names + ["0", "1"]) for _ in range(random_source.randrange(1, 4))))
    return config, keys


def real_value(config, key):
    """What the tool prints for a key, by OmegaConf."""
    try:
        node = OmegaConf.select(config, key)
    except Exception as error:
        message = str(error)
        if "is not a container and thus cannot contain" in message and "interpolation" not in message.lower():
            return "null"
        if "is not an int" in message and "interpolation" not in message.lower():
            return "null"
        return "error"
    if node is None or node == "???":
        return "null"
    if OmegaConf.is_dict(node):
        return "dict " + json.dumps(list(node.keys()))
    if OmegaConf.is_list(node):
        try:
            items = list(node)
        except Exception:
            return "error"
        if all(type(item) is int and abs(item) < 2**63 for item in items) or all(type(item) is str for item in items):
            return json.dumps(items)
        return "error"
    if type(node) is int and abs(node) >= 2**63:
        return "error"
    return json.dumps(node)


def same_value(ours, real):
    # OmegaConf puts a container into text as Python prints it; we refuse to.
    if "into text" in ours:
        return True
    if ours.startswith("error") or real == "error":
        return ours.startswith("error") and real == "error"
    prefix = "dict "
    if ours.startswith(prefix) != real.startswith(prefix):
        return False
    return json.loads(ours.removeprefix(prefix)) == json.loads(real.removeprefix(prefix))


PIECES = [
    "a: 1\n", "b:\n  c: x\n", "- 1\n", "  - y\n", "'q': 'it''s'\n", "d: \"x\\ty\"\n", "e: [1, 2, {f: g}]\n", "h: {i: j}\n",
    "k: 1_0\n", "l: 0o7\n", "m: 1e3\n", "n: !!str 1\n", "o: !!int '3'\n", "p: ~\n", "q:\n", "r: yes\n", "s: # c\n",
    "t: |\n  lit\n  eral\n", "u: >\n  fol\n  ded\n\n  x\n", "v: >-\n  a\n", "w: &x 1\n", "x: *x\n", "? y\n: z\n", "1: 2\n",
    "1.5: 3\n", "true: 4\n", "z: a b\n  c\n", "aa: 'x\n\n  y'\n", "bb: \"x\\\n  y\"\n", "cc: -\n", "dd: -1\n", "ee: .5\n",
    "ff: a:b\n", "gg: a#b\n", "hh: 2020-01-01\n", "ii: 0x_f\n", "jj: 1:30\n", "kk: +1.5e+3\n", "ll: ${a}\n", "mm: ???\n",
    "nn:\n- 1\n- [2]\n-\n  - 3\n", "oo:\n  - a: 1\n    b: 2\n  - c\n", "pp: !!float 1\n", "qq: !!null x\n", "rr: '1'\n",
    "ss: !!binary aGk=\n", "# comment\n", "\n", "tt: {}\n", "uu: []\n", "vv: {a, b: }\n", "ww: [a, b: c]\n",
]


def yaml_text(random_source):
    return "".join(random_source.choice(PIECES) for _ in range(random_source.randrange(1, 6)))


def real_reread(text):
    try:
        config = OmegaConf.create(text)
    except Exception:
        return None
    return OmegaConf.to_yaml(config)


def compare(count, seed, directory, tool):
    source = random.Random(seed)
    expected = {}
    for i in range(count):
        name = "%06d" % i
        kind = i % 5
        if kind == 4:
            text = yaml_text(source)
            expected[name] = ("text", text)
            (directory / (name + ".in")).write_text(text, newline="")
            continue
        if kind == 3:
            config, keys = lookups(source)
            (directory / (name + ".keys")).write_text("".join(key + "\n" for key in keys))
            values = [real_value(config, key) for key in keys]
        else:
            config, keys, values = Maker(source).config(), [], []
        expected[name] = ("config", OmegaConf.to_yaml(config), keys, values)
        torch.save({"xp.cfg": config, "tables": TABLES}, str(directory / (name + ".th")))
    subprocess.run([tool, str(directory)], check=True)

    failures = 0
    rereads = 0

    def differ(name, what, ours, real):
        nonlocal failures
        failures += 1
        if failures <= 20:
            print("%s: %s differs\n  ours: %r\n  real: %r" % (name, what, ours[:2000], real[:2000]))

    def read(name, extension):
        return (directory / (name + extension)).read_bytes().decode("utf-8")

    for name, case in expected.items():
        if case[0] == "text":
            ours = read(name, ".out")
            real = real_reread(case[1])
            # What Python reads as an empty or other configuration, or takes the last of, we refuse.
            if ours.startswith("error") and (real is None or real == "{}\n" or refused_on_purpose(case[1])):
                continue
            if ours != (real if real is not None else ours + "x"):
                differ(name, "reading %r" % case[1], ours, str(real))
            continue
        _, text, keys, values = case
        ours = read(name, ".text")
        if ours != text:
            differ(name, "text", ours, text)
            continue
        if keys:
            for key, mine, real in zip(keys, read(name, ".values").split("\n"), values):
                if not same_value(mine, real):
                    differ(name, "value of %s in %s" % (key, text), mine, real)
        reread = read(name, ".reread")
        real = real_reread(text)
        if reread.startswith("error") and (real is None or not text_is_mapping(text) or refused_on_purpose(text)):
            continue
        rereads += 1
        if reread != real:
            differ(name, "reread of %r" % text, reread, str(real))
    print("%d cases, %d read again, %d differences (seed %d)" % (count, rereads, failures, seed))
    return failures == 0


def text_is_mapping(text):
    return not text.startswith("- ") and text not in ("[]\n", "{}\n")


def refused_on_purpose(text):
    """What we refuse and OmegaConf reads: duplicate keys other than strings, lists as documents."""
    import yaml
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except Exception:
        return True
    if not isinstance(node, yaml.MappingNode):
        return True
    config = OmegaConf.create(text)
    return len(config) != len(node.value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(arguments.keep or temporary)
        directory.mkdir(exist_ok=True)
        return 0 if compare(arguments.count, arguments.seed, directory, arguments.tool) else 1


if __name__ == "__main__":
    sys.exit(main())
