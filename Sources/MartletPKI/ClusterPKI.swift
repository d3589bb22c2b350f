public import MartletBase
internal import MartletIO

/// The files of a cluster's PKI, laid out as kubeadm lays them out, under one folder:
/// `ca.{crt,key}`, `front-proxy-ca.{crt,key}`, `etcd/ca.{crt,key}`, `sa.{pub,key}`, `apiserver.{crt,key}`,
/// `apiserver-kubelet-client.{crt,key}`, `apiserver-etcd-client.{crt,key}`, `front-proxy-client.{crt,key}`,
/// `etcd/{server,peer}.{crt,key}`, `kubelet.{crt,key}` (the node agent's server certificate) and the client
/// certificates inside kubeconfigs. Keys have mode 0600.
///
/// While authorities are exchanged (``Rotation``), an authority's `.crt` holds all that are trusted; the one that signs
/// is the one that its `.key` belongs to. In the same way `sa.pub` holds all keys that tokens are known by.
///
/// A renewed leaf has a new key. The new certificate waits in `NAME.crt.next` until the new key is in place, so that a
/// crash between the two leaves either pair whole.
public struct ClusterPKI: Sendable {
    /// The folder.
    public var directory: String

    /// The life of authorities that are made: 10 years.
    static let authorityLifetime: Duration = .seconds(10 * 365 * 24 * 3600)
    /// The life of leaves when nothing else is asked for: a year.
    public static let standardLifetime: Duration = .seconds(365 * 24 * 3600)
    /// The CN of clients of the store, whom its authority signs beside the members.
    public static let storeClientName = "kube-apiserver-etcd-client"
    /// The authorities, with the CN that kubeadm gives them.
    static let authorities = ["ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"]

    /// The cluster's PKI in a folder, as ``ensure(directory:nodeName:names:addresses:now:)`` left it.
    public init(directory: String) { self.directory = directory }

    /// Reads what is there, makes what is missing, and renews leaves in the last third of their life, with names
    /// missing, or of another authority. Authorities that exist are never made anew, and by a member of a cluster none
    /// is made at all: nobody else would know it.
    /// - Parameters:
    ///   - names, addresses: what the API server's certificate is for, beside the standard ones. Give the first
    ///     address of the service network (10.96.0.1) and the node's own.
    ///   - lifetime: that of leaves that are made.
    ///   - begins: whether authorities and the key of service account tokens are made when there are none.
    /// - Throws: ``PKIError`` naming the file.
    public static func ensure(
        directory: String, nodeName: String, names: [String], addresses: [String],
        lifetime: Duration = standardLifetime, begins: Bool = true, now: WallTime
    ) throws -> ClusterPKI {
        let pki = ClusterPKI(directory: directory)
        for folder in [directory, "\(directory)/etcd"] {
            try pki.explain(folder) { () throws(Errno) in try Files.makeDirectory(folder, mode: 0o755) }
        }
        for (name, commonName) in authorities.sorted(by: { $0.key < $1.key }) {
            try pki.ensureAuthority(name, commonName: commonName, begins: begins, now: now)
        }
        try pki.ensureServiceAccountKey(begins: begins)
        let leaves = LeafSubjects(nodeName: nodeName, names: names, addresses: addresses, lifetime: lifetime)
        _ = try pki.renewLeaves(leaves, all: false, now: now)
        return pki
    }

    /// Makes the leaves that are missing, and renews those in the last third of their life, with names missing, or of
    /// another authority than the one that signs now.
    /// - Parameter all: whether every one is renewed.
    /// - Returns: the names of those that were made.
    /// - Throws: ``PKIError`` naming the file.
    public func renewLeaves(_ subjects: LeafSubjects, all: Bool, now: WallTime) throws -> [String] {
        try Self.leaves(subjects).filter { try ensureLeaf($0, renews: all, now: now) }.map(\.name)
    }

    /// The certificate and key in `NAME.crt` and `NAME.key`.
    /// - Throws: ``PKIError``.
    public func keyPair(_ name: String) throws -> KeyPair {
        guard let pair = try readPair(name) else {
            throw PKIError("\(path(name, "crt")) is missing: start the node once more to have it made")
        }
        return pair
    }

