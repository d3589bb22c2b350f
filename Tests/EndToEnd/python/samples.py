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


def discovered(api):
    """What the server says it serves: (apiVersion, resource of the discovery document) of every resource."""
    def get(path):
        answer = api.call_api("GET", api.configuration.host + path, {"Accept": "application/json"})
        return json.loads(answer.read())

    versions = ["v1"] + [v["groupVersion"] for g in get("/apis")["groups"] for v in g["versions"]]
    for version in versions:
        for resource in get(("/apis/" if "/" in version else "/api/") + version)["resources"]:
            yield version, resource


def stored(api, path):
    """A sample of every kind of discovery that is stored, so that none is forgotten: (apiVersion, resource, object)."""
    known = {(o["apiVersion"], o["kind"]): o for o in read(path)}
    for version, resource in discovered(api):
        if "/" in resource["name"] or "list" not in resource["verbs"]:
            continue
        home = version.replace("gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1")
        sample = known.get((home, resource["kind"]))
        assert sample, "%s %s is served and has no sample" % (version, resource["kind"])
        yield version, resource, {**sample, "apiVersion": version}


# Kinds that know no strategic merge patch: custom resources, as upstream serves the Gateway API's.
CUSTOM = {"GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "BackendTLSPolicy", "ReferenceGrant"}
# Kinds that go a moment after their deletion: their finalizers wait for a controller.
LINGERING = {"Namespace", "PersistentVolume", "PersistentVolumeClaim", "ServiceCIDR", "CustomResourceDefinition"}
