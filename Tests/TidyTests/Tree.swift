import Foundation

/// The project's files, as the tidy tests look at them.
enum Tree {
    static let root: String = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    static let swift = files(in: ["Sources", "Frontends", "Tests", "docs"], ending: ["swift"])
    static let c = files(in: ["CSources"], ending: ["c", "h"])
    /// What is linked into users' programs.
    static var sources: [SourceFile] { swift.filter { $0.path.hasPrefix("Sources/") } }

    static func read(_ path: String) throws -> String {
        try String(contentsOfFile: root + "/" + path, encoding: .utf8)
    }

    private static func files(in folders: [String], ending: [String]) -> [SourceFile] {
        folders.flatMap { folder -> [SourceFile] in
            let names = FileManager.default.enumerator(atPath: root + "/" + folder)?.compactMap { $0 as? String } ?? []
            return names.filter { name in ending.contains { name.hasSuffix("." + $0) } }.sorted().compactMap { name in
                (try? read("\(folder)/\(name)")).map { SourceFile(path: "\(folder)/\(name)", text: $0) }
            }
        }
    }

    /// The module that a line imports, if it is an import.
    static func importedModule(_ line: String) -> String? {
        let words = line.split(separator: " ")
        guard let index = words.firstIndex(of: "import"), index <= 1, words.count > index + 1 else { return nil }
        return words[words.count - 1].split(separator: ".").first.map(String.init)
    }

    /// What each room's row in Package.swift lets it import.
    static func packageRows() throws -> [String: Set<String>] {
        let text = try read("Package.swift")
        let pattern = #/(?:room\(\s*|name: )"(?<name>\w+)",\s*(?:dependencies: )?\[(?<list>[^\]]*)\]/#
        var rows: [String: Set<String>] = [:]
        for match in text.matches(of: pattern) {
            let names = match.list.matches(of: #/"(\w+)"/#).map { String($0.1) }
            rows[String(match.name)] = Set(names)
        }
        return rows
    }
}

/// One source file.
struct SourceFile {
    let path: String
    let lines: [String]
    /// The lines without comments and without the insides of texts.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        code = lines.map { line in
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.hasPrefix("//") || trimmed.hasPrefix("*") || trimmed.hasPrefix("/*") { return "" }
            let bare = line.replacing(#/"(\\.|[^"\\])*"/#, with: "\"\"")
            return bare.range(of: " //").map { String(bare[..<$0.lowerBound]) } ?? bare
        }
    }

    /// `MartletRaft` of `Sources/MartletRaft/Log.swift`.
    var room: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : String(parts.last ?? "")
    }
    /// Written by a tool from a file of ours.
    var isGenerated: Bool { path.contains("/Generated/") }
    /// Nothing but data.
    var isTable: Bool { path.contains("/Tables/") }

    /// Names of methods whose meaning the protocol they fulfil has told already.
    var conformances: [String] {
        [
            "func handle(", "func read(atMost", "func write(_ bytes", "func closeWrite(", "func close(", "var peer",
            "var description", "func hash(", "static func ==", "static func <", "func next(", "func append(_ records",
            "func read(from", "func truncateSuffix", "func truncatePrefix", "var bounds", "func accept(",
            "var endpoint",
            "func version(", "func unmetConditions(", "func runSandbox(", "func stopSandbox(", "func removeSandbox(",
            "func listSandboxes(", "func createContainer(", "func startContainer(", "func stopContainer(",
            "func removeContainer(", "func listContainers(", "func execSync(", "func imageID(", "func pullImage(",
            "func send(", "func now(", "func wallTime(", "func sleep(until", "func random(", "func connect(to",
            "func listen(on", "var executor", "func enqueue(",
        ]
    }

    /// The functions by line and length, read by their indentation (`swift format` keeps it true).
    var functions: [(line: Int, length: Int)] {
        var found: [(Int, Int)] = []
        for (number, line) in code.enumerated() {
            guard
                line.range(of: #"\b(func|init)\b[^"]*\{\s*$"#, options: .regularExpression) != nil
                    || (line.range(of: #"\b(func \w+|init)[<(?]"#, options: .regularExpression) != nil
                        && !line.contains("}"))
            else { continue }
            let indent = line.prefix { $0 == " " }.count
            let end = lines[(number + 1)...].firstIndex {
                $0.prefix { $0 == " " }.count == indent && $0.trimmingCharacters(in: .whitespaces) == "}"
            }
            // A requirement of a protocol has no body: the next line of the same depth is another declaration.
            let next = lines[(number + 1)...].firstIndex {
                $0.prefix { $0 == " " }.count <= indent && !$0.trimmingCharacters(in: .whitespaces).isEmpty
                    && !$0.trimmingCharacters(in: .whitespaces).hasPrefix(")")
                    && !$0.trimmingCharacters(in: .whitespaces).hasPrefix("{")
            }
            guard let end, next == end else { continue }
            found.append((number + 1, end - number + 1))
        }
        return found
    }
}
