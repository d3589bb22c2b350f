/// The form that a kind's objects are stored in, when they can be served in several: one set of objects, several
/// views of it. Objects are in their stored form in the store only. Where they are read they take the form of the
/// kind that was asked for, where they are written they take the stored form, and all between knows one form.
public struct StoredForm: Sendable, Hashable {
    /// Under whose keys the objects are: a group, whose resource has the same plural name.
    public var group: String
    /// The version of the stored objects.
    public var version: String
    /// The way between the forms.
    public var conversion: Conversion

    /// A form from its parts.
    public init(group: String, version: String, conversion: Conversion) {
        self.group = group
        self.version = version
        self.conversion = conversion
    }

    /// The `apiVersion` of stored objects.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// The ways between two forms of an object.
    public enum Conversion: Sendable, Hashable {
        /// `apiVersion` is all that differs. Objects that were stored under an older stored version are read, too.
        case apiVersion
        /// events.k8s.io/v1 and core/v1 Event.
        case event
        /// autoscaling/v1 and v2 HorizontalPodAutoscaler.
        case podAutoscaler
    }
}

extension ResourceKind {
    /// The row where the objects of this one are at home: itself, or the one in whose form they are stored.
    public func home(among kinds: [ResourceKind]) -> ResourceKind {
        guard let stored, !isHome else { return self }
        return kinds.first { $0.apiVersion == stored.apiVersion && $0.plural == plural } ?? self
    }

    /// The group in whose place the objects are stored.
    public var storedGroup: String { stored?.group ?? group }

    /// An object of this kind in the form to store.
    public func toStored(_ object: JSON) -> JSON {
        guard let stored else { return object }
        var object = object
        object["apiVersion"] = .string(stored.apiVersion)
        switch stored.conversion {
        case .apiVersion: return object
        case .event: return EventForms.core(object)
        case .podAutoscaler: return PodAutoscalerForms.current(object)
        }
    }

    /// A stored object in the form of this kind. Custom kinds fill in what has a default now and had none when the
    /// object was stored.
    public func fromStored(_ object: JSON) -> JSON {
        var object = converted(object)
        custom?.completeRead(&object)
        return object
    }

    private func converted(_ object: JSON) -> JSON {
        guard let stored, object.apiVersion != apiVersion else { return object }
        var object = object
        object["apiVersion"] = .string(apiVersion)
        switch stored.conversion {
        case .apiVersion: return object
        case .event: return EventForms.grouped(object)
        case .podAutoscaler: return PodAutoscalerForms.old(object)
        }
    }

    /// The bytes of an object as they come out of the store, in the form of this kind.
    /// - Throws: ``JSONError`` when the bytes are not JSON.
    public func fromStored(_ bytes: [UInt8]) throws(JSONError) -> [UInt8] {
        if stored == nil { return bytes }
        let isComplete = custom?.completesOnRead != true
        if isComplete, StoredObject(stored: bytes).value(at: ["apiVersion"])?.string == apiVersion { return bytes }
        return fromStored(try JSON(parsing: bytes)).encoded()
    }
}

/// The two names that events' fields have.
enum EventForms {
    /// The core group's names and those of events.k8s.io, where they differ.
    private static let names: [(core: String, grouped: String)] = [
        ("involvedObject", "regarding"), ("message", "note"), ("reportingComponent", "reportingController"),
        ("source", "deprecatedSource"), ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"), ("count", "deprecatedCount"),
    ]

    static func core(_ event: JSON) -> JSON {
        rename(event, Dictionary(uniqueKeysWithValues: names.map { ($0.grouped, $0.core) }), .event)
    }

    static func grouped(_ event: JSON) -> JSON {
        rename(event, Dictionary(uniqueKeysWithValues: names.map { ($0.core, $0.grouped) }), .groupedEvent)
    }

    private static func rename(_ event: JSON, _ names: [String: String], _ kind: ResourceKind) -> JSON {
        var renamed: JSON = [:]
        for (name, value) in event.object ?? [:] { renamed[names[name] ?? name] = value }
        // In the tables' order. What they refuse is left as it is, for validation to tell.
        return (try? Schema.conform(renamed, to: kind))?.object ?? renamed
    }
}
