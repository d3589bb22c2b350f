public import ArgumentParser
internal import MartletIO

#if canImport(Glibc)
internal import Glibc
#endif

/// The flag that names the configuration file.
public struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: """
            The configuration file; "none" for none. (default: $MARTLET_CONFIG, else \
            \(ConfigurationFile.standardPath) where it is there)
            """)
    var path: String?

    /// As the command line gives them.
    public init() {}

    /// The file that the command line asks for, to be handed on to the daemon; nil when it does not say.
    public var asked: String? { path }
}

/// Command lines to which variables and the configuration file have been added.
public enum Configured {
    /// Runs a program: what its command line does not say, variables and the file say.
    public static func main<Command: AsyncParsableCommand>(_ command: Command.Type, groups: SettingGroups) async {
        let words = Array(CommandLine.arguments.dropFirst())
        do { await Console.run(command, try arguments(for: groups, words)) } catch { command.exit(withError: error) }
    }

    /// The words of a command line, with those before them that variables and the file stand for.
    /// - Throws: `ExitCode` after a line for each fault on the standard error output.
    public static func arguments(for groups: @autoclosure () -> SettingGroups, _ words: [String]) throws -> [String] {
        if words.contains(where: { ["--help", "-h", "--version", "--help-hidden"].contains($0) }) { return words }
        let variables = ProcessVariables()
        let path = try path(words, variables)
        // Most starts have neither: then nothing has to be looked up.
        guard path != nil || variables.hasAny(prefix: "MARTLET_") else { return words }
        let file = try path.map { try ConfigurationFile(path: $0, programs: SettingGroups.all) }
        let layers = Layers(groups(), words: words, environment: { variables[$0] }, file: file)
        let faults = (file?.report ?? []) + layers.faults
        guard faults.isEmpty else {
            for fault in faults { Console.complain(fault) }
            throw ExitCode(1)
        }
        return layers.arguments + words
    }

    /// The file that is read: the one that is named, else the usual one where it is there.
    /// - Throws: `ValidationError` when the flag has no value.
    public static func path(_ words: [String]) throws -> String? { try path(words, ProcessVariables()) }

    private static func path(_ words: [String], _ variables: ProcessVariables) throws -> String? {
        var named = variables["MARTLET_CONFIG"]
        for (index, word) in words.enumerated() {
            if word.hasPrefix("--config=") { named = String(word.dropFirst("--config=".count)) }
            guard word == "--config" else { continue }
            guard index + 1 < words.count else { throw ValidationError("--config needs a file") }
            named = words[index + 1]
        }
        if named == "none" || named == "" { return nil }
        if let named { return named }
        return Files.exists(ConfigurationFile.standardPath) ? ConfigurationFile.standardPath : nil
    }
}
