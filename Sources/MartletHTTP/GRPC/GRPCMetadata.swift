/// Fields that travel beside a call's messages. Names are in lower case; values of names that end in `-bin` are as they
/// are on the wire, in Base64.
public struct GRPCMetadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// Names and values, one after another: most calls have few or none, and who has them looks for one.
    private var bytes: [UInt8] = []
    /// The lengths of a name and of its value, in turn.
    private var lengths: [Int32] = []

    /// Fields, as `["token": "..."]`.
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    /// Whether there are none.
    public var isEmpty: Bool { lengths.isEmpty }

    /// All fields, in order.
    public var fields: [(name: String, value: String)] {
        var all: [(name: String, value: String)] = []
        forEach { name, value in
            all.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
        return all
    }

    /// The value of the first field of that name.
    public subscript(name: String) -> String? {
        var found: String?
        forEach { known, value in
            if found == nil && known.elementsEqual(name.utf8) { found = String(decoding: value, as: UTF8.self) }
        }
        return found
    }

    /// Adds a field. The name is put in lower case.
    public mutating func append(_ name: String, _ value: String) {
        let before = bytes.count
        for byte in name.utf8 { bytes.append(Characters.lower(byte)) }
        let middle = bytes.count
        bytes.append(contentsOf: value.utf8)
        lengths.append(Int32(clamping: middle - before))
        lengths.append(Int32(clamping: bytes.count - middle))
    }

    /// Adds a field as it came.
    mutating func append(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: value)
        lengths.append(Int32(clamping: name.count))
        lengths.append(Int32(clamping: value.count))
    }

    /// Whether every field may stand on the wire: names of lower-case token characters that are not the protocol's
    /// own, and values without control characters.
    var isSendable: Bool {
        var isGood = true
        forEach { name, value in
            let isName = !name.isEmpty && name.allSatisfy { Characters.token[Int($0)] && $0 == Characters.lower($0) }
            if !isName || name.starts(with: "grpc-".utf8) || !value.allSatisfy(Characters.isFieldValue) {
                isGood = false
            }
        }
        return isGood
    }

    /// Goes through the fields.
    func forEach(_ body: (ArraySlice<UInt8>, ArraySlice<UInt8>) -> Void) {
        var at = 0
        for field in stride(from: 0, to: lengths.count, by: 2) {
            let middle = at + Int(lengths[field])
            let end = middle + Int(lengths[field + 1])
            body(bytes[at..<middle], bytes[middle..<end])
            at = end
        }
    }
}
