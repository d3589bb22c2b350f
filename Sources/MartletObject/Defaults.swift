internal import MartletBase
internal import OrderedCollections

/// Kubernetes' defaults.
public enum Defaults {
    /// Fills in what the object leaves out, as upstream's defaulting does for this kind. Members stay in the order of
    /// the tables. Filling in twice changes nothing more.
    public static func apply(to object: inout JSON, kind: ResourceKind) {
        if let custom = kind.custom { return custom.schema.fillDefaults(of: &object) }
        let tables = SchemaTables.all
        guard let place = tables.place(of: kind.kind, in: kind.apiVersion) else { return }
        fill(&object, place: place, tables: tables)
    }

    private static func fill(_ value: inout JSON, place: Int, tables: SchemaTables) {
        guard let plan = plans[place], case .object(var members) = value else { return }
        value = .null  // so that `members` is changed in place
        let count = members.count
        for standard in plan.standards {
            guard let given = members[standard.name] else {
                members[standard.name] = standard.value
                continue
            }
            if standard.replacesZero && isZero(given) { members[standard.name] = standard.value }
        }
        if let special = plan.special {
            var whole = JSON.object(members)
            members = [:]
            special(&whole)
            members = whole.object ?? [:]
        }
        for index in members.elements.indices {
            guard let below = plan.below[members.elements[index].key] else { continue }
            var member = members.values[index]
            members.values[index] = .null
            fillEach(&member, place: below, tables: tables)
            members.values[index] = member
        }
        if members.count != count { sortByTable(&members, tables.types[place]) }
        value = .object(members)
    }

    /// Fills in one object, or each of a list.
    private static func fillEach(_ value: inout JSON, place: Int, tables: SchemaTables) {
        guard case .array(var elements) = value else { return fill(&value, place: place, tables: tables) }
        value = .null
        for index in elements.indices { fillEach(&elements[index], place: place, tables: tables) }
        value = .array(elements)
    }

    /// What there is to fill in for one type.
    private struct Plan {
        var standards: [(name: String, value: JSON, replacesZero: Bool)] = []
        var special: (@Sendable (inout JSON) -> Void)?
        /// The members that hold objects, or lists of them, of a type that has a plan, with its place.
        var below: [String: Int] = [:]
    }

    /// By the types' places; nil for a type below which nothing is ever left out.
    private static let plans: [Plan?] = {
        let tables = SchemaTables.all
        var plans: [Plan?] = tables.types.enumerated().map { place, type in
            var plan = Plan(special: ConditionalDefaults.byPlace[place])
            for field in type.fields {
                guard let standard = field.defaultValue else { continue }
                plan.standards.append((field.name, standard.value, standard.replacesZero))
            }
            return plan.standards.isEmpty && plan.special == nil ? nil : plan
        }
        // A type that holds one with a plan has one, too: until nothing more comes of it.
        var isGrowing = true
        while isGrowing {
            isGrowing = false
            for (place, type) in tables.types.enumerated() {
                for field in type.fields {
                    guard let below = tables.element(of: field.type), plans[below] != nil,
                        plans[place]?.below[field.name] == nil
                    else { continue }
                    var plan = plans[place] ?? Plan()
                    plan.below[field.name] = below
                    plans[place] = plan
                    isGrowing = true
                }
            }
        }
        return plans
    }()

    private static func isZero(_ value: JSON) -> Bool { value == "" || value == 0 }

    private static func sortByTable(_ members: inout OrderedDictionary<String, JSON>, _ type: SchemaType) {
        var last = -1
        for name in members.keys {
            let place = type.places[name] ?? .max
            if place < last {
                members.sort { type.places[$0.key] ?? .max < type.places[$1.key] ?? .max }
                return
            }
            last = place
        }
    }
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
        let containers = (spec["initContainers"]?.array ?? []) + (spec["containers"]?.array ?? [])
        var asks = false
        var isGuaranteed = true
        for container in containers {
            for resource in ["cpu", "memory"] {
                let request = Quantity(container["resources", "requests", resource])?.milli ?? 0
                let limit = Quantity(container["resources", "limits", resource])?.milli ?? 0
                asks = asks || request > 0 || limit > 0
                isGuaranteed = isGuaranteed && limit > 0 && (request == limit || request == 0)
            }
        }
        return asks ? (isGuaranteed ? "Guaranteed" : "Burstable") : "BestEffort"
    }
}
