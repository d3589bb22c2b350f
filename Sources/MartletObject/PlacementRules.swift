/// What holds for where a pod runs, and what keeps it from running.
enum PlacementRules {
    static func check(_ place: String, _ spec: JSON, _ faults: inout Faults) {
        faults.labels("\(place).nodeSelector", spec["nodeSelector"])
        checkTolerations(place, spec, &faults)
        for (index, constraint) in (spec["topologySpreadConstraints"]?.array ?? []).enumerated() {
            var path: String { "\(place).topologySpreadConstraints[\(index)]" }
            if (constraint["maxSkew"]?.int ?? 0) <= 0 {
                faults.invalid("\(path).maxSkew", constraint["maxSkew"] ?? 0, "must be greater than zero")
            }
            if (constraint["topologyKey"]?.string ?? "").isEmpty {
                faults.required("\(path).topologyKey", "can not be empty")
            }
            if constraint["whenUnsatisfiable"] == nil {
                faults.notSupported("\(path).whenUnsatisfiable", "", ["DoNotSchedule", "ScheduleAnyway"])
            }
        }
        checkGates(place, spec, &faults)
        guard let affinity = spec["affinity"] else { return }
        if let node = affinity["nodeAffinity"] { checkNodes("\(place).affinity.nodeAffinity", node, &faults) }
        for kind in ["podAffinity", "podAntiAffinity"] where affinity[kind] != nil {
            checkPods("\(place).affinity.\(kind)", affinity[kind] ?? [:], &faults)
        }
    }

    private static func checkTolerations(_ place: String, _ spec: JSON, _ faults: inout Faults) {
        for (index, toleration) in (spec["tolerations"]?.array ?? []).enumerated() {
            var path: String { "\(place).tolerations[\(index)]" }
            let key = toleration["key"]?.string ?? ""
            if !key.isEmpty { faults.name("\(path).key", key, Names.qualifiedNameFault) }
            let exists = toleration["operator"] == "Exists"
            if key.isEmpty, !exists {
                faults.invalid(
                    "\(path).operator", toleration["operator"] ?? "",
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\"")
            }
            if exists, !(toleration["value"]?.string ?? "").isEmpty {
                faults.invalid("\(path).operator", toleration, "value must be empty when `operator` is 'Exists'")
            }
            if toleration["tolerationSeconds"] != nil, toleration["effect"] != "NoExecute" {
                faults.invalid(
                    "\(path).effect", toleration["effect"] ?? "",
                    "effect must be 'NoExecute' when `tolerationSeconds` is set")
            }
        }
    }

    /// Gates of scheduling and of readiness.
    private static func checkGates(_ place: String, _ spec: JSON, _ faults: inout Faults) {
        var names: Set<String> = []
        for (index, gate) in (spec["schedulingGates"]?.array ?? []).enumerated() {
            let name = gate["name"]?.string ?? ""
            faults.name("\(place).schedulingGates[\(index)].name", name, Names.qualifiedNameFault)
            if !names.insert(name).inserted {
                faults.duplicate("\(place).schedulingGates[\(index)]", .string(name))
            }
        }
        for (index, gate) in (spec["readinessGates"]?.array ?? []).enumerated() {
            faults.name(
                "\(place).readinessGates[\(index)].conditionType", gate["conditionType"]?.string ?? "",
                Names.qualifiedNameFault)
        }
    }

    // MARK: Affinity

    private static let required = "requiredDuringSchedulingIgnoredDuringExecution"
    private static let preferred = "preferredDuringSchedulingIgnoredDuringExecution"

    private static func checkNodes(_ path: String, _ affinity: JSON, _ faults: inout Faults) {
        if let selector = affinity[required] {
            let terms = selector["nodeSelectorTerms"]?.array ?? []
            if terms.isEmpty {
                faults.required("\(path).\(required).nodeSelectorTerms", "must have at least one node selector term")
            }
            for (index, term) in terms.enumerated() {
                checkTerm("\(path).\(required).nodeSelectorTerms[\(index)]", term, &faults)
            }
        }
        for (index, choice) in (affinity[preferred]?.array ?? []).enumerated() {
            checkWeight("\(path).\(preferred)[\(index)].weight", choice["weight"], &faults)
            checkTerm("\(path).\(preferred)[\(index)].preference", choice["preference"] ?? [:], &faults)
        }
    }

