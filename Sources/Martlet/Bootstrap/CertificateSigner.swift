internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletPKI
internal import MartletReplica

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

    /// What the cluster knows when it decides.
    struct Facts {
        /// Whether there is a node of the name that the certificate is for.
        var isNodeThere = false
        /// The names of masters.
        var masters: Set<String> = []
        /// Addresses of other nodes, of the API and of masters: whoever serves under one of them stands in for those.
        var foreignAddresses: Set<IPAddress> = []
    }

    /// The name of the node that a certificate is for; nil when it is for something else.
    static func nodeName(of wanted: CertificateRequest) -> String? {
        guard wanted.commonName.hasPrefix(nodePrefix) else { return nil }
        let name = String(wanted.commonName.dropFirst(nodePrefix.count))
        return name.isEmpty ? nil : name
    }

    /// What the signer signs for nobody, whoever approves it; nil when it may be signed.
    static func refusal(_ request: JSON, _ wanted: CertificateRequest) -> String? {
        let hasNames = !wanted.dnsNames.isEmpty || !wanted.addresses.isEmpty
        switch request["spec", "signerName"]?.string {
        case nodeClient:
            if nodeName(of: wanted) != nil, wanted.organizations == ["system:nodes"], !hasNames { return nil }
            return "a node's client certificate is for system:node:NAME of system:nodes, and nothing else"
        case nodeServer:
            if nodeName(of: wanted) != nil, wanted.organizations == ["system:nodes"], hasNames { return nil }
            return "a node's serving certificate is for system:node:NAME of system:nodes, with names or addresses"
        case worker:
            if wanted.commonName.hasPrefix(workerUser("")), wanted.organizations == [workerGroup], !hasNames {
                return nil
            }
            return "a worker's parts are \(workerUser("NAME")) of \(workerGroup)"
        default:
            return wanted.organizations.contains("system:masters")
                ? "this signer signs for nobody of system:masters" : nil
        }
    }

    /// Decides a request that nobody has approved.
    static func judge(_ request: JSON, _ wanted: CertificateRequest, _ facts: Facts) -> Verdict {
        let requester = request["spec", "username"]?.string ?? ""
        let groups = (request["spec", "groups"]?.array ?? []).compactMap(\.string)
        let isNode = groups.contains("system:nodes")
        let signer = request["spec", "signerName"]?.string
        if signer != client, signer != nodeServer, let refusal = refusal(request, wanted) { return .deny(refusal) }
        switch signer {
        case nodeClient:
            if isNode { return requester == wanted.commonName ? .approve : .leave }
            guard groups.contains(JoinToken.Role.worker.group) else { return .leave }
            let name = nodeName(of: wanted) ?? ""
            if let why = MasterDoor.refusal(of: name, as: .worker, masters: facts.masters, node: nil) {
                return .deny(why)
            }
            if facts.isNodeThere {
                return .deny(
                    "a node named \(name) is there already: choose another --node-name, or kubectl delete node \(name)")
            }
            return .approve
        case nodeServer:
            guard isNode, requester == wanted.commonName, refusal(request, wanted) == nil else { return .leave }
            let name = nodeName(of: wanted) ?? ""
            if let other = wanted.dnsNames.first(where: { $0 != name }) {
                return .deny("\(other) is not the name of node \(name)")
            }
            let isForeign = { (text: String) in IPAddress(text).map(facts.foreignAddresses.contains) ?? false }
            if let other = wanted.addresses.first(where: isForeign) {
                return .deny("\(other) is an address of another node or of the API: give the machine one of its own")
            }
            return .approve
        case worker:
            guard isNode, requester.hasPrefix(nodePrefix) else { return .leave }
            let user = workerUser(String(requester.dropFirst(nodePrefix.count)))
            return wanted.commonName == user
                ? .approve : .deny("the parts of this worker are \(user) of \(workerGroup)")
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
    /// A request that fails, as while the leader changes, is tried so often within some seconds.
    static let attempts = 6

    let pki: ClusterPKI
    /// The longest life of what is signed.
    let lifetime: Duration
    let client: Client
    /// Who the masters are.
    let replica: Replica
    let nodeName: String
    let world: any World
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await change in client.follow(.certificateSigningRequest, logger: logger) {
                guard case .put(let request) = change,
                    SigningRules.all.contains(request["spec", "signerName"]?.string ?? "")
                else { continue }
                if await isDone(request) { continue }
                // Nobody waits for one that fails.
                group.addTask { await tryAgain(request) }
            }
            group.cancelAll()
        }
    }

    private func tryAgain(_ request: JSON) async {
        var pause: Duration = .milliseconds(100)
        for _ in 2...Self.attempts {
            guard (try? await world.sleep(for: pause)) != nil else { return }
            if await isDone(request) { return }
            pause *= 2
        }
    }

    private func isDone(_ request: JSON) async -> Bool {
        do {
            try await work(request)
            return true
        } catch {
            logger.warning("a request for a certificate waits", metadata: ["request": "\(request.name): \(error)"])
            return false
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
            let facts = try await facts(about: wanted)
            switch SigningRules.judge(request, wanted, facts) {
            case .leave: return
            case .deny(let why): return try await judge(request, "Denied", "MartletRefused", why)
            case .approve:
                return try await judge(request, "Approved", "AutoApproved", "The requester may have this certificate.")
            }
        }
        if let refusal = SigningRules.refusal(request, wanted) {
            var failed = request
            failed.addCondition(condition("Failed", "SignerValidationFailure", refusal))
            return try await settle { _ = try await client.updateStatus(.certificateSigningRequest, failed) }
        }
        var granted = SigningRules.certificate(for: request, wanted)
        granted.lifetime = min(granted.lifetime, lifetime)
        // Read anew each time: authorities are rotated while this runs.
        let certificate = try pki.authority("ca").sign(granted, forKeyOf: pem, now: world.wallTime())
        var signed = request
        signed["status", "certificate"] = .string(Base64.encode(certificate))
        try await settle { _ = try await client.updateStatus(.certificateSigningRequest, signed) }
    }

    private func facts(about wanted: CertificateRequest) async throws -> SigningRules.Facts {
        guard let name = SigningRules.nodeName(of: wanted) else { return SigningRules.Facts() }
        var facts = SigningRules.Facts(masters: await MasterDoor.masterNames(replica, nodeName))
        func add(_ addresses: [JSON]?) {
            facts.foreignAddresses.formUnion((addresses ?? []).compactMap { $0.string.flatMap { IPAddress($0) } })
        }
        for node in try await client.list(.node).items {
            if node.name == name {
                facts.isNodeThere = true
            } else {
                add(node["status", "addresses"]?.array?.compactMap { $0["address"] })
            }
        }
        for slice in try await client.list(
            .endpointSlice, namespace: "default", labelSelector: "kubernetes.io/service-name=kubernetes"
        ).items {
            for endpoint in slice["endpoints"]?.array ?? [] {
                add(endpoint["addresses"]?.array)
            }
        }
        let api = try await client.get(.service, namespace: "default", name: "kubernetes")
        add(api["spec", "clusterIPs"]?.array)
        return facts
    }

    private func condition(_ type: String, _ reason: String, _ message: String) -> JSON {
        [
            "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message),
            "lastUpdateTime": .string(world.wallTime().rfc3339),
        ]
    }

    private func judge(_ request: JSON, _ type: String, _ reason: String, _ message: String) async throws {
        var judged = request
        judged.addCondition(condition(type, reason, message))
        try await settle { _ = try await client.updateSubresource(.certificateSigningRequest, judged, "approval") }
    }

    /// Writes, unless another was first: then that change brings the request here again.
    private func settle(_ write: () async throws -> Void) async throws {
        do { try await write() } catch let error as APIError where error.isConflict || error.isNotFound {}
    }
}

extension JSON {
    fileprivate mutating func addCondition(_ condition: JSON) {
        self["status", "conditions"] = .array((self["status", "conditions"]?.array ?? []) + [condition])
    }
}
