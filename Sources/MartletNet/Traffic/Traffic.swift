internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// What an edge or an ingress tells of the requests that it passes on: metrics, and the access log where there is one.
final class Traffic: Sendable {
    private struct State {
        var counts = TrafficCounts()
        var upgraded = 0
    }
    private let state = Mutex(State())
    private let part: AccessEntry.Part
    private let log: AccessLog?
    private let world: any World

    init(_ part: AccessEntry.Part, _ log: AccessLog?, in world: any World) {
        self.part = part
        self.log = log
        self.world = world
    }

    /// A request has come.
    func begin(_ request: Request) -> Trace {
        let now = world.now()
        // It may have come some time ago, and have taken a short cut until now.
        let began = request.begun?.began ?? now
        var entry = AccessEntry(
            part, at: world.wallTime() + (began - now), method: request.head.method.rawValue,
            host: request.head.authority ?? "", path: request.head.path ?? "/")
        // All below is for the log alone.
        if log == nil { return Trace(entry: entry, began: began) }
        entry.client = request.peer.address
        entry.take(request.peer)
        entry.requestID = request.head.headerFields[ProxyHeaders.requestID]
        entry.userAgent = request.head.headerFields[.userAgent]
        return Trace(entry: entry, began: began)
    }

    /// The request has its answer; what is told of it is told when the answer's body has ended.
    func end(_ trace: Trace, _ answer: Response) -> Response {
        var (trace, answer) = (trace, answer)
        trace.entry.status = answer.head.status.code
        let hasNoBody = trace.entry.method == "HEAD" || [.noContent, .notModified].contains(answer.head.status)
        switch answer.body {
        case .bytes(let bytes):
            if !hasNoBody { trace.entry.bytes = bytes.count }
            finish(trace)
        // Nobody asks for it.
        case .stream where hasNoBody: finish(trace)
        case .stream(let produce):
            let open = OpenAnswer(self, trace)
            answer.body = .stream { writer in
                try await produce(CountingWriter(writer, open))
                open.isWhole()
            }
        case .upgrade(let run):
            let open = OpenAnswer(self, trace)
            answer.body = .upgrade { stream in
                self.state.withLock { $0.upgraded += 1 }
                await run(stream)
                self.state.withLock { $0.upgraded -= 1 }
                open.isWhole()
            }
        }
        return answer
    }

    /// Whether each request is told of. If not, they are only counted.
    var isLogging: Bool { log != nil }

    /// A plain request is passed on. What this makes goes with its choice, as the origin, where each request is told
    /// of.
    /// - Parameters:
    ///   - client: the address of who sent it, where that is not the peer.
    ///   - newID: its name, when it came without one.
    func begin(
        _ request: PlainRequest, at now: MonotonicTime, of peer: Peer, speakingFor client: String? = nil,
        newID: ArraySlice<UInt8>, by route: WebRoute? = nil
    ) -> PlainTrace {
        var entry = AccessEntry(
            part, at: world.wallTime(), method: request.method, host: request.authority, path: request.path)
        entry.client = client.flatMap { IPAddress($0) } ?? peer.address
        entry.take(peer)
        entry.requestID = request.field("x-request-id") ?? String(decoding: newID, as: UTF8.self)
        entry.userAgent = request.field("user-agent")
        entry.route = route?.origin
        return PlainTrace(Trace(entry: entry, began: now))
    }

    /// A plain request has had its answer.
    /// - Parameter choice: its origin is what was made at the beginning where each request is told of, and else the
    ///   route, where there is one.
    func end(_ choice: PlainChoice, _ report: PlainReport) {
        guard isLogging, var trace = (choice.origin as? PlainTrace)?.trace else {
            let route = (choice.origin as? WebRoute)?.origin
            return state.withLock {
                $0.counts.count(route, status: report.status, took: report.took, tries: 1, UpstreamFaults())
            }
        }
        trace.passed(to: choice.endpoint, report)
        finish(trace)
    }

    fileprivate func finish(_ trace: Trace) {
        var entry = trace.entry
        entry.duration = world.now() - trace.began
        state.withLock {
            $0.counts.count(
                entry.route, status: entry.status, took: entry.duration, tries: entry.tries, trace.faults)
        }
        log?.add(entry)
    }

    /// Prometheus' text format.
    func text(_ gauges: TrafficCounts.Gauges) -> String {
        var gauges = gauges
        gauges.droppedLines = log?.dropped ?? 0
        let (counts, upgraded) = state.withLock { ($0.counts, $0.upgraded) }
        gauges.upgraded = upgraded
        return counts.text(part, gauges)
    }
}

/// What is known so far of a request on its way.
struct Trace: Sendable {
    var entry: AccessEntry
    let began: MonotonicTime
    var faults = UpstreamFaults()

    /// It was passed on, or that was tried: once more, where there was another way.
    mutating func passed(_ forwarded: Forwarded) {
        entry.upstream = forwarded.endpoint
        entry.upstreamDuration = forwarded.took
        entry.tries += forwarded.tries
        faults.add(forwarded.faults)
    }

    /// It was passed on by the short cut.
    fileprivate mutating func passed(to endpoint: Endpoint, _ report: PlainReport) {
        entry.upstream = endpoint
        entry.upstreamDuration = report.waited
        entry.tries = 1
        entry.status = report.status
        entry.bytes = report.bytes
        entry.isBroken = report.isBroken
    }
}

/// What is known of a plain request on its way, where each is told of.
final class PlainTrace: Sendable {
    fileprivate let trace: Trace

    fileprivate init(_ trace: Trace) { self.trace = trace }
}

extension AccessEntry {
    /// What is told of a connection.
    fileprivate mutating func take(_ peer: Peer) {
        if peer.isHTTP2 { httpVersion = "HTTP/2" }
        tlsVersion = peer.tlsVersion
        serverName = peer.serverName
    }
}

/// An answer whose body is on its way. It has ended when nobody holds it any more, also when it is never sent.
private final class OpenAnswer: Sendable {
    private struct State {
        var bytes = 0
        var isWhole = false
    }
    private let state = Mutex(State())
    private let traffic: Traffic
    private let trace: Trace

    init(_ traffic: Traffic, _ trace: Trace) {
        self.traffic = traffic
        self.trace = trace
    }

    func count(_ bytes: Int) { state.withLock { $0.bytes += bytes } }
    func isWhole() { state.withLock { $0.isWhole = true } }

    deinit {
        var trace = trace
        (trace.entry.bytes, trace.entry.isBroken) = state.withLock { ($0.bytes, !$0.isWhole) }
        traffic.finish(trace)
    }
}

private struct CountingWriter: BodyWriter {
    let writer: any BodyWriter
    let answer: OpenAnswer

    init(_ writer: any BodyWriter, _ answer: OpenAnswer) {
        self.writer = writer
        self.answer = answer
    }

    func write(_ bytes: [UInt8]) async throws {
        try await writer.write(bytes)
        answer.count(bytes.count)
    }
}
