/// How service account tokens are signed and known again.
public struct TokenSettings: Sendable {
    /// A key by which tokens are known.
    public struct Key: Sendable {
        /// `kid`: the key's name.
        public var identifier: String
        /// `RS256` or `ES256`.
        public var algorithm: String
        /// The public half as a JSON Web Key, JSON.
        public var jwk: [UInt8]
        /// Whether a signature (first) is the key's and of a message.
        public var verifies: @Sendable ([UInt8], [UInt8]) -> Bool

        /// A key from its parts.
        public init(
            identifier: String, algorithm: String, jwk: [UInt8],
            verifies: @escaping @Sendable ([UInt8], [UInt8]) -> Bool
        ) {
            self.identifier = identifier
            self.algorithm = algorithm
            self.jwk = jwk
            self.verifies = verifies
        }
    }

    /// The keys; the first one's private half signs.
    public var keys: [Key]
    /// Signs a message by the first key.
    public var sign: @Sendable ([UInt8]) throws -> [UInt8]
    /// `iss` of the tokens, and the audience of those that name none. An https URL.
    public var issuer = "https://kubernetes.default.svc.cluster.local"

    /// Settings with that key alone.
    public init(key: Key, sign: @escaping @Sendable ([UInt8]) throws -> [UInt8]) {
        keys = [key]
        self.sign = sign
    }
}
