"""YAML texts, read and written again by the real OmegaConf and by ours: taken alike, with the same text.

    texts.py --tool omegaconf_reader_tool [--corpus DIR]... [--fuzz N] [--seed S] [--keep DIR]

--corpus compares the files in DIR; --fuzz compares N texts made from those and from the pieces below by
mutation; --keep puts every text that differs into DIR. Exit code 77 where OmegaConf is missing.
"""
import argparse
import collections
import hashlib
import pathlib
import random
import subprocess
import sys

try:
    import omegaconf
    import yaml
    from omegaconf import OmegaConf
    from omegaconf._utils import get_yaml_loader
except ImportError as error:
    print("SKIPPED:", error)
    sys.exit(77)

LOADER = get_yaml_loader()

PIECES = [
    "a: 1\n", "b:\n  c: x\n", "- 1\n", "  - y\n", "'q': 'it''s'\n", "d: \"x\\ty\"\n", "e: [1, 2, {f: g}]\n", "h: {i: j}\n",
    "k: 1_0\n", "l: 0o7\n", "m: 1e3\n", "n: !!str 1\n", "o: !!int '3'\n", "p: ~\n", "q:\n", "r: yes\n", "s: # c\n",
    "t: |\n  lit\n  eral\n", "u: >\n  fol\n  ded\n\n  x\n", "v: >-\n  a\n", "w: &x 1\n", "x: *x\n", "? y\n: z\n", "1: 2\n",
    "1.5: 3\n", "true: 4\n", "z: a b\n  c\n", "aa: 'x\n\n  y'\n", "bb: \"x\\\n  y\"\n", "cc: -\n", "dd: -1\n", "ee: .5\n",
    "ff: a:b\n", "gg: a#b\n", "hh: 2020-01-01\n", "ii: 0x_f\n", "jj: 1:30\n", "kk: +1.5e+3\n", "ll: ${a}\n", "mm: ???\n",
    "nn:\n- 1\n- [2]\n-\n  - 3\n", "oo:\n  - a: 1\n    b: 2\n  - c\n", "pp: !!float 1\n", "qq: !!null x\n", "rr: '1'\n",
    "ss: !!binary aGk=\n", "# comment\n", "\n", "tt: {}\n", "uu: []\n", "vv: {a, b: }\n", "ww: [a, b: c]\n",
    "xx: !!binary |\n  aGkh\n  aGk=\n", "yy: |2-\n    x\n\n   y\n", "zz: >+1\n  a\n b\n\n", "ab: \"\\uD83D\\ude00\\udc80\"\n",
    "ac: \"\\x41\\N\\_\\L\\P\\e\\/\\U0001F600\"\n", "ad: &d {a: 1, b: 2}\n", "ae: {<<: *d, c: 3}\n", "af:\n  <<: [*d, {b: 4}]\n  a: 5\n",
    "ag: &l [1, *x]\n", "ah: *l\n", "ai: ! 12\n", "aj: ! '12'\n", "ak: !<tag:yaml.org,2002:str> 1\n", "al: !!seq [a]\n",
    "am: !!map {a: b}\n", "%YAML 1.1\n---\n", "%TAG ! tag:yaml.org,2002:\n---\n", "---\n", "...\n", "--- # c\n", "an: {a:b, \"c\":d, e:}\n",
    "ao: [a: b, ? c : d, ? e, f]\n", "? [a]\n: b\n", "? |\n  k\n: - 1\n  - 2\n", "ap: \"x\n  \\  y \\\n z\"\n", "aq: été 日本語 😀\n",
    "ar: !!python/object/apply:pathlib.PosixPath [/, a, b]\n", "as: &p !!python/object/apply:pathlib.Path\n- a/./b\n- c\n",
    "at: *p\n", "au: x\x85y\n", "av: 'x\u2028 y'\n", "aw: \xa0x\ufeff\n", "!!binary aGk=: 1\n", "'': ''\n", "null: 1\n", "0x10: .inf\n",
    "-.inf: .NaN\n", "? a\n? b\n", "ax: {? a, ? b : c, d}\n", "ay: [[[]], {}, ]\n", "az: {a: [b, {c: d}], e: f}\n", "=: 1\n", "ba: =\n",
    "bc: &a\n", "bd: !!str\n", "be: !!str &z x\n", "bf: &y !!int 3\n", "bg: \\\n", "bh: - x\n", "bi: a: b\n", "bj: \"a\": b\n",
    "bk:\n  - - 1\n    - 2\n  - - - 3\n", "bl: 12e03\n", "bm: 1__0.5_0\n", "bn: 190:20:30.15\n", "bo: 0b1_0\n", "bp: -017\n", "bq: 09\n",
    "br: !!float .inf\n", "bs: !!bool on\n", "bt: !!int 0x1F\n", "bu: '${a}'\n", "bv: \"${a.b}\\\\${c}\"\n", "bw: 1" + "0" * 40 + "\n",
    "k" * 130 + ": 1\n", "'" + "k\n\n" * 3 + "': 1\n", "bx: " + "word " * 40 + "\n", "by: \"" + "wo\\trd " * 30 + "\"\n",
]
INTERPOLATIONS = [
    "${a}", "${.a}", "${..a.b}", "${a[0]}", "${[a].b[c]}", "${a.${b}}", "${${a}}", "${a[${b}]}", "${f:}", "${f:1}", "${f:a,b}", "${oc.env:X,y}",
    "${f: [1, 2, {a: b}]}", "${f:{a: 1, b: [x]}}", "${f:'a b'}", "${f:\"x${a}\"}", "${f:'it\\'s'}", "${f:${a}}", "${f:${a} b}", "${f:,}",
    "${f:a:b}", "${f:\\}", "${f:\\,\\ \\{}", "${f.g:null,true,1e5,-.5}", "${${f}:x}", "${:x}", "\\${a}", "\\\\${a}", "\\\\\\${a", "${a}$",
    "$${a}", "$", "${", "}", "${}", "${ a }", "${a b}", "${a-b}", "${a-b:c}", "${1a:b}", "${é}", "${f:é}", "${f:'é'}", "${a$b}", "${a${b}}",
    "${f:[]}", "${f:{}}", "${f:[a}", "${f:(a)}", "${f:a/b-c+d.e%f*g@h?i|j}", "${f:a\\'b}", "x ${a} y ${b} z", "${f:a , b}", "${f: 'a' , \"b\" }",
]
CHARACTERS = "\t:?,[]{}-#&*!|>'\"%@` \n\n\n  \r\x85\u2028\xa0\ufeffa1~=<\\/_.+$é😀0x"
INTERPOLATION_CHARACTERS = "${}$[].:,'\"\\ \t\nab1_-/@(é"


