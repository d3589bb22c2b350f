import MartletBase
import MartletRaft
import Synchronization
import Testing

@testable import MartletReplica

/// A listener to which silent visitors come.
private final class Door: StreamListener {
    let endpoint = Endpoint.ip("127.0.0.1", port: 1)
    private let state = Mutex((left: 0, visitors: [SilentStream]()))

    init(visitors: Int) { state.withLock { $0.left = visitors } }

    var visitors: [SilentStream] { state.withLock { $0.visitors } }

    func accept() async throws -> any ByteStream {
        let visitor = state.withLock { state -> SilentStream? in
            guard state.left > 0 else { return nil }
            state.left -= 1
            state.visitors.append(SilentStream())
            return state.visitors.last
        }
        guard let visitor else { throw NetworkError.closed }
        return visitor
    }
    func close() {}
}

/// Says nothing until it is closed.
private final class SilentStream: ByteStream {
    private let state = Mutex((isClosed: false, waiter: CheckedContinuation<Void, Never>?.none))
    var isClosed: Bool { state.withLock { $0.isClosed } }
    let peer: Endpoint? = nil

    func read(atMost limit: Int) async throws -> [UInt8] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isClosed || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            close()
        }
        throw NetworkError.closed
    }
    func write(_ bytes: [UInt8]) async throws {}
    func closeWrite() async {}
    func close() {
        let waiter = state.withLock { state in
            defer { state = (true, nil) }
            return state.waiter
        }
        waiter?.resume()
    }
}

private final class Nobody: PeerReceiver {
    func receive(_ events: [PeerEvent]) async {}
    func answer(_ request: [UInt8], from peer: MemberID?) async throws -> [UInt8] { [] }
}

@Suite struct VisitorsThatSayNothing {
    @Test func areCountedFromTheFirstMomentOn() async throws {
        let world = TestWorld()
        let door = Door(visitors: Limits.peerConnections + 20)
        world.listener.withLock { $0 = door }
        try await world.run {
            let transport = StreamPeerTransport(
                cluster: 1, member: MemberID(2), listeningOn: door.endpoint, security: nil, in: world, logger: quiet)
            try await transport.start(Nobody())
            while door.visitors.count < Limits.peerConnections + 20 { await Task.yield() }
            for _ in 0..<100 { await Task.yield() }
            #expect(door.visitors.count(where: \.isClosed) == 20)
            #expect(door.visitors.prefix(Limits.peerConnections).allSatisfy { !$0.isClosed })
            // They are given up after a while.
            world.advance(by: Limits.peerDial)
            while !door.visitors.allSatisfy(\.isClosed) { await Task.yield() }
            await transport.close()
        }
    }
}
