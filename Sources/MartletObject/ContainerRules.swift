/// What holds for one container of a pod.
struct ContainerRules {
    let path: String
    let container: JSON
    /// The names of the pod's volumes.
    let volumes: Set<String>
    let isInit: Bool
    var usesHostNetwork = false
    /// Whether the pod's containers stay ended when they end.
    var neverRestarts = false

    init(path: String, container: JSON, volumes: Set<String>, isInit: Bool) {
        self.path = path
        self.container = container
        self.volumes = volumes
        self.isInit = isInit
    }

    func check(_ faults: inout Faults) {
        let name = container["name"]?.string ?? ""
        if name.isEmpty {
            faults.required("\(path).name")
        } else {
            faults.name("\(path).name", name, Names.labelFault)
        }
        let image = container["image"]?.string ?? ""
        if image.isEmpty {
            faults.required("\(path).image")
        } else if image.utf8.first.map(isBlank) == true || image.utf8.last.map(isBlank) == true {
            faults.invalid("\(path).image", .string(image), "must not have leading or trailing whitespace")
        }
        checkPorts(&faults)
        checkEnvironment(&faults)
        checkMounts(&faults)
        checkResources(&faults)
        checkResizePolicy(&faults)
        checkProbes(&faults)
        if let context = container["securityContext"] {
            SecurityRules.checkContainer("\(path).securityContext", context, &faults)
        }
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private func checkPorts(_ faults: inout Faults) {
        var names: Set<String> = []
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            var path: String { "\(self.path).ports[\(index)]" }
            if let name = port["name"]?.string, !name.isEmpty {
                for fault in Names.portNameFaults(name) { faults.invalid("\(path).name", .string(name), fault) }
                if !names.insert(name).inserted { faults.duplicate("\(path).name", .string(name)) }
            }
            let number = port["containerPort"]?.int ?? 0
            if number == 0 {
                faults.required("\(path).containerPort")
            } else {
                faults.portNumber("\(path).containerPort", number)
            }
            let hostPort = port["hostPort"]?.int ?? 0
            if hostPort != 0 { faults.portNumber("\(path).hostPort", hostPort) }
            if usesHostNetwork, hostPort != number {
                faults.invalid(
                    "\(path).hostPort", .int(Int64(hostPort)),
                    "must match `containerPort` when `hostNetwork` is true")
            }
            if (port["protocol"]?.string ?? "").isEmpty { faults.required("\(path).protocol") }
        }
    }

