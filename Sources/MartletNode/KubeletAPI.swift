internal import Glibc
internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletPods
internal import MartletRuntime

/// The kubelet's API as far as the gateway needs it: `/containerLogs/...`, `/exec/...`, `/attach/...`,
/// `/portForward/...`, `/run/...`, `/pods`, `/metrics`, `/healthz`. Only the gateway and administrators may ask.
struct KubeletAPI: RequestHandler {
    let agent: NodeAgent

    func handle(_ request: Request) async -> Response {
        guard let subject = request.peer.certificate else {
            return Self.text(.unauthorized, "a client certificate of the cluster's authority is needed")
        }
        guard
            subject.organizations.contains("system:masters")
                || subject.commonName == "kube-apiserver-kubelet-client"
        else { return Self.text(.forbidden, "\(subject.commonName) may not use the kubelet's API") }
        let target = (request.head.path ?? "/").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = (target.first ?? "").split(separator: "/").map { PercentCoding.decode($0) }
        let query = Query(target.count > 1 ? target[1] : "")
        if let wish = StreamWish(path, query) {
            guard [.get, .post].contains(request.head.method) else {
                return Self.text(.methodNotAllowed, "only GET and POST are served")
            }
            return await NodeStreams(agent: agent).answer(request, wish)
        }
        guard request.head.method == .get else { return Self.text(.methodNotAllowed, "only GET is served") }
        switch path.first {
        case "healthz" where path.count == 1: return Self.text(.ok, "ok")
        case "metrics" where path.count == 1:
            return Response(
                status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8",
                bytes: Array(agent.configuration.metrics().utf8))
        case "pods" where path.count == 1: return await pods()
        case "containerLogs" where path.count == 4:
            return await logs(namespace: path[1], pod: path[2], container: path[3], query)
        default: return Self.text(.notFound, "404 page not found")
        }
    }

    private func pods() async -> Response {
        let items = await agent.podObjects()
        let list: JSON = ["kind": "PodList", "apiVersion": "v1", "metadata": [:], "items": .array(items)]
        return Response(status: .ok, contentType: "application/json", bytes: list.encoded())
    }

    private func logs(namespace: String, pod: String, container: String, _ query: Query) async -> Response {
        let options: LogOptions
        switch query.logOptions(now: agent.world.wallTime()) {
        case .success(let read): options = read
        case .failure(let error): return Self.text(.badRequest, error.description)
        }
        switch await agent.findLog(namespace: namespace, pod: pod, container: container, previous: options.previous) {
        case .failure(let refusal): return Self.text(refusal.isAbsent ? .notFound : .badRequest, refusal.message)
        case .success(let source):
            var head = HTTPResponse(status: .ok)
            head.headerFields[.contentType] = "text/plain"
            let agent = agent
            return Response(
                head: head,
                body: .stream { writer in
                    try await LogStream(source: source, options: options, agent: agent).run(into: writer)
                })
        }
    }

    static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(status: status, contentType: "text/plain; charset=utf-8", bytes: Array("\(text)\n".utf8))
    }
}

/// Why a log cannot be shown.
struct LogRefusal: Error, Sendable, Hashable {
    /// Whether the pod is not there.
    var isAbsent: Bool
    var message: String
}

/// A container's log file, and whose it is.
struct LogSource: Sendable, Hashable {
    var path: String
    var container: String
}

extension NodeAgent {
    /// The pods of this node as the API has them, with the newest status.
    func podObjects() -> [JSON] {
        pods.values.map { $0.object.withStatus($0.machine.currentStatus) }
            .sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
    }

