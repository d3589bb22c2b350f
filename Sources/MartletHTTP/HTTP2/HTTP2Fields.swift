internal import CNGHTTP2

/// Fields as nghttp2 takes them.
struct HTTP2Fields {
    /// Fields that live for ever; they come first.
    private var fixed: [nghttp2_nv]
    /// Names and values of the others, one after another, and their lengths in turn.
    private var text: [UInt8] = []
    private var lengths: [Int] = []

    /// A list that begins with these.
    init(_ fixed: [nghttp2_nv]) { self.fixed = fixed }

    /// Adds a field.
    mutating func append(_ name: StaticString, _ value: some Collection<UInt8>) {
        text.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        text.append(contentsOf: value)
        lengths.append(name.utf8CodeUnitCount)
        lengths.append(value.count)
    }

    /// Adds a field whose name is in lower case.
    mutating func append(name: some Collection<UInt8>, _ value: some Collection<UInt8>) {
        text.append(contentsOf: name)
        text.append(contentsOf: value)
        lengths.append(name.count)
        lengths.append(value.count)
    }

    /// Adds a call's metadata.
    mutating func append(_ metadata: GRPCMetadata) {
        metadata.forEach { name, value in
            text.append(contentsOf: name)
            text.append(contentsOf: value)
            lengths.append(name.count)
            lengths.append(value.count)
        }
    }

    /// Lends the list. nghttp2 copies what does not live for ever.
    func lend<Result>(_ body: ([nghttp2_nv]) -> Result) -> Result {
        if lengths.isEmpty { return body(fixed) }
        return text.withUnsafeBufferPointer { text -> Result in
            var fields = fixed
            fields.reserveCapacity(fixed.count + lengths.count / 2)
            var at = UnsafeMutablePointer(mutating: text.baseAddress)
            for field in stride(from: 0, to: lengths.count, by: 2) {
                let (name, value) = (lengths[field], lengths[field + 1])
                fields.append(
                    nghttp2_nv(
                        name: at, value: at.map { $0 + name }, namelen: name, valuelen: value,
                        flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
                at = at.map { $0 + name + value }
            }
            return body(fields)
        }
    }

    /// A field whose name and value live for ever.
    static func constant(_ name: StaticString, _ value: StaticString) -> nghttp2_nv {
        nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.utf8Start),
            value: UnsafeMutablePointer(mutating: value.utf8Start),
            namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount,
            flags: UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue))
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether the bytes are that word.
    func equals(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for at in 0..<count where self[at] != word.utf8Start[at] { return false }
        return true
    }

    /// Whether the bytes begin with that word.
    func begins(with word: StaticString) -> Bool {
        count >= word.utf8CodeUnitCount && UnsafeBufferPointer(rebasing: prefix(word.utf8CodeUnitCount)).equals(word)
    }
}
