"""A service account's token as a bearer, within its rights and not beyond."""

from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()
core.create_namespaced_service_account("default", {"metadata": {"name": "reader"}})
request = {"spec": {"expirationSeconds": 3600}}
token = core.create_namespaced_service_account_token("reader", "default", request).status.token
access = client.RbacAuthorizationV1Api()
access.create_namespaced_role(
    "default",
    {"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]})
access.create_namespaced_role_binding(
    "default",
    {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    })


def bearer(token):
    settings = client.Configuration.get_default_copy()
    settings.cert_file = settings.key_file = None
    settings.api_key = {"authorization": "Bearer " + token}
    return client.CoreV1Api(client.ApiClient(settings))


def refused(code, attempt):
    try:
        attempt()
    except client.ApiException as error:
        assert error.status == code, error
        return
    raise AssertionError("it was not refused with %d" % code)


bearer(token).list_namespaced_secret("default")
refused(403, lambda: bearer(token).list_namespaced_pod("default"))
refused(403, lambda: bearer(token).list_namespaced_secret("kube-system"))
refused(401, lambda: bearer(token[:-8] + "AAAAAAAA").list_namespaced_secret("default"))
refused(401, lambda: bearer("garbage").list_namespaced_secret("default"))
core.delete_namespaced_service_account("reader", "default")
refused(401, lambda: bearer(token).list_namespaced_secret("default"))
print("a service account's token opens what its role does, until the account goes")