    /// As ``keyPair(_:)``, for a server: while the authority `ca` is exchanged, followed by the certificate by which
    /// those who know only the old authority find that the new one is good.
    /// - Throws: ``PKIError``.
    public func servingPair(_ name: String) throws -> KeyPair {
        var pair = try keyPair(name)
        pair.certificatePEM += try read(crossFile) ?? []
        return pair
    }

    /// The new authority's certificate as the old one signs it.
    var crossFile: String { path("ca-cross", "crt") }

    /// All certificates of an authority that are trusted now (PEM), the one that signs first where its key is here:
    /// workers have the certificates alone.
    /// - Throws: ``PKIError``.
    public func trusted(_ name: String) throws -> [UInt8] {
        guard let pem = try read(path(name, "crt")) else {
            throw PKIError("\(path(name, "crt")) is missing: put it back, or join the cluster again")
        }
        guard Files.exists(path(name, "key")) else {
            try explain(path(name, "crt")) { () throws(PKIError) in
                let certificates = PEM.blocks("CERTIFICATE", in: pem)
                if certificates.isEmpty { throw PKIError("no certificate in it") }
                for certificate in certificates { _ = try Certificate(pem: certificate) }
            }
            return pem
        }
        let signing = try authority(name).keyPair.certificatePEM
        return signing + PEM.blocks("CERTIFICATE", in: pem).filter { $0 != signing }.flatMap { $0 }
    }

    /// The key in `NAME.key`, made when there is none: the certificate is to come from elsewhere.
    /// - Throws: ``PKIError``.
    public func ensureKey(_ name: String) throws -> [UInt8] {
        try explain(directory) { () throws(Errno) in try Files.makeDirectory(directory, mode: 0o755) }
        if let key = try read(path(name, "key")) { return key }
        let key = try PrivateKey.makeEC()
        try write(key, to: path(name, "key"), mode: 0o600)
        return key
    }

    /// Puts a certificate and its key in the place of those before.
    /// - Throws: ``PKIError`` when they do not belong together.
    public func install(_ pair: KeyPair, as name: String) throws {
        try checkPair(name, certificate: pair.certificatePEM, key: pair.privateKeyPEM)
        try write(pair.certificatePEM, to: path(name, "crt.next"), mode: 0o644)
        try write(pair.privateKeyPEM, to: path(name, "key"), mode: 0o600)
        try settle(name)
    }

    /// The authority `ca`, `front-proxy-ca` or `etcd/ca` that signs now.
    /// - Throws: ``PKIError``.
    public func authority(_ name: String) throws -> Authority {
        guard let pair = try readAuthority(name) else {
            throw PKIError("\(path(name, "crt")) is missing: put it back from a backup, or from another master")
        }
        return Authority(keyPair: pair)
    }

    /// The key that signs service account tokens (`sa.key`), and the public keys that tokens are known by (`sa.pub`),
    /// its own first, all PEM.
    /// - Throws: ``PKIError``.
    public func serviceAccountKeys() throws -> (privateKeyPEM: [UInt8], publicKeysPEM: [[UInt8]]) {
        guard let key = try read(path("sa", "key")), let publicKeys = try read(path("sa", "pub")) else {
            throw PKIError("\(path("sa", "key")) or .pub is missing: start the node once more to have it made")
        }
        let own = try explain(path("sa", "key")) { () throws(PKIError) in try PrivateKey.publicKey(of: key) }
        return (key, [own] + PEM.blocks("PUBLIC KEY", in: publicKeys).filter { $0 != own })
    }

    /// What all masters of a cluster share, by file name: the authorities and the key of service account tokens.
    /// - Throws: ``PKIError`` naming the file that is missing.
    public func sharedFiles() throws -> [(name: String, bytes: [UInt8])] {
        let names =
            Self.authorities.keys.sorted().flatMap { ["\($0).crt", "\($0).key"] } + ["sa.key", "sa.pub"]
        return try names.map { name in
            let file = "\(directory)/\(name)"
            guard let bytes = try read(file) else {
                throw PKIError("\(file) is missing: put it back from a backup, or from another master")
            }
            return (name, bytes)
        }
    }

