internal import MartletObject

/// What the CNI plugin `martlet-cni` does for one call, without doing it: a program runs the actions and feeds their
/// outcomes back until there is an answer.
///
/// The pod's network is made by the standard plugins `bridge` (with `host-local`) and `portmap`; this one says in which
/// order, with which configuration, and what is undone when one of them fails. It follows CNI 1.1.0, and speaks the
/// older versions that runtimes still use.
public struct CNIPlugin: Sendable {
    /// CNI versions that are spoken, oldest first.
    public static let supportedVersions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    /// The longest configuration that is read.
    public static let inputLimit = 1 << 20

    /// One run of another plugin.
    public struct Call: Sendable, Hashable {
        /// Name of the program, looked for in `CNI_PATH`.
        public var plugin: String
        /// All `CNI_` variables.
        public var environment: [String: String]
        /// What it reads.
        public var input: [UInt8]
    }

    /// What is to be done next.
    public enum Action: Sendable, Hashable {
        /// Run a plugin; go on with ``CNIPlugin/Outcome/ran(status:output:)``.
        case run(Call)
        /// Read the files of a folder that are named after addresses; go on with
        /// ``CNIPlugin/Outcome/reservations(_:)``. An absent folder is an empty one.
        case listReservations(directory: String)
        /// Look for programs in `CNI_PATH`; go on with ``CNIPlugin/Outcome/missing(_:)``.
        case findPrograms([String])
        /// Print and exit.
        case finish(output: [UInt8], status: Int32)
    }

    /// What came of an action.
    public enum Outcome: Sendable, Hashable {
        /// Nothing was done yet.
        case begin
        /// A plugin ended.
        case ran(status: Int32, output: [UInt8])
        /// A plugin could not be started, and why.
        case notRun(String)
        /// The texts of the files.
        case reservations([[UInt8]])
        /// The programs that are not there.
        case missing([String])
    }

    private enum Stage {
        case begin
        case addingBridge
        case addingPorts(result: [UInt8])
        case undoing(CNIError)
        case checking(rest: [Call])
        case deleting(rest: [Call], failure: CNIError?)
        case listing(valid: Set<Attachment>)
        case finding
        case done
    }
    private struct Attachment: Hashable {
        var container: String
        var interface: String
    }

    private let environment: [String: String]
    private let input: [UInt8]
    private var config: NetworkConfig?
    private var json: JSON = .null
    private var stage = Stage.begin
    private var running: Call?

    /// One call: the `CNI_` variables of the environment, and what standard input holds.
    public init(environment: [String: String], input: [UInt8]) {
        self.environment = environment.filter { $0.key.hasPrefix("CNI_") }
        self.input = input
    }

    /// What to do next, after what came of the last action; `.begin` at first.
    public mutating func step(_ outcome: Outcome) -> Action {
        do {
            let action = try advance(outcome)
            if case .run(let call) = action { running = call }
            return action
        } catch {
            stage = .done
            return .finish(output: error.encoded(version: config?.version ?? "1.0.0"), status: 1)
        }
    }

    private mutating func advance(_ outcome: Outcome) throws(CNIError) -> Action {
        switch (stage, outcome) {
        case (.begin, .begin): return try begin()
        case (.addingBridge, _):
            let result = try success(outcome)
            guard let mappings else { return finish(result) }
            guard let previous = try? JSON(parsing: result) else {
                stage = .undoing(CNIError(code: 100, message: "bridge printed no JSON"))
                return .run(try bridge("DEL", previous: nil))
            }
            stage = .addingPorts(result: result)
            return .run(try portmap("ADD", mappings, previous: previous))
        case (.addingPorts, _):
            do throws(CNIError) {
                return finish(try success(outcome))
            } catch {
                stage = .undoing(error)
                return .run(try bridge("DEL", previous: nil))
            }
        case (.undoing(let error), _): throw error
        case (.checking(var rest), _):
            _ = try success(outcome)
            guard !rest.isEmpty else { return finish([]) }
            let next = rest.removeFirst()
            stage = .checking(rest: rest)
            return .run(next)
        case (.deleting(var rest, var failure), _):
            do throws(CNIError) {
                _ = try success(outcome)
            } catch {
                if let call = withoutNamespace(after: error) {
                    rest.insert(call, at: 0)
                } else if !error.isOfAbsentRules {
                    failure = failure ?? error
                }
            }
            return try delete(rest, failure: failure)
        case (.listing(let valid), .reservations(let files)):
            return try delete(try collect(files, valid: valid), failure: nil)
        case (.finding, .missing(let names)):
            guard names.isEmpty else {
                throw CNIError(
                    code: 50, message: "plugins are missing: \(names.joined(separator: ", "))",
                    details: "install the Debian package containernetworking-plugins")
            }
            return finish([])
        default: throw CNIError(code: 100, message: "internal error: an outcome without its action")
        }
    }

