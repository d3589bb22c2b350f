internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletNet
internal import MartletObject
internal import MartletPKI
internal import Synchronization

/// The keys of TLS sessions as the masters share them: a Secret, sealed (AES-256-GCM) under a key that is drawn from
/// the authority's private key, which only masters have. Neither a snapshot of the store nor leave to read Secrets
/// gives them away.
enum SessionTickets {
    static let namespace = "kube-system"
    static let name = "martlet-session-tickets"

    private static func sealingKey(_ authorityKey: [UInt8]) -> [UInt8] {
        Secrets.sign(Array("martlet session tickets".utf8), key: authorityKey)
    }

    /// The Secret of a ring.
    static func secret(_ ring: TicketRing, sealedBy authorityKey: [UInt8]) -> JSON {
        let sealed = Secrets.seal(ring.json.encoded(), key: sealingKey(authorityKey))
        return [
            "apiVersion": "v1", "kind": "Secret", "type": "martlet.io/sealed-keys",
            "metadata": [
                "name": .string(name), "namespace": .string(namespace),
                "annotations": ["kubernetes.io/description": "What edges keep TLS sessions under; made by the leader"],
            ],
            "data": ["ring": .string(Base64.encode(sealed))],
        ]
    }

    /// The ring of a Secret; nil when it is another master's authority that has sealed it, or somebody has changed it.
    static func ring(in secret: JSON, sealedBy authorityKey: [UInt8]) -> TicketRing? {
        guard let sealed = secret["data", "ring"]?.string.flatMap({ Base64.decode($0) }),
            let bytes = Secrets.open(sealed, key: sealingKey(authorityKey)), let json = try? JSON(parsing: bytes)
        else { return nil }
        return TicketRing(json)
    }

    /// Lets an edge keep sessions under the shared keys, as they change, until the task is cancelled.
    static func follow(
        for edge: Edge, _ credentials: Credentials, client: Client, in world: any World, logger: Logger
    ) -> Task<Void, Never> {
        let last = Mutex<JSON?>(nil)
        let show: @Sendable (ClusterPKI) -> Void = { [weak edge] pki in
            guard let secret = last.withLock({ $0 }), let authority = try? pki.authority("ca"),
                let ring = ring(in: secret, sealedBy: authority.keyPair.privateKeyPEM)
            else { return }
            edge?.setTicketKeys(ring.inUseFirst)
        }
        // One that was sealed by the new authority's key is opened once this master has it.
        credentials.follow(show)
        return world.spawn {
            let changes = client.follow(
                .secret, namespace: namespace, fieldSelector: "metadata.name=\(name)", logger: logger)
            for await change in changes {
                guard case .put(let secret) = change else { continue }
                last.withLock { $0 = secret }
                show(credentials.pki)
            }
        }
    }
}

/// Makes the keys of TLS sessions and lets them take turns, where the leader is.
struct TicketKeeper: Sendable {
    /// Between two looks.
    static let pause: Duration = .seconds(10)

    let client: Client
    let pki: ClusterPKI
    let world: any World
    let logger: Logger

    /// Works until the task is cancelled.
    func run() async {
        var known: TicketRing?
        repeat {
            do { known = try await look(known) } catch {
                logger.debug("the keys of TLS sessions wait", metadata: ["error": "\(error)"])
            }
        } while (try? await world.sleep(for: Self.pause)) != nil
    }

    /// Sees to it that the Secret is there, can be opened, and is not too old.
    /// - Parameter known: what it held at the last look: sealed anew when the authority has been exchanged.
    /// - Returns: what it holds now.
    private func look(_ known: TicketRing?) async throws -> TicketRing {
        let authorityKey = try pki.authority("ca").keyPair.privateKeyPEM
        let draw = {
            let words = (0..<TicketRing.keySize / 8).map { _ in world.random() }
            return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
        }
        let now = world.wallTime()
        var secret: JSON?
        do {
            secret = try await client.get(.secret, namespace: SessionTickets.namespace, name: SessionTickets.name)
        } catch let error as APIError where error.isNotFound {
            // The first master makes it, or somebody has deleted it.
        }
        let held = secret.flatMap { SessionTickets.ring(in: $0, sealedBy: authorityKey) }
        var ring = held ?? known ?? TicketRing(now: now, draw)
        if !ring.turn(now: now, draw) && ring == held { return ring }
        var wanted = SessionTickets.secret(ring, sealedBy: authorityKey)
        if let secret {
            wanted["metadata", "resourceVersion"] = .string(secret.resourceVersion)
            _ = try await client.update(.secret, wanted)
        } else {
            _ = try await client.create(.secret, wanted)
        }
        return ring
    }
}
