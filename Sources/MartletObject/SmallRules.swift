internal import MartletBase

/// What holds for Secrets and ConfigMaps.
enum DataRules {
    static let mostBytes = 1_048_576

    /// The keys that a Secret of a type must have.
    private static let keysByType: [String: [String]] = [
        "kubernetes.io/tls": ["tls.crt", "tls.key"], "kubernetes.io/dockercfg": [".dockercfg"],
        "kubernetes.io/dockerconfigjson": [".dockerconfigjson"], "kubernetes.io/ssh-auth": ["ssh-privatekey"],
    ]

    @Sendable static func secret(_ secret: JSON, _ faults: inout Faults) {
        let type = secret["type"]?.string ?? ""
        checkKeys("data", secret["data"], &faults)
        var size = 0
        for (_, value) in secret["data"]?.object ?? [:] { size += (value.string?.utf8.count ?? 0) / 4 * 3 }
        if size > mostBytes { faults.tooLong("data", bytes: mostBytes) }
        for key in keysByType[type] ?? [] {
            guard let value = secret["data"]?[key] else {
                faults.required("data[\(key)]")
                continue
            }
            guard key.hasPrefix(".docker") else { continue }
            do throws(JSONError) {
                _ = try JSON(parsing: Base64.decode(value.string ?? "") ?? [])
            } catch {
                faults.invalid("data[\(key)]", "<secret contents redacted>", error.message)
            }
        }
        if type == "kubernetes.io/basic-auth", secret["data", "username"] == nil, secret["data", "password"] == nil {
            faults.required("data[username]")
            faults.required("data[password]")
        }
        if type == "kubernetes.io/service-account-token",
            (secret.annotations["kubernetes.io/service-account.name"] ?? "").isEmpty
        {
            faults.required("metadata.annotations[kubernetes.io/service-account.name]")
        }
    }

    @Sendable static func secretChange(_ secret: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("type", secret["type"], old["type"])
        checkFrozen(secret, old, ["data"], &faults)
    }

    @Sendable static func configMap(_ object: JSON, _ faults: inout Faults) {
        checkKeys("data", object["data"], &faults)
        checkKeys("binaryData", object["binaryData"], &faults)
        var size = 0
        for (key, value) in object["data"]?.object ?? [:] {
            size += value.string?.utf8.count ?? 0
            if object["binaryData"]?[key] != nil {
                faults.invalid("data[\(key)]", .string(key), "duplicate of key present in binaryData")
            }
        }
        for (_, value) in object["binaryData"]?.object ?? [:] { size += (value.string?.utf8.count ?? 0) / 4 * 3 }
        if size > mostBytes { faults.tooLong("", bytes: mostBytes) }
    }

    @Sendable static func configMapChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        checkFrozen(object, old, ["data", "binaryData"], &faults)
    }

    private static func checkKeys(_ path: String, _ data: JSON?, _ faults: inout Faults) {
        for key in (data?.object ?? [:]).keys { faults.name("\(path)[\(key)]", key, Names.dataKeyFault) }
    }

    private static func checkFrozen(_ object: JSON, _ old: JSON, _ fields: [String], _ faults: inout Faults) {
        guard old["immutable"]?.bool == true else { return }
        let sentence = "field is immutable when `immutable` is set"
        if object["immutable"]?.bool != true { faults.forbidden("immutable", sentence) }
        for field in fields where (object[field] ?? [:]) != (old[field] ?? [:]) {
            faults.forbidden(field, sentence)
        }
    }
}

/// What holds for kinds with few rules.
enum SmallRules {
    @Sendable static func endpointSlice(_ object: JSON, _ faults: inout Faults) {
        let type = object["addressType"]?.string ?? ""
        if type.isEmpty { faults.required("addressType") }
        for (index, endpoint) in (object["endpoints"]?.array ?? []).enumerated() {
            let path = "endpoints[\(index)].addresses"
            let addresses = endpoint["addresses"]?.array ?? []
            if addresses.isEmpty { faults.required(path, "must contain at least 1 item") }
            for (place, address) in addresses.enumerated() {
                let text = address.string ?? ""
                if type == "IPv4", !Names.isIPv4(text) {
                    faults.invalid("\(path)[\(place)]", address, "must be a valid IPv4 address")
                } else if type == "IPv6", !Names.isIPv6(text) {
                    faults.invalid("\(path)[\(place)]", address, "must be a valid IPv6 address")
                } else if type == "FQDN" {
                    faults.name("\(path)[\(place)]", text, Names.subdomainFault)
                }
            }
        }
        var names: Set<String> = []
        for (index, port) in (object["ports"]?.array ?? []).enumerated() {
            let name = port["name"]?.string ?? ""
            if !name.isEmpty { faults.name("ports[\(index)].name", name, Names.labelFault) }
            if !names.insert(name).inserted { faults.duplicate("ports[\(index)].name", .string(name)) }
            if let number = port["port"]?.int { faults.portNumber("ports[\(index)].port", number) }
        }
    }

