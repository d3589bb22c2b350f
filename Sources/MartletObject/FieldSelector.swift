/// A field selector: `metadata.name=x,spec.nodeName!=y`.
public struct FieldSelector: Sendable, Hashable {
    /// What is asked of one field.
    public struct Term: Sendable, Hashable {
        /// The field, as `metadata.name`.
        public var field: String
        /// The value without escapes.
        public var value: String
        /// Whether the field must have that value, or must not.
        public var isEqual: Bool

        /// A term.
        public init(_ field: String, _ value: String, isEqual: Bool = true) {
            self.field = field
            self.value = value
            self.isEqual = isEqual
        }
    }
    private struct Requirement: Sendable, Hashable {
        var field: SelectableField
        var value: String
        var isEqual: Bool
    }
    private var requirements: [Requirement] = []

    /// Reads the form of URLs, checking that `kind` knows each field.
    /// - Throws: ``SelectorError``.
    public init(parsing text: String, kind: ResourceKind) throws(SelectorError) {
        for term in try Self.terms(parsing: text) {
            let field = try SelectableField.named(term.field, of: kind)
            requirements.append(Requirement(field: field, value: term.value, isEqual: term.isEqual))
        }
    }

    /// Reads the form of URLs for whatever kind.
    /// - Throws: ``SelectorError``.
    public static func terms(parsing text: String) throws(SelectorError) -> [Term] {
        var terms: [Term] = []
        for piece in pieces(of: text) where !piece.isEmpty {
            guard let (field, value, isEqual) = split(piece) else {
                throw SelectorError("invalid selector: '\(text)'; can't understand '\(piece)'")
            }
            terms.append(Term(field, try unescape(value), isEqual: isEqual))
        }
        return terms
    }

    /// Whether nothing is asked, so that every object is selected.
    public var isEmpty: Bool { requirements.isEmpty }

    /// The name that objects must have, when one is asked for: `metadata.name=x`.
    public var exactName: String? {
        requirements.first { $0.isEqual && $0.field.label == "metadata.name" }?.value
    }

    /// Whether an object is selected.
    public func matches(_ object: inout SelectableObject) -> Bool {
        requirements.allSatisfy { (object.text(of: $0.field) == $0.value) == $0.isEqual }
    }

    /// Cuts at commas, except at escaped ones.
    private static func pieces(of text: String) -> [String] {
        var pieces: [String] = []
        var piece = ""
        var isEscaped = false
        for character in text.unicodeScalars {
            if character == ",", !isEscaped {
                pieces.append(piece)
                piece = ""
            } else {
                piece.unicodeScalars.append(character)
            }
            isEscaped = character == "\\" && !isEscaped
        }
        return pieces + [piece]
    }

    private static func split(_ piece: String) -> (label: String, value: String, isEqual: Bool)? {
        let scalars = Array(piece.unicodeScalars)
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
                throw SelectorError("invalid field selector: unescaped character in value: \(scalar.value)")
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        if isEscaped { throw SelectorError("invalid field selector: invalid escape sequence: \\") }
        return result
    }
}

/// A stored object as selectors look at it. What they ask for is read out of its bytes, once.
public struct SelectableObject: Sendable {
    private let object: StoredObject
    private let kind: ResourceKind
    private var fields: [(label: String, text: String)] = []

    /// The labels.
    public private(set) lazy var labels = object.labels

    /// Looks at a stored object on behalf of those who see it in the form of `kind`.
    public init(_ object: StoredObject, as kind: ResourceKind) {
        self.object = object
        self.kind = kind
    }

    fileprivate mutating func text(of field: SelectableField) -> String {
        if let known = fields.first(where: { $0.label == field.label }) { return known.text }
        var text = field.text { object.value(at: $0) }
        // What lacks it in the store may get it by default when it is read.
        if text.isEmpty, kind.custom?.completesOnRead == true, let stored = try? JSON(parsing: object.bytes) {
            let complete = kind.fromStored(stored)
            text = field.text { $0.reduce(complete) { $0?[$1] } }
        }
        fields.append((field.label, text))
        return text
    }
}

/// A field that selectors may name, where it is found in stored objects, and what it counts as when absent.
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

    private static let name = SelectableField("metadata.name")
    private static let namespace = SelectableField("metadata.namespace")

    /// The fields of the kinds that name theirs, beside name and namespace, by the kind's qualified plural (upstream's
    /// AddFieldLabelConversionFunc).
    private static let special: [String: [SelectableField]] = [
        "pods": [
            SelectableField("spec.nodeName"), SelectableField("spec.host", paths: ["spec.nodeName"]),
            SelectableField("spec.restartPolicy"), SelectableField("spec.schedulerName"),
            SelectableField("spec.serviceAccountName"), SelectableField("spec.hostNetwork", absent: "false"),
            SelectableField("status.phase"), SelectableField("status.podIP"),
            // Taken, but no pod has any text there.
            SelectableField("status.podIPs", paths: []), SelectableField("status.nominatedNodeName"),
        ],
        "events": event(object: "involvedObject", component: "reportingComponent"),
        "namespaces": [SelectableField("status.phase")],
        "nodes": [SelectableField("spec.unschedulable", absent: "false")],
        "secrets": [SelectableField("type")],
        "services": [SelectableField("spec.clusterIP"), SelectableField("spec.type")],
        "replicationcontrollers": [SelectableField("status.replicas", absent: "0")],
        "jobs.batch": [SelectableField("status.successful", absent: "0", paths: ["status.succeeded"])],
        "certificatesigningrequests.certificates.k8s.io": [SelectableField("spec.signerName")],
        "events.events.k8s.io": event(object: "regarding", component: "reportingController"),
    ]

    /// The fields of events, which are stored in the core group's form.
    private static func event(object: String, component: String) -> [SelectableField] {
        let names = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"]
        var fields = names.map { SelectableField("\(object).\($0)", paths: ["involvedObject.\($0)"]) }
        fields += [
            SelectableField("reason"), SelectableField("type"),
            SelectableField(component, paths: ["reportingComponent"]),
            SelectableField("source", paths: ["source.component", "reportingComponent"]),
        ]
        return fields
    }

    /// The field of that name.
    /// - Throws: ``SelectorError``, in upstream's words for the kind.
    static func named(_ label: String, of kind: ResourceKind) throws(SelectorError) -> SelectableField {
        let own = kind.custom.map { $0.selectableFields.map { SelectableField($0) } } ?? special[kind.qualifiedPlural]
        // The others take the namespace, whether they live in one or not.
        let common = own == nil || kind.isNamespaced ? [name, namespace] : [name]
        if let field = (common + (own ?? [])).first(where: { $0.label == label }) { return field }
        let quoted = String(decoding: JSON.string(label).encoded(), as: UTF8.self)
        if own == nil {
            throw SelectorError(
                "\(quoted) is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
        if kind == .job { throw SelectorError("field label \(quoted) not supported for batchv1.Job") }
        throw SelectorError("field label not supported: \(label)")
    }
}