    // MARK: Beginning

    private mutating func begin() throws(CNIError) -> Action {
        guard let command = environment["CNI_COMMAND"], !command.isEmpty else {
            throw .environment("CNI_COMMAND is not set: this program is started by a container runtime")
        }
        guard input.count <= Self.inputLimit else { throw .decoding("the configuration is too long") }
        if command == "VERSION" { return version() }
        do throws(JSONError) {
            json = try JSON(parsing: input)
        } catch {
            throw .decoding("the configuration is not JSON: \(error)")
        }
        let config = try NetworkConfig(json)
        self.config = config
        switch command {
        case "ADD":
            try requireAttachment(namespace: true)
            stage = .addingBridge
            return .run(try bridge("ADD", previous: nil))
        case "CHECK":
            try requireAttachment(namespace: true)
            guard let previous = json["prevResult"] else { throw .configuration("`prevResult` is missing") }
            if let mappings {
                stage = .checking(rest: [try portmap("CHECK", mappings, previous: previous)])
            } else {
                stage = .checking(rest: [])
            }
            return .run(try bridge("CHECK", previous: previous))
        case "DEL":
            try requireAttachment(namespace: false)
            let previous = json["prevResult"]
            var calls: [Call] = []
            if let mappings { calls.append(try portmap("DEL", mappings, previous: previous)) }
            calls.append(try bridge("DEL", previous: previous))
            return try delete(calls, failure: nil)
        case "GC":
            try requirePath()
            stage = .listing(valid: try validAttachments())
            return .listReservations(directory: config.reservationsDirectory)
        case "STATUS":
            try requirePath()
            stage = .finding
            return .findPrograms(["bridge", "host-local", "portmap"])
        default: throw .environment("CNI_COMMAND=\(command) is not known")
        }
    }

    private mutating func version() -> Action {
        let asked = (try? JSON(parsing: input))?["cniVersion"]?.string ?? "1.1.0"
        let answer: JSON = [
            "cniVersion": .string(asked), "supportedVersions": .array(Self.supportedVersions.map { .string($0) }),
        ]
        return finish(answer.encoded())
    }

    private func requirePath() throws(CNIError) {
        guard environment["CNI_PATH"]?.isEmpty == false else { throw .environment("CNI_PATH is not set") }
    }

    private func requireAttachment(namespace: Bool) throws(CNIError) {
        try requirePath()
        guard let container = environment["CNI_CONTAINERID"], NetworkConfig.isName(container) else {
            throw .environment("CNI_CONTAINERID is not set, or not a container's id")
        }
        guard let interface = environment["CNI_IFNAME"], NetworkConfig.isInterface(interface) else {
            throw .environment("CNI_IFNAME is not set, or not an interface's name")
        }
        if namespace && environment["CNI_NETNS"]?.isEmpty != false { throw .environment("CNI_NETNS is not set") }
    }

    /// The wanted port mappings, when there are some.
    private var mappings: JSON? {
        guard let value = json["runtimeConfig", "portMappings"], value.array?.isEmpty == false else { return nil }
        return value
    }

