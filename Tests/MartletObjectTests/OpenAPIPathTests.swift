import MartletObject
import Testing

@Suite struct OpenAPIPathTests {
    @Test func everyKindCanBeExplainedAndPatched() {
        let document = OpenAPI.v2()
        var kinds: Set<String> = []
        var patched: Set<String> = []
        func name(_ entry: JSON?) -> String {
            "\(entry?["group"]?.string ?? "?")/\(entry?["version"]?.string ?? "?") \(entry?["kind"]?.string ?? "?")"
        }
        for (_, definition) in document["definitions"]?.members ?? [] {
            for entry in definition["x-kubernetes-group-version-kind"]?.array ?? [] { kinds.insert(name(entry)) }
        }
        for (_, item) in document["paths"]?.members ?? [] {
            guard let patch = item["patch"], patch["x-kubernetes-action"] == "patch" else { continue }
            let names = (patch["parameters"]?.array ?? []).compactMap { $0["name"]?.string }
            #expect(Set(["dryRun", "fieldValidation", "force"]).isSubset(of: names))
            patched.insert(name(patch["x-kubernetes-group-version-kind"]))
        }
        for kind in ResourceKind.all {
            let wanted = "\(kind.group)/\(kind.version) \(kind.kind)"
            #expect(kinds.contains(wanted), "\(wanted)")
            #expect(patched.contains(wanted) == kind.verbs.contains("patch"), "\(wanted)")
        }
    }

    @Test func operationsHaveKubernetesNames() {
        let document = OpenAPI.v2()
        func identifier(_ path: String, _ method: String) -> String? {
            document["paths"]?[path]?[method]?["operationId"]?.string
        }
        let pods = "/api/v1/namespaces/{namespace}/pods"
        #expect(identifier(pods, "get") == "listCoreV1NamespacedPod")
        #expect(identifier(pods, "delete") == "deleteCoreV1CollectionNamespacedPod")
        #expect(identifier("/api/v1/pods", "get") == "listCoreV1PodForAllNamespaces")
        #expect(identifier("\(pods)/{name}", "put") == "replaceCoreV1NamespacedPod")
        #expect(identifier("\(pods)/{name}/status", "patch") == "patchCoreV1NamespacedPodStatus")
        #expect(identifier("\(pods)/{name}/eviction", "post") == "createCoreV1NamespacedPodEviction")
        #expect(identifier("\(pods)/{name}/proxy", "patch") == "connectCoreV1PatchNamespacedPodProxy")
        #expect(
            identifier("/api/v1/nodes/{name}/proxy/{path}", "get") == "connectCoreV1GetNodeProxyWithPath")
        #expect(identifier("/api/v1/nodes/{name}", "get") == "readCoreV1Node")
        #expect(
            identifier("/apis/rbac.authorization.k8s.io/v1/clusterroles", "post")
                == "createRbacAuthorizationV1ClusterRole")
        #expect(identifier("/api/v1/namespaces/{namespace}/bindings", "get") == nil)
        var seen: Set<String> = []
        for (path, item) in document["paths"]?.members ?? [] {
            for (method, operation) in item.members where method != "parameters" {
                let identifier = operation["operationId"]?.string ?? ""
                #expect(seen.insert(identifier).inserted, "\(method) \(path): \(identifier)")
            }
        }
    }
}
