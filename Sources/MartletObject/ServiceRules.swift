/// What holds for Services.
enum ServiceRules {
    @Sendable static func check(_ service: JSON, _ faults: inout Faults) {
        let spec = service["spec"] ?? [:]
        let isExternal = spec["type"] == "ExternalName"
        let address = spec["clusterIP"]?.string ?? ""
        let ports = spec["ports"]?.array ?? []
        if ports.isEmpty, !isExternal, address != "None" { faults.required("spec.ports") }
        checkPorts(ports, &faults)
        faults.labels("spec.selector", spec["selector"])
        if isExternal {
            let name = spec["externalName"]?.string ?? ""
            if name.isEmpty {
                faults.required("spec.externalName")
            } else {
                faults.name(
                    "spec.externalName", name.hasSuffix(".") ? String(name.dropLast()) : name, Names.subdomainFault)
            }
            if !address.isEmpty, address != "None" {
                faults.forbidden("spec.clusterIPs[0]", "may not be set for ExternalName services")
            }
        } else if !address.isEmpty, address != "None" {
            faults.address("spec.clusterIPs[0]", address)
        }
        if address == "None", spec["type"] == "LoadBalancer" || spec["type"] == "NodePort" {
            faults.invalid(
                "spec.clusterIPs[0]", "None", "may not be set to 'None' for \(spec["type"]?.string ?? "") services")
        }
        for (index, external) in (spec["externalIPs"]?.array ?? []).enumerated() {
            faults.address("spec.externalIPs[\(index)]", external.string ?? "")
            faults.ordinaryAddress("spec.externalIPs[\(index)]", external.string ?? "")
        }
        checkExternalTraffic(spec, &faults)
        if let seconds = spec["sessionAffinityConfig", "clientIP", "timeoutSeconds"],
            !(1...86_400).contains(seconds.int ?? 1)
        {
            faults.invalid(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds,
                "must be greater than 0 and less than 86400")
        }
    }

