"""The manual's section 3 against the headers, and its programs.

usage: 0007-manuals.py [--write]         checks; --write mends each SYNOPSIS first
       0007-manuals.py --programs DIR    writes the programs of all pages to DIR

A program is a `.Bd -literal` block after a line `.\\" program: NAME`, and what it
prints is the block after `.\\" prints: NAME`.
"""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
from tap import check, finish  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = sorted(glob.glob(f"{ROOT}/lib/amnode*.h")) + [f"{ROOT}/proto/value.h"]
PAGES = sorted(glob.glob(f"{ROOT}/man/*.3"))


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


# ---- headers ----


def split_args(text):
    """At commas outside of parentheses."""
    out, depth, arg = [], 0, ""
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            out.append(arg.strip())
            arg = ""
        else:
            arg += c
    return [*out, arg.strip()]


def functions(text):
    """{name: (type, [arguments])} of a header."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"(?m)^#.*?(?<!\\)$", "", re.sub(r"\\\n", " ", text))
    found = {}
    for decl in re.findall(r"\bAM_API\b\s+(.*?);", text, flags=re.S):
        decl = re.sub(r"\s*\b(AM_PRINTF\(\d+, \d+\)|AM_\w+)\s*$", "", " ".join(decl.split()))
        m = re.fullmatch(r"(.*?)\b(am_\w+)\s*\((.*)\)", decl)
        found[m[2]] = (m[1].strip(), split_args(m[3]))
    return found


def synopsis(name, decl):
    """The lines that declare it in mdoc."""
    ret, args = decl
    lines = [f'.Ft "{ret}"' if " " in ret else f".Ft {ret}", f".Fo {name}"]
    lines += [f'.Fa "{a}"' for a in args]
    return "\n".join([*lines, ".Fc"]) + "\n"


# ---- pages ----

DECLARED = re.compile(r"\.Ft [^\n]*\n\.Fo (\w+)\n(?:\.Fa [^\n]*\n)*\.Fc\n")


def names(page):
    """What its NAME section lists."""
    section = page.split(".Sh NAME\n", 1)[1].split(".Nd", 1)[0]
    return {line.split()[1] for line in section.splitlines() if line.startswith(".Nm ")}


def code(block):
    """The text of a literal block: roff's escapes undone."""
    lines = [re.sub(r"^\\&", "", line).replace("\\e", "\\").replace("\\-", "-") for line in block]
    return "\n".join(lines) + "\n"


def blocks(page, kind):
    """{NAME: text} of the literal blocks that are marked as this."""
    lines = page.splitlines()
    found = {}
    for i, line in enumerate(lines):
        mark = re.fullmatch(rf'\.\\" {kind}: (\w+)', line)
        if mark:
            begin = next(k for k in range(i, len(lines)) if lines[k].startswith(".Bd -literal"))
            end = lines.index(".Ed", begin)
            found[mark[1]] = code(lines[begin + 1 : end])
    return found


def write_programs(directory):
    for path in PAGES:
        page = read(path)
        for kind, suffix in (("program", "c"), ("prints", "out")):
            for name, text in blocks(page, kind).items():
                with open(f"{directory}/{name}.{suffix}", "w", encoding="utf-8") as f:
                    f.write(text)


def mend(path, known):
    page = read(path)
    new = DECLARED.sub(lambda m: synopsis(m[1], known[m[1]]) if m[1] in known else m[0], page)
    if new != page:
        with open(path, "w", encoding="utf-8") as f:
            f.write(new)


def main():
    known = {}
    if sys.argv[1:2] == ["--programs"]:
        write_programs(sys.argv[2])
        return
    for path in HEADERS:
        known.update(functions(read(path)))
    if sys.argv[1:] == ["--write"]:
        for path in PAGES:
            mend(path, known)
    where = {}
    for path in PAGES:
        page, name = read(path), os.path.basename(path)
        declared = {m[1]: m[0] for m in DECLARED.finditer(page)}
        stale = [synopsis(n, known[n]) for n, text in declared.items() if n in known and text != synopsis(n, known[n])]
        check(f"{name}: each prototype is the header's", not stale, "\n".join(stale))
        mentioned = set(re.findall(r"\b(am_\w+) ?\(", page)) | set(re.findall(r"\.(?:It )?Fn (am_\w+)", page)) | set(declared)
        check(f"{name}: each function exists", mentioned <= set(known), sorted(mentioned - set(known)))
        lacking = set(declared) ^ (names(page) & set(known))
        check(f"{name}: NAME and SYNOPSIS have the same functions", not lacking, sorted(lacking))
        untold = [n for n in declared if not re.search(rf"\.It Fn {n}\b", page)]
        check(f"{name}: each of them is described", not untold, untold)
        for n in declared:
            where.setdefault(n, []).append(name)
        check(f"{name}: has an example", blocks(page, "program"))
    missing = sorted(set(known) - set(where))
    check("each public function has its page", not missing, missing)
    twice = {n: w for n, w in where.items() if len(w) > 1}
    check("and only one", not twice, twice)
    finish()


main()