    /// Writes what ``sharedFiles()`` gave on another master. Files that are there must be the same.
    /// - Throws: ``PKIError`` naming the file.
    public func install(_ files: [(name: String, bytes: [UInt8])]) throws {
        for folder in [directory, "\(directory)/etcd"] {
            try explain(folder) { () throws(Errno) in try Files.makeDirectory(folder, mode: 0o755) }
        }
        for (name, bytes) in files {
            let base = name.split(separator: ".").first.map(String.init) ?? ""
            guard Self.authorities[base] != nil || base == "sa", name.hasPrefix(base + "."),
                ["crt", "key", "pub"].contains(name.dropFirst(base.count + 1))
            else { throw PKIError("\(name) is no file that masters share: run releases that know each other") }
            let file = "\(directory)/\(name)"
            if let there = try read(file) {
                if there == bytes { continue }
                // A machine without keys that comes again may find the authorities rotated.
                let known = PEM.blocks("CERTIFICATE", in: there)
                let isOfCluster = PEM.blocks("CERTIFICATE", in: bytes).contains(where: known.contains)
                guard isOfCluster, !isSigner else {
                    throw PKIError("\(file) is that of another cluster: empty the data folder with martlet reset first")
                }
            }
            try write(bytes, to: file, mode: name.hasSuffix(".key") ? 0o600 : 0o644)
        }
    }

    /// A kubeconfig (YAML) with a fresh client certificate of `user` in `groups`, for the server's URL.
    /// - Throws: ``PKIError``.
    public func kubeconfig(
        user: String, groups: [String], server: String, cluster: String, lifetime: Duration? = nil, now: WallTime
    ) throws -> [UInt8] {
        var request = CertificateRequest(commonName: user)
        request.organizations = groups
        request.isClient = true
        if let lifetime { request.lifetime = lifetime }
        let pair = try authority("ca").issue(request, now: now)
        return Kubeconfig(
            cluster: cluster, server: server, authorityPEM: try trusted("ca"), user: user, client: pair
        ).yaml
    }

    // MARK: What there must be

    /// A certificate that one of the authorities signs.
    struct Leaf {
        var name: String
        var authority: String
        var request: CertificateRequest
    }

    /// All leaves of a node that runs every role, as kubeadm names them.
    static func leaves(_ subjects: LeafSubjects) -> [Leaf] {
        let (nodeName, names, addresses) = (subjects.nodeName, subjects.names, subjects.addresses)
        func leaf(
            _ name: String, by authority: String, for commonName: String, _ organizations: [String] = [],
            server: Bool = false, client: Bool = false, names: [String] = [], addresses: [String] = []
        ) -> Leaf {
            var request = CertificateRequest(commonName: commonName)
            request.organizations = organizations
            request.isServer = server
            request.isClient = client
            request.dnsNames = unique(names)
            request.addresses = unique(addresses)
            request.lifetime = subjects.lifetime
            return Leaf(name: name, authority: authority, request: request)
        }
        let kubernetes = [
            "kubernetes", "kubernetes.default", "kubernetes.default.svc", apiService(in: "cluster.local"),
        ]
        let local = ["localhost", nodeName]
        let allAddresses = ["127.0.0.1", "::1"] + addresses
        return [
            leaf(
                "apiserver", by: "ca", for: "kube-apiserver", server: true, names: kubernetes + local + names,
                addresses: allAddresses),
            leaf(
                "apiserver-kubelet-client", by: "ca", for: "kube-apiserver-kubelet-client", ["system:masters"],
                client: true),
            leaf("apiserver-etcd-client", by: "etcd/ca", for: storeClientName, client: true),
            leaf("front-proxy-client", by: "front-proxy-ca", for: "front-proxy-client", client: true),
            leaf(
                "etcd/server", by: "etcd/ca", for: nodeName, server: true, client: true, names: local,
                addresses: allAddresses),
            leaf(
                "etcd/peer", by: "etcd/ca", for: nodeName, server: true, client: true, names: local,
                addresses: allAddresses),
            leaf(
                "kubelet", by: "ca", for: "system:node:\(nodeName)", ["system:nodes"], server: true, names: local,
                addresses: allAddresses),
        ]
    }

