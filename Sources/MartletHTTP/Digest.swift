internal import CMartletTLS

/// Digests of bytes.
public enum Digest {
    /// The SHA-256 (FIPS 180-4) of `bytes`: 32 bytes.
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = SHA256()
        digest.update(bytes)
        return digest.finish()
    }

    /// The SHA-1 of `bytes`, for protocols that name it: 20 bytes that prove nothing.
    static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(MTLS_SHA1_SIZE)) { buffer, count in
            precondition(mtls_sha1(bytes, bytes.count, buffer.baseAddress) == 0, "OpenSSL refuses SHA-1")
            count = Int(MTLS_SHA1_SIZE)
        }
    }

    /// Lower-case hex, as image digests write it.
    public static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// A SHA-256 of bytes that come in parts.
///
/// Sendable although it holds a C pointer: it cannot be copied, so there is one owner at a time.
public struct SHA256: ~Copyable, @unchecked Sendable {
    private let state: OpaquePointer

    /// The digest of nothing so far.
    public init() {
        guard let state = mtls_sha256_new() else { preconditionFailure("no memory for a SHA-256") }
        self.state = state
    }

    deinit { mtls_sha256_free(state) }

    /// Takes in more bytes.
    public mutating func update(_ bytes: [UInt8]) {
        precondition(mtls_sha256_update(state, bytes, bytes.count) == 0, "OpenSSL refuses SHA-256")
    }

    /// The digest of all that was taken in; starts anew after it.
    public mutating func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(MTLS_SHA256_SIZE)) { buffer, count in
            precondition(mtls_sha256_finish(state, buffer.baseAddress) == 0, "OpenSSL refuses SHA-256")
            count = Int(MTLS_SHA256_SIZE)
        }
    }
}
