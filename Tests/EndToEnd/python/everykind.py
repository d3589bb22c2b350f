"""The dynamic client leads an object of every kind that discovery shows through its life, by every verb it has."""

import copy
import sys

import samples
from kubernetes import client, config, dynamic

config.load_kube_config()
api = client.ApiClient()
dynamic_client = dynamic.DynamicClient(api)

MERGE, JSON, STRATEGIC = ("application/%s+json" % t for t in ("merge-patch", "json-patch", "strategic-merge-patch"))
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
# At once, and (which Jobs and ReplicationControllers need said) without orphans.
NOW = {"grace_period_seconds": 0, "propagation_policy": "Background"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}


def refused(error, attempt, *words):
    try:
        attempt()
    except error as raised:
        assert all(word in str(raised) for word in words), raised
        return
    raise AssertionError("%s did not come" % error.__name__)


class Life:
    """One object of one kind."""

    def __init__(self, version, resource, sample):
        self.version, self.resource, self.sample = version, resource, sample
        self.kind = dynamic_client.resources.get(api_version=version, kind=resource["kind"], name=resource["name"])
        self.name = sample["metadata"]["name"]
        self.place = {"namespace": "default"} if resource["namespaced"] else {}
        self.steps = []

    def get(self, **named):
        return self.kind.get(name=self.name, **self.place, **named)

    def patch(self, body, content_type, **named):
        return self.kind.patch(body=body, name=self.name, content_type=content_type, **self.place, **named)

    def apply(self, labels, manager, **named):
        body = {"apiVersion": self.version, "kind": self.resource["kind"],
                "metadata": {"name": self.name, "labels": labels}}
        return self.kind.server_side_apply(body=body, name=self.name, field_manager=manager, **self.place, **named)

    def run(self):
        before = self.kind.get(**self.place).metadata.resourceVersion
        made = self.kind.create(body=self.sample, **self.place)
        try:
            self.begin(made)
            self.change()
            self.apply_together()
            self.status()
            self.scale()
        except BaseException:
            self.kind.delete(name=self.name, **self.place, **NOW)
            raise
        self.end()
        self.watched(before)

    def begin(self, made):
        assert made.metadata.uid and made.metadata.creationTimestamp and made.metadata.resourceVersion, made
        assert (made.apiVersion, made.kind) == (self.version, self.resource["kind"]), made
        refused(dynamic.exceptions.ConflictError, lambda: self.kind.create(body=self.sample, **self.place),
                "AlreadyExists")
        only = self.kind.get(field_selector="metadata.name=" + self.name, **self.place)
        assert [i.metadata.name for i in only["items"]] == [self.name] and only.kind == self.resource["kind"] + "List"
        table = self.kind.get(header_params=dict(TABLE), **self.place)
        assert table.kind == "Table" and self.name in [row.object.metadata.name for row in table.rows], table
        assert all(len(row.cells) == len(table.columnDefinitions) for row in table.rows), table
        part = self.kind.get(name=self.name, header_params=dict(PARTIAL), **self.place).to_dict()
        assert part["kind"] == "PartialObjectMetadata" and part["metadata"]["uid"] == made.metadata.uid, part
        assert set(part) == {"kind", "apiVersion", "metadata"}, part

    def change(self):
        self.patch({"metadata": {"labels": {"merge": "1"}}}, MERGE)
        self.patch([{"op": "add", "path": "/metadata/labels/json", "value": "1"}], JSON)
        if self.resource["kind"] not in samples.CUSTOM:
            self.patch({"metadata": {"labels": {"strategic": "1"}}}, STRATEGIC)
        labels = self.get().metadata.labels.to_dict()
        assert {"merge", "json"} <= set(labels), labels
        stale = self.get().to_dict()
        fresh = copy.deepcopy(stale)
        fresh["metadata"]["labels"]["put"] = "1"
        replaced = self.kind.replace(body=fresh, **self.place)
        assert replaced.metadata.labels["put"] == "1", replaced
        refused(dynamic.exceptions.ConflictError, lambda: self.kind.replace(body=stale, **self.place),
                "the object has been modified")
        same = self.kind.replace(body=replaced.to_dict(), **self.place)
        assert same.metadata.resourceVersion == replaced.metadata.resourceVersion, "a write of nothing counts"
        self.patch({"metadata": {"labels": {"dry": "1"}}}, MERGE, query_params=[("dryRun", "All")])
        assert "dry" not in self.get().metadata.labels.to_dict()

    def apply_together(self):
        self.apply({"owner": "one"}, "one")
        refused(dynamic.exceptions.ConflictError, lambda: self.apply({"owner": "two"}, "two"),
                'conflict with \\"one\\"', ".metadata.labels.owner")
        forced = self.apply({"owner": "two"}, "two", force_conflicts=True)
        assert forced.metadata.labels.owner == "two", forced
        managers = {(m["manager"], m["operation"]) for m in forced.to_dict()["metadata"]["managedFields"]}
        assert ("two", "Apply") in managers and ("one", "Apply") not in managers, managers
        gone = self.apply({}, "two")
        assert "owner" not in gone.metadata.labels.to_dict(), "what an applier no longer names stays"

    def status(self):
        part = self.kind.subresources.get("status")
        if not part:
            return
        assert part.get(name=self.name, **self.place).kind == self.resource["kind"]
        before = self.get().to_dict()
        part.patch(name=self.name, body={"metadata": {"annotations": {"status": "1"}}}, content_type=MERGE,
                   **self.place)
        after = self.get().to_dict()
        assert after.get("spec") == before.get("spec"), "a status moves the spec"
        assert after["metadata"].get("generation") == before["metadata"].get("generation"), "it is a new generation"

    def scale(self):
        part = self.kind.subresources.get("scale")
        if not part:
            return
        part.patch(name=self.name, body={"spec": {"replicas": 3}}, content_type=MERGE, **self.place)
        assert part.get(name=self.name, **self.place).spec.replicas == 3
        assert self.get().spec.replicas == 3

    def end(self):
        self.kind.delete(name=self.name, query_params=[("dryRun", "All")], **self.place)
        assert self.get().metadata.uid
        uid = {"preconditions": {"uid": "another"}}
        refused(dynamic.exceptions.ConflictError, lambda: self.kind.delete(name=self.name, body=uid, **self.place),
                "Precondition failed: UID in precondition")
        if "deletecollection" in self.resource["verbs"]:
            self.kind.delete(label_selector="put=1", **self.place, **NOW)
        else:
            self.kind.delete(name=self.name, **self.place, **NOW)
        if self.resource["kind"] not in samples.LINGERING:
            refused(dynamic.exceptions.NotFoundError, self.get, self.resource["name"], "not found")

    def watched(self, since):
        events, lingers = [], self.resource["kind"] in samples.LINGERING
        for event in self.kind.watch(resource_version=since, name=self.name, timeout=1 if lingers else 30, **self.place):
            events.append(event)
            if event["type"] == "DELETED":
                break
        types = [e["type"] for e in events]
        wanted = ["ADDED"] + ["MODIFIED"] * (len(types) - 2) + ["DELETED"]
        if lingers:
            types, wanted = types[:2], ["ADDED", "MODIFIED"]
        assert len(events) > 4 and types == wanted, types
        revisions = [int(e["object"].metadata.resourceVersion) for e in events]
        assert revisions == sorted(set(revisions)) and revisions[0] > int(since), revisions
        assert all(e["object"].kind == self.resource["kind"] for e in events), events


