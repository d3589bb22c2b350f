internal import CMartletTLS

/// Passwords as htpasswd and crypt(3) keep them.
public enum PasswordHash {
    /// Longer ones are refused: crypt(3) takes no more.
    public static let longest = 511

    /// Whether a password is the one that a hash was made of; nil when the hash has a form that is not known: known are
    /// `$apr1$`, `{SHA}` and what the machine's crypt(3) takes (bcrypt, SHA-256, SHA-512, yescrypt, MD5, DES). Takes as
    /// long as the hash's cost says: not for a thread that others wait for.
    public static func matches(_ password: String, _ hash: String) -> Bool? {
        guard password.utf8.count <= longest, !password.utf8.contains(0), !hash.utf8.contains(0) else { return false }
        let result = mtls_password_matches(password, hash)
        return result < 0 ? nil : result > 0
    }
}
