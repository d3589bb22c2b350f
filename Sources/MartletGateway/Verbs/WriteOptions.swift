internal import MartletObject

/// What a write's query asks for (CreateOptions, UpdateOptions and PatchOptions of meta/v1).
struct WriteOptions: Sendable, Hashable {
    /// What becomes of fields that the kind does not have.
    enum FieldValidation: String, Sendable {
        case ignore = "Ignore"
        case warn = "Warn"
        case strict = "Strict"
    }
    /// The options' kind.
    enum Kind: Sendable {
        case create
        case update
        case patch
        /// A patch that is a configuration to apply.
        case apply

        fileprivate var name: String {
            switch self {
            case .create: "CreateOptions"
            case .update: "UpdateOptions"
            case .patch, .apply: "PatchOptions"
            }
        }
    }

    /// Check everything, change nothing.
    var isDryRun = false
    var validation = FieldValidation.warn
    /// In whose name fields are owned.
    var manager = "martlet"
    /// Whether an apply takes over fields that others own.
    var isForced = false

    init() {}

    /// Reads a query. Without `fieldManager`, the manager is the name in front of the client's version.
    /// - Throws: 422.
    init(_ query: Query, kind: Kind = .update, agent: String? = nil) throws(APIError) {
        var faults: [FieldError] = []
        let given = query.text("fieldManager")
        faults += Self.managerFaults(given, isRequired: kind == .apply)
        if kind == .apply {
            isForced = query.flag("force") ?? false
        } else if kind == .patch, query["force"] != nil {
            faults.append(
                FieldError(.forbidden, field: "force", message: "Forbidden: may not be specified for non-apply patch"))
        }
        if let text = query.text("dryRun"), text != "All" { faults.append(Self.dryRunFault(text)) }
        isDryRun = query.text("dryRun") != nil
        if let text = query.text("fieldValidation") {
            if let validation = FieldValidation(rawValue: text) {
                self.validation = validation
            } else {
                faults.append(
                    FieldError(
                        .notSupported, field: "fieldValidation",
                        message: "Unsupported value: \"\(text)\": supported values: \"Ignore\", \"Strict\", \"Warn\""))
            }
        }
        if !faults.isEmpty { throw .invalidOptions(kind.name, faults) }
        manager = given ?? Self.manager(agent: agent ?? "")
    }

    /// Bytes of a manager's name.
    private static let maximumManager = 128

    private static func managerFaults(_ manager: String?, isRequired: Bool) -> [FieldError] {
        guard let manager else {
            let why = "Required value: is required for apply patch"
            return isRequired ? [FieldError(.required, field: "fieldManager", message: why)] : []
        }
        var faults: [FieldError] = []
        if manager.utf8.count > maximumManager {
            let why = "Too long: may not be more than \(maximumManager) bytes"
            faults.append(FieldError(.tooLong, field: "fieldManager", message: why))
        }
        var place = 0
        for scalar in manager.unicodeScalars {
            if !isPrintable(scalar) {
                let code = String(scalar.value, radix: 16, uppercase: true)
                let padded = String(repeating: "0", count: max(0, 4 - code.count)) + code
                faults.append(
                    FieldError(
                        .invalid, field: "fieldManager",
                        message: "Invalid value: \(String(decoding: JSON.string(manager).encoded(), as: UTF8.self)): "
                            + "invalid character U+\(padded) (at position \(place))"))
            }
            place += UTF8.width(scalar)
        }
        return faults
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    /// `kubectl` of `kubectl/v1.33.0 (linux/amd64) ...`.
    static func manager(agent: String) -> String {
        var name = ""
        for scalar in agent.unicodeScalars.prefix(while: { $0 != "/" }) where isPrintable(scalar) {
            if name.utf8.count + UTF8.width(scalar) > maximumManager { break }
            name.unicodeScalars.append(scalar)
        }
        return name.isEmpty ? "unknown" : name
    }

    static func dryRunFault(_ text: String) -> FieldError {
        FieldError(
            .notSupported, field: "dryRun", message: "Unsupported value: [\"\(text)\"]: supported values: \"All\"")
    }
}
