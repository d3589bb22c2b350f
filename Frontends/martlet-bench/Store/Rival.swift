import MartletBase
import MartletIO
import MartletPKI

/// A store that is measured: how its members are started.
struct Rival: Sendable {
    enum Kind: String, Sendable {
        case etcd, martlet
        /// With an etcd of its own.
        case apiserver = "kube-apiserver"
    }

    var kind: Kind
    var program: String

    /// Where a member listens.
    struct Place: Sendable {
        var name: String
        var client: UInt16
        var peer: UInt16
        var folder: String
    }

    /// The flags of a member of a new cluster.
    func arguments(_ place: Place, of all: [Place], tls: Certificates?) -> [String] {
        let scheme = tls == nil ? "http" : "https"
        let client = "\(scheme)://127.0.0.1:\(place.client)"
        let peer = "\(scheme)://127.0.0.1:\(place.peer)"
        let cluster = all.map { "\($0.name)=\(scheme)://127.0.0.1:\($0.peer)" }.joined(separator: ",")
        var arguments: [String]
        switch kind {
        case .etcd:
            arguments = [
                "--name", place.name, "--data-dir", "\(place.folder)/data", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", cluster, "--initial-cluster-token", "bench", "--initial-cluster-state", "new",
                // The default of 2 GiB is too little for a million keys of 1 KB with their log.
                "--quota-backend-bytes", "8589934592", "--logger", "zap",
            ]
        case .martlet, .apiserver:
            arguments = [
                "--name", place.name, "--data-dir", "\(place.folder)/data", "--listen-client", client,
                "--listen-peer", peer, "--initial-cluster", cluster, "--initial-cluster-token", "bench",
            ]
        }
        if let tls {
            for side in ["", "peer-"] {
                arguments += ["--\(side)cert-file", tls.certificate, "--\(side)key-file", tls.key]
                arguments += ["--\(side)trusted-ca-file", tls.authority]
            }
            arguments.append("--client-cert-auth")
            if kind == .etcd { arguments.append("--peer-client-cert-auth") }
        }
        return arguments
    }

    /// What it says of its version.
    func version(in world: any World) async -> String {
        guard kind == .etcd else { return "martlet-store of this build" }
        let result = try? await ChildProcess.run(program, ["--version"], in: world)
        let line = result.map { String(decoding: $0.output.prefix { $0 != 10 }, as: UTF8.self) } ?? "?"
        return line.replacing("etcd Version: ", with: "etcd ")
    }
}

/// One authority and one certificate, which all members and the client show.
struct Certificates: Sendable {
    var authority: String
    var certificate: String
    var key: String

    init(in folder: String, now: WallTime) throws {
        let maker = try Authority.make(commonName: "martlet-bench", lifetime: .seconds(86400), now: now)
        var request = CertificateRequest(commonName: "root")
        request.dnsNames = ["localhost"]
        request.addresses = ["127.0.0.1"]
        request.isServer = true
        request.isClient = true
        let pair = try maker.issue(request, now: now)
        authority = "\(folder)/ca.crt"
        certificate = "\(folder)/member.crt"
        key = "\(folder)/member.key"
        try Files.write(maker.keyPair.certificatePEM, to: authority)
        try Files.write(pair.certificatePEM, to: certificate)
        try Files.write(pair.privateKeyPEM, to: key, mode: 0o600)
    }
}

/// Why the bench ends; one line for people.
struct BenchFailure: Error, CustomStringConvertible { var description: String }
