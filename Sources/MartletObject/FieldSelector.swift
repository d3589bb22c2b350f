/// A field selector: `metadata.name=x,spec.nodeName!=y`.
public struct FieldSelector: Sendable, Hashable {
    private struct Requirement: Sendable, Hashable {
        var field: SelectableField
        var value: String
        var isEqual: Bool
    }
    private var requirements: [Requirement] = []

    /// Reads the form of URLs, checking that `kind` knows each field.
    /// - Throws: ``SelectorError``.
    public init(parsing text: String, kind: ResourceKind) throws(SelectorError) {
        for term in Self.terms(of: text) where !term.isEmpty {
            guard let (label, value, isEqual) = Self.split(term) else {
                throw SelectorError("invalid selector: '\(text)'; can't understand '\(term)'")
            }
            let fields = SelectableField.fields(of: kind)
            guard let field = fields.first(where: { $0.label == label }) else {
                throw SelectorError("field label not supported: \(label)")
            }
            requirements.append(Requirement(field: field, value: try Self.unescape(value), isEqual: isEqual))
        }
    }

    /// Whether nothing is asked, so that every object is selected.
    public var isEmpty: Bool { requirements.isEmpty }

    /// The name that objects must have, when one is asked for: `metadata.name=x`.
    public var exactName: String? {
        requirements.first { $0.isEqual && $0.field.label == "metadata.name" }?.value
    }

    /// Whether an object is selected.
    public func matches(_ object: JSON) -> Bool {
        requirements.allSatisfy { requirement in
            (requirement.field.text { $0.reduce(object) { $0?[$1] } } == requirement.value) == requirement.isEqual
        }
    }

    /// Whether a stored object is selected; reads only the fields that are asked for.
    public func matches(_ object: StoredObject) -> Bool {
        requirements.allSatisfy { requirement in
            (requirement.field.text(of: object.value(at:)) == requirement.value) == requirement.isEqual
        }
    }

    /// Cuts at commas, except at escaped ones.
    private static func terms(of text: String) -> [String] {
        var terms: [String] = []
        var term = ""
        var isEscaped = false
        for character in text.unicodeScalars {
            if character == ",", !isEscaped {
                terms.append(term)
                term = ""
            } else {
                term.unicodeScalars.append(character)
            }
            isEscaped = character == "\\" && !isEscaped
        }
        return terms + [term]
    }

    private static func split(_ term: String) -> (label: String, value: String, isEqual: Bool)? {
        let scalars = Array(term.unicodeScalars)
        func text(_ part: ArraySlice<Unicode.Scalar>) -> String {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: part)
            return String(view)
        }
        for (index, scalar) in scalars.enumerated() {
            let next = index + 1 < scalars.count ? scalars[index + 1] : " "
            if scalar == "!", next == "=" { return (text(scalars[..<index]), text(scalars[(index + 2)...]), false) }
            if scalar == "=" {
                let start = index + (next == "=" ? 2 : 1)
                return (text(scalars[..<index]), text(scalars[start...]), true)
            }
        }
        return nil
    }

    private static func unescape(_ value: String) throws(SelectorError) -> String {
        var result = ""
        var isEscaped = false
        for scalar in value.unicodeScalars {
            if isEscaped {
                guard scalar == "\\" || scalar == "," || scalar == "=" else {
                    throw SelectorError("invalid field selector: invalid escape sequence: \\\(scalar)")
                }
                result.unicodeScalars.append(scalar)
                isEscaped = false
            } else if scalar == "\\" {
                isEscaped = true
            } else if scalar == "=" {
                throw SelectorError("invalid field selector: unescaped character in value: =")
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        if isEscaped { throw SelectorError("invalid field selector: invalid escape sequence: \\") }
        return result
    }
}

/// A field that selectors may name, where it is found, and what it counts as when absent.
private struct SelectableField: Sendable, Hashable {
    var label: String
    /// Places to look at, one after the other.
    var paths: [[String]]
    var absent: String

    init(_ label: String, absent: String = "", paths: [String]? = nil) {
        self.label = label
        self.absent = absent
        self.paths = (paths ?? [label]).map { $0.split(separator: ".").map(String.init) }
    }

    func text(of lookUp: ([String]) -> JSON?) -> String {
        for path in paths {
            switch lookUp(path) {
            case .string(let text) where !text.isEmpty: return text
            case .int(let value): return String(value)
            case .bool(let value): return String(value)
            default: continue
            }
        }
        return absent
    }

    private static let common = [SelectableField("metadata.name"), SelectableField("metadata.namespace")]

    /// The fields of each kind beside name and namespace, by its qualified plural.
    private static let special: [String: [SelectableField]] = [
        "pods": [
            SelectableField("spec.nodeName"), SelectableField("spec.restartPolicy"),
            SelectableField("spec.schedulerName"), SelectableField("spec.serviceAccountName"),
            SelectableField("spec.hostNetwork", absent: "false"), SelectableField("status.phase"),
            SelectableField("status.podIP"), SelectableField("status.nominatedNodeName"),
        ],
        "events": [
            SelectableField("involvedObject.kind"), SelectableField("involvedObject.namespace"),
            SelectableField("involvedObject.name"), SelectableField("involvedObject.uid"),
            SelectableField("involvedObject.apiVersion"), SelectableField("involvedObject.resourceVersion"),
            SelectableField("involvedObject.fieldPath"), SelectableField("reason"), SelectableField("type"),
            SelectableField("reportingComponent"),
            SelectableField("source", paths: ["source.component", "reportingComponent"]),
        ],
        "namespaces": [SelectableField("name", paths: ["metadata.name"]), SelectableField("status.phase")],
        "nodes": [SelectableField("spec.unschedulable", absent: "false")],
        "secrets": [SelectableField("type")],
        "services": [SelectableField("spec.clusterIP"), SelectableField("spec.type")],
        "replicasets.apps": [SelectableField("status.replicas", absent: "0")],
        "replicationcontrollers": [SelectableField("status.replicas", absent: "0")],
        "jobs.batch": [SelectableField("status.successful", absent: "0", paths: ["status.succeeded"])],
        "certificatesigningrequests.certificates.k8s.io": [SelectableField("spec.signerName")],
        "events.events.k8s.io": [
            SelectableField("regarding.kind"), SelectableField("regarding.namespace"),
            SelectableField("regarding.name"), SelectableField("regarding.uid"),
            SelectableField("regarding.apiVersion"), SelectableField("regarding.resourceVersion"),
            SelectableField("regarding.fieldPath"), SelectableField("reason"), SelectableField("type"),
            SelectableField("reportingController"),
        ],
    ]

    static func fields(of kind: ResourceKind) -> [SelectableField] {
        if let custom = kind.custom { return common + custom.selectableFields.map { SelectableField($0) } }
        return common + (special[kind.qualifiedPlural] ?? [])
    }
}
