import ArgumentParser
import Foundation
import HTTPTypes
import Martlet
import MartletBase
import MartletHTTP
import MartletIO

/// `martlet pki rotate`
struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Exchanges certificates while everything runs.",
        discussion: """
            The cluster does the work: the command begins it and shows how far it is. It may be interrupted; martlet \
            pki status shows the rest.
            """, subcommands: [Leaf.self, CA.self])

    /// `martlet pki rotate leaf`
    struct Leaf: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Renews every certificate of all machines, or of one, with new keys. Authorities stay.")
        @OptionGroup var options: RotationOptions
        @Option(help: "The machine; all when it is not given.") var machine: String?

        func run() async throws {
            var body: JSON = ["scope": "leaf", "force": .bool(options.force)]
            if let machine { body["machine"] = .string(machine) }
            try await options.rotate(body)
        }
    }

    /// `martlet pki rotate ca`
    struct CA: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ca",
            abstract: "Exchanges every authority, the key of service account tokens, and every certificate.",
            discussion: """
                Old and new are both trusted until every machine has new certificates, and for --overlap after that: \
                time to hand out new kubeconfigs, and for programs to read their new token. Then the old ones are \
                trusted no longer: kubeconfigs of before are good for nothing.
                """)
        @OptionGroup var options: RotationOptions
        @Option(help: "How long both are trusted once every machine has new certificates: 10m, 24h, 7d.")
        var overlap = "1h"

        func run() async throws {
            guard let overlap = Duration(written: overlap) else {
                throw ValidationError("--overlap \(overlap) is no time: write it as 10m, 24h or 7d")
            }
            try await options.rotate([
                "scope": "ca", "force": .bool(options.force), "overlapSeconds": .int(overlap.components.seconds),
            ])
        }
    }
}

/// What both rotations have in common.
struct RotationOptions: ParsableArguments {
    /// The API may be silent for so long, as between two leaders, before the command gives up.
    static let patience: TimeInterval = 30

    @OptionGroup var connection: ConnectionOptions
    @Flag(
        help: """
            Go on without machines that are away; they have to join again. Also for a rotation that waits for one.
            """)
    var force = false
    @Flag(help: "Begin, and do not wait for the end.") var noWait = false
    @Option(help: "How long to wait for the end; the rotation goes on after that: 30s, 10m. (default: without end)")
    var timeout: String?

    func rotate(_ body: JSON) async throws {
        var limit = Date.distantFuture
        if let timeout {
            guard let duration = Duration(written: timeout) else {
                throw ValidationError("--timeout \(timeout) is no time: write it as 30s or 10m")
            }
            limit = Date(timeIntervalSinceNow: TimeInterval(duration.components.seconds))
        }
        let began = try await ask(.post, "/martlet/v1/pki/rotations", body)
        let id = began["id"]?.string ?? ""
        var shown = ""
        var heard = Date()
        while true {
            do {
                let rotation = try await ask(.get, "/martlet/v1/pki", nil)["rotation"] ?? .null
                heard = Date()
                guard rotation["id"]?.string == id else {
                    throw Refusal("rotation \(id) is done, and another one began")
                }
                let line = RotationText.line(rotation)
                if line != shown { print(line) }
                shown = line
                fflush(nil)
                if rotation["phase"] == "done" || noWait { return }
            } catch let error as Refusal { throw error } catch {
                // The kubeconfig is read anew each time: this machine's own is rewritten meanwhile.
                guard Date().timeIntervalSince(heard) < Self.patience else {
                    throw Refusal(
                        "the API does not answer (\(error)); the rotation goes on. When the kubeconfig is a copy, take "
                            + "a new one from a master: admin.kubeconfig in its data folder")
                }
            }
            guard Date() < limit else {
                throw Refusal("not done within \(timeout ?? ""); the rotation goes on: see martlet pki status")
            }
            usleep(300_000)
        }
    }

    private func ask(_ method: HTTPRequest.Method, _ path: String, _ body: JSON?) async throws -> JSON {
        try await connection.withClient { client, _ in try await client.ask(method, path, body) }
    }
}

/// A rotation in words.
enum RotationText {
    static func line(_ rotation: JSON) -> String {
        guard let id = rotation["id"]?.string, let phase = rotation["phase"]?.string else {
            return "no rotation of certificates so far"
        }
        let machine = rotation["machine"]?.string.map { " of \($0)" } ?? ""
        let what = rotation["scope"] == "ca" ? "authorities" : "leaves\(machine)"
        let waits = (rotation["waitsFor"]?.array ?? []).compactMap(\.string)
        let did: [String: String] = [
            "trust": "1 of 4, machines learn to trust the new authorities",
            "sign": "2 of 4, masters sign by the new authorities",
            "issue": rotation["scope"] == "ca"
                ? "3 of 4, machines get new certificates" : "machines get new certificates",
            "withdraw": "4 of 4, machines trust the old authorities no longer", "done": "done",
        ]
        var line = "rotation \(id) of \(what): \(did[phase] ?? phase)"
        if !waits.isEmpty { line += "; waiting for \(waits.joined(separator: ", "))" }
        if let until = rotation["overlapEnds"]?.string { line += "; both are trusted until \(until)" }
        return line
    }
}
