import ArgumentParser
import Martlet
import MartletFrontend
import MartletIO
import MartletPKI

/// `martlet pki import`
struct Import: ConfiguredCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes over the authorities of a cluster that kubeadm or kubetool made, before martlet init.",
        discussion: """
            DIR is kubeadm's /etc/kubernetes/pki, or the YAML file that kubetool wrote. martlet init --pki DIR does \
            both at once. Nothing of DIR is changed.
            """)
    static var settings: SettingGroups { .local }

    @OptionGroup var data: DataOptions
    @Argument(help: "The folder with ca.crt and ca.key, or kubetool's YAML file.") var directory: String
    @Flag(help: "Look only; take over nothing.") var check = false

    func run() async throws {
        let reactor = try Reactor(name: "martlet-cli")
        defer { reactor.shutdown() }
        let foreign = try Self.read(directory, in: reactor)
        for line in Self.describe(foreign) { print(line) }
        if check { return }
        let machine = MachineFile(roles: [.gateway, .controlPlane], nodeName: "", nodeAddress: "")
        try Joining(dataDirectory: data.path, machine: machine).takeOver(foreign)
        print("taken over into \(data.path)/pki; begin the cluster with martlet init")
    }

    /// - Throws: ``Refusal`` with each fault on a line of its own.
    static func read(_ path: String, in world: Reactor) throws -> ForeignPKI {
        do { return try ForeignPKI(readingFrom: path, now: world.wallTime()) } catch {
            throw Refusal(
                "\(path) cannot be taken over:\n  " + error.description.split(separator: "\n").joined(separator: "\n  ")
            )
        }
    }

    static func describe(_ foreign: ForeignPKI) -> [String] {
        let there = foreign.files.filter { $0.name.hasSuffix(".crt") }.compactMap { file -> String? in
            guard let info = try? CertificateInfo(pem: file.bytes) else { return nil }
            return "\(file.name): \(info.commonName), good until \(info.notAfter.rfc3339)"
        }
        return there + ["sa.key: signs service account tokens"]
            + foreign.missing.map { "\($0): not there, made anew" }
    }
}
