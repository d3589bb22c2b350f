internal import Martlet
internal import MartletIO
internal import MartletObject

/// The configuration file of a machine: YAML, a mapping of settings to values, read by `martletd` and by `martlet init`
/// and `join`. All faults are found at once.
public struct ConfigurationFile: Sendable {
    /// Where it is looked for when nobody says.
    public static let standardPath = "/etc/martlet/martlet.yaml"
    /// Files above this many bytes are refused: it is not what it is taken for.
    static let maximumBytes = 1 << 20

    /// What a key is set to, and where.
    public struct Entry: Sendable, Hashable {
        /// One for all but lists.
        public var values: [String]
        /// The first is 1.
        public var line: Int
    }

    /// What is wrong with a line.
    public struct Fault: Sendable, Hashable {
        /// The first is 1.
        public var line: Int
        /// What it is, and what to do.
        public var message: String
    }

    /// The file's path.
    public let path: String
    /// The keys that are good.
    public private(set) var entries: [String: Entry] = [:]
    /// All that is not, in the order of the lines.
    public private(set) var faults: [Fault] = []

    /// Reads a file.
    /// - Throws: ``ConfigurationUnreadable``.
    public init(path: String, programs: [SettingGroups]) throws {
        let bytes: [UInt8]
        do { bytes = try Files.read(path) } catch {
            throw ConfigurationUnreadable(
                "\(path): \(error); make it readable, or name another one with --config (none: no file)")
        }
        self.init(path: path, text: bytes, programs: programs)
    }

    /// Reads the text of a file.
    public init(path: String, text: [UInt8], programs: [SettingGroups]) {
        self.path = path
        guard text.count <= Self.maximumBytes else {
            refuse(1, "it has \(text.count) bytes, more than \(Self.maximumBytes): is it a configuration?")
            return
        }
        var duplicates: [String] = []
        var places = YAMLPlaces()
        let json: JSON
        do { json = try JSON(yaml: text, duplicates: &duplicates, places: &places) } catch {
            refuse(error.line, error.message + (error.bracket.isEmpty ? "" : "; is \(error.bracket) closed?"))
            return
        }
        for text in duplicates { refuseDuplicate(text) }
        switch json {
        case .null: break
        case .object: for member in json.members { read(member.key, member.value, places, programs) }
        default: refuse(1, "the file is a mapping: write lines of KEY: VALUE, as node-name: worker1")
        }
        faults.sort { ($0.line, $0.message) < ($1.line, $1.message) }
    }

    /// The faults, a line each, as compilers tell theirs.
    public var report: [String] { faults.map(text) }

    /// What cannot be together in a cluster that is begun with this file; the faults of single lines are in ``faults``.
    public var planFaults: [Fault] {
        let ranges = ["pod-cidr", "service-cidr"].map { entries[$0] }
        guard let line = ranges.compactMap({ $0?.line }).first,
            let why = AddressPlan.fault(podCIDR: ranges[0]?.values.first, serviceCIDR: ranges[1]?.values.first)
        else { return [] }
        return [Fault(line: line, message: why)]
    }

    /// A fault as compilers tell theirs.
    public func text(_ fault: Fault) -> String { "\(path):\(fault.line): \(fault.message)" }

    private mutating func refuse(_ line: Int, _ message: String) {
        faults.append(Fault(line: line, message: message))
    }

    /// `line 3: key "a" already set in map`
    private mutating func refuseDuplicate(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 3)
        guard words.count == 4, let line = Int(words[1].dropLast()) else { return refuse(1, text) }
        refuse(line, "key \(words[3].prefix { $0 != " " }) is set a second time; keep one of the two")
    }

    private mutating func read(
        _ key: String, _ value: JSON, _ places: YAMLPlaces, _ programs: [SettingGroups]
    ) {
        let line = places.keys[key] ?? 1
        guard let setting = programs.lazy.compactMap({ $0.setting(key) }).first else {
            let known = Set(programs.flatMap { $0.settings.map(\.name) })
            let hint = Suggestion.nearest(to: key, among: known).map { "; did you mean \($0)?" }
            return refuse(line, "unknown key \(key)" + (hint ?? "; martlet config show --all lists the keys"))
        }
        let elements = places.elements[key] ?? []
        guard let texts = texts(of: value, for: setting, line: line, elements) else { return }
        let count = faults.count
        for (index, text) in texts.enumerated() {
            let place = index < elements.count ? elements[index] : line
            if let why = programs.lazy.compactMap({ $0.refusal(of: [text], for: key) }).first {
                refuse(place, "\(key): \(Self.plain(why))")
            }
        }
        if faults.count == count { entries[key] = Entry(values: texts, line: line) }
    }

    /// The values as a flag would get them; nil, and a fault, when they are of the wrong type.
    private mutating func texts(of value: JSON, for setting: Setting, line: Int, _ elements: [Int]) -> [String]? {
        switch (setting.form, value) {
        case (.truth, .bool(let truth)): return [truth ? "true" : "false"]
        case (.truth, _):
            refuse(line, "\(setting.name) is true or false, and not \(Self.shown(value))")
        case (.list, .array(let members)):
            var texts: [String] = []
            for (index, member) in members.enumerated() {
                if let text = Self.scalar(member) {
                    texts.append(text)
                } else {
                    let place = index < elements.count ? elements[index] : line
                    refuse(place, "\(setting.name): an element is text, and not \(Self.shown(member))")
                }
            }
            return texts.count == members.count ? texts : nil
        case (_, .array) where setting.form == .text:
            refuse(line, "\(setting.name) takes one value, and not a list")
        default:
            if let text = Self.scalar(value) { return [text] }
            refuse(
                line,
                "\(setting.name) takes \(setting.form == .list ? "a list" : "a value"), and not "
                    + Self.shown(value))
        }
        return nil
    }

    private static func scalar(_ value: JSON) -> String? {
        switch value {
        case .string(let text): text
        case .int(let number): String(number)
        case .bool(let truth): truth ? "true" : "false"
        case .double(let number): number.description
        case .null, .array, .object: nil
        }
    }

    private static func shown(_ value: JSON) -> String {
        switch value {
        case .null: "nothing"
        case .array: "a list"
        case .object: "a mapping"
        case .string(let text): "the text \"\(text)\""
        default: scalar(value) ?? "this"
        }
    }

    /// `The value 'x' is invalid for '--node-listen <node-listen>': WHY` without the flag, which the line names.
    private static func plain(_ message: String) -> String {
        guard message.hasPrefix("The value '"), let end = message.firstRange(of: "' is invalid for '--") else {
            return message
        }
        let value = message[message.index(message.startIndex, offsetBy: "The value '".count)..<end.lowerBound]
        let rest = message[end.upperBound...]
        // Behind the flag's closing quote: a reason after a colon, or the words there are after a full stop.
        guard let quote = rest.firstIndex(of: "'") else { return message }
        let reason = rest[rest.index(after: quote)...]
        if reason.hasPrefix(": ") { return String(reason.dropFirst(2)) }
        return "\(value) is not valid" + (reason.hasPrefix(". ") ? ". " + reason.dropFirst(2) : "")
    }
}

/// Why the configuration cannot be used at all.
public struct ConfigurationUnreadable: Error, CustomStringConvertible {
    /// One line for people, which names the file and says what to do.
    public var description: String
    init(_ description: String) { self.description = description }
}
