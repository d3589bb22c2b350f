import MartletBase
import MartletIO
import Synchronization
import Testing

@testable import MartletHTTP

/// A frame as it stands on the wire (RFC 9113, 4.1).
struct Frame: Hashable {
    var type: UInt8
    var flags: UInt8 = 0
    var stream: UInt32
    var payload: [UInt8] = []

    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let reset: UInt8 = 3
    static let settings: UInt8 = 4
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8

    var bytes: [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + [24, 16, 8, 0].map { UInt8(stream >> $0 & 255) } + payload
    }

    /// A field section of literals that nobody keeps in a table (RFC 7541, 6.2.2).
    static func fields(_ stream: UInt32, _ fields: [(String, String)], ends: Bool) -> Frame {
        var payload: [UInt8] = []
        for (name, value) in fields {
            payload += [0, UInt8(name.utf8.count)] + Array(name.utf8)
            payload += [UInt8(value.utf8.count)] + Array(value.utf8)
        }
        return Frame(type: headers, flags: ends ? 5 : 4, stream: stream, payload: payload)
    }
}

/// A server made of frames: golden bytes, and no HTTP/2 library that could share a fault with the client.
private final class FrameServer: Sendable {
    let world = PipeWorld()
    let listener: any StreamListener
    let channel: GRPCChannel

    init() async throws {
        listener = try await world.listen(on: .unix("grpc"))
        channel = GRPCChannel(endpoint: .unix("grpc"), authority: "localhost", in: world)
    }

    /// Takes the next connection, checks its preface and sends settings.
    func accept() async throws -> Peer {
        let peer = Peer(stream: try await listener.accept())
        let preface = try await peer.read(24)
        #expect(preface == Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8))
        try await peer.send(Frame(type: Frame.settings, stream: 0))
        return peer
    }

    struct Peer {
        let stream: any ByteStream

        func read(_ count: Int) async throws -> [UInt8] {
            var all: [UInt8] = []
            while all.count < count {
                let bytes = try await stream.read(atMost: count - all.count)
                if bytes.isEmpty { throw NetworkError.closed }
                all += bytes
            }
            return all
        }

        func send(_ frames: Frame...) async throws {
            try await stream.write(frames.flatMap(\.bytes))
        }

        /// The next frame of one of these types.
        func next(_ types: UInt8...) async throws -> Frame {
            while true {
                let head = try await read(9)
                let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
                let id = head[5...8].reduce(0) { $0 << 8 | UInt32($1) }
                let frame = Frame(type: head[3], flags: head[4], stream: id, payload: try await read(count))
                if types.contains(frame.type) { return frame }
            }
        }

        /// The message of the next call, with its stream.
        func call() async throws -> (stream: UInt32, message: [UInt8]) {
            let head = try await next(Frame.headers)
            var body: [UInt8] = []
            while true {
                let frame = try await next(Frame.data)
                body += frame.payload
                if frame.flags & 1 != 0 { return (head.stream, Array(body.dropFirst(5))) }
            }
        }

        func answer(_ stream: UInt32, _ messages: [UInt8]..., status: String = "0", text: String = "") async throws {
            try await send(
                .fields(stream, [(":status", "200"), ("content-type", "application/grpc")], ends: false))
            for message in messages {
                try await send(Frame(type: Frame.data, stream: stream, payload: GRPCDeframer.frame(message)))
            }
            try await send(.fields(stream, [("grpc-status", status), ("grpc-message", text)], ends: true))
        }
    }
}

@Suite struct GRPCCalls {
    @Test func aUnaryCallBringsItsAnswer() async throws {
        let server = try await FrameServer()
        async let answer = server.channel.unary("/a.B/C", [1, 2, 3], timeout: .seconds(10))
        let peer = try await server.accept()
        let call = try await peer.call()
        #expect(call.message == [1, 2, 3])
        try await peer.answer(call.stream, [9, 8])
        #expect(try await answer == [9, 8])
    }

    @Test func callsShareOneConnection() async throws {
        let server = try await FrameServer()
        async let first = server.channel.unary("/a.B/C", [1], timeout: .seconds(10))
        let peer = try await server.accept()
        let one = try await peer.call()
        async let second = server.channel.unary("/a.B/C", [2], timeout: .seconds(10))
        let two = try await peer.call()
        #expect(one.stream != two.stream)
        try await peer.answer(two.stream, two.message)
        try await peer.answer(one.stream, one.message)
        #expect(try await first == [1])
        #expect(try await second == [2])
    }

