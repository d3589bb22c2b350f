import ArgumentParser
import Martlet
import MartletIO

/// `martlet image`
struct Image: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prepares container images without a network.", subcommands: [Busybox.self])

    /// `martlet image busybox`
    struct Busybox: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes an OCI image archive of this machine's static busybox.",
            discussion: "martletd imports archives from the folder given by --images.")

        @Option(help: "The image's name, as registry/name:tag.") var tag: String
        @Option(name: .shortAndLong, help: "The archive to write.") var output: String
        @Option(name: .customLong("env"), help: "A variable NAME=VALUE; may be given more than once.")
        var environment: [String] = []
        @Argument(parsing: .captureForPassthrough, help: "The command that the image runs.") var command: [String] = []

        func run() async throws {
            // As every client of containers reads names: without a registry's host it would be Docker Hub's.
            guard let host = tag.split(separator: "/").first, tag.contains("/"),
                host.contains(where: { ".:".contains($0) })
            else { throw ValidationError("--tag \(tag) has no registry: write it as example.test/\(tag)") }
            let reactor = try Reactor(name: "martlet-cli")
            defer { reactor.shutdown() }
            try await withTaskExecutorPreference(reactor.executor) {
                var builder = ImageBuilder(reference: tag)
                builder.add(try await BusyBox.ofHost(in: reactor))
                builder.command = command.first == "--" ? Array(command.dropFirst()) : command
                for variable in environment {
                    let parts = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    guard parts.count == 2 else { throw ValidationError("--env \(variable) is not NAME=VALUE") }
                    builder.environment.append((String(parts[0]), String(parts[1])))
                }
                try Files.write(try builder.archive(), to: output)
            }
            print("\(output): \(tag)")
        }
    }
}
