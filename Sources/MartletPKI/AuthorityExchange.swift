public import MartletBase
internal import MartletIO
internal import MartletObject

/// Old and new authorities of a rotation, without their keys, by their names in the PKI folder (`ca`, `etcd/ca`,
/// `front-proxy-ca`: certificates; `sa`: public keys), PEM.
public struct AuthorityExchange: Sendable, Hashable {
    /// What was trusted when the rotation began.
    public var old: [String: [UInt8]]
    /// What takes its place.
    public var new: [String: [UInt8]]
    /// The new `ca` as the old one signs it. Masters show it while both are trusted, so that kubeconfigs and pods that
    /// know only the old one go on.
    public var cross: [UInt8]
    /// An exchange from its parts.
    public init(old: [String: [UInt8]], new: [String: [UInt8]], cross: [UInt8] = []) {
        self.old = old
        self.new = new
        self.cross = cross
    }

    /// What is trusted in a phase: what signs comes first.
    public func trusted(_ name: String, in phase: Rotation.Phase) -> [UInt8] {
        let (old, new) = (old[name] ?? [], new[name] ?? [])
        if !phase.trustsBoth { return new }
        return phase == .trust ? old + new : new + old
    }
}

extension ClusterPKI {
    /// The name of the key of service account tokens.
    static let serviceAccount = "sa"
    /// All that is exchanged. `ca` is last: what opens the new keys is drawn from its old one.
    static let exchanged = ["etcd/ca", "front-proxy-ca", serviceAccount, "ca"]

    /// Makes new authorities and a new key of service account tokens, and touches nothing that is there. Each new
    /// authority has the name of the one that it follows.
    /// - Returns: the exchange, and the new private keys (PEM) by their names.
    /// - Throws: ``PKIError``.
    public func makeSuccessors(now: WallTime) throws -> (exchange: AuthorityExchange, keys: [String: [UInt8]]) {
        var exchange = AuthorityExchange(old: [:], new: [:])
        var keys: [String: [UInt8]] = [:]
        for name in Self.authorities.keys {
            let own = try CertificateInfo(pem: authority(name).keyPair.certificatePEM)
            let made = try Authority.make(
                commonName: own.commonName.isEmpty ? Self.authorities[name] ?? name : own.commonName,
                lifetime: Self.authorityLifetime, now: now)
            exchange.old[name] = try trusted(name)
            exchange.new[name] = made.keyPair.certificatePEM
            keys[name] = made.keyPair.privateKeyPEM
            if name == "ca" { exchange.cross = try authority(name).cross(made, now: now) }
        }
        let key = try PrivateKey.makeRSA()
        exchange.old[Self.serviceAccount] = try serviceAccountKeys().publicKeysPEM.flatMap { $0 }
        exchange.new[Self.serviceAccount] = try PrivateKey.publicKey(of: key)
        keys[Self.serviceAccount] = key
        return (exchange, keys)
    }

    /// Brings a machine's authorities to what a phase asks for; what is so already stays. Each file is replaced whole,
    /// in an order in which a crash after any of them leaves a machine that starts, and knows the others.
    /// - Parameter keys: the new private keys, asked for when one is missing: by machines that hold the old ones.
    /// - Throws: ``PKIError`` naming the file, or what `keys` throws.
    public func take(
        _ phase: Rotation.Phase, of exchange: AuthorityExchange, keys: () throws -> [String: [UInt8]]
    ) throws {
        let names = Self.exchanged.filter { Files.exists(authorityFile($0)) }
        for name in names where try !descends(name, exchange) {
            throw PKIError(
                """
                \(authorityFile(name)) is neither the old nor the new one of the rotation: this machine was away \
                during an earlier one; martlet reset it, and join it again
                """)
        }
        // A machine that was away for some phases takes all up to this one.
        let signsNew = phase != .trust
        for name in names where try !holds(name, exchange.new[name] ?? []) {
            try write(exchange.trusted(name, in: .trust), to: authorityFile(name), mode: 0o644)
        }
        let signs = names.filter { Files.exists(path($0, "key")) }
        if signsNew {
            if phase.trustsBoth, !signs.isEmpty, try read(crossFile) != exchange.cross {
                try write(exchange.cross, to: crossFile, mode: 0o644)
            }
            var made: [String: [UInt8]]?
            for name in signs where try !signsAlready(name, exchange.new[name] ?? []) {
                let keys = try made ?? keys()
                made = keys
                guard let key = keys[name] else { throw PKIError("the rotation has no key for \(name)") }
                try write(key, to: path(name, "key"), mode: 0o600)
            }
        }
        for name in names {
            let wanted = exchange.trusted(name, in: phase)
            guard !wanted.isEmpty, try read(authorityFile(name)) != wanted else { continue }
            try write(wanted, to: authorityFile(name), mode: 0o644)
        }
        if !phase.trustsBoth { try explain(crossFile) { () throws(Errno) in try Files.remove(crossFile) } }
    }

