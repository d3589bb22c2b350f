import ArgumentParser
import MartletEtcdClient
import MartletEtcdMessages
import MartletIO
import MartletPeerFlags
import MartletReplica
import MartletStore

/// `martlet-store snapshot`: snapshots in files.
struct Snapshot: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes snapshots of running members, looks at them, and makes data folders of them.",
        subcommands: [Save.self, Status.self, Restore.self])

    /// `martlet-store snapshot save`.
    struct Save: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keeps a snapshot of a running member in a file, as `etcdctl snapshot save` does.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "The file to make; it must not be there.")
        var file: String

        func run() async throws {
            let file = file
            try await client.withClient { client in
                if Files.exists(file) { throw ValidationError("\(file) exists; choose another name") }
                let part = file + ".part"
                try Files.remove(part)
                do {
                    let target = try RegularFile(making: part)
                    try await client.snapshot { piece in try target.append([UInt8](piece.blob)) }
                    try target.sync()
                    let status = try await SnapshotFile.status(of: part)
                    try Files.move(part, to: file)
                    Console.say("\(file): revision \(status.revision), \(status.keys) keys, \(status.bytes) bytes")
                } catch {
                    try? Files.remove(part)
                    throw error
                }
            }
        }
    }

    /// `martlet-store snapshot status`.
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Checks a snapshot and says what is in it.")

        @Argument(help: "The snapshot's file.")
        var file: String

        @Flag(help: "Take a file without a SHA-256 at its end: a checkpoint that was copied out of a data folder.")
        var skipHashCheck = false

        func run() async throws {
            try await Console.reporting {
                let status = try await SnapshotFile.status(of: file, skippingHashCheck: skipHashCheck)
                Console.say("hash:      \(Console.hex(status.hash))")
                Console.say("revision:  \(status.revision) (oldest readable: \(status.oldestRevision))")
                Console.say("keys:      \(status.keys)")
                Console.say("size:      \(status.bytes) bytes")
                Console.say("log index: \(status.index)")
                Console.say("cluster:   \(Console.hex(status.cluster))")
                for member in status.members {
                    Console.say(
                        "member:    \(Console.hex(member.id)) \(member.name) \(member.peerURLs.joined(separator: ","))")
                }
            }
        }
    }

    /// `martlet-store snapshot restore`.
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a new data folder of a snapshot.",
            discussion: """
                The folder is that of one of the first members of a new cluster; run this once for each of them, with \
                the same file and the same flags but for --name and --data-dir, then start them. Give --bump-revision \
                when clients were told of revisions after the snapshot: a number larger than the writes made since. \
                The new cluster's id follows from all of these: members of the old one are refused. Whoever restores \
                the same file once more gives another --initial-cluster-token.
                """)

        @Argument(help: "The snapshot's file.")
        var file: String

        @Option(name: .customLong("data-dir"), help: "The folder to make; it must not be there, or be empty.")
        var dataDirectory: String

        @Option(help: "The name of this member.")
        var name = "default"

        @Option(help: "The first members of the new cluster: NAME=URL,... (default: this member alone)")
        var initialCluster: String?

        @Option(help: "Tells this cluster from others with members of the same names.")
        var initialClusterToken = "martlet-store"

        @Option(help: "By how much the revision goes up; includes --mark-compacted.")
        var bumpRevision: Int64 = 0

        @Flag(help: "Forget all history: watches and reads from before are told to begin anew.")
        var markCompacted = false

        @Flag(help: "Take a file without a SHA-256 at its end: a checkpoint that was copied out of a data folder.")
        var skipHashCheck = false

        func validate() throws {
            if name.isEmpty { throw ValidationError("--name is empty; give this member a name of its own") }
            if bumpRevision < 0 { throw ValidationError("--bump-revision \(bumpRevision): a revision never goes back") }
        }

        func run() async throws {
            let members = try InitialCluster.members(initialCluster ?? "\(name)=http://127.0.0.1:2380")
            var options = RestoreOptions(name: name, members: members, token: initialClusterToken)
            options.bumpRevision = bumpRevision
            options.marksCompacted = markCompacted
            options.skipsHashCheck = skipHashCheck
            let chosen = options
            try await Console.reporting {
                let status = try await SnapshotFile.restore(file, into: dataDirectory, chosen)
                Console.say(
                    "\(dataDirectory) is member \(name) of cluster \(Console.hex(status.cluster)), "
                        + "at revision \(status.revision) with \(status.keys) keys")
            }
        }
    }
}
