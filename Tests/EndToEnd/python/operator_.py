"""A small operator: for each Site it keeps a ConfigMap, says so in the status, and counts there while it lives."""

import kopf
from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()


@kopf.on.create("example.org", "v1", "sites")
@kopf.on.update("example.org", "v1", "sites")
def keep(name, namespace, spec, patch, **_):
    body = {"metadata": {"name": "site-" + name}, "data": {"title": spec["title"]}}
    try:
        core.create_namespaced_config_map(namespace, body)
    except client.ApiException as error:
        if error.status != 409:
            raise
        core.replace_namespaced_config_map("site-" + name, namespace, body)
    patch.status["shown"] = spec["title"]


@kopf.timer("example.org", "v1", "sites", interval=0.3)
def count(status, patch, **_):
    patch.status["beats"] = status.get("beats", 0) + 1


@kopf.on.delete("example.org", "v1", "sites")
def end(name, namespace, **_):
    core.delete_namespaced_config_map("site-" + name, namespace)
