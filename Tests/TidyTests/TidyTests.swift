import Foundation
import Testing

/// The rules of the house that a machine can check. A rule that is broken names the file and the line.
@Suite struct TidyTests {
    static let longestLine = 120
    static let longestFunction = 70
    static let longestFile = 600

    /// Words that do not belong in what is shipped, with what to do instead.
    static let banned: [(word: String, instead: String)] = [
        ("try!", "throw, or handle the error"), ("as!", "use a conditional cast"),
        ("FIXME", "mend it, or file an issue"), ("TODO", "do it, or file an issue"),
        ("fatalError(", "return an error"), ("Task.detached", "use world.spawn"), (" Task {", "use world.spawn"),

        ("Task.sleep", "use world.sleep"), ("DispatchQueue", "use the world"), ("@MainActor", "use the world"),
        ("JSONDecoder", "use MartletObject.JSON"), ("DateFormatter", "use WallTime"),
    ]

    /// What a Swift file of a room may import beside the rooms that Package.swift gives it.
    static let bannedImports = ["Foundation", "FoundationEssentials", "Dispatch", "NIO"]
    /// Rooms that fill in the `Data` fields of generated messages, for which they need FoundationEssentials alone.
    static let messageRooms = ["MartletEtcdClient"]

    /// Who may say that the compiler need not check sharing between threads. Each says beside it what protects it.
    static let unchecked: Set<String> = [
        "Sources/MartletIO", "Sources/MartletHTTP", "Sources/MartletPKI", "Sources/MartletReplica",
        "Sources/MartletBase",
    ]

    // MARK: Rules

    @Test func linesAreShortEnough() {
        for file in Tree.swift + Tree.c where !file.isGenerated {
            for (number, line) in file.lines.enumerated() where line.count > Self.longestLine && !file.isTable {
                // A text that upstream says in one line stays one line in a test of it.
                if file.path.hasPrefix("Tests/") && line.contains("\"") { continue }
                Issue.record("\(file.path):\(number + 1) has \(line.count) columns, more than \(Self.longestLine)")
            }
        }
    }

    @Test func filesAreShortEnough() {
        for file in Tree.swift + Tree.c where !file.isGenerated && !file.isTable {
            if file.lines.count > Self.longestFile {
                Issue.record("\(file.path) has \(file.lines.count) lines, more than \(Self.longestFile): a wall is due")
            }
        }
    }

    @Test func functionsAreShortEnough() {
        for file in Tree.swift where !file.isGenerated {
            for function in file.functions where function.length > Self.longestFunction {
                Issue.record(
                    "\(file.path):\(function.line) \(function.length) lines in one function, more than \(Self.longestFunction)"
                )
            }
        }
    }

