internal import MartletBase

/// Kubernetes' defaults.
public enum Defaults {
    /// Fills in what the object leaves out, as upstream's defaulting does for this kind. Members stay in the order of
    /// the tables. Filling in twice changes nothing more.
    public static func apply(to object: inout JSON, kind: ResourceKind) {
        if let custom = kind.custom { return custom.schema.fillDefaults(of: &object) }
        guard let place = SchemaTables.all.place(of: kind.kind, in: kind.apiVersion) else { return }
        fill(&object, place: place)
    }

    private static func fill(_ value: inout JSON, place: Int) {
        guard let plan = plans[place], case .object(var members) = value else { return }
        value = .null  // so that `members` is changed in place
        plan.sort(&members)
        var index = 0
        for field in plan.names.indices {
            let isThere = index < members.count && members.isNamed(plan.names[field], at: index)
            if let standard = plan.standards[field] {
                if !isThere {
                    members.insert(standard.value, forKey: plan.names[field], at: index)
                    index += 1
                } else if standard.replacesZero, isZero(members[valueAt: index]) {
                    members[valueAt: index] = standard.value
                }
            }
            if isThere { index += 1 }
        }
        if let special = plan.special {
            var whole = JSON.object(members)
            members = [:]
            special(&whole)
            members = whole.object ?? [:]
            plan.sort(&members)
        }
        for (name, below) in plan.below {
            guard let index = members.index(forKey: name) else { continue }
            fillEach(&members[valueAt: index], place: below)
        }
        value = .object(members)
    }

    /// Fills in one object, or each of a list.
    private static func fillEach(_ value: inout JSON, place: Int) {
        guard case .array(var elements) = value else { return fill(&value, place: place) }
        value = .null
        for index in elements.indices { fillEach(&elements[index], place: place) }
        value = .array(elements)
    }

    /// What there is to fill in for one type.
    private struct Plan {
        /// The names of the type's fields.
        let names: [String]
        /// What a field becomes, by its place.
        var standards: [SchemaField.Default?]
        var special: (@Sendable (inout JSON) -> Void)?
        /// The members that hold objects, or lists of them, of a type that has a plan, with its place.
        var below: [(name: String, place: Int)] = []

        init(_ type: SchemaType, special: (@Sendable (inout JSON) -> Void)? = nil) {
            names = type.fields.map(\.name)
            standards = type.fields.map(\.defaultValue)
            self.special = special
        }

        var isEmpty: Bool { special == nil && below.isEmpty && standards.allSatisfy { $0 == nil } }

        /// Brings members into the tables' order, those that the tables do not know after all others.
        func sort(_ members: inout JSON.Members) {
            var index = 0
            for name in names where index < members.count && members.isNamed(name, at: index) { index += 1 }
            if index == members.count { return }
            let places = members.map { member in names.firstIndex(of: member.key) ?? names.count }
            let order = members.indices.sorted { (places[$0], $0) < (places[$1], $1) }
            members = JSON.Members(unique: order.map { members[$0] })
        }
    }

    /// By the types' places; nil for a type below which nothing is ever left out.
    private static let plans: [Plan?] = {
        let tables = SchemaTables.all
        var plans: [Plan?] = tables.types.enumerated().map { place, type in
            let plan = Plan(type, special: ConditionalDefaults.byPlace[place])
            return plan.isEmpty ? nil : plan
        }
        // A type that holds one with a plan has one, too: until nothing more comes of it.
        var isGrowing = true
        while isGrowing {
            isGrowing = false
            for (place, type) in tables.types.enumerated() {
                for field in type.fields {
                    guard let below = tables.element(of: field.type), plans[below] != nil,
                        plans[place]?.below.contains(where: { $0.name == field.name }) != true
                    else { continue }
                    var plan = plans[place] ?? Plan(type)
                    plan.below.append((field.name, below))
                    plans[place] = plan
                    isGrowing = true
                }
            }
        }
        return plans
    }()

    private static func isZero(_ value: JSON) -> Bool { value == "" || value == 0 }
}

/// The name of a container image: `registry:5000/path:tag@digest`.
enum ImageName {
    /// Whether the image has the tag `latest`, or neither tag nor digest.
    static func isLatest(_ image: String) -> Bool {
        if image.contains("@") { return false }
        let last = image.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return true }
        return last[last.index(after: colon)...] == "latest"
    }
}

/// A pod's class by its requests and limits (`status.qosClass`).
public enum QualityOfService {
    /// `Guaranteed` when each container limits CPU and memory to what it requests, `BestEffort` when none asks for
    /// either, else `Burstable`.
    public static func of(_ spec: JSON) -> String {
        var asks = false
        var isGuaranteed = true
        for list in ["initContainers", "containers"] {
            for container in spec[list]?.array ?? [] {
                let (requests, limits) = (container["resources", "requests"], container["resources", "limits"])
                for resource in ["cpu", "memory"] {
                    let request = Quantity(requests?[resource])?.milli ?? 0
                    let limit = Quantity(limits?[resource])?.milli ?? 0
                    asks = asks || request > 0 || limit > 0
                    isGuaranteed = isGuaranteed && limit > 0 && (request == limit || request == 0)
                }
            }
        }
        return asks ? (isGuaranteed ? "Guaranteed" : "Burstable") : "BestEffort"
    }
}
