"""What Helm, Argo CD and controller-runtime ask of an API, step by step, with the answers that they rely on."""

import base64
import gzip
import json
import threading
import time

from kubernetes import client, config, watch

config.load_kube_config()
api = client.ApiClient()
core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
PARTIAL = "application/json;as=%s;v=v1;g=meta.k8s.io,application/json"
TYPES = {"merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml",
         "json": "application/json-patch+json", "strategic": "application/strategic-merge-patch+json"}


def call(method, path, body=None, **fields):
    """(status, answer): the API without types, as client-go's dynamic clients have it."""
    fields = {"Accept": "application/json", "Content-Type": "application/json",
              **{k.replace("_", "-"): v for k, v in fields.items()}}
    answer = api.call_api(method, api.configuration.host + path, fields, body=body)
    data = answer.read()
    return answer.status, json.loads(data)


def stream(path, accept="application/json", until=lambda event: False):
    """The events of a watch through the one that `until` knows."""
    answer = api.call_api("GET", api.configuration.host + path, {"Accept": accept})
    events, rest = [], b""
    for piece in answer.response.stream(1 << 16):
        rest += piece
        *lines, rest = rest.split(b"\n")
        for line in lines:
            events.append(json.loads(line))
            if until(events[-1]):
                answer.response.close()
                return events
    return events


def deployment(name, replicas, image, **metadata):
    container = {"name": "c", "image": image}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, **metadata},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                 "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}},
    }


