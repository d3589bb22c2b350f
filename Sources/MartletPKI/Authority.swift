public import MartletBase

/// A certificate with its private key, both PEM.
public struct KeyPair: Sendable, Hashable {
    /// The certificate, PEM.
    public var certificatePEM: [UInt8]
    /// The private key (PKCS#8), PEM.
    public var privateKeyPEM: [UInt8]
    /// A pair from its PEM texts.
    public init(certificatePEM: [UInt8], privateKeyPEM: [UInt8]) {
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
    }
}

/// What a certificate is to say.
public struct CertificateRequest: Sendable, Hashable {
    /// Subject CN: a user's or host's name.
    public var commonName: String
    /// Subject O, each a group.
    public var organizations: [String] = []
    /// DNS names.
    public var dnsNames: [String] = []
    /// IP addresses.
    public var addresses: [String] = []
    /// Extended key usage: TLS server.
    public var isServer = false
    /// Extended key usage: TLS client.
    public var isClient = false
    /// From now.
    public var lifetime: Duration = .seconds(365 * 24 * 3600)
    /// A certificate for that name; the rest is empty.
    public init(commonName: String) { self.commonName = commonName }
}

/// A certificate authority: ECDSA P-256, signed by itself.
public struct Authority: Sendable, Hashable {
    /// Its certificate and key.
    public var keyPair: KeyPair
    /// An authority that exists already.
    public init(keyPair: KeyPair) { self.keyPair = keyPair }
    /// Makes a new authority.
    /// - Throws: ``PKIError``.
    public static func make(commonName: String, lifetime: Duration, now: WallTime) throws -> Authority {
        throw PKIError("not built yet")
    }
    /// Makes a key and signs a certificate for it.
    /// - Throws: ``PKIError``.
    public func issue(_ request: CertificateRequest, now: WallTime) throws -> KeyPair {
        throw PKIError("not built yet")
    }
}

/// Why a certificate or key could not be made or read.
public struct PKIError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

/// The files of a cluster's PKI, laid out as kubeadm lays them out, under one folder:
/// `ca.{crt,key}`, `front-proxy-ca.{crt,key}`, `etcd/ca.{crt,key}`, `sa.{pub,key}`, `apiserver.{crt,key}`,
/// `apiserver-kubelet-client.{crt,key}`, `apiserver-etcd-client.{crt,key}`, `front-proxy-client.{crt,key}`,
/// `etcd/{server,peer}.{crt,key}`, `kubelet.{crt,key}` (the node agent's server certificate) and the client
/// certificates inside kubeconfigs. Keys have mode 0600.
public struct ClusterPKI: Sendable {
    /// The folder.
    public var directory: String
    /// Reads what is there, makes what is missing, and renews leaves in the last third of their life. Authorities
    /// that exist are never made anew.
    /// - Parameters:
    ///   - names, addresses: what the API server's certificate is for, beside the standard ones.
    /// - Throws: ``PKIError`` naming the file.
    public static func ensure(
        directory: String, nodeName: String, names: [String], addresses: [String], now: WallTime
    ) throws -> ClusterPKI { throw PKIError("not built yet") }

    /// The certificate and key in `NAME.crt` and `NAME.key`.
    /// - Throws: ``PKIError``.
    public func keyPair(_ name: String) throws -> KeyPair { throw PKIError("not built yet") }
    /// The authority `ca`, `front-proxy-ca` or `etcd/ca`.
    /// - Throws: ``PKIError``.
    public func authority(_ name: String) throws -> Authority { throw PKIError("not built yet") }
    /// A kubeconfig (YAML) with a fresh client certificate of `user` in `groups`, for the server's URL.
    /// - Throws: ``PKIError``.
    public func kubeconfig(user: String, groups: [String], server: String, cluster: String, now: WallTime) throws
        -> [UInt8]
    { throw PKIError("not built yet") }
}