    /// Whether this machine has authorities' keys: whether it is a master.
    public var isSigner: Bool { Files.exists(path("ca", "key")) }

    /// Whether this machine signs by the new authorities already.
    /// - Throws: ``PKIError`` naming the file.
    public func signsBy(_ exchange: AuthorityExchange) throws -> Bool {
        try Self.exchanged.allSatisfy { try signsAlready($0, exchange.new[$0] ?? []) }
    }

    private func authorityFile(_ name: String) -> String { path(name, name == Self.serviceAccount ? "pub" : "crt") }

    private func blocks(_ name: String, _ text: [UInt8]) -> [[UInt8]] {
        PEM.blocks(name == Self.serviceAccount ? "PUBLIC KEY" : "CERTIFICATE", in: text)
    }

    /// Whether what this machine signs by, or trusts where it does not sign, is among the old or the new ones: a master
    /// that was started with authorities of its own has nothing to do with the cluster's, and an exchange that a
    /// restored snapshot tells of may be older than another one that all have taken.
    /// - Throws: ``PKIError`` naming the file.
    public func descends(from exchange: AuthorityExchange) throws -> Bool {
        try Self.exchanged.allSatisfy { try descends($0, exchange) }
    }

    private func descends(_ name: String, _ exchange: AuthorityExchange) throws -> Bool {
        guard Files.exists(path(name, "key")) else {
            guard let trusted = try read(authorityFile(name)) else { return true }
            let known = blocks(name, (exchange.old[name] ?? []) + (exchange.new[name] ?? []))
            return blocks(name, trusted).contains(where: known.contains)
        }
        let own =
            name == Self.serviceAccount
            ? try serviceAccountKeys().publicKeysPEM[0] : try authority(name).keyPair.certificatePEM
        return blocks(name, (exchange.old[name] ?? []) + (exchange.new[name] ?? [])).contains(own)
    }

    /// Whether the new one is among those trusted.
    private func holds(_ name: String, _ new: [UInt8]) throws -> Bool {
        blocks(name, try read(authorityFile(name)) ?? []).contains { blocks(name, new).contains($0) }
    }

    /// Whether this machine's key is that of the new one.
    private func signsAlready(_ name: String, _ new: [UInt8]) throws -> Bool {
        guard let key = try read(path(name, "key")) else { return true }
        if name == Self.serviceAccount { return try PrivateKey.matches(key, publicKey: new) }
        return try Certificate(pem: new).has(key: key)
    }
}

extension ClusterPKI {
    private var markFile: String { directory + "/rotation.json" }

    /// What this machine has taken of which rotation; nil for none.
    public var mark: Rotation.Mark? {
        guard let bytes = try? Files.read(markFile), let json = try? JSON(parsing: bytes) else { return nil }
        return Rotation.Mark(json)
    }

    /// Notes down what this machine has taken.
    /// - Throws: ``PKIError`` naming the file.
    public func note(_ mark: Rotation.Mark) throws {
        try write(mark.json.encoded() + [10], to: markFile, mode: 0o644)
    }
}

extension CertificateInfo {
    /// Whether the first certificate of a PEM text was signed by the authority in another.
    public static func isSigned(_ pem: [UInt8], by authority: [UInt8]) -> Bool {
        guard let certificate = try? Certificate(pem: pem), let issuer = try? Certificate(pem: authority) else {
            return false
        }
        return certificate.isSigned(by: issuer)
    }
}