    @Test func aRefusalIsToldWithItsWords() async throws {
        let server = try await FrameServer()
        async let answer = server.channel.unary("/a.B/C", [], timeout: .seconds(10))
        let peer = try await server.accept()
        let call = try await peer.call()
        // Trailers only: one section that is head and trailers at once.
        try await peer.send(
            .fields(
                call.stream, [(":status", "200"), ("grpc-status", "5"), ("grpc-message", "no %22pod%22 %zz")],
                ends: true))
        do {
            _ = try await answer
            Issue.record("the call must not succeed")
        } catch let status as GRPCStatus {
            #expect(status == GRPCStatus(code: 5, message: "no \"pod\" %zz"))
        }
    }

    @Test func whatIsNoGRPCHasAStatusToo() async throws {
        let server = try await FrameServer()
        async let answer = server.channel.unary("/a.B/C", [], timeout: .seconds(10))
        let peer = try await server.accept()
        let call = try await peer.call()
        try await peer.send(.fields(call.stream, [(":status", "503")], ends: true))
        do {
            _ = try await answer
            Issue.record("the call must not succeed")
        } catch let status as GRPCStatus {
            #expect(status == GRPCStatus(code: 14, message: "HTTP status 503"))
        }
        async let second = server.channel.unary("/a.B/C", [], timeout: .seconds(10))
        let next = try await peer.call()
        try await peer.send(Frame(type: Frame.reset, stream: next.stream, payload: [0, 0, 0, 11]))
        do {
            _ = try await second
            Issue.record("the call must not succeed")
        } catch let status as GRPCStatus {
            #expect(status.code == 8)
        }
    }

    @Test func aStreamThatIsRefusedUntouchedIsMadeAgain() async throws {
        let server = try await FrameServer()
        async let answer = server.channel.unary("/a.B/C", [4], timeout: .seconds(10))
        let peer = try await server.accept()
        let first = try await peer.call()
        try await peer.send(Frame(type: Frame.reset, stream: first.stream, payload: [0, 0, 0, 7]))
        let second = try await peer.call()
        #expect(second.message == [4])
        try await peer.answer(second.stream, [5])
        #expect(try await answer == [5])
    }

