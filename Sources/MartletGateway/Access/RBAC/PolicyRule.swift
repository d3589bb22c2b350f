internal import MartletObject

/// What a role allows: rbac/v1 PolicyRule.
struct PolicyRule: Sendable, Hashable {
    var verbs: [String] = []
    var apiGroups: [String] = []
    var resources: [String] = []
    var resourceNames: [String] = []
    var nonResourceURLs: [String] = []

    init() {}

    /// Reads a rule as it is stored; what is not text is not there.
    init(_ rule: JSON) {
        func texts(_ name: String) -> [String] { (rule[name]?.array ?? []).compactMap(\.string) }
        verbs = texts("verbs")
        apiGroups = texts("apiGroups")
        resources = texts("resources")
        resourceNames = texts("resourceNames")
        nonResourceURLs = texts("nonResourceURLs")
    }

    /// The rules of a Role or ClusterRole.
    static func rules(of role: JSON) -> [PolicyRule] { (role["rules"]?.array ?? []).map { PolicyRule($0) } }

    var json: JSON {
        func list(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
        var rule: JSON = ["verbs": list(verbs)]
        if !apiGroups.isEmpty { rule["apiGroups"] = list(apiGroups) }
        if !resources.isEmpty { rule["resources"] = list(resources) }
        if !resourceNames.isEmpty { rule["resourceNames"] = list(resourceNames) }
        if !nonResourceURLs.isEmpty { rule["nonResourceURLs"] = list(nonResourceURLs) }
        return rule
    }

    /// Whether the rule lets a request through. `combined` is the request's resource with its subresource.
    func allows(_ request: AccessRequest, combined: String) -> Bool {
        guard Self.has(verbs, request.verb) else { return false }
        if !request.isForResource { return nonResourceURLs.contains { Self.covers(url: $0, request.path) } }
        return Self.has(apiGroups, request.group)
            && resources.contains { Self.covers(resource: $0, combined, subresource: request.subresource) }
            && (resourceNames.isEmpty || resourceNames.contains(request.name))
    }

    /// `*`, the same, or `*/SUBRESOURCE`.
    private static func covers(resource rule: String, _ combined: String, subresource: String) -> Bool {
        if rule == "*" || rule == combined { return true }
        return !subresource.isEmpty && rule.hasPrefix("*/") && rule.dropFirst(2) == subresource
    }

    /// `*`, the same, or the same up to a final `*`.
    static func covers(url rule: String, _ path: String) -> Bool {
        if rule == "*" || rule == path { return true }
        return rule.hasSuffix("*") && path.hasPrefix(rule.dropLast())
    }

    private static func has(_ list: [String], _ wanted: String) -> Bool {
        list.contains { $0 == wanted || $0 == "*" }
    }
}

extension PolicyRule: CustomStringConvertible {
    /// As messages about roles show it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    var description: String {
        let parts = [
            ("APIGroups", apiGroups), ("Resources", resources), ("NonResourceURLs", nonResourceURLs),
            ("ResourceNames", resourceNames), ("Verbs", verbs),
        ]
        let texts = parts.filter { !$0.1.isEmpty }.map { "\($0.0):\(Self.quoted($0.1))" }
        return "{\(texts.joined(separator: ", "))}"
    }

    /// `["a" "b"]`
    static func quoted(_ texts: [String]) -> String {
        "[\(texts.map { "\"\($0)\"" }.joined(separator: " "))]"
    }
}

// MARK: What is covered by what

extension PolicyRule {
    /// The parts of `rules` that none of `owned` covers, in the fewest rules. Where the rules have more parts together
    /// than ``Limits/roleParts``, those over the bound count as such that nobody has.
    static func missing(in owned: [PolicyRule], of rules: [PolicyRule]) -> [PolicyRule] {
        var missing: [PolicyRule] = []
        var left = Limits.roleParts
        for rule in rules where !owned.contains(where: { $0.covers(rule) }) {
            let count = rule.partCount
            guard count <= left else {
                missing.append(rule)
                continue
            }
            left -= count
            missing += rule.parts.filter { part in !owned.contains { $0.covers(part) } }
        }
        return compacted(missing)
    }

    private var partCount: Int {
        func product(_ counts: [Int]) -> Int {
            counts.reduce(verbs.count) { product, count in
                product.multipliedReportingOverflow(by: count).overflow ? .max : product * count
            }
        }
        let ofResources = product([apiGroups.count, resources.count, max(resourceNames.count, 1)])
        let ofURLs = product([nonResourceURLs.count])
        return ofResources.addingReportingOverflow(ofURLs).overflow ? .max : ofResources + ofURLs
    }

    /// The rule as rules of one verb, group, resource and name each.
    private var parts: [PolicyRule] {
        var parts: [PolicyRule] = []
        func add(_ change: (inout PolicyRule) -> Void) {
            for verb in verbs {
                var part = PolicyRule()
                part.verbs = [verb]
                change(&part)
                parts.append(part)
            }
        }
        for group in apiGroups {
            for resource in resources {
                for name in resourceNames.isEmpty ? [nil] : resourceNames.map(Optional.init) {
                    add { part in
                        part.apiGroups = [group]
                        part.resources = [resource]
                        part.resourceNames = name.map { [$0] } ?? []
                    }
                }
            }
        }
        for url in nonResourceURLs { add { $0.nonResourceURLs = [url] } }
        return parts
    }

    /// Whether this rule alone allows all that a part (see ``parts``), or another rule, does.
    private func covers(_ part: PolicyRule) -> Bool {
        Self.hasAll(verbs, part.verbs) && Self.hasAll(apiGroups, part.apiGroups)
            && part.resources.allSatisfy(covers(resource:))
            && part.nonResourceURLs.allSatisfy { url in nonResourceURLs.contains { Self.covers(url: $0, url) } }
            && (resourceNames.isEmpty
                || (!part.resourceNames.isEmpty && part.resourceNames.allSatisfy(resourceNames.contains)))
    }

    private func covers(resource: String) -> Bool {
        if resources.contains("*") || resources.contains(resource) { return true }
        guard let slash = resource.firstIndex(of: "/") else { return false }
        return resources.contains("*" + resource[slash...])
    }

    private static func hasAll(_ list: [String], _ wanted: [String]) -> Bool {
        list.contains("*") || wanted.allSatisfy(list.contains)
    }

    /// Brings rules of one resource together that differ in their verbs only.
    private static func compacted(_ parts: [PolicyRule]) -> [PolicyRule] {
        var order: [PolicyRule] = []
        var verbs: [PolicyRule: [String]] = [:]
        for part in parts {
            var key = part
            key.verbs = part.nonResourceURLs.isEmpty ? [] : part.verbs
            if verbs[key] == nil { order.append(key) }
            verbs[key, default: []] += part.verbs
        }
        return order.map { key in
            var rule = key
            rule.verbs = verbs[key] ?? []
            return rule
        }
    }
}
