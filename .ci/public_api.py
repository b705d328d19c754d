#!/usr/bin/env python3
"""The public API of the published libraries, one item a line, compared with `.ci/public_api/*.txt`.

With `--record` the files are written anew: review their difference as the change of the API that it is.
What is compared is rustdoc's JSON. The format is still unstable, so the stable rustdoc is told to behave
as a nightly one (by a wrapper, since build scripts would notice the variable and run again). Traits that
every type has (auto traits, blanket implementations) are left out.
"""

import difflib
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SNAPSHOTS = ROOT / ".ci" / "public_api"
CRATES = sorted(
    manifest.parent.name
    for manifest in ROOT.glob("crates/*/Cargo.toml")
    if (manifest.parent / "src" / "lib.rs").exists()
)


def document():
    """rustdoc's JSON of each crate, by name."""
    with tempfile.TemporaryDirectory() as folder:
        rustdoc = pathlib.Path(folder) / "rustdoc"
        rustdoc.write_text('#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc "$@"\n')
        rustdoc.chmod(rustdoc.stat().st_mode | stat.S_IEXEC)
        flags = "-Z unstable-options --output-format json"
        # Of the workspace, as the step that makes the docs: so both have the same dependencies.
        command = ["cargo", "doc", "--locked", "--quiet", "--no-deps", "--workspace"]
        environment = {**os.environ, "RUSTDOC": str(rustdoc), "RUSTDOCFLAGS": flags}
        subprocess.run(command, check=True, cwd=ROOT, env=environment)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for name in CRATES:
        path = target / "doc" / (name.replace("-", "_") + ".json")
        yield name, json.loads(path.read_text())


def only(tagged):
    """The tag and the content of one of rustdoc's enums."""
    return (tagged, None) if isinstance(tagged, str) else next(iter(tagged.items()))


def path(it):
    return it["path"] + arguments(it.get("args"))


def arguments(args):
    if not args:
        return ""
    tag, content = only(args)
    if tag == "parenthesized":
        output = f" -> {type_(content['output'])}" if content["output"] else ""
        return f"({', '.join(map(type_, content['inputs']))}){output}"
    if tag != "angle_bracketed":
        return f"<{tag}>"
    parts = []
    for argument in content["args"]:
        kind, value = only(argument)
        parts.append(type_(value) if kind == "type" else value["expr"] if kind == "const" else value or "_")
    for constraint in content.get("constraints", []):
        kind, value = only(constraint["binding"])
        right = f": {bounds(value)}" if kind == "constraint" else f" = {type_(value['type']) if 'type' in value else '_'}"
        parts.append(constraint["name"] + right)
    return f"<{', '.join(parts)}>" if parts else ""


def bounds(list_):
    parts = []
    for bound in list_:
        tag, content = only(bound)
        if tag == "trait_bound":
            modifier = {"maybe": "?", "maybe_const": "~const "}.get(content["modifier"], "")
            parts.append(modifier + path(content["trait"]))
        elif tag == "outlives":
            parts.append(content)
        else:
            parts.append(f"use<{', '.join(only(it)[1] or '' for it in content)}>")
    return " + ".join(parts)


def type_(it):
    if it is None:
        return "()"
    tag, content = only(it)
    if tag == "resolved_path":
        return path(content)
    if tag in ("primitive", "generic"):
        return content
    if tag == "borrowed_ref":
        lifetime = f"{content['lifetime']} " if content["lifetime"] else ""
        return f"&{lifetime}{'mut ' if content['is_mutable'] else ''}{type_(content['type'])}"
    if tag == "raw_pointer":
        return f"*{'mut' if content['is_mutable'] else 'const'} {type_(content['type'])}"
    if tag == "tuple":
        return f"({', '.join(map(type_, content))})"
    if tag == "slice":
        return f"[{type_(content)}]"
    if tag == "array":
        return f"[{type_(content['type'])}; {content['len']}]"
    if tag == "impl_trait":
        return f"impl {bounds(content)}"
    if tag == "dyn_trait":
        lifetime = [content["lifetime"]] if content["lifetime"] else []
        return "dyn " + " + ".join([path(it["trait"]) for it in content["traits"]] + lifetime)
    if tag == "qualified_path":
        trait = f" as {path(content['trait'])}" if content["trait"] and content["trait"]["path"] else ""
        return f"<{type_(content['self_type'])}{trait}>::{content['name']}"
    if tag == "function_pointer":
        return "fn" + signature(content["sig"])
    return tag


def signature(sig):
    inputs = ", ".join(f"{name}: {type_(it)}" for name, it in sig["inputs"])
    output = f" -> {type_(sig['output'])}" if sig["output"] else ""
    return f"({inputs}){output}"


def generics(it):
    """`<T: Bound>` and ` where ...`."""
    parameters = []
    for parameter in it["params"]:
        tag, content = only(parameter["kind"])
        if tag == "type":
            if content.get("is_synthetic"):
                continue
            limits = bounds(content["bounds"])
            parameters.append(parameter["name"] + (f": {limits}" if limits else ""))
        elif tag == "const":
            parameters.append(f"const {parameter['name']}: {type_(content['type'])}")
        else:
            parameters.append(parameter["name"])
    where = []
    for predicate in it["where_predicates"]:
        tag, content = only(predicate)
        if tag == "bound_predicate":
            where.append(f"{type_(content['type'])}: {bounds(content['bounds'])}")
        else:
            where.append(json.dumps(content, sort_keys=True))
    return (f"<{', '.join(parameters)}>" if parameters else ""), (f" where {', '.join(where)}" if where else "")


