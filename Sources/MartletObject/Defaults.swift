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
        let type = tables.types[place]
        guard case .object(var members) = value else { return }
        value = .null  // so that `members` is changed in place
        for field in type.fields {
            guard let standard = field.defaultValue else { continue }
            if members[field.name] == nil || (standard.replacesZero && isZero(members[field.name])) {
                members[field.name] = standard.value
            }
        }
        if let special = ConditionalDefaults.byPlace[place] {
            var whole = JSON.object(members)
            members = [:]
            special(&whole)
            members = whole.object ?? [:]
        }
        for index in members.elements.indices {
            guard let field = type.field(members.elements[index].key) else { continue }
            fill(&members.values[index], field: field.type, tables: tables)
        }
        sortByTable(&members, type)
        value = .object(members)
    }

    private static func fill(_ value: inout JSON, field: FieldType, tables: SchemaTables) {
        switch tables.resolved(field) {
        case .named(let place): fill(&value, place: place, tables: tables)
        case .list(let element):
            guard case .array(var elements) = value, tables.structure(element) != nil else { return }
            value = .null
            for index in elements.indices { fill(&elements[index], field: element, tables: tables) }
            value = .array(elements)
        default: return
        }
    }

    private static func isZero(_ value: JSON?) -> Bool { value == "" || value == 0 }

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
