public import ArgumentParser

#if canImport(Glibc)
internal import Glibc
#endif

/// What goes to the terminal. Each line comes behind all that was printed before it, also where both outputs go to one
/// pipe, in which what is printed waits for more.
public enum Console {
    /// A line on the standard output, at once.
    public static func say(_ line: String) { write(line, to: STDOUT_FILENO) }

    /// A line on the standard error output.
    public static func complain(_ line: String) { write("error: " + line, to: STDERR_FILENO) }

    private static func write(_ line: String, to descriptor: Int32) {
        flush()
        let bytes = Array((line + "\n").utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }

    private static func flush() { _ = fflush(nil) }

    /// Runs a program; what it throws is told on the standard error output.
    public static func run<Command: AsyncParsableCommand>(_ command: Command.Type, _ words: [String]) async {
        do {
            var parsed = try command.parseAsRoot(words)
            if var waiting = parsed as? any AsyncParsableCommand { try await waiting.run() } else { try parsed.run() }
        } catch {
            flush()
            command.exit(withError: error)
        }
    }
}
