internal import CMartletTLS

/// Passwords kept as digests, and signatures under a secret key.
public enum Secrets {
    /// PBKDF2 with HMAC-SHA-256 (RFC 8018): `count` bytes drawn from a password. It takes time on purpose.
    public static func stretch(password: [UInt8], salt: [UInt8], iterations: Int, count: Int = 32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let status = mtls_pbkdf2_sha256(
                password, password.count, salt, salt.count, UInt32(clamping: iterations), buffer.baseAddress, count)
            precondition(status == 0, "OpenSSL refuses PBKDF2")
            initialized = count
        }
    }

    /// HMAC-SHA-256 (RFC 2104) of `bytes` under `key`: 32 bytes.
    public static func sign(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, initialized in
            let status = mtls_hmac_sha256(key, key.count, bytes, bytes.count, buffer.baseAddress)
            precondition(status == 0, "OpenSSL refuses HMAC")
            initialized = 32
        }
    }

    /// Bytes that only who has the key (32 bytes) reads, and nobody else changes: AES-256-GCM.
    public static func seal(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        precondition(key.count == 32, "a key has 32 bytes")
        let count = bytes.count + Int(MTLS_SEAL_SIZE)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let status = mtls_seal(key, bytes, bytes.count, buffer.baseAddress)
            precondition(status == 0, "OpenSSL refuses AES")
            initialized = count
        }
    }

    /// What ``seal(_:key:)`` was given; nil when it was another key, or the bytes have changed.
    public static func open(_ bytes: [UInt8], key: [UInt8]) -> [UInt8]? {
        guard key.count == 32, bytes.count >= Int(MTLS_SEAL_SIZE) else { return nil }
        var isGood = false
        let opened = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, initialized in
            isGood = mtls_open(key, bytes, bytes.count, buffer.baseAddress) == 0
            initialized = isGood ? bytes.count - Int(MTLS_SEAL_SIZE) : 0
        }
        return isGood ? opened : nil
    }

    /// Whether two byte strings are equal, in a time that does not tell where they differ.
    public static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && mtls_equal(a, b, a.count) != 0
    }
}