    private static func checkTerm(_ path: String, _ term: JSON, _ faults: inout Faults) {
        for (index, expression) in (term["matchExpressions"]?.array ?? []).enumerated() {
            let path = "\(path).matchExpressions[\(index)]"
            faults.name("\(path).key", expression["key"]?.string ?? "", Names.qualifiedNameFault)
            let values = expression["values"]?.array ?? []
            switch expression["operator"] {
            case "In", "NotIn":
                if values.isEmpty {
                    faults.required("\(path).values", "must be specified when `operator` is 'In' or 'NotIn'")
                }
            case "Exists", "DoesNotExist":
                if !values.isEmpty {
                    faults.forbidden(
                        "\(path).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                }
            case "Gt", "Lt":
                if values.count != 1 {
                    faults.required(
                        "\(path).values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
                }
            case let other: faults.invalid("\(path).operator", other ?? "", "not a valid selector operator")
            }
        }
    }

    private static func checkPods(_ path: String, _ affinity: JSON, _ faults: inout Faults) {
        for (index, term) in (affinity[required]?.array ?? []).enumerated() {
            checkPodTerm("\(path).\(required)[\(index)]", term, &faults)
        }
        for (index, choice) in (affinity[preferred]?.array ?? []).enumerated() {
            let path = "\(path).\(preferred)[\(index)]"
            checkWeight("\(path).weight", choice["weight"], &faults)
            checkPodTerm("\(path).podAffinityTerm", choice["podAffinityTerm"] ?? [:], &faults)
        }
    }

    private static func checkPodTerm(_ path: String, _ term: JSON, _ faults: inout Faults) {
        for field in ["labelSelector", "namespaceSelector"] {
            if let selector = term[field] { faults.selector("\(path).\(field)", selector) }
        }
        for (index, name) in (term["namespaces"]?.array ?? []).enumerated() {
            faults.name("\(path).namespaces[\(index)]", name.string ?? "", Names.labelFault)
        }
        let key = term["topologyKey"]?.string ?? ""
        if key.isEmpty {
            faults.required("\(path).topologyKey", "can not be empty")
        } else {
            faults.name("\(path).topologyKey", key, Names.qualifiedNameFault)
        }
    }

    private static func checkWeight(_ path: String, _ weight: JSON?, _ faults: inout Faults) {
        if !(1...100).contains(weight?.int ?? 0) { faults.invalid(path, weight ?? 0, "must be in the range 1-100") }
    }
}

/// What holds for the names that a pod knows hosts by.
enum PodNetworkRules {
    private static let mostNameservers = 3
    private static let mostSearches = 32
    private static let longestSearchList = 2048

    static func check(_ path: String, _ spec: JSON, _ faults: inout Faults) {
        for (index, alias) in (spec["hostAliases"]?.array ?? []).enumerated() {
            faults.address("\(path).hostAliases[\(index)].ip", alias["ip"]?.string ?? "")
            for (place, name) in (alias["hostnames"]?.array ?? []).enumerated() {
                faults.name(
                    "\(path).hostAliases[\(index)].hostnames[\(place)]", name.string ?? "", Names.subdomainFault)
            }
        }
        let nameservers = spec["dnsConfig", "nameservers"]?.array ?? []
        if spec["dnsPolicy"] == "None", nameservers.isEmpty {
            faults.required(
                "\(path).dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
        }
        guard let config = spec["dnsConfig"] else { return }
        if nameservers.count > mostNameservers {
            faults.invalid(
                "\(path).dnsConfig.nameservers", .array(nameservers),
                "must not have more than \(mostNameservers) nameservers")
        }
        for (index, server) in nameservers.enumerated() {
            faults.address("\(path).dnsConfig.nameservers[\(index)]", server.string ?? "")
        }
        checkSearches("\(path).dnsConfig.searches", config["searches"]?.array ?? [], &faults)
        for (index, option) in (config["options"]?.array ?? []).enumerated()
        where (option["name"]?.string ?? "").isEmpty {
            faults.required("\(path).dnsConfig.options[\(index)]", "must not be empty")
        }
    }

    private static func checkSearches(_ path: String, _ searches: [JSON], _ faults: inout Faults) {
        if searches.count > mostSearches {
            faults.invalid(path, .array(searches), "must not have more than \(mostSearches) search paths")
        }
        let names = searches.map { $0.string ?? "" }
        if names.joined(separator: " ").utf8.count > longestSearchList {
            faults.invalid(
                path, .array(searches),
                "must not have more than \(longestSearchList) characters (including spaces) in the search list")
        }
        for (index, name) in names.enumerated() where name != "." {
            let bare = name.hasSuffix(".") ? String(name.dropLast()) : name
            // Underscores stand in the names of services, which some search for.
            faults.name("\(path)[\(index)]", String(bare.map { $0 == "_" ? "a" : $0 }), Names.subdomainFault)
        }
    }
}
