internal import CMartlet
internal import Glibc
public import MartletBase

/// A socket that takes datagrams, and the kernel's word that some are there.
///
/// `@unchecked Sendable`: after `init` only the reactor's thread touches what can change.
private final class DatagramState: RingOperation, ReactorHandle, @unchecked Sendable {
    let fd: Int32
    let endpoint: Endpoint
    private let batch: OpaquePointer
    private let handler: @Sendable (Span<UInt8>, DatagramPeer, inout [UInt8]) -> Void
    private var answer: [UInt8] = []
    private var closed = false

    init(
        core: ReactorCore, fd: Int32, endpoint: Endpoint, batch: OpaquePointer,
        handler: @escaping @Sendable (Span<UInt8>, DatagramPeer, inout [UInt8]) -> Void
    ) {
        self.fd = fd
        self.endpoint = endpoint
        self.batch = batch
        self.handler = handler
        super.init(core: core)
    }

    deinit { cm_datagrams_free(batch) }

    func open() {
        core.register(self)
        if core.isShutDown { shut() } else { arm() }
    }

    func shut() {
        guard !closed else { return }
        closed = true
        if token != 0 { core.cancel(self) } else { closeDescriptor() }
    }

    private func closeDescriptor() {
        core.forget(self)
        _ = Glibc.close(fd)
    }

    private func arm() { core.submit(self) { cm_ring_poll($0, $1, fd, UInt32(POLLIN)) } }

    override func completed(_ completion: cm_completion) {
        if closed { return closeDescriptor() }
        // Others have their turn between two rounds; what is left makes the next poll end at once.
        for _ in 0..<ReactorLimits.datagramRounds {
            let count = cm_datagrams_receive(batch, fd)
            // An error is that of some datagram sent before: it ends nothing.
            guard count > 0 else { break }
            for index in 0..<count { take(index) }
            cm_datagrams_send(batch, fd)
            if closed { return closeDescriptor() }
            if count < Int32(CM_DATAGRAMS) { break }
        }
        arm()
    }

    private func take(_ index: Int32) {
        var count = 0
        let start = cm_datagram_bytes(batch, index, &count)
        let peer = cm_datagram_peer(batch, index).words
        answer.removeAll(keepingCapacity: true)
        handler(
            UnsafeBufferPointer(start: start, count: count).span,
            DatagramPeer(words: [peer.0, peer.1, peer.2, peer.3]), &answer)
        if !answer.isEmpty {
            answer.withUnsafeBufferPointer { cm_datagram_answer(batch, index, $0.baseAddress, $0.count) }
        }
    }

    func send(_ bytes: [UInt8], to peer: DatagramPeer) {
        guard !closed else { return }
        var raw = cm_peer()
        raw.words = (peer.words[0], peer.words[1], peer.words[2], peer.words[3])
        _ = bytes.withUnsafeBufferPointer { cm_datagram_send(fd, &raw, $0.baseAddress, $0.count) }
    }
}

/// A place for datagrams, as its users see it.
private final class SocketDatagrams: DatagramPort {
    private let state: DatagramState

    init(_ state: DatagramState) { self.state = state }

    deinit { close() }

    var endpoint: Endpoint { state.endpoint }

    func send(_ bytes: [UInt8], to peer: DatagramPeer) {
        let state = state
        state.core.perform { state.send(bytes, to: peer) }
    }

    func close() {
        let state = state
        state.core.perform { state.shut() }
    }
}

extension Reactor: DatagramWorld {
    /// Takes datagrams in batches: two system calls for up to 64 questions and their answers.
    public func receiveDatagrams(
        on endpoint: Endpoint, handler: @escaping @Sendable (Span<UInt8>, DatagramPeer, inout [UInt8]) -> Void
    ) throws -> any DatagramPort {
        let address = try SocketAddress(endpoint)
        let fd = withUnsafePointer(to: address.raw) { cm_datagram_bind($0) }
        guard fd >= 0 else { throw NetworkError.system(operation: "take datagrams on \(endpoint)", Errno(-fd)) }
        guard let batch = cm_datagrams_make() else {
            _ = Glibc.close(fd)
            throw NetworkError.system(operation: "take datagrams on \(endpoint)", Errno(ENOMEM))
        }
        let state = DatagramState(
            core: core, fd: fd, endpoint: SocketAddress.local(of: fd) ?? endpoint, batch: batch, handler: handler)
        core.perform { state.open() }
        return SocketDatagrams(state)
    }

    /// A socket of its own, which the kernel lets hear that peer only.
    public func datagramStream(to endpoint: Endpoint, from port: UInt16) throws -> any ByteStream {
        let address = try SocketAddress(endpoint)
        let fd = withUnsafePointer(to: address.raw) { cm_datagram_connect($0, port) }
        guard fd >= 0 else { throw NetworkError.system(operation: "send datagrams to \(endpoint)", Errno(-fd)) }
        let socket = SocketState(core: core, fd: fd, peer: endpoint)
        core.perform { socket.open() }
        return SocketStream(socket)
    }
}
