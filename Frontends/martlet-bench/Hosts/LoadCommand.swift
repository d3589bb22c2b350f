import ArgumentParser
import Glibc
import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO

/// `martlet-bench load`: asks an API and services without end, and tells of each request how it went.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Asks masters and services at a steady pace until it is ended, and notes how each request went.",
        discussion: """
            Every request is a line: when it was sent (milliseconds since 1970), how long it took, the target's name, \
            and `ok` or what was wrong. Requests are sent when they are due, whether or not earlier ones are answered.
            """)

    @Option(name: .customLong("api"), help: "NAME=ADDRESS:PORT[,ADDRESS:PORT...]: one master, or several in turn.")
    var apis: [String] = []
    @Option(name: .customLong("url"), help: "NAME=http://ADDRESS:PORT/: asked with a new connection each time.")
    var urls: [String] = []
    @Option(help: "Who asks the API. It is read again when it changes.") var kubeconfig: String?
    @Flag(help: "Only write to the API; else it is read in between.") var writes = false
    @Option(help: "Milliseconds between two requests to one target.") var every: Int64 = 100
    @Option(help: "Milliseconds that an answer may take.") var patience: Int64 = 5000

    func run() async throws {
        guard every > 0, patience > 0 else { throw ValidationError("--every and --patience are at least 1") }
        let world = try Reactor(name: "martlet-bench")
        defer { world.shutdown() }
        let credentials = try kubeconfig.map { try LoadCredentials($0) }
        let targets =
            try apis.map { try APITarget($0, credentials, onlyWrites: writes, in: world) as any LoadTarget }
            + urls.map { try ServiceTarget($0, in: world) as any LoadTarget }
        let (every, patience) = (Duration.milliseconds(every), Duration.milliseconds(patience))
        let work = Task(executorPreference: world.executor) {
            await withDiscardingTaskGroup { group in
                for target in targets {
                    group.addTask { await Self.load(target, every: every, patience: patience, world) }
                }
            }
        }
        _ = await Signals.wait(for: [SIGINT, SIGTERM])
        work.cancel()
        await work.value
    }

    /// At most as many requests wait for their answers as are due in the time of `patience`.
    private static func load(_ target: any LoadTarget, every: Duration, patience: Duration, _ world: Reactor) async {
        await withDiscardingTaskGroup { group in
            var due = world.now()
            for number in 0... {
                group.addTask {
                    let (sent, begin) = (world.wallTime(), world.now())
                    var outcome = "ok"
                    do {
                        try await world.limited(to: patience, target.name) { try await target.ask(number) }
                    } catch {
                        if Task.isCancelled { return }
                        outcome = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
                    }
                    let took = (world.now() - begin).nanoseconds / 1_000_000
                    note("\(sent.nanoseconds / 1_000_000) \(took) \(target.name) \(outcome)")
                }
                due = due + every
                if (try? await world.sleep(until: due)) == nil { return }
            }
        }
    }

    private static func note(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = unsafe Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }
}
