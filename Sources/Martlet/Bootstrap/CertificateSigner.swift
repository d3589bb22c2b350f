internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletPKI

/// Which requests for certificates are granted without anybody looking, and what may be signed at all.
enum SigningRules {
    /// A signer's name.
    static let nodeClient = "kubernetes.io/kube-apiserver-client-kubelet"
    static let nodeServer = "kubernetes.io/kubelet-serving"
    /// Certificates of people and programs: somebody has to approve each.
    static let client = "kubernetes.io/kube-apiserver-client"
    /// Those of the parts of a worker that look at more than its own pods: ingress, service proxy, DNS.
    static let worker = "martlet.io/worker"
    static let all = [nodeClient, nodeServer, client, worker]

    /// The name and group of a worker's parts.
    static func workerUser(_ node: String) -> String { "system:martlet-worker:\(node)" }
    static let workerGroup = "system:martlet:workers"
    static let nodePrefix = "system:node:"

    /// What becomes of a request.
    enum Verdict: Sendable, Hashable {
        case approve
        case deny(String)
        /// Somebody else decides, or has decided.
        case leave
    }

    /// Decides a request. `nodes` says whether a node of a name is there.
    static func judge(_ request: JSON, _ wanted: CertificateRequest, nodes: (String) -> Bool) -> Verdict {
        let requester = request["spec", "username"]?.string ?? ""
        let groups = (request["spec", "groups"]?.array ?? []).compactMap(\.string)
        let isNode = groups.contains("system:nodes")
        let hasNames = !wanted.dnsNames.isEmpty || !wanted.addresses.isEmpty
        switch request["spec", "signerName"]?.string {
        case nodeClient:
            guard wanted.commonName.hasPrefix(nodePrefix), wanted.organizations == ["system:nodes"], !hasNames else {
                return .deny("a node's client certificate is for system:node:NAME of system:nodes, and nothing else")
            }
            if isNode { return requester == wanted.commonName ? .approve : .leave }
            guard groups.contains(JoinToken.Role.worker.group) else { return .leave }
            let name = String(wanted.commonName.dropFirst(nodePrefix.count))
            if nodes(name) {
                return .deny(
                    "a node named \(name) is there already: choose another --node-name, or kubectl delete node \(name)")
            }
            return .approve
        case nodeServer:
            guard isNode, requester == wanted.commonName, wanted.organizations == ["system:nodes"], hasNames else {
                return .leave
            }
            return .approve
        case worker:
            guard isNode, requester.hasPrefix(nodePrefix) else { return .leave }
            let user = workerUser(String(requester.dropFirst(nodePrefix.count)))
            guard wanted.commonName == user, wanted.organizations == [workerGroup], !hasNames else {
                return .deny("the parts of this worker are \(user) of \(workerGroup)")
            }
            return .approve
        default: return .leave
        }
    }

    /// What a signed certificate says.
    static func certificate(for request: JSON, _ wanted: CertificateRequest) -> CertificateRequest {
        var certificate = wanted
        certificate.isServer = request["spec", "signerName"]?.string == nodeServer
        certificate.isClient = !certificate.isServer
        if let seconds = request["spec", "expirationSeconds"]?.int {
            certificate.lifetime = min(certificate.lifetime, .seconds(max(600, seconds)))
        }
        return certificate
    }

    static func has(_ condition: String, _ request: JSON) -> Bool {
        (request["status", "conditions"]?.array ?? []).contains { $0["type"]?.string == condition }
    }
}

/// Approves and signs requests for certificates, where the leader is.
struct CertificateSigner: Sendable {
    let pki: ClusterPKI
    /// The longest life of what is signed.
    let lifetime: Duration
    let client: Client
    let world: any World
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        for await change in client.follow(.certificateSigningRequest, logger: logger) {
            guard case .put(let request) = change,
                SigningRules.all.contains(request["spec", "signerName"]?.string ?? "")
            else { continue }
            do { try await work(request) } catch {
                logger.warning("a request for a certificate waits", metadata: ["request": "\(request.name): \(error)"])
            }
        }
    }

    private func work(_ request: JSON) async throws {
        if SigningRules.has("Denied", request) || SigningRules.has("Failed", request) { return }
        if request["status", "certificate"]?.string?.isEmpty == false { return }
        let pem = request["spec", "request"]?.string.flatMap { Base64.decode($0) } ?? []
        guard let wanted = try? SigningRequest(pem: pem).wanted else {
            return try await judge(request, "Denied", "MartletRefused", "spec.request is no request that can be read")
        }
        if !SigningRules.has("Approved", request) {
            let name = wanted.commonName.split(separator: ":").last.map(String.init) ?? ""
            let isThere = try await isNode(name)
            switch SigningRules.judge(request, wanted, nodes: { _ in isThere }) {
            case .leave: return
            case .deny(let why): return try await judge(request, "Denied", "MartletRefused", why)
            case .approve:
                return try await judge(request, "Approved", "AutoApproved", "The requester may have this certificate.")
            }
        }
        var granted = SigningRules.certificate(for: request, wanted)
        granted.lifetime = min(granted.lifetime, lifetime)
        // Read anew each time: authorities are rotated while this runs.
        let certificate = try pki.authority("ca").sign(granted, forKeyOf: pem, now: world.wallTime())
        var signed = request
        signed["status", "certificate"] = .string(Base64.encode(certificate))
        do { _ = try await client.updateStatus(.certificateSigningRequest, signed) } catch let error as APIError
            where error.isConflict || error.isNotFound
        {
            // The next change brings it here again.
        }
    }

    private func isNode(_ name: String) async throws -> Bool {
        guard !name.isEmpty else { return false }
        do { _ = try await client.get(.node, name: name) } catch let error as APIError where error.isNotFound {
            return false
        }
        return true
    }

    private func judge(_ request: JSON, _ type: String, _ reason: String, _ message: String) async throws {
        var judged = request
        let condition: JSON = [
            "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message),
            "lastUpdateTime": .string(world.wallTime().rfc3339),
        ]
        judged["status", "conditions"] = .array((request["status", "conditions"]?.array ?? []) + [condition])
        do {
            _ = try await client.updateSubresource(.certificateSigningRequest, judged, "approval")
        } catch let error as APIError where error.isConflict || error.isNotFound {
            // The next change brings it here again.
        }
    }
}
