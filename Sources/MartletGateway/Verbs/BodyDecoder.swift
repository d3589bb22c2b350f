internal import MartletObject

/// A request's body that holds an object.
struct ObjectBody: Sendable {
    /// The forms that are read.
    enum Form: String, Sendable, CaseIterable {
        case json = "application/json"
        case yaml = "application/yaml"
        case protobuf = "application/vnd.kubernetes.protobuf"
    }

    var bytes: [UInt8]
    var form = Form.json

    /// The object of a body in protobuf's form.
    /// - Throws: 400.
    func protobuf() throws(APIError) -> JSON {
        do {
            return try ProtobufBody.decode(bytes)
        } catch {
            throw .badRequest("the object provided is unrecognized: \(error)")
        }
    }
}

/// Reads an object of one kind from a request's body.
struct BodyDecoder: Sendable {
    let kind: ResourceKind
    let validation: WriteOptions.FieldValidation
    /// What the caller is to be warned of.
    private(set) var warnings: [String] = []

    init(kind: ResourceKind, validation: WriteOptions.FieldValidation) {
        self.kind = kind
        self.validation = validation
    }

    /// Reads, checks the kind, and drops or refuses what the tables do not know.
    /// - Throws: 400.
    mutating func object(_ body: ObjectBody) throws(APIError) -> JSON {
        if body.form == .json, let object = Schema.read(body.bytes, as: kind) { return object }
        var faults: [String] = []
        let object =
            switch body.form {
            case .json: try parse(body.bytes, &faults)
            case .yaml: try parse(yaml: body.bytes, &faults)
            case .protobuf: try body.protobuf()
            }
        return try conform(object, &faults)
    }

    /// The same for an object that was made by a patch, together with what is wrong with that.
    /// - Throws: 400, or 422 for what is read strictly.
    mutating func patched(_ object: JSON, by body: PatchBody? = nil) throws(APIError) -> JSON {
        var faults = body?.faults ?? []
        return try conform(object, &faults) { .unfitPatch(of: object, $0) }
    }

    private func parse(_ bytes: [UInt8], _ faults: inout [String]) throws(APIError) -> JSON {
        var duplicates: [String] = []
        do {
            let object = try JSON(parsing: bytes, duplicates: &duplicates)
            faults += duplicates.map { "duplicate field \"\($0)\"" }
            return object
        } catch {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind.kind)): "
                    + "couldn't get version/kind; json parse error: \(error)")
        }
    }

    private func parse(yaml bytes: [UInt8], _ faults: inout [String]) throws(APIError) -> JSON {
        do {
            var duplicates: [String] = []
            let object = try JSON(yaml: bytes, duplicates: &duplicates)
            // Strictly read, they are one error of the reader; as warnings, each speaks for itself.
            faults += validation == .strict ? YAMLDuplicates.error(duplicates) : duplicates
            return object
        } catch {
            throw .badRequest("the object provided is unrecognized (must be of type \(kind.kind)): \(error)")
        }
    }

    /// - Parameter refusal: how faults are refused where it is read strictly; nil as other bodies are.
    private mutating func conform(
        _ object: JSON, _ faults: inout [String], refusal: ((String) -> APIError)? = nil
    ) throws(APIError) -> JSON {
        guard case .object = object else {
            throw .badRequest("the object provided is unrecognized (must be of type \(kind.kind)): it is no object")
        }
        var object = object
        if object.apiVersion.isEmpty { object["apiVersion"] = .string(kind.apiVersion) }
        if object.kind.isEmpty { object["kind"] = .string(kind.kind) }
        guard object.apiVersion == kind.apiVersion else {
            throw .badRequest(
                "the API version in the data (\(object.apiVersion)) does not match the expected API version "
                    + "(\(kind.apiVersion))")
        }
        guard object.kind == kind.kind else {
            throw .badRequest(
                "\(object.kind) in version \"\(kind.apiVersion)\" cannot be handled as a \(kind.kind)")
        }
        if let metadata = object["metadata"], metadata.object == nil, metadata != .null {
            throw unreadable("metadata is no object")
        }
        do {
            let (known, unknown) = try Schema.conform(object, to: kind)
            faults += unknown.map { "unknown field \"\($0)\"" }
            object = known
        } catch {
            throw unreadable(error.description)
        }
        switch validation {
        case .ignore: break
        case .warn: warnings += faults
        case .strict where !faults.isEmpty:
            let why = "strict decoding error: \(faults.joined(separator: ", "))"
            throw refusal?(why) ?? unreadable(why)
        case .strict: break
        }
        return object
    }

    private func unreadable(_ why: String) -> APIError {
        .badRequest("\(kind.kind) in version \"\(kind.apiVersion)\" cannot be handled as a \(kind.kind): \(why)")
    }
}

/// Reads a configuration for server-side apply: YAML, of which JSON is a part.
enum ApplyBody {
    /// The configuration, and what the caller is to be warned of.
    /// - Throws: 400.
    static func configuration(
        _ bytes: [UInt8], validation: WriteOptions.FieldValidation
    ) throws(APIError) -> (object: JSON, warnings: [String]) {
        var faults: [String] = []
        let object = try parse(bytes, &faults)
        guard case .object = object else {
            throw .badRequest("error decoding YAML: a configuration must be an object")
        }
        if validation == .strict, let error = YAMLDuplicates.error(faults).first {
            throw .badRequest("error strict decoding YAML: error converting YAML to JSON: \(error)")
        }
        return (object, validation == .ignore ? [] : faults)
    }

    private static func parse(_ bytes: [UInt8], _ faults: inout [String]) throws(APIError) -> JSON {
        // Most clients send JSON. What is wrong with it is told in the words of YAML.
        var duplicates: [String] = []
        if let object = try? JSON(parsing: bytes, duplicates: &duplicates), duplicates.isEmpty { return object }
        do {
            return try JSON(yaml: bytes, duplicates: &faults)
        } catch {
            throw .badRequest("error decoding YAML: error converting YAML to JSON: \(error)")
        }
    }
}

/// Keys given twice, in the words of the strict decoder.
enum YAMLDuplicates {
    /// One error of them all; none when there are none.
    static func error(_ duplicates: [String]) -> [String] {
        duplicates.isEmpty ? [] : ["yaml: unmarshal errors:\n" + duplicates.map { "  \($0)" }.joined(separator: "\n")]
    }
}

/// Reads a body that is no object of the tables: DeleteOptions, Binding, Scale, Eviction.
enum SmallBody {
    static func parse(_ body: ObjectBody, as kind: String) throws(APIError) -> JSON {
        let object: JSON
        switch body.form {
        case .protobuf: object = try body.protobuf()
        case .yaml:
            do {
                var duplicates: [String] = []
                object = try JSON(yaml: body.bytes, duplicates: &duplicates)
            } catch {
                throw .badRequest("\(error)")
            }
        case .json:
            do {
                object = try JSON(parsing: body.bytes)
            } catch {
                throw .badRequest("couldn't get version/kind; json parse error: \(error)")
            }
        }
        guard case .object = object, object.kind.isEmpty || object.kind == kind else {
            throw .badRequest("the object provided is unrecognized (must be of type \(kind))")
        }
        return object
    }
}
