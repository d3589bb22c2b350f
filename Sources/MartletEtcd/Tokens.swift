internal import MartletBase
internal import MartletHTTP
internal import MartletStore

/// Passwords as they are kept, and the tokens that are given for them.
///
/// A token names its user and its end, signed under the user's own password hash, which is on every member and
/// leaves none of them. So each member knows the tokens of the others, a login writes nothing to the log, and a
/// changed password or a deleted user ends all tokens of that user at once.
enum Tokens {
    /// Rounds of PBKDF2 for a new password: about 20 ms of one core.
    static let iterations = 60_000
    /// Longer names and tokens are refused unread.
    static let longestToken = 2048
    private static let saltCount = 16
    private static let hashCount = 32

    /// A password as it is kept: a version, the rounds, the salt and the hash.
    static func hash(_ password: String, salt: [UInt8], iterations: Int = Tokens.iterations) -> [UInt8] {
        var bytes: [UInt8] = [1]
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(iterations >> shift & 255)) }
        bytes += salt
        return bytes
            + Secrets.stretch(
                password: Array(password.utf8), salt: salt, iterations: iterations, count: hashCount)
    }

    /// A fresh salt.
    static func salt(from world: any World) -> [UInt8] {
        (0..<saltCount / 8).flatMap { _ in
            let word = world.random()
            return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
        }
    }

    /// Whether `password` is the one that is kept as `stored`.
    static func matches(_ password: String, _ stored: [UInt8]) -> Bool {
        guard stored.count == 5 + saltCount + hashCount, stored[0] == 1 else { return false }
        let iterations = stored[1...4].reduce(0) { $0 << 8 | Int($1) }
        guard iterations > 0, iterations <= 10_000_000 else { return false }
        return Secrets.equal(stored, hash(password, salt: Array(stored[5..<5 + saltCount]), iterations: iterations))
    }

    /// A token for `user`, good until `expiry` in seconds since 1970.
    static func issue(user: String, passwordHash: [UInt8], expiry: Int64) -> String {
        let name = Digest.hex(Array(user.utf8))
        return "\(name).\(expiry).\(signature(name, expiry, passwordHash))"
    }

    /// Whose token it is.
    /// - Throws: ``Refusal/invalidToken``.
    static func user(of token: String, _ auth: AuthState, now: Int64) throws(Refusal) -> String {
        guard token.utf8.count <= longestToken else { throw .invalidToken }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let expiry = Int64(parts[1]), expiry > now,
            let user = text(hex: parts[0]), let hash = auth.users[user]?.passwordHash,
            Secrets.equal(Array(parts[2].utf8), Array(signature(String(parts[0]), expiry, hash).utf8))
        else { throw .invalidToken }
        return user
    }

    private static func signature(_ name: String, _ expiry: Int64, _ passwordHash: [UInt8]) -> String {
        Digest.hex(Secrets.sign(Array("martlet-token:\(name).\(expiry)".utf8), key: passwordHash))
    }

    private static func text(hex: Substring) -> String? {
        let digits = Array(hex.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
