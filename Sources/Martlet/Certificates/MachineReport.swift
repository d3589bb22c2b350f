internal import MartletBase
internal import MartletIO
internal import MartletObject
internal import MartletPKI

/// What a machine tells of its certificates.
struct MachineReport: Sendable, Hashable {
    /// One of its certificates.
    struct Certificate: Sendable, Hashable {
        var file: String
        var commonName: String
        var serial: String
        var from: WallTime
        var until: WallTime
        var isAuthority: Bool
    }

    /// More files than this are none of ours.
    static let limit = 64

    var machine: String
    /// The last phase of a rotation that it took.
    var mark: Rotation.Mark?
    var certificates: [Certificate] = []
    /// When it asked to be let in; nil once it has told something itself.
    var joinsSince: WallTime?

    init(machine: String) { self.machine = machine }

    static func objectName(_ machine: String) -> String { "martlet-machine-\(machine)" }

    /// What is in a PKI folder.
    init(machine: String, _ pki: ClusterPKI) {
        self.machine = machine
        mark = pki.mark
        certificates = Self.read(pki)
    }

    private static func read(_ pki: ClusterPKI) -> [Certificate] {
        var found: [Certificate] = []
        for folder in ["", "etcd/"] {
            let names = (try? Files.list("\(pki.directory)/\(folder)")) ?? []
            for name in names.sorted() where name.hasSuffix(".crt") {
                guard let pem = try? Files.read("\(pki.directory)/\(folder)\(name)") else { continue }
                for block in PEM.blocks("CERTIFICATE", in: pem) {
                    guard found.count < limit, let info = try? CertificateInfo(pem: block) else { continue }
                    found.append(
                        Certificate(
                            file: folder + name, commonName: info.commonName, serial: info.serial, from: info.notBefore,
                            until: info.notAfter, isAuthority: info.isCA))
                }
            }
        }
        return found
    }

    // MARK: As JSON

    /// What is told, and shown.
    var json: JSON {
        var json: JSON = [
            "machine": .string(machine),
            "certificates": .array(
                certificates.map { certificate in
                    [
                        "file": .string(certificate.file), "commonName": .string(certificate.commonName),
                        "serial": .string(certificate.serial),
                        "from": .string(certificate.from.rfc3339), "until": .string(certificate.until.rfc3339),
                        "authority": .bool(certificate.isAuthority),
                    ]
                }),
        ]
        if let mark { json["mark"] = mark.json }
        if let joinsSince { json["joinsSince"] = .string(joinsSince.rfc3339) }
        return json
    }

    /// Reads what a machine told; nil for anything else.
    init?(_ json: JSON, of machine: String) {
        self.machine = machine
        mark = json["mark"].flatMap(Rotation.Mark.init)
        joinsSince = json["joinsSince"]?.string.flatMap { WallTime(rfc3339: $0) }
        guard let told = json["certificates"]?.array, told.count <= Self.limit else { return nil }
        for one in told {
            guard let file = one["file"]?.string, file.utf8.count <= 256, let name = one["commonName"]?.string,
                name.utf8.count <= 256, let serial = one["serial"]?.string, serial.utf8.count <= 64,
                let from = one["from"]?.string.flatMap({ WallTime(rfc3339: $0) }),
                let until = one["until"]?.string.flatMap({ WallTime(rfc3339: $0) })
            else { return nil }
            certificates.append(
                Certificate(
                    file: file, commonName: name, serial: serial, from: from, until: until,
                    isAuthority: one["authority"]?.bool ?? false))
        }
    }

    /// The ConfigMap.
    var object: JSON {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": .string(Self.objectName(machine)), "namespace": .string(RotationStore.namespace),
                "labels": JSON([RotationStore.machineLabel: ""]),
            ], "data": ["report": .string(String(decoding: json.encoded(), as: UTF8.self))],
        ]
    }

    /// Reads the ConfigMap; nil for one that somebody else has made.
    init?(_ map: JSON) {
        guard let text = map["data", "report"]?.string, let json = try? JSON(parsing: Array(text.utf8)),
            let machine = json["machine"]?.string, map.name == Self.objectName(machine)
        else { return nil }
        self.init(json, of: machine)
    }
}
