internal import OrderedCollections

/// What holds for a pod's ephemeral containers: those that are added to a running pod to look into it.
enum EphemeralContainerRules {
    /// What such a container may say. It is never started again and counts for nothing, so it has no ports, probes,
    /// hooks or resources.
    private static let fields: Set<String> = [
        "name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts", "volumeDevices",
        "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin",
        "stdinOnce", "tty", "targetContainerName",
    ]
    private static let refusal = "cannot be set for an Ephemeral Container"

    /// Checks those of a pod whose other containers have these names.
    static func check(
        _ path: String, _ spec: JSON, others: Set<String>, volumes: Set<String>, _ faults: inout Faults
    ) {
        var names = others
        for (index, container) in (spec["ephemeralContainers"]?.array ?? []).enumerated() {
            let path = "\(path).ephemeralContainers[\(index)]"
            ContainerRules(path: path, container: container, volumes: volumes, isInit: false).check(&faults)
            let name = container["name"]?.string ?? ""
            if !name.isEmpty, !names.insert(name).inserted { faults.duplicate("\(path).name", .string(name)) }
            let target = container["targetContainerName"]?.string ?? ""
            if !target.isEmpty, !others.contains(target) {
                faults.notFound("\(path).targetContainerName", .string(target))
            }
            for (field, value) in container.members where !fields.contains(field) && !isEmpty(value) {
                faults.forbidden("\(path).\(field)", refusal)
            }
            for (place, mount) in (container["volumeMounts"]?.array ?? []).enumerated() {
                for field in ["subPath", "subPathExpr"] where !(mount[field]?.string ?? "").isEmpty {
                    faults.forbidden("\(path).volumeMounts[\(place)].\(field)", refusal)
                }
            }
        }
    }

    /// Go's zero value: `resources: {}` is set by a default.
    private static func isEmpty(_ value: JSON) -> Bool {
        value == .null || value.object?.isEmpty == true || value.array?.isEmpty == true
    }

    /// Ephemeral containers come, and stay as they came.
    static func checkChange(_ pod: JSON, _ old: JSON, _ faults: inout Faults) {
        let path = "spec.ephemeralContainers"
        let containers = pod["spec", "ephemeralContainers"]?.array ?? []
        for container in old["spec", "ephemeralContainers"]?.array ?? [] {
            let name = container["name"]?.string ?? ""
            guard let kept = containers.first(where: { $0["name"] == container["name"] }) else {
                faults.forbidden(path, "existing ephemeral containers \"\(name)\" may not be removed\n")
                continue
            }
            if kept != container {
                faults.forbidden(path, "existing ephemeral containers \"\(name)\" may not be changed\n")
            }
        }
    }
}