class Api:
    """The lines of one crate."""

    def __init__(self, crate):
        self.index = crate["index"]
        self.root = str(crate["root"])
        self.lines = set()

    def text(self):
        self.item(self.root, "")
        return "".join(f"{line}\n" for line in sorted(self.lines))

    def add(self, attributes, line):
        marks = [it for it in ("non_exhaustive", "must_use") if any(it in json.dumps(a) for a in attributes)]
        self.lines.add("".join(f"#[{mark}] " for mark in marks) + line)

    def item(self, id_, parent, name=None):
        item = self.index.get(str(id_))
        if item is None:
            return
        name = name or item["name"]
        full = f"{parent}::{name}" if parent else name
        tag, inner = only(item["inner"])
        add = lambda line: self.add(item["attrs"], line)
        if tag == "module":
            add(f"mod {full}")
            for child in inner["items"]:
                self.item(child, full)
        elif tag == "use":
            self.reexport(inner, parent)
        elif tag == "function":
            parameters, where = generics(inner["generics"])
            header = inner["header"]
            kind = "".join(f"{word} " for word in ("const", "unsafe", "async") if header[f"is_{word}"])
            add(f"{kind}fn {full}{parameters}{signature(inner['sig'])}{where}")
        elif tag in ("struct", "union", "enum"):
            self.data(tag, full, item, inner)
        elif tag == "trait":
            parameters, where = generics(inner["generics"])
            limits = bounds(inner["bounds"])
            add(f"trait {full}{parameters}{f': {limits}' if limits else ''}{where}")
            for child in inner["items"]:
                self.item(child, full)
        elif tag == "type_alias":
            parameters, where = generics(inner["generics"])
            add(f"type {full}{parameters} = {type_(inner['type'])}{where}")
        elif tag == "assoc_type":
            limits = bounds(inner["bounds"])
            add(f"type {full}{f': {limits}' if limits else ''} = {type_(inner['type']) if inner['type'] else '_'}")
        elif tag in ("constant", "assoc_const", "static"):
            add(f"const {full}: {type_(inner['type'])}")
        elif tag == "struct_field":
            add(f"field {full}: {type_(inner)}")
        else:
            add(f"{tag} {full}")

    def reexport(self, inner, parent):
        target = self.index.get(str(inner["id"])) if inner["id"] is not None else None
        if target is None:
            glob = "::*" if inner["is_glob"] else ""
            self.lines.add(f"use {parent}::{inner['name']} = {inner['source']}{glob}")
        elif inner["is_glob"]:
            for child in only(target["inner"])[1].get("items", []):
                self.item(child, parent)
        else:
            self.item(inner["id"], parent, inner["name"])

    def data(self, kind, full, item, inner):
        parameters, where = generics(inner["generics"])
        self.add(item["attrs"], f"{kind} {full}{parameters}{where}")
        if kind == "enum":
            for variant in inner["variants"]:
                self.variant(variant, full)
        else:
            self.fields(inner["kind"] if kind == "struct" else {"plain": inner}, full)
        for implementation in inner["impls"]:
            self.implementation(implementation, full)

    def variant(self, id_, parent):
        item = self.index[str(id_)]
        full = f"{parent}::{item['name']}"
        self.add(item["attrs"], f"variant {full}")
        self.fields(only(item["inner"])[1]["kind"], full)

    def fields(self, kind, full):
        tag, content = only(kind)
        if tag == "tuple":
            for id_ in content:
                if id_ is not None:
                    self.item(id_, full)
        elif content:
            for id_ in content["fields"]:
                self.item(id_, full)

    def implementation(self, id_, full):
        item = self.index.get(str(id_))
        if item is None:
            return
        inner = item["inner"]["impl"]
        if inner["trait"] is None:
            for child in inner["items"]:
                self.item(child, full)
        elif not inner["is_synthetic"] and inner["blanket_impl"] is None:
            parameters, where = generics(inner["generics"])
            # The type by its whole path, with its arguments; a reference to it stays as it is.
            subject = type_(inner["for"])
            short = full.rsplit("::", 1)[1]
            subject = full + subject[len(short):] if subject.startswith(short) else f"{full}: {subject}"
            self.lines.add(f"impl{parameters} {path(inner['trait'])} for {subject}{where}")


def main():
    record = sys.argv[1:] == ["--record"]
    changed = False
    for name, crate in document():
        snapshot = SNAPSHOTS / f"{name}.txt"
        text = Api(crate).text()
        before = snapshot.read_text() if snapshot.exists() else ""
        if text == before:
            print(f"{name}: {len(text.splitlines())} public items, as recorded")
            continue
        changed = True
        if record:
            SNAPSHOTS.mkdir(exist_ok=True)
            snapshot.write_text(text)
        difference = difflib.unified_diff(before.splitlines(), text.splitlines(), "recorded", "now", n=0, lineterm="")
        lines = list(difference)
        print(f"{name}: the public API has changed", *lines[:60], sep="\n")
        if len(lines) > 60:
            print(f"... and {len(lines) - 60} more lines")
    if changed and not record:
        sys.exit("run `python3 .ci/public_api.py --record` and review its changes; CHANGELOG.md tells users of them")


main()
