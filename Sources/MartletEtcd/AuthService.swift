internal import MartletBase
internal import MartletEtcdMessages
internal import MartletHTTP
internal import MartletIO
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// `etcdserverpb.Auth`.
extension EtcdService {
    func authMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "AuthEnable": unary { service, _, context in try await service.changeRules(.enable, context) }
        case "AuthDisable": unary { service, _, context in try await service.changeRules(.disable, context) }
        case "AuthStatus": unary { try await $0.authStatus($2) }
        case "Authenticate": unary(EtcdAuthenticateRequest.self) { try await $0.authenticate($1, $2) }
        default: userMethod(name) ?? roleMethod(name)
        }
    }

    private func userMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "UserAdd": unary(EtcdAuthUserAddRequest.self) { try await $0.addUser($1, $2) }
        case "UserGet": unary(EtcdAuthUserGetRequest.self) { try await $0.user($1.name, $2) }
        case "UserList":
            unary { try await $0.names($2) { $0.users.keys.sorted() } }
        case "UserDelete":
            unary(EtcdAuthUserGetRequest.self) { try await $0.changeRules(.deleteUser(name: $1.name), $2) }
        case "UserChangePassword":
            unary(EtcdAuthUserChangePasswordRequest.self) { service, request, context in
                let hash = try await service.hash(request.password)
                return try await service.changeRules(
                    .changePassword(name: request.name, passwordHash: hash), context)
            }
        case "UserGrantRole":
            unary(EtcdAuthUserGrantRoleRequest.self) {
                try await $0.changeRules(.grantRole(user: $1.user, role: $1.role), $2)
            }
        case "UserRevokeRole":
            unary(EtcdAuthUserGrantRoleRequest.self) {
                try await $0.changeRules(.revokeRole(user: $1.user, role: $1.role), $2)
            }
        default: nil
        }
    }

    private func roleMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "RoleAdd":
            unary(EtcdAuthUserGetRequest.self) { try await $0.changeRules(.addRole(name: $1.name), $2) }
        case "RoleGet": unary(EtcdAuthUserGetRequest.self) { try await $0.role($1.name, $2) }
        case "RoleList":
            unary { try await $0.names($2) { $0.roles.keys.sorted() } }
        case "RoleDelete":
            unary(EtcdAuthUserGetRequest.self) { try await $0.changeRules(.deleteRole(name: $1.name), $2) }
        case "RoleGrantPermission":
            unary(EtcdAuthRoleGrantPermissionRequest.self) { try await $0.grantPermission($1, $2) }
        case "RoleRevokePermission":
            unary(EtcdAuthRoleRevokePermissionRequest.self) {
                let range = KeyRequests.boundless(Array($1.key), Array($1.rangeEnd))
                return try await $0.changeRules(.revokePermission(role: $1.role, range), $2)
            }
        default: nil
        }
    }

    /// A change of users or roles, which only root's role may make.
    private func changeRules(_ command: AuthCommand, _ context: GRPCContext) async throws -> [UInt8] {
        try await propose(.auth(command), context) { _, warrant in try warrant.needAdministrator() }.header.alone
    }

    private func authStatus(_ context: GRPCContext) async throws -> [UInt8] {
        let (state, header) = try await look(context) { store, warrant in
            try warrant.needAdministrator()
            return (store.auth.enabled, store.auth.revision)
        }
        return try Self.encode(
            EtcdAuthStatusResponse.with {
                $0.header = header.message
                $0.enabled = state.0
                $0.authRevision = state.1
            })
    }

    /// A token for a password. Nothing is written: see ``Tokens``.
    private func authenticate(_ request: EtcdAuthenticateRequest, _ context: GRPCContext) async throws -> [UInt8] {
        try await replica.confirmRead()
        let (enabled, stored, header) = try await passwordHash(of: request.name)
        guard enabled else { throw Refusal.authenticationOff }
        // A user who is not there costs the same time as one who is, so that nobody learns names.
        let known = stored ?? Tokens.hash("", salt: Array(repeating: 0, count: 16), iterations: 1)
        let matches = try await worker.run {
            stored == nil
                ? {
                    _ = Tokens.hash(request.password, salt: known); return false
                }()
                : Tokens.matches(request.password, known)
        }
        guard matches, let stored else { throw Refusal.authenticationFailed }
        let expiry = world.wallTime().seconds + limits.tokenLifetime
        return try Self.encode(
            EtcdAuthenticateResponse.with {
                $0.header = header.message
                $0.token = Tokens.issue(user: request.name, passwordHash: stored, expiry: expiry)
            })
    }

    private func passwordHash(of name: String) async throws -> (enabled: Bool, hash: [UInt8]?, header: Header) {
        let (found, revision, term) = await replica.look { store in
            (store.auth.enabled, store.auth.users[name]?.passwordHash)
        }
        let header = Header(
            cluster: identity.cluster, member: identity.member, revision: revision, term: term)
        return (found.0, found.1, header)
    }

    private func hash(_ password: String) async throws -> [UInt8] {
        let salt = Tokens.salt(from: world)
        return try await worker.run { Tokens.hash(password, salt: salt) }
    }

    // MARK: Users

    private func addUser(_ request: EtcdAuthUserAddRequest, _ context: GRPCContext) async throws -> [UInt8] {
        if request.name.isEmpty { throw Refusal.userEmpty }
        let hash = request.options.noPassword ? nil : try await hash(request.password)
        return try await changeRules(.addUser(name: request.name, passwordHash: hash), context)
    }

    private func user(_ name: String, _ context: GRPCContext) async throws -> [UInt8] {
        let (roles, header) = try await look(context) { store, warrant in
            try warrant.needAdministrator(or: name)
            guard let user = store.auth.users[name] else { throw Refusal.userNotFound }
            return user.roles
        }
        return try Self.encode(
            EtcdAuthUserGetResponse.with {
                $0.header = header.message
                $0.roles = roles
            })
    }

    private func names(
        _ context: GRPCContext, _ list: @escaping @Sendable (AuthState) -> [String]
    ) async throws -> [UInt8] {
        let (names, header) = try await look(context) { store, warrant in
            try warrant.needAdministrator()
            return list(store.auth)
        }
        return try Self.encode(
            EtcdAuthUserListResponse.with {
                $0.header = header.message
                $0.users = names
            })
    }

    // MARK: Roles

    private func role(_ name: String, _ context: GRPCContext) async throws -> [UInt8] {
        let (permissions, header) = try await look(context) { store, warrant in
            try warrant.needAdministrator(orRole: name)
            guard let permissions = store.auth.permissions(ofRole: name) else { throw Refusal.roleNotFound }
            return permissions
        }
        return try Self.encode(
            EtcdAuthRoleGetResponse.with { answer in
                answer.header = header.message
                answer.perm = permissions.map { permission in
                    let (key, end) = KeyRequests.written(permission.range)
                    return EtcdPermission.with {
                        $0.permType = EtcdPermission.TypeEnum(rawValue: Int(permission.kind.rawValue)) ?? .read
                        $0.key = protobufBytes(key)
                        $0.rangeEnd = protobufBytes(end)
                    }
                }
            })
    }

    private func grantPermission(
        _ request: EtcdAuthRoleGrantPermissionRequest, _ context: GRPCContext
    ) async throws -> [UInt8] {
        guard request.hasPerm else { throw Refusal.permissionNotGiven }
        guard let kind = UInt8(exactly: request.perm.permType.rawValue).flatMap(Permission.Kind.init) else {
            throw Refusal.other("etcdserver: no permission has the number \(request.perm.permType.rawValue)")
        }
        let range = KeyRequests.boundless(Array(request.perm.key), Array(request.perm.rangeEnd))
        return try await changeRules(.grantPermission(role: request.name, Permission(kind, range)), context)
    }
}
