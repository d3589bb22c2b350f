/// Who has said what a setting is: a flag goes before a variable of the environment, that before the file, and the file
/// before what holds when nobody speaks. A list is replaced whole.
public struct Layers: Sendable {
    /// Where a value comes from.
    public enum Origin: Sendable, Hashable, CustomStringConvertible {
        /// The command line.
        case flag
        /// A variable of the environment.
        case environment(String)
        /// A line of the file.
        case file(String, line: Int)
        /// Nobody.
        case standard

        /// As `martlet config show` says it.
        public var description: String {
            switch self {
            case .flag: "flag"
            case .environment(let name): "$\(name)"
            case .file(let path, let line): "\(path):\(line)"
            case .standard: "default"
            }
        }
    }

    /// A setting's values, and who says them.
    public struct Choice: Sendable, Hashable {
        /// What is set.
        public var setting: Setting
        /// Empty for a default that is made at the start.
        public var values: [String]
        /// Who says so.
        public var origin: Origin
    }

    /// A choice for each setting, in their order.
    public private(set) var choices: [Choice] = []
    /// What is wrong with variables.
    public private(set) var faults: [String] = []

    /// - Parameters:
    ///   - words: the command line.
    ///   - environment: the value of a variable.
    public init(
        _ program: SettingGroups, words: [String], environment: (String) -> String?, file: ConfigurationFile?
    ) {
        let given = Set(words.prefix { $0 != "--" }.map { String($0.prefix { $0 != "=" }) })
        var seen: Set<String> = []
        for setting in program.settings where seen.insert(setting.name).inserted {
            if setting.spellings.contains(where: given.contains) {
                choices.append(Choice(setting: setting, values: setting.values(in: words), origin: .flag))
            } else if let text = environment(setting.variable), !text.isEmpty {
                take(text, for: setting, program)
            } else if let file, let entry = file.entries[setting.name] {
                choices.append(
                    Choice(setting: setting, values: entry.values, origin: .file(file.path, line: entry.line)))
            } else {
                choices.append(Choice(setting: setting, values: [], origin: .standard))
            }
        }
    }

    /// The words that say to a parser what variables and file say.
    public var arguments: [String] {
        choices.flatMap { $0.values.isEmpty || $0.origin == .flag ? [] : $0.setting.arguments($0.values) }
    }

    private mutating func take(_ text: String, for setting: Setting, _ program: SettingGroups) {
        var values = [text]
        switch setting.form {
        case .list: values = text.split(separator: ",").map { String($0.drop { $0 == " " }) }
        case .truth:
            let words = ["true": "true", "1": "true", "yes": "true", "false": "false", "0": "false", "no": "false"]
            guard let word = words[text.lowercased()] else {
                return faults.append("$\(setting.variable) is true or false, and not \"\(text)\"")
            }
            values = [word]
        case .text: break
        }
        if let why = program.refusal(of: values, for: setting.name) {
            return faults.append("$\(setting.variable): \(why)")
        }
        choices.append(Choice(setting: setting, values: values, origin: .environment(setting.variable)))
    }
}
