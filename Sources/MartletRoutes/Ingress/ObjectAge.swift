internal import MartletObject

/// Which of two objects is the older one: it keeps what both want.
struct ObjectAge: Sendable, Hashable, Comparable {
    /// RFC 3339 in UTC, which sorts as time does.
    var created: String
    /// `namespace/name`
    var name: String

    init(of object: JSON) {
        created = object["metadata", "creationTimestamp"]?.string ?? ""
        name = "\(object.namespace)/\(object.name)"
    }

    /// The namespace of the object.
    var namespace: Substring { name.prefix { $0 != "/" } }

    static func < (a: ObjectAge, b: ObjectAge) -> Bool { (a.created, a.name) < (b.created, b.name) }
}
