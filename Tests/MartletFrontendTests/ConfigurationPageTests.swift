import Foundation
import Testing

@testable import MartletFrontend

/// `docs/configuration.md` has its table from the flags themselves. `make configuration` writes it anew.
@Suite("The page on the configuration") struct ConfigurationPageTests {
    private static let file = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("docs/configuration.md")
    private static let mark = "| Key | Kind | Read by | What |\n"

    @Test func theTableSaysWhatTheFlagsSay() throws {
        let written = try String(contentsOf: Self.file, encoding: .utf8)
        let head = try #require(written.range(of: Self.mark), "docs/configuration.md has lost its table")
        let page = written[..<head.lowerBound] + Self.table()
        if ProcessInfo.processInfo.environment["MARTLET_UPDATE_DOCS"] != nil {
            try page.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let now = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(now == page, "docs/configuration.md is behind the flags: make configuration")
    }

    @Test func theExampleIsGood() throws {
        let page = try String(contentsOf: Self.file, encoding: .utf8)
        let begin = try #require(page.range(of: "```yaml\n"))
        let end = try #require(page.range(of: "```", range: begin.upperBound..<page.endIndex))
        let example = ConfigurationFile(
            path: "example", text: Array(page[begin.upperBound..<end.lowerBound].utf8), programs: SettingGroups.all)
        #expect(example.report == [])
        #expect(example.entries.count >= 5)
    }

    private static func table() -> String {
        var table = mark + "|---|---|---|---|\n"
        var seen: Set<String> = []
        for setting in SettingGroups.all.flatMap(\.settings) where seen.insert(setting.name).inserted {
            let readers = SettingGroups.all.filter { $0.settings.contains { $0.name == setting.name } }.map(\.program)
            let kind =
                switch setting.form {
                case .truth: "true, false"
                case .text: "value"
                case .list: "list"
                }
            var what = setting.help.split(whereSeparator: \.isNewline).joined(separator: " ")
            if let standard = setting.standard, !what.contains("(default:") { what += " (default: \(standard))" }
            what = what.replacingOccurrences(of: "|", with: "\\|")
            table += "| `\(setting.name)` | \(kind) | \(readers.joined(separator: ", ")) | \(what) |\n"
        }
        return table
    }
}
