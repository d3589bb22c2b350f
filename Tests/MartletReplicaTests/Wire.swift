import MartletBase
import MartletRaft
import Synchronization

@testable import MartletReplica

/// A network in memory: what one member sends, the other gets, in order, unless the line between them is cut.
final class Wire: Sendable {
    private let state = Mutex(State())

    private struct State {
        var receivers: [MemberID: any PeerReceiver] = [:]
        var cut: Set<MemberID> = []
        var carried: [UInt64: Int] = [:]
    }

    /// A way to the others for `member`.
    func transport(of member: UInt64, in world: any World) -> any PeerTransport {
        WireTransport(member: MemberID(member), wire: self, world: world)
    }

    /// Cuts a member off, or lets it back.
    func cut(_ member: UInt64, _ isCut: Bool = true) {
        state.withLock { state in
            if isCut { state.cut.insert(MemberID(member)) } else { state.cut.remove(MemberID(member)) }
        }
    }

    fileprivate func enter(_ member: MemberID, _ receiver: (any PeerReceiver)?) {
        state.withLock { $0.receivers[member] = receiver }
    }

    fileprivate func receiver(_ from: MemberID, _ to: MemberID) -> (any PeerReceiver)? {
        state.withLock { state in
            state.cut.contains(from) || state.cut.contains(to) ? nil : state.receivers[to]
        }
    }
}

private final class WireTransport: PeerTransport {
    let member: MemberID
    let wire: Wire
    let world: any World
    init(member: MemberID, wire: Wire, world: any World) {
        self.member = member
        self.wire = wire
        self.world = world
    }

    func start(_ receiver: any PeerReceiver) async throws { wire.enter(member, receiver) }
    func connect(to peers: [PeerAddress]) {}
    func close() async { wire.enter(member, nil) }

    func send(_ messages: [RaftMessage]) {
        world.spawn {
            for message in messages {
                await self.wire.receiver(self.member, message.to)?.receive([.message(message)])
            }
        }
    }

    func call(_ peer: MemberID, _ request: [UInt8]) async throws -> [UInt8] {
        guard let receiver = wire.receiver(member, peer) else { throw PeerError.unreachable(peer) }
        do { return try await receiver.answer(request, from: member) } catch { throw PeerError.refused("\(error)") }
    }
}
