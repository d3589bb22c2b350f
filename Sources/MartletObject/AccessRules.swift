internal import MartletBase

/// What holds for roles, their bindings, and requests for certificates.
enum AccessRules {
    private static let group = "rbac.authorization.k8s.io"

    @Sendable static func role(_ object: JSON, _ faults: inout Faults) { check(object, isNamespaced: true, &faults) }

    @Sendable static func clusterRole(_ object: JSON, _ faults: inout Faults) {
        check(object, isNamespaced: false, &faults)
        guard let aggregation = object["aggregationRule"] else { return }
        let selectors = aggregation["clusterRoleSelectors"]?.array ?? []
        let path = "aggregationRule.clusterRoleSelectors"
        if selectors.isEmpty {
            faults.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
        }
        for (index, selector) in selectors.enumerated() { faults.selector("\(path)[\(index)]", selector) }
    }

    private static func check(_ object: JSON, isNamespaced: Bool, _ faults: inout Faults) {
        for (index, rule) in (object["rules"]?.array ?? []).enumerated() {
            let path = "rules[\(index)]"
            func isEmpty(_ field: String) -> Bool { (rule[field]?.array ?? []).isEmpty }
            if isEmpty("verbs") { faults.required("\(path).verbs", "verbs must contain at least one value") }
            if !isEmpty("nonResourceURLs") {
                let value = rule["nonResourceURLs"] ?? []
                if isNamespaced {
                    faults.invalid(
                        "\(path).nonResourceURLs", value, "namespaced rules cannot apply to non-resource URLs")
                }
                if !["apiGroups", "resources", "resourceNames"].allSatisfy(isEmpty) {
                    faults.invalid(
                        "\(path).nonResourceURLs", value,
                        "rules cannot apply to both regular resources and non-resource URLs")
                }
                continue
            }
            if isEmpty("apiGroups") {
                faults.required("\(path).apiGroups", "resource rules must supply at least one api group")
            }
            if isEmpty("resources") {
                faults.required("\(path).resources", "resource rules must supply at least one resource")
            }
        }
    }

    @Sendable static func roleBinding(_ object: JSON, _ faults: inout Faults) {
        checkBinding(object, roles: ["ClusterRole", "Role"], &faults)
    }

    @Sendable static func clusterRoleBinding(_ object: JSON, _ faults: inout Faults) {
        checkBinding(object, roles: ["ClusterRole"], &faults)
    }

    private static func checkBinding(_ object: JSON, roles: [String], _ faults: inout Faults) {
        let role = object["roleRef"] ?? [:]
        if role["apiGroup"]?.string != group {
            faults.notSupported("roleRef.apiGroup", role["apiGroup"] ?? "", [group])
        }
        if !roles.contains(role["kind"]?.string ?? "") {
            faults.notSupported("roleRef.kind", role["kind"] ?? "", roles)
        }
        let name = role["name"]?.string ?? ""
        if name.isEmpty {
            faults.required("roleRef.name")
        } else {
            faults.name("roleRef.name", name, Names.pathSegmentFault)
        }
        for (index, subject) in (object["subjects"]?.array ?? []).enumerated() {
            checkSubject("subjects[\(index)]", subject, isNamespaced: !object.namespace.isEmpty, &faults)
        }
    }

    private static func checkSubject(_ path: String, _ subject: JSON, isNamespaced: Bool, _ faults: inout Faults) {
        let name = subject["name"]?.string ?? ""
        if name.isEmpty { faults.required("\(path).name") }
        let apiGroup = subject["apiGroup"]?.string ?? ""
        switch subject["kind"] {
        case "ServiceAccount":
            if !name.isEmpty { faults.name("\(path).name", name, Names.subdomainFault) }
            if !apiGroup.isEmpty { faults.notSupported("\(path).apiGroup", .string(apiGroup), [""]) }
            if !isNamespaced, (subject["namespace"]?.string ?? "").isEmpty { faults.required("\(path).namespace") }
        case "User", "Group":
            if apiGroup != group { faults.notSupported("\(path).apiGroup", .string(apiGroup), [group]) }
        case let other:
            faults.notSupported("\(path).kind", other ?? "", ["Group", "ServiceAccount", "User"])
        }
    }

    @Sendable static func bindingChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        if object["roleRef"] != old["roleRef"] {
            faults.invalid("roleRef", object["roleRef"] ?? .null, "cannot change roleRef")
        }
    }

    // MARK: Certificates

    @Sendable static func signingRequest(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        if (spec["request"]?.string ?? "").isEmpty {
            faults.required("spec.request")
        } else if let pem = Base64.decode(spec["request"]?.string ?? ""),
            !String(decoding: pem, as: UTF8.self).contains("-----BEGIN CERTIFICATE REQUEST-----")
        {
            faults.invalid(
                "spec.request", spec["request"] ?? "",
                "PEM block type must be CERTIFICATE REQUEST")
        }
        if (spec["usages"]?.array ?? []).isEmpty { faults.required("spec.usages") }
        let signer = spec["signerName"]?.string ?? ""
        let parts = signer.split(separator: "/", omittingEmptySubsequences: false)
        if signer.isEmpty {
            faults.required("spec.signerName")
        } else if parts.count < 2 || !parts[0].contains(".") || parts[1].isEmpty {
            faults.invalid(
                "spec.signerName", .string(signer),
                "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        }
        if let seconds = spec["expirationSeconds"], seconds.int ?? 600 < 600 {
            faults.invalid(
                "spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)")
        }
    }

    // MARK: Events

    @Sendable static func groupedEvent(_ event: JSON, _ faults: inout Faults) {
        var core = event
        core["involvedObject"] = event["regarding"]
        SmallRules.event(core, &faults)
        for field in ["eventTime", "reportingController", "reportingInstance", "action", "reason"]
        where (event[field]?.string ?? "").isEmpty {
            faults.required(field)
        }
        let type = event["type"] ?? ""
        if !["Normal", "Warning"].contains(type) {
            faults.invalid("type", "", "has invalid value: \(type.string ?? "")")
        }
    }
}