def interpolation(source):
    text = "".join(source.choice(INTERPOLATIONS) for _ in range(source.choice([1, 1, 1, 2])))
    if source.random() < 0.3:
        text = text.replace("a", source.choice(INTERPOLATIONS), 1)
    if source.random() < 0.6:
        text = mutated(text, source, INTERPOLATION_CHARACTERS)
    # In a style that keeps every character.
    return "k: '" + text.replace("'", "''") + "'\n" if source.random() < 0.8 else "k: " + text + "\n"


def mutated(text, source, characters=CHARACTERS):
    text = list(text)
    for _ in range(source.randrange(1, 4)):
        r = source.random()
        i = source.randrange(len(text) + 1)
        if r < 0.4:
            text.insert(i, source.choice(characters))
        elif r < 0.6:
            del text[i:i + 1]
        elif r < 0.75:
            text[i:i + 1] = source.choice(characters)
        elif r < 0.85:
            text[i:i] = source.choice(PIECES)
        else:
            some = text[i:i + source.randrange(1, 8)]
            j = source.randrange(len(text) + 1)
            text[j:j] = some
    return "".join(text)


def made_text(source, corpus):
    r = source.random()
    if r < 0.3:
        return interpolation(source)
    if r < 0.5 and corpus:
        text = source.choice(corpus)
        begin = source.randrange(len(text) + 1)
        text = text if len(text) < 300 else text[text.rfind("\n", 0, begin) + 1:][:300]
    else:
        text = "".join(source.choice(PIECES) for _ in range(source.randrange(1, 6)))
    return mutated(text, source) if source.random() < 0.9 else text


def real(text):
    """What OmegaConf.to_yaml gives for the text; None for what is refused. We read mappings only."""
    try:
        content = yaml.load(text, Loader=LOADER)
        return OmegaConf.to_yaml(OmegaConf.create(content)) if isinstance(content, dict) else None
    except RecursionError:
        return None
    except Exception:
        return None


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen([path, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, text):
        data = text.encode()
        self.process.stdin.write(b"%d\n" % len(data) + data)
        self.process.stdin.flush()
        return self.process.stdout.read(int(self.process.stdout.readline())).decode("utf-8", "surrogatepass")


class Comparison:
    def __init__(self, tool, keep):
        self.tool = tool
        self.keep = keep
        self.counts = collections.Counter()

    def compare(self, text, name):
        ours = self.tool(text)
        theirs = real(text)
        if ours.startswith("error "):
            code = ours.split(" ")[1]
            if theirs is None:
                self.counts["refused by both"] += 1
                return
            if refused_on_purpose(code, ours, text):
                self.counts["refused by us on purpose"] += 1
                return
        elif ours == theirs:
            self.counts["the same"] += 1
            return
        self.counts["DIFFERENT"] += 1
        if self.counts["DIFFERENT"] <= 20:
            print("%s differs: %r\n  ours: %r\n  real: %r" % (name, text[:1000], ours[:1000], theirs))
        if self.keep:
            self.keep.mkdir(exist_ok=True)
            (self.keep / hashlib.sha256(text.encode()).hexdigest()[:12]).write_bytes(text.encode())


def refused_on_purpose(code, message, text):
    """Beyond our bounds, and tags of ordered mappings, which configurations do not use."""
    return code in ("config.depth", "config.size") or "is too long" in message or "'!!omap'" in message or "'!!pairs'" in message


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--corpus", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    comparison = Comparison(Tool(arguments.tool), arguments.keep)
    corpus = []
    for directory in arguments.corpus:
        for path in sorted(path for path in directory.iterdir() if path.is_file()):
            corpus.append(path.read_bytes().decode())
            comparison.compare(corpus[-1], path.name)
    source = random.Random(arguments.seed)
    for i in range(arguments.fuzz):
        comparison.compare(made_text(source, corpus), "text %d" % i)
    print("OmegaConf %s, PyYAML %s, seed %d: " % (omegaconf.__version__, yaml.__version__, arguments.seed) +
          ", ".join("%d %s" % (count, what) for what, count in comparison.counts.most_common()))
    return 1 if comparison.counts["DIFFERENT"] or not comparison.counts["the same"] else 0


if __name__ == "__main__":
    sys.exit(main())