    /// The name of the API's Service where the cluster's names end with `domain`.
    public static func apiService(in domain: String) -> String { "kubernetes.default.svc.\(domain)" }

    /// Without repetitions, in order.
    private static func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    /// What a member is told whose cluster has a file that it has not.
    private static func lost(_ path: String) -> PKIError {
        PKIError(
            "\(path) is missing, and a member of a cluster makes none: \(sharedRemedy), or martlet reset here and join "
                + "again")
    }
    private static let sharedRemedy = "put it back from a backup, or from the folder pki of a master that has it"

    private func ensureAuthority(_ name: String, commonName: String, begins: Bool, now: WallTime) throws {
        if let pair = try readAuthority(name) {
            let info = try explain(path(name, "crt")) { () throws(PKIError) in
                try CertificateInfo(pem: pair.certificatePEM)
            }
            guard info.isCA else { throw PKIError("\(path(name, "crt")) is no authority: put the right file back") }
            return
        }
        if Files.exists(path(name, "key")) {
            throw PKIError("\(path(name, "crt")) is missing while its key is there: \(Self.sharedRemedy)")
        }
        guard begins else { throw Self.lost(path(name, "crt")) }
        let made = try Authority.make(commonName: commonName, lifetime: Self.authorityLifetime, now: now)
        // Certificate first here: a crash before the key leaves a pair that is refused loudly, not one that is
        // signed anew in silence.
        try write(made.keyPair.certificatePEM, to: path(name, "crt"), mode: 0o644)
        do { try write(made.keyPair.privateKeyPEM, to: path(name, "key"), mode: 0o600) } catch {
            // No crash, but a disk without room: who tries again begins this authority anew.
            try? Files.remove(path(name, "crt"))
            throw error
        }
    }

    private func ensureServiceAccountKey(begins: Bool) throws {
        let (keyPath, publicPath) = (path("sa", "key"), path("sa", "pub"))
        let existing = try read(publicPath)
        let key: [UInt8]
        if let found = try read(keyPath) {
            key = found
        } else if existing != nil {
            throw PKIError("\(keyPath) is missing while sa.pub is there: \(Self.sharedRemedy)")
        } else {
            guard begins else { throw Self.lost(keyPath) }
            key = try PrivateKey.makeRSA()
            try write(key, to: keyPath, mode: 0o600)
        }
        let publicKey = try explain(keyPath) { () throws(PKIError) in try PrivateKey.publicKey(of: key) }
        guard let existing else { return try write(publicKey, to: publicPath, mode: 0o644) }
        let known = PEM.blocks("PUBLIC KEY", in: existing)
        let fits = try explain(publicPath) { () throws(PKIError) in
            for one in known.isEmpty ? [existing] : known where try PrivateKey.matches(key, publicKey: one) {
                return true
            }
            return false
        }
        if !fits { throw PKIError("\(publicPath) does not belong to sa.key: remove it to have it made anew") }
    }

    /// Whether a new certificate was made.
    private func ensureLeaf(_ leaf: Leaf, renews: Bool, now: WallTime) throws -> Bool {
        let authority = try authority(leaf.authority)
        try settle(leaf.name)
        func signed(_ key: [UInt8]) throws -> [UInt8] {
            do { return try authority.sign(leaf.request, for: key, now: now) } catch {
                throw PKIError("\(path(leaf.name, "crt")) cannot be made: \(error)")
            }
        }
        if let certificate = try read(path(leaf.name, "crt")), let key = try read(path(leaf.name, "key")) {
            try checkPair(leaf.name, certificate: certificate, key: key)
            if !renews, try isGood(certificate, for: leaf.request, by: authority, now: now) { return false }
            let fresh = try PrivateKey.makeEC()
            try install(KeyPair(certificatePEM: try signed(fresh), privateKeyPEM: fresh), as: leaf.name)
            return true
        }
        try write(try signed(try ensureKey(leaf.name)), to: path(leaf.name, "crt"), mode: 0o644)
        return true
    }

