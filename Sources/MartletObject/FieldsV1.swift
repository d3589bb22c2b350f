/// The written form of a ``FieldSet``, Kubernetes' FieldsV1: an object whose members are steps (`f:NAME`, `k:{...}` the
/// key fields, `v:VALUE`, `i:INDEX`), and `.` for the place itself where more lies below it.
extension FieldSet {
    /// The form as JSON.
    public var fieldsV1: JSON {
        var members: JSON.Members = [:]
        if isMember && !branches.isEmpty { members["."] = [:] }
        for branch in branches { members[branch.step.fieldsV1] = branch.set.fieldsV1 }
        return .object(members)
    }

    /// Reads the form from JSON. Members in any order; one given twice counts once.
    /// - Throws: ``FieldSetError`` when it is something else.
    public init(fieldsV1 json: JSON) throws(FieldSetError) {
        guard case .object(let members) = json else { throw FieldSetError("a field set must be an object") }
        try self.init(members, isRoot: true)
    }

    private init(_ members: JSON.Members, isRoot: Bool) throws(FieldSetError) {
        var branches: [Branch] = []
        branches.reserveCapacity(members.count)
        var isMember = members.isEmpty && !isRoot
        for (name, below) in members {
            guard case .object(let below) = below else {
                throw FieldSetError("\"\(name)\" in a field set must be an object")
            }
            if name == "." {
                isMember = true
            } else {
                branches.append(
                    Branch(step: try PathElement(fieldsV1: name), set: try FieldSet(below, isRoot: false)))
            }
        }
        self.init(isMember: isMember, unsorted: branches)
    }
}

extension PathElement {
    /// The step as a member's name.
    public var fieldsV1: String {
        switch self {
        case .field(let name): "f:\(name)"
        case .index(let index): "i:\(index)"
        case .value(let value): "v:\(Self.text(value))"
        case .key(let fields): "k:\(Self.text(JSON(members: fields.map { ($0.name, $0.value) })))"
        }
    }

    private static func text(_ value: JSON) -> String { String(decoding: value.encoded(), as: UTF8.self) }

    /// Reads a member's name.
    /// - Throws: ``FieldSetError`` when it is no step.
    public init(fieldsV1 name: String) throws(FieldSetError) {
        let bytes = name.utf8
        guard bytes.count >= 2, bytes.dropFirst().first == UInt8(ascii: ":"), let form = bytes.first else {
            throw FieldSetError("\"\(name)\" is no step of a field set")
        }
        let rest = bytes.dropFirst(2)
        switch form {
        case UInt8(ascii: "f"): self = .field(String(Substring(rest)))
        case UInt8(ascii: "v"): self = .value(try Self.json(rest, name))
        case UInt8(ascii: "k"):
            guard case .object(let fields) = try Self.json(rest, name), !fields.isEmpty else {
                throw FieldSetError("\"\(name)\" must name key fields")
            }
            self = .key(fields.map { KeyField($0.key, $0.value) }.sorted { $0.name < $1.name })
        case UInt8(ascii: "i"):
            guard let index = Int(Substring(rest)) else { throw FieldSetError("\"\(name)\" must hold a number") }
            self = .index(index)
        default: throw FieldSetError("\"\(name)\" is no step of a field set")
        }
    }

    private static func json(_ text: Substring.UTF8View, _ name: String) throws(FieldSetError) -> JSON {
        do {
            return try JSON(parsing: text)
        } catch {
            throw FieldSetError("\"\(name)\" in a field set is not JSON: \(error)")
        }
    }
}

/// Why a field set cannot be read or an object not be merged; the text is for the Status message.
public struct FieldSetError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}
