internal import MartletObject

/// Pods stay for five minutes on a node that is not ready: upstream's plugin DefaultTolerationSeconds.
struct DefaultTolerationSeconds: AdmissionPlugin {
    let name = "DefaultTolerationSeconds"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .pod && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        var tolerations = review.object["spec", "tolerations"]?.array ?? []
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        where !tolerations.contains(where: { Self.tolerates($0, noExecuteOf: key) }) {
            tolerations.append(
                ["key": .string(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300])
        }
        review.object["spec", "tolerations"] = .array(tolerations)
    }

    private static func tolerates(_ toleration: JSON, noExecuteOf key: String) -> Bool {
        let effect = toleration["effect"]?.string ?? ""
        let tolerated = toleration["key"]?.string ?? ""
        return (effect.isEmpty || effect == "NoExecute") && (tolerated.isEmpty || tolerated == key)
    }
}

/// Pods that ask for a device tolerate the taint of nodes that have it: upstream's plugin ExtendedResourceToleration.
struct ExtendedResourceToleration: AdmissionPlugin {
    let name = "ExtendedResourceToleration"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .pod && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        var resources: Set<String> = []
        for list in ["containers", "initContainers"] {
            for container in review.object["spec", list]?.array ?? [] {
                for (name, _) in (container["resources", "requests"] ?? [:]).members where Self.isExtended(name) {
                    resources.insert(name)
                }
            }
        }
        if resources.isEmpty { return }
        var tolerations = review.object["spec", "tolerations"]?.array ?? []
        for name in resources.sorted() {
            let wanted: JSON = ["key": .string(name), "operator": "Exists"]
            if !tolerations.contains(where: { $0["key"] == wanted["key"] && $0["operator"] == "Exists" }) {
                tolerations.append(wanted)
            }
        }
        review.object["spec", "tolerations"] = .array(tolerations)
    }

    /// A resource of somebody's own: `example.com/device`.
    private static func isExtended(_ name: String) -> Bool {
        name.contains("/") && !name.contains("kubernetes.io/") && !name.hasPrefix("requests.")
    }
}

/// A pod's runtime class says what its sandbox costs and where it can run: upstream's plugin RuntimeClass.
struct RuntimeClassAdmission: AdmissionPlugin {
    let name = "RuntimeClass"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .pod && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        var pod = review.object
        guard let name = pod["spec", "runtimeClassName"]?.string, !name.isEmpty else {
            if !(pod["spec", "overhead"] ?? [:]).members.isEmpty {
                throw review.forbidden("Pod Overhead set without corresponding RuntimeClass defined Overhead")
            }
            return
        }
        guard let found = try await cluster.get(.runtimeClass, namespace: "", name: name) else {
            throw review.forbidden("pod rejected: RuntimeClass \"\(name)\" not found")
        }
        let overhead = found["overhead", "podFixed"]
        if let given = pod["spec", "overhead"], given != overhead {
            throw review.forbidden(
                overhead == nil
                    ? "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                    : "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        }
        if let overhead { pod["spec", "overhead"] = overhead }
        for (key, value) in (found["scheduling", "nodeSelector"] ?? [:]).members {
            if let given = pod["spec", "nodeSelector", key], given != value {
                throw review.forbidden(
                    "conflict: runtimeClass.scheduling.nodeSelector[\(key)] = \(value.string ?? ""); "
                        + "pod.spec.nodeSelector[\(key)] = \(given.string ?? "")")
            }
            pod["spec", "nodeSelector", key] = value
        }
        let tolerations = pod["spec", "tolerations"]?.array ?? []
        let more = (found["scheduling", "tolerations"]?.array ?? []).filter { !tolerations.contains($0) }
        if !more.isEmpty { pod["spec", "tolerations"] = .array(tolerations + more) }
        review.object = pod
    }
}