    /// A host port can be taken once in a pod.
    func checkHostPorts(_ taken: inout Set<String>, _ faults: inout Faults) {
        if isInit { return }
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            guard let hostPort = port["hostPort"]?.int, hostPort != 0 else { continue }
            let key = "\(port["protocol"]?.string ?? "")/\(port["hostIP"]?.string ?? "")/\(hostPort)"
            if !taken.insert(key).inserted { faults.duplicate("\(path).ports[\(index)].hostPort", .string(key)) }
        }
    }

    private func checkEnvironment(_ faults: inout Faults) {
        for (index, variable) in (container["env"]?.array ?? []).enumerated() {
            var path: String { "\(self.path).env[\(index)]" }
            let name = variable["name"]?.string ?? ""
            if name.isEmpty {
                faults.required("\(path).name")
            } else {
                faults.name("\(path).name", name, Names.environmentNameFault)
            }
            guard let source = variable["valueFrom"] else { continue }
            if !(variable["value"]?.string ?? "").isEmpty {
                faults.invalid("\(path).valueFrom", "", "may not be specified when `value` is not empty")
            }
            switch source.object?.count ?? 0 {
            case 0:
                faults.invalid(
                    "\(path).valueFrom", "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                        + "`fileKeyRef`")
            case 1: checkSource("\(path).valueFrom", source, &faults)
            default:
                faults.invalid("\(path).valueFrom", "", "may not have more than one field specified at a time")
            }
        }
        for (index, source) in (container["envFrom"]?.array ?? []).enumerated() {
            var path: String { "\(self.path).envFrom[\(index)]" }
            let references = ["configMapRef", "secretRef"].filter { source[$0] != nil }
            if references.isEmpty {
                faults.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
            } else if references.count > 1 {
                faults.invalid(path, "", "may not have more than one field specified at a time")
            }
            for reference in references where (source[reference]?["name"]?.string ?? "").isEmpty {
                faults.required("\(path).\(reference).name")
            }
        }
    }

    private func checkSource(_ path: @autoclosure () -> String, _ source: JSON, _ faults: inout Faults) {
        for (reference, fields) in [
            ("configMapKeyRef", ["name", "key"]), ("secretKeyRef", ["name", "key"]), ("fieldRef", ["fieldPath"]),
            ("resourceFieldRef", ["resource"]),
        ] {
            guard let value = source[reference] else { continue }
            for field in fields where (value[field]?.string ?? "").isEmpty {
                faults.required("\(path()).\(reference).\(field)")
            }
        }
        if let field = source["fieldRef", "fieldPath"]?.string, !field.isEmpty, !Self.isField(field) {
            faults.invalid(
                "\(path()).fieldRef.fieldPath", .string(field),
                "error converting fieldPath: field label not supported: \(field)")
        }
        if let resource = source["resourceFieldRef", "resource"]?.string, !resource.isEmpty,
            !Self.resources.contains(resource), !resource.contains("hugepages-")
        {
            faults.notSupported("\(path()).resourceFieldRef.resource", .string(resource), Self.resources)
        }
    }

    private static let fields: Set<String> = [
        "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations",
        "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    ]

    /// A field that a container may be told of: `metadata.labels['app']` is one, too.
    private static func isField(_ path: String) -> Bool {
        if let bracket = path.utf8.firstIndex(of: UInt8(ascii: "[")) {
            let map = String(path[..<bracket])
            return ["metadata.labels", "metadata.annotations"].contains(map) && path.hasSuffix("']")
        }
        return fields.contains(path)
    }

    private static let resources = ["cpu", "ephemeral-storage", "memory"].flatMap {
        ["limits.\($0)", "requests.\($0)"]
    }

    private func checkMounts(_ faults: inout Faults) {
        var places: Set<String> = []
        for (index, mount) in (container["volumeMounts"]?.array ?? []).enumerated() {
            var path: String { "\(self.path).volumeMounts[\(index)]" }
            let name = mount["name"]?.string ?? ""
            if name.isEmpty {
                faults.required("\(path).name")
            } else if !volumes.contains(name) {
                faults.notFound("\(path).name", .string(name))
            }
            let place = mount["mountPath"]?.string ?? ""
            if place.isEmpty {
                faults.required("\(path).mountPath")
            } else if !places.insert(place).inserted {
                faults.invalid("\(path).mountPath", .string(place), "must be unique")
            }
            let subPath = mount["subPath"]?.string ?? ""
            faults.descendingPath("\(path).subPath", subPath)
            guard let expression = mount["subPathExpr"]?.string, !expression.isEmpty else { continue }
            if !subPath.isEmpty {
                faults.invalid(
                    "\(path).subPathExpr", .string(expression), "subPathExpr and subPath are mutually exclusive")
            }
            faults.descendingPath("\(path).subPathExpr", expression)
        }
    }

    private func checkResources(_ faults: inout Faults) {
        let resources = container["resources"] ?? [:]
        for list in ["limits", "requests"] {
            for (name, value) in resources[list]?.object ?? [:] {
                var path: String { "\(self.path).resources.\(list)[\(name)]" }
                let isStandard = ["cpu", "memory", "ephemeral-storage"].contains(name) || name.hasPrefix("hugepages-")
                if !isStandard, !name.contains("/") {
                    faults.invalid(path, .string(name), "must be a standard resource for containers")
                } else if !isStandard {
                    faults.name(path, name, Names.qualifiedNameFault)
                }
                guard let quantity = Quantity(value) else { continue }
                if quantity.milli < 0 { faults.invalid(path, value, "must be greater than or equal to 0") }
                guard list == "requests", let limitText = resources["limits"]?[name],
                    let limit = Quantity(limitText)
                else { continue }
                if limit < quantity {
                    faults.invalid(
                        "\(self.path).resources.requests", value,
                        "must be less than or equal to \(name) limit of \(limitText.string ?? "")")
                }
            }
        }
    }

    private func checkResizePolicy(_ faults: inout Faults) {
        var path: String { "\(self.path).resizePolicy" }
        var names: Set<String> = []
        for policy in container["resizePolicy"]?.array ?? [] {
            let name = policy["resourceName"]?.string ?? ""
            if name.isEmpty {
                faults.required(path)
            } else if !["cpu", "memory"].contains(name) {
                faults.notSupported(path, .string(name), ["cpu", "memory"])
            } else if !names.insert(name).inserted {
                faults.duplicate(path, .string(name))
            }
            if neverRestarts, policy["restartPolicy"] == "RestartContainer" {
                faults.invalid(
                    path, "RestartContainer", "must be 'NotRequired' when `restartPolicy` is 'Never'")
            }
        }
    }

    private func checkProbes(_ faults: inout Faults) {
        let isSidecar = container["restartPolicy"] == "Always"
        for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
            guard let probe = container[field] else { continue }
            var path: String { "\(self.path).\(field)" }
            if isInit, !isSidecar {
                faults.forbidden(path, "may not be set for init containers without restartPolicy=Always")
                continue
            }
            checkHandler(path, probe, ["exec", "httpGet", "tcpSocket", "grpc"], &faults)
            for number in [
                "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
            ] { faults.notNegative("\(path).\(number)", probe[number]) }
            if field != "readinessProbe", let threshold = probe["successThreshold"], threshold != 1 {
                faults.invalid("\(path).successThreshold", threshold, "must be 1")
            }
        }
        for hook in ["postStart", "preStop"] {
            guard let handler = container["lifecycle", hook] else { continue }
            if isInit, !isSidecar {
                faults.forbidden("\(path).lifecycle", "may not be set for init containers without restartPolicy=Always")
                return
            }
            checkHandler("\(path).lifecycle.\(hook)", handler, ["exec", "httpGet", "tcpSocket", "sleep"], &faults)
        }
    }

    /// Exactly one handler, and that one whole.
    private func checkHandler(
        _ path: @autoclosure () -> String, _ value: JSON, _ kinds: [String], _ faults: inout Faults
    ) {
        let given = kinds.filter { value[$0] != nil }
        if given.isEmpty { faults.required(path(), "must specify a handler type") }
        for extra in given.dropFirst() {
            faults.forbidden("\(path()).\(extra)", "may not specify more than 1 handler type")
        }
        if let exec = value["exec"], (exec["command"]?.array ?? []).isEmpty {
            faults.required("\(path()).exec.command")
        }
        for kind in ["httpGet", "tcpSocket", "grpc"] {
            guard let handler = value[kind] else { continue }
            faults.port("\(path()).\(kind).port", handler["port"] ?? 0)
        }
    }
}
