internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
internal import MartletPKI

/// The certificates of a machine without a gateway, and how it gets them: each by a request that a master signs. Keys
/// never leave the machine. What is there already is kept, so that a half-finished enrollment goes on where it was.
struct Enrollment: Sendable {
    /// The node's own certificate towards the API.
    static let node = "kubelet-client"
    /// That of the kubelet's API.
    static let server = "kubelet"
    /// That of the worker's parts that look at more than its own pods.
    static let parts = "worker"
    /// How long a master may take to sign.
    static let patience: Duration = .seconds(30)

    let pki: ClusterPKI
    let nodeName: String
    let nodeAddress: String
    let world: any World

    /// The requests of a name.
    func wanted(_ name: String) -> (signer: String, request: CertificateRequest) {
        var request = CertificateRequest(commonName: SigningRules.nodePrefix + nodeName)
        request.organizations = ["system:nodes"]
        switch name {
        case Self.server:
            request.dnsNames = [nodeName]
            request.addresses = [nodeAddress]
            return (SigningRules.nodeServer, request)
        case Self.parts:
            request.commonName = SigningRules.workerUser(nodeName)
            request.organizations = [SigningRules.workerGroup]
            return (SigningRules.worker, request)
        default: return (SigningRules.nodeClient, request)
        }
    }

    /// Gets the certificates that are missing or near their end.
    /// - Parameters:
    ///   - newcomer: the API for one that has no certificate yet; nil when it must have one.
    ///   - member: the API with the node's own certificate.
    ///   - all: whether those that are good are renewed too.
    /// - Returns: whether anything has changed.
    /// - Throws: ``ClusterError`` or what the API says.
    @discardableResult
    func complete(
        newcomer: Client?, all: Bool = false, member: (TLSIdentity) throws -> Client
    ) async throws -> Bool {
        var hasChanged = false
        if all || !isGood(Self.node) {
            let own = try? member(TLSIdentity(pki.keyPair(Self.node)))
            guard let client = newcomer ?? own else {
                throw ClusterError.unusable("\(pki.directory) has no certificate of this node: martlet join it again")
            }
            try await fetch(Self.node, by: client)
            hasChanged = true
        }
        let client = try member(TLSIdentity(pki.keyPair(Self.node)))
        for name in [Self.server, Self.parts] where all || !isGood(name) {
            try await fetch(name, by: client)
            hasChanged = true
        }
        return hasChanged
    }

    private func isGood(_ name: String) -> Bool {
        guard let pair = try? pki.keyPair(name), let info = try? CertificateInfo(pem: pair.certificatePEM) else {
            return false
        }
        let trusted = PEM.blocks("CERTIFICATE", in: (try? pki.trusted("ca")) ?? [])
        // Made out for another address, as before the machine was given a new one, it does not do.
        return !info.isDueForRenewal(now: world.wallTime())
            && info.says(wanted(name).request)
            && trusted.contains { CertificateInfo.isSigned(pair.certificatePEM, by: $0) }
    }

    private func fetch(_ name: String, by client: Client) async throws {
        let (signer, request) = wanted(name)
        // The first key is kept at once: a machine that is cut short asks for the same name again with it.
        let key = try (try? pki.keyPair(name)) == nil ? pki.ensureKey(name) : PrivateKey.makeEC()
        let pem = try SigningRequest(request, key: key).pem
        let usage = signer == SigningRules.nodeServer ? "server auth" : "client auth"
        let made = try await client.create(
            .certificateSigningRequest,
            [
                "metadata": ["generateName": .string("\(nodeName)-")],
                "spec": [
                    "request": .string(Base64.encode(pem)), "signerName": .string(signer),
                    "usages": ["digital signature", .string(usage)],
                ],
            ])
        let deadline = world.now() + Self.patience
        while true {
            let now = try await client.get(.certificateSigningRequest, name: made.name)
            for condition in now["status", "conditions"]?.array ?? []
            where ["Denied", "Failed"].contains(condition["type"]?.string ?? "") {
                throw ClusterError.unusable(condition["message"]?.string ?? "the masters refuse a certificate")
            }
            if let text = now["status", "certificate"]?.string, let certificate = Base64.decode(text),
                !certificate.isEmpty
            {
                return try pki.install(KeyPair(certificatePEM: certificate, privateKeyPEM: key), as: name)
            }
            guard world.now() < deadline else {
                throw ClusterError.unusable(
                    "no master has signed the request \(made.name) within \(Self.patience): is one leading? "
                        + "See kubectl get csr, and try again")
            }
            try await world.sleep(for: .milliseconds(50))
        }
    }
}
