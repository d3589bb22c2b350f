import ArgumentParser
import Foundation
import Martlet
import MartletFrontend

/// `martlet config`
struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The configuration file of this machine, and what it comes to.", subcommands: [Show.self, Check.self])

    /// `martlet config check`
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says all that is wrong with a configuration file.",
            discussion: "Ends with 0 when nothing is, and with 1 and a line FILE:LINE: WHAT for each fault else.")
        @Argument(help: "The file. (default: the one that martletd would read)") var file: String?

        func run() async throws {
            guard let path = try file ?? Configured.path([]) else {
                return print("there is no \(ConfigurationFile.standardPath); nothing to check")
            }
            let checked = try ConfigurationFile(path: path, programs: SettingGroups.all)
            let faults = checked.faults + checked.planFaults
            for fault in faults { print(checked.text(fault)) }
            guard faults.isEmpty else { throw ExitCode(1) }
            print("\(path) is good: \(checked.entries.count) settings")
        }
    }

    /// `martlet config show`
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: """
                Shows what is set, and where: by a flag that init or join handed on to the daemon, a variable of the \
                environment, or a line of the file.
                """,
            discussion: """
                Flags of a daemon that was started by hand, and what init and join have written (machine.json), are \
                not shown here.
                """)
        @OptionGroup var file: ConfigurationOptions
        @Option(name: .customLong("data-dir"), help: "The folder of all state. (default: as it is set)")
        var dataDirectory: String?
        @OptionGroup var form: OutputOptions
        @Flag(help: "Show what nobody has set, too, with the defaults that are known beforehand.") var all = false

        func run() async throws {
            var known = try configuration(file.asked.map { ["--config", $0] } ?? [])
            let service = Service(dataDirectory: try dataDirectory ?? folder(known))
            let flags = service.usedArguments
            if file.asked == nil { known = try configuration(flags) }
            var seen: Set<String> = []
            var rows: [(name: String, value: String, origin: String, programs: String)] = []
            var faults = known?.report ?? []
            for program in SettingGroups.all {
                let layers = Layers(
                    program, words: program.program == "martletd" ? flags : [],
                    environment: { ProcessInfo.processInfo.environment[$0] }, file: known)
                faults += layers.faults.filter { !faults.contains($0) }
                for choice in layers.choices where all || choice.origin != .standard {
                    guard seen.insert(choice.setting.name).inserted else { continue }
                    let values = choice.origin == .standard ? [choice.setting.standard ?? "-"] : choice.values
                    let isHandedOn = choice.origin == .flag
                    let users = SettingGroups.all.filter { $0.settings.contains { $0.name == choice.setting.name } }
                    rows.append(
                        (
                            choice.setting.name, values.joined(separator: ","),
                            isHandedOn ? service.argumentsFile : "\(choice.origin)",
                            isHandedOn ? program.program : users.map(\.program).joined(separator: ", ")
                        ))
                }
            }
            if form.output == .json {
                printJSON(
                    .array(
                        rows.map { ["name": .string($0.name), "value": .string($0.value), "from": .string($0.origin)] })
                )
            } else {
                print(
                    Columns.text(
                        [["SETTING", "VALUE", "FROM", "READ BY"]]
                            + rows.map { [$0.name, $0.value, $0.origin, $0.programs] }))
            }
            for fault in faults { Console.complain(fault) }
            if !faults.isEmpty { throw ExitCode(1) }
        }

        /// The file that a command line with these words reads.
        private func configuration(_ words: [String]) throws -> ConfigurationFile? {
            try Configured.path(words).map { try ConfigurationFile(path: $0, programs: SettingGroups.all) }
        }

        /// The folder of all state, as a variable or the file sets it.
        private func folder(_ file: ConfigurationFile?) throws -> String {
            let layers = Layers(
                .local, words: [], environment: { ProcessInfo.processInfo.environment[$0] }, file: file)
            let choice = layers.choices.first { $0.setting.name == "data-dir" }
            guard let folder = choice?.values.first ?? choice?.setting.standard else {
                throw ValidationError("--data-dir is missing")
            }
            return folder
        }
    }
}
