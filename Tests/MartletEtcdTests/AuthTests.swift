import MartletBase
import MartletEtcdMessages
import MartletHTTP
import MartletStore
import SwiftProtobuf
import Testing

@testable import MartletEtcd

@Suite(.timeLimit(.minutes(1))) struct UsersAndRoles {
    private func addUser(_ etcd: Etcd, _ name: String, _ password: String, roles: [String]) async throws {
        try await etcd.run(
            "Auth/UserAdd",
            EtcdAuthUserAddRequest.with {
                $0.name = name
                $0.password = password
            })
        for role in roles {
            try await etcd.run(
                "Auth/UserGrantRole",
                EtcdAuthUserGrantRoleRequest.with {
                    $0.user = name
                    $0.role = role
                })
        }
    }

    private func allow(
        _ etcd: Etcd, _ role: String, _ kind: EtcdPermission.TypeEnum, _ key: String, _ end: String
    ) async throws {
        try await etcd.run(
            "Auth/RoleGrantPermission",
            EtcdAuthRoleGrantPermissionRequest.with {
                $0.name = role
                $0.perm.permType = kind
                $0.perm.key = bytes(key)
                $0.perm.rangeEnd = bytes(end)
            })
    }

    /// A member where `root` rules and `u` may write `a..b` and read `a..c`.
    private func withRules(_ story: @escaping @Sendable (_ root: Etcd, _ user: Etcd) async throws -> Void)
        async throws
    {
        try await withEtcd { etcd in
            try await etcd.put("z", "secret")
            try await addUser(etcd, "root", "rootpass", roles: ["root"])
            try await etcd.run("Auth/RoleAdd", EtcdAuthUserGetRequest.with { $0.name = "r" })
            try await allow(etcd, "r", .readwrite, "a", "b")
            try await allow(etcd, "r", .read, "b", "c")
            try await addUser(etcd, "u", "pass", roles: ["r"])
            try await etcd.run("Auth/AuthEnable")
            try await story(etcd.login("root", "rootpass"), etcd.login("u", "pass"))
        }
    }

    private static let denied = GRPCStatus(code: 7, message: "etcdserver: permission denied")

    @Test func whoComesWithoutANameIsRefused() async throws {
        try await withRules { root, _ in
            var nobody = root
            nobody.token = nil
            let plain = nobody
            let empty = GRPCStatus(code: 3, message: "etcdserver: user name is empty")
            #expect(await refusal { _ = try await plain.get("z") } == empty)
            #expect(await refusal { _ = try await plain.put("a", "1") } == empty)
            #expect(
                await refusal { _ = try await plain.login("u", "wrong") }
                    == GRPCStatus(
                        code: 3, message: "etcdserver: authentication failed, invalid user ID or password"))
            #expect(await refusal { _ = try await plain.login("nobody", "x") }?.code == 3)
            var forged = root
            forged.token = (root.token ?? "") + "0"
            let other = forged
            #expect(
                await refusal { _ = try await other.get("z") }
                    == GRPCStatus(code: 16, message: "etcdserver: invalid auth token"))
        }
    }

    @Test func permissionsHoldForEachKey() async throws {
        try await withRules { root, user in
            try await user.put("a", "1")
            #expect(try await user.get("a", to: "c").count == 1)
            #expect(await refusal { _ = try await user.get("a", to: "d") } == Self.denied)
            #expect(await refusal { try await user.put("b", "1") } == Self.denied)
            #expect(await refusal { try await user.delete("a", to: "c") } == Self.denied)
            #expect(await refusal { _ = try await user.get("z") } == Self.denied)
            let hidden = EtcdTxnRequest.with { txn in
                txn.success = [.with { $0.requestPut.key = bytes("a") }]
                txn.failure = [
                    .with { $0.requestTxn.success = [.with { $0.requestRange.key = bytes("z") }] }
                ]
            }
            #expect(
                await refusal { _ = try await user.call("KV/Txn", hidden, EtcdTxnResponse.self) } == Self.denied)
            #expect(text(try await root.get("z").kvs[0].value) == "secret")
            let watching = try Watching(user)
            try await watching.create("z")
            let refused = try await watching.next()
            #expect(refused.created && refused.canceled && refused.watchID == -1)
            #expect(refused.cancelReason == "rpc error: code = PermissionDenied desc = etcdserver: permission denied")
        }
    }

    @Test func onlyRootRules() async throws {
        try await withRules { root, user in
            for path in ["Auth/UserList", "Auth/RoleList", "Auth/AuthStatus", "Auth/AuthDisable", "Maintenance/Hash"] {
                #expect(await refusal { try await user.run(path) } == Self.denied, "\(path)")
            }
            #expect(
                await refusal {
                    try await user.run(
                        "Cluster/MemberAdd", EtcdMemberAddRequest.with { $0.peerUrls = ["http://127.0.0.1:1"] })
                } == Self.denied)
            let own: EtcdAuthUserGetResponse = try await user.call(
                "Auth/UserGet", EtcdAuthUserGetRequest.with { $0.name = "u" })
            #expect(own.roles == ["r"])
            let role: EtcdAuthRoleGetResponse = try await user.call(
                "Auth/RoleGet", EtcdAuthUserGetRequest.with { $0.name = "r" })
            #expect(role.perm.map { text($0.key) } == ["a", "b"])
            #expect(
                await refusal {
                    try await root.run("Auth/UserDelete", EtcdAuthUserGetRequest.with { $0.name = "root" })
                } == GRPCStatus(code: 3, message: "etcdserver: invalid auth management"))
        }
    }

    @Test func aNewPasswordEndsTheTokensOfTheOld() async throws {
        try await withRules { root, user in
            try await root.run(
                "Auth/UserChangePassword",
                EtcdAuthUserChangePasswordRequest.with {
                    $0.name = "u"
                    $0.password = "other"
                })
            #expect(await refusal { _ = try await user.get("a") }?.code == 16)
            #expect(try await user.login("u", "other").get("a").count == 0)
            try await root.run("Auth/UserDelete", EtcdAuthUserGetRequest.with { $0.name = "u" })
            #expect(await refusal { _ = try await user.login("u", "other") }?.code == 3)
        }
    }

    @Test func rulesNeedRoot() async throws {
        try await withEtcd { etcd in
            #expect(
                await refusal { try await etcd.run("Auth/AuthEnable") }
                    == GRPCStatus(code: 9, message: "etcdserver: root user does not exist"))
            #expect(
                await refusal { _ = try await etcd.login("a", "b") }
                    == GRPCStatus(code: 9, message: "etcdserver: authentication is not enabled"))
        }
    }
}

