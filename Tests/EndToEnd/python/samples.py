"""The objects of Tests/FuzzSupport/KindSamples.swift, one of every built-in kind that is stored."""

import json
import re


def read(path):
    source = open(path).read()
    constants = {}

    def text(literal):
        literal = literal.strip()
        if literal.startswith('#"'):
            return re.sub(r"\\#\((\w+)\)", lambda found: constants[found.group(1)], literal[2:-2])
        if literal.startswith('"""'):
            lines = "\n".join(line.strip() for line in literal[3:-3].strip("\n").split("\n"))
            return re.sub(r"\\\((\w+)\)", lambda found: constants[found.group(1)], lines)
        if literal.startswith('"'):
            inner = re.sub(r"\\\((\w+)\)", lambda found: constants[found.group(1)], literal[1:-1])
            return inner.replace('\\"', '"')
        return constants[literal]

    for found in re.finditer(r'private static let (\w+) = (#".*?"#|""".*?""")\n', source, re.S):
        constants[found.group(1)] = text(found.group(2))
    begin = "contents: [String: String] = ["
    body = source[source.index(begin) + len(begin) : source.index("\n    ]\n")]
    pattern = r'"([\w./]+ \w+)":\s*(#".*?"#|""".*?"""|"(?:[^"\\]|\\.)*"|\w+)'
    objects = []
    for found in re.finditer(pattern, body, re.S):
        version, kind = found.group(1).split(" ")
        rest = json.loads("{%s}" % text(found.group(2)))
        name = "10.96.0.77" if kind == "IPAddress" else "sample"
        if kind == "CustomResourceDefinition":
            name = "%s.%s" % (rest["spec"]["names"]["plural"], rest["spec"]["group"])
        objects.append({"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest})
    return objects
