/// An object as it is stored: canonical JSON bytes without `metadata.resourceVersion`, which is spliced in when it is
/// served, so that no read decodes an object.
public struct StoredObject: Sendable, Hashable {
    /// The stored bytes.
    public let bytes: [UInt8]

    /// Makes the stored form. `managedFields` is text to stand in `metadata` where the object itself has none
    /// (``FieldOwnership/text(ofNew:)``).
    public init(_ object: JSON, managedFields: [UInt8] = []) {
        var writer = JSONWriter()
        writer.append(stored: object, managedFields: managedFields)
        bytes = writer.bytes
    }

    /// Takes bytes as they came from the store.
    public init(stored bytes: [UInt8]) { self.bytes = bytes }

    /// The served form: the bytes with `"resourceVersion":"N"` inside `metadata`.
    public func served(resourceVersion: Int64) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 48)
        appendServed(resourceVersion: resourceVersion, to: &output)
        return output
    }

    /// Appends the served form: what a list writes, object by object.
    public func appendServed(resourceVersion: Int64, to output: inout [UInt8]) {
        bytes.withUnsafeBufferPointer { buffer in
            let scanner = ByteScanner(buffer)
            let metadata = scanner.startOfMember("metadata", ofObjectAt: 0)
            guard let start = metadata ?? buffer.firstIndex(of: UInt8(ascii: "{")),
                start < buffer.count, buffer[start] == UInt8(ascii: "{")
            else {
                output.append(contentsOf: buffer)
                return
            }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[...start]))
            output.append(contentsOf: (metadata == nil ? "\"metadata\":{" : "").utf8)
            output.append(contentsOf: "\"resourceVersion\":\"".utf8)
            output.append(contentsOf: String(resourceVersion).utf8)
            output.append(contentsOf: (metadata == nil ? "\"}" : "\"").utf8)
            let next = scanner.skipBlanks(start + 1)
            if next >= buffer.count || buffer[next] != UInt8(ascii: "}") { output.append(UInt8(ascii: ",")) }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[(start + 1)...]))
        }
    }

    /// The whole object, decoded, with `metadata.resourceVersion` set.
    /// - Throws: ``JSONError`` when the bytes are not JSON.
    public func decoded(resourceVersion: Int64) throws(JSONError) -> JSON {
        var object = try JSON(parsing: bytes)
        object["metadata", "resourceVersion"] = .string(String(resourceVersion))
        return object
    }

    /// The value at a path of member names; only that value is decoded.
    public func value(at path: [String]) -> JSON? {
        bytes.withUnsafeBufferPointer { buffer in
            guard let range = ByteScanner(buffer).value(at: path) else { return nil }
            return try? JSON(parsing: UnsafeBufferPointer(rebasing: buffer[range]))
        }
    }

    /// The fields of `metadata` that lists and watches look at, read in one pass.
    public struct Header: Sendable, Hashable {
        /// `metadata.namespace`; empty for cluster-wide objects.
        public var namespace = ""
        /// `metadata.name`
        public var name = ""
        /// `metadata.uid`
        public var uid = ""
        /// `metadata.labels`
        public var labels: [String: String] = [:]
        /// Whether `metadata.deletionTimestamp` is set.
        public var isTerminating = false
    }

    /// The header, read from the bytes up to the end of `metadata`.
    public var header: Header {
        var header = Header()
        bytes.withUnsafeBufferPointer { buffer in
            let scanner = ByteScanner(buffer)
            guard let metadata = scanner.member("metadata", ofObjectAt: 0) else { return }
            scanner.eachMember(ofObjectAt: metadata.lowerBound) { name, value in
                switch String(decoding: buffer[name], as: UTF8.self) {
                case "namespace": header.namespace = scanner.string(value) ?? ""
                case "name": header.name = scanner.string(value) ?? ""
                case "uid": header.uid = scanner.string(value) ?? ""
                case "deletionTimestamp": header.isTerminating = scanner.string(value) != nil
                case "labels":
                    let labels = try? JSON(parsing: UnsafeBufferPointer(rebasing: buffer[value]))
                    header.labels = labels?.stringMap ?? [:]
                default: break
                }
                return true
            }
        }
        return header
    }

    /// `metadata.labels`, read from the bytes.
    public var labels: [String: String] { value(at: ["metadata", "labels"])?.stringMap ?? [:] }
}
