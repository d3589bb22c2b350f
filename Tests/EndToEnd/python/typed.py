"""The typed client: create, read, list, watch, patch, replace and delete on every built-in kind it knows."""

import re
import sys

import samples
from kubernetes import client, config, watch

config.load_kube_config()
api = client.ApiClient()


def interface(version):
    group, _, version = version.rpartition("/")
    group = re.sub(r"\.k8s\.io$", "", group) or "core"
    return getattr(client, "".join(p.capitalize() for p in group.split(".")) + version.capitalize() + "Api")(api)


def live(version, resource, sample):
    interface_ = interface(version)
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])|(?<=[A-Z])([A-Z])(?=[a-z])", r"_\1\2", sample["kind"]).lower()
    place = ("default",) if resource["namespaced"] else ()

    def method(verb, part=""):
        return getattr(interface_, "%s_%s%s%s" % (verb, "namespaced_" if resource["namespaced"] else "", snake, part))

    def call(verb, *arguments, part="", **named):
        return method(verb, part)(*arguments, *place, **named)

    name = sample["metadata"]["name"]
    call("create", body=sample)
    try:
        revision = call("list").metadata.resource_version
        found = call("patch", name, body={"metadata": {"labels": {"x": "y"}}})
        assert found.metadata.labels["x"] == "y", found
        found = call("read", name)
        found.metadata.labels["x"] = "z"
        call("replace", name, body=found)
        seen = [n for n in call("list", label_selector="x=z").items if n.metadata.name == name]
        assert len(seen) == 1, seen
        events = watch.Watch().stream(method("list"), *place, resource_version=revision, timeout_seconds=5)
        types = []
        for event in events:
            if event["object"].metadata.name == name:
                types.append(event["type"])
            if types == ["MODIFIED", "MODIFIED"]:
                break
        assert types == ["MODIFIED", "MODIFIED"], types
        if resource["name"] + "/status" in subresources[version]:
            status = call("read", name, part="_status")
            assert call("replace", name, part="_status", body=status).metadata.name == name
        if resource["name"] + "/scale" in subresources[version]:
            call("patch", name, part="_scale", body={"spec": {"replicas": 2}})
            assert call("read", name, part="_scale").spec.replicas == 2 == call("read", name).spec.replicas
    finally:
        call("delete", name, grace_period_seconds=0)


subresources = {}
for version, resource in samples.discovered(api):
    subresources.setdefault(version, set()).add(resource["name"])


def main():
    failures, passed = [], 0
    for version, resource, sample in samples.stored(api, sys.argv[1]):
        if version.startswith("gateway."):
            continue  # the client has no types of these
        try:
            live(version, resource, sample)
            passed += 1
        except Exception as error:
            failures.append("%s %s: %s: %s" % (version, resource["kind"], type(error).__name__, error))
    assert not failures and passed > 40, "%d passed; %s" % (passed, "\n".join(failures))
    print("the typed client lives through %d kinds" % passed)
    core = client.CoreV1Api(api)
    for number in range(25):
        core.create_namespaced_config_map("default", {"metadata": {"name": "page-%02d" % number}})
    names, token = [], None
    while token != "":
        page = core.list_namespaced_config_map("default", limit=10, _continue=token, field_selector="metadata.name!=x")
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert len([n for n in names if n.startswith("page-")]) == 25 and len(set(names)) == len(names), names
    for code, reason, attempt in [
        (404, "Not Found", lambda: core.read_namespaced_config_map("absent", "default")),
        (409, "Conflict", lambda: core.create_namespaced_config_map("default", {"metadata": {"name": "page-00"}})),
        (422, "Unprocessable Entity", lambda: core.create_namespaced_config_map("default", {"metadata": {"name": "A"}})),
    ]:
        try:
            attempt()
            raise AssertionError("%d did not come" % code)
        except client.ApiException as error:
            assert (error.status, error.reason) == (code, reason), error
    print("pages, and refusals as the client raises them")


main()
