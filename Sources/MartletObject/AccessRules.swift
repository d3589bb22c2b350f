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
        let usages = spec["usages"]?.array ?? []
        if usages.isEmpty { faults.required("spec.usages") }
        var seen: Set<String> = []
        for (index, usage) in usages.enumerated() {
            if !seen.insert(usage.string ?? "").inserted {
                faults.duplicate("spec.usages[\(index)]", usage)
            } else if !Self.usages.contains(usage.string ?? "") {
                faults.notSupported("spec.usages[\(index)]", usage, Self.usages)
            }
        }
        let signer = spec["signerName"]?.string ?? ""
        let parts = signer.split(separator: "/", omittingEmptySubsequences: false)
        if signer.isEmpty {
            faults.required("spec.signerName")
        } else if parts.count < 2 || !parts[0].contains(".") || parts[1].isEmpty {
            faults.invalid(
                "spec.signerName", .string(signer),
                "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        }
        if signer == "kubernetes.io/legacy-unknown" {
            faults.invalid(
                "spec.signerName", .string(signer), "the legacy signerName is not allowed via this API version")
        }
        if let seconds = spec["expirationSeconds"], seconds.int ?? 600 < 600 {
            faults.invalid(
                "spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)")
        }
    }

    private static let usages = [
        "signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment",
        "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing",
        "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing",
        "microsoft sgc", "netscape sgc",
    ]

    /// What was decided about a request stays decided, and is one thing or the other; a certificate comes once.
    @Sendable static func signingRequestStatus(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        let path = "status.conditions"
        let conditions = object["status", "conditions"]?.array ?? []
        let before = old["status", "conditions"]?.array ?? []
        for type in ["Approved", "Denied", "Failed"] {
            func count(_ list: [JSON]) -> Int { list.count { $0["type"]?.string == type } }
            if count(conditions) < count(before) {
                faults.forbidden(path, "updates may not remove a condition of type \"\(type)\"")
            }
        }
        var seen: Set<String> = []
        for (index, condition) in conditions.enumerated() {
            let type = condition["type"]?.string ?? ""
            if type.isEmpty { faults.required("\(path)[\(index)].type") }
            let status = condition["status"]?.string ?? ""
            if status.isEmpty {
                faults.required("\(path)[\(index)].status")
            } else if ["Approved", "Denied", "Failed"].contains(type), status != "True" {
                faults.notSupported("\(path)[\(index)].status", .string(status), ["True"])
            }
            let other = type == "Approved" ? "Denied" : type == "Denied" ? "Approved" : ""
            if seen.contains(other) {
                faults.invalid(
                    "\(path)[\(index)].type", .string(type),
                    "Approved and Denied conditions are mutually exclusive")
            }
            if !seen.insert(type).inserted { faults.duplicate("\(path)[\(index)].type", .string(type)) }
        }
        checkCertificate(object["status", "certificate"], old["status", "certificate"], &faults)
    }

    private static func checkCertificate(_ certificate: JSON?, _ old: JSON?, _ faults: inout Faults) {
        let path = "status.certificate"
        let text = certificate?.string ?? ""
        if let old = old?.string, !old.isEmpty {
            if old != text { faults.forbidden(path, "updates may not modify existing certificate content") }
            return
        }
        if text.isEmpty { return }
        let lines = String(decoding: Base64.decode(text) ?? [], as: UTF8.self).split(whereSeparator: \.isNewline)
        let begin = "-----BEGIN "
        let blocks = lines.filter { $0.hasPrefix(begin) }.map { $0.dropFirst(begin.count).prefix { $0 != "-" } }
        let shown: JSON = "<certificate data>"
        if blocks.isEmpty { faults.invalid(path, shown, "must contain at least one CERTIFICATE PEM block") }
        for block in blocks where block != "CERTIFICATE" {
            faults.invalid(path, shown, "only CERTIFICATE PEM blocks are allowed, found \"\(block)\"")
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
