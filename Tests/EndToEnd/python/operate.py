"""Runs the operator beside this file, and is its user."""

import os
import subprocess
import sys
import time

from kubernetes import client, config

config.load_kube_config()
core, custom, extensions = client.CoreV1Api(), client.CustomObjectsApi(), client.ApiextensionsV1Api()
PLACE = ("example.org", "v1", "default", "sites")


def until(what, check):
    for _ in range(300):
        try:
            if check():
                return
        except client.ApiException as error:
            if error.status != 404:
                raise
        time.sleep(0.1)
    raise AssertionError("waited 30 s: " + what)


def absent(read):
    try:
        read()
    except client.ApiException as error:
        return error.status == 404
    return False


def story():
    site = {"apiVersion": "example.org/v1", "kind": "Site", "metadata": {"name": "a"}, "spec": {"title": "one"}}
    custom.create_namespaced_custom_object(*PLACE, site)
    until("the map is made", lambda: core.read_namespaced_config_map("site-a", "default").data["title"] == "one")
    custom.patch_namespaced_custom_object(*PLACE, "a", {"spec": {"title": "two"}})
    until("the map follows", lambda: core.read_namespaced_config_map("site-a", "default").data["title"] == "two")
    until("the status says so", lambda: custom.get_namespaced_custom_object(*PLACE, "a")["status"]["shown"] == "two")
    site = custom.get_namespaced_custom_object(*PLACE, "a")
    assert site["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"], site
    assert site["metadata"]["generation"] == 2, "what an operator says of a thing is a new generation of it"
    until("its timer beats", lambda: custom.get_namespaced_custom_object(*PLACE, "a")["status"]["beats"] > 2)
    custom.delete_namespaced_custom_object(*PLACE, "a")
    until("the site is gone", lambda: absent(lambda: custom.get_namespaced_custom_object(*PLACE, "a")))
    assert absent(lambda: core.read_namespaced_config_map("site-a", "default")), "the operator left its map behind"


def main():
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
               "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "sites", "kind": "Site"}
    extensions.create_custom_resource_definition(
        {
            "metadata": {"name": "sites.example.org"},
            "spec": {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [version]},
        })
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "operator_.py")
    operator = subprocess.Popen(
        [sys.argv[1], "run", "--namespace", "default", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        story()
    except BaseException:
        operator.terminate()
        print(operator.communicate()[0].decode()[-3000:])
        raise
    operator.terminate()
    operator.wait(20)
    print("kopf runs an operator: create, update, status, timer, finalizer and delete")


main()
