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
        return try conformed(object, faults: faults)
    }

    /// The same for an object that has been parsed.
    /// - Parameter faults: what is wrong with its text.
    /// - Throws: 400.
    mutating func conformed(_ object: JSON, faults: [String] = []) throws(APIError) -> JSON {
        do {
            return try conform(object, faults)
        } catch {
            switch error {
            case .otherKind(let why): throw .badRequest(why)
            case .misfit(let why):
                throw .badRequest(
                    "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): \(why)")
            }
        }
    }

    /// The same for an object that was made by a patch, together with what is wrong with that.
    /// - Throws: 422.
    mutating func patched(_ object: JSON, by body: PatchBody) throws(APIError) -> JSON {
        var object = object
        if body.type == .strategic {
            // Upstream merges into an object of the kind that the path names, whatever the patch says of it.
            object["apiVersion"] = .string(kind.apiVersion)
            object["kind"] = .string(kind.kind)
        }
        do {
            return try conform(object, body.faults, words: body.type == .strategic ? .converter : .reader)
        } catch {
            switch error {
            case .otherKind(let why), .misfit(let why): throw body.refusal(of: object, why)
            }
        }
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

    /// Why something is not read as an object of the kind.
    private enum Refusal: Error {
        /// It says that it is something else.
        case otherKind(String)
        case misfit(String)
    }

    private mutating func conform(
        _ object: JSON, _ faults: [String], words: SchemaWords = .reader
    ) throws(Refusal) -> JSON {
        guard case .object = object else {
            throw .otherKind("the object provided is unrecognized (must be of type \(kind.kind)): it is no object")
        }
        var (object, faults) = (object, faults)
        if object.apiVersion.isEmpty { object["apiVersion"] = .string(kind.apiVersion) }
        if object.kind.isEmpty { object["kind"] = .string(kind.kind) }
        guard object.apiVersion == kind.apiVersion else {
            throw .otherKind(
                "the API version in the data (\(object.apiVersion)) does not match the expected API version "
                    + "(\(kind.apiVersion))")
        }
        guard object.kind == kind.kind else {
            throw .otherKind("\(object.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind)")
        }
        do {
            let (known, unknown) = try Schema.conform(object, to: kind, words: words)
            faults += unknown.map { "unknown field \"\($0)\"" }
            object = known
        } catch {
            throw .misfit(error.description)
        }
        switch validation {
        case .ignore: break
        case .warn: warnings += faults
        case .strict where !faults.isEmpty:
            throw .misfit("strict decoding error: \(faults.joined(separator: ", "))")
        case .strict: break
        }
        return object
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
            throw .badRequest("error decoding patch: a configuration must be an object")
        }
        if validation == .strict, let error = YAMLDuplicates.error(faults).first {
            throw .badRequest("error strict decoding patch: error converting YAML to JSON: \(error)")
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
            throw .badRequest("error decoding patch: error converting YAML to JSON: \(error)")
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
