import ArgumentParser
import Foundation
import HTTPTypes
import Martlet
import MartletBase
import MartletFrontend
import MartletIO
import MartletPKI

/// `martlet pki`
struct PKI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pki", abstract: "The certificates of a cluster.",
        subcommands: [Status.self, Rotate.self, Import.self])

    /// `martlet pki status`
    struct Status: ConfiguredCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists every certificate with its days left, and says how far a rotation is.",
            discussion: "On a worker, and with --this-machine, those of this machine alone.")
        static var settings: SettingGroups { .local }

        @OptionGroup var data: DataOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var form: OutputOptions
        @Flag(help: "List those of this machine only, out of its data folder.") var thisMachine = false

        func run() async throws {
            var connection = connection
            let ownKubeconfig = data.path + "/admin.kubeconfig"
            if connection.kubeconfig == nil, Files.exists(ownKubeconfig) { connection.kubeconfig = ownKubeconfig }
            guard !thisMachine, (try? connection.target()) != nil else { return try own(data.path) }
            let form = form.output
            try await connection.withClient { client, world in
                let answer = try await client.ask(.get, "/martlet/v1/pki")
                if form == .json { return printJSON(answer) }
                print(RotationText.line(answer["rotation"] ?? .null))
                print("")
                let rows = CertificateRow.all(answer, at: world.wallTime()).map { [$0.machine] + $0.cells }
                print(Columns.text([["MACHINE"] + CertificateRow.heading] + rows))
            }
        }

        private func own(_ directory: String) throws {
            let reactor = try Reactor(name: "martlet-cli")
            defer { reactor.shutdown() }
            let folder = directory + "/pki"
            guard let walk = FileManager.default.enumerator(atPath: folder) else {
                throw ValidationError("\(folder) cannot be read; give the data folder with --data-dir")
            }
            var rows: [CertificateRow] = []
            for case let name as String in walk where name.hasSuffix(".crt") {
                for pem in PEM.blocks("CERTIFICATE", in: try Files.read("\(folder)/\(name)")) {
                    let info = try CertificateInfo(pem: pem)
                    rows.append(
                        CertificateRow(
                            machine: "", file: name, of: info.commonName, from: info.notBefore, until: info.notAfter,
                            isAuthority: info.isCA, now: reactor.wallTime()))
                }
            }
            print(Columns.text([CertificateRow.heading] + rows.sorted { $0.file < $1.file }.map(\.cells)))
        }
    }
}

/// A certificate as it is listed.
struct CertificateRow {
    /// An authority that lives no longer than this wants a rotation.
    static let authorityWarning: Int64 = 90
    static let heading = ["CERTIFICATE", "OF", "UNTIL", "DAYS LEFT", "STATE"]

    var machine: String
    var file: String
    var of: String
    var from: WallTime
    var until: WallTime
    var isAuthority: Bool
    var now: WallTime

    /// What the machines of a cluster have told.
    static func all(_ answer: JSON, at now: WallTime) -> [CertificateRow] {
        (answer["machines"]?.array ?? []).flatMap { machine in
            (machine["certificates"]?.array ?? []).map { certificate in
                func time(_ field: String) -> WallTime {
                    certificate[field]?.string.flatMap { WallTime(rfc3339: $0) } ?? WallTime(seconds: 0)
                }
                return CertificateRow(
                    machine: machine["machine"]?.string ?? "", file: certificate["file"]?.string ?? "",
                    of: certificate["commonName"]?.string ?? "", from: time("from"), until: time("until"),
                    isAuthority: certificate["authority"]?.bool ?? false, now: now)
            }
        }
    }

    var daysLeft: Int64 { (until.seconds - now.seconds) / 86_400 }

    /// Whether somebody should look: it ends soon, and was not renewed by itself.
    var isNearExpiry: Bool {
        if isAuthority { return daysLeft < Self.authorityWarning }
        // Renewal comes at two thirds; a sixth of its life later it should have come.
        return now >= from + .seconds((until.seconds - from.seconds) / 6 * 5)
    }

    var state: String {
        if until <= now { return "expired" }
        if now < from { return "not valid yet: compare clocks" }
        if isAuthority { return isNearExpiry ? "authority: martlet pki rotate ca" : "authority" }
        return isNearExpiry ? "not renewed: see the log of martletd" : "good"
    }

    var cells: [String] { [file, of, until.rfc3339, "\(daysLeft)", state] }

    var json: JSON {
        [
            "machine": .string(machine), "file": .string(file), "commonName": .string(of),
            "until": .string(until.rfc3339), "daysLeft": .int(daysLeft), "state": .string(state),
        ]
    }
}