    private func validAttachments() throws(CNIError) -> Set<Attachment> {
        guard let list = json["cni.dev/valid-attachments"]?.array else {
            throw .configuration("`cni.dev/valid-attachments` is missing, or not a list")
        }
        var valid: Set<Attachment> = []
        for entry in list {
            guard let container = entry["containerID"]?.string, let interface = entry["ifname"]?.string else {
                throw .configuration("`cni.dev/valid-attachments`: an entry lacks `containerID` or `ifname`")
            }
            valid.insert(Attachment(container: container, interface: interface))
        }
        return valid
    }

    // MARK: Going on

    private mutating func finish(_ output: [UInt8]) -> Action {
        stage = .done
        guard config?.version == "1.1.0", var result = try? JSON(parsing: output) else {
            return .finish(output: output, status: 0)
        }
        result["cniVersion"] = "1.1.0"
        return .finish(output: result.encoded(), status: 0)
    }

    /// Runs all calls, whether or not one fails; the first failure is the answer.
    private mutating func delete(_ calls: [Call], failure: CNIError?) throws(CNIError) -> Action {
        guard let next = calls.first else {
            if let failure { throw failure }
            return finish([])
        }
        stage = .deleting(rest: Array(calls.dropFirst()), failure: failure)
        return .run(next)
    }

    /// The call that failed, to be made again without the namespace: its file is there, and the namespace is not.
    private func withoutNamespace(after error: CNIError) -> Call? {
        guard error.isOfAbsentNamespace, var call = running, call.environment["CNI_NETNS"]?.isEmpty == false else {
            return nil
        }
        call.environment["CNI_NETNS"] = ""
        return call
    }

    /// The reservations (a container's id, CR LF, an interface) whose container is gone, as calls that free them.
    private func collect(_ files: [[UInt8]], valid: Set<Attachment>) throws(CNIError) -> [Call] {
        var calls: [Call] = []
        for file in files {
            let words = String(decoding: file, as: UTF8.self).split(whereSeparator: \.isNewline)
            guard words.count == 2 else { continue }
            let attachment = Attachment(container: String(words[0]), interface: String(words[1]))
            guard NetworkConfig.isName(attachment.container), NetworkConfig.isInterface(attachment.interface),
                !valid.contains(attachment)
            else { continue }
            var call = try bridge("DEL", previous: nil)
            call.environment["CNI_CONTAINERID"] = attachment.container
            call.environment["CNI_IFNAME"] = attachment.interface
            call.environment["CNI_NETNS"] = ""
            calls.append(call)
        }
        return calls
    }

    /// What the plugin that was run has printed.
    private func success(_ outcome: Outcome) throws(CNIError) -> [UInt8] {
        let running = running?.plugin ?? ""
        switch outcome {
        case .ran(status: 0, let output): return output
        case .ran(let status, let output):
            guard let json = try? JSON(parsing: output), let message = json["msg"]?.string else {
                throw CNIError(code: 100, message: "\(running) ended with status \(status) and said nothing")
            }
            throw CNIError(
                code: json["code"]?.int ?? 100, message: "\(running): \(message)",
                details: json["details"]?.string ?? "")
        case .notRun(let why):
            throw CNIError(
                code: 100, message: "\(running) cannot be started: \(why)",
                details: "install the Debian package containernetworking-plugins")
        default: throw CNIError(code: 100, message: "internal error: an outcome without its action")
        }
    }

    private func bridge(_ command: String, previous: JSON?) throws(CNIError) -> Call {
        guard let config else { throw .configuration("no configuration") }
        return call("bridge", command, config.bridgeConfig(previous: previous))
    }

    private func portmap(_ command: String, _ mappings: JSON, previous: JSON?) throws(CNIError) -> Call {
        guard let config else { throw .configuration("no configuration") }
        return call("portmap", command, config.portmapConfig(mappings: mappings, previous: previous))
    }

    private func call(_ plugin: String, _ command: String, _ config: JSON) -> Call {
        var variables = environment
        variables["CNI_COMMAND"] = command
        return Call(plugin: plugin, environment: variables, input: config.encoded())
    }
}
