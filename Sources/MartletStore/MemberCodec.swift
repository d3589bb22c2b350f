public import MartletBase

// Auth and member commands, and what they change, as bytes; see CommandCodec.swift for the words used here.
//
//   auth command    kind u8: 1 enable | 2 disable | 3 add user: name string, has password flag, then its hash blob
//                   | 4 delete user: name | 5 change password: name, hash blob | 6 grant role: user, role
//                   | 7 revoke role: user, role | 8 add role: name | 9 delete role: name
//                   | 10 grant permission: role, permission | 11 revoke permission: role, range
//   permission      kind u8 (0 read, 1 write, 2 both), range
//   member command  version u8 (1), kind u8: 1 genesis: cluster id u64, list of members | 2 add: member
//                   | 3 remove: id u64 | 4 update: id u64, list of peer URLs | 5 promote: id u64
//                   | 6 describe: id u64, name, list of client URLs | 7 replace: list of members
//   member          id u64, name, list of peer URLs, list of client URLs, learner flag

extension ByteWriter {
    /// A flag.
    mutating func flag(_ value: Bool) { u8(value ? 1 : 0) }
    /// A string.
    mutating func string(_ value: String) { blob(Array(value.utf8)) }
    /// A list of strings.
    mutating func strings(_ values: [String]) {
        u32(UInt32(values.count))
        for value in values { string(value) }
    }
}

extension ByteReader {
    /// A flag.
    mutating func flag() throws(ByteCodecError) -> Bool {
        let offset = offset
        switch try u8() {
        case 0: return false
        case 1: return true
        default: throw ByteCodecError(offset: offset, what: "a flag that is neither 0 nor 1")
        }
    }
    /// A string.
    mutating func string() throws(ByteCodecError) -> String {
        let offset = offset
        guard let text = String(validating: try blob(), as: UTF8.self) else {
            throw ByteCodecError(offset: offset, what: "text that is not UTF-8")
        }
        return text
    }
    /// A list of strings.
    mutating func strings() throws(ByteCodecError) -> [String] {
        let count = try count(ofItemsOfAtLeast: 4)
        var values: [String] = []
        for _ in 0..<count { values.append(try string()) }
        return values
    }
}

extension AuthCommand {
    func write(to writer: inout ByteWriter) {
        switch self {
        case .enable: writer.u8(1)
        case .disable: writer.u8(2)
        case .addUser(let name, let hash):
            writer.u8(3)
            writer.string(name)
            writer.flag(hash != nil)
            if let hash { writer.blob(hash) }
        case .deleteUser(let name): write(4, [name], to: &writer)
        case .changePassword(let name, let hash):
            write(5, [name], to: &writer)
            writer.blob(hash)
        case .grantRole(let user, let role): write(6, [user, role], to: &writer)
        case .revokeRole(let user, let role): write(7, [user, role], to: &writer)
        case .addRole(let name): write(8, [name], to: &writer)
        case .deleteRole(let name): write(9, [name], to: &writer)
        case .grantPermission(let role, let permission):
            write(10, [role], to: &writer)
            permission.write(to: &writer)
        case .revokePermission(let role, let range):
            write(11, [role], to: &writer)
            range.write(to: &writer)
        }
    }

    private func write(_ kind: UInt8, _ names: [String], to writer: inout ByteWriter) {
        writer.u8(kind)
        for name in names { writer.string(name) }
    }

    init(from reader: inout ByteReader) throws(ByteCodecError) {
        let offset = reader.offset
        switch try reader.u8() {
        case 1: self = .enable
        case 2: self = .disable
        case 3:
            let name = try reader.string()
            self = .addUser(name: name, passwordHash: try reader.flag() ? try reader.blob() : nil)
        case 4: self = .deleteUser(name: try reader.string())
        case 5: self = .changePassword(name: try reader.string(), passwordHash: try reader.blob())
        case 6: self = .grantRole(user: try reader.string(), role: try reader.string())
        case 7: self = .revokeRole(user: try reader.string(), role: try reader.string())
        case 8: self = .addRole(name: try reader.string())
        case 9: self = .deleteRole(name: try reader.string())
        case 10: self = .grantPermission(role: try reader.string(), try Permission(from: &reader))
        case 11: self = .revokePermission(role: try reader.string(), try KeyRange(from: &reader))
        case let kind: throw ByteCodecError(offset: offset, what: "auth command of unknown kind \(kind)")
        }
    }
}

extension Permission {
    func write(to writer: inout ByteWriter) {
        writer.u8(kind.rawValue)
        range.write(to: &writer)
    }

    init(from reader: inout ByteReader) throws(ByteCodecError) {
        let offset = reader.offset
        guard let kind = Kind(rawValue: try reader.u8()) else {
            throw ByteCodecError(offset: offset, what: "permission of unknown kind")
        }
        self.init(kind, try KeyRange(from: &reader))
    }
}

extension MemberInfo {
    func write(to writer: inout ByteWriter) {
        writer.u64(id)
        writer.string(name)
        writer.strings(peerURLs)
        writer.strings(clientURLs)
        writer.flag(isLearner)
    }