def helm():
    """Releases are Secrets, found by labels and ordered by version; an upgrade is a merge of three."""
    def release(version, status):
        chart = json.dumps({"manifest": "x" * 4000, "version": version}).encode()
        return {
            "metadata": {"name": "sh.helm.release.v1.web.v%d" % version,
                         "labels": {"owner": "helm", "name": "web", "status": status, "version": str(version)}},
            "type": "helm.sh/release.v1",
            "stringData": {"release": base64.b64encode(gzip.compress(chart)).decode()},
        }

    core.create_namespaced_secret("default", release(1, "deployed"))
    call("POST", "/apis/apps/v1/namespaces/default/deployments?fieldManager=helm", deployment("web", 1, "web:1"))
    # Somebody scales, and adds a label of his own.
    call("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", {"spec": {"replicas": 4}}, Content_Type=TYPES["merge"])
    core.create_namespaced_secret("default", release(2, "pending-upgrade"))
    try:
        core.create_namespaced_secret("default", release(2, "pending-upgrade"))
        raise AssertionError("two upgrades at once")
    except client.ApiException as error:
        assert error.status == 409 and json.loads(error.body)["reason"] == "AlreadyExists", error
    # The merge of three: from version 1 to 2 only the image changed, so the replicas stay.
    patch = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}],
                                            "containers": [{"name": "c", "image": "web:2"}]}}}}
    _, web = call("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", patch, Content_Type=TYPES["strategic"])
    assert (web["spec"]["replicas"], web["spec"]["template"]["spec"]["containers"][0]["image"]) == (4, "web:2"), web
    assert web["metadata"]["generation"] == 3, web["metadata"]
    for version, status in (1, "superseded"), (2, "deployed"):
        secret = core.read_namespaced_secret("sh.helm.release.v1.web.v%d" % version, "default")
        secret.metadata.labels["status"] = status
        core.replace_namespaced_secret(secret.metadata.name, "default", secret)
    found = core.list_namespaced_secret("default", label_selector="owner=helm,name=web,status in (deployed)")
    assert [s.metadata.labels["version"] for s in found.items] == ["2"], found
    kinds = core.list_namespaced_secret("default", field_selector="type=helm.sh/release.v1").items
    assert len(kinds) == 2, kinds
    text = gzip.decompress(base64.b64decode(base64.b64decode(found.items[0].data["release"])))
    assert json.loads(text)["version"] == 2
    secret = core.read_namespaced_secret("sh.helm.release.v1.web.v2", "default")
    secret.type = "Opaque"
    try:
        core.replace_namespaced_secret(secret.metadata.name, "default", secret)
        raise AssertionError("the type of a Secret changed")
    except client.ApiException as error:
        assert error.status == 422 and "field is immutable" in error.body, error
    # --wait: the status is written by who runs it, and told to who waits.
    status = {"status": {"observedGeneration": 3, "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4, "availableReplicas": 4}}
    threading.Timer(0.3, call, ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/status", status),
                    {"Content_Type": TYPES["merge"]}).start()
    events = stream(
        "/apis/apps/v1/namespaces/default/deployments?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%%3Dweb"
        "&resourceVersion=%s" % web["metadata"]["resourceVersion"],
        until=lambda e: e["object"].get("status", {}).get("readyReplicas") == 4)
    assert events and events[-1]["object"]["metadata"]["generation"] == 3, "a status is a new generation"
    print("as Helm: releases as Secrets, an upgrade that keeps what others changed, and a wait")


def argo():
    """What is shown is compared with what is wanted by a dry run of an apply; ownership is by field managers."""
    path = "/apis/apps/v1/namespaces/default/deployments/site"
    apply = "?fieldManager=argocd-controller&force=true"
    status, first = call("PATCH", path + apply, deployment("site", 2, "site:1"), Content_Type=TYPES["apply"])
    assert status == 201 and first["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "25%", first
    status, dry = call("PATCH", path + apply + "&dryRun=All", deployment("site", 2, "site:2"), Content_Type=TYPES["apply"])
    assert dry["spec"]["template"]["spec"]["containers"][0]["image"] == "site:2", dry
    status, same = call("PATCH", path + apply, deployment("site", 2, "site:1"), Content_Type=TYPES["apply"])
    assert status == 200 and same["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"], "it is in sync"
    # An autoscaler takes the replicas over; argo no longer names them, and they stay.
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "site"}, "spec": {"replicas": 5}}
    call("PUT", path + "/scale", scale)
    wanted = deployment("site", 0, "site:1")
    del wanted["spec"]["replicas"]
    _, shared = call("PATCH", path + apply, wanted, Content_Type=TYPES["apply"])
    assert shared["spec"]["replicas"] == 5, shared["spec"]
    managers = {m["manager"]: m for m in shared["metadata"]["managedFields"]}
    mine = managers["argocd-controller"]["fieldsV1"]["f:spec"]
    assert "f:replicas" not in mine and 'k:{"name":"c"}' in mine["f:template"]["f:spec"]["f:containers"], mine
    _, strange = call("PATCH", path + "?fieldManager=other", {**wanted, "spec": {"paused": True}}, Content_Type=TYPES["apply"])
    assert strange["spec"]["paused"] is True and strange["spec"]["replicas"] == 5, strange
    # Its cache: metadata alone of all that it watches.
    _, part = call("GET", "/apis/apps/v1/deployments?limit=1", Accept=PARTIAL % "PartialObjectMetadataList")
    assert part["kind"] == "PartialObjectMetadataList" and part["apiVersion"] == "meta.k8s.io/v1", part
    assert part["metadata"]["continue"] and part["items"][0]["kind"] == "PartialObjectMetadata", part
    assert "spec" not in part["items"][0] and part["metadata"]["remainingItemCount"] >= 1, part
    events = stream(
        "/apis/apps/v1/deployments?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=20"
        "&resourceVersionMatch=NotOlderThan", PARTIAL % "PartialObjectMetadata", until=lambda e: e["type"] == "BOOKMARK")
    assert {e["type"] for e in events[:-1]} == {"ADDED"} and len(events) >= 3, events
    assert all(e["object"]["kind"] == "PartialObjectMetadata" and "spec" not in e["object"] for e in events), events
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}, events[-1]
    print("as Argo CD: a comparison by dry run, shared fields, and a cache of metadata")


