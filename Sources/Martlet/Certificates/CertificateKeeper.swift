internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletPKI
internal import Synchronization

/// What differs between machines in keeping certificates.
struct CertificateDuties: Sendable {
    /// Renews the leaves that are due, or all; returns whether any was.
    var renewLeaves: @Sendable (_ all: Bool) async throws -> Bool
    /// The new private keys of a rotation; only masters are ever asked.
    var newKeys: @Sendable (_ rotation: String) async throws -> [String: [UInt8]]
    /// Writes what is derived from leaves and authorities: kubeconfigs.
    var rewrite: @Sendable () throws -> Void
    /// Gets new tokens and the published authorities for pods of this machine.
    var refreshPods: @Sendable () async -> Void
    /// Tells the cluster what this machine has.
    var report: @Sendable (MachineReport) async throws -> Void
}

/// Keeps the certificates of a machine while it runs: renews them, takes the phases of rotations, and tells what it
/// has.
struct CertificateKeeper: Sendable {
    /// Between two looks at a rotation that could not be taken.
    static let pause: Duration = .seconds(1)
    /// At most so long between two looks whether a leaf is due.
    static let longestPause: Duration = .seconds(60)
    /// What was told is told again after so long, in case it was lost.
    static let retelling: Duration = .seconds(3600)

    let machine: String
    let credentials: Credentials
    let client: Client
    let duties: CertificateDuties
    /// That of the leaves.
    let lifetime: Duration
    let world: any World
    let logger: Logger

    /// What is done after each other, and what is known meanwhile.
    private struct Memory {
        var mark: Rotation.Mark?
        /// When it is looked whether leaves are due.
        var dueAt: MonotonicTime
        /// When the cluster is told what there is; at once when something has changed.
        var tellAt: MonotonicTime
        var lastFault = ""
    }

    /// Works until the task is cancelled.
    func run() async {
        let latest = Mutex<RotationRecord?>(nil)
        let (signals, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let follower = world.spawn {
            let selector = "metadata.name=\(RotationStore.name)"
            let changes = client.follow(
                .configMap, namespace: RotationStore.namespace, fieldSelector: selector, logger: logger)
            for await case .put(let map) in changes {
                latest.withLock { $0 = RotationRecord(map) }
                continuation.yield()
            }
        }
        let ticker = world.spawn {
            repeat { continuation.yield() } while (try? await world.sleep(for: Self.pause)) != nil
        }
        await withTaskCancellationHandler {
            var memory = Memory(mark: credentials.pki.mark, dueAt: world.now(), tellAt: world.now())
            for await _ in signals { await look(latest.withLock { $0 }, &memory) }
        } onCancel: {
            continuation.finish()
        }
        follower.cancel()
        ticker.cancel()
        await follower.value
        await ticker.value
    }

    private func look(_ record: RotationRecord?, _ memory: inout Memory) async {
        do {
            if world.now() >= memory.dueAt {
                if try await duties.renewLeaves(false) {
                    try duties.rewrite()
                    try credentials.reload()
                    logger.notice("certificates of this machine were renewed")
                    memory.tellAt = world.now()
                }
                memory.dueAt = world.now() + min(Self.longestPause, max(lifetime / 20, Self.pause))
            }
            if let record, memory.mark?.covers(record.rotation) != true {
                try await take(record.rotation, record.exchange, after: memory.mark)
                memory.mark = credentials.pki.mark
                memory.tellAt = world.now()
            }
            if world.now() >= memory.tellAt {
                try await duties.report(MachineReport(machine: machine, credentials.pki))
                memory.tellAt = world.now() + Self.retelling
            }
            memory.lastFault = ""
        } catch is CancellationError {
            return
        } catch {
            let fault = "\(error)"
            if fault != memory.lastFault { logger.warning("certificates of this machine wait: \(fault)") }
            memory.lastFault = fault
        }
    }

    /// Does what the phase that stands asks for.
    private func take(_ rotation: Rotation, _ exchange: AuthorityExchange?, after before: Rotation.Mark?) async throws {
        let pki = credentials.pki
        if let exchange {
            guard try pki.descends(from: exchange) else {
                logger.notice("rotation \(rotation.id) is none of this machine: it has authorities of its own")
                return try pki.note(rotation.mark)
            }
            // Read ahead: the files are changed without waiting for anybody in between.
            let signs = pki.isSigner && rotation.phase != .trust
            let keys = signs ? await keysIfNeeded(rotation.id, exchange) : .success([:])
            try pki.take(rotation.phase, of: exchange) { try keys.get() }
            try credentials.reload()
        }
        let hasIssued = before?.rotation == rotation.id && before?.phase.reaches(.issue) == true
        if rotation.phase.reaches(.issue), rotation.concerns(machine), !hasIssued {
            _ = try await duties.renewLeaves(true)
            try credentials.reload()
            if exchange != nil { await duties.refreshPods() }
        }
        try duties.rewrite()
        try pki.note(rotation.mark)
        logger.notice("rotation \(rotation.id): phase \(rotation.phase.rawValue) is taken")
    }

    private func keysIfNeeded(
        _ rotation: String, _ exchange: AuthorityExchange
    ) async -> Result<[String: [UInt8]], any Error> {
        if (try? credentials.pki.signsBy(exchange)) == true { return .success([:]) }
        do { return .success(try await duties.newKeys(rotation)) } catch { return .failure(error) }
    }
}
