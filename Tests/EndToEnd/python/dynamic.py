"""The dynamic client: a custom kind from its definition to its end, and server-side apply."""

import time

from kubernetes import client, config, dynamic

config.load_kube_config()


def connect():
    return dynamic.DynamicClient(client.ApiClient())


def definition():
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "colour": {"type": "string", "default": "blue"},
                    "parts": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                        },
                    },
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    version = {
        "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "boxes", "kind": "Box"},
            "versions": [version],
        },
    }


def box(**spec):
    return {"apiVersion": "example.org/v1", "kind": "Box", "metadata": {"name": "box"}, "spec": spec}


def established(definitions):
    for _ in range(100):
        conditions = definitions.get(name="boxes.example.org").to_dict().get("status", {}).get("conditions", [])
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return
        time.sleep(0.05)
    raise AssertionError("the definition is never established")


def main():
    api = connect()
    definitions = api.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=definition())
    established(definitions)
    boxes = connect().resources.get(api_version="example.org/v1", kind="Box")
    made = boxes.create(body=box(size=1, unknown="gone"), namespace="default")
    assert made.spec.to_dict() == {"size": 1, "colour": "blue"}, made
    try:
        boxes.create(body={**box(size=0), "metadata": {"name": "bad"}}, namespace="default")
        raise AssertionError("a size of 0 was taken")
    except dynamic.exceptions.UnprocessibleEntityError:
        pass
    boxes.status.patch(
        name="box", namespace="default", body={"status": {"ready": True}},
        content_type="application/merge-patch+json")
    assert boxes.get(name="box", namespace="default").status.ready is True
    boxes.delete(name="box", namespace="default")
    print("the dynamic client finds a custom kind, which defaults, prunes and refuses")

    first = box(size=1, parts=[{"name": "a", "count": 1}])
    boxes.server_side_apply(body=first, namespace="default", field_manager="one")
    second = {**box(size=1), "spec": {"parts": [{"name": "b", "count": 2}], "size": 1}}
    merged = boxes.server_side_apply(body=second, namespace="default", field_manager="two")
    assert [part.name for part in merged.spec.parts] == ["a", "b"], merged
    rival = {**box(size=2), "spec": {"size": 2}}
    try:
        boxes.server_side_apply(body=rival, namespace="default", field_manager="three")
        raise AssertionError("no conflict came")
    except dynamic.exceptions.ConflictError as error:
        assert "one" in str(error) and ".spec.size" in str(error), error
    forced = boxes.server_side_apply(body=rival, namespace="default", field_manager="three", force_conflicts=True)
    assert forced.spec.size == 2, forced
    left = boxes.server_side_apply(body=box(size=2), namespace="default", field_manager="two")
    assert [part.name for part in left.spec.parts] == ["a"], left
    print("appliers share an object, are told of a conflict, and force")

    definitions.delete(name="boxes.example.org")
    for _ in range(100):
        if not [d for d in definitions.get().items if d.metadata.name == "boxes.example.org"]:
            return
        time.sleep(0.05)
    raise AssertionError("the definition does not go")


main()