def ask_reviews():
    """The kinds that are only asked."""
    access = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}
    questions = {
        "TokenReview": ({"spec": {"token": "none"}}, lambda s: s.authenticated is None or s.authenticated is False),
        "SelfSubjectReview": ({}, lambda s: s.userInfo.username),
        "SelfSubjectAccessReview": (access, lambda s: s.allowed is True),
        "SubjectAccessReview": ({"spec": {**access["spec"], "user": "jane"}}, lambda s: s.allowed is False),
        "LocalSubjectAccessReview": (
            {"metadata": {"namespace": "default"}, "spec": {**access["spec"], "user": "jane"}},
            lambda s: s.allowed is False),
        "SelfSubjectRulesReview": ({"spec": {"namespace": "default"}}, lambda s: len(s.resourceRules) > 0),
    }
    asked = 0
    for version, resource in samples.discovered(api):
        if resource["verbs"] != ["create"] or "/" in resource["name"] or resource["kind"] == "Binding":
            continue
        body, isRight = questions[resource["kind"]]
        kind = dynamic_client.resources.get(api_version=version, kind=resource["kind"])
        place = {"namespace": "default"} if resource["namespaced"] else {}
        answer = kind.create(body={"apiVersion": version, "kind": resource["kind"], **body}, **place)
        assert isRight(answer.status), answer
        asked += 1
    assert asked == len(questions), asked
    return asked


def main():
    failures, passed = [], 0
    for version, resource, sample in samples.stored(api, sys.argv[1]):
        if sample["metadata"]["name"] == "sample":
            sample["metadata"] = {"name": "life"}  # what others left with a finalizer is not in the way
        try:
            Life(version, resource, sample).run()
            passed += 1
        except Exception as error:
            where = error.__traceback__
            while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == __file__:
                where = where.tb_next
            failures.append("%s %s, line %d: %s: %s" % (
                version, resource["kind"], where.tb_lineno, type(error).__name__, str(error)[:1500]))
    assert not failures and passed > 40, "%d passed; %s" % (passed, "\n".join(failures))
    print("the dynamic client leads %d kinds through their life, and asks %d reviews" % (passed, ask_reviews()))


main()
