public import MartletBase
internal import MartletIO
internal import MartletObject

/// The authorities of a cluster that another tool has begun, read and checked.
///
/// Understood are a kubeadm tree (`/etc/kubernetes/pki`: `ca.{crt,key}`, `etcd/ca.{crt,key}`,
/// `front-proxy-ca.{crt,key}`, `sa.{key,pub}`), and the Hiera data that kubetool writes for puppetlabs-kubernetes (a
/// YAML file with `kubernetes::kubernetes_ca_crt` and its kin, or a folder with one).
public struct ForeignPKI: Sendable {
    /// What masters share, by file name, as ``ClusterPKI/sharedFiles()`` gives it.
    public let files: [(name: String, bytes: [UInt8])]
    /// What was not there, and is made anew.
    public let missing: [String]

    /// Expected at least: that of RSA-2048.
    static let leastStrength = 112
    /// Authorities that nobody outside of the masters knows: new ones do as well.
    private static let optional = ["etcd/ca", "front-proxy-ca"]

    /// Reads and checks what is at a path.
    /// - Throws: ``PKIError`` with every fault, one a line, each naming the file and what to do.
    public init(readingFrom path: String, now: WallTime) throws(PKIError) {
        let source = try Source(path)
        var files: [(name: String, bytes: [UInt8])] = []
        var missing: [String] = []
        var faults: [String] = []
        for name in ["ca"] + Self.optional {
            do throws(PKIError) {
                if let pair = try source.authority(name, mayBeMissing: Self.optional.contains(name)) {
                    try Self.check(pair, source, name, now: now)
                    files.append(("\(name).crt", pair.certificatePEM))
                    files.append(("\(name).key", pair.privateKeyPEM))
                } else {
                    missing.append(name)
                }
            } catch { faults.append(error.description) }
        }
        do throws(PKIError) {
            let pair = try source.serviceAccountKeys()
            files.append(("sa.key", pair.key))
            files.append(("sa.pub", pair.publicKey))
        } catch { faults.append(error.description) }
        guard faults.isEmpty else { throw PKIError(faults.joined(separator: "\n")) }
        self.files = files
        self.missing = missing
    }

    private static func check(
        _ pair: KeyPair, _ source: Source, _ name: String, now: WallTime
    ) throws(PKIError) {
        let (file, keyFile) = (source.place(name, "crt"), source.place(name, "key"))
        let certificate = try at(file) { () throws(PKIError) in try Certificate(pem: pair.certificatePEM) }
        let info = CertificateInfo(certificate)
        guard info.isCA else {
            throw PKIError("\(file) is the certificate of \(info.commonName), no authority: give the CA's own")
        }
        guard try at(keyFile, { () throws(PKIError) in try certificate.has(key: pair.privateKeyPEM) }) else {
            throw PKIError("\(keyFile) is not the key of \(file): give the two that belong together")
        }
        guard now < info.notAfter else {
            throw PKIError(
                "\(file) expired at \(info.notAfter.rfc3339): nothing would be trusted; begin with new authorities "
                    + "(martlet init without --pki)")
        }
        guard now >= info.notBefore else {
            throw PKIError(
                "\(file) is valid from \(info.notBefore.rfc3339) on, and this machine's clock says \(now.rfc3339): set "
                    + "the clock")
        }
        guard certificate.strength >= leastStrength else {
            throw PKIError(
                "\(file) has a weak key (\(certificate.strength) bits of strength, \(leastStrength) are needed: RSA of "
                    + "2048 bits, or P-256): begin with new authorities (martlet init without --pki)")
        }
        var trial = CertificateRequest(commonName: "trial")
        trial.isClient = true
        let signed: Bool
        do {
            let leaf = try Authority(keyPair: pair).issue(trial, now: now)
            signed = CertificateInfo.isSigned(leaf.certificatePEM, by: pair.certificatePEM)
        } catch { signed = false }
        guard signed else {
            throw PKIError(
                "\(keyFile) cannot sign certificates (its kind of key, or \(file)'s key usage): use RSA or ECDSA")
        }
    }

    /// Names the place in an error.
    private static func at<Value>(_ place: String, _ work: () throws(PKIError) -> Value) throws(PKIError) -> Value {
        do { return try work() } catch { throw PKIError("\(place): \(error)") }
    }
}

/// Where files of a foreign PKI come from.
private enum Source {
    /// A folder as kubeadm lays it out.
    case tree(String)
    /// A YAML file, and its values.
    case hiera(String, JSON)

