internal import OrderedCollections

/// What holds for a change of the CPU and memory of a pod that may be running (upstream's ValidatePodResize).
enum PodResizeRules {
    private static let lists = ["initContainers", "containers"]
    private static let resizable = ["cpu", "memory"]
    private static let needs = ["requests", "limits"]

    static func checkChange(_ pod: JSON, _ old: JSON, _ faults: inout Faults) {
        if old.annotations["kubernetes.io/config.mirror"] != nil {
            faults.forbidden("metadata.annotations", "static pods cannot be resized")
            return
        }
        let (spec, oldSpec) = (pod["spec"] ?? [:], old["spec"] ?? [:])
        let quality = QualityOfService.of(oldSpec)
        if QualityOfService.of(spec) != quality {
            faults.invalid("spec", .string(quality), "Pod QOS Class may not change as a result of resizing")
        }
        if !isSupported(old) { faults.forbidden("spec", "Pod running on node without support for resize") }
        let ordered = lists.map { checkOrder($0, spec, oldSpec, &faults) }
        guard ordered.allSatisfy({ $0 }) else { return }
        var rest = spec
        for list in lists {
            let olds = oldSpec[list]?.array ?? []
            var containers = spec[list]?.array ?? []
            for (index, old) in olds.enumerated() {
                checkContainer("spec.\(list)[\(index)]", containers[index], old, isInit: list != "containers", &faults)
                containers[index] = keepResizable(of: old, in: containers[index])
            }
            if !containers.isEmpty { rest[list] = .array(containers) }
        }
        if rest != oldSpec { faults.forbidden("spec", "only cpu and memory resources are mutable") }
    }

    /// A node that carries resizes out says of a running container what it has.
    private static func isSupported(_ pod: JSON) -> Bool {
        let running = pod["status", "containerStatuses"]?.array?.first { $0["state", "running"] != nil }
        return running.map { $0["resources"] != nil } ?? true
    }

    private static func checkOrder(_ list: String, _ spec: JSON, _ old: JSON, _ faults: inout Faults) -> Bool {
        let (news, olds) = (names(spec[list]), names(old[list]))
        guard news.count == olds.count else {
            faults.forbidden("spec.\(list)", "\(list) may not be added or removed on resize")
            return false
        }
        for index in news.indices where news[index] != olds[index] {
            faults.forbidden("spec.\(list)[\(index)].name", "\(list) may not be renamed or reordered on resize")
        }
        return news == olds
    }

    private static func names(_ list: JSON?) -> [String] { (list?.array ?? []).map { $0["name"]?.string ?? "" } }

    private static func checkContainer(
        _ path: String, _ container: JSON, _ old: JSON, isInit: Bool, _ faults: inout Faults
    ) {
        if isInit, old["restartPolicy"] != "Always", container["resources"] != old["resources"] {
            faults.forbidden("\(path).resources", "resources for non-sidecar init containers are immutable")
        }
        for list in needs {
            let before = old["resources", list]?.object ?? [:]
            let after = container["resources", list]?.object ?? [:]
            if before.keys.contains(where: { after[$0] == nil }) {
                faults.forbidden("\(path).resources.\(list)", "resource \(list) cannot be removed")
            }
        }
    }

    /// The container with the CPU and memory of `old`: what is still different may not be.
    private static func keepResizable(of old: JSON, in container: JSON) -> JSON {
        var container = container
        for list in needs {
            for name in resizable { container["resources", list, name] = old["resources", list, name] }
            if old["resources", list] == nil, container["resources", list] == [:] { container["resources", list] = nil }
        }
        if old["resources"] == nil, container["resources"] == [:] { container["resources"] = nil }
        return container
    }
}
