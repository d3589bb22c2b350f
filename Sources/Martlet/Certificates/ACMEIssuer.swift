internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletNet
internal import MartletObject
internal import MartletPKI
internal import MartletRoutes

/// Gets certificates of hosts from a certificate authority, and renews them, where the leader is: of several masters
/// one asks at a time. What must outlive it is in the store.
actor ACMEIssuer {
    /// Between two looks when nothing changes: for renewals, and for what failed.
    static let pause: Duration = .seconds(10)
    /// How long the edges of all masters are given to learn of a token.
    static let settle: Duration = .seconds(1)
    /// How long one certificate may take.
    static let longest: Duration = .seconds(900)
    /// Who says so in Events.
    static let component = "martlet-acme"
    /// Marks Secrets that are ours to renew.
    static let mark = "martlet.io/acme"

    private static let kept = SealedSecret(
        name: "martlet-acme-account", description: "The account at the certificate authority; made by the leader")

    private let session: ACMESession
    private let directory: String
    private let client: Client
    private let pki: ClusterPKI
    private let world: any World
    private let logger: Logger
    private let following: Following
    private var patience = ACMEPatience()
    private var account: ACMESession.Account?
    /// Wishes whose fault has been told.
    private var told: Set<CertificateWish> = []
    /// What Secrets held at the last look, so that certificates are read once.
    private var read: [ObjectKey: (version: String, info: CertificateInfo?)] = [:]

    init(
        _ settings: ACMESettings, _ session: ACMESession, client: Client, pki: ClusterPKI, world: any World,
        logger: Logger
    ) {
        self.session = session
        directory = settings.directory
        self.client = client
        self.pki = pki
        self.world = world
        self.logger = logger
        following = Following(CertificateWishes.kinds + [.secret], client: client, world: world, logger: logger)
    }

    /// Works until the task is cancelled.
    func run() async {
        let (following, world) = (self.following, self.world)
        let ticker = world.spawn {
            while (try? await world.sleep(for: Self.pause)) != nil { await following.lookAgain() }
        }
        await withTaskCancellationHandler {
            await forgetTokens()
            while let snapshot = await following.next() {
                await look(snapshot)
                if Task.isCancelled { break }
                // Many changes cost one look.
                try? await world.sleep(for: .seconds(1))
            }
        } onCancel: {
            ticker.cancel()
            world.spawn { await following.stop() }
        }
        ticker.cancel()
        await following.stop()
    }

    // MARK: What is due

    private func look(_ snapshot: Snapshot) async {
        let wishes = CertificateWishes.read(snapshot)
        read = read.filter { entry in wishes.contains { $0.secret == entry.key } }
        if told.count > 1000 { told.formIntersection(wishes) }
        for wish in wishes {
            if Task.isCancelled { return }
            let what = "\(wish.secret.namespace)/\(wish.secret.name) \(wish.hosts.joined(separator: " "))"
            guard isDue(wish, snapshot.get(wish.secret)), patience.allows(what, now: world.wallTime()) else { continue }
            if let fault = wish.fault {
                if told.insert(wish).inserted {
                    await tell(
                        wish, "Warning", "ACMEFailed", "no certificate for secret \"\(wish.secret.name)\": \(fault)")
                }
                continue
            }
            do {
                let pair = try await world.limited(to: Self.longest, "the certificate authority") {
                    try await self.issue(wish.hosts)
                }
                try await store(pair, wish)
                patience.succeeded(what)
                await tell(
                    wish, "Normal", "CertificateIssued",
                    "secret \"\(wish.secret.name)\" has a certificate for \(wish.hosts.joined(separator: ", "))")
            } catch is CancellationError {
                return
            } catch {
                let problem = error as? ACMEProblem
                if problem?.isAccountUnknown == true { account = nil }
                let wait = patience.failed(what, problem, now: world.wallTime())
                await tell(
                    wish, "Warning", problem?.isRateLimit == true ? "ACMERateLimited" : "ACMEFailed",
                    "no certificate for secret \"\(wish.secret.name)\": \(error); it is tried again in "
                        + "\(wait.components.seconds) s")
            }
            await forgetTokens()
        }
    }

    /// Whether a Secret is missing, or is ours and names other hosts or is in the last third of its certificate's life.
    private func isDue(_ wish: CertificateWish, _ secret: JSON?) -> Bool {
        guard let secret else { return true }
        guard secret.annotations[Self.mark] == "true" else { return false }
        if read[wish.secret]?.version != secret.resourceVersion {
            let pem = secret["data", "tls.crt"]?.string.flatMap { Base64.decode($0) } ?? []
            read[wish.secret] = (secret.resourceVersion, try? CertificateInfo(pem: pem))
        }
        guard let info = read[wish.secret]?.info else { return true }
        if wish.fault != nil { return false }
        return info.isDueForRenewal(now: world.wallTime()) || !Set(info.dnsNames).isSuperset(of: wish.hosts)
    }

    // MARK: How it is got

    private func issue(_ hosts: [String]) async throws -> KeyPair {
        let account = try await self.knownAccount()
        let key = try PrivateKey.makeEC()
        var wanted = CertificateRequest(commonName: "")
        wanted.dnsNames = hosts
        let request = try SigningRequest(wanted, key: key)
        var issuance = ACMEIssuance(
            try await session.directory(), origin: session.origin, names: hosts, request: try request.der())
        while true {
            switch issuance.step {
            case .post(let url, let payload):
                issuance.took(try await session.post(url, payload, key: account.key, account: account.url))
            case .publish(let token):
                try await publish(token, try JWS.keyAuthorization(token, account.key))
                try await world.sleep(for: Self.settle)
                issuance.published()
            case .wait(let time):
                try await world.sleep(for: time)
                issuance.waited()
            case .done(let chain):
                let pair = KeyPair(certificatePEM: chain, privateKeyPEM: key)
                try pair.check(names: hosts, now: world.wallTime())
                return pair
            case .failed(let problem): throw problem
            }
        }
    }

    /// The account at this authority, made when there is none yet.
    private func knownAccount() async throws -> ACMESession.Account {
        let authorityKey = try pki.authority("ca").keyPair.privateKeyPEM
        let secret = try await Self.kept.read(client)
        let content = secret.flatMap { Self.kept.content(of: $0, sealedBy: authorityKey) }
        if let account, content != nil { return account }
        var keyPEM = account?.keyPEM
        if keyPEM == nil, content?["directory"]?.string == directory {
            keyPEM = content?["key"]?.string.map { Array($0.utf8) }
        }
        let pem = try keyPEM ?? PrivateKey.makeEC()
        let found = try await session.account(pem)
        let wanted: JSON = [
            "directory": .string(directory), "key": .string(String(decoding: pem, as: UTF8.self)),
        ]
        if wanted != content { try await Self.kept.write(wanted, sealedBy: authorityKey, over: secret, client) }
        account = found
        return found
    }

    private func store(_ pair: KeyPair, _ wish: CertificateWish) async throws {
        // Somebody may have made one meanwhile; that one is theirs.
        do {
            let there = try await client.get(.secret, namespace: wish.secret.namespace, name: wish.secret.name)
            if there.annotations[Self.mark] != "true" { return }
        } catch let error as APIError where error.isNotFound {
            // It is made.
        }
        _ = try await client.apply(
            .secret,
            [
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": [
                    "name": .string(wish.secret.name), "namespace": .string(wish.secret.namespace),
                    "annotations": JSON([Self.mark: "true"]),
                ],
                "data": [
                    "tls.crt": .string(Base64.encode(pair.certificatePEM)),
                    "tls.key": .string(Base64.encode(pair.privateKeyPEM)),
                ],
            ])
    }

    // MARK: What edges answer

    private func publish(_ token: String, _ authorization: String) async throws {
        _ = try await client.apply(
            .secret,
            [
                "apiVersion": "v1", "kind": "Secret", "type": "martlet.io/acme-challenges",
                "metadata": ["name": .string(ACMEAnswers.name), "namespace": .string(ACMEAnswers.namespace)],
                "data": JSON([token: Base64.encode(Array(authorization.utf8))]),
            ])
    }

    /// Whatever was answered for is over.
    private func forgetTokens() async {
        do {
            try await client.delete(.secret, namespace: ACMEAnswers.namespace, name: ACMEAnswers.name)
        } catch {
            // There is none, or the next time finds it.
        }
    }

    private func tell(_ wish: CertificateWish, _ type: String, _ reason: String, _ message: String) async {
        logger.log(level: type == "Normal" ? .notice : .warning, "\(wish.secret.namespace): \(message)")
        for (origin, uid) in wish.origins.sorted(by: { $0.key.name < $1.key.name }) {
            do {
                try await client.perform(
                    .event(about: origin, uid: uid, type: type, reason: reason, message: message), as: Self.component)
            } catch { logger.debug("an event was not written", metadata: ["error": "\(error)"]) }
        }
    }
}