    @Test func aStreamBringsItsMessagesInOrderHoweverTheyAreCut() async throws {
        let server = try await FrameServer()
        let next = try await server.channel.serverStream("/a.B/C", [7])
        let peer = try await server.accept()
        let call = try await peer.call()
        try await peer.send(.fields(call.stream, [(":status", "200")], ends: false))
        let messages: [[UInt8]] = [[1], [], Array(repeating: 2, count: 3000)]
        for byte in messages.flatMap({ GRPCDeframer.frame($0) }).chunked(by: 1000) {
            try await peer.send(Frame(type: Frame.data, stream: call.stream, payload: byte))
        }
        for message in messages { #expect(try await next() == message) }
        try await peer.send(.fields(call.stream, [("grpc-status", "0")], ends: true))
        #expect(try await next() == nil)
    }

    @Test func aLateAnswerIsGivenUpAndReset() async throws {
        let server = try await FrameServer()
        async let answer = server.channel.unary("/a.B/C", [], timeout: .seconds(2))
        let peer = try await server.accept()
        let call = try await peer.call()
        let reset = try await asTimePasses(in: server.world) { try await peer.next(Frame.reset) }
        #expect(reset.stream == call.stream && reset.payload == [0, 0, 0, 8])
        do {
            _ = try await answer
            Issue.record("the call must not succeed")
        } catch let status as GRPCStatus {
            #expect(status.code == 4)
        }
    }

    @Test func aDroppedStreamIsReset() async throws {
        let server = try await FrameServer()
        var next: (@Sendable () async throws -> [UInt8]?)? = try await server.channel.serverStream("/a.B/C", [7])
        let peer = try await server.accept()
        let call = try await peer.call()
        try await peer.send(.fields(call.stream, [(":status", "200")], ends: false))
        try await peer.send(Frame(type: Frame.data, stream: call.stream, payload: GRPCDeframer.frame([5])))
        #expect(try await next?() == [5])
        next = nil
        #expect(try await peer.next(Frame.reset).stream == call.stream)
    }

    @Test func aLostConnectionFailsItsCallsAndTheNextCallGetsANewOne() async throws {
        let server = try await FrameServer()
        async let lost = server.channel.unary("/a.B/C", [], timeout: .seconds(10))
        let peer = try await server.accept()
        _ = try await peer.call()
        peer.stream.close()
        do {
            _ = try await lost
            Issue.record("the call must not succeed")
        } catch let status as GRPCStatus {
            #expect(status.code == 14)
        }
        async let again = server.channel.unary("/a.B/C", [4], timeout: .seconds(10))
        let second = try await server.accept()
        let call = try await second.call()
        try await second.answer(call.stream, [1])
        #expect(try await again == [1])
    }

    @Test func aServerThatIsGoingAwayEndsWhatRunsAndGetsNothingNew() async throws {
        let server = try await FrameServer()
        async let running = server.channel.unary("/a.B/C", [1], timeout: .seconds(10))
        let peer = try await server.accept()
        let call = try await peer.call()
        let last = [24, 16, 8, 0].map { UInt8(call.stream >> $0 & 255) }
        // An answered ping behind it tells that the client has seen the GOAWAY.
        try await peer.send(
            Frame(type: Frame.goAway, stream: 0, payload: last + [0, 0, 0, 0]),
            Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8]))
        _ = try await peer.next(6)
        async let fresh = server.channel.unary("/a.B/C", [2], timeout: .seconds(10))
        let second = try await server.accept()
        let other = try await second.call()
        try await second.answer(other.stream, [22])
        #expect(try await fresh == [22])
        try await peer.answer(call.stream, [11])
        #expect(try await running == [11])
    }

    @Test func aSlowReaderSlowsTheServerDown() async throws {
        let server = try await FrameServer()
        let next = try await server.channel.serverStream("/a.B/C", [7])
        let peer = try await server.accept()
        let call = try await peer.call()
        try await peer.send(.fields(call.stream, [(":status", "200")], ends: false))
        // The settings count from their acknowledgement on. One message fills the queue; what follows waits.
        try await peer.send(Frame(type: Frame.settings, flags: 1, stream: 0))
        let message = [UInt8](repeating: 1, count: GRPCClientLink.queueLimit)
        let more = [UInt8](repeating: 2, count: 500_000)
        for piece in (GRPCDeframer.frame(message) + GRPCDeframer.frame(more)).chunked(by: 16_000) {
            try await peer.send(Frame(type: Frame.data, stream: call.stream, payload: piece))
        }
        try await peer.send(Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8]))
        var given = 0
        while case let frame = try await peer.next(6, Frame.windowUpdate), frame.type != 6 {
            if frame.stream == call.stream { given += frame.payload.reduce(0) { $0 << 8 | Int($1) } }
        }
        #expect(given > 0 && given <= message.count + 5)
        #expect(try await next()?.count == message.count)
        while case let frame = try await peer.next(Frame.windowUpdate), frame.stream != call.stream {}
        #expect(try await next() == more)
    }

    @Test func mutatedFramesNeverTrap() async throws {
        var random = SplitMix64(state: 3)
        let good =
            Frame(type: Frame.settings, stream: 0).bytes
            + Frame.fields(1, [(":status", "200"), ("content-type", "application/grpc")], ends: false).bytes
            + Frame(type: Frame.data, stream: 1, payload: GRPCDeframer.frame([1, 2, 3])).bytes
            + Frame.fields(1, [("grpc-status", "0")], ends: true).bytes
        var refused = 0
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let link = GRPCClientLink(in: PipeWorld(), name: "x") { throw NetworkError.closed }
            let call = try #require(try link.begin(.init(path: "/"), message: [1]))
            var output: [UInt8] = []
            link.locked {
                _ = link.session?.output(into: &output)
                _ = link.receive(bytes)
            }
            if let outcome = call.outcome, outcome.code != 0 { refused += 1 }
        }
        #expect(refused > 0)
    }
}

extension Array where Element == UInt8 {
    func chunked(by size: Int) -> [[UInt8]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}

@Suite struct GRPCTexts {
    @Test func callsFailWhenThereIsNoSession() {
        let link = GRPCClientLink(in: PipeWorld(), name: "x", hasSession: false) { PipeStream.pair().0 }
        let failure = #expect(throws: GRPCStatus.self) { () throws in _ = try link.begin(.init(path: "/"), message: [])
        }
        #expect(failure?.code == 14)
    }

    @Test func timeoutsFitEightDigits() {
        #expect(GRPCText.timeout(.milliseconds(1500)) == "1500m")
        #expect(GRPCText.timeout(.zero) == "1m")
        #expect(GRPCText.timeout(.seconds(200_000)) == "200000S")
        #expect(GRPCText.timeout(.seconds(1_000_000_000)) == "99999999S")
    }

    @Test func aMessageThatCannotBeReadIsRefused() {
        var compressed = GRPCDeframer()
        #expect(throws: GRPCStatus.self) { try compressed.push([1, 0, 0, 0, 0]) }
        var large = GRPCDeframer()
        #expect(throws: GRPCStatus.self) { try large.push([0, 255, 255, 255, 255]) }
    }
}