    /// `make fuzz` finds its tests by their names.
    @Test func fuzzTestsSaySo() {
        var count = 0
        for file in Tree.swift where file.path.hasPrefix("Tests/") {
            for (number, line) in file.code.enumerated() where line.contains("Fuzz.runs(") {
                count += 1
                let above = file.lines[..<number]
                let function = above.last {
                    $0.range(of: #"^ {0,4}[@a-z].*\bfunc |^ {0,4}func "#, options: .regularExpression) != nil
                }
                let suite = above.last {
                    $0.range(of: #"^(@|[a-z]).*\b(struct|class) "#, options: .regularExpression) != nil
                }
                let names = [function, suite].compactMap { $0?.components(separatedBy: "func ").last }
                if !names.contains(where: { $0.localizedCaseInsensitiveContains("fuzz") }) {
                    Issue.record("\(file.path):\(number + 1): the name of a test that runs at random has fuzz in it")
                }
            }
        }
        #expect(count > 20, "they are found at all")
    }

    @Test func bannedWordsDoNotAppear() {
        for file in Tree.sources where !file.isGenerated {
            for (number, line) in file.code.enumerated() {
                for (word, instead) in Self.banned where line.contains(word) {
                    Issue.record("\(file.path):\(number + 1) says \(word): \(instead)")
                }
            }
        }
    }

    @Test func librariesDoNotPrint() {
        for file in Tree.sources where !file.isGenerated {
            for (number, line) in file.code.enumerated()
            where line.range(of: #"\bprint\("#, options: .regularExpression) != nil {
                Issue.record("\(file.path):\(number + 1) prints; take a Logger")
            }
        }
    }

    @Test func foundationStaysOut() {
        for file in Tree.sources where !file.isGenerated {
            for (number, line) in file.code.enumerated() {
                guard let name = Tree.importedModule(line) else { continue }
                if name == "FoundationEssentials", Self.messageRooms.contains(file.room) { continue }
                if Self.bannedImports.contains(where: { name == $0 || name.hasPrefix($0 + "Core") }) {
                    Issue.record("\(file.path):\(number + 1) imports \(name), which has no place below the frontends")
                }
            }
        }
    }

    @Test func decisionsKnowNoClockNoSocketAndNoWaiting() {
        let decisions = [
            "MartletRaft", "MartletStore", "MartletScheduler", "MartletControllers", "MartletPods", "MartletRoutes",
        ]
        for file in Tree.sources where decisions.contains(file.room) {
            for (number, line) in file.code.enumerated() {
                for word in [
                    "await ", " async ", "SystemRandomNumberGenerator", ".random(in:", "ContinuousClock",
                ]
                where line.contains(word) && !line.contains("using:") {
                    Issue.record("\(file.path):\(number + 1) says \(word): a decision is a value that nobody waits for")
                }
            }
        }
    }

    @Test func importsPointDown() throws {
        let allowed = try Tree.packageRows()
        for file in Tree.sources where !file.isGenerated {
            let row = try #require(allowed[file.room], "\(file.path) is in no room of Package.swift")
            for (number, line) in file.code.enumerated() {
                guard let name = Tree.importedModule(line), name.hasPrefix("Martlet") || name.hasPrefix("CM") else {
                    continue
                }
                if !row.contains(name) {
                    Issue.record(
                        "\(file.path):\(number + 1) imports \(name), which its row in Package.swift does not name")
                }
            }
        }
    }

    @Test func uncheckedSharingIsNamedAndExplained() {
        for file in Tree.sources where !file.isGenerated {
            for (number, line) in file.code.enumerated()
            where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") {
                let isListed = Self.unchecked.contains { file.path.hasPrefix($0) }
                if !isListed {
                    Issue.record("\(file.path):\(number + 1) shares unchecked; its room is not on the list")
                }
                let above = file.lines[max(0, number - 8)...number].contains { $0.contains("//") }
                if !above { Issue.record("\(file.path):\(number + 1) does not say what protects it") }
            }
        }
    }

    @Test func everyPublicDeclarationIsDocumented() {
        let declaration =
            #"^\s*(public|open) (?!import|extension)[^=]*\b(func|struct|class|enum|actor|protocol|var|let|init|typealias|subscript|static)\b"#
        for file in Tree.sources where !file.isGenerated {
            for (number, line) in file.lines.enumerated()
            where line.range(of: declaration, options: .regularExpression) != nil {
                var above = number - 1
                while above >= 0, file.lines[above].trimmingCharacters(in: .whitespaces).hasPrefix("@") { above -= 1 }
                let text = above >= 0 ? file.lines[above].trimmingCharacters(in: .whitespaces) : ""
                let isWitness = file.conformances.contains { line.contains($0) }
                if !text.hasPrefix("///") && !text.hasSuffix("*/") && !isWitness {
                    Issue.record("\(file.path):\(number + 1) is public and says nothing of itself")
                }
            }
        }
    }

    @Test func everyRoomAndProgramIsInTheArchitecturePage() throws {
        let page = try Tree.read("docs/ARCHITECTURE.md")
        for room in Set(Tree.swift.filter { !$0.path.hasPrefix("Tests") && !$0.path.hasPrefix("docs") }.map(\.room)) {
            if room == "Package.swift" || page.contains("`\(room)`") { continue }
            Issue.record("docs/ARCHITECTURE.md does not tell what lives in \(room)")
        }
    }

    @Test func theTopLevelIsAsPrescribed() throws {
        let folders = ["CSources", "Frontends", "Sources", "Tests", "docs"]
        let files = [
            "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "Package.resolved", "Package.swift", "README.md",
        ]
        for name in try FileManager.default.contentsOfDirectory(atPath: Tree.root) where !name.hasPrefix(".") {
            if !folders.contains(name) && !files.contains(name) {
                Issue.record("\(name) does not belong at the top level")
            }
        }
    }

    @Test func theChangelogBeginsWithWhatIsUnreleased() throws {
        let text = try Tree.read("CHANGELOG.md")
        #expect(text.contains("## Unreleased"))
    }
}
