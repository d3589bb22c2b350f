internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletNet
internal import MartletObject
internal import MartletPKI
internal import Synchronization

/// The keys of TLS sessions as the masters share them.
enum SessionTickets {
    static let kept = SealedSecret(
        name: "martlet-session-tickets", description: "What edges keep TLS sessions under; made by the leader")

    /// Lets an edge keep sessions under the shared keys, as they change, until the task is cancelled.
    static func follow(
        for edge: Edge, _ credentials: Credentials, client: Client, in world: any World, logger: Logger
    ) -> Task<Void, Never> {
        let last = Mutex<JSON?>(nil)
        let show: @Sendable (ClusterPKI) -> Void = { [weak edge] pki in
            guard let secret = last.withLock({ $0 }), let authority = try? pki.authority("ca"),
                let ring = kept.content(of: secret, sealedBy: authority.keyPair.privateKeyPEM).flatMap(TicketRing.init)
            else { return }
            edge?.setTicketKeys(ring.inUseFirst)
        }
        // One that was sealed by the new authority's key is opened once this master has it.
        credentials.follow(show)
        return world.spawn {
            let changes = client.follow(
                .secret, namespace: SealedSecret.namespace, fieldSelector: "metadata.name=\(kept.name)", logger: logger)
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
        let secret = try await SessionTickets.kept.read(client)
        let held = secret.flatMap { SessionTickets.kept.content(of: $0, sealedBy: authorityKey) }
            .flatMap(TicketRing.init)
        var ring = held ?? known ?? TicketRing(now: now, draw)
        if !ring.turn(now: now, draw) && ring == held { return ring }
        try await SessionTickets.kept.write(ring.json, sealedBy: authorityKey, over: secret, client)
        return ring
    }
}