    @Sendable static func endpointSliceChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("addressType", object["addressType"], old["addressType"])
    }

    @Sendable static func lease(_ lease: JSON, _ faults: inout Faults) {
        if let seconds = lease["spec", "leaseDurationSeconds"], seconds.int ?? 1 <= 0 {
            faults.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
        }
        faults.notNegative("spec.leaseTransitions", lease["spec", "leaseTransitions"])
    }

    @Sendable static func event(_ event: JSON, _ faults: inout Faults) {
        let about = event["involvedObject", "namespace"]?.string ?? ""
        // Events about cluster-wide objects stand in the namespace `default`.
        if about != event.namespace, !(about.isEmpty && ["default", "kube-system"].contains(event.namespace)) {
            faults.invalid("involvedObject.namespace", .string(about), "does not match event.namespace")
        }
    }

    @Sendable static func node(_ node: JSON, _ faults: inout Faults) {
        var seen: Set<String> = []
        for (index, taint) in (node["spec", "taints"]?.array ?? []).enumerated() {
            let path = "spec.taints[\(index)]"
            let key = taint["key"]?.string ?? ""
            faults.name("\(path).key", key, Names.qualifiedNameFault)
            faults.name("\(path).value", taint["value"]?.string ?? "", Names.labelValueFault)
            if (taint["effect"]?.string ?? "").isEmpty { faults.required("\(path).effect") }
            if !seen.insert("\(key):\(taint["effect"]?.string ?? "")").inserted { faults.duplicate(path, taint) }
        }
        checkPodRanges(node["spec", "podCIDRs"]?.array ?? [], &faults)
    }

    private static func checkPodRanges(_ ranges: [JSON], _ faults: inout Faults) {
        let texts = ranges.map { $0.string ?? "" }
        for (index, text) in texts.enumerated() { NetworkRules.checkNetwork("spec.podCIDRs[\(index)]", text, &faults) }
        if texts.count < 2 { return }
        if texts.count > 2 || texts[0].contains(":") == texts[1].contains(":") {
            faults.invalid(
                "spec.podCIDRs", .array(ranges), "may specify no more than one CIDR for each IP family")
        }
        var seen: Set<String> = []
        for (index, text) in texts.enumerated() where !seen.insert(text).inserted {
            faults.duplicate("spec.podCIDRs[\(index)]", .string(text))
        }
    }

    /// What is written once: a node's ranges of pod addresses, and what its provider calls it.
    @Sendable static func nodeChange(_ node: JSON, _ old: JSON, _ faults: inout Faults) {
        let (ranges, before) = (node["spec", "podCIDRs"]?.array ?? [], old["spec", "podCIDRs"]?.array ?? [])
        if !before.isEmpty, ranges != before {
            faults.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid")
        }
        let provider = old["spec", "providerID"]?.string ?? ""
        if !provider.isEmpty, node["spec", "providerID"]?.string != provider {
            faults.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid")
        }
    }

    @Sendable static func namespace(_ namespace: JSON, _ faults: inout Faults) {
        for (index, finalizer) in (namespace["spec", "finalizers"]?.array ?? []).enumerated() {
            let name = finalizer.string ?? ""
            faults.name("spec.finalizers[\(index)]", name, Names.qualifiedNameFault)
            if !name.contains("/"), name != "kubernetes" {
                faults.invalid(
                    "spec.finalizers[\(index)]", finalizer,
                    "name is neither a standard finalizer name nor is it fully qualified")
            }
        }
    }

    /// A namespace's phase follows from its deletion, and nobody writes another.
    @Sendable static func namespaceStatus(_ namespace: JSON, _ old: JSON, _ faults: inout Faults) {
        let (phase, state) = namespace.isTerminating ? ("Terminating", "not empty") : ("Active", "empty")
        if namespace["status", "phase"]?.string == phase { return }
        faults.invalid(
            "status.Phase", namespace["status", "phase"] ?? "",
            "may only be '\(phase)' if `deletionTimestamp` is \(state)")
    }
}