    init(from reader: inout ByteReader) throws(ByteCodecError) {
        let id = try reader.u64()
        let name = try reader.string()
        let peerURLs = try reader.strings()
        let clientURLs = try reader.strings()
        self.init(id: id, name: name, peerURLs: peerURLs, clientURLs: clientURLs, isLearner: try reader.flag())
    }

    static func write(_ members: [MemberInfo], to writer: inout ByteWriter) {
        writer.u32(UInt32(members.count))
        for member in members { member.write(to: &writer) }
    }

    static func list(from reader: inout ByteReader) throws(ByteCodecError) -> [MemberInfo] {
        let count = try reader.count(ofItemsOfAtLeast: 21)
        var members: [MemberInfo] = []
        for _ in 0..<count { members.append(try MemberInfo(from: &reader)) }
        return members
    }
}

extension MemberCommand {
    /// The version of the format that ``encoded()`` writes.
    public static let formatVersion: UInt8 = 1

    /// The bytes to propose with a change of membership.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 256)
        write(to: &writer)
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        self = try MemberCommand(from: &reader)
        try reader.end()
    }

    func write(to writer: inout ByteWriter) {
        writer.u8(Self.formatVersion)
        switch self {
        case .genesis(let clusterID, let members):
            writer.u8(1)
            writer.u64(clusterID)
            MemberInfo.write(members, to: &writer)
        case .add(let member):
            writer.u8(2)
            member.write(to: &writer)
        case .remove(let id):
            writer.u8(3)
            writer.u64(id)
        case .update(let id, let peerURLs):
            writer.u8(4)
            writer.u64(id)
            writer.strings(peerURLs)
        case .promote(let id):
            writer.u8(5)
            writer.u64(id)
        case .describe(let id, let name, let clientURLs):
            writer.u8(6)
            writer.u64(id)
            writer.string(name)
            writer.strings(clientURLs)
        case .replace(let members):
            writer.u8(7)
            MemberInfo.write(members, to: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(ByteCodecError) {
        let version = try reader.u8()
        guard version == Self.formatVersion else {
            throw ByteCodecError(
                offset: 0, what: "member command of format \(version); this program reads format \(Self.formatVersion)")
        }
        let offset = reader.offset
        switch try reader.u8() {
        case 1: self = .genesis(clusterID: try reader.u64(), members: try MemberInfo.list(from: &reader))
        case 2: self = .add(try MemberInfo(from: &reader))
        case 3: self = .remove(id: try reader.u64())
        case 4: self = .update(id: try reader.u64(), peerURLs: try reader.strings())
        case 5: self = .promote(id: try reader.u64())
        case 6:
            let id = try reader.u64()
            self = .describe(id: id, name: try reader.string(), clientURLs: try reader.strings())
        case 7: self = .replace(try MemberInfo.list(from: &reader))
        case let kind: throw ByteCodecError(offset: offset, what: "member command of unknown kind \(kind)")
        }
    }
}

extension MemberDirectory {
    /// The members in the order of their ids.
    var sorted: [MemberInfo] { members.values.sorted { $0.id < $1.id } }

    /// A digest for the state's hash.
    var digest: UInt64 {
        var writer = ByteWriter()
        MemberInfo.write(sorted, to: &writer)
        return StateHash.of(writer.bytes, seed: clusterID)
    }
}

extension AuthState {
    //   auth state   enabled flag, revision u64, list of users, list of roles, both in the order of their names' bytes
    //   user         name, has password flag, then its hash blob; list of roles
    //   role         name, list of permissions

    func write(to writer: inout ByteWriter) {
        writer.flag(enabled)
        writer.u64(revision)
        writer.u32(UInt32(users.count))
        for (name, user) in Self.inOrder(users) {
            writer.string(name)
            writer.flag(user.passwordHash != nil)
            if let hash = user.passwordHash { writer.blob(hash) }
            writer.strings(user.roles)
        }
        writer.u32(UInt32(roles.count))
        for (name, role) in Self.inOrder(roles) {
            writer.string(name)
            writer.u32(UInt32(role.permissions.count))
            for permission in role.permissions { permission.write(to: &writer) }
        }
    }

    init(from reader: inout ByteReader) throws(ByteCodecError) {
        self.init()
        enabled = try reader.flag()
        revision = try reader.u64()
        for _ in 0..<(try reader.count(ofItemsOfAtLeast: 9)) {
            let name = try reader.string()
            let hash = try reader.flag() ? try reader.blob() : nil
            users[name] = User(passwordHash: hash, roles: try reader.strings())
        }
        for _ in 0..<(try reader.count(ofItemsOfAtLeast: 8)) {
            let name = try reader.string()
            var role = Role()
            for _ in 0..<(try reader.count(ofItemsOfAtLeast: 6)) {
                role.permissions.append(try Permission(from: &reader))
            }
            roles[name] = role
        }
    }

    /// A digest for the state's hash.
    var digest: UInt64 {
        var writer = ByteWriter()
        write(to: &writer)
        return StateHash.of(writer.bytes, seed: 0)
    }

    private static func inOrder<Value>(_ table: [String: Value]) -> [(key: String, value: Value)] {
        table.sorted { ByteOrder.compare(Array($0.key.utf8), Array($1.key.utf8)) < 0 }
    }
}