    /// The values' names without their prefix.
    private static let prefix = "kubernetes::"
    private static let keys = [
        "ca.crt": "kubernetes_ca_crt", "ca.key": "kubernetes_ca_key", "etcd/ca.crt": "etcd_ca_crt",
        "etcd/ca.key": "etcd_ca_key", "front-proxy-ca.crt": "kubernetes_front_proxy_ca_crt",
        "front-proxy-ca.key": "kubernetes_front_proxy_ca_key", "sa.key": "sa_key", "sa.pub": "sa_pub",
    ]

    init(_ path: String) throws(PKIError) {
        guard Files.exists(path) else { throw PKIError("\(path) is not there: give the folder with ca.crt and ca.key") }
        guard Files.isDirectory(path) else {
            self = try Self.hiera(at: path)
            return
        }
        for folder in [path, path + "/pki"] where Files.exists(folder + "/ca.crt") {
            self = .tree(folder)
            return
        }
        let names = ((try? Files.list(path)) ?? []).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted()
        for name in names {
            let file = "\(path)/\(name)"
            if let source = try? Self.hiera(at: file) {
                self = source
                return
            }
        }
        throw PKIError(
            "\(path) is no PKI that is known: give kubeadm's folder (/etc/kubernetes/pki, with ca.crt and ca.key), or "
                + "the YAML file of kubetool (with kubernetes::kubernetes_ca_crt)")
    }

    private static func hiera(at file: String) throws(PKIError) -> Source {
        let values: JSON
        do { values = try JSON.documents(yaml: try Files.read(file)).first ?? .null } catch {
            throw PKIError("\(file) cannot be read as YAML: \(error)")
        }
        guard values[prefix + "kubernetes_ca_crt"] != nil else {
            throw PKIError("\(file) has no \(prefix)kubernetes_ca_crt: give the file that kubetool wrote")
        }
        return .hiera(file, values)
    }

    /// How a file is called in errors.
    func place(_ name: String, _ suffix: String) -> String {
        switch self {
        case .tree(let folder): "\(folder)/\(name).\(suffix)"
        case .hiera(let file, _): "\(file): \(Self.prefix)\(Self.keys["\(name).\(suffix)"] ?? name)"
        }
    }

    private func read(_ name: String, _ suffix: String) throws(PKIError) -> [UInt8]? {
        switch self {
        case .tree(let folder):
            let file = "\(folder)/\(name).\(suffix)"
            guard Files.exists(file) else { return nil }
            do { return try Files.read(file) } catch { throw PKIError("\(file): \(error)") }
        case .hiera(_, let values):
            guard let text = values[Self.prefix + (Self.keys["\(name).\(suffix)"] ?? "")]?.string else { return nil }
            guard !text.hasPrefix("ENC[") else {
                throw PKIError("\(place(name, suffix)) is encrypted: decrypt the file first (eyaml decrypt)")
            }
            return Array(text.utf8)
        }
    }

    func authority(_ name: String, mayBeMissing: Bool) throws(PKIError) -> KeyPair? {
        let (certificate, key) = (try read(name, "crt"), try read(name, "key"))
        if certificate == nil, key == nil, mayBeMissing { return nil }
        guard let certificate else { throw PKIError("\(place(name, "crt")) is missing") }
        guard let key else {
            throw PKIError(
                "\(place(name, "key")) is missing: without it nothing can be signed (an external CA is not supported); "
                    + "copy it from where the authority was made")
        }
        return KeyPair(certificatePEM: certificate, privateKeyPEM: key)
    }

    func serviceAccountKeys() throws(PKIError) -> (key: [UInt8], publicKey: [UInt8]) {
        guard let key = try read("sa", "key") else {
            throw PKIError("\(place("sa", "key")) is missing: it signs the tokens of service accounts; copy it too")
        }
        let own: [UInt8]
        do throws(PKIError) {
            _ = try SigningKey(pem: key)
            own = try PrivateKey.publicKey(of: key)
        } catch { throw PKIError("\(place("sa", "key")): \(error)") }
        guard let publicKey = try read("sa", "pub") else { return (key, own) }
        let fits: Bool
        do throws(PKIError) { fits = try PrivateKey.matches(key, publicKey: publicKey) } catch {
            throw PKIError("\(place("sa", "pub")): \(error)")
        }
        guard fits else {
            throw PKIError("\(place("sa", "pub")) is not the public half of \(place("sa", "key")): give the right two")
        }
        return (key, publicKey)
    }
}