def controller():
    """One of two leads, by a Lease; owners and finalizers; an object is made once, whoever tries."""
    leases = client.CoordinationV1Api(api)
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15,
             "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.123456Z",
             "leaseTransitions": 0}}
    leases.create_namespaced_lease("default", lease)
    _, seen = call("GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader")
    assert seen["spec"]["renewTime"] == "2026-01-01T00:00:00.123456Z", "a MicroTime has six digits"
    won, lost = [], []

    def take(name):
        body = json.loads(json.dumps(seen))
        body["spec"].update(holderIdentity=name, leaseTransitions=1)
        try:
            won.append(client.CoordinationV1Api(client.ApiClient()).replace_namespaced_lease("leader", "default", body))
        except client.ApiException as error:
            assert error.status == 409 and json.loads(error.body)["reason"] == "Conflict", error
            lost.append(name)

    threads = [threading.Thread(target=take, args=("candidate-%d" % n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(won) == 1 and len(lost) == 7, (won, lost)
    held = leases.read_namespaced_lease("leader", "default").spec
    assert held.holder_identity == won[0].spec.holder_identity and held.lease_transitions == 1, held

    made = core.create_namespaced_config_map("default", {"metadata": {"generateName": "child-", "finalizers": ["example.test/keep"],
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "site", "controller": True,
                             "blockOwnerDeletion": True, "uid": apps.read_namespaced_deployment("site", "default").metadata.uid}]}})
    name = made.metadata.name
    assert name.startswith("child-") and len(name) == len("child-") + 5, name
    going = core.delete_namespaced_config_map(name, "default", propagation_policy="Foreground")
    _, left = call("GET", "/api/v1/namespaces/default/configmaps/" + name)
    assert left["metadata"]["deletionTimestamp"] and left["metadata"]["deletionGracePeriodSeconds"] == 0, left
    assert "example.test/keep" in left["metadata"]["finalizers"], left
    status, refusal = call("PATCH", "/api/v1/namespaces/default/configmaps/" + name,
                           {"metadata": {"finalizers": ["example.test/more"]}}, Content_Type=TYPES["merge"])
    words = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted"
    assert status == 422 and words in refusal["message"], refusal
    patch = [{"op": "test", "path": "/metadata/resourceVersion", "value": left["metadata"]["resourceVersion"]},
             {"op": "replace", "path": "/metadata/finalizers", "value": []}]
    call("PATCH", "/api/v1/namespaces/default/configmaps/" + name, patch, Content_Type=TYPES["json"])
    try:
        core.read_namespaced_config_map(name, "default")
        raise AssertionError("it stays without a finalizer")
    except client.ApiException as error:
        assert error.status == 404, error
    print("as controller-runtime: leader election by a Lease, owners and finalizers")


def informer():
    """A cached view, kept by Python's own watch: a list in pages, changes, a broken stream, and 410."""
    for number in range(12):
        core.create_namespaced_config_map("default", {"metadata": {"name": "seen-%02d" % number, "labels": {"in": "view"}}})
    view, token, revision = {}, None, None
    while token != "":
        page = core.list_namespaced_config_map("default", label_selector="in=view", limit=5, _continue=token)
        view.update({i.metadata.name: i.metadata.resource_version for i in page.items})
        assert revision in (None, page.metadata.resource_version), "pages of two revisions"
        token, revision = page.metadata._continue or "", page.metadata.resource_version
    assert len(view) == 12

    def change():
        for number in range(40):
            name = "seen-%02d" % (number % 20)
            if number % 3 == 2:
                call("DELETE", "/api/v1/namespaces/default/configmaps/" + name) if name in names() else None
            else:
                call("PATCH", "/api/v1/namespaces/default/configmaps/%s?fieldManager=w" % name,
                     {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"in": "view"}},
                      "data": {"n": str(number)}}, Content_Type=TYPES["apply"])
        core.create_namespaced_config_map("default", {"metadata": {"name": "end", "labels": {"in": "view"}}})

    def names():
        return {i.metadata.name for i in core.list_namespaced_config_map("default", label_selector="in=view").items}

    writer = threading.Thread(target=change)
    writer.start()
    resumed = 0
    while "end" not in view:
        for count, event in enumerate(watch.Watch().stream(
                client.CoreV1Api(client.ApiClient()).list_namespaced_config_map, "default", label_selector="in=view",
                resource_version=revision, timeout_seconds=10, allow_watch_bookmarks=True)):
            item = event["raw_object"]["metadata"]
            assert int(item["resourceVersion"]) > int(revision) or event["type"] == "BOOKMARK", event
            revision = item["resourceVersion"]
            if event["type"] == "DELETED":
                del view[item["name"]]
            elif event["type"] != "BOOKMARK":
                assert (event["type"] == "ADDED") == (item["name"] not in view), event
                view[item["name"]] = revision
            if count == 4 or "end" in view:
                break
        resumed += 1
    writer.join()
    shown = core.list_namespaced_config_map("default", label_selector="in=view")
    assert view == {i.metadata.name: i.metadata.resource_version for i in shown.items}, view
    try:
        list(watch.Watch().stream(core.list_namespaced_config_map, "default", resource_version="99999999", timeout_seconds=3))
        raise AssertionError("a revision to come was watched")
    except client.ApiException as error:
        assert error.status == 504, error
    print("as an informer: pages of one revision, and a view that is exact after %d broken watches" % resumed)


helm()
argo()
controller()
informer()
