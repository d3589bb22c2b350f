internal import ArgumentParser
internal import MartletObject

/// One thing that an operator can set: by a flag, by a variable of the environment, or by a line of the configuration
/// file. It is declared once, as a flag of an option group; the other two follow from its name.
public struct Setting: Sendable, Hashable {
    /// What its values look like.
    public enum Form: Sendable, Hashable {
        /// A flag without a value: true or false.
        case truth
        /// One value, which the flag reads from text.
        case text
        /// Any number of values.
        case list
    }

    /// The flag without its dashes: the key in the file.
    public var name: String
    /// What it takes.
    public var form: Form
    /// What the flag's help says.
    public var help: String
    /// What holds when nobody sets it; nil when the help says it, or there is nothing.
    public var standard: String?
    /// Whether `--no-NAME` sets it to false.
    public var hasInverse = false
    /// Further names of the flag.
    var aliases: [String] = []

    /// The variable of the environment.
    public var variable: String {
        "MARTLET_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Every spelling of the flag.
    var spellings: [String] { ["--" + name] + (hasInverse ? ["--no-" + name] : []) + aliases }

    /// The words of a command line that set it to `values`.
    func arguments(_ values: [String]) -> [String] {
        switch form {
        case .truth:
            if values == ["true"] { return ["--" + name] }
            return hasInverse ? ["--no-" + name] : []
        case .text, .list: return values.map { "--\(name)=\($0)" }
        }
    }

    /// What the flags of a command line set it to.
    func values(in words: [String]) -> [String] {
        var values: [String] = []
        for (index, word) in words.enumerated() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard spellings.contains(parts[0]) else { continue }
            switch form {
            case .truth: values = [parts[0] == "--no-" + name ? "false" : "true"]
            case .text, .list:
                guard let value = parts.count > 1 ? parts[1] : words.dropFirst(index + 1).first else { continue }
                values = form == .list ? values + [value] : [value]
            }
        }
        return values
    }

    /// The settings that a group of flags declares, in its order.
    static func declared(by group: any ParsableArguments.Type) -> [Setting] {
        // The parser tells of its flags in JSON only: what it offers to those who make manuals and completions.
        guard let described = try? JSON(parsing: Array(group._dumpHelp().utf8)) else { return [] }
        var settings: [Setting] = []
        for argument in described["command", "arguments"]?.array ?? [] {
            guard let name = argument["preferredName", "name"]?.string, name != "help",
                let kind = argument["kind"]?.string, kind != "positional"
            else { continue }
            if name.hasPrefix("no-"), let place = settings.firstIndex(where: { "no-" + $0.name == name }) {
                settings[place].hasInverse = true
                continue
            }
            let form: Form = kind == "flag" ? .truth : argument["isRepeating"]?.bool == true ? .list : .text
            var setting = Setting(name: name, form: form, help: argument["abstract"]?.string ?? "")
            setting.standard = argument["defaultValue"]?.string
            setting.aliases = (argument["names"]?.array ?? []).compactMap { other in
                guard let text = other["name"]?.string, text != name, text != "no-" + name else { return nil }
                return (other["kind"]?.string == "long" ? "--" : "-") + text
            }
            setting.hasInverse = (argument["names"]?.array ?? []).contains { $0["name"]?.string == "no-" + name }
            settings.append(setting)
        }
        return settings
    }
}
