import ArgumentParser
import Martlet

/// In which form a command answers.
struct OutputOptions: ParsableArguments {
    /// A form.
    enum Form: String, CaseIterable, ExpressibleByArgument {
        /// For people.
        case table
        /// For programs.
        case json
    }

    @Option(name: .shortAndLong, help: "The form.") var output = Form.table
}

/// Text in columns.
enum Columns {
    static func text(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count + 3)
            }.joined()
        }.joined(separator: "\n")
    }
}

/// Prints an object for programs.
func printJSON(_ json: JSON) { print(String(decoding: json.encoded(), as: UTF8.self)) }