    /// Finds the log of a pod's container: of the newest, or of the one before.
    func findLog(
        namespace: String, pod name: String, container: String, previous: Bool
    ) -> Result<LogSource, LogRefusal> {
        let named = pods.values.filter { $0.machine.spec.namespace == namespace && $0.machine.spec.name == name }
        guard let pod = named.first(where: { !$0.machine.spec.isTerminating }) ?? named.first else {
            return .failure(LogRefusal(isAbsent: true, message: "pod \"\(name)\" not found"))
        }
        guard pod.machine.spec.container(named: container) != nil else {
            return .failure(
                LogRefusal(
                    isAbsent: false, message: "container \(container) is not valid for pod \(name)"))
        }
        let uid = pod.machine.spec.uid
        let mine = containers.values.filter { status in
            status.name == container
                && (status.labels[RuntimeLabel.podUID] == uid
                    || pod.machine.observation?.sandboxes.contains { $0.id == status.sandbox } == true)
        }.sorted { $0.attempt > $1.attempt }
        // While the next start is waited for, the newest that ended is both: the log and the one before.
        let isWaiting = pod.machine.waitingReason(of: container) != nil
        let ended = isWaiting ? mine.filter { $0.state != .created } : mine
        guard let found = ended.dropFirst(previous && !isWaiting ? 1 : 0).first else {
            let why =
                previous
                ? "previous terminated container \"\(container)\" in pod \"\(name)\" not found"
                : "container \"\(container)\" in pod \"\(name)\" is waiting to start: "
                    + Self.waitingText(pod.machine.waitingReason(of: container))
            return .failure(LogRefusal(isAbsent: false, message: why))
        }
        let path =
            found.logPath.isEmpty
            ? "\(files.logDirectory(of: pod.machine.spec))/\(container)/\(found.attempt).log" : found.logPath
        return .success(LogSource(path: path, container: found.id))
    }

    /// Why there is no log yet, in kubelet's words.
    private static func waitingText(_ reason: String?) -> String {
        switch reason {
        case "ErrImagePull": "image can't be pulled"
        case "ImagePullBackOff": "trying and failing to pull image"
        case let reason: reason ?? "ContainerCreating"
        }
    }

    /// Whether more can come to a container's log.
    func mayStillLog(_ id: String) -> Bool {
        guard let container = containers[id] else { return false }
        return !isStopping && (container.state == .running || container.state == .created)
    }
}

/// Sends a log to a client: what there is, then what comes.
struct LogStream: Sendable {
    let source: LogSource
    let options: LogOptions
    let agent: NodeAgent

    func run(into writer: any BodyWriter) async throws {
        let since = options.since
        var reader = LogReader(options) { time in
            since.map { bound in WallTime(rfc3339: time).map { $0.nanoseconds >= bound } ?? true } ?? true
        }
        var file: OpenFile?
        var offset = 0
        while !reader.isFull {
            // Asked before the file is read, so that nothing of an ended container is missed.
            let mayGrow = options.follow ? await agent.mayStillLog(source.container) : false
            if file == nil {
                file = OpenFile(source.path)
                if let file, let lines = options.tailLines {
                    offset = try LogReader.tailOffset(size: file.size, lines: lines) { try file.read($0) }
                }
            }
            while let file, !reader.isFull {
                let bytes = try file.read(offset..<(offset + Limits.logBlock))
                if bytes.isEmpty { break }
                offset += bytes.count
                let output = reader.feed(bytes)
                if !output.isEmpty { try await writer.write(output) }
            }
            guard mayGrow else { return }
            try await agent.world.sleep(for: Limits.logPollPeriod)
        }
    }
}

/// A file that is open for reading.
final class OpenFile: Sendable {
    private let descriptor: Int32

    /// Nil when it cannot be opened.
    init?(_ path: String) {
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    var size: Int { max(0, Int(lseek(descriptor, 0, SEEK_END))) }

    /// The bytes of a range, as far as the file has them.
    func read(_ range: Range<Int>) throws(Errno) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            let got = unsafe pread(descriptor, buffer.baseAddress, range.count, off_t(range.lowerBound))
            if got < 0 { failure = errno }
            count = max(0, got)
        }
        if failure != 0 { throw Errno(failure) }
        return bytes
    }
}
