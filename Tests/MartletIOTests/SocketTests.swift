import CMartlet
import Glibc
import MartletBase
import Synchronization
import Testing

@testable import MartletIO

/// Answers every byte of every connection with itself.
private func serveEcho(_ listener: any StreamListener, in reactor: Reactor) {
    reactor.spawn {
        while let stream = try? await listener.accept() {
            reactor.spawn {
                while let bytes = try? await stream.read(atMost: 65536), !bytes.isEmpty {
                    try? await stream.write(bytes)
                }
            }
        }
    }
}

private func read(exactly count: Int, from stream: any ByteStream) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
        let more = try await stream.read(atMost: count - bytes.count)
        if more.isEmpty { break }
        bytes += more
    }
    return bytes
}

@Suite struct SocketTests {
    @Test(arguments: ["127.0.0.1", "::1", "unix"])
    func `thousands of small messages come back in order`(host: String) async throws {
        try await withFolder { folder in
            try await onReactor { reactor in
                let place: Endpoint = host == "unix" ? .unix("\(folder)/socket") : .ip(host, port: 0)
                let listener = try await reactor.listen(on: place)
                serveEcho(listener, in: reactor)
                let stream = try await reactor.connect(to: listener.endpoint)
                for number in 0..<5000 {
                    let message = Array("message \(number)".utf8)
                    try await stream.write(message)
                    #expect(try await read(exactly: message.count, from: stream) == message)
                }
                stream.close()
                listener.close()
            }
        }
    }

    @Test func `the kernel is told how long a peer may be silent`() async throws {
        var address = cm_address()
        #expect(cm_address_ip(&address, "127.0.0.1", 1) == 0)
        let fd = cm_socket_for(&address)
        defer { _ = close(fd) }
        #expect(cm_socket_limit_silence(fd, 2_345) == 0)
        var (limit, size): (UInt32, socklen_t) = (0, socklen_t(MemoryLayout<UInt32>.size))
        #expect(getsockopt(fd, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &limit, &size) == 0 && limit == 2_345)
        // Also a peer that nothing is sent to is asked whether it is there.
        func option(_ level: Int32, _ name: Int32) -> Int32 {
            var (value, size): (Int32, socklen_t) = (-1, socklen_t(MemoryLayout<Int32>.size))
            return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1
        }
        #expect(option(SOL_SOCKET, SO_KEEPALIVE) == 1)
        #expect(option(Int32(IPPROTO_TCP), TCP_KEEPIDLE) == 2 && option(Int32(IPPROTO_TCP), TCP_KEEPINTVL) == 1)
        #expect(cm_socket_limit_silence(fd, 0) == 0 && option(SOL_SOCKET, SO_KEEPALIVE) == 0)
        #expect(cm_socket_limit_silence(-1, 1) == -EBADF)
    }

    @Test(arguments: ["127.0.0.1", "::1", "unix"])
    func `a limit of silence disturbs nobody who answers`(host: String) async throws {
        try await withFolder { folder in
            try await onReactor { reactor in
                let place: Endpoint = host == "unix" ? .unix("\(folder)/socket") : .ip(host, port: 0)
                let listener = try await reactor.listen(on: place)
                serveEcho(listener, in: reactor)
                let stream = try await reactor.connect(to: listener.endpoint)
                stream.limitSilence(.milliseconds(50))
                try await stream.write([1])
                #expect(try await read(exactly: 1, from: stream) == [1])
                try await reactor.sleep(for: .milliseconds(150))
                try await stream.write([2])
                #expect(try await read(exactly: 1, from: stream) == [2])
                stream.close()
                listener.close()
            }
        }
    }