    /// Whether a leaf's certificate still does: it says all that is asked for, and not for too short a time.
    private func isGood(
        _ pem: [UInt8], for request: CertificateRequest, by authority: Authority, now: WallTime
    ) throws(PKIError) -> Bool {
        let certificate = try Certificate(pem: pem)
        let info = CertificateInfo(certificate)
        return certificate.isSigned(by: try Certificate(pem: authority.keyPair.certificatePEM))
            && !info.isDueForRenewal(now: now) && info.isServer == request.isServer
            && info.isClient == request.isClient && info.says(request)
    }

    // MARK: Files

    func path(_ name: String, _ suffix: String) -> String { "\(directory)/\(name).\(suffix)" }

    /// Ends what ``install(_:as:)`` had begun before a crash: the certificate that waits is put in place when its key
    /// is there already, and else forgotten.
    private func settle(_ name: String) throws(PKIError) {
        let next = path(name, "crt.next")
        guard let waiting = try read(next) else { return }
        if let key = try read(path(name, "key")), (try? Certificate(pem: waiting).has(key: key)) == true {
            try write(waiting, to: path(name, "crt"), mode: 0o644)
        }
        try explain(next) { () throws(Errno) in try Files.remove(next) }
    }

    /// The certificate of an authority's file that belongs to its key, and the key; nil when there is no certificate.
    private func readAuthority(_ name: String) throws(PKIError) -> KeyPair? {
        guard let pem = try read(path(name, "crt")) else { return nil }
        let certificates = PEM.blocks("CERTIFICATE", in: pem)
        guard let key = try read(path(name, "key")) else { return try readPair(name) }
        for certificate in certificates {
            let read = try explain(path(name, "crt")) { () throws(PKIError) in try Certificate(pem: certificate) }
            let fits = try explain(path(name, "key")) { () throws(PKIError) in try read.has(key: key) }
            if fits { return KeyPair(certificatePEM: certificate, privateKeyPEM: key) }
        }
        return try readPair(name)
    }

    /// Both files, checked; nil when there is no certificate.
    private func readPair(_ name: String) throws(PKIError) -> KeyPair? {
        try settle(name)
        guard let certificate = try read(path(name, "crt")) else { return nil }
        guard let key = try read(path(name, "key")) else {
            let remedy =
                Self.authorities[name] == nil
                ? "put the key back, or remove the certificate to have both made anew" : Self.sharedRemedy
            throw PKIError("\(path(name, "key")) is missing while its certificate is there: \(remedy)")
        }
        try checkPair(name, certificate: certificate, key: key)
        return KeyPair(certificatePEM: certificate, privateKeyPEM: key)
    }

    private func checkPair(_ name: String, certificate: [UInt8], key: [UInt8]) throws(PKIError) {
        let read = try explain(path(name, "crt")) { () throws(PKIError) in try Certificate(pem: certificate) }
        let fits = try explain(path(name, "key")) { () throws(PKIError) in try read.has(key: key) }
        guard fits else {
            let remedy =
                Self.authorities[name] == nil
                ? "put the right files back from a backup, or remove both to have them made anew" : Self.sharedRemedy
            throw PKIError("\(path(name, "key")) does not belong to \(name).crt: \(remedy)")
        }
    }

    func read(_ path: String) throws(PKIError) -> [UInt8]? {
        guard Files.exists(path) else { return nil }
        return try explain(path) { () throws(Errno) in try Files.read(path) }
    }

    func write(_ bytes: [UInt8], to path: String, mode: UInt32) throws(PKIError) {
        try explain(path) { () throws(Errno) in try Files.write(bytes, to: path, mode: mode) }
    }

    /// Says which file an error is about, and what to do when the file is broken: leaves are made anew, what the whole
    /// cluster shares is not.
    @discardableResult
    func explain<Value, Failure: Error>(
        _ path: String, _ work: () throws(Failure) -> Value
    ) throws(PKIError) -> Value {
        do {
            return try work()
        } catch {
            let name = path.dropFirst(directory.count + 1).prefix { $0 != "." }
            let isShared = Self.authorities[String(name)] != nil || name == "sa"
            let advice = isShared ? Self.sharedRemedy : "put it back from a backup, or remove it to have it made anew"
            let remedy = error is PKIError ? "; \(advice)" : ""
            throw PKIError("\(path): \(error)\(remedy)")
        }
    }
}
