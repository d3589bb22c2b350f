internal import MartletBase
internal import MartletIO
public import MartletRoutes
internal import Synchronization

/// The kernel's tables of one network namespace: devices, addresses, routes, neighbours, nftables, tracked connections.
///
/// A thread of its own asks the kernel, one question after the other; no program is run.
public final class KernelNetwork: Sendable {
    /// How often a list is read anew that changed while it was read.
    private static let attempts = 5

    private struct Sockets: Sendable {
        var route: NetlinkSocket
        var netfilter: NetlinkSocket
    }
    private let worker: BlockingWorker
    private let sockets: Sockets
    private let sequence = Atomic<UInt32>(1)
    /// Transactions that we have made.
    private let commits = Atomic<UInt32>(0)

    /// Opens the tables of a namespace.
    /// - Parameter namespace: a path as `/run/netns/NAME`; nil for our own.
    /// - Throws: ``NetlinkError/broken(what:_:)``.
    public init(namespace: String? = nil) async throws {
        do {
            let worker = try BlockingWorker(name: "netlink")
            self.worker = worker
            sockets = try await worker.run {
                if let namespace { try NetworkNamespace.enter(namespace) }
                return Sockets(route: try NetlinkSocket(.route), netfilter: try NetlinkSocket(.netfilter))
            }
        } catch let error as Errno {
            throw NetlinkError.broken(what: "open the network's tables \(namespace ?? "")", error)
        }
    }

    /// Ends the thread when what was asked is done.
    public func stop() { worker.stop() }

    /// The kernel's answer to a question.
    /// - Throws: ``NetlinkError``.
    public func ask(_ request: NetlinkRequest) async throws -> [NetlinkMessage] {
        for attempt in 1... {
            do { return try await run { try $0.ask(request, self.take(1)) } } catch NetlinkError.interrupted(let what) {
                if attempt == Self.attempts { throw NetlinkError.interrupted(what) }
            }
        }
        return []
    }

    /// Carries out requests one after the other.
    /// - Throws: ``NetlinkError`` of the first that is refused; those before it are done.
    public func perform(_ requests: [NetlinkRequest]) async throws {
        try await run { tables in
            for request in requests { _ = try tables.ask(request, self.take(1)) }
        }
    }

    /// Carries out requests one after the other, all of them.
    /// - Returns: what was refused.
    /// - Throws: ``NetlinkError/broken(what:_:)`` and what else ends the talk.
    public func attempt(_ requests: [NetlinkRequest]) async throws -> [NetlinkError] {
        try await run { tables in
            var refusals: [NetlinkError] = []
            for request in requests {
                do { _ = try tables.ask(request, self.take(1)) } catch let error as NetlinkError {
                    guard case .refused = error else { throw error }
                    refusals.append(error)
                }
            }
            return refusals
        }
    }

    /// Makes a transaction's changes, all at once or none.
    /// - Throws: ``NetlinkError``.
    public func commit(_ transaction: NftTransaction) async throws {
        if transaction.changes.isEmpty { return }
        try await run { tables in
            // More than there can be messages: a number is not used twice.
            let batch = NftBatch(transaction, sequence: self.take(1))
            self.skip(to: batch.endSequence)
            guard batch.bytes.count <= NetlinkLimits.transactionBytes else {
                throw NetlinkError.tooLarge(what: "a transaction of \(transaction.table)", count: batch.bytes.count)
            }
            try tables.commit(batch)
            self.commits.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// How many transactions of nftables others have made, from some beginning: another number means that somebody
    /// else has changed something.
    /// - Throws: ``NetlinkError``.
    public func foreignTransactions() async throws -> UInt32 {
        try await run { tables in
            let answer = try tables.ask(.getGeneration, self.take(1))
            let all = try answer.compactMap { try NftListing.generation($0) }.first ?? 0
            return all &- self.commits.load(ordering: .relaxed)
        }
    }

    /// Runs something that opens sockets on the thread that is in the namespace. It should be short.
    func inNamespace<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await worker.run(body)
    }

    /// Reads a setting below `/proc/sys/net`; nil when there is no such.
    public func setting(_ name: String) async -> String? {
        try? await worker.run {
            let bytes = try Files.read("/proc/sys/net/\(name)")
            return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
    }

    /// Writes a setting below `/proc/sys/net`, when it is another.
    /// - Throws: `Errno`.
    public func set(_ name: String, to value: String) async throws {
        if await setting(name) == value { return }
        try await worker.run { try Files.overwrite("/proc/sys/net/\(name)", with: Array(value.utf8)) }
    }

    private func take(_ count: UInt32) -> UInt32 {
        sequence.wrappingAdd(count, ordering: .relaxed).oldValue
    }

    private func skip(to number: UInt32) { sequence.store(number, ordering: .relaxed) }

    /// Runs a talk on the thread. Only there are the sockets used.
    private func run<Value: Sendable>(_ talk: @escaping @Sendable (Talk) throws -> Value) async throws -> Value {
        let sockets = self.sockets
        do {
            return try await worker.run { try talk(Talk(route: sockets.route, netfilter: sockets.netfilter)) }
        } catch let error as Errno {
            throw NetlinkError.broken(what: "the network's tables", error)
        }
    }
}

extension KernelNetwork {
    /// The device that has an address; nil when none has it.
    func uplink(with address: IPAddress) async throws -> OverlayUplink? {
        let links = try await ask(.listLinks).compactMap { try NetworkLink($0) }
        let addresses = try await ask(.listAddresses).compactMap { try LinkAddress($0) }
        return OverlayUplink(with: address, links: links, addresses: addresses)
    }

    /// The routes into some ranges that we have made.
    func routes(into ranges: [IPRange], _ family: IPAddress.Family) async throws -> [NetworkRoute] {
        try await ask(.listRoutes(family)).compactMap { try NetworkRoute($0) }.filter { route in
            route.origin == NetworkRoute.ourProtocol && ranges.contains { $0.overlaps(route.destination) }
        }
    }
}

/// A question and its answer, on the thread.
private struct Talk {
    let route: NetlinkSocket
    let netfilter: NetlinkSocket

    func ask(_ request: NetlinkRequest, _ sequence: UInt32) throws -> [NetlinkMessage] {
        try (request.isNetfilter ? netfilter : route).ask(request, sequence)
    }

    func commit(_ batch: NftBatch) throws { try netfilter.commit(batch) }
}

extension NetlinkSocket {
    /// The kernel's answer to a question. Blocks: for a worker's thread.
    func ask(_ request: NetlinkRequest, _ sequence: UInt32) throws -> [NetlinkMessage] {
        try begin(request.encoded(sequence: sequence), request.what)
        var reply = NetlinkReply(to: request, sequence: sequence)
        while !reply.isComplete { try reply.take(next(request.what)) }
        return reply.messages
    }

    /// Has a transaction carried out. Blocks: for a worker's thread.
    func commit(_ batch: NftBatch) throws {
        try begin(batch.bytes, "a transaction")
        var commit = NftCommit(batch)
        while !commit.isComplete { try commit.take(next("a transaction")) }
        try commit.check()
    }

    fileprivate func begin(_ bytes: [UInt8], _ what: String) throws {
        do {
            // What a talk left that broke off.
            while (try? receive(waits: false)) != nil {}
            try send(bytes)
        } catch { throw NetlinkError.broken(what: what, error) }
    }

    fileprivate func next(_ what: String) throws -> [UInt8] {
        do { return try receive() ?? [] } catch {
            throw NetlinkError.broken(what: what, error)
        }
    }
}