    @Test(arguments: ["127.0.0.1", "unix"])
    func `ten megabytes come back as they were`(host: String) async throws {
        try await withFolder { folder in
            try await onReactor { reactor in
                let place: Endpoint = host == "unix" ? .unix("\(folder)/socket") : .ip(host, port: 0)
                let listener = try await reactor.listen(on: place)
                serveEcho(listener, in: reactor)
                let stream = try await reactor.connect(to: listener.endpoint)
                let sent = (0..<10_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
                async let writing: Void = stream.write(sent)
                let received = try await read(exactly: sent.count, from: stream)
                try await writing
                #expect(received == sent)
                listener.close()
            }
        }
    }

    @Test func `what there is room for is sent at once, and a task that writes on gives way`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let client = try await reactor.connect(to: listener.endpoint)
            let server = try await listener.accept()
            // A turn of its own, in which nothing has been sent yet.
            try await reactor.sleep(for: .milliseconds(1))
            let hasRun = Atomic(false)
            reactor.spawn { hasRun.store(true, ordering: .relaxed) }
            try await client.write([1])
            let hadRun = hasRun.load(ordering: .relaxed)
            #expect(!hadRun)
            try await client.write([2, 3])
            let hasNow = hasRun.load(ordering: .relaxed)
            #expect(hasNow)
            #expect(try await read(exactly: 3, from: server) == [1, 2, 3])
        }
    }

    @Test func `what a full socket did not take at once comes later, in order`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let client = try await reactor.connect(to: listener.endpoint)
            let server = try await listener.accept()
            let sent = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            let writing = Task(executorPreference: reactor.executor) {
                for start in stride(from: 0, to: sent.count, by: 200_000) {
                    try await client.write(Array(sent[start..<start + 200_000]))
                    // The next turn's write is one that is sent at once again.
                    try await reactor.sleep(for: .microseconds(1))
                }
            }
            try await reactor.sleep(for: .milliseconds(20))
            #expect(try await read(exactly: sent.count, from: server) == sent)
            try await writing.value
        }
    }

    @Test func `an ended side is read as an end, and the other side goes on`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let client = try await reactor.connect(to: listener.endpoint)
            let server = try await listener.accept()
            try await client.write([1, 2, 3])
            await client.closeWrite()
            #expect(try await read(exactly: 10, from: server) == [1, 2, 3])
            try await server.write([4])
            #expect(try await client.read(atMost: 10) == [4])
            server.close()
            #expect(try await client.read(atMost: 10) == [])
        }
    }

    @Test func `closing fails the waiting read, and later calls`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let client = try await reactor.connect(to: listener.endpoint)
            let server = try await listener.accept()
            let waiting = Task(executorPreference: reactor.executor) { try await client.read(atMost: 10) }
            try await reactor.sleep(for: .milliseconds(5))
            client.close()
            client.close()
            await #expect(throws: NetworkError.closed) { _ = try await waiting.value }
            await #expect(throws: NetworkError.closed) { try await client.write([1]) }
            #expect(try await server.read(atMost: 10) == [])
            listener.close()
            await #expect(throws: NetworkError.closed) { _ = try await listener.accept() }
        }
    }

    @Test func `cancelling ends a waiting read, write, accept and connect, and loses no byte`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let client = try await reactor.connect(to: listener.endpoint)
            let server = try await listener.accept()
            let reading = Task(executorPreference: reactor.executor) { _ = try await server.read(atMost: 10) }
            let accepting = Task(executorPreference: reactor.executor) { _ = try await listener.accept() }
            let writing = Task(executorPreference: reactor.executor) {
                try await client.write([UInt8](repeating: 7, count: 50_000_000))
            }
            try await reactor.sleep(for: .milliseconds(20))
            for task in [reading, accepting, writing] { task.cancel() }
            await #expect(throws: CancellationError.self) { try await accepting.value }
            await #expect(throws: CancellationError.self) { try await writing.value }
            _ = await reading.result
            let never = Task(executorPreference: reactor.executor) {
                withUnsafeCurrentTask { $0?.cancel() }
                _ = try await reactor.connect(to: listener.endpoint)
            }
            await #expect(throws: CancellationError.self) { try await never.value }
            let second = try await reactor.connect(to: listener.endpoint)
            let other = try await listener.accept()
            let idle = Task(executorPreference: reactor.executor) { _ = try await other.read(atMost: 10) }
            try await reactor.sleep(for: .milliseconds(5))
            idle.cancel()
            await #expect(throws: CancellationError.self) { try await idle.value }
            try await second.write([9])
            #expect(try await other.read(atMost: 10) == [9])
        }
    }

    @Test func `five hundred connections at once are all served`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            serveEcho(listener, in: reactor)
            let endpoint = listener.endpoint
            let right = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let stream = try await reactor.connect(to: endpoint)
                        let message = Array("connection \(number)".utf8)
                        for _ in 0..<10 {
                            try await stream.write(message)
                            if try await read(exactly: message.count, from: stream) != message { return false }
                        }
                        return true
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(right == 500)
        }
    }

    @Test func `streams work from tasks of another executor`() async throws {
        let reactor = try Reactor()
        let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
        serveEcho(listener, in: reactor)
        let stream = try await reactor.connect(to: listener.endpoint)
        for number in 0..<200 {
            try await stream.write([UInt8(number)])
            #expect(try await stream.read(atMost: 1) == [UInt8(number)])
        }
        reactor.shutdown()
        await #expect(throws: NetworkError.closed) { _ = try await stream.read(atMost: 1) }
        await #expect(throws: NetworkError.closed) { _ = try await reactor.connect(to: listener.endpoint) }
        reactor.shutdown()
    }

    @Test func `a refused connection and a bad address say so`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            let endpoint = listener.endpoint
            await #expect(throws: NetworkError.system(operation: "listen on \(endpoint)", .addressInUse)) {
                _ = try await reactor.listen(on: endpoint)
            }
            listener.close()
            try await reactor.sleep(for: .milliseconds(5))
            await #expect(throws: NetworkError.system(operation: "connect to \(endpoint)", .connectionRefused)) {
                _ = try await reactor.connect(to: endpoint)
            }
            await #expect(throws: NetworkError.badAddress("example.org")) {
                _ = try await reactor.connect(to: .ip("example.org", port: 1))
            }
        }
    }

    @Test func `a socket file that nobody listens on is replaced, a live one is not`() async throws {
        try await withFolder { folder in
            let endpoint = Endpoint.unix("\(folder)/socket")
            let address = try SocketAddress(endpoint)
            let dead = withUnsafePointer(to: address.raw) { cm_socket_listen($0, 1) }
            #expect(dead >= 0)
            closeDescriptor(dead)
            #expect(Files.exists("\(folder)/socket"))
            try await onReactor { reactor in
                let listener = try await reactor.listen(on: endpoint)
                await #expect(throws: NetworkError.self) { _ = try await reactor.listen(on: endpoint) }
                // The refused listener knocked to see whether somebody is there.
                #expect(try await listener.accept().read(atMost: 1) == [])
                let stream = try await reactor.connect(to: endpoint)
                let other = try await listener.accept()
                try await stream.write([1])
                #expect(try await other.read(atMost: 1) == [1])
            }
        }
    }

    @Test func `whatever is closed or cancelled in flight, no operation and no descriptor is left`() async throws {
        try await onReactor { reactor in
            let listener = try await reactor.listen(on: .ip("127.0.0.1", port: 0))
            serveEcho(listener, in: reactor)
            let endpoint = listener.endpoint
            await withTaskGroup(of: Void.self) { group in
                for seed in UInt64(0)..<60 {
                    group.addTask { await Self.quarrel(with: endpoint, in: reactor, seed: seed) }
                }
            }
            listener.close()
            let patience = reactor.now() + .seconds(20)
            while reactor.core.inFlight > 0 || !reactor.core.handles.isEmpty, reactor.now() < patience {
                try await reactor.sleep(for: .milliseconds(1))
            }
            #expect(reactor.core.inFlight == 0)
            #expect(reactor.core.handles.isEmpty)
        }
    }

    /// Opens a stream, and reads, writes, cancels and closes in an order that follows from the seed.
    private static func quarrel(with endpoint: Endpoint, in reactor: Reactor, seed: UInt64) async {
        var random = SplitMix(seed: seed)
        guard let stream = try? await reactor.connect(to: endpoint) else { return }
        for _ in 0..<20 {
            let size = Int(random.next() % 200_000) + 1
            let task = Task(executorPreference: reactor.executor) {
                async let reading = stream.read(atMost: size)
                try await stream.write([UInt8](repeating: 1, count: size))
                _ = try await reading
            }
            try? await reactor.sleep(for: .microseconds(Int(random.next() % 300)))
            switch random.next() % 8 {
            case 0: stream.close()
            case 1: await stream.closeWrite()
            default: break
            }
            task.cancel()
            _ = await task.result
        }
    }
}