@Suite struct TokenTests {
    @Test func passwordsAreKnownByTheirHash() {
        let hash = Tokens.hash("secret", salt: Array(repeating: 9, count: 16), iterations: 10)
        #expect(Tokens.matches("secret", hash) && !Tokens.matches("secreT", hash))
        #expect(!Tokens.matches("secret", []) && !Tokens.matches("secret", Array(hash.dropLast())))
        // RFC 7914, 11: a test vector of PBKDF2-HMAC-SHA-256.
        let vector = Secrets.stretch(password: Array("passwd".utf8), salt: Array("salt".utf8), iterations: 1, count: 64)
        #expect(Digest.hex(vector).hasPrefix("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"))
    }

    @Test func tokensEndAndCannotBeMade() throws {
        var auth = AuthState()
        let hash = Tokens.hash("p", salt: Array(repeating: 1, count: 16), iterations: 1)
        auth.users["ü.x"] = AuthState.User(passwordHash: hash)
        let token = Tokens.issue(user: "ü.x", passwordHash: hash, expiry: 100)
        #expect(try Tokens.user(of: token, auth, now: 99) == "ü.x")
        #expect(throws: Refusal.invalidToken) { try Tokens.user(of: token, auth, now: 100) }
        for bad in ["", ".", "..", "a.b.c", token + "x", String(token.dropLast()), "zz." + token] {
            #expect(throws: Refusal.invalidToken) { try Tokens.user(of: bad, auth, now: 0) }
        }
        auth.users["ü.x"] = AuthState.User(passwordHash: nil)
        #expect(throws: Refusal.invalidToken) { try Tokens.user(of: token, auth, now: 99) }
    }

    @Test func noTextTraps() {
        var random = SplitMix64(seed: 5)
        var auth = AuthState()
        let hash = Tokens.hash("p", salt: Array(repeating: 1, count: 16), iterations: 1)
        auth.users["u"] = AuthState.User(passwordHash: hash)
        let token = Array(Tokens.issue(user: "u", passwordHash: hash, expiry: 100).utf8)
        for _ in 0..<5000 {
            var bytes = token
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            if bytes == token { continue }
            #expect(throws: Refusal.invalidToken) {
                try Tokens.user(of: String(decoding: bytes, as: UTF8.self), auth, now: 0)
            }
        }
    }
}