    /// Fields that mean something only to traffic from outside.
    private static func checkExternalTraffic(_ spec: JSON, _ faults: inout Faults) {
        let type = spec["type"]?.string ?? ""
        let isBalanced = type == "LoadBalancer"
        let policy = spec["externalTrafficPolicy"]?.string ?? ""
        let isReachable =
            isBalanced || type == "NodePort"
            || (type == "ClusterIP" && !(spec["externalIPs"]?.array ?? []).isEmpty)
        if !policy.isEmpty, !isReachable {
            faults.invalid(
                "spec.externalTrafficPolicy", .string(policy),
                "may only be set for externally-accessible services")
        }
        if let port = spec["healthCheckNodePort"], port.int ?? 0 != 0, !(isBalanced && policy == "Local") {
            faults.invalid(
                "spec.healthCheckNodePort", port,
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
        }
        let ranges = spec["loadBalancerSourceRanges"]?.array ?? []
        if !ranges.isEmpty, !isBalanced {
            faults.forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")
        }
        for (index, range) in ranges.enumerated() where isBalanced && AddressBlock(range.string ?? "") == nil {
            faults.invalid(
                "spec.LoadBalancerSourceRanges[\(index)]", range,
                "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        }
    }

    private static func checkPorts(_ ports: [JSON], _ faults: inout Faults) {
        var names: Set<String> = []
        var numbers: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = "spec.ports[\(index)]"
            let name = port["name"]?.string ?? ""
            if name.isEmpty {
                if ports.count > 1 { faults.required("\(path).name") }
            } else {
                faults.name("\(path).name", name, Names.labelFault)
                if !names.insert(name).inserted { faults.duplicate("\(path).name", .string(name)) }
            }
            faults.portNumber("\(path).port", port["port"]?.int ?? 0)
            if let target = port["targetPort"] { faults.port("\(path).targetPort", target) }
            if (port["protocol"]?.string ?? "").isEmpty { faults.required("\(path).protocol") }
            let key = "\(port["protocol"]?.string ?? "")/\(port["port"]?.int ?? 0)"
            if !numbers.insert(key).inserted {
                faults.duplicate(path, ["protocol": port["protocol"] ?? "", "port": port["port"] ?? 0])
            }
        }
    }

    @Sendable static func checkChange(_ service: JSON, _ old: JSON, _ faults: inout Faults) {
        let external: JSON = "ExternalName"
        if service["spec", "type"] == external || old["spec", "type"] == external { return }
        let was = old["spec", "clusterIP"]?.string ?? ""
        let new = service["spec", "clusterIP"]?.string ?? ""
        if !was.isEmpty, new != was {
            faults.invalid("spec.clusterIPs[0]", [.string(new)], "may not change once set")
        }
    }
}

/// What holds for Ingresses and their classes.
enum IngressRules {
    @Sendable static func check(_ ingress: JSON, _ faults: inout Faults) {
        let spec = ingress["spec"] ?? [:]
        let rules = spec["rules"]?.array ?? []
        if rules.isEmpty, spec["defaultBackend"] == nil {
            faults.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
        }
        if let backend = spec["defaultBackend"] { checkBackend("spec.defaultBackend", backend, &faults) }
        if let name = spec["ingressClassName"]?.string {
            faults.name("spec.ingressClassName", name, Names.subdomainFault)
        }
        for (index, entry) in (spec["tls"]?.array ?? []).enumerated() {
            for (place, host) in (entry["hosts"]?.array ?? []).enumerated() {
                checkHostName("spec.tls[\(index)].hosts[\(place)]", host.string ?? "", &faults)
            }
            if let name = entry["secretName"]?.string, !name.isEmpty {
                faults.name("spec.tls[\(index)].secretName", name, Names.subdomainFault)
            }
        }
        for (index, rule) in rules.enumerated() { checkRule("spec.rules[\(index)]", rule, &faults) }
    }

    private static func checkHostName(_ path: String, _ host: String, _ faults: inout Faults) {
        faults.name(path, host, host.contains("*") ? Names.wildcardSubdomainFault : Names.subdomainFault)
    }

    private static func checkRule(_ path: String, _ rule: JSON, _ faults: inout Faults) {
        if let host = rule["host"]?.string, !host.isEmpty {
            if Names.isIPv4(host) || Names.isIPv6(host) {
                faults.invalid("\(path).host", .string(host), "must be a DNS name, not an IP address")
            } else {
                checkHostName("\(path).host", host, &faults)
            }
        }
        guard let http = rule["http"] else { return }
        let paths = http["paths"]?.array ?? []
        if paths.isEmpty { faults.required("\(path).http.paths") }
        for (index, entry) in paths.enumerated() {
            let path = "\(path).http.paths[\(index)]"
            let type = entry["pathType"]?.string ?? ""
            let url = entry["path"]?.string ?? ""
            if type.isEmpty { faults.required("\(path).pathType", "pathType must be specified") }
            let mayBeEmpty = type == "ImplementationSpecific" || type.isEmpty
            if !url.hasPrefix("/"), !(url.isEmpty && mayBeEmpty) {
                faults.invalid("\(path).path", .string(url), "must be an absolute path")
            }
            if type == "Exact" || type == "Prefix" { checkPlainPath("\(path).path", url, &faults) }
            checkBackend("\(path).backend", entry["backend"] ?? [:], &faults)
        }
    }

    private static func checkPlainPath(_ path: String, _ url: String, _ faults: inout Faults) {
        for part in ["//", "/./", "/../", "%2f", "%2F"] where url.contains(part) {
            faults.invalid(path, .string(url), "must not contain '\(part)'")
        }
        for part in ["/..", "/."] where url.hasSuffix(part) {
            faults.invalid(path, .string(url), "cannot end with '\(part)'")
        }
    }

    private static func checkBackend(_ path: String, _ backend: JSON, _ faults: inout Faults) {
        let service = backend["service"]
        if backend["resource"] != nil, service != nil {
            faults.invalid(path, "", "cannot set both resource and service backends")
            return
        }
        if backend["resource"] != nil { return }
        guard let service else {
            faults.required(path, "must specify one of: `service` or `resource`")
            return
        }
        let name = service["name"]?.string ?? ""
        if name.isEmpty {
            faults.required("\(path).service.name")
        } else {
            faults.name("\(path).service.name", name, Names.dns1035LabelFault)
        }
        let portName = service["port", "name"]?.string ?? ""
        let number = service["port", "number"]?.int ?? 0
        switch (portName.isEmpty, number) {
        case (true, 0): faults.required(path, "port name or number is required")
        case (true, _): faults.portNumber("\(path).service.port.number", number)
        case (false, 0): faults.port("\(path).service.port.name", .string(portName))
        default: faults.invalid(path, "", "cannot set both port name & port number")
        }
    }

    @Sendable static func ingressClass(_ object: JSON, _ faults: inout Faults) {
        let controller = object["spec", "controller"]?.string ?? ""
        if controller.isEmpty {
            faults.required("spec.controller")
            return
        }
        if controller.utf8.count > 250 { faults.tooLong("spec.controller", bytes: 250) }
        let parts = controller.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count != 2 || parts.contains("") || Names.subdomainFault(String(parts[0])) != nil {
            faults.invalid(
                "spec.controller", .string(controller), "must be a domain-prefixed path (such as \"acme.io/foo\")")
        }
    }

    @Sendable static func ingressClassChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("spec.controller", object["spec", "controller"], old["spec", "controller"])
    }
}
