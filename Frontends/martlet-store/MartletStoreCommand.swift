import ArgumentParser
import MartletEtcd
import MartletIO

#if canImport(Glibc)
import Glibc
#endif

/// `martlet-store`: a member of the replicated store alone, and what belongs to its files.
@main
struct MartletStoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-store",
        abstract: "Runs a member of the replicated key-value store, which serves the etcd v3 API.",
        discussion: """
            Without flags it is a store of one on the loopback addresses (ports 2379 for clients and 2380 for peers) \
            that keeps its data in /var/lib/martlet-store, or in ~/.local/state/martlet-store when not root. Give \
            --initial-cluster for the first members of a cluster, or --join to become a member of one that runs. \
            `martlet-store help run` tells all flags.
            """,
        version: "martlet-store, unreleased; serves the API of etcd \(EtcdServer.apiVersion)",
        subcommands: [Run.self, Members.self, Snapshot.self, Recover.self], defaultSubcommand: Run.self)
}

/// What goes to the terminal.
enum Console {
    static func say(_ line: String) { write(line, to: STDOUT_FILENO) }

    static func complain(_ line: String) { write("error: " + line, to: STDERR_FILENO) }

    private static func write(_ line: String, to descriptor: Int32) {
        let bytes = Array((line + "\n").utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }

    /// The next line of the standard input; nil at its end.
    static func answer(to question: String) -> String? {
        let bytes = Array(question.utf8)
        _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
        return readLine()
    }

    /// Runs `body`; what it throws is one line on the standard error output, and exit code 1.
    static func reporting(_ body: () async throws -> Void) async throws {
        do { try await body() } catch let error as ExitCode { throw error } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
    }

    /// A name for a number that the etcd API shows in hexadecimal.
    static func hex(_ number: UInt64) -> String { String(number, radix: 16) }
}
