import ArgumentParser
import Foundation
import Martlet
import MartletBase
import MartletFrontend
import MartletHTTP
import MartletIO

/// `martlet snapshot`
struct Snapshot: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Snapshots of the cluster's store.",
        discussion: """
            A snapshot holds every object of the API, and not the keys of the authorities: keep the folder pki of one \
            master's data folder beside it, in a safe place.
            """,
        subcommands: [Save.self, Restore.self, Drill.self])

    /// `martlet snapshot save`
    struct Save: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetches a snapshot from a running master into a file.")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: OutputOptions
        @Argument(help: "The file to make; it must not be there.") var file: String

        func run() async throws {
            let (file, form) = (file, form.output)
            try await connection.withTransport { transport, _ in
                let progress = Progress("fetched")
                let status = try await ClusterSnapshot.save(to: file, through: transport) { progress.show($0, of: $1) }
                progress.end()
                if form == .json { return printJSON(Snapshot.summary(status)) }
                print("\(file): revision \(status.revision), \(status.keys) keys, \(status.bytes) bytes")
            }
        }
    }

    /// `martlet snapshot restore`
    struct Restore: ConfiguredCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts a snapshot into this master, which is the first of the restored cluster.",
            discussion: """
                Stop martletd, or martlet-gateway, on every master first. What was written after the snapshot is gone; \
                the old store is kept beside the new one. Start this master; on each other one: martlet reset \
                --keep-membership, then martlet join with a token of this one. Workers come back by themselves.
                """)
        static var settings: SettingGroups { .local }

        @OptionGroup var data: DataOptions
        @Argument(help: "The snapshot.") var file: String
        @Flag(help: "Do not ask.") var yes = false

        func run() async throws {
            do { try await ClusterSnapshot.check(data.path) } catch { throw Refusal("\(error)") }
            if !yes {
                print("All that was written after \(file) was taken will be gone. Type yes: ", terminator: "")
                guard readLine() == "yes" else { throw Refusal("nothing was done; --yes does not ask") }
            }
            let (status, former) = try await ClusterSnapshot.restore(
                file, into: data.path, at: WallTime(seconds: Int64(Date().timeIntervalSince1970)))
            print(
                """
                \(data.path) holds a new cluster with \(status.keys) keys, at revision \(status.revision).
                1. Start this master (\(Service(dataDirectory: data.path).howToStart)).
                2. On every other one: martlet reset --keep-membership, then martlet join with what
                   martlet token create --role master prints here.
                """)
            if let former { print("The store as it was is in \(former): remove it when all is well.") }
        }
    }

    /// `martlet snapshot drill`
    struct Drill: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tries a snapshot out in a throw-away cluster on loopback.",
            discussion: """
                Every object is read through that cluster's API. Where the running cluster can be asked, each object \
                that it has not changed since must be the same there. Ends with 0 when the snapshot is good, and with \
                1 and what is wrong when it is not.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: OutputOptions
        @Argument(help: "The snapshot.") var file: String
        @Flag(help: "Do not ask the running cluster.") var alone = false
        @Option(help: "Where the throw-away cluster lives for a while.") var tempDir = "/tmp"

        func run() async throws {
            let (file, folder, form) = (file, tempDir, form.output)
            let say: @Sendable (String) -> Void = { if form == .table { print($0) } }
            guard !alone else {
                return try Self.tell(
                    try await SnapshotDrill.run(file, comparedWith: nil, in: folder, say: say), file, form)
            }
            try await connection.withClient { client, _ in
                do { _ = try await client.list(.namespace) } catch {
                    throw Refusal("the running cluster cannot be asked (\(error)): give --alone to do without it")
                }
                try Self.tell(
                    try await SnapshotDrill.run(file, comparedWith: client, in: folder, say: say), file, form)
            }
        }

        private static func tell(_ report: SnapshotDrill.Report, _ file: String, _ form: OutputOptions.Form) throws {
            let count = report.objects.values.reduce(0, +)
            if form == .json {
                var json = Snapshot.summary(report.snapshot)
                json["objects"] = [:]
                for (kind, count) in report.objects.sorted(by: { $0.key < $1.key }) {
                    json["objects", kind] = .int(Int64(count))
                }
                if let compared = report.comparison {
                    json["equal"] = .int(Int64(compared.equal))
                    json["changedSince"] = .int(Int64(compared.changedSince))
                    json["begun"] = .int(Int64(compared.begun))
                }
                json["findings"] = .array(report.findings.map { .string("\($0)") })
                printJSON(json)
            } else {
                print("it serves \(count) objects of \(report.objects.count) kinds")
                if let compared = report.comparison {
                    print(
                        "\(compared.equal) are as the running cluster has them; "
                            + "\(compared.changedSince) changed since; "
                            + "\(compared.begun) written anew by the throw-away cluster")
                }
                for finding in report.findings { print("WRONG: \(finding)") }
                print(report.findings.isEmpty ? "the snapshot is good" : "do not rely on \(file)")
            }
            if !report.findings.isEmpty { throw ExitCode(1) }
        }
    }

    static func summary(_ status: SnapshotStatus) -> JSON {
        [
            "revision": .int(status.revision), "keys": .int(Int64(status.keys)), "bytes": .int(Int64(status.bytes)),
            "hash": .string(String(status.hash, radix: 16)),
        ]
    }
}

/// How far a long work is, in one line that is written anew; nothing where nobody looks.
final class Progress: Sendable {
    private let what: String
    private let isShown = isatty(STDERR_FILENO) == 1

    init(_ what: String) { self.what = what }

    func show(_ count: Int, of total: Int) {
        guard isShown, total > 0 else { return }
        write("\r\(what) \(count * 100 / total) % of \(total / 1024) KiB")
    }

    func end() { if isShown { write("\r\u{1B}[K") } }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
